/* users.h -- fresh users with plenty of money, made through the public API. With a path, those that a run before this
 * one wrote there are used again, as long as their tokens last, and new ones are added. */
#pragma once

#include <event_bus/error.h>

struct users;

MUST_CHECK bool users_open(
    const char *host, const char *port, size_t count, const char *path, struct users **ret, struct error *e);
void users_free(struct users *users);
DEFINE_CLEANUP(struct users *, users_free)
const char *users_token(const struct users *users, size_t index);
uint64_t users_id(const struct users *users, size_t index);
