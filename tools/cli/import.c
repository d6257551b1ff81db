/* import.c -- penstock ledger import: dated history from a CSV file. Each line is a journal of two legs; what is wrong
 * with one names its line. The keys are made of the file's content: the same file again books nothing twice. */
#include "csv.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IMPORT_LINES_MAX = 1000000, IMPORT_AT_ONCE_MAX = 1000, FILE_MAX_BYTES = 256 * 1024 * 1024 };

struct import {
    struct cli *cli;
    bool each;
    char digest[33]; /* of the file */
    json_t *journals;
    size_t *lines; /* of the file, for each journal */
    size_t booked, refused;
};

static bool read_file(const char *path, char **ret_text, size_t *ret_len, struct error *e)
{
    FILE *in = fopen(path, "r");
    if (!in)
        return error_field(e, ERROR_REFUSED, "", path, "cannot be read");
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    char chunk[65536];
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, in)) > 0 && len <= FILE_MAX_BYTES;) {
        fwrite(chunk, 1, n, out);
        fflush(out);
    }
    bool ok = !ferror(in);
    fclose(in);
    fclose(out);
    if (ok && len <= FILE_MAX_BYTES && strlen(text) == len) {
        *ret_text = text;
        *ret_len = len;
        return true;
    }
    free(text);
    return error_field(e, ERROR_REFUSED, "", path, "is no text file, or larger than %d MB", FILE_MAX_BYTES >> 20);
}

static void digest_file(const char *text, size_t len, char ret[33])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_Digest(text, len, digest, &size, EVP_sha256(), NULL);
    for (size_t i = 0; i < 16; i++)
        snprintf(ret + 2 * i, 3, "%02x", digest[i]);
}

/* Sends journals [first, first + count) as one request. */
static int send_part(struct import *import, size_t first, size_t count)
{
    char key[64];
    json_t *part = json_array(), *answer = NULL;
    for (size_t i = 0; i < count; i++)
        json_array_append(part, json_array_get(import->journals, first + i));
    snprintf(key, sizeof key, "import-%s-%zu", import->digest, first);
    int result = api_call(import->cli,
        &(struct api_call){ "POST", "/api/ledger/journals/batch",
            .body = json_pack("{s:s, s:o}", "mode", import->each ? "each" : "all", "journals", part),
            .idempotency_key = key, .with_token = true },
        &answer);
    if (result != CLI_OK) {
        fprintf(stderr, "penstock: journals[0] of this request is line %zu; nothing of it is booked\n",
            import->lines[first]);
        return result;
    }
    size_t i;
    const json_t *one;
    json_array_foreach(json_object_get(answer, "journals"), i, one)
    {
        const json_t *problem = json_object_get(one, "problem");
        const char *detail = json_string_value(json_object_get(problem, "detail"));
        import->booked += !problem;
        import->refused += problem != NULL;
        if (problem)
            fprintf(stderr, "line %zu: %s\n", import->lines[first + i], detail ? detail : "refused");
    }
    json_decref(answer);
    return CLI_OK;
}

static int send_all(struct import *import)
{
    size_t count = json_array_size(import->journals);
    if (!import->each && count > IMPORT_AT_ONCE_MAX)
        return cli_usage(
            import->cli, "%zu lines: all or none is possible for up to %d; use --mode each", count, IMPORT_AT_ONCE_MAX);
    for (size_t first = 0; first < count; first += IMPORT_AT_ONCE_MAX) {
        size_t left = count - first;
        int result = send_part(import, first, left < IMPORT_AT_ONCE_MAX ? left : IMPORT_AT_ONCE_MAX);
        if (result != CLI_OK)
            return result;
    }
    if (import->cli->json) {
        json_t *json =
            json_pack("{s:I, s:I}", "booked", (json_int_t)import->booked, "refused", (json_int_t)import->refused);
        print_json(json);
        json_decref(json);
    } else {
        printf("%zu booked, %zu refused\n", import->booked, import->refused);
    }
    return import->refused ? CLI_REFUSED : CLI_OK;
}

/* Every line, or none where they stand and fall together: all that is wrong is named first. */
static bool read_lines(struct import *import, char *text)
{
    size_t bad = 0, line = 1, capacity = 0;
    struct error e = { 0 };
    for (char *at = text; *at; line++) {
        char *end = at + strcspn(at, "\n"), *next = *end ? end + 1 : end;
        *end = '\0';
        json_t *journal = line > 1 ? csv_journal(at, &e) : NULL;
        if (line == 1 && !csv_header(at, &e))
            bad++;
        else if (line > 1 && !journal && e.kind != ERROR_NONE)
            bad++;
        if (e.kind != ERROR_NONE)
            fprintf(stderr, "line %zu: %s%s%s\n", line, e.field, *e.field ? ": " : "", e.message);
        error_clear(&e);
        if (journal && json_array_size(import->journals) == capacity) {
            capacity = capacity ? capacity * 2 : 1024;
            import->lines = xrealloc(import->lines, capacity * sizeof *import->lines);
        }
        if (journal) {
            import->lines[json_array_size(import->journals)] = line;
            json_array_append_new(import->journals, journal);
        }
        at = next;
        if (line > IMPORT_LINES_MAX) {
            fprintf(stderr, "penstock: more than %d lines\n", IMPORT_LINES_MAX);
            return false;
        }
    }
    import->refused = bad;
    return import->each || bad == 0;
}

int cmd_ledger_import(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = { { "mode", required_argument, NULL, 'm' },
        { "dry-run", no_argument, NULL, 'd' }, { 0 } };
    struct import import = { .cli = cli };
    struct error e = { 0 };
    bool dry = false;
    for (int option; (option = cli_option(cli, argc, argv, options)) != -1;) {
        if (option == 'm' && (strcmp(optarg, "all") == 0 || strcmp(optarg, "each") == 0))
            import.each = strcmp(optarg, "each") == 0;
        else if (option == 'd')
            dry = true;
        else
            return cli_usage(cli, "--mode is all or each");
    }
    if (argc - optind != 1)
        return cli_usage(cli, "a file is needed");
    char *text;
    size_t len;
    if (!read_file(argv[optind], &text, &len, &e))
        return cli_fail(CLI_USAGE, &e);
    digest_file(text, len, import.digest);
    import.journals = json_array();
    int result = read_lines(&import, text) ? CLI_OK : CLI_REFUSED;
    if (result == CLI_OK && !dry)
        result = send_all(&import);
    else if (result == CLI_OK)
        printf("%zu lines can be booked, %zu cannot\n", json_array_size(import.journals), import.refused);
    json_decref(import.journals);
    xfree(import.lines);
    free(text);
    return result;
}
