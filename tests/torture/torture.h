/* torture.h -- rows that tell by themselves whether they arrived as they should: the n-th committed row of key k, in a
 * run with seed s, has exactly one possible payload. A key's counter is a row of table `torture_keys`, locked by
 * whoever writes the key and moved in the same transaction: what is committed is n = 1 … counter, whatever was rolled
 * back, cut off or killed. */
#pragma once

#include <event_bus/kafka.h>

enum { TORTURE_KEYS = 64, TORTURE_PAYLOAD_MAX = 512, TORTURE_KEY_MAX = 16, TORTURE_TOPICS = 3 };

extern const char *const torture_topics[TORTURE_TOPICS];

/* NUL-terminated text without quotes; returns its length. */
size_t torture_payload(uint64_t seed, uint32_t key, uint64_t n, char ret_payload[TORTURE_PAYLOAD_MAX]);

struct torture_options {
    const char *postgres_url; /* a role that owns, or may write, the outbox */
    struct kafka_options kafka;
    uint64_t seed;
    int connections;
    int seconds;  /* of writing; of waiting when reading */
    int rate_max; /* rows/s of all connections together; 0: as fast as it goes */
};

/* Writes for that long, through any number of lost connections. False if nothing could be committed. */
bool torture_write(const struct torture_options *options);

/* Reads the topics read_committed until all that is committed is there, and a while longer: true if each key's rows are
 * exactly those, once and in order. Prints what is wrong, and the line "rows R keys K missing M twice T misplaced P
 * false F". */
bool torture_check(const struct torture_options *options);
