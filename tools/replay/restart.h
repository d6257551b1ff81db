/* restart.h -- an engine taken down and made anew from its state, as a snapshot does it, but in memory. */
#pragma once

#include "engine_core.h"

/* A new engine with everything that `engine` has; NULL, after a line on standard error, if it was refused. `engine` is
 * flushed and stays the caller's. */
struct engine *restart_copy(struct engine *engine, const struct engine_options *options);
