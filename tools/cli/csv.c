/* csv.c -- see csv.h. */
#include "csv.h"

#include <event_bus/event.h>

#include <stdio.h>
#include <string.h>

enum { CSV_FIELD_MAX = 256, CSV_FIELDS = 6 };

static const char *const columns[CSV_FIELDS] = { "date", "debit", "credit", "currency", "amount", "reference" };

struct csv_row {
    char fields[CSV_FIELDS][CSV_FIELD_MAX];
};

static bool split(const char *line, struct csv_row *ret, struct error *e)
{
    size_t field = 0, len = 0;
    bool quoted = false;
    memset(ret, 0, sizeof *ret);
    for (const char *at = line; *at && *at != '\r'; at++) {
        if (*at == '"' && quoted && at[1] == '"') {
            at++;
        } else if (*at == '"') {
            quoted = !quoted;
            continue;
        } else if (*at == ',' && !quoted) {
            field++;
            len = 0;
            if (field == CSV_FIELDS)
                return error_set(e, ERROR_INVALID, "more than %d fields", CSV_FIELDS);
            continue;
        }
        if (len + 1 >= CSV_FIELD_MAX)
            return error_field(e, ERROR_INVALID, "", columns[field], "is too long");
        ret->fields[field][len++] = *at;
    }
    if (quoted)
        return error_set(e, ERROR_INVALID, "a quote is not closed");
    return field + 1 >= CSV_FIELDS - 1 ||
           error_set(e, ERROR_INVALID, "%zu fields; at least %d are needed", field + 1, CSV_FIELDS - 1);
}

bool csv_header(const char *line, struct error *e)
{
    struct csv_row row;
    if (!split(line, &row, e))
        return false;
    for (size_t i = 0; i < CSV_FIELDS; i++)
        if (strcmp(row.fields[i], columns[i]) != 0 && (i + 1 < CSV_FIELDS || row.fields[i][0]))
            return error_set(e, ERROR_INVALID, "the first line must be date,debit,credit,currency,amount,reference");
    return true;
}

/* "user:7", "account:12", "house" */
static bool set_account(json_t *leg, const char *field, const char *name, struct error *e)
{
    static const char *const kinds[] = { "funding", "fees", "suspense", "house" };
    const char *colon = strchr(name, ':');
    bool user = strncmp(name, "user:", 5) == 0, account = strncmp(name, "account:", 8) == 0;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (strcmp(name, kinds[i]) == 0)
            return json_object_set_new(leg, "account", json_string(name)) == 0;
    if ((!user && !account) || colon[1] == '\0' || colon[1 + strspn(colon + 1, "0123456789")] != '\0')
        return error_field(
            e, ERROR_INVALID, "", field, "must be user:ID, account:ID, funding, fees, suspense or house");
    return json_object_set_new(leg, user ? "user_id" : "account_id", json_string(colon + 1)) == 0;
}

static bool time_text(const char *date, char ret[EVENT_TIME_MAX + 16], struct error *e)
{
    int64_t us;
    snprintf(ret, EVENT_TIME_MAX + 16, strlen(date) == 10 ? "%.10sT00:00:00Z" : "%.40s", date);
    return event_time_parse(ret, &us) ||
           error_field(e, ERROR_INVALID, "", "date", "must be YYYY-MM-DD or a time as in RFC 3339");
}

json_t *csv_journal(const char *line, struct error *e)
{
    struct csv_row row;
    char at[EVENT_TIME_MAX + 16], negative[CSV_FIELD_MAX + 1];
    if (line[strspn(line, " \t\r")] == '\0')
        return NULL;
    if (!split(line, &row, e) || !time_text(row.fields[0], at, e))
        return NULL;
    const char *currency = row.fields[3], *amount = row.fields[4];
    if (!currency[0] || amount[0] < '0' || amount[0] > '9') {
        error_field(e, ERROR_INVALID, "", currency[0] ? "amount" : "currency", "is missing or no positive number");
        return NULL;
    }
    snprintf(negative, sizeof negative, "-%s", amount);
    json_t *debit = json_pack("{s:s, s:s}", "currency", currency, "amount", negative),
           *credit = json_pack("{s:s, s:s}", "currency", currency, "amount", amount);
    json_t *journal = json_pack("{s:[o, o], s:s}", "legs", debit, credit, "effective_at", at);
    if (row.fields[5][0])
        json_object_set_new(journal, "reference", json_string(row.fields[5]));
    if (journal && set_account(debit, "debit", row.fields[1], e) && set_account(credit, "credit", row.fields[2], e))
        return journal;
    if (!journal)
        error_set(e, ERROR_INVALID, "is not UTF-8");
    json_decref(journal);
    return NULL;
}
