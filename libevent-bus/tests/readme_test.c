/* Each piece of SQL in README.md is run, in the database of a service. (The C is compiled by install_test.sh.) */
#include <criterion/criterion.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <support.h>

enum { PIECE_MAX = 4096, LINE_MAX_BYTES = 512 };

static FILE *open_readme(void)
{
    FILE *readme = fopen(README, "r");
    cr_assert_not_null(readme, "%s", README);
    return readme;
}

/* The next piece; false: there is none. */
static bool next_piece(FILE *readme, char ret_sql[PIECE_MAX])
{
    char line[LINE_MAX_BYTES];
    bool inside = false;
    size_t len = 0;
    while (fgets(line, sizeof line, readme)) {
        if (inside && strcmp(line, "```\n") == 0)
            return true;
        if (inside)
            len += (size_t)snprintf(ret_sql + len, PIECE_MAX - len, "%s", line);
        cr_assert(len < PIECE_MAX);
        inside |= strcmp(line, "```sql\n") == 0;
    }
    return false;
}

Test(readme, every_piece_of_sql_runs_as_the_role_of_a_service)
{
    struct support_database database;
    char sql[PIECE_MAX];
    int pieces = 0;
    support_database_open("identity", &database);
    PGconn *pg = PQconnectdb(database.url);
    FILE *readme = open_readme();
    for (; next_piece(readme, sql); pieces++) {
        PGresult *result = PQexec(pg, sql);
        cr_expect_eq(PQresultStatus(result), PGRES_TUPLES_OK, "%s%s", sql, PQerrorMessage(pg));
        PQclear(result);
    }
    fclose(readme);
    cr_expect_geq(pieces, 2);
    PGresult *result = PQexec(pg, "SELECT topic, headers[2] FROM outbox");
    cr_assert_eq(PQntuples(result), 1, "what the page writes is there");
    cr_expect_str_eq(PQgetvalue(result, 0, 0), "users.v1");
    cr_expect_str_eq(PQgetvalue(result, 0, 1), "by hand");
    PQclear(result);
    PQfinish(pg);
}
