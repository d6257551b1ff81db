#include "config.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum {
    CONFIG_FILE_MAX = 64 * 1024, /* bytes of an X_FILE */
    CONFIG_NAME_MAX = 128,       /* "X_FILE" with the NUL */
};

/* The value of a file without its trailing newlines. */
static bool value_from_file(const char *name, const char *path, char **ret_value, struct error *e)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return error_field(
            e, ERROR_INVALID, "", name, "cannot read the file named by %s_FILE: %s", name, strerror(errno));
    CLEANUP(xfree) char *text = xmalloc(CONFIG_FILE_MAX + 1);
    size_t len = fread(text, 1, CONFIG_FILE_MAX + 1, file);
    bool failed = ferror(file) != 0;
    (void)fclose(file);
    if (failed)
        return error_field(e, ERROR_INVALID, "", name, "cannot read the file named by %s_FILE", name);
    if (len > CONFIG_FILE_MAX)
        return error_field(
            e, ERROR_INVALID, "", name, "the file named by %s_FILE is over %d bytes", name, CONFIG_FILE_MAX);
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        len--;
    text[len] = '\0';
    if (strlen(text) != len)
        return error_field(e, ERROR_INVALID, "", name, "the file named by %s_FILE holds a zero byte", name);
    *ret_value = TAKE(text);
    return true;
}

/* What the environment, a file or the default says: *ret_value is the caller's. */
static bool value_of(const struct config_item *item, char **ret_value, struct error *e)
{
    char name_of_file[CONFIG_NAME_MAX];
    int len = snprintf(name_of_file, sizeof name_of_file, "%s_FILE", item->name);
    assert(len > 0 && (size_t)len < sizeof name_of_file);
    const char *value = getenv(item->name);
    const char *path = getenv(name_of_file);
    if (value && path)
        return error_field(e, ERROR_INVALID, "", item->name, "both %s and %s are set", item->name, name_of_file);
    if (path)
        return value_from_file(item->name, path, ret_value, e);
    if (!value)
        value = item->fallback;
    if (!value)
        return error_field(e, ERROR_INVALID, "", item->name, "%s must be set (%s)", item->name, item->meaning);
    *ret_value = xstrdup(value);
    return true;
}

/* A whole decimal number and nothing else: strtoll alone also takes blanks and '+'. */
static bool parse_int(const char *text, int64_t *ret)
{
    const char *digits = *text == '-' ? text + 1 : text;
    if (*digits < '0' || *digits > '9')
        return false;
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0')
        return false;
    *ret = value;
    return true;
}

static bool set_int(
    const struct config_item *item, const char *text, int64_t min, int64_t max, int64_t *ret, struct error *e)
{
    int64_t value = 0;
    if (!parse_int(text, &value))
        return error_field(e, ERROR_INVALID, "", item->name, "%s is not a whole number", item->name);
    if (value < min || value > max)
        return error_field(
            e, ERROR_INVALID, "", item->name, "%s must be %lld to %lld", item->name, (long long)min, (long long)max);
    *ret = value;
    return true;
}

static bool set_bool(const struct config_item *item, const char *text, bool *ret, struct error *e)
{
    bool yes = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    bool no = strcmp(text, "false") == 0 || strcmp(text, "0") == 0;
    if (!yes && !no)
        return error_field(e, ERROR_INVALID, "", item->name, "%s must be true or false", item->name);
    *ret = yes;
    return true;
}

static bool set_choice(const struct config_item *item, const char *text, int64_t *ret, struct error *e)
{
    assert(item->choices);
    size_t len = strlen(text);
    int64_t index = 0;
    for (const char *choice = item->choices; *choice != '\0'; index++) {
        size_t choice_len = strcspn(choice, "|");
        if (choice_len == len && memcmp(choice, text, len) == 0) {
            *ret = index;
            return true;
        }
        choice += choice_len + (choice[choice_len] == '|' ? 1 : 0);
    }
    return error_field(e, ERROR_INVALID, "", item->name, "%s must be one of %s", item->name, item->choices);
}

/* Takes *value where the setting is a string. */
static bool set_item(const struct config_item *item, void *settings, char **value, struct error *e)
{
    void *slot = (char *)settings + item->offset;
    switch (item->type) {
    case CONFIG_STRING:
    case CONFIG_SECRET:
        if (**value == '\0' && !item->fallback)
            return error_field(e, ERROR_INVALID, "", item->name, "%s must not be empty", item->name);
        *(char **)slot = TAKE(*value);
        return true;
    case CONFIG_INT:
        if (item->min == 0 && item->max == 0)
            return set_int(item, *value, INT64_MIN, INT64_MAX, slot, e);
        return set_int(item, *value, item->min, item->max, slot, e);
    case CONFIG_PORT:
        return set_int(item, *value, 1, UINT16_MAX, slot, e);
    case CONFIG_BOOL:
        return set_bool(item, *value, slot, e);
    case CONFIG_CHOICE:
        return set_choice(item, *value, slot, e);
    }
    assert(false && "a setting of unknown type");
    return false;
}

static bool is_text(const struct config_item *item)
{
    return item->type == CONFIG_STRING || item->type == CONFIG_SECRET;
}

bool config_load(const struct config_item *items, void *settings, struct error *e)
{
    for (const struct config_item *item = items; item->name; item++) {
        if (is_text(item))
            *(char **)((char *)settings + item->offset) = NULL;
    }
    for (const struct config_item *item = items; item->name; item++) {
        CLEANUP(xfree) char *value = NULL;
        if (!value_of(item, &value, e) || !set_item(item, settings, &value, e)) {
            config_release(items, settings);
            return false;
        }
    }
    return true;
}

void config_release(const struct config_item *items, void *settings)
{
    for (const struct config_item *item = items; item->name; item++) {
        if (!is_text(item))
            continue;
        char **slot = (char **)((char *)settings + item->offset);
        xfree(*slot);
        *slot = NULL;
    }
}

static const char *type_name(const struct config_item *item)
{
    switch (item->type) {
    case CONFIG_STRING:
        return "text";
    case CONFIG_SECRET:
        return "secret";
    case CONFIG_INT:
        return "number";
    case CONFIG_PORT:
        return "port";
    case CONFIG_BOOL:
        return "true|false";
    case CONFIG_CHOICE:
        return item->choices;
    }
    assert(false && "a setting of unknown type");
    return "";
}

static const char *default_text(const struct config_item *item)
{
    if (!item->fallback)
        return "(must be set)";
    if (item->fallback[0] == '\0')
        return "(empty)";
    return item->type == CONFIG_SECRET ? "(a development value)" : item->fallback;
}

void config_print(const struct config_item *items, FILE *out)
{
    for (const struct config_item *item = items; item->name; item++)
        (void)fprintf(out, "  %-36s %-12s %-24s %s\n", item->name, type_name(item), default_text(item), item->meaning);
}
