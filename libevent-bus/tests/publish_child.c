/* publish_child.c -- a consumer into Kafka in a process of its own, for tests that kill it: each input becomes one
 * event in out.v1 with the input's ce_id as value. argv[1]: transactional id. Runs until SIGTERM. Environment:
 * KAFKA_BROKERS, TOPIC_PREFIX, CRASH_AT. */
#include "fixture.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static struct consumer *consumer; /* for the signal handler */

static void stop(int signal_number)
{
    (void)signal_number;
    consumer_stop(consumer);
}

static bool copy(
    struct pg *pg, struct outbox *outbox, struct delivery *deliveries, size_t count, void *context, struct error *e)
{
    (void)pg, (void)context, (void)e;
    for (size_t i = 0; i < count; i++)
        outbox_add_raw(outbox, "out.v1", (struct bytes){ "key", 3 }, "penstock.tests.v1.Copied",
            (struct bytes){ deliveries[i].event.id, strlen(deliveries[i].event.id) }, deliveries[i].event.traceparent,
            NULL);
    return true;
}

static void print_error(void *context, const struct error *e)
{
    (void)context;
    fprintf(stderr, "%s\n", e->message);
}

static void print_line(void *context, const char *line)
{
    (void)context;
    fprintf(stderr, "%s\n", line);
}

int main(int argc, char **argv)
{
    struct error e = { 0 };
    const struct consumer_options options = {
        .kafka = { getenv("KAFKA_BROKERS"), getenv("TOPIC_PREFIX"), "publish-child" },
        .group = FIXTURE_GROUP,
        .topics = (const char *const[]){ FIXTURE_TOPIC, NULL },
        .handle = copy,
        .transactional_id = argc == 2 ? argv[1] : "",
        .source = "/tests/copier",
        .batch_max = 20,
        .on_error = print_error,
        .on_state = print_line,
    };
    bool ok = consumer_open(&options, &consumer, &e);
    signal(SIGTERM, stop);
    ok = ok && consumer_run(consumer, &e);
    if (!ok)
        fprintf(stderr, "publish_child: %s: %s\n", error_kind_name(e.kind), e.message);
    consumer_free(consumer);
    return ok ? 0 : error_is(&e, ERROR_FATAL) ? 3 : 1;
}
