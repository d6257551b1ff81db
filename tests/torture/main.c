/* penstock-torture: writes rows with known content while others kill servers, and checks afterwards what has come of
 * them.
 *
 *     penstock-torture keys | psql …            the SQL that makes the keys' counters
 *     penstock-torture write SEED SECONDS CONNECTIONS [ROWS_PER_SECOND]
 *     penstock-torture check SEED SECONDS       waits at most so long for the last row
 *
 * TORTURE_POSTGRES_URL, KAFKA_BROKERS, TOPIC_PREFIX. tests/system/torture.sh is what uses it. */
#include "torture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char keys_sql[] =
    "CREATE TABLE torture_keys (key integer PRIMARY KEY, n bigint NOT NULL) WITH (fillfactor = 20);\n"
    "INSERT INTO torture_keys SELECT generate_series(0, %d), 0;\n";

static const char *setting(const char *name)
{
    const char *value = getenv(name);

    return value ? value : "";
}

int main(int argc, char **argv)
{
    struct torture_options options = { .postgres_url = setting("TORTURE_POSTGRES_URL"),
        .kafka = { .brokers = setting("KAFKA_BROKERS"),
            .topic_prefix = setting("TOPIC_PREFIX"),
            .client_id = "torture" },
        .seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 0,
        .seconds = argc > 3 ? atoi(argv[3]) : 0,
        .connections = argc > 4 ? atoi(argv[4]) : 0,
        .rate_max = argc > 5 ? atoi(argv[5]) : 0 };

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 2 && strcmp(argv[1], "keys") == 0)
        return printf(keys_sql, TORTURE_KEYS - 1) < 0;
    if (argc >= 5 && strcmp(argv[1], "write") == 0 && options.connections > 0)
        return !torture_write(&options);
    if (argc == 4 && strcmp(argv[1], "check") == 0)
        return !torture_check(&options);
    fprintf(stderr,
        "usage: penstock-torture keys | write SEED SECONDS CONNECTIONS [ROWS_PER_SECOND] | check SEED SECONDS\n");
    return 2;
}
