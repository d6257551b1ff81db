/* penstock-engine-bench FILE SUBJECT… -- runs a workload file through each subject and prints one line of JSON a
 * subject: the result (the same for all that match rightly), the best of REPEATS timed runs, taken by turns, and
 * percentiles of the time of single operations. The prefill is never timed. */
#include "subject.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if !defined(__x86_64__)
#error "latencies are taken with the time stamp counter"
#endif
#include <x86intrin.h>

enum { REPEATS = 5, SUBJECTS_MAX = 16, CHUNK = 64, SAMPLE_EVERY = 8, OVERHEAD_SAMPLES = 10000 };

struct latency {
    double p50_ns, p99_ns, p999_ns, overhead_ns;
};

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_RAW, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static inline uint64_t ticks_now(void)
{
    unsigned core;
    uint64_t ticks = __rdtscp(&core);
    _mm_lfence();
    return ticks;
}

static void apply_chunks(const struct subject *subject, void *book, uint64_t first, uint64_t end)
{
    for (; first < end; first += CHUNK)
        subject->apply(book, first, end - first < CHUNK ? end - first : CHUNK);
    subject->flush(book);
}

static void run_for_result(const struct subject *subject, const struct workload *workload, struct result *ret_result)
{
    void *book = subject->open(workload, DELIVERY_RESULT);
    apply_chunks(subject, book, 0, workload->prefill + workload->operations);
    subject->result(book, ret_result);
    subject->close(book);
}

static double run_for_time(const struct subject *subject, const struct workload *workload)
{
    void *book = subject->open(workload, subject->delivery);
    apply_chunks(subject, book, 0, workload->prefill);
    double begun = seconds_now();
    apply_chunks(subject, book, workload->prefill, workload->prefill + workload->operations);
    double took = seconds_now() - begun;
    subject->close(book);
    return took;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double ns_per_tick(void)
{
    double begun = seconds_now();
    uint64_t ticks = ticks_now();
    while (seconds_now() - begun < 0.05) {
    }
    return (seconds_now() - begun) * 1e9 / (double)(ticks_now() - ticks);
}

static double percentile(const uint32_t *sorted, size_t count, unsigned per_mille, double ns)
{
    return (double)sorted[(count - 1) * per_mille / 1000] * ns;
}

static void run_for_latency(const struct subject *subject, const struct workload *workload, struct latency *ret_latency)
{
    double ns = ns_per_tick();
    size_t samples = 0, samples_max = workload->operations / SAMPLE_EVERY + 1;
    uint32_t *took = calloc(samples_max > OVERHEAD_SAMPLES ? samples_max : OVERHEAD_SAMPLES, sizeof *took);
    if (!took)
        abort();
    for (size_t i = 0; i < OVERHEAD_SAMPLES; i++) {
        uint64_t begun = ticks_now();
        took[i] = (uint32_t)(ticks_now() - begun);
    }
    qsort(took, OVERHEAD_SAMPLES, sizeof *took, compare);
    ret_latency->overhead_ns = percentile(took, OVERHEAD_SAMPLES, 500, ns);
    void *book = subject->open(workload, subject->delivery);
    apply_chunks(subject, book, 0, workload->prefill);
    for (uint64_t at = workload->prefill, end = at + workload->operations; at < end; at++) {
        if (at % SAMPLE_EVERY != 0) {
            subject->apply(book, at, 1);
            continue;
        }
        uint64_t begun = ticks_now();
        subject->apply(book, at, 1);
        took[samples++] = (uint32_t)(ticks_now() - begun);
    }
    subject->flush(book);
    subject->close(book);
    qsort(took, samples, sizeof *took, compare);
    ret_latency->p50_ns = percentile(took, samples, 500, ns);
    ret_latency->p99_ns = percentile(took, samples, 990, ns);
    ret_latency->p999_ns = percentile(took, samples, 999, ns);
    free(took);
}

static void print_big(const char *name, unsigned __int128 value)
{
    char digits[40], *at = digits + sizeof digits;
    *--at = '\0';
    do
        *--at = (char)('0' + (int)(value % 10));
    while ((value /= 10) > 0);
    printf("\"%s\":\"%s\",", name, at);
}

static void print(const struct subject *subject, const struct workload *workload, const struct result *result,
    const struct latency *latency, double best)
{
    printf("{\"subject\":\"%s\",\"what\":\"%s\",\"workload\":\"%s\",\"operations\":%lu,", subject->name, subject->what,
        workload->name, workload->operations);
    printf("\"fills\":%lu,\"quantity\":%lu,\"fill_hash\":\"%016lx\",", result->fills, result->quantity_lots,
        result->fill_hash);
    print_big("notional", result->notional);
    printf("\"resting\":%lu,\"book_hash\":\"%016lx\",", result->resting, result->book_hash);
    printf("\"ops_per_s\":%.0f,\"ns_per_op\":%.1f,", (double)workload->operations / best,
        best * 1e9 / (double)workload->operations);
    printf("\"p50_ns\":%.0f,\"p99_ns\":%.0f,\"p999_ns\":%.0f,\"clock_ns\":%.0f}\n", latency->p50_ns, latency->p99_ns,
        latency->p999_ns, latency->overhead_ns);
    fflush(stdout);
}

/* The timed runs by turns, so that what disturbs the machine for a while disturbs all alike. */
static void measure(const struct subject *const *subjects, size_t count, const struct workload *workload)
{
    double best[SUBJECTS_MAX] = { 0 };

    for (int round = 0; round < REPEATS; round++)
        for (size_t i = 0; i < count; i++) {
            double took = run_for_time(subjects[i], workload);
            best[i] = round == 0 || took < best[i] ? took : best[i];
        }
    for (size_t i = 0; i < count; i++) {
        struct result result = { 0 };
        struct latency latency;

        run_for_result(subjects[i], workload, &result);
        run_for_latency(subjects[i], workload, &latency);
        print(subjects[i], workload, &result, &latency, best[i]);
    }
}

static const struct subject *const all[] = { &core_buffer, &core_queue, &bare_alone, &bare_buffer, &bare_queue };

static const struct subject *find(const char *name)
{
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i]->name, name) == 0)
            return all[i];
    fprintf(stderr, "there is no subject %s; there are:", name);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        fprintf(stderr, " %s", all[i]->name);
    fprintf(stderr, "\n");
    return NULL;
}

int main(int argc, char **argv)
{
    const struct subject *subjects[SUBJECTS_MAX];
    struct workload workload;

    if (argc < 3 || argc > 2 + SUBJECTS_MAX) {
        fprintf(stderr, "usage: penstock-engine-bench FILE SUBJECT…\n");
        return 2;
    }
    for (int i = 2; i < argc; i++)
        if (!(subjects[i - 2] = find(argv[i])))
            return 2;
    if (!workload_read(argv[1], &workload))
        return 1;
    measure(subjects, (size_t)argc - 2, &workload);
    workload_release(&workload);
    return 0;
}
