#include "pg_testing.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <support.h>

static struct pg *pg;

static void open_pg(void)
{
    pg = pg_testing_open(support_postgres_url());
}

static void close_pg(void)
{
    pg_free(pg);
}

TestSuite(pg, .init = open_pg, .fini = close_pg);

STATEMENT(make_numbers, "CREATE TEMPORARY TABLE numbers (n bigint PRIMARY KEY)");
STATEMENT(insert_number, "INSERT INTO numbers VALUES ($1)");
STATEMENT(count_numbers, "SELECT count(*) FROM numbers");

/* ---- Values ---- */

Test(pg, every_type_of_argument_comes_back_as_it_went)
{
    STATEMENT(echo, "SELECT $1::int8, $2::int4, $3::bool, $4::text, $5::text, $6::bytea, $7::bytea, $8::int8");
    pg_arg_int64(pg, INT64_MIN);
    pg_arg_int32(pg, INT32_MIN);
    pg_arg_bool(pg, true);
    pg_arg_text(pg, "caf\u00e9 'quoted' \\ and more");
    pg_arg_text(pg, "");
    pg_arg_bytes(pg, (struct bytes){ "a\0b", 3 });
    pg_arg_bytes(pg, (struct bytes){ "", 0 });
    pg_arg_int64(pg, INT64_MAX);
    CLEANUP(pg_result_free) struct pg_result *row = pg_testing_query(pg, &echo);
    cr_assert_eq(pg_rows(row), 1);
    cr_assert_eq(pg_get_int64(row, 0, 0), INT64_MIN);
    cr_assert_eq(pg_get_int64(row, 0, 1), INT32_MIN);
    cr_assert(pg_get_bool(row, 0, 2));
    cr_assert_str_eq(pg_get_text(row, 0, 3), "caf\u00e9 'quoted' \\ and more");
    cr_assert_str_eq(pg_get_text(row, 0, 4), "");
    cr_assert_not(pg_is_null(row, 0, 4));
    struct bytes bytes = pg_get_bytes(row, 0, 5);
    cr_assert_eq(bytes.len, 3);
    cr_assert_arr_eq(bytes.data, "a\0b", 3);
    bytes = pg_get_bytes(row, 0, 6);
    cr_assert_eq(bytes.len, 0);
    cr_assert(bytes.data, "empty is not NULL");
    cr_assert_eq(pg_get_int64(row, 0, 7), INT64_MAX);
}

Test(pg, null_goes_and_comes_back_as_null)
{
    STATEMENT(echo_null, "SELECT $1::text, $2::bytea, NULL::int8, NULL::bool, $1 IS NULL, $2 IS NULL");
    pg_arg_text(pg, NULL);
    pg_arg_bytes(pg, (struct bytes){ NULL, 0 });
    CLEANUP(pg_result_free) struct pg_result *row = pg_testing_query(pg, &echo_null);
    for (size_t column = 0; column < 4; column++)
        cr_assert(pg_is_null(row, 0, column), "column %zu", column);
    cr_assert_str_eq(pg_get_text(row, 0, 0), "");
    cr_assert_null(pg_get_bytes(row, 0, 1).data);
    cr_assert_eq(pg_get_int64(row, 0, 2), 0);
    cr_assert_not(pg_get_bool(row, 0, 3));
    cr_assert(pg_get_bool(row, 0, 4) && pg_get_bool(row, 0, 5));
}

Test(pg, integers_of_every_width_are_read_with_their_sign)
{
    STATEMENT(widths, "SELECT (-2)::int2, (-3)::int4, (-4)::int8, 4294967295::oid, '9223372036854775807'::xid8");
    CLEANUP(pg_result_free) struct pg_result *row = pg_testing_query(pg, &widths);
    static const int64_t expected[] = { -2, -3, -4, 4294967295, INT64_MAX };
    for (size_t column = 0; column < ARRAY_LEN(expected); column++)
        cr_assert_eq(pg_get_int64(row, 0, column), expected[column], "column %zu", column);
}

