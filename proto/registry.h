/* registry.h -- every message type that travels on a topic, by descriptor, NULL-terminated; see proto_find(). */
#pragma once

#include <protobuf-c/protobuf-c.h>

extern const ProtobufCMessageDescriptor *const proto_registry[];
