/* consumer_child.c -- a consumer in a process of its own, for tests that kill it. Ends by itself with status 0 when
 * `effects` holds argv[1] events. With argv[2] it is an ordered one that refuses the event of that ce_id. Environment:
 * DATABASE_URL, KAFKA_BROKERS, TOPIC_PREFIX, CRASH_AT. */
#include "fixture.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool effects_but_one(
    struct pg *pg, struct outbox *outbox, struct delivery *deliveries, size_t count, void *context, struct error *e)
{
    const char *refused = context;
    for (size_t i = 0; i < count; i++)
        if (strcmp(deliveries[i].event.id, refused) == 0)
            error_set(&deliveries[i].verdict, ERROR_REFUSED, "%s is not liked", refused);
    return fixture_effects(pg, outbox, deliveries, count, context, e);
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

static struct consumer *consumer; /* for the signal handler */
static atomic_bool stopped;

static void stop(int signal_number)
{
    (void)signal_number;
    atomic_store(&stopped, true);
    consumer_stop(consumer);
}

static void *watch(void *argument)
{
    long long wanted = atoll(argument);
    PGconn *pg = PQconnectdb(getenv("DATABASE_URL"));
    long long seen = 0;
    while (seen < wanted && !atomic_load(&stopped)) {
        PGresult *result = PQexec(pg, "SELECT count(*) FROM effects");
        seen = atoll(PQgetvalue(result, 0, 0));
        PQclear(result);
        usleep(50000);
    }
    PQfinish(pg);
    consumer_stop(consumer);
    return NULL;
}

int main(int argc, char **argv)
{
    struct error e = { 0 };
    const struct pg_options pg = { .dsn = getenv("DATABASE_URL"), .application_name = "event-bus-test" };
    const struct consumer_options options = {
        .kafka = { getenv("KAFKA_BROKERS"), getenv("TOPIC_PREFIX"), "consumer-child" },
        .group = FIXTURE_GROUP,
        .topics = (const char *const[]){ FIXTURE_TOPIC, NULL },
        .handle = effects_but_one,
        .context = argc == 3 ? argv[2] : "",
        .ordered = argc == 3,
        .pg = &pg,
        .batch_max = 50,
        .on_error = print_error,
        .on_state = print_line,
    };
    if (argc < 2 || argc > 3 || !consumer_open(&options, &consumer, &e)) {
        fprintf(stderr, "consumer_child: %s\n", e.message);
        return 1;
    }
    pthread_t thread;
    signal(SIGTERM, stop);
    pthread_create(&thread, NULL, watch, argv[1]);
    if (!consumer_run(consumer, &e)) {
        fprintf(stderr, "consumer_child: %s\n", e.message);
        return 1;
    }
    pthread_join(thread, NULL);
    consumer_free(consumer);
    return 0;
}