Test(pg, text_of_every_kind_is_read)
{
    STATEMENT(kinds, "SELECT 'a'::varchar, 'b'::char(1), 'c'::name, '{\"d\":1}'::json, 'e'");
    CLEANUP(pg_result_free) struct pg_result *row = pg_testing_query(pg, &kinds);
    static const char *const expected[] = { "a", "b", "c", "{\"d\":1}", "e" };
    for (size_t column = 0; column < ARRAY_LEN(expected); column++)
        cr_assert_str_eq(pg_get_text(row, 0, column), expected[column]);
}

enum { ROWS = 100000 };

static void send_columns(const struct pg_statement *statement, struct pg_result **ret_result)
{
    CLEANUP(arena_free) struct arena *arena = arena_new();
    int64_t *wide = arena_alloc(arena, ROWS * sizeof *wide);
    int32_t *narrow = arena_alloc(arena, ROWS * sizeof *narrow);
    const char **texts = arena_alloc(arena, ROWS * sizeof *texts);
    struct bytes *blobs = arena_alloc(arena, ROWS * sizeof *blobs);
    for (int32_t i = 0; i < ROWS; i++) {
        wide[i] = (int64_t)i << 32;
        narrow[i] = -i;
        texts[i] = i % 3 == 0 ? NULL : i % 3 == 1 ? "" : arena_printf(arena, "text %d", i);
        blobs[i] = i % 5 == 0 ? (struct bytes){ NULL, 0 } : (struct bytes){ "\0\xff\0\xff", (size_t)(i % 5) };
    }
    pg_arg_int64s(pg, wide, ROWS);
    pg_arg_int32s(pg, narrow, ROWS);
    pg_arg_texts(pg, texts, ROWS);
    pg_arg_blobs(pg, blobs, ROWS);
    pg_testing_send(pg, statement, ret_result);
}

Test(pg, columns_of_a_hundred_thousand_rows_arrive_whole_and_in_order)
{
    STATEMENT(columns, "SELECT w, n, t, b FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS c(w, n, t, b, i) ORDER BY i");
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    send_columns(&columns, &rows);
    pg_testing_wait(pg);
    cr_assert_eq(pg_rows(rows), ROWS);
    for (size_t i = 0; i < ROWS; i++) {
        char text[32] = "";
        if (i % 3 == 2)
            snprintf(text, sizeof text, "text %zu", i);
        bool same = pg_get_int64(rows, i, 0) == (int64_t)i << 32 && pg_get_int64(rows, i, 1) == -(int64_t)i &&
                    pg_is_null(rows, i, 2) == (i % 3 == 0) && strcmp(pg_get_text(rows, i, 2), text) == 0 &&
                    pg_is_null(rows, i, 3) == (i % 5 == 0) && pg_get_bytes(rows, i, 3).len == i % 5;
        cr_assert(same, "row %zu", i);
    }
}

Test(pg, empty_columns_are_empty_arrays)
{
    STATEMENT(empty, "SELECT cardinality($1) + cardinality($2) + cardinality($3) + cardinality($4)");
    pg_arg_int64s(pg, NULL, 0);
    pg_arg_int32s(pg, NULL, 0);
    pg_arg_texts(pg, NULL, 0);
    pg_arg_blobs(pg, NULL, 0);
    cr_assert_eq(pg_testing_int64(pg, &empty), 0);
}

Test(pg, arguments_beyond_the_limit_are_refused_and_the_next_statement_works)
{
    STATEMENT(length_of, "SELECT length($1)");
    struct error e = { 0 };
    pg_arg_bytes(pg, (struct bytes){ "x", (size_t)600 << 20 }); /* too large to be looked at */
    cr_assert_not(pg_query(pg, &length_of, NULL, &e));
    cr_assert(error_is(&e, ERROR_INVALID), "%s", e.message);
    pg_arg_bytes(pg, (struct bytes){ "xyz", 3 });
    cr_assert_eq(pg_testing_int64(pg, &length_of), 3);
}

