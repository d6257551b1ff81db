/* requests_parts.h -- what the readers of JSON bodies share (requests.c, requests_money.c). Each names the field in its
 * error. */
#pragma once

#include "../chassis/http.h"
#include "commands.h"

/* RFC 3339; 0 if absent. */
MUST_CHECK bool time_from_json(const json_t *json, const char *field, int64_t *ret_us, struct error *e);
/* A whole number within bounds. */
MUST_CHECK bool int_from_json(
    const json_t *json, const char *field, int64_t min, int64_t max, int64_t *ret_value, struct error *e);
MUST_CHECK bool array_from_json(
    const json_t *json, const char *field, size_t min, size_t max, const json_t **ret_array, struct error *e);

/* Transfers, journals and accounts (requests_money.c). */
bool read_transfer(const struct http_request *r, struct arena *arena, struct command *command, struct error *e);
bool read_transfers(const struct http_request *r, struct arena *arena, struct command *command, struct error *e);
bool read_journal(const struct http_request *r, struct arena *arena, struct command *command, struct error *e);
bool read_journals(const struct http_request *r, struct arena *arena, struct command *command, struct error *e);
bool read_post(const struct http_request *r, struct arena *arena, struct command *command, struct error *e);
bool read_void(const struct http_request *r, struct arena *arena, struct command *command, struct error *e);
bool read_reverse(const struct http_request *r, struct arena *arena, struct command *command, struct error *e);
bool read_approve(const struct http_request *r, struct arena *arena, struct command *command, struct error *e);
bool read_reject(const struct http_request *r, struct arena *arena, struct command *command, struct error *e);
bool read_proposal(const struct http_request *r, struct arena *arena, struct command *command, struct error *e);
bool read_account_change(const struct http_request *r, struct arena *arena, struct command *command, struct error *e);
