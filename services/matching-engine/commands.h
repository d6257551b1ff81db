/* commands.h -- an event of orders.accepted.v1 → a command for the core. Any thread that owns the engine. */
#pragma once

#include "engine_core.h"

#include <event_bus/event.h>

/* Decodes the event in `scratch` (and clears that) and lets the engine do it. false: *e is INVALID (malformed) or
 * REFUSED (breaks a rule of the contract), with the field; then nothing happened, and the event belongs into the dead
 * letters. */
MUST_CHECK bool commands_apply(
    struct engine *engine, struct arena *scratch, const struct event *event, struct error *e);
