#include "pg_testing.h"

#include <criterion/criterion.h>
#include <unistd.h>

static void must(bool succeeded, const struct error *e)
{
    cr_assert(succeeded, "%s: %s", error_kind_name(e->kind), e->message);
}

struct pg *pg_testing_open(const char *dsn)
{
    struct error e = { 0 };
    struct pg *pg = NULL;
    must(pg_open(&(struct pg_options){ .dsn = dsn, .application_name = "event-bus-tests" }, &pg, &e), &e);
    return pg;
}

void pg_testing_begin(struct pg *pg)
{
    struct error e = { 0 };
    must(pg_begin(pg, &e), &e);
}

void pg_testing_send(struct pg *pg, const struct pg_statement *statement, struct pg_result **ret_result)
{
    struct error e = { 0 };
    must(pg_send(pg, statement, ret_result, &e), &e);
}

void pg_testing_wait(struct pg *pg)
{
    struct error e = { 0 };
    must(pg_wait(pg, &e), &e);
}

void pg_testing_commit(struct pg *pg)
{
    struct error e = { 0 };
    must(pg_commit(pg, &e), &e);
}

struct pg_result *pg_testing_query(struct pg *pg, const struct pg_statement *statement)
{
    struct error e = { 0 };
    struct pg_result *result = NULL;
    must(pg_query(pg, statement, &result, &e), &e);
    return result;
}

void pg_testing_run(struct pg *pg, const struct pg_statement *statement)
{
    struct error e = { 0 };
    must(pg_query(pg, statement, NULL, &e), &e);
}

int64_t pg_testing_int64(struct pg *pg, const struct pg_statement *statement)
{
    CLEANUP(pg_result_free) struct pg_result *result = pg_testing_query(pg, statement);
    return pg_get_int64(result, 0, 0);
}

int32_t pg_testing_backend(struct pg *pg)
{
    return PQbackendPID(pg_native(pg));
}

void pg_testing_terminate(struct pg *other, int32_t backend)
{
    STATEMENT(terminate, "SELECT pg_terminate_backend($1)::int");
    STATEMENT(is_there, "SELECT count(*) FROM pg_stat_activity WHERE pid = $1");
    pg_arg_int32(other, backend);
    cr_assert_eq(pg_testing_int64(other, &terminate), 1);
    for (int tries = 0; tries < 1000; tries++) {
        pg_arg_int32(other, backend);
        if (pg_testing_int64(other, &is_there) == 0)
            return;
        usleep(10000);
    }
    cr_assert_fail("backend %d does not end", backend);
}
