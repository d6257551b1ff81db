/* penstock-relay-bench: what bench/relay/contest needs beside the contestants.
 *
 *     topics                          makes <TOPIC_PREFIX>bench.v1 and outbox.positions.v1
 *     count ROWS TIMEOUT_S            waits until that many rows are in bench.v1, then reads and counts them
 *     limit-read PAGE_ROWS            the relay's own reader, and nothing done with the rows
 *     limit-produce ROWS TRANSACTION_US plain|headers
 *     latency ROWS_PER_SECOND SECONDS
 *
 * BENCH_POSTGRES_URL, KAFKA_BROKERS, TOPIC_PREFIX. */
#include "bench.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

const char bench_topic[] = "bench.v1";

void bench_die(const char *what, const char *why)
{
    fprintf(stderr, "penstock-relay-bench: %s: %s\n", what, why);
    exit(1);
}

void bench_print_rate(uint64_t rows, int64_t begin_us)
{
    struct rusage usage;
    double seconds = (double)(monotonic_us() - begin_us) / 1000000;
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"rows\": %" PRIu64
           ", \"seconds\": %.3f, \"rows_per_second\": %.0f, \"cpu_s\": %.1f, \"peak_mb\": %.0f}\n",
        rows, seconds, (double)rows / seconds,
        (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
            (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000000,
        (double)usage.ru_maxrss / 1024);
}

void bench_payload(uint64_t n, char ret_payload[BENCH_PAYLOAD_BYTES])
{
    char digits[24];

    snprintf(digits, sizeof digits, "%010llu", (unsigned long long)n % 10000000000u);
    memcpy(ret_payload, digits, BENCH_DIGITS);
    memset(ret_payload + BENCH_DIGITS, 'x', BENCH_PAYLOAD_BYTES - BENCH_DIGITS);
}

int main(int argc, char **argv)
{
    const char *prefix = getenv("TOPIC_PREFIX"), *what = argc > 1 ? argv[1] : "";
    const struct bench_options options = { .postgres_url = getenv("BENCH_POSTGRES_URL"),
        .kafka = {
            .brokers = getenv("KAFKA_BROKERS"), .topic_prefix = prefix ? prefix : "", .client_id = "relay-bench" } };

    if (argc == 2 && strcmp(what, "topics") == 0)
        return bench_topics(&options);
    if (argc == 4 && strcmp(what, "count") == 0)
        return bench_count(&options, strtoull(argv[2], NULL, 10), atoi(argv[3]));
    if (argc == 3 && strcmp(what, "limit-read") == 0)
        return bench_limit_read(&options, atoll(argv[2]));
    if (argc == 5 && strcmp(what, "limit-produce") == 0)
        return bench_limit_produce(
            &options, strtoull(argv[2], NULL, 10), atoll(argv[3]), strcmp(argv[4], "headers") == 0);
    if (argc == 4 && strcmp(what, "latency") == 0)
        return bench_latency(&options, atoi(argv[2]), atoi(argv[3]));
    bench_die("usage", "topics | count ROWS TIMEOUT_S | limit-read PAGE_ROWS | limit-produce ROWS US plain|headers | "
                       "latency RATE SECONDS");
}
