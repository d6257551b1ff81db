#include "parked.h"

#include "cli_sql.h"

#include <event_bus/pg.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool cli_database_url(const char *name, char ret_dsn[CLI_DSN_MAX])
{
    char file_name[64];
    const char *dsn = getenv(name);
    snprintf(file_name, sizeof file_name, "%s_FILE", name);
    const char *file = getenv(file_name);
    ret_dsn[0] = '\0';
    if (dsn && *dsn) {
        snprintf(ret_dsn, CLI_DSN_MAX, "%s", dsn);
    } else if (file && *file) {
        FILE *in = fopen(file, "r");
        if (in && fgets(ret_dsn, CLI_DSN_MAX, in))
            ret_dsn[strcspn(ret_dsn, "\r\n")] = '\0';
        if (in)
            fclose(in);
    }
    return ret_dsn[0] != '\0';
}

static bool ask_one(const char *dsn, const struct pg_statement *statement, const struct parked_letters *letters,
    int64_t *count, struct error *e)
{
    CLEANUP(pg_free) struct pg *pg = NULL;
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    const struct pg_options options = { .dsn = dsn, .application_name = "penstock-dlq" };
    if (!pg_open(&options, &pg, e))
        return false;
    pg_arg_texts(pg, letters->groups, letters->count);
    pg_arg_texts(pg, letters->topics, letters->count);
    pg_arg_int32s(pg, letters->partitions, letters->count);
    pg_arg_int64s(pg, letters->offsets, letters->count);
    if (!pg_query(pg, statement, &rows, e))
        return false;
    *count += pg_get_int64(rows, 0, 0);
    return true;
}

bool parked_ask(enum parked_request request, const struct parked_letters *letters, int64_t *ret_count, struct error *e)
{
    static const char *const databases[] = { "TRADE_LEDGER_POSTGRES_URL", "IDENTITY_POSTGRES_URL" };
    const struct pg_statement *statement = request == PARKED_RETRY ? &sql_parked_retry : &sql_parked_drop;
    bool any = false;
    *ret_count = 0;
    for (size_t i = 0; i < ARRAY_LEN(databases); i++) {
        char dsn[CLI_DSN_MAX];
        if (!cli_database_url(databases[i], dsn))
            continue;
        any = true;
        if (!ask_one(dsn, statement, letters, ret_count, e))
            return false;
    }
    return any || error_field(e, ERROR_INVALID, "", databases[0],
                      "the letter waits in its consumer's database, and no %s is set", databases[0]);
}
