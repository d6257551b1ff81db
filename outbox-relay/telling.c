#include "telling.h"

#include "log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { LINE_MAX_BYTES = 512 };

/* Always outside of trouble; in its course once: time stands still for `told`. */
static bool is_new(struct telling *telling, const char *line)
{
    uint64_t untold;

    return telling->failures == 0 || repeats_tell(&telling->told, line, 0, &untold);
}

void telling_state(struct telling *telling, enum relay_state state)
{
    bool attempt = telling->failures > 0 && (state == RELAY_STARTING || state == RELAY_ACTIVE);

    if (state == telling->state || attempt)
        return;
    telling->state = state;
    if (is_new(telling, relay_state_name(state)))
        log_info("source %s: %s", telling->source, relay_state_name(state));
}

static void begin_trouble(struct telling *telling)
{
    if (telling->failures++ == 0)
        telling->since_us = monotonic_us();
}

void telling_failure(struct telling *telling, const struct error *e)
{
    char line[LINE_MAX_BYTES];

    begin_trouble(telling);
    telling->state = RELAY_BACKING_OFF;
    snprintf(line, sizeof line, "source %s: %s", telling->source, relay_state_name(RELAY_BACKING_OFF));
    if (is_new(telling, e->message))
        log_error(line, e);
}

void telling_setback(struct telling *telling, const char *what, const struct error *e)
{
    char line[LINE_MAX_BYTES];

    begin_trouble(telling);
    snprintf(line, sizeof line, "source %s: %s", telling->source, what);
    if (is_new(telling, e->message))
        log_error(line, e);
}

void telling_success(struct telling *telling)
{
    if (telling->failures == 0)
        return;
    log_info("source %s: %s, after %" PRIu64 " failures in %" PRId64 " s", telling->source,
        relay_state_name(RELAY_ACTIVE), telling->failures, (monotonic_us() - telling->since_us) / 1000000);
    telling->failures = 0;
    telling->state = RELAY_ACTIVE;
    telling->told = (struct repeats)REPEATS_INIT;
}

void telling_note(struct telling *telling, bool warning, const char *fmt, ...)
{
    char line[LINE_MAX_BYTES];
    va_list args;

    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    if (is_new(telling, line))
        log_write(warning ? LOG_WARN : LOG_INFO, "source %s: %s", telling->source, line);
}
