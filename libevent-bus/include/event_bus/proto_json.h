/* proto_json.h -- a protobuf message as JSON by its descriptor: proto3 JSON mapping (64-bit integers as strings, bytes
 * as base64, enums by name, defaults included; fields keep their .proto names, as that mapping allows). For humans and
 * tools. Any thread. */
#pragma once

#include "error.h"

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

EB_API json_t *proto_to_json(const ProtobufCMessage *message); /* the caller's (json_decref); never NULL */

/* Messages by full name, so that any topic can be decoded. `registry` is NULL-terminated. */
EB_API const ProtobufCMessageDescriptor *proto_find(
    const ProtobufCMessageDescriptor *const *registry, const char *full_name); /* NULL: unknown */
