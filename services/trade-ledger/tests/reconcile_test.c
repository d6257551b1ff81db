/* Somebody else's file: what is read from it, what is not accepted, and how its lines find their entries. */
#include "../../chassis/service.h"
#include "reconcile.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size); /* fuzz_external_file.c */

static const struct asset usd = { .id = 1, .scale = 2, .code = "USD" };

static bool read_csv(struct arena *arena, const char *text, struct external_file *ret, struct error *e)
{
    return external_file_csv(arena, &usd, (struct bytes){ text, strlen(text) }, ret, e);
}

static bool read_camt(struct arena *arena, const char *text, struct external_file *ret, struct error *e)
{
    return external_file_camt053(arena, &usd, (struct bytes){ text, strlen(text) }, ret, e);
}

Test(csv, is_read_by_the_names_of_its_columns)
{
    struct arena *arena = arena_new();
    struct external_file file;
    struct error e = { 0 };
    cr_assert(
        read_csv(arena,
            "\xef\xbb\xbfreference,Amount,other,DATE\r\n\"a, \"\"b\"\"\",-1.5,x,1970-01-02\r\n'=1+1,+2,,2024-02-29",
            &file, &e),
        "%s", e.message);
    cr_assert_eq(file.count, 2);
    cr_expect(file.lines[0].amount == -150 && file.lines[0].day == 1 && file.lines[0].line == 2);
    cr_expect_str_eq(file.lines[0].reference, "a, \"b\"");
    cr_expect(file.lines[1].amount == 200 && file.lines[1].day == 19782 && file.lines[1].line == 3);
    cr_expect_str_eq(file.lines[1].reference, "=1+1", "what our own statement defused is what it was");
    arena_free(arena);
}

Test(csv, bad_files_are_refused_with_the_line)
{
    static const char *const files[] = { "", "date\n2026-01-01", "when,amount\n2026-01-01,1",
        "date,amount\n2026-02-30,1", "date,amount\n2026-01-01", "date,amount\n2026-01-01,1.234",
        "date,amount\n2026-01-01,1e3", "date,amount\n2026-01-01,--1", "date,amount\n2026-01-01,99999999999999999999",
        "date,amount\n\"2026-01-01,1", "date,amount\n\"2026-01-01\"x,1", "date,amount\n1969-12-31,1",
        "date,amount\n2026-1-1,1", "date,amount\n 026-01-01,1" };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct arena *arena = arena_new();
        struct external_file file;
        struct error e = { 0 };
        cr_expect(!read_csv(arena, files[i], &file, &e) && strcmp(e.problem, "invalid-file") == 0, "%s", files[i]);
        arena_free(arena);
    }
}

/* Bytes that are no text would be nothing in the answer's JSON. */
Test(csv, a_reference_that_is_no_utf8_is_refused)
{
    struct arena *arena = arena_new();
    struct external_file file;
    struct error e = { 0 };
    cr_expect(!read_csv(arena, "date,amount,reference\n2026-01-01,1,M\xfcller", &file, &e));
    cr_expect_str_eq(e.message, "line 2: the text is not UTF-8");
    arena_free(arena);
}

#define CAMT(head, inside)                                                                                             \
    head "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.02\"><BkToCstmrStmt><Stmt>" inside             \
         "</Stmt></BkToCstmrStmt></Document>"
#define ENTRY(amount, currency, direction, day, reference)                                                             \
    "<Ntry><Amt Ccy=\"" currency "\">" amount "</Amt><CdtDbtInd>" direction "</CdtDbtInd><BookgDt><Dt>" day            \
    "</Dt></BookgDt><NtryRef>" reference "</NtryRef></Ntry>"

Test(camt053, bad_files_are_refused_and_no_entity_is_followed)
{
    static const char *const files[] = {
        "",
        "no xml",
        "<Document/>",
        "<Document><BkToCstmrStmt>",
        "<html><BkToCstmrStmt/></html>",
        CAMT("", ENTRY("1", "EUR", "CRDT", "2026-01-01", "x")),
        CAMT("", ENTRY("-1", "USD", "CRDT", "2026-01-01", "x")),
        CAMT("", ENTRY("1", "USD", "BOTH", "2026-01-01", "x")),
        CAMT("", ENTRY("1", "USD", "CRDT", "2026-13-01", "x")),
        CAMT("", ENTRY("", "USD", "CRDT", "2026-01-01", "x")),
        CAMT(
            "<!DOCTYPE d [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>", ENTRY("1", "USD", "CRDT", "2026-01-01", "&x;")),
        CAMT("<!DOCTYPE d SYSTEM \"http://127.0.0.1:1/d.dtd\">", ENTRY("1", "USD", "CRDT", "2026-01-01", "x")),
        CAMT("<!DOCTYPE d [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]>",
            ENTRY("1", "USD", "CRDT", "2026-01-01", "&b;")),
        CAMT("", ENTRY("1", "USD", "CRDT", "2026-01-01", "&undefined;")),
    };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct arena *arena = arena_new();
        struct external_file file;
        struct error e = { 0 };
        cr_expect(!read_camt(arena, files[i], &file, &e) && strcmp(e.problem, "invalid-file") == 0, "%s", files[i]);
        arena_free(arena);
    }
}

