/* kafka.h -- how to reach Kafka, and the one place where rd_kafka errors become kinds and topics get their prefix. */
#pragma once

#include "base.h"
#include "error.h"

#include <librdkafka/rdkafka.h>

struct kafka_options {
    const char *brokers; /* "host:port,…" */
    const char
        *topic_prefix; /* put before every topic and group name; "" or NULL: none. Rows and code hold bare names. */
    const char *client_id;
    /* NULL: librdkafka's default (plaintext). Values as in librdkafka's CONFIGURATION.md. */
    const char *security_protocol, *sasl_mechanism, *sasl_username, *sasl_password, *ssl_ca_location;
};

/* A configuration with brokers, client id and security set, and queues bounded; the caller adds the rest by
 * kafka_conf_set(), which names the property in its error. *ret_conf is the caller's until rd_kafka_new() takes it. */
EB_API MUST_CHECK bool kafka_conf(const struct kafka_options *options, rd_kafka_conf_t **ret_conf, struct error *e);
EB_API MUST_CHECK bool kafka_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value, struct error *e);

/* Where the warnings of clients made by kafka_conf() go. Called by librdkafka's threads; what comes again is counted,
 * not repeated (repeats.h). level: as syslog's; facility: librdkafka's word for the matter, "FAIL". */
typedef void kafka_log_sink(int level, const char *client, const char *facility, const char *text);

/* NULL, the default: to stderr as librdkafka writes them. To be set before the first client is made. */
EB_API void kafka_log_to(kafka_log_sink *sink);

/* Full topic (or group) name. Writes at most 249 bytes, Kafka's limit; longer is ERROR_INVALID. */
enum { KAFKA_TOPIC_MAX = 250 };
EB_API MUST_CHECK bool kafka_topic_name(
    const struct kafka_options *options, const char *bare, char ret_name[KAFKA_TOPIC_MAX], struct error *e);

/* rd_kafka error → kind; both always return false. The second takes the object and destroys it. */
EB_API bool kafka_error(rd_kafka_resp_err_t code, const char *what, struct error *e);
EB_API bool kafka_error_take(rd_kafka_error_t *error, const char *what, struct error *e);

/* ---- Transactions ---- */

/* What the caller of a transactional function does next. */
enum kafka_reaction {
    KAFKA_DONE,
    KAFKA_AGAIN,   /* the same call: it takes up what it began. A commit is never aborted here: it may have happened */
    KAFKA_ABORT,   /* abort; then the same events may be sent again */
    KAFKA_GIVE_UP, /* another one has the transactional id, or nothing that this producer could do helps */
};

/* Takes what a transactional function returned; NULL is DONE. *e is set unless DONE: FATAL with GIVE_UP, else
 * TRANSIENT. */
EB_API MUST_CHECK enum kafka_reaction kafka_react(rd_kafka_error_t *error, const char *what, struct error *e);

/* A producer for transactions; rd_kafka_init_transactions() is the caller's. Partitions are chosen as Java does; what
 * could not be delivered is told by the commit. transactional_id is bare; settings: further properties, name, value,
 * …, NULL. *ret_producer is the caller's (rd_kafka_destroy). Errors: INVALID. */
EB_API MUST_CHECK bool kafka_transactional_producer(const struct kafka_options *options, const char *transactional_id,
    const char *const *settings, rd_kafka_t **ret_producer, struct error *e);
