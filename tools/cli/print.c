/* print.c -- JSON on one line, or a table whose columns are as wide as they need. */
#include "cli.h"

#include <stdio.h>
#include <string.h>

enum { COLUMNS_MAX = 16 };

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
        printf("%-*s%s", (int)widths[c], columns[c], c + 1 < n ? "  " : "\n");
    json_array_foreach(rows, i, row)
    {
        for (size_t c = 0; c < n; c++)
            printf("%-*s%s", (int)widths[c], cell(row, columns[c], buffer, sizeof buffer), c + 1 < n ? "  " : "\n");
    }
}
