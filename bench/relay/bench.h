/* bench.h -- the parts of penstock-relay-bench: what reads, writes and counts while relays are measured. The n-th row's
 * payload begins with n in ten digits and is 200 bytes long; its key is k<n % 1000>; all go to topic bench.v1. */
#pragma once

#include <event_bus/kafka.h>

#include <stdio.h>

enum { BENCH_PAYLOAD_BYTES = 200, BENCH_KEYS = 1000, BENCH_DIGITS = 10, BENCH_PARTITIONS = 4 };

extern const char bench_topic[];

struct bench_options {
    const char *postgres_url;
    struct kafka_options kafka;
};

/* The bytes of row n; ret_payload is not NUL-terminated. */
void bench_payload(uint64_t n, char ret_payload[BENCH_PAYLOAD_BYTES]);

rd_kafka_t *bench_producer(const struct bench_options *options, const char *const (*settings)[2], size_t count);
rd_kafka_t *bench_reader(const struct bench_options *options); /* read_committed, all of bench.v1 from its beginning */
void bench_die(const char *what, const char *why) __attribute__((noreturn));

/* JSON: rows since begin_us (monotonic), with this process' CPU time and peak memory. */
void bench_print_rate(uint64_t rows, int64_t begin_us);

/* Each prints its result as JSON. */
int bench_topics(const struct bench_options *options);                              /* creates them */
int bench_count(const struct bench_options *options, uint64_t rows, int timeout_s); /* waits for them, then reads all */
int bench_limit_read(const struct bench_options *options, int64_t page_rows);
int bench_limit_produce(const struct bench_options *options, uint64_t rows, int64_t transaction_us, bool headers);
int bench_latency(const struct bench_options *options, int rate, int seconds);
