/* commands.h -- an event of orders.accepted.v1 → a command for the core. Any thread that owns the engine. */
#pragma once

#include "engine_core.h"

#include <event_bus/event.h>

/* An event that is decoded, not yet done. Borrowed from the event and the arena. */
struct command {
    const struct event *event;
    ProtobufCMessage *message;
    size_t kind; /* in the table of commands.c */
};

/* In the arena's memory; arena_clear() is the caller's. Errors: INVALID (malformed, or no command of the engine). */
MUST_CHECK bool commands_decode(
    struct arena *arena, const struct event *event, struct command *ret_command, struct error *e);

/* Lets the engine do it. false: *e is REFUSED (breaks a rule of the contract), with the field; then nothing happened,
 * and the event belongs into the dead letters. */
MUST_CHECK bool commands_do(struct engine *engine, const struct command *command, struct error *e);

/* Both; clears the arena. */
MUST_CHECK bool commands_apply(
    struct engine *engine, struct arena *scratch, const struct event *event, struct error *e);