static struct pg_result *one_text(void)
{
    STATEMENT(text_row, "SELECT 'text', 1::numeric, now()");
    return pg_testing_query(pg, &text_row);
}

Test(pg, reading_text_as_an_integer_aborts, .signal = SIGABRT)
{
    pg_get_int64(one_text(), 0, 0);
}

Test(pg, reading_a_timestamp_as_an_integer_aborts, .signal = SIGABRT)
{
    pg_get_int64(one_text(), 0, 2);
}

Test(pg, reading_a_numeric_as_text_aborts, .signal = SIGABRT)
{
    pg_get_text(one_text(), 0, 1);
}

Test(pg, reading_a_row_that_is_not_there_aborts, .signal = SIGABRT)
{
    pg_get_text(one_text(), 1, 0);
}

Test(pg, reading_a_column_that_is_not_there_aborts, .signal = SIGABRT)
{
    pg_is_null(one_text(), 0, 3);
}

/* ---- Pipeline ---- */

Test(pg, results_appear_at_the_wait_and_not_before)
{
    STATEMENT(one, "SELECT 1");
    STATEMENT(two, "SELECT 2 UNION ALL SELECT 3");
    pg_testing_begin(pg);
    CLEANUP(pg_result_free) struct pg_result *first = (struct pg_result *)&first;
    CLEANUP(pg_result_free) struct pg_result *second = (struct pg_result *)&second;
    pg_testing_send(pg, &one, &first);
    pg_testing_send(pg, &two, &second);
    cr_assert_null(first);
    cr_assert_null(second);
    pg_testing_wait(pg);
    cr_assert_eq(pg_get_int64(first, 0, 0), 1);
    cr_assert_eq(pg_rows(second), 2);
    cr_assert_eq(pg_get_int64(second, 1, 0), 3);
    pg_testing_commit(pg);
}

Test(pg, commit_hands_out_results_too)
{
    pg_testing_run(pg, &make_numbers);
    STATEMENT(insert_three, "INSERT INTO numbers VALUES (1), (2), (3) RETURNING n");
    pg_testing_begin(pg);
    CLEANUP(pg_result_free) struct pg_result *inserted = NULL;
    pg_testing_send(pg, &insert_three, &inserted);
    pg_testing_commit(pg);
    cr_assert_eq(pg_affected(inserted), 3);
    cr_assert_eq(pg_get_int64(inserted, 2, 0), 3);
    cr_assert_eq(pg_testing_int64(pg, &count_numbers), 3);
}

Test(pg, more_statements_than_a_pipeline_holds_all_run_in_order)
{
    STATEMENT(insert_next, "INSERT INTO numbers SELECT coalesce(max(n), 0) + $1 FROM numbers RETURNING n");
    enum { COUNT = PG_PIPELINE_MAX * 3 + 5 };
    struct pg_result *results[COUNT];
    pg_testing_run(pg, &make_numbers);
    pg_testing_begin(pg);
    for (int i = 0; i < COUNT; i++) {
        pg_arg_int64(pg, 1);
        pg_testing_send(pg, &insert_next, &results[i]);
    }
    pg_testing_commit(pg);
    for (int i = 0; i < COUNT; i++) {
        cr_assert_eq(pg_get_int64(results[i], 0, 0), i + 1);
        pg_result_free(results[i]);
    }
}

