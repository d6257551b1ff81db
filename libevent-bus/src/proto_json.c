#include <event_bus/proto_json.h>

#include "text.h"

#include <math.h>
#include <stdio.h>

enum { INTEGER_TEXT_MAX = 24 };

static json_t *text_to_json(const char *text)
{
    json_t *json = json_string(text ? text : "");

    if (json)
        return json;

    CLEANUP(xfree) char *scrubbed = xstrdup(text);

    text_scrub(scrubbed);
    return json_string(scrubbed);
}

static json_t *integer_to_json(bool is_signed, uint64_t bits)
{
    char text[INTEGER_TEXT_MAX];

    if (is_signed)
        snprintf(text, sizeof text, "%lld", (long long)bits);
    else
        snprintf(text, sizeof text, "%llu", (unsigned long long)bits);
    return json_string(text);
}

static json_t *real_to_json(double value)
{
    if (isnan(value))
        return json_string("NaN");
    if (isinf(value))
        return json_string(value > 0 ? "Infinity" : "-Infinity");
    return json_real(value);
}

static json_t *bytes_to_json(const ProtobufCBinaryData *bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    CLEANUP(xfree) char *text = xmalloc((bytes->len + 2) / 3 * 4 + 1);
    char *out = text;

    for (size_t i = 0; i < bytes->len; i += 3) {
        size_t rest = bytes->len - i;
        uint32_t triple = (uint32_t)bytes->data[i] << 16;

        if (rest > 1)
            triple |= (uint32_t)bytes->data[i + 1] << 8;
        if (rest > 2)
            triple |= bytes->data[i + 2];
        *out++ = digits[triple >> 18];
        *out++ = digits[triple >> 12 & 63];
        *out++ = rest > 1 ? digits[triple >> 6 & 63] : '=';
        *out++ = rest > 2 ? digits[triple & 63] : '=';
    }
    *out = '\0';
    return json_string(text);
}

/* By name; a number that this program's contracts do not name yet stays a number. */
static json_t *enum_to_json(const ProtobufCEnumDescriptor *descriptor, int value)
{
    const ProtobufCEnumValue *named = protobuf_c_enum_descriptor_get_value(descriptor, value);

    return named ? json_string(named->name) : json_integer(value);
}

/* element: where the value lies in the struct; NULL result: a message that is not there. */
static json_t *element_to_json(const ProtobufCFieldDescriptor *field, const void *element)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return json_integer(*(const int32_t *)element);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return json_integer(*(const uint32_t *)element);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return integer_to_json(true, *(const uint64_t *)element);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return integer_to_json(false, *(const uint64_t *)element);
    case PROTOBUF_C_TYPE_FLOAT:
        return real_to_json((double)*(const float *)element);
    case PROTOBUF_C_TYPE_DOUBLE:
        return real_to_json(*(const double *)element);
    case PROTOBUF_C_TYPE_BOOL:
        return json_boolean(*(const protobuf_c_boolean *)element);
    case PROTOBUF_C_TYPE_ENUM:
        return enum_to_json(field->descriptor, *(const int *)element);
    case PROTOBUF_C_TYPE_STRING:
        return text_to_json(*(char *const *)element);
    case PROTOBUF_C_TYPE_BYTES:
        return bytes_to_json(element);
    case PROTOBUF_C_TYPE_MESSAGE: {
        const ProtobufCMessage *nested = *(ProtobufCMessage *const *)element;

        return nested ? proto_to_json(nested) : NULL;
    }
    }
    return NULL;
}

static size_t element_size(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    default:
        return 4;
    }
}

static json_t *field_to_json(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    const char *base = (const char *)message;
    const void *quantifier = base + field->quantifier_offset;

    if (field->label != PROTOBUF_C_LABEL_REPEATED) {
        bool other_of_oneof =
            (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 && *(const uint32_t *)quantifier != field->id;

        return other_of_oneof ? NULL : element_to_json(field, base + field->offset);
    }

    json_t *list = json_array();
    const char *elements = *(char *const *)(const void *)(base + field->offset);

    for (size_t i = 0; i < *(const size_t *)quantifier; i++)
        json_array_append_new(list, element_to_json(field, elements + i * element_size(field->type)));
    return list;
}

json_t *proto_to_json(const ProtobufCMessage *message)
{
    json_t *object = json_object();

    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        json_t *value = field_to_json(message, field);

        if (value)
            json_object_set_new(object, field->name, value);
    }
    return object;
}

const ProtobufCMessageDescriptor *proto_find(const ProtobufCMessageDescriptor *const *registry, const char *full_name)
{
    for (; *registry; registry++) {
        if (strcmp((*registry)->name, full_name) == 0)
            return *registry;
    }
    return NULL;
}
