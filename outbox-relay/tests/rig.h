/* rig.h -- a database with an outbox, topics, relays to run and kill, and a read_committed reader that sees all there
 * is. Everything goes away with the test's process. A relay in a process of its own is forked: have no Kafka handle
 * then. */
#pragma once

#include "relay.h"
#include "support.h"

#include <libpq-fe.h>
#include <pthread.h>

enum { RIG_TEXT_MAX = 64, RIG_BYTES_MAX = 256, RIG_CONNECTIONS_MAX = 16, RIG_HEADERS_MAX = 512 };

struct rig {
    struct support_database database;
    char prefix[SUPPORT_NAME_MAX];
    struct kafka_options kafka;
    struct relay_options options; /* as tests like them: small pages, no clean-up */
    PGconn *pg;                   /* as the service */
};

void rig_open(struct rig *rig);
void rig_sql(PGconn *pg, const char *fmt, ...) PRINTF(2, 3); /* fails the test unless it succeeds */
int64_t rig_number(PGconn *pg, const char *sql);
PGconn *rig_connect(const char *url); /* closed when the process ends */

/* One event of `topic`: its payload says "<key>:<n>". */
void rig_insert(PGconn *pg, const char *topic, const char *key, int n);
/* `count` rows over 50 keys and 3 topics, committed one by one or all together. */
void rig_insert_many(struct rig *rig, int count, int rows_per_transaction);

/* A relay in a process of its own; crash_at may be NULL. */
pid_t rig_fork_relay(struct rig *rig, const char *crash_at);
void rig_kill(pid_t pid, int signal);           /* and waits, unless it is SIGSTOP or SIGCONT */
void rig_wait_killed(pid_t pid, int timeout_s); /* until it has died by SIGKILL */

/* A relay in a thread. */
struct rig_relay {
    struct relay *relay;
    struct relay_options options;
    pthread_t thread;
    bool stop;
};
void rig_start_relay(struct rig *rig, struct rig_relay *ret_relay);
void rig_stop_relay(struct rig_relay *relay);
void rig_wait_state(struct rig_relay *relay, enum relay_state state, int timeout_s);

/* Until the statement's number has come that far. */
void rig_wait_number(struct rig *rig, const char *sql, int64_t at_least, int timeout_s);

/* How long a takeover may take: longer where processes wait for a core, for then the time is not the relay's. */
int64_t rig_takeover_limit_us(int64_t limit_us);

/* Commits a position of a new source, made on the Postgres of that system identifier. */
void rig_store_position(struct rig *rig, uint64_t system_identifier);

struct rig_event {
    char topic[RIG_TEXT_MAX], key[RIG_TEXT_MAX], payload[RIG_TEXT_MAX], id[RIG_TEXT_MAX];
    char headers[RIG_HEADERS_MAX];      /* "name=value name=value ", as they came */
    unsigned char bytes[RIG_BYTES_MAX]; /* the payload's first ones */
    size_t byte_count;                  /* of the payload, also of those not kept */
    int32_t partition;
    uint64_t sequence; /* ce_sequence; 0: none */
};

/* All that a read_committed reader finds in the three topics once there are `count`, or after timeout_s. The caller's
 * (xfree). */
struct rig_event *rig_read(struct rig *rig, size_t count, int timeout_s, size_t *ret_count);

/* What a reader of idempotent mode keeps: of a partition only sequences above all before. Returns how many. */
size_t rig_drop_repeats(struct rig_event *events, size_t count);

/* Fails unless the topics hold exactly the rows that the outbox table has (parked ones apart), each once, and of each
 * topic and key in the order of their ids. */
void rig_expect_published(struct rig *rig, int timeout_s);

/* Writes a payload of each byte there is; fails unless it arrives as it is, as the only event. */
void rig_expect_any_bytes(struct rig *rig, int timeout_s);