Test(pg, large_arguments_and_large_answers_do_not_wait_for_each_other, .timeout = 60)
{
    STATEMENT(answer_at_length, "SELECT repeat(encode($1, 'hex'), 4)");
    STATEMENT(take_in, "SELECT length($1)");
    enum { COUNT = 8, SIZE = 4 << 20 };
    struct pg_result *lengths[COUNT];
    CLEANUP(pg_result_free) struct pg_result *answer = NULL;
    CLEANUP(xfree) char *blob = xcalloc(SIZE, 1);
    pg_testing_begin(pg);
    pg_arg_bytes(pg, (struct bytes){ blob, SIZE });
    pg_testing_send(pg, &answer_at_length, &answer);
    for (int i = 0; i < COUNT; i++) { /* more than all buffers on the way hold, while the server answers the first */
        pg_arg_bytes(pg, (struct bytes){ blob, SIZE });
        pg_testing_send(pg, &take_in, &lengths[i]);
    }
    pg_testing_commit(pg);
    cr_assert_eq(strlen(pg_get_text(answer, 0, 0)), 8 * SIZE);
    for (int i = 0; i < COUNT; i++) {
        cr_assert_eq(pg_get_int64(lengths[i], 0, 0), SIZE);
        pg_result_free(lengths[i]);
    }
}

Test(pg, what_is_committed_is_seen_by_others_and_what_is_not_is_not)
{
    STATEMENT(lock, "SELECT pg_advisory_xact_lock($1)::text");
    STATEMENT(try_lock, "SELECT pg_try_advisory_xact_lock($1)::int");
    CLEANUP(pg_free) struct pg *other = pg_testing_open(support_postgres_url());
    int64_t key = (int64_t)support_random();
    pg_testing_begin(pg);
    pg_arg_int64(pg, key);
    pg_testing_run(pg, &lock);
    pg_arg_int64(other, key);
    cr_assert_eq(pg_testing_int64(other, &try_lock), 0);
    pg_testing_commit(pg);
    pg_arg_int64(other, key);
    cr_assert_eq(pg_testing_int64(other, &try_lock), 1);
}

Test(pg, a_transaction_without_statements_commits_and_rolls_back)
{
    pg_testing_begin(pg);
    pg_testing_commit(pg);
    pg_testing_begin(pg);
    pg_rollback(pg);
    pg_rollback(pg);
    pg_testing_begin(pg);
    pg_testing_commit(pg);
}

/* ---- Errors ---- */

STATEMENT(divide_by_zero, "SELECT 1 / $1::int8");

Test(pg, an_error_in_the_middle_dooms_the_transaction_until_it_is_rolled_back)
{
    struct error e = { 0 };
    pg_testing_run(pg, &make_numbers);
    pg_testing_begin(pg);
    CLEANUP(pg_result_free) struct pg_result *before = NULL;
    CLEANUP(pg_result_free) struct pg_result *after = NULL;
    pg_arg_int64(pg, 1);
    pg_testing_send(pg, &insert_number, NULL);
    pg_testing_send(pg, &count_numbers, &before);
    pg_arg_int64(pg, 0);
    pg_testing_send(pg, &divide_by_zero, NULL);
    pg_testing_send(pg, &count_numbers, &after);
    cr_assert_not(pg_wait(pg, &e));
    cr_assert(error_is(&e, ERROR_REFUSED));
    cr_assert_eq(e.code, PG_SQLSTATE('2', '2', '0', '1', '2'));
    cr_assert_str_eq(e.message, "divide_by_zero: division by zero (SQLSTATE 22012)");
    cr_assert_null(before, "no results from a pipeline that failed");
    cr_assert_null(after);

    struct error again[4] = { 0 };
    cr_assert_not(pg_send(pg, &count_numbers, NULL, &again[0]));
    cr_assert_not(pg_wait(pg, &again[1]));
    cr_assert_not(pg_query(pg, &count_numbers, NULL, &again[2]));
    cr_assert_not(pg_commit(pg, &again[3]));
    for (size_t i = 0; i < ARRAY_LEN(again); i++)
        cr_assert_str_eq(again[i].message, e.message);

    pg_rollback(pg);
    cr_assert_eq(pg_testing_int64(pg, &count_numbers), 0);
    pg_testing_begin(pg);
    pg_arg_int64(pg, 2);
    pg_testing_send(pg, &insert_number, NULL);
    pg_testing_commit(pg);
    cr_assert_eq(pg_testing_int64(pg, &count_numbers), 1);
}

