/* consumers.c -- one thread for each subscription. */
#include "runtime.h"

static void on_error(void *context, const struct error *e)
{
    const struct reader *reader = context;
    if (error_is(e, ERROR_TRANSIENT)) /* one that is tried again; of dead letters each has its line */
        log_error_seldom(reader->subscription->group, e);
    else
        log_error(reader->subscription->group, e);
}

static void on_state(void *context, const char *line)
{
    const struct reader *reader = context;
    log_info("consumer %s: %s", reader->subscription->group, line);
}

/* consumer_options has one context for the handler and the hooks: the handler's is the service's state, so it is called
 * here. */
static bool on_batch(
    struct pg *pg, struct outbox *outbox, struct delivery *deliveries, size_t count, void *context, struct error *e)
{
    const struct reader *reader = context;
    return reader->subscription->handle(pg, outbox, deliveries, count, reader->runtime->state, e);
}

static double read_lag(void *context)
{
    struct consumer_stats stats;
    consumer_get_stats(context, &stats);
    return (double)stats.lag;
}

static double read_parked(void *context)
{
    struct consumer_stats stats;
    consumer_get_stats(context, &stats);
    return (double)stats.parked;
}

static bool reader_open(struct service_runtime *runtime, const struct subscription *subscription, struct error *e)
{
    struct reader *reader = &runtime->readers[runtime->reader_count];
    *reader = (struct reader){
        .runtime = runtime,
        .subscription = subscription,
        .options = {
            .kafka = runtime->kafka,
            .group = subscription->group,
            .topics = subscription->topics,
            .handle = on_batch,
            .context = reader,
            .pg = runtime->service->database && !subscription->plain ? &runtime->pg : NULL,
            .from_end = subscription->from_end,
            .tail = subscription->tail,
            .batch_max = subscription->batch_max,
            .ordered = subscription->ordered,
            .retry_max_ms = subscription->retry_max_ms,
            .retry_then = subscription->retry_then,
            .on_error = on_error,
            .on_state = on_state,
        },
    };
    if (!consumer_open(&reader->options, &reader->consumer, e))
        return false;
    CLEANUP(xfree) char *labels = xasprintf("group=\"%s\"", subscription->group);
    reader->events = metric_counter("consumer_events_total", labels, "Events handled.");
    reader->dead_letters =
        metric_counter("consumer_dead_letters_total", labels, "Events sent to the dead-letter topic.");
    reader->retries = metric_counter("consumer_retries_total", labels, "Batches tried again.");
    metric_gauge_function(
        "consumer_lag_events", labels, "Events not handled yet; -1: unknown.", read_lag, reader->consumer);
    if (subscription->ordered)
        metric_gauge_function("consumer_parked_events", labels, "Events parked behind dead letters, and these.",
            read_parked, reader->consumer);
    runtime->reader_count++;
    return true;
}

bool readers_open(struct service_runtime *runtime, struct error *e)
{
    const struct subscription *subscription = runtime->service->subscriptions;
    for (; subscription && subscription->group; subscription++) {
        if (runtime->reader_count == SUBSCRIPTIONS_MAX)
            return error_set(e, ERROR_FATAL, "more than %d subscriptions", SUBSCRIPTIONS_MAX);
        if (!reader_open(runtime, subscription, e))
            return false;
    }
    return true;
}

static void *reader_run(void *context)
{
    struct reader *reader = context;
    struct error e = { 0 };
    if (!consumer_run(reader->consumer, &e))
        service_fail(reader->runtime, &e);
    return NULL;
}

void readers_start(struct service_runtime *runtime)
{
    for (size_t i = 0; i < runtime->reader_count; i++) {
        struct reader *reader = &runtime->readers[i];
        reader->running = pthread_create(&reader->thread, NULL, reader_run, reader) == 0;
    }
}

void readers_stop(struct service_runtime *runtime)
{
    for (size_t i = 0; i < runtime->reader_count; i++)
        consumer_stop(runtime->readers[i].consumer);
}

bool readers_join(struct service_runtime *runtime, int64_t deadline_us)
{
    for (size_t i = 0; i < runtime->reader_count; i++)
        if (runtime->readers[i].running && !thread_join_until(runtime->readers[i].thread, deadline_us))
            return false;
    return true;
}

void readers_release(struct service_runtime *runtime)
{
    for (size_t i = 0; i < runtime->reader_count; i++)
        consumer_free(runtime->readers[i].consumer);
    runtime->reader_count = 0;
}

static void count_partition(const struct reader *reader, const struct consumer_partition_stats *stats)
{
    CLEANUP(xfree)
    char *labels = xasprintf(
        "group=\"%s\",topic=\"%s\",partition=\"%d\"", reader->subscription->group, stats->topic, stats->partition);
    metric_set(metric_gauge("consumer_partition_lag_events", labels, "Events not handled yet; -1: unknown."),
        (double)stats->lag);
    metric_set(metric_gauge("consumer_partition_lag_seconds", labels,
                   "How long the oldest event not handled yet has been in Kafka; 0: none is known."),
        (double)stats->lag_us / 1e6);
    metric_set(metric_gauge("consumer_partition_failures", labels, "Attempts that failed in a row."), stats->failures);
}

static void count_partitions(struct reader *reader)
{
    for (size_t i = 0; i < reader->shown_count; i++) { /* what was taken from us no longer lags here */
        const struct consumer_partition_stats *shown = &reader->shown[i];
        count_partition(
            reader, &(struct consumer_partition_stats){ .topic = shown->topic, .partition = shown->partition });
    }
    size_t count = consumer_get_partitions(reader->consumer, reader->shown, PARTITIONS_SHOWN_MAX);
    reader->shown_count = count < PARTITIONS_SHOWN_MAX ? count : PARTITIONS_SHOWN_MAX;
    for (size_t i = 0; i < reader->shown_count; i++)
        count_partition(reader, &reader->shown[i]);
}

void readers_count(struct service_runtime *runtime)
{
    for (size_t i = 0; i < runtime->reader_count; i++) {
        struct reader *reader = &runtime->readers[i];
        struct consumer_stats stats;
        consumer_get_stats(reader->consumer, &stats);
        metric_add(reader->events, stats.events - reader->seen.events);
        metric_add(reader->dead_letters, stats.dead_letters - reader->seen.dead_letters);
        metric_add(reader->retries, stats.retries - reader->seen.retries);
        reader->seen = stats;
        count_partitions(reader);
    }
}
