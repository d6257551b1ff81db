/* requests.h -- HTTP's JSON as commands. Pure but for the arena. */
#pragma once

#include "../chassis/http.h"
#include "commands.h"

/* Whether the token is an operator's or an admin's: a word of its scope. */
bool claims_operator(const struct jwt_claims *claims);

/* The command that a call to one of the batched routes asks for. Texts are borrowed from the request. Errors: INVALID,
 * NOT_FOUND, each with its field. */
MUST_CHECK bool command_from_request(
    const struct http_request *request, struct arena *arena, struct command *command, struct error *e);