Test(pg, an_error_met_at_commit_commits_nothing_and_is_known_not_to)
{
    struct error e = { 0 };
    pg_testing_run(pg, &make_numbers);
    pg_testing_begin(pg);
    for (int i = 0; i < 2; i++) {
        pg_arg_int64(pg, 7);
        pg_testing_send(pg, &insert_number, NULL);
    }
    cr_assert_not(pg_commit(pg, &e));
    cr_assert(error_is(&e, ERROR_CONFLICT));
    cr_assert_eq(e.code, PG_CODE_UNIQUE_VIOLATION);
    pg_rollback(pg);
    cr_assert_eq(pg_testing_int64(pg, &count_numbers), 0);
}

Test(pg, an_error_of_the_commit_itself_is_reported)
{
    STATEMENT(make_deferred, "CREATE TEMPORARY TABLE deferred (n int8 UNIQUE DEFERRABLE INITIALLY DEFERRED)");
    STATEMENT(insert_deferred, "INSERT INTO deferred VALUES (1), (1)");
    STATEMENT(count_deferred, "SELECT count(*) FROM deferred");
    struct error e = { 0 };
    pg_testing_run(pg, &make_deferred);
    pg_testing_begin(pg);
    pg_testing_send(pg, &insert_deferred, NULL);
    cr_assert_not(pg_commit(pg, &e));
    cr_assert_eq(e.code, PG_CODE_UNIQUE_VIOLATION, "%s", e.message);
    pg_rollback(pg);
    cr_assert_eq(pg_testing_int64(pg, &count_deferred), 0);
}

Test(pg, an_error_in_a_pipeline_that_had_to_be_waited_for_surfaces_in_send)
{
    struct error e = { 0 };
    pg_testing_begin(pg);
    pg_arg_int64(pg, 0);
    pg_testing_send(pg, &divide_by_zero, NULL);
    int sent = 1;
    for (; sent < 2 * PG_PIPELINE_MAX; sent++) {
        pg_arg_int64(pg, 1);
        if (!pg_send(pg, &divide_by_zero, NULL, &e))
            break;
    }
    cr_assert_eq(sent, PG_PIPELINE_MAX);
    cr_assert(error_is(&e, ERROR_REFUSED));
    pg_rollback(pg);
    pg_arg_int64(pg, 1);
    cr_assert_eq(pg_testing_int64(pg, &divide_by_zero), 1);
}

Test(pg, begin_after_an_error_rolls_back_by_itself)
{
    struct error e = { 0 };
    pg_testing_begin(pg);
    pg_arg_int64(pg, 0);
    cr_assert_not(pg_query(pg, &divide_by_zero, NULL, &e));
    pg_testing_begin(pg);
    pg_arg_int64(pg, 1);
    cr_assert_eq(pg_testing_int64(pg, &divide_by_zero), 1);
    pg_testing_commit(pg);
}

Test(pg, an_error_outside_a_transaction_leaves_nothing_behind)
{
    struct error e = { 0 };
    pg_arg_int64(pg, 0);
    cr_assert_not(pg_query(pg, &divide_by_zero, NULL, &e));
    pg_arg_int64(pg, 1);
    cr_assert_eq(pg_testing_int64(pg, &divide_by_zero), 1);
}

Test(pg, a_statement_that_could_not_be_prepared_is_prepared_later)
{
    struct error e = { 0 };
    pg_testing_begin(pg);
    pg_testing_send(pg, &count_numbers, NULL); /* no such table; what follows is skipped, its Parse too */
    pg_arg_int64(pg, 1);
    pg_testing_send(pg, &divide_by_zero, NULL);
    cr_assert_not(pg_wait(pg, &e));
    cr_assert(error_is(&e, ERROR_FATAL));
    pg_rollback(pg);
    pg_testing_run(pg, &make_numbers);
    cr_assert_eq(pg_testing_int64(pg, &count_numbers), 0);
    pg_arg_int64(pg, 1);
    cr_assert_eq(pg_testing_int64(pg, &divide_by_zero), 1);
}

