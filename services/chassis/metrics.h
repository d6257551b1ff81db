/* metrics.h -- counters, gauges and histograms in the Prometheus text format 0.0.4. Made at start, updated with relaxed
 * atomics from any thread, read by GET /metrics. Names carry their unit: _total, _seconds, _bytes. Never freed. */
#pragma once

#include <event_bus/base.h>

struct metric;

/* labels: `route="/orders",status="201"` or "". The same name and labels give the same metric; help is kept from the
 * first. */
struct metric *metric_counter(const char *name, const char *labels, const char *help);
struct metric *metric_gauge(const char *name, const char *labels, const char *help);
/* Buckets 0.0005 s … 10 s. */
struct metric *metric_histogram(const char *name, const char *labels, const char *help);
/* A gauge that is asked for when it is scraped; `read` runs in the scraping thread and must not make metrics. */
void metric_gauge_function(
    const char *name, const char *labels, const char *help, double (*read)(void *), void *context);

void metric_add(struct metric *metric, uint64_t n);
void metric_set(struct metric *metric, double value);
void metric_observe(struct metric *metric, double seconds);

char *metrics_render(void); /* the caller's (xfree) */
