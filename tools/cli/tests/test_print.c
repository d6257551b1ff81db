/* How a command ends: its answer as it came, as a table or as a line. */
#include "cli.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdarg.h>

/* What print.c and http.c need of main.c. */
int cli_usage(const struct cli *cli, const char *fmt, ...)
{
    (void)cli, (void)fmt;
    return CLI_USAGE;
}

int cli_fail(enum cli_exit code, const struct error *e)
{
    (void)e;
    return (int)code;
}

static json_t *answer(void)
{
    return json_pack("{s:s, s:s, s:I, s:b, s:{s:s}, s:[{s:s, s:s}, {s:s}]}", "id", "7", "status", "open", "count",
        (json_int_t)42, "late", 1, "balance", "available", "9.5", "rows", "id", "1", "name", "one", "id", "22");
}

static const struct {
    const char *line, *out;
} lines[] = {
    { "nothing to fill in", "nothing to fill in\n" },
    { "order {id} {status}", "order 7 open\n" },
    { "{count}{late}", "42yes\n" },
    { "available {balance.available}.", "available 9.5.\n" },
    { "{nothing} {balance.nothing} {id.inner}", "- - -\n" },
    { "{a-field-with-a-name-longer-than-any-that-an-answer-of-this-system-may-have-it-is-cut}", "-\n" },
    { "{id", "{id\n" },
};

Test(print, a_line_is_filled_in_from_the_answer, .init = cr_redirect_stdout)
{
    const struct cli cli = { 0 };
    char all[1024] = "";
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        strcat(all, lines[i].out);
        cr_expect_eq(show_line(&cli, answer(), lines[i].line), CLI_OK);
    }
    fflush(stdout);
    cr_expect_stdout_eq_str(all);
}

Test(print, a_table_is_of_a_list_or_of_the_answer_itself, .init = cr_redirect_stdout)
{
    const struct cli cli = { 0 };
    cr_expect_eq(show_table(&cli, answer(), "rows", (const char *const[]){ "id", "name", NULL }), CLI_OK);
    cr_expect_eq(show_table(&cli, answer(), NULL, (const char *const[]){ "status", "id", NULL }), CLI_OK);
    cr_expect_eq(show_table(&cli, answer(), "no such list", (const char *const[]){ "id", NULL }), CLI_OK);
    fflush(stdout);
    cr_expect_stdout_eq_str("id  name\n1   one\n22  -\nstatus  id\nopen    7\nid\n");
}

Test(print, with_json_the_answer_is_printed_as_it_came, .init = cr_redirect_stdout)
{
    const struct cli cli = { .json = true };
    cr_expect_eq(show_line(&cli, json_pack("{s:s}", "id", "7"), "order {id}"), CLI_OK);
    cr_expect_eq(show_table(&cli, json_pack("{s:s}", "id", "7"), NULL, (const char *const[]){ "id", NULL }), CLI_OK);
    fflush(stdout);
    cr_expect_stdout_eq_str("{\"id\":\"7\"}\n{\"id\":\"7\"}\n");
}
