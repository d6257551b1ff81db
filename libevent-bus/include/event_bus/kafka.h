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

/* Full topic (or group) name. Writes at most 249 bytes, Kafka's limit; longer is ERROR_INVALID. */
enum { KAFKA_TOPIC_MAX = 250 };
EB_API MUST_CHECK bool kafka_topic_name(
    const struct kafka_options *options, const char *bare, char ret_name[KAFKA_TOPIC_MAX], struct error *e);

/* rd_kafka error → kind; both always return false. The second takes the object and destroys it. */
EB_API bool kafka_error(rd_kafka_resp_err_t code, const char *what, struct error *e);
EB_API bool kafka_error_take(rd_kafka_error_t *error, const char *what, struct error *e);
