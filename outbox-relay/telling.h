/* telling.h -- what the log says of a source: a line for each change of its state. Attempts to begin anew are part of
 * the trouble they want to end: while it lasts each state and each reason is told once, and its end with the number of
 * failures. One thread. */
#pragma once

#include "relay.h"

#include <event_bus/repeats.h>

struct telling {
    const char *source;
    enum relay_state state; /* the one told last */
    uint64_t failures;      /* of the present trouble; 0: there is none */
    int64_t since_us;       /* monotonic: its begin */
    struct repeats told;    /* in its course */
};
#define TELLING_INIT(name)                                                                                             \
    {                                                                                                                  \
        .source = (name), .told = REPEATS_INIT                                                                         \
    }

void telling_state(struct telling *telling, enum relay_state state);

/* The source starts over because of e: that is the state "backing off". */
void telling_failure(struct telling *telling, const struct error *e);

/* It failed, and goes on as it is: what, and why. */
void telling_setback(struct telling *telling, const char *what, const struct error *e);

/* Something was published, or there is nothing to publish: whatever trouble there was is over. */
void telling_success(struct telling *telling);

/* Anything else; in trouble once. */
void telling_note(struct telling *telling, bool warning, const char *fmt, ...) PRINTF(3, 4);
