#include "log.h"

#include <event_bus/repeats.h>

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    LOG_MESSAGE_MAX = 2048, /* bytes of one message; the rest is cut */
    LOG_LINE_MAX = 16 * 1024,
    LOG_SERVICE_MAX = 64,
};

static const char *const level_names[] = {
    [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error"
};

static char log_service[LOG_SERVICE_MAX] = "penstock";
static _Atomic int log_threshold = LOG_INFO;

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&log_threshold, (int)level, memory_order_relaxed);
}

void log_init(const char *service)
{
    (void)snprintf(log_service, sizeof log_service, "%s", service);
    const char *level = getenv("LOG_LEVEL");
    for (size_t i = 0; level && i < ARRAY_LEN(level_names); i++) {
        if (strcmp(level, level_names[i]) == 0)
            log_set_level((enum log_level)i);
    }
}

/* A line under construction. Pieces that do not fit are dropped whole; log_end() has its own room. */
struct line {
    char text[LOG_LINE_MAX];
    size_t len;
};

static void line_put(struct line *line, const char *text, size_t len)
{
    const size_t room_for_the_end = 4;
    if (len > sizeof line->text - room_for_the_end - line->len)
        return;
    memcpy(line->text + line->len, text, len);
    line->len += len;
}

/* Bytes of the valid UTF-8 sequence at text (NUL-terminated), 0 if there is none. */
static size_t utf8_sequence(const unsigned char *text)
{
    size_t len = *text < 0x80 ? 1 : *text >= 0xc2 && *text < 0xe0 ? 2 : (*text & 0xf0) == 0xe0 ? 3 : 4;
    if (*text >= 0xf5 || (*text >= 0x80 && *text < 0xc2))
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    }
    bool overlong = (*text == 0xe0 && text[1] < 0xa0) || (*text == 0xf0 && text[1] < 0x90);
    bool surrogate = *text == 0xed && text[1] >= 0xa0;
    bool beyond = *text == 0xf4 && text[1] >= 0x90;
    return overlong || surrogate || beyond ? 0 : len;
}

/* ,"name":"text" with everything escaped that JSON wants escaped, and broken UTF-8 replaced by U+FFFD. */
static void line_field(struct line *line, const char *name, const char *text)
{
    char prefix[LOG_SERVICE_MAX];
    int prefix_len = snprintf(prefix, sizeof prefix, ",\"%s\":\"", name);
    line_put(line, prefix, (size_t)prefix_len);
    const unsigned char *p = (const unsigned char *)text;
    while (*p) {
        char escaped[8];
        size_t len = utf8_sequence(p);
        if (len == 0) {
            line_put(line, "\xef\xbf\xbd", 3);
            p++;
        } else if (*p == '"' || *p == '\\') {
            line_put(line, (const char[]){ '\\', (char)*p }, 2);
            p++;
        } else if (*p < 0x20 || *p == 0x7f) {
            line_put(line, escaped, (size_t)snprintf(escaped, sizeof escaped, "\\u%04x", *p));
            p++;
        } else {
            line_put(line, (const char *)p, len);
            p += len;
        }
    }
    line_put(line, "\"", 1);
}

static void line_begin(struct line *line, enum log_level level, const char *message)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    struct tm utc;
    (void)gmtime_r(&now.tv_sec, &utc);
    char date[32], head[64];
    (void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
    int len = snprintf(head, sizeof head, "{\"ts\":\"%s.%06ldZ\"", date, now.tv_nsec / 1000);
    line->len = 0;
    line_put(line, head, (size_t)len);
    line_field(line, "level", level_names[level]);
    line_field(line, "service", log_service);
    line_field(line, "msg", message);
}

static void line_end(struct line *line)
{
    memcpy(line->text + line->len, "}\n", 2);
    line->len += 2;
    /* One write, so that lines of several threads and processes do not mix. A log that cannot be written is lost. */
    ssize_t written = 0;
    do {
        written = write(STDERR_FILENO, line->text, line->len);
    } while (written < 0 && errno == EINTR);
}

static bool is_wanted(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&log_threshold, memory_order_relaxed);
}

void log_write(enum log_level level, const char *fmt, ...)
{
    if (!is_wanted(level))
        return;
    char message[LOG_MESSAGE_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    struct line line;
    line_begin(&line, level, message);
    line_end(&line);
}

void log_trace(enum log_level level, const struct trace *trace, const char *fmt, ...)
{
    if (!is_wanted(level))
        return;
    char message[LOG_MESSAGE_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    struct line line;
    line_begin(&line, level, message);
    char id[33] = "";
    if (trace)
        trace_id(trace, id);
    if (*id)
        line_field(&line, "trace_id", id);
    line_end(&line);
}

static void write_error(enum log_level level, const char *message, const struct error *e)
{
    struct line line;
    line_begin(&line, level, message);
    line_field(&line, "kind", error_kind_name(e->kind));
    if (*e->problem)
        line_field(&line, "problem", e->problem);
    if (*e->field)
        line_field(&line, "field", e->field);
    line_end(&line);
}

static enum log_level level_of(const struct error *e)
{
    return e->kind == ERROR_TRANSIENT ? LOG_WARN : LOG_ERROR;
}

void log_error(const char *what, const struct error *e)
{
    char message[LOG_MESSAGE_MAX];
    if (!is_wanted(level_of(e)))
        return;
    (void)snprintf(message, sizeof message, "%s: %s", what, e->message);
    write_error(level_of(e), message, e);
}

void log_error_seldom(const char *what, const struct error *e)
{
    static struct repeats repeats = REPEATS_INIT;
    char message[LOG_MESSAGE_MAX];
    uint64_t untold = 0;
    (void)snprintf(message, sizeof message, "%s: %s", what, e->message);
    if (!is_wanted(level_of(e)) || !repeats_tell(&repeats, message, monotonic_us(), &untold))
        return;
    if (untold > 0)
        (void)snprintf(
            message, sizeof message, "%s: %s (and %llu more like it)", what, e->message, (unsigned long long)untold);
    write_error(level_of(e), message, e);
}

void log_kafka(int syslog_level, const char *client, const char *facility, const char *text)
{
    enum { SYSLOG_CRITICAL = 2 }; /* syslog.h has our names; what librdkafka calls an error it mends by itself */
    log_write(
        syslog_level <= SYSLOG_CRITICAL ? LOG_ERROR : LOG_WARN, "Kafka client %s: %s: %s", client, facility, text);
}