Test(pg, rollback_drops_what_was_queued)
{
    pg_testing_run(pg, &make_numbers);
    CLEANUP(pg_result_free) struct pg_result *result = NULL;
    pg_testing_begin(pg);
    pg_arg_int64(pg, 1);
    pg_testing_send(pg, &insert_number, NULL);
    pg_testing_send(pg, &count_numbers, &result);
    pg_arg_int64(pg, 99); /* an argument of a statement that is never sent */
    pg_rollback(pg);
    cr_assert_null(result);
    cr_assert_eq(pg_testing_int64(pg, &count_numbers), 0);
}

Test(pg, rollback_after_a_queued_statement_that_fails_keeps_the_connection)
{
    int32_t backend = pg_testing_backend(pg);
    pg_testing_begin(pg);
    pg_arg_int64(pg, 0);
    pg_testing_send(pg, &divide_by_zero, NULL);
    pg_rollback(pg);
    cr_assert_eq(pg_testing_backend(pg), backend);
    pg_arg_int64(pg, 1);
    cr_assert_eq(pg_testing_int64(pg, &divide_by_zero), 1);
}

Test(pg, rollback_outside_a_transaction_drops_what_was_queued)
{
    STATEMENT(make_kept, "CREATE TABLE kept (n int)");
    STATEMENT(is_kept, "SELECT count(*) FROM pg_class WHERE relname = 'kept'");
    struct support_database database;
    support_database_open("identity", &database);
    CLEANUP(pg_free) struct pg *there = pg_testing_open(database.admin_url);
    pg_testing_send(there, &make_kept, NULL);
    pg_rollback(there);
    cr_assert_eq(pg_testing_int64(there, &is_kept), 0);
}

Test(pg, two_texts_under_one_name_are_a_bug_that_is_named)
{
    static const struct pg_statement one = { "same", "SELECT 1" }, two = { "same", "SELECT 2" };
    static const struct pg_statement copy = { "same", "SELECT 1" };
    struct error e = { 0 };
    cr_assert_eq(pg_testing_int64(pg, &one), 1);
    cr_assert_eq(pg_testing_int64(pg, &copy), 1);
    cr_assert_not(pg_query(pg, &two, NULL, &e));
    cr_assert(error_is(&e, ERROR_FATAL));
    cr_assert_str_eq(e.message, "two statements are named same");
}

Test(pg, other_types_of_arguments_than_before_are_a_bug_that_is_named)
{
    STATEMENT(typed, "SELECT length($1::text)");
    struct error e = { 0 };
    pg_arg_text(pg, "abc");
    cr_assert_eq(pg_testing_int64(pg, &typed), 3);
    pg_arg_int64(pg, 3);
    cr_assert_not(pg_query(pg, &typed, NULL, &e));
    cr_assert(error_is(&e, ERROR_FATAL));
    cr_assert_not(pg_query(pg, &typed, NULL, &e), "no argument at all");
    cr_assert(error_is(&e, ERROR_FATAL));
}

Test(pg, copy_is_refused_and_the_connection_made_anew)
{
    STATEMENT(copy_out, "COPY (SELECT 1) TO STDOUT");
    STATEMENT(copy_in, "COPY pg_temp.numbers FROM STDIN");
    struct error e = { 0 };
    cr_assert_not(pg_query(pg, &copy_out, NULL, &e));
    cr_assert(e.kind == ERROR_FATAL || e.kind == ERROR_TRANSIENT, "%s", e.message);
    pg_testing_run(pg, &make_numbers);
    cr_assert_not(pg_query(pg, &copy_in, NULL, &e));
    pg_testing_run(pg, &make_numbers);
}

/* ---- Kinds ---- */