/* UTF-16, where no "<!DOCTYPE" is found by its bytes. */
Test(camt053, a_doctype_in_another_encoding_is_refused_too)
{
    const char *text = CAMT("<!DOCTYPE d [<!ENTITY x \"y\">]>", ENTRY("1", "USD", "CRDT", "2026-01-01", "x"));
    size_t len = strlen(text);
    char *wide = xcalloc(len + 1, 2);
    memcpy(wide, "\xff\xfe", 2);
    for (size_t i = 0; i < len; i++)
        wide[2 + 2 * i] = text[i];
    struct arena *arena = arena_new();
    struct external_file file;
    struct error e = { 0 };
    cr_expect(!external_file_camt053(arena, &usd, (struct bytes){ wide, 2 + 2 * len }, &file, &e));
    cr_expect_str_eq(e.message, "a DOCTYPE is not accepted");
    arena_free(arena);
    xfree(wide);
}

Test(camt053, a_long_text_is_cut_between_characters)
{
    struct arena *arena = arena_new();
    struct external_file file;
    struct error e = { 0 };
    char reference[1201], text[2000];
    for (size_t i = 0; i < 400; i++)
        memcpy(reference + 3 * i, "\u20ac", 4);
    snprintf(text, sizeof text, CAMT("", ENTRY("1", "USD", "CRDT", "2026-01-01", "%s")), reference);
    cr_assert(read_camt(arena, text, &file, &e), "%s", e.message);
    cr_expect_eq(strlen(file.lines[0].reference), 510);
    arena_free(arena);
}

/* What the fuzzer has found its way with; a file that fails ends the process. */
Test(external_file, the_fuzzers_corpus_keeps_its_promises)
{
    DIR *folder = opendir(EXTERNAL_CORPUS);
    size_t count = 0;
    static uint8_t data[EXTERNAL_FILE_MAX];
    cr_assert(folder, "%s is missing", EXTERNAL_CORPUS);
    for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        char path[1024];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", EXTERNAL_CORPUS, entry->d_name);
        FILE *file = fopen(path, "r");
        cr_assert(file, "%s", path);
        size_t len = fread(data, 1, sizeof data, file);
        fclose(file);
        cr_expect_eq(LLVMFuzzerTestOneInput(data, len), 0, "%s", path);
        count++;
    }
    closedir(folder);
    cr_expect_geq(count, 20, "%zu files", count);
}

Test(reconcile, lines_find_their_entries)
{
    static const struct own_line own[] = {
        { 1, 10, 100, "topup:1", "card 4" },
        { 2, 11, 100, "topup:2", "card 4" },
        { 3, 12, -50, "trade:X:1", "" },
        { 4, 13, 70, "topup:3", "" },
        { 5, 20, 70, "topup:4", "" },
        { 6, 21, 5, "topup:5", "" },
    };
    static const struct {
        const char *what;
        struct external_line line;
        enum reconciled state;
        int64_t entry_id;
    } cases[] = {
        { "by what the payer wrote", { 2, 10, 100, "card 4" }, RECONCILED_MATCHED, 1 },
        { "the second of two that are alike", { 3, 11, 100, "card 4" }, RECONCILED_MATCHED, 2 },
        { "the same reference, another amount", { 4, 12, -51, "trade:X:1" }, RECONCILED_AMOUNT_DIFFERS, 3 },
        { "by amount, the nearest", { 5, 19, 70, "" }, RECONCILED_MATCHED, 5 },
        { "by amount, what is left", { 6, 15, 70, "other" }, RECONCILED_MATCHED, 4 },
        { "too many days apart", { 7, 25, 5, "" }, RECONCILED_NOT, 0 },
        { "by amount, but each entry once", { 9, 21, 70, "" }, RECONCILED_NOT, 0 },
        { "the sign counts", { 8, 21, -5, "" }, RECONCILED_NOT, 0 },
    };
    struct external_line lines[ARRAY_LEN(cases)];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        lines[i] = cases[i].line;
    struct arena *arena = arena_new();
    struct reconciliation done = reconcile(arena, lines, ARRAY_LEN(lines), own, ARRAY_LEN(own), 3);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cr_expect(done.lines[i].state == cases[i].state, "%s: %d", cases[i].what, done.lines[i].state);
        cr_expect(cases[i].state == RECONCILED_NOT || own[done.lines[i].own].entry_id == cases[i].entry_id,
            "%s: entry %d", cases[i].what, (int)own[done.lines[i].own].entry_id);
    }
    cr_expect(!done.own_taken[5] && done.own_taken[0]);
    arena_free(arena);
}
