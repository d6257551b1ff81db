/* events.h -- facts of this service → outbox. */
#pragma once

#include "store.h"

#include <event_bus/outbox.h>

/* identity.users.v1: no personal data, the log is kept for ever. */
void events_user_signed_up(struct outbox *outbox, const struct user *user, const char *traceparent);
