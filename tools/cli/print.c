/* print.c -- JSON on one line, a table whose columns are as wide as they need, or a sentence about an answer. */
#include "cli.h"

#include <stdio.h>
#include <string.h>

enum { COLUMNS_MAX = 16, FIELD_MAX = 64 };

void print_json(const json_t *json)
{
    json_dumpf(json, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_ENCODE_ANY);
    putchar('\n');
    fflush(stdout);
}

/* The cell as text: in `buffer`, or borrowed from the JSON. */
static const char *cell(const json_t *row, const char *column, char *buffer, size_t size)
{
    const json_t *value = json_object_get(row, column);
    if (json_is_string(value))
        return json_string_value(value);
    if (json_is_integer(value)) {
        snprintf(buffer, size, "%lld", (long long)json_integer_value(value));
        return buffer;
    }
    if (json_is_real(value)) {
        snprintf(buffer, size, "%.1f", json_real_value(value));
        return buffer;
    }
    if (json_is_boolean(value))
        return json_is_true(value) ? "yes" : "no";
    return "-";
}

void print_table(const json_t *rows, const char *const *columns)
{
    size_t widths[COLUMNS_MAX] = { 0 }, n = 0, i;
    char buffer[32];
    const json_t *row;
    for (; columns[n] && n < COLUMNS_MAX; n++)
        widths[n] = strlen(columns[n]);
    json_array_foreach(rows, i, row)
    {
        for (size_t c = 0; c < n; c++) {
            size_t len = strlen(cell(row, columns[c], buffer, sizeof buffer));
            if (len > widths[c])
                widths[c] = len;
        }
    }
    for (size_t c = 0; c < n; c++)
        printf("%-*s%s", c + 1 < n ? (int)widths[c] : 0, columns[c], c + 1 < n ? "  " : "\n");
    json_array_foreach(rows, i, row)
    {
        for (size_t c = 0; c < n; c++)
            printf("%-*s%s", c + 1 < n ? (int)widths[c] : 0, cell(row, columns[c], buffer, sizeof buffer),
                c + 1 < n ? "  " : "\n");
    }
}

int show_table(const struct cli *cli, json_t *answer, const char *list, const char *const *columns)
{
    json_t *rows = list ? json_incref(json_object_get(answer, list)) : json_pack("[O]", answer);
    if (cli->json)
        print_json(answer);
    else
        print_table(rows, columns);
    json_decref(rows);
    json_decref(answer);
    return CLI_OK;
}

/* What stands between { and }: "-" where there is nothing. */
static void print_field(const json_t *answer, const char *field, size_t len)
{
    char name[FIELD_MAX], buffer[32];
    snprintf(name, sizeof name, "%.*s", (int)len, field);
    char *inner = strchr(name, '.');
    if (inner)
        *inner++ = '\0';
    fputs(inner ? cell(json_object_get(answer, name), inner, buffer, sizeof buffer)
                : cell(answer, name, buffer, sizeof buffer),
        stdout);
}

int show_line(const struct cli *cli, json_t *answer, const char *line)
{
    if (cli->json) {
        print_json(answer);
    } else {
        for (const char *at = line, *end; *at; at = end + 1) {
            end = *at == '{' ? strchr(at, '}') : NULL;
            if (end) {
                print_field(answer, at + 1, (size_t)(end - at) - 1);
            } else {
                end = at;
                putchar(*at);
            }
        }
        putchar('\n');
    }
    json_decref(answer);
    return CLI_OK;
}

int call_table(struct cli *cli, const struct api_call *call, const char *list, const char *const *columns)
{
    json_t *answer;
    int result = api_call(cli, call, &answer);
    return result == CLI_OK ? show_table(cli, answer, list, columns) : result;
}

int call_line(struct cli *cli, const struct api_call *call, const char *line)
{
    json_t *answer;
    int result = api_call(cli, call, &answer);
    return result == CLI_OK ? show_line(cli, answer, line) : result;
}
