#include "cleanup.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    CLEANUP_BATCH_ROWS = 2000,
    REST_FACTOR = 3,
    LATE_US = 2000000,       /* then it rests as long as it works */
    VERY_LATE_US = 10000000, /* then not at all */
};

void cleanup_init(struct cleanup *cleanup, const struct pg_statement *statement, int64_t delay_us)
{
    *cleanup = (struct cleanup){ .statement = statement, .delay_us = delay_us, .cleaned_xmin = 1 };
}

static void cleanup_drop_first(struct cleanup *cleanup)
{
    snapshot_release(&cleanup->samples[0].before);
    cleanup->sample_count--;
    cleanup->reached_xid = 0;
    memmove(cleanup->samples, cleanup->samples + 1, cleanup->sample_count * sizeof cleanup->samples[0]);
}

void cleanup_release(struct cleanup *cleanup)
{
    while (cleanup->sample_count > 0)
        cleanup_drop_first(cleanup);
    snapshot_release(&cleanup->latest.before);
}

/* Few samples, however often something is committed; but the latest is never forgotten: a source that falls quiet has
 * no later one. */
static void cleanup_take_latest(struct cleanup *cleanup, int64_t at_us)
{
    struct cleanup_sample *sample = &cleanup->samples[cleanup->sample_count];

    if (!cleanup->latest.before.text || cleanup->sample_count == CLEANUP_SAMPLES_MAX)
        return;
    if (cleanup->sample_count > 0 && at_us - sample[-1].taken_us < cleanup->delay_us / CLEANUP_SAMPLES_MAX)
        return;
    *sample = cleanup->latest;
    cleanup->latest = (struct cleanup_sample){ 0 };
    cleanup->sample_count++;
}

void cleanup_published(struct cleanup *cleanup, const struct snapshot *before, int64_t at_us)
{
    if (cleanup->latest.before.text && snapshot_equal(&cleanup->latest.before, before))
        return;
    snapshot_release(&cleanup->latest.before);
    snapshot_copy(before, &cleanup->latest.before);
    cleanup->latest.taken_us = at_us;
    cleanup_take_latest(cleanup, at_us);
}

int cleanup_rest_factor(const struct cleanup *cleanup, int64_t at_us)
{
    int64_t late_us = cleanup->sample_count > 0 ? at_us - cleanup->samples[0].taken_us - cleanup->delay_us : 0;

    if (late_us >= VERY_LATE_US)
        return 0;
    return late_us >= LATE_US ? 1 : REST_FACTOR;
}

bool cleanup_step(struct cleanup *cleanup, struct pg *pg, int64_t at_us, bool *ret_more, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *result = NULL;
    const struct snapshot *before = &cleanup->samples[0].before;
    char from[24], to[24];

    *ret_more = false;
    cleanup_take_latest(cleanup, at_us);
    if (cleanup->sample_count == 0 || at_us - cleanup->samples[0].taken_us < cleanup->delay_us)
        return true;
    if (before->xmax > cleanup->cleaned_xmin) {
        snprintf(from, sizeof from, "%" PRIu64,
            cleanup->reached_xid > cleanup->cleaned_xmin ? cleanup->reached_xid : cleanup->cleaned_xmin);
        snprintf(to, sizeof to, "%" PRIu64, before->xmax);
        pg_arg_text(pg, from);
        pg_arg_text(pg, to);
        pg_arg_text(pg, before->text);
        pg_arg_int64(pg, CLEANUP_BATCH_ROWS);
        if (!pg_query(pg, cleanup->statement, &result, e))
            return false;
        cleanup->deleted_rows += (uint64_t)pg_get_int64(result, 0, 0);
        cleanup->reached_xid = (uint64_t)pg_get_int64(result, 0, 1);
        *ret_more = pg_get_int64(result, 0, 0) == CLEANUP_BATCH_ROWS;
    }
    if (!*ret_more) {
        cleanup->cleaned_xmin = before->xmin > cleanup->cleaned_xmin ? before->xmin : cleanup->cleaned_xmin;
        cleanup_drop_first(cleanup);
    }
    return true;
}
