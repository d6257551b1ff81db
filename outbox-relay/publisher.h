/* publisher.h -- one source's way into Kafka: transactions, and the source's position stored in the same Kafka
 * transaction as the rows it covers. One thread. Two transactional producers take turns: a transaction begins when the
 * commit of the one before has been answered, but need not wait until its markers are written.
 *
 * Idempotent mode (publisher_leave_transactions()): a producer without transactions; rows carry ce_sequence, by which
 * readers drop what they have seen, and the position is the caller's to store. What is said of a transaction below is
 * then true of what was added since the last commit, except that rows are visible at once.
 *
 * Life: publisher_open() fences whoever published this source before; only then publisher_load_position() says where to
 * go on. Then publisher_add() …, publisher_commit() … .
 *
 * After an error publisher_usable() says whether the transaction was cleanly aborted: then nothing since the last
 * successful commit is visible to read_committed, and one goes on from that position with the same publisher. If not,
 * the outcome is not known or the publisher is fenced: publisher_free(), and the stored position is the truth. */
#pragma once

#include "source.h"

#include <event_bus/kafka.h>

enum { PUBLISHER_TOPICS_MAX = 1024, PUBLISHER_REASON_MAX = 160 };

struct publisher;

struct publisher_options {
    const struct kafka_options *kafka;
    const char *source;
    const struct mapping *mapping;
    const char *compression; /* none, lz4, … */
    int64_t queue_kbytes_max;
    int64_t transaction_timeout_ms; /* after which the broker aborts a transaction that a dead relay left open */
    int64_t pause_us; /* between two transactions of one transactional.id: the broker is still writing the markers */
};

/* A row that Kafka will not take however often it is tried. */
struct publisher_refusal {
    uint64_t row_id;             /* 0: none */
    bool whole_topic;            /* every row of its topic would be refused: unknown, not authorised */
    char topic[KAFKA_TOPIC_MAX]; /* bare */
    char reason[PUBLISHER_REASON_MAX];
};

/* Errors: TRANSIENT (no broker), FATAL (a setting is refused), DENIED (not authorised). */
MUST_CHECK bool publisher_open(
    const struct publisher_options *options, struct publisher **ret_publisher, struct error *e);
void publisher_free(struct publisher *publisher); /* an open transaction is left to be aborted; NULL is fine */
DEFINE_CLEANUP(struct publisher *, publisher_free)

/* The last committed position of the source; *ret_found false and *ret_position untouched if there is none.
 * Errors: TRANSIENT (also while another source's open transaction hides the end of the topic), FATAL. */
MUST_CHECK bool publisher_load_position(
    struct publisher *publisher, uint32_t timeout_ms, bool *ret_found, struct position *ret_position, struct error *e);

/* From now on in idempotent mode; after the position is loaded and before the first row. Errors: FATAL. */
MUST_CHECK bool publisher_leave_transactions(struct publisher *publisher, struct error *e);

void publisher_set_content_type(struct publisher *publisher, const char *content_type); /* must outlive it */

/* Puts one row into the open transaction, opening one if need be. Blocks while the local queue is full. */
MUST_CHECK bool publisher_add(struct publisher *publisher, const struct source_row *row, struct error *e);

/* Waits until the broker has every row of the transaction: false if it refused one. */
MUST_CHECK bool publisher_flush(struct publisher *publisher, struct error *e);

/* Stores the position and commits. true: all rows and the position are visible. false: see above. */
MUST_CHECK bool publisher_commit(struct publisher *publisher, const struct position *position, struct error *e);
void publisher_abort(struct publisher *publisher); /* then see publisher_usable() */

bool publisher_usable(const struct publisher *publisher);
bool publisher_fenced(const struct publisher *publisher);    /* another relay publishes this source */
size_t publisher_count(const struct publisher *publisher);   /* rows in the open transaction; 0: none is open */
int64_t publisher_age_us(const struct publisher *publisher); /* since the transaction was opened */

/* The first refusal of the transaction that failed; cleared by the next publisher_add(). */
const struct publisher_refusal *publisher_refusal(const struct publisher *publisher);
