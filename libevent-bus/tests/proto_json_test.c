#include <event_bus/proto_json.h>

#include "ledger_v1.pb-c.h"
#include "orders_v1.pb-c.h"
#include "registry.h"

#include "../src/text.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* The contract grows: what comes behind is another test's. */
static void expect_json_begins(json_t *json, const char *expected)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_PRESERVE_ORDER);

    cr_expect_eq(strncmp(text, expected, strlen(expected)), 0, "%s", text);
    free(text);
    json_decref(json);
}

static void expect_json(json_t *json, const char *expected)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_PRESERVE_ORDER);

    cr_expect_str_eq(text, expected);
    free(text);
    json_decref(json);
}

Test(proto_json, long_integers_are_strings_and_enums_are_names)
{
    Penstock__Orders__V1__PlaceOrder order = PENSTOCK__ORDERS__V1__PLACE_ORDER__INIT;

    order.client_id = UINT64_MAX;
    order.symbol = "BTC-USD";
    order.side = PENSTOCK__ORDERS__V1__SIDE__SIDE_BUY;
    order.type = 99;
    order.price = "1.50";
    order.quantity = "a\"b";
    order.post_only = true;
    expect_json_begins(proto_to_json(&order.base),
        "{\"client_id\":\"18446744073709551615\",\"symbol\":\"BTC-USD\",\"side\":\"SIDE_BUY\",\"type\":99,"
        "\"price\":\"1.50\",\"quantity\":\"a\\\"b\",\"time_in_force\":\"TIME_IN_FORCE_UNSPECIFIED\","
        "\"post_only\":true,\"client_order_id\":\"\"");
}

Test(proto_json, only_the_chosen_member_of_a_oneof_is_shown)
{
    Penstock__Orders__V1__CancelOrder cancel = PENSTOCK__ORDERS__V1__CANCEL_ORDER__INIT;

    expect_json(proto_to_json(&cancel.base), "{\"client_id\":\"0\"}");
    cancel.target_case = PENSTOCK__ORDERS__V1__CANCEL_ORDER__TARGET_ORDER_ID;
    cancel.order_id = 5;
    expect_json(proto_to_json(&cancel.base), "{\"client_id\":\"0\",\"order_id\":\"5\"}");
}

Test(proto_json, text_that_is_not_utf8_is_scrubbed)
{
    Penstock__Orders__V1__TimeTicked tick = PENSTOCK__ORDERS__V1__TIME_TICKED__INIT;

    tick.symbol = "B\xffT";
    tick.now_us = INT64_MIN;
    expect_json(proto_to_json(&tick.base), "{\"symbol\":\"B?T\",\"now_us\":\"-9223372036854775808\"}");
}

/* Every message a topic may carry, as it is when all is unset, and what is nested in it. */
Test(proto_json, every_registered_message_becomes_an_object)
{
    for (size_t i = 0; proto_registry[i]; i++) {
        ProtobufCMessage *message = protobuf_c_message_unpack(proto_registry[i], NULL, 0, NULL);
        json_t *json = proto_to_json(message);

        cr_expect(json_is_object(json) && json_object_size(json) > 0, "%s", proto_registry[i]->name);
        cr_expect_eq(proto_find(proto_registry, proto_registry[i]->name), proto_registry[i]);
        json_decref(json);
        protobuf_c_message_free_unpacked(message, NULL);
    }
    cr_expect_null(proto_find(proto_registry, "penstock.orders.v1.Nothing"));
}

static const struct {
    const char *text;
    bool utf8, clean;
    const char *scrubbed;
} texts[] = {
    { "", true, true, "" },
    { "plain", true, true, "plain" },
    { "gr\xc3\xbc\xc3\x9f", true, true, "gr\xc3\xbc\xc3\x9f" },
    { "\xf0\x9f\x92\xb0", true, true, "\xf0\x9f\x92\xb0" },
    { "tab\t", true, false, "tab?" },
    { "\x7f", true, false, "?" },
    { "\xff", false, false, "?" },
    { "\xc3", false, false, "?" },
    { "\x80x", false, false, "?x" },
    { "\xc0\xaf", false, false, "??" },
    { "\xed\xa0\x80", false, false, "???" },
    { "\xf4\x90\x80\x80", false, false, "????" },
};

Test(text, utf8_is_told_from_what_only_looks_like_it)
{
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        CLEANUP(xfree) char *copy = xstrdup(texts[i].text);

        cr_expect_eq(text_is_utf8(copy, strlen(copy)), texts[i].utf8, "case %zu", i);
        cr_expect_eq(text_is_clean(copy, strlen(copy)), texts[i].clean, "case %zu", i);
        text_scrub(copy);
        cr_expect_str_eq(copy, texts[i].scrubbed, "case %zu", i);
    }
    cr_expect_not(text_is_utf8("a\0b", 3));
}
