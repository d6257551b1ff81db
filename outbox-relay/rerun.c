#include "rerun.h"

#include "reading.h"
#include "relay_sql.h"

#include <inttypes.h>
#include <stdio.h>

enum { COLUMN_REQUEST = 9, COLUMN_PLACE = 10, NUMBER_MAX = 24 };

struct rerun {
    const struct source_options *options;
    struct reading reading;
};

bool rerun_open(const struct source_options *options, struct rerun **ret_rerun, struct error *e)
{
    static const struct pg_statement *const statements[] = { &sql_redrive_extend, &sql_redrive_page, &sql_redrive_done,
        &sql_redrive_refused, &sql_replay_page /* last: not in wal mode, whose rows need not be in the table */ };
    CLEANUP(rerun_free) struct rerun *rerun = xcalloc(1, sizeof *rerun);

    rerun->options = options;
    if (!reading_open(&rerun->reading, options, statements, ARRAY_LEN(statements) - (options->mode == SOURCE_WAL), e))
        return false;
    *ret_rerun = TAKE(rerun);
    return true;
}

void rerun_free(struct rerun *rerun)
{
    if (!rerun)
        return;
    reading_release(&rerun->reading);
    xfree(rerun);
}

static const char *number(char text[NUMBER_MAX], int64_t value)
{
    snprintf(text, NUMBER_MAX, "%" PRId64, value);
    return text;
}

/* A statement that only changes something. */
static bool rerun_do(
    struct rerun *rerun, const struct pg_statement *statement, const char *const *arguments, int count, struct error *e)
{
    CLEANUP(pg_native_clear) PGresult *result = NULL;

    return reading_query(&rerun->reading, statement, arguments, count, &result, e);
}

static void rerun_page(struct rerun *rerun, PGresult *result, const struct position *position,
    struct source_page *ret_page, struct position *ret_next)
{
    reading_take(&rerun->reading, result, position->published_rows + 1);
    *ret_page = (struct source_page){ .rows = rerun->reading.rows, .count = rerun->reading.count };
    position_copy(position, ret_next);
    ret_next->published_rows += ret_page->count;
}

bool rerun_parked(struct rerun *rerun, const struct position *position, int64_t rows_max, struct source_page *ret_page,
    struct position *ret_next, struct error *e)
{
    char request[NUMBER_MAX], place[NUMBER_MAX], rows[NUMBER_MAX], bytes[NUMBER_MAX];
    const char *const done[] = { number(request, (int64_t)position->redrive),
        number(place, (int64_t)position->redrive_place) };
    const char *const page[] = { number(rows, rows_max), number(bytes, rerun->options->page_bytes) };
    PGresult *result;

    if (!rerun_do(rerun, &sql_redrive_done, done, ARRAY_LEN(done), e) ||
        !rerun_do(rerun, &sql_redrive_extend, NULL, 0, e) ||
        !reading_query(&rerun->reading, &sql_redrive_page, page, ARRAY_LEN(page), &result, e))
        return false;
    rerun_page(rerun, result, position, ret_page, ret_next);
    if (ret_page->count > 0) {
        ret_next->redrive = result_u64(result, (int)ret_page->count - 1, COLUMN_REQUEST);
        ret_next->redrive_place = result_u64(result, (int)ret_page->count - 1, COLUMN_PLACE);
    }
    return true;
}

bool rerun_refused(struct rerun *rerun, uint64_t row_id, const char *reason, bool whole_topic, struct error *e)
{
    char id[NUMBER_MAX];
    const char *const arguments[] = { number(id, (int64_t)row_id), reason, whole_topic ? "true" : "false" };

    return rerun_do(rerun, &sql_redrive_refused, arguments, ARRAY_LEN(arguments), e);
}

bool rerun_published(struct rerun *rerun, const struct position *position, const struct control *control,
    struct source_page *ret_page, struct position *ret_next, struct error *e)
{
    char after[NUMBER_MAX], from[NUMBER_MAX], time[NUMBER_MAX], rows[NUMBER_MAX], bytes[NUMBER_MAX];
    const bool begun = position->replay == (uint64_t)control->replay;
    const char *const arguments[] = { number(after, begun ? (int64_t)position->replay_id : 0),
        number(from, control->replay_from_id), number(time, control->replay_from_us), position->before.text,
        number(rows, rerun->options->page_rows), number(bytes, rerun->options->page_bytes) };
    PGresult *result;

    if (!reading_query(&rerun->reading, &sql_replay_page, arguments, ARRAY_LEN(arguments), &result, e))
        return false;
    rerun_page(rerun, result, position, ret_page, ret_next);
    ret_next->replay = (uint64_t)control->replay;
    ret_next->replay_id = ret_page->count > 0 ? ret_page->rows[ret_page->count - 1].id : UINT64_MAX;
    for (size_t i = 0; i < ret_page->count; i++)
        rerun->reading.rows[i].replay = (uint64_t)control->replay;
    return true;
}
