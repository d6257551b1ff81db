/* error.c -- filling in the caller's error object. */
#include <event_bus/error.h>

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

static const char *const kind_names[] = {
    [ERROR_NONE] = "none",
    [ERROR_INVALID] = "invalid",
    [ERROR_UNAUTHENTICATED] = "unauthenticated",
    [ERROR_DENIED] = "denied",
    [ERROR_NOT_FOUND] = "not-found",
    [ERROR_CONFLICT] = "conflict",
    [ERROR_REFUSED] = "refused",
    [ERROR_TRANSIENT] = "transient",
    [ERROR_FATAL] = "fatal",
};

/* Too long is cut, on a whole character: a broken one would make the JSON it ends up in invalid. */
static void cut_partial_character(char *text, size_t size)
{
    size_t len = strlen(text);
    if (len + 1 < size)
        return;
    size_t start = len;
    while (start > 0 && len - start < 4 && ((unsigned char)text[start - 1] & 0xC0) == 0x80)
        start--;
    if (start == 0)
        return;
    unsigned char lead = (unsigned char)text[start - 1];
    size_t want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (want > 1 && len - start + 1 < want)
        text[start - 1] = '\0';
}

static void copy_text(char *ret, size_t size, const char *text)
{
    snprintf(ret, size, "%s", text ? text : "");
    cut_partial_character(ret, size);
}

static void set_message(struct error *e, const char *fmt, va_list args) PRINTF(2, 0);

static void set_message(struct error *e, const char *fmt, va_list args)
{
    /* The arguments may point into *e itself: a caller that adds context to the message it got. */
    char message[sizeof e->message];
    vsnprintf(message, sizeof message, fmt, args);
    cut_partial_character(message, sizeof message);
    memcpy(e->message, message, sizeof message);
}

bool error_set(struct error *e, enum error_kind kind, const char *fmt, ...)
{
    assert(kind != ERROR_NONE);
    va_list args;
    va_start(args, fmt);
    set_message(e, fmt, args);
    va_end(args);
    e->kind = kind;
    e->code = 0;
    e->problem[0] = e->field[0] = '\0';
    return false;
}

bool error_field(struct error *e, enum error_kind kind, const char *problem, const char *field, const char *fmt, ...)
{
    assert(kind != ERROR_NONE);
    va_list args;
    va_start(args, fmt);
    set_message(e, fmt, args);
    va_end(args);
    e->kind = kind;
    e->code = 0;
    copy_text(e->problem, sizeof e->problem, problem);
    copy_text(e->field, sizeof e->field, field);
    return false;
}

const char *error_kind_name(enum error_kind kind)
{
    size_t index = (size_t)kind;
    return index < ARRAY_LEN(kind_names) ? kind_names[index] : "unknown";
}
