#include "external_file.h"

#include "../chassis/decimal.h"
#include "order_rules.h"

#include <assert.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { COLUMNS_MAX = 64, CELL_MAX = 512 };

static bool wrong(struct error *e, size_t line, const char *what)
{
    return error_field(e, ERROR_REFUSED, "invalid-file", "file", "line %zu: %s", line, what);
}

bool day_parse(const char *text, int32_t *ret_day)
{
    struct tm day = { 0 }, again;
    int len = 0;
    if (strlen(text) != 10 || sscanf(text, "%4d-%2d-%2d%n", &day.tm_year, &day.tm_mon, &day.tm_mday, &len) != 3 ||
        len != 10 || day.tm_year < 1970 || strspn(text, "0123456789-") != 10)
        return false;
    day.tm_year -= 1900;
    day.tm_mon -= 1;
    again = day;
    time_t seconds = timegm(&again);
    if (again.tm_mday != day.tm_mday || again.tm_mon != day.tm_mon || again.tm_year != day.tm_year)
        return false;
    *ret_day = (int32_t)(seconds / 86400);
    return true;
}

static bool signed_amount_parse(const char *text, const struct asset *asset, int64_t *ret_minor, struct error *e)
{
    bool negative = *text == '-';
    if (*text == '-' || *text == '+')
        text++;
    if (!decimal_parse(text, asset->scale, "amount", ret_minor, e))
        return false;
    if (negative)
        *ret_minor = -*ret_minor;
    return true;
}

static struct external_line *file_grow(struct external_file *file, size_t line, struct error *e)
{
    if (file->count == EXTERNAL_LINES_MAX) {
        error_field(e, ERROR_REFUSED, "invalid-file", "file", "more than %d lines", EXTERNAL_LINES_MAX);
        return NULL;
    }
    file->lines[file->count] = (struct external_line){ .line = line, .reference = "" };
    return &file->lines[file->count++];
}

static void file_init(struct external_file *file, struct arena *arena)
{
    *file = (struct external_file){ .lines = arena_alloc(arena, EXTERNAL_LINES_MAX * sizeof *file->lines) };
}

/* ---- CSV ---- */

struct csv {
    const char *at, *end;
    size_t line;
    char cells[COLUMNS_MAX][CELL_MAX];
    size_t count;
};

/* A cell up to its comma or line end; false: it is too long, or a quote has no end. */
static bool csv_cell(struct csv *csv, char ret_cell[CELL_MAX])
{
    size_t len = 0;
    bool quoted = csv->at < csv->end && *csv->at == '"';
    if (quoted)
        csv->at++;
    for (;; csv->at++) {
        if (csv->at == csv->end)
            break;
        char c = *csv->at;
        if (c == '\0')
            return false;
        if (quoted && c == '"') {
            if (csv->at + 1 == csv->end || csv->at[1] != '"') {
                csv->at++;
                quoted = false;
                break;
            }
            csv->at++;
        } else if (!quoted && (c == ',' || c == '\n' || c == '\r')) {
            break;
        }
        csv->line += c == '\n';
        if (len + 1 == CELL_MAX)
            return false;
        ret_cell[len++] = c;
    }
    ret_cell[len] = '\0';
    return !quoted && (csv->at == csv->end || strchr(",\r\n", *csv->at));
}

static bool csv_row(struct csv *csv, struct error *e)
{
    for (csv->count = 0;;) {
        if (csv->count == COLUMNS_MAX)
            return wrong(e, csv->line, "too many columns");
        if (!csv_cell(csv, csv->cells[csv->count]))
            return wrong(e, csv->line, "a cell is too long, or its quotes do not match");
        csv->count++;
        if (csv->at == csv->end || *csv->at != ',')
            break;
        csv->at++;
    }
    if (csv->at < csv->end && *csv->at == '\r')
        csv->at++;
    if (csv->at < csv->end && *csv->at == '\n')
        csv->at++;
    return true;
}

static size_t csv_column(const struct csv *csv, const char *name)
{
    for (size_t i = 0; i < csv->count; i++) {
        if (strcasecmp(csv->cells[i], name) == 0)
            return i;
    }
    return COLUMNS_MAX;
}

