/* requests.h -- HTTP's JSON as commands. Pure but for the arena. */
#pragma once

#include "../chassis/http.h"
#include "commands.h"

/* The command that a call to one of the batched routes asks for. Texts are borrowed from the request. Errors: INVALID,
 * NOT_FOUND, each with its field. */
MUST_CHECK bool command_from_request(
    const struct http_request *request, struct arena *arena, struct command *command, struct error *e);
