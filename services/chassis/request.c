/* request.c -- reading what a client sent: JSON fields, the query string, ids. */
#include "http.h"

#include <errno.h>
#include <stdlib.h>

static bool missing(const char *field, struct error *e)
{
    return error_field(e, ERROR_INVALID, "missing-field", field, "%s is missing", field);
}

static bool wrong_type(const char *field, const char *wanted, struct error *e)
{
    return error_field(e, ERROR_INVALID, "wrong-type", field, "%s must be %s", field, wanted);
}

bool json_get_string(const json_t *object, const char *field, const char **ret, struct error *e)
{
    const json_t *value = json_object_get(object, field);
    if (!value || json_is_null(value))
        return missing(field, e);
    if (!json_is_string(value))
        return wrong_type(field, "a string", e);
    *ret = json_string_value(value);
    return true;
}

bool json_opt_string(const json_t *object, const char *field, const char *fallback, const char **ret, struct error *e)
{
    const json_t *value = json_object_get(object, field);
    if (!value || json_is_null(value)) {
        *ret = fallback;
        return true;
    }
    return json_get_string(object, field, ret, e);
}

bool json_opt_bool(const json_t *object, const char *field, bool fallback, bool *ret, struct error *e)
{
    const json_t *value = json_object_get(object, field);
    if (value && !json_is_null(value) && !json_is_boolean(value))
        return wrong_type(field, "true or false", e);
    *ret = json_is_boolean(value) ? json_is_true(value) : fallback;
    return true;
}

int64_t json_int64(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));
    char *end = NULL;
    errno = 0;
    const long long value =
        text && (text[0] == '-' || (text[0] >= '0' && text[0] <= '9')) ? strtoll(text, &end, 10) : 0;
    return end && *end == '\0' && errno == 0 ? value : 0;
}

bool json_only_fields(const json_t *object, const char *const *fields, struct error *e)
{
    for (void *i = json_object_iter((json_t *)object); i; i = json_object_iter_next((json_t *)object, i)) {
        const char *name = json_object_iter_key(i);
        const char *const *known = fields;
        while (*known && strcmp(*known, name) != 0)
            known++;
        if (!*known)
            return error_field(e, ERROR_INVALID, "unknown-field", name, "there is no such field");
    }
    return true;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Decodes one name or value. false: malformed, a NUL in it, or too long for ret. */
static bool query_decode(const char *text, size_t len, char *ret, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i] == '+' ? ' ' : text[i];
        if (c == '%') {
            if (len - i < 3 || hex_value(text[i + 1]) < 0 || hex_value(text[i + 2]) < 0)
                return false;
            c = (char)(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
            i += 2;
        }
        if (c == '\0' || used + 1 >= size)
            return false;
        ret[used++] = c;
    }
    ret[used] = '\0';
    return true;
}

enum { QUERY_NAME_MAX = 64 };

/* The first `name` in the query: its value as it stands there. */
static bool query_find(const char *query, const char *name, struct bytes *ret_value)
{
    while (*query) {
        const size_t len = strcspn(query, "&");
        const char *equals = memchr(query, '=', len);
        const size_t name_len = equals ? (size_t)(equals - query) : len;
        char this_name[QUERY_NAME_MAX];
        if (query_decode(query, name_len, this_name, sizeof this_name) && strcmp(this_name, name) == 0) {
            *ret_value = equals ? (struct bytes){ equals + 1, len - name_len - 1 } : (struct bytes){ "", 0 };
            return true;
        }
        query += len + (query[len] == '&');
    }
    return false;
}

bool query_get(const char *query, const char *name, char *ret, size_t size)
{
    struct bytes value;
    return query_find(query, name, &value) && query_decode(value.data, value.len, ret, size);
}

bool query_int(
    const char *query, const char *name, int64_t fallback, int64_t min, int64_t max, int64_t *ret, struct error *e)
{
    struct bytes raw;
    if (!query_find(query, name, &raw)) {
        *ret = fallback;
        return true;
    }
    char text[32] = "";
    char *end = text;
    errno = 0;
    const bool decoded = query_decode(raw.data, raw.len, text, sizeof text);
    const long long value = decoded ? strtoll(text, &end, 10) : 0;
    const bool number = (text[0] == '-' || (text[0] >= '0' && text[0] <= '9')) && *end == '\0' && errno == 0;
    if (!decoded || !number || value < min || value > max)
        return error_field(e, ERROR_INVALID, "invalid-query", name, "%s must be a whole number from %lld to %lld", name,
            (long long)min, (long long)max);
    *ret = value;
    return true;
}

bool parse_id(const char *text, const char *field, uint64_t *ret, struct error *e)
{
    char *end = NULL;
    errno = 0;
    const unsigned long long value = text[0] >= '1' && text[0] <= '9' ? strtoull(text, &end, 10) : 0;
    if (value == 0 || errno || *end != '\0' || value > INT64_MAX)
        return error_field(e, ERROR_NOT_FOUND, "", field, "there is nothing with this id");
    *ret = value;
    return true;
}
