/* admin.h -- the relay's HTTP interface for those who run it; what it changes only from the machine itself (loopback).
 * What is asked is stored in the source's database (control.h), so it reaches whichever relay is the active one. */
#pragma once

#include "relay.h"
#include "service.h"
#include "settings.h"

/* The service's state. */
struct relays {
    const struct relay_settings *settings;
    const struct kafka_options *kafka;
    struct relay_sources sources;
    struct relay_options options[RELAY_SOURCES_MAX];
    struct relay *relays[RELAY_SOURCES_MAX];
};

extern const struct http_route admin_routes[];
