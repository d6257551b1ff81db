/* A bank's statement is bytes of strangers: whatever they are, the lines that are read are lines, and what is refused
 * says why. The first byte tells how to read the rest: its lowest bit CSV (0) or CAMT.053 (1), the others the asset's
 * scale. */
#include "external_file.h"
#include "order_rules.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_line(const struct external_line *line, bool csv, int64_t most)
{
    check(line->day >= 0 && line->line > 0);
    check(line->amount >= -most && line->amount <= most);
    check(strlen(line->reference) <= 512 && input_is_utf8(line->reference));
    check(csv || line->line <= EXTERNAL_FILE_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct external_file file;
    struct error e = { 0 };
    if (size == 0 || size > EXTERNAL_FILE_MAX)
        return 0;
    bool csv = !(data[0] & 1);
    const struct asset asset = { .id = 1, .scale = (uint32_t)(data[0] >> 1) % 19, .code = "USD" };
    const struct bytes text = { data + 1, size - 1 };
    struct arena *arena = arena_new();
    bool ok =
        csv ? external_file_csv(arena, &asset, text, &file, &e) : external_file_camt053(arena, &asset, text, &file, &e);
    check(ok == (e.kind == ERROR_NONE));
    check(ok || (e.message[0] && (e.kind == ERROR_REFUSED || e.kind == ERROR_INVALID)));
    check(file.count <= EXTERNAL_LINES_MAX);
    for (size_t i = 0; ok && i < file.count; i++)
        check_line(&file.lines[i], csv, INT64_MAX);
    arena_free(arena);
    return 0;
}
