/* metrics: the Prometheus text. */
#include "../metrics.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

static void expect_in(const char *text, const char *wanted)
{
    cr_expect_not_null(strstr(text, wanted), "%s\nis not in\n%s", wanted, text);
}

Test(metrics, the_same_name_and_labels_give_the_same_metric)
{
    struct metric *a = metric_counter("t_total", "route=\"/a\"", "help");
    cr_expect_eq(a, metric_counter("t_total", "route=\"/a\"", "other help"));
    cr_expect_neq(a, metric_counter("t_total", "route=\"/b\"", "help"));
}

Test(metrics, samples_of_one_name_stand_together_under_one_help)
{
    metric_add(metric_counter("t_total", "route=\"/a\"", "requests"), 3);
    metric_set(metric_gauge("t_bytes", "", "memory"), 1.5);
    metric_add(metric_counter("t_total", "route=\"/b\"", "ignored"), 4);
    CLEANUP(xfree) char *text = metrics_render();
    cr_expect_str_eq(text, "# HELP t_total requests\n"
                           "# TYPE t_total counter\n"
                           "t_total{route=\"/a\"} 3\n"
                           "t_total{route=\"/b\"} 4\n"
                           "# HELP t_bytes memory\n"
                           "# TYPE t_bytes gauge\n"
                           "t_bytes 1.5\n");
}

Test(metrics, a_histogram_counts_up_to_infinity)
{
    struct metric *histogram = metric_histogram("t_seconds", "route=\"/a\"", "latency");
    metric_observe(histogram, 0.0005);
    metric_observe(histogram, 0.0006);
    metric_observe(histogram, 11);
    metric_observe(histogram, -1);
    CLEANUP(xfree) char *text = metrics_render();
    expect_in(text, "# TYPE t_seconds histogram\n");
    expect_in(text, "t_seconds_bucket{route=\"/a\",le=\"0.0005\"} 2\n");
    expect_in(text, "t_seconds_bucket{route=\"/a\",le=\"0.001\"} 3\n");
    expect_in(text, "t_seconds_bucket{route=\"/a\",le=\"10\"} 3\n");
    expect_in(text, "t_seconds_bucket{route=\"/a\",le=\"+Inf\"} 4\n");
    expect_in(text, "t_seconds_sum{route=\"/a\"} 11.001100000\n");
    expect_in(text, "t_seconds_count{route=\"/a\"} 4\n");
}

static double read_answer(void *context)
{
    return *(int *)context;
}

Test(metrics, a_gauge_function_is_asked_at_each_render)
{
    static int answer = 41;
    metric_gauge_function("t_answer", "", "asked", read_answer, &answer);
    answer = 42;
    CLEANUP(xfree) char *text = metrics_render();
    expect_in(text, "# TYPE t_answer gauge\nt_answer 42\n");
}

enum { THREADS = 4, ROUNDS = 10000 };

static void *count(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        metric_add(metric_counter("t_shared_total", "", "shared"), 1);
        metric_observe(metric_histogram("t_shared_seconds", "", "shared"), 0.001);
    }
    return NULL;
}

Test(metrics, no_update_is_lost_between_threads)
{
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, count, NULL), 0);
    for (size_t i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    CLEANUP(xfree) char *text = metrics_render();
    expect_in(text, "t_shared_total 40000\n");
    expect_in(text, "t_shared_seconds_count 40000\n");
}
