/* fixture.h -- a database with a table of effects, a topic, and a handler that writes one row of effects for each
 * event. */
#pragma once

#include "support.h"

#include <event_bus/consumer.h>
#include <event_bus/producer.h>

#include <libpq-fe.h>

#define FIXTURE_TOPIC "in.v1"
#define FIXTURE_GROUP "test"

struct fixture {
    struct support_database database;
    char prefix[SUPPORT_NAME_MAX];
    char topic[KAFKA_TOPIC_MAX]; /* FIXTURE_TOPIC with the prefix */
    int partitions;
    PGconn *admin;
    rd_kafka_t *rk; /* plain producer */
    struct kafka_options kafka;
    struct pg_options pg;
    const char *topics[2];
    struct consumer_options options; /* ready for consumer_open(): handler fixture_effects, on_error prints */
    char last_error[256];            /* what on_error was told last */
    uint64_t produced;
};

void fixture_open(struct fixture *f, int partitions);
void fixture_close(struct fixture *f);                                          /* deletes the topic */
void fixture_create_topic(struct fixture *f, const char *name, int partitions); /* name with the prefix */
void fixture_delete_topic(struct fixture *f, const char *name);
void fixture_add_partitions(struct fixture *f, int partitions); /* to so many in all */

/* Well-formed events; ids "<partition>-<n>" with n counted on over all calls. */
void fixture_produce(struct fixture *f, int partition, int count);
/* One event as it is: header name, value, …, NULL; a transactional producer may be given. */
void fixture_produce_raw(
    struct fixture *f, rd_kafka_t *rk, int partition, struct bytes value, const char *const *headers);
void fixture_flush(rd_kafka_t *rk);
rd_kafka_t *fixture_producer(const struct fixture *f);
rd_kafka_t *fixture_transactional_producer(const struct fixture *f);

void fixture_execute(struct fixture *f, const char *sql);         /* as administrator */
int64_t fixture_ask(struct fixture *f, const char *sql);          /* the first value of the first row, a number */
const char *fixture_ask_text(struct fixture *f, const char *sql); /* … a text, valid until the next call */

/* Polls until `events` in all were handled since the consumer was opened. Transient errors are retried. */
void fixture_drain(struct consumer *consumer, uint64_t events);
/* Each of the f->produced events has exactly one effect, and the positions say the same. */
void fixture_expect_exactly_once(struct fixture *f);

/* consumer_child, until there are `wanted` effects. refused: not NULL makes it an ordered one, which refuses that
 * ce_id. */
void fixture_start_child(const struct fixture *f, struct support_process *child, const char *wanted,
    const char *crash_at, const char *refused);

bool fixture_effects(
    struct pg *pg, struct outbox *outbox, struct delivery *deliveries, size_t count, void *context, struct error *e);
/* The same for the chosen deliveries only. */
bool fixture_write(struct pg *pg, const struct delivery *deliveries, size_t count, struct error *e);