static const struct {
    const char *sqlstate;
    enum error_kind kind;
} sqlstates[] = {
    { "EB001", ERROR_CONFLICT },
    { "EB002", ERROR_FATAL },
    { "08006", ERROR_TRANSIENT },
    { "40001", ERROR_TRANSIENT },
    { "40P01", ERROR_TRANSIENT },
    { "53100", ERROR_TRANSIENT },
    { "55P03", ERROR_TRANSIENT },
    { "55006", ERROR_TRANSIENT },
    { "55000", ERROR_FATAL },
    { "57014", ERROR_TRANSIENT },
    { "57P01", ERROR_TRANSIENT },
    { "58030", ERROR_TRANSIENT },
    { "25P03", ERROR_TRANSIENT },
    { "25006", ERROR_FATAL },
    { "22021", ERROR_INVALID },
    { "22003", ERROR_REFUSED },
    { "23505", ERROR_CONFLICT },
    { "23514", ERROR_REFUSED },
    { "54000", ERROR_REFUSED },
    { "28000", ERROR_FATAL },
    { "3D000", ERROR_FATAL },
    { "42P01", ERROR_FATAL },
    { "42501", ERROR_FATAL },
    { "XX001", ERROR_FATAL },
    { "P0001", ERROR_FATAL },
    { "0A000", ERROR_FATAL },
};

Test(pg, every_sqlstate_has_its_kind_and_code)
{
    STATEMENT(make_raise, "CREATE FUNCTION pg_temp.raise(code text) RETURNS text LANGUAGE plpgsql AS "
                          "$$ BEGIN RAISE EXCEPTION 'raised' USING ERRCODE = code; END $$");
    STATEMENT(raise_code, "SELECT pg_temp.raise($1)");
    pg_testing_run(pg, &make_raise);
    for (size_t i = 0; i < ARRAY_LEN(sqlstates); i++) {
        const char *state = sqlstates[i].sqlstate;
        struct error e = { 0 };
        pg_arg_text(pg, state);
        cr_assert_not(pg_query(pg, &raise_code, NULL, &e));
        cr_assert_eq(e.kind, sqlstates[i].kind, "%s became %s", state, error_kind_name(e.kind));
        cr_assert_eq(e.code, PG_SQLSTATE(state[0], state[1], state[2], state[3], state[4]));
        cr_assert_eq(strtol(state, NULL, 36), e.code);
    }
}

Test(pg, text_that_is_not_utf8_is_invalid)
{
    STATEMENT(echo_text, "SELECT $1");
    struct error e = { 0 };
    pg_arg_text(pg, "\xff\xfe");
    cr_assert_not(pg_query(pg, &echo_text, NULL, &e));
    cr_assert(error_is(&e, ERROR_INVALID), "%s", e.message);
}

/* ---- Settings ---- */

Test(pg, the_statement_timeout_is_transient_and_the_connection_survives)
{
    STATEMENT(sleep_long, "SELECT pg_sleep(60)::text");
    STATEMENT(show, "SELECT current_setting('application_name') || ' ' || current_setting('statement_timeout')");
    struct error e = { 0 };
    CLEANUP(pg_free) struct pg *hasty = NULL;
    struct pg_options options = {
        .dsn = support_postgres_url(), .application_name = "hasty", .statement_timeout_ms = 2000
    };
    cr_assert(pg_open(&options, &hasty, &e));
    int32_t backend = pg_testing_backend(hasty);
    cr_assert_not(pg_query(hasty, &sleep_long, NULL, &e));
    cr_assert(error_is(&e, ERROR_TRANSIENT));
    cr_assert_eq(e.code, PG_SQLSTATE('5', '7', '0', '1', '4'));
    CLEANUP(pg_result_free) struct pg_result *row = pg_testing_query(hasty, &show);
    cr_assert_str_eq(pg_get_text(row, 0, 0), "hasty 2s");
    cr_assert_eq(pg_testing_backend(hasty), backend);
}