/* A formula that our own statement has defused is what it was. */
static const char *plain_reference(const char *cell)
{
    return cell[0] == '\'' && cell[1] != '\0' && strchr("=+-@\t\r", cell[1]) ? cell + 1 : cell;
}

struct csv_columns {
    size_t date, amount, reference;
};

static bool csv_line(struct csv *csv, const struct csv_columns *columns, size_t number, struct arena *arena,
    const struct asset *asset, struct external_file *ret, struct error *e)
{
    if (csv->count <= columns->date || csv->count <= columns->amount)
        return wrong(e, number, "columns are missing");
    struct external_line *line = file_grow(ret, number, e);
    struct error why = { 0 };
    if (!line)
        return false;
    if (!day_parse(csv->cells[columns->date], &line->day))
        return wrong(e, number, "the date is no day as in 2026-01-31");
    if (!signed_amount_parse(csv->cells[columns->amount], asset, &line->amount, &why))
        return wrong(e, number, why.message);
    if (columns->reference < csv->count && !input_is_utf8(csv->cells[columns->reference]))
        return wrong(e, number, "the text is not UTF-8");
    if (columns->reference < csv->count)
        line->reference = arena_strdup(arena, plain_reference(csv->cells[columns->reference]));
    return true;
}

bool external_file_csv(
    struct arena *arena, const struct asset *asset, struct bytes text, struct external_file *ret, struct error *e)
{
    struct csv *csv = arena_alloc(arena, sizeof *csv);
    csv->at = text.data;
    csv->end = csv->at + text.len;
    csv->line = 1;
    file_init(ret, arena);
    if (text.len >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0)
        csv->at += 3;
    if (!csv_row(csv, e))
        return false;
    struct csv_columns columns = { csv_column(csv, "date"), csv_column(csv, "amount"), csv_column(csv, "reference") };
    if (columns.date == COLUMNS_MAX || columns.amount == COLUMNS_MAX)
        return wrong(e, 1, "the first line names the columns, among them date and amount");
    while (csv->at < csv->end) {
        size_t number = ++csv->line;
        if (!csv_row(csv, e))
            return false;
        if (csv->count == 1 && csv->cells[0][0] == '\0')
            continue; /* an empty line */
        if (!csv_line(csv, &columns, number, arena, asset, ret, e))
            return false;
    }
    return true;
}

/* ---- CAMT.053: Document/BkToCstmrStmt/Stmt/Ntry, whatever its version's namespace ---- */

static xmlNode *child(const xmlNode *node, const char *name)
{
    for (xmlNode *at = node ? node->children : NULL; at; at = at->next) {
        if (at->type == XML_ELEMENT_NODE && strcmp((const char *)at->name, name) == 0)
            return at;
    }
    return NULL;
}

/* "NtryDtls/TxDtls/Refs/EndToEndId" */
static xmlNode *descend(xmlNode *node, const char *path)
{
    char name[32];
    while (node && *path) {
        size_t len = strcspn(path, "/");
        snprintf(name, sizeof name, "%.*s", (int)len, path);
        node = child(node, name);
        path += len + (path[len] == '/');
    }
    return node;
}

static const char *text_at(struct arena *arena, xmlNode *node, const char *path)
{
    xmlNode *found = descend(node, path);
    xmlChar *content = found ? xmlNodeGetContent(found) : NULL;
    const char *text = content ? (const char *)content : "";
    text += strspn(text, " \t\r\n");
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t\r\n", text[len - 1]))
        len--;
    for (len = len < CELL_MAX ? len : CELL_MAX; ((unsigned char)text[len] & 0xc0) == 0x80;)
        len--; /* not within a character */
    char *copy = arena_printf(arena, "%.*s", (int)len, text);
    xmlFree(content);
    return copy;
}

static const char *entry_reference(struct arena *arena, xmlNode *entry)
{
    static const char *const places[] = { "NtryDtls/TxDtls/Refs/EndToEndId", "NtryRef", "AcctSvcrRef",
        "NtryDtls/TxDtls/RmtInf/Ustrd" };
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        const char *text = text_at(arena, entry, places[i]);
        if (*text && strcmp(text, "NOTPROVIDED") != 0)
            return text;
    }
    return "";
}

