/* What handlers read of a request, and what is checked before they see it. */
#include "../call.h"

#include <criterion/criterion.h>

Test(request, fields_of_a_body_are_read_or_named_in_the_error)
{
    json_t *body = json_loads("{\"s\": \"text\", \"n\": 5, \"z\": null, \"b\": true}", 0, NULL);
    const char *text = NULL;
    bool flag = false;
    struct error e = { 0 };
    cr_assert(json_get_string(body, "s", &text, &e));
    cr_assert_str_eq(text, "text");
    const struct {
        const char *field, *problem;
    } cases[] = { { "n", "wrong-type" }, { "z", "missing-field" }, { "absent", "missing-field" } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cr_expect_not(json_get_string(body, cases[i].field, &text, &e));
        cr_expect_eq(e.kind, ERROR_INVALID);
        cr_expect_str_eq(e.problem, cases[i].problem);
        cr_expect_str_eq(e.field, cases[i].field);
    }
    cr_assert(json_opt_string(body, "absent", "fallback", &text, &e));
    cr_assert_str_eq(text, "fallback");
    cr_assert(json_opt_string(body, "z", "fallback", &text, &e));
    cr_assert_str_eq(text, "fallback");
    cr_assert_not(json_opt_string(body, "n", "fallback", &text, &e));
    cr_assert(json_opt_bool(body, "b", false, &flag, &e) && flag);
    cr_assert(json_opt_bool(body, "absent", true, &flag, &e) && flag);
    cr_assert_not(json_opt_bool(body, "s", true, &flag, &e));
    json_decref(body);
}

Test(request, a_64_bit_integer_travels_as_a_string)
{
    json_t *body =
        json_loads("{\"most\": \"9223372036854775807\", \"least\": \"-9223372036854775808\", \"more\": "
                   "\"9223372036854775808\", \"tail\": \"5x\", \"empty\": \"\", \"space\": \" 5\", \"n\": 5}",
            0, NULL);
    const struct {
        const char *field;
        int64_t value;
    } cases[] = { { "most", INT64_MAX }, { "least", INT64_MIN }, { "more", 0 }, { "tail", 0 }, { "empty", 0 },
        { "space", 0 }, { "n", 0 }, { "absent", 0 } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        cr_expect_eq(json_int64(body, cases[i].field), cases[i].value, "%s", cases[i].field);
    json_decref(body);
}

Test(request, an_unknown_field_is_named)
{
    static const char *const known[] = { "a", "b", NULL };
    json_t *good = json_loads("{\"a\": 1, \"b\": 2}", 0, NULL);
    json_t *bad = json_loads("{\"a\": 1, \"c\": 2}", 0, NULL);
    struct error e = { 0 };
    cr_assert(json_only_fields(good, known, &e));
    cr_assert_not(json_only_fields(bad, known, &e));
    cr_assert_str_eq(e.field, "c");
    json_decref(good);
    json_decref(bad);
}

Test(request, query_values_are_decoded)
{
    const struct {
        const char *query, *name, *value; /* NULL: absent */
    } cases[] = {
        { "a=1&b=2", "b", "2" },
        { "a=1&a=2", "a", "1" },
        { "a=1", "b", NULL },
        { "", "a", NULL },
        { "a", "a", "" },
        { "a=", "a", "" },
        { "a=x%26y+z%3D", "a", "x&y z=" },
        { "%61=1", "a", "1" },
        { "ab=1", "a", NULL },
        { "a=%", "a", NULL },
        { "a=%zz", "a", NULL },
        { "a=%00", "a", NULL },
        { "a=0123456789", "a", NULL }, /* longer than the caller's room */
        { "&&a=1&", "a", "1" },
        { "a=b=c", "a", "b=c" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char value[8] = "";
        const bool found = query_get(cases[i].query, cases[i].name, value, sizeof value);
        cr_expect_eq(found, cases[i].value != NULL, "%s", cases[i].query);
        if (found && cases[i].value)
            cr_expect_str_eq(value, cases[i].value, "%s", cases[i].query);
    }
}

Test(request, a_query_number_is_whole_and_in_range)
{
    const struct {
        const char *query;
        bool good;
        int64_t value;
    } cases[] = {
        { "", true, 10 },
        { "limit=1", true, 1 },
        { "limit=100", true, 100 },
        { "limit=101", false, 0 },
        { "limit=0", false, 0 },
        { "limit=-5", false, 0 },
        { "limit=", false, 0 },
        { "limit=5x", false, 0 },
        { "limit=%205", false, 0 },
        { "limit=%2B5", false, 0 },
        { "limit=1e1", false, 0 },
        { "limit=99999999999999999999", false, 0 },
        { "limit=000000000000000000000000000000000000000005", false, 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t value = 0;
        struct error e = { 0 };
        cr_expect_eq(query_int(cases[i].query, "limit", 10, 1, 100, &value, &e), cases[i].good, "%s", cases[i].query);
        if (cases[i].good)
            cr_expect_eq(value, cases[i].value, "%s", cases[i].query);
        else
            cr_expect_str_eq(e.field, "limit");
    }
}

Test(request, an_id_that_cannot_be_is_not_found)
{
    static const char *const bad[] = { "", "0", "-1", "+1", " 1", "1 ", "1x", "x", "01", "9223372036854775808",
        "18446744073709551616" };
    uint64_t id = 0;
    struct error e = { 0 };
    cr_assert(parse_id("9223372036854775807", "id", &id, &e));
    cr_assert_eq(id, INT64_MAX);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        cr_expect_not(parse_id(bad[i], "id", &id, &e), "%s", bad[i]);
        cr_expect_eq(e.kind, ERROR_NOT_FOUND, "%s", bad[i]);
    }
}

Test(request, json_is_bounded_in_depth_before_it_is_parsed)
{
    char text[CALL_JSON_DEPTH_MAX + 2];
    struct error e = { 0 };
    memset(text, '[', sizeof text);
    cr_assert(call_check_json_depth((struct bytes){ text, CALL_JSON_DEPTH_MAX }, &e));
    cr_assert_not(call_check_json_depth((struct bytes){ text, CALL_JSON_DEPTH_MAX + 1 }, &e));
    cr_assert_str_eq(e.problem, "malformed-json");
    static const char quoted[] = "{\"[[[[[[[[[[[[[[[[[[[[\": \"\\\"[[[[[[[[[[[[[[[[[[[[[[\"}";
    cr_assert(call_check_json_depth((struct bytes){ quoted, sizeof quoted - 1 }, &e));
    static const char wide[] = "[[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[]]";
    cr_assert(call_check_json_depth((struct bytes){ wide, sizeof wide - 1 }, &e));
}

Test(request, an_idempotency_key_is_there_when_needed_short_and_printable)
{
    char longest[CALL_KEY_MAX + 2];
    struct error e = { 0 };
    memset(longest, 'k', sizeof longest);
    longest[CALL_KEY_MAX + 1] = '\0';
    cr_assert(call_check_key("", false, &e));
    cr_assert_not(call_check_key("", true, &e));
    cr_assert_str_eq(e.problem, "idempotency-key-missing");
    cr_assert_not(call_check_key(longest, true, &e));
    longest[CALL_KEY_MAX] = '\0';
    cr_assert(call_check_key(longest, true, &e));
    cr_assert_not(call_check_key("tab\there", true, &e));
    cr_assert_not(call_check_key("\xc3\xa4", false, &e));
}
