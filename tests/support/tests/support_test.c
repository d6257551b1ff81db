/* What the integration tests stand on does what its manual says. */
#include "support.h"

#include <criterion/criterion.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The first value of a query, or the SQLSTATE of its refusal, or "no connection". */
static void ask(const char *url, const char *sql, char ret_answer[64])
{
    PGconn *pg = PQconnectdb(url);
    PGresult *result = PQexec(pg, sql);
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *answer = PQstatus(pg) != CONNECTION_OK ? "no connection"
                         : state                       ? state
                         : PQntuples(result) > 0       ? PQgetvalue(result, 0, 0)
                                                       : "";
    snprintf(ret_answer, 64, "%s", answer);
    PQclear(result);
    PQfinish(pg);
}

Test(support, a_database_is_migrated_and_its_roles_can_do_no_more_than_their_work)
{
    struct support_database identity, ledger;
    support_database_open("identity", &identity);
    support_database_open("trade-ledger", &ledger);
    const struct {
        const char *url, *sql, *answer;
    } cases[] = {
        { identity.admin_url, "SELECT min(name) FROM schema_migrations", "common/0001_event_bus" },
        { identity.admin_url, "SELECT max(name) FROM schema_migrations", "identity/0001_identity" },
        { identity.url, "SELECT count(*) FROM users", "0" },
        { identity.url, "CREATE TABLE mine ()", "42501" },
        { identity.url, "DELETE FROM outbox", "42501" },
        { identity.url, "UPDATE schema_migrations SET checksum = ''", "42501" },
        { identity.relay_url, "DELETE FROM outbox", "" },
        { identity.relay_url, "SELECT count(*) FROM users", "42501" },
        { ledger.url, "SELECT symbol FROM markets WHERE id = 1", "BTC-USD" },
        { ledger.url, "UPDATE entries SET held_delta = 0", "42501" },
        { ledger.admin_url, "UPDATE entries SET held_delta = 0", "EB002" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char answer[64];
        ask(cases[i].url, cases[i].sql, answer);
        cr_expect_str_eq(answer, cases[i].answer, "%s: %s instead of %s", cases[i].sql, answer, cases[i].answer);
    }
    char url[SUPPORT_URL_MAX + 80], answer[64];
    snprintf(url, sizeof url, "%s dbname=%s", identity.url, ledger.name);
    ask(url, "SELECT 1", answer);
    cr_expect_str_eq(answer, "no connection", "a role reached another service's database");
}

Test(support, a_database_is_dropped_when_its_process_is_killed)
{
    struct support_database database;
    int names[2];
    cr_assert_eq(pipe(names), 0);
    pid_t pid = fork();
    if (pid == 0) {
        support_database_open("identity", &database);
        if (write(names[1], database.name, sizeof database.name) < 0)
            _exit(1);
        abort();
    }
    close(names[1]);
    cr_assert_eq(read(names[0], database.name, sizeof database.name), (ssize_t)sizeof database.name);
    waitpid(pid, NULL, 0);
    char sql[256], answer[64] = "";
    snprintf(sql, sizeof sql,
        "SELECT (SELECT count(*) FROM pg_database WHERE datname = '%s') + (SELECT count(*) FROM pg_roles WHERE rolname "
        "~ '%s')",
        database.name, database.name);
    for (int tries = 0; tries < 100 && strcmp(answer, "0") != 0; tries++) {
        usleep(100000);
        ask(support_postgres_url(), sql, answer);
    }
    cr_assert_str_eq(answer, "0");
}

Test(support, two_processes_have_two_topic_prefixes)
{
    char a[SUPPORT_NAME_MAX], b[SUPPORT_NAME_MAX];
    support_topics_open(a);
    support_topics_open(b);
    cr_assert_str_neq(a, b);
}

Test(support, a_child_is_found_healthy_stopped_killed_and_its_end_is_told)
{
    struct support_process child;
    char port[8], handler[] = "import sys, http.server as h\n"
                              "class H(h.BaseHTTPRequestHandler):\n"
                              "    def do_GET(self):\n"
                              "        self.send_response(200); self.end_headers(); self.wfile.write(b'well')\n"
                              "h.HTTPServer(('127.0.0.1', int(sys.argv[1])), H).serve_forever()";
    snprintf(port, sizeof port, "%u", support_free_port());
    const char *const argv[] = { "/usr/bin/env", "python3", "-c", handler, port, NULL }, *const env[] = { "A=b", NULL };
    support_process_start(&child, argv, env);
    support_process_wait_healthy(&child, (uint16_t)atoi(port), 20000);
    char body[SUPPORT_BODY_MAX];
    cr_expect_eq(support_http((uint16_t)atoi(port), "GET", "/", "", NULL, body), 200);
    cr_expect_str_eq(body, "well");
    cr_expect_eq(support_http((uint16_t)atoi(port), "POST", "/", "", "{}", body), 501);
    cr_expect(support_process_running(&child));
    cr_expect_eq(support_process_stop(&child, 5000), 128 + 15);
    cr_expect_not(support_process_running(&child));
    cr_expect_eq(support_http((uint16_t)atoi(port), "GET", "/", "", NULL, NULL), 0);

    support_process_start(
        &child, (const char *const[]){ "/bin/sh", "-c", "exit $N", NULL }, (const char *const[]){ "N=3", NULL });
    cr_expect_eq(support_process_wait(&child, 5000), 3);
    support_process_start(&child, (const char *const[]){ "/bin/sleep", "60", NULL }, (const char *const[]){ NULL });
    support_process_kill(&child);
    cr_expect_not(support_process_running(&child));
}