/* The status is a code of its own (Sts), or since version 8 wrapped in Sts/Cd. */
static bool is_booked(struct arena *arena, xmlNode *entry)
{
    const char *code = text_at(arena, entry, "Sts/Cd");
    if (!*code)
        code = text_at(arena, entry, "Sts");
    return !*code || strcmp(code, "BOOK") == 0;
}

static bool camt_entry(struct arena *arena, const struct asset *asset, xmlNode *entry, size_t number,
    struct external_file *ret, struct error *e)
{
    struct error why = { 0 };
    xmlNode *amount = child(entry, "Amt");
    xmlChar *currency = amount ? xmlGetProp(amount, (const xmlChar *)"Ccy") : NULL;
    bool same = currency && strcmp((const char *)currency, asset->code) == 0;
    xmlFree(currency);
    if (!same)
        return wrong(e, number, "the entry is not in the account's currency");
    const char *direction = text_at(arena, entry, "CdtDbtInd");
    bool in = strcmp(direction, "CRDT") == 0;
    if (!in && strcmp(direction, "DBIT") != 0)
        return wrong(e, number, "CdtDbtInd is CRDT or DBIT");
    struct external_line *line = file_grow(ret, number, e);
    if (!line)
        return false;
    const char *day = text_at(arena, entry, "BookgDt/Dt");
    if (!*day)
        day = arena_printf(arena, "%.10s", text_at(arena, entry, "BookgDt/DtTm"));
    if (!day_parse(day, &line->day))
        return wrong(e, number, "BookgDt is no date");
    if (!decimal_parse(text_at(arena, entry, "Amt"), asset->scale, "amount", &line->amount, &why))
        return wrong(e, number, why.message);
    if (!in)
        line->amount = -line->amount;
    line->reference = entry_reference(arena, entry);
    return true;
}

static bool camt_read(
    struct arena *arena, const struct asset *asset, xmlDoc *doc, struct external_file *ret, struct error *e)
{
    size_t number = 0;
    xmlNode *root = xmlDocGetRootElement(doc);
    xmlNode *statements =
        root && strcmp((const char *)root->name, "Document") == 0 ? child(root, "BkToCstmrStmt") : NULL;
    if (doc->intSubset || doc->extSubset)
        return error_field(e, ERROR_REFUSED, "invalid-file", "file", "a DOCTYPE is not accepted");
    if (!statements)
        return error_field(e, ERROR_REFUSED, "invalid-file", "file", "this is no CAMT.053 document");
    for (xmlNode *statement = statements->children; statement; statement = statement->next) {
        if (strcmp((const char *)statement->name, "Stmt") != 0)
            continue;
        for (xmlNode *entry = statement->children; entry; entry = entry->next) {
            if (strcmp((const char *)entry->name, "Ntry") != 0)
                continue;
            number++;
            if (is_booked(arena, entry) && !camt_entry(arena, asset, entry, number, ret, e))
                return false;
        }
    }
    return true;
}

static void quiet(void *context, const char *message, ...)
{
    (void)context, (void)message;
}

bool external_file_camt053(
    struct arena *arena, const struct asset *asset, struct bytes xml, struct external_file *ret, struct error *e)
{
    assert(xml.len <= EXTERNAL_FILE_MAX);
    file_init(ret, arena);
    /* Before a parser sees it; in other encodings the parsed document tells. */
    if (memmem(xml.data, xml.len, "<!DOCTYPE", 9) || memmem(xml.data, xml.len, "<!ENTITY", 8))
        return error_field(e, ERROR_REFUSED, "invalid-file", "file", "a DOCTYPE is not accepted");
    xmlParserCtxt *parser = xmlNewParserCtxt();
    if (!parser)
        return error_set(e, ERROR_TRANSIENT, "no memory for a parser");
    parser->sax->error = parser->sax->warning = quiet;
    xmlDoc *doc = xmlCtxtReadMemory(parser, xml.data, (int)xml.len, NULL, NULL,
        XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOCDATA);
    bool ok = doc ? camt_read(arena, asset, doc, ret, e)
                  : error_field(e, ERROR_INVALID, "invalid-file", "file", "this is no well-formed XML");
    xmlFreeDoc(doc);
    xmlFreeParserCtxt(parser);
    return ok;
}
