#include "metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { METRICS_MAX = 4096, BUCKETS = 14 };

static const double bucket_bounds_s[BUCKETS] = {
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
};

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_GAUGE_FUNCTION, METRIC_HISTOGRAM };

struct metric {
    struct metric *next;
    enum metric_type type;
    char *name, *labels, *help;
    _Atomic uint64_t count;            /* counter's value; histogram: observations above the last bound */
    _Atomic double value;              /* gauge */
    _Atomic uint64_t sum_ns;           /* histogram */
    _Atomic uint64_t buckets[BUCKETS]; /* histogram: observations of this bucket alone, summed when rendered */
    double (*read)(void *);
    void *context;
};

/* All metrics of the process; those of one name stand together, as the text format wants them. */
static struct {
    pthread_mutex_t lock;
    struct metric *first;
    size_t count;
} registry = { .lock = PTHREAD_MUTEX_INITIALIZER };

static struct metric *make(enum metric_type type, const char *name, const char *labels, const char *help,
    double (*read)(void *), void *context)
{
    pthread_mutex_lock(&registry.lock);
    struct metric **place = NULL;
    struct metric **end = &registry.first;
    struct metric *found = NULL;
    for (; *end && !found; end = &(*end)->next) {
        if (strcmp((*end)->name, name) != 0)
            continue;
        assert((*end)->type == type);
        place = &(*end)->next;
        help = (*end)->help;
        if (strcmp((*end)->labels, labels) == 0)
            found = *end;
    }
    if (!found) {
        assert(registry.count < METRICS_MAX);
        registry.count++;
        found = xcalloc(1, sizeof *found);
        found->type = type;
        found->name = xstrdup(name);
        found->labels = xstrdup(labels);
        found->help = xstrdup(help);
        found->read = read;
        found->context = context;
        if (!place)
            place = end;
        found->next = *place;
        *place = found;
    }
    pthread_mutex_unlock(&registry.lock);
    return found;
}

struct metric *metric_counter(const char *name, const char *labels, const char *help)
{
    return make(METRIC_COUNTER, name, labels, help, NULL, NULL);
}

struct metric *metric_gauge(const char *name, const char *labels, const char *help)
{
    return make(METRIC_GAUGE, name, labels, help, NULL, NULL);
}

struct metric *metric_histogram(const char *name, const char *labels, const char *help)
{
    return make(METRIC_HISTOGRAM, name, labels, help, NULL, NULL);
}

void metric_gauge_function(
    const char *name, const char *labels, const char *help, double (*read)(void *), void *context)
{
    assert(read);
    (void)make(METRIC_GAUGE_FUNCTION, name, labels, help, read, context);
}

void metric_add(struct metric *metric, uint64_t n)
{
    assert(metric->type == METRIC_COUNTER);
    atomic_fetch_add_explicit(&metric->count, n, memory_order_relaxed);
}

void metric_set(struct metric *metric, double value)
{
    assert(metric->type == METRIC_GAUGE);
    atomic_store_explicit(&metric->value, value, memory_order_relaxed);
}

void metric_observe(struct metric *metric, double seconds)
{
    assert(metric->type == METRIC_HISTOGRAM);
    if (!(seconds > 0)) /* a clock that was set back, or NaN */
        seconds = 0;
    size_t i = 0;
    while (i < BUCKETS && seconds > bucket_bounds_s[i])
        i++;
    atomic_fetch_add_explicit(i < BUCKETS ? &metric->buckets[i] : &metric->count, 1, memory_order_relaxed);
    const double max_s = 1e9; /* keeps the nanoseconds in range whatever is passed */
    uint64_t ns = (uint64_t)((seconds < max_s ? seconds : max_s) * 1e9);
    atomic_fetch_add_explicit(&metric->sum_ns, ns, memory_order_relaxed);
}

static uint64_t load(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void write_sample(FILE *out, const struct metric *metric, double value)
{
    const char *open = *metric->labels ? "{" : "", *close = *metric->labels ? "}" : "";
    (void)fprintf(out, "%s%s%s%s %.15g\n", metric->name, open, metric->labels, close, value);
}

static void write_histogram(FILE *out, const struct metric *metric)
{
    const char *comma = *metric->labels ? "," : "";
    uint64_t total = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        total += load(&metric->buckets[i]);
        (void)fprintf(out, "%s_bucket{%s%sle=\"%g\"} %" PRIu64 "\n", metric->name, metric->labels, comma,
            bucket_bounds_s[i], total);
    }
    total += load(&metric->count);
    (void)fprintf(out, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", metric->name, metric->labels, comma, total);
    const char *open = *metric->labels ? "{" : "", *close = *metric->labels ? "}" : "";
    (void)fprintf(
        out, "%s_sum%s%s%s %.9f\n", metric->name, open, metric->labels, close, (double)load(&metric->sum_ns) / 1e9);
    (void)fprintf(out, "%s_count%s%s%s %" PRIu64 "\n", metric->name, open, metric->labels, close, total);
}

static void write_metric(FILE *out, const struct metric *metric)
{
    switch (metric->type) {
    case METRIC_COUNTER: {
        const char *open = *metric->labels ? "{" : "", *close = *metric->labels ? "}" : "";
        (void)fprintf(out, "%s%s%s%s %" PRIu64 "\n", metric->name, open, metric->labels, close, load(&metric->count));
        return;
    }
    case METRIC_GAUGE:
        write_sample(out, metric, atomic_load_explicit(&metric->value, memory_order_relaxed));
        return;
    case METRIC_GAUGE_FUNCTION:
        write_sample(out, metric, metric->read(metric->context));
        return;
    case METRIC_HISTOGRAM:
        write_histogram(out, metric);
        return;
    }
    assert(false && "a metric of unknown type");
}

char *metrics_render(void)
{
    static const char *const type_names[] = {
        [METRIC_COUNTER] = "counter",
        [METRIC_GAUGE] = "gauge",
        [METRIC_GAUGE_FUNCTION] = "gauge",
        [METRIC_HISTOGRAM] = "histogram",
    };
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert(out);
    pthread_mutex_lock(&registry.lock);
    const char *previous = "";
    for (const struct metric *metric = registry.first; metric; metric = metric->next) {
        if (strcmp(previous, metric->name) != 0)
            (void)fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help, metric->name,
                type_names[metric->type]);
        previous = metric->name;
        write_metric(out, metric);
    }
    pthread_mutex_unlock(&registry.lock);
    int closed = fclose(out);
    assert(closed == 0 && text);
    return text;
}
