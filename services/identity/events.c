#include "events.h"

#include <identity_v1.pb-c.h>
#include <inttypes.h>
#include <stdio.h>

void events_user_signed_up(struct outbox *outbox, const struct user *user, const char *traceparent)
{
    Penstock__Identity__V1__UserSignedUp event = PENSTOCK__IDENTITY__V1__USER_SIGNED_UP__INIT;
    event.user_id = (uint64_t)user->id;
    event.signed_up_at_us = user->created_at_us;
    char key[24];
    (void)snprintf(key, sizeof key, "%" PRId64, user->id);
    outbox_add(outbox, "identity.users.v1", key, &event.base, traceparent);
}
