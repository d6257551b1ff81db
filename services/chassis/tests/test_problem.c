/* Errors as HTTP answers. */
#include "../http.h"

#include <criterion/criterion.h>

Test(problem, each_kind_has_its_status_and_some_problems_their_own)
{
    const struct {
        enum error_kind kind;
        const char *problem;
        int status;
    } cases[] = {
        { ERROR_INVALID, "", 400 },
        { ERROR_UNAUTHENTICATED, "", 401 },
        { ERROR_DENIED, "", 403 },
        { ERROR_NOT_FOUND, "", 404 },
        { ERROR_CONFLICT, "", 409 },
        { ERROR_REFUSED, "", 422 },
        { ERROR_TRANSIENT, "", 503 },
        { ERROR_FATAL, "", 500 },
        { ERROR_REFUSED, "insufficient-funds", 422 },
        { ERROR_REFUSED, "a-problem-the-table-does-not-know", 422 },
        { ERROR_INVALID, "body-too-large", 413 },
        { ERROR_INVALID, "idempotency-key-missing", 400 },
        { ERROR_REFUSED, "idempotency-key-reused", 422 },
        { ERROR_CONFLICT, "request-in-flight", 409 },
        { ERROR_REFUSED, "client-order-id-reused", 409 },
        { ERROR_REFUSED, "funding-disabled", 403 },
        { ERROR_REFUSED, "rate-limited", 429 },
        { ERROR_REFUSED, "wrong-credentials", 401 },
        { ERROR_TRANSIENT, "upstream-timeout", 504 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error e = { 0 };
        error_field(&e, cases[i].kind, cases[i].problem, "", "no");
        cr_expect_eq(http_status(&e), cases[i].status, "%d %s", (int)cases[i].kind, cases[i].problem);
    }
}

Test(problem, the_answer_names_type_field_and_trace)
{
    struct error e = { 0 };
    struct trace trace;
    char id[33];
    trace_new(&trace);
    trace_id(&trace, id);
    error_field(&e, ERROR_REFUSED, "insufficient-funds", "amount", "available: 5.00");
    json_t *problem = http_problem(&e, &trace);
    cr_expect_str_eq(json_string_value(json_object_get(problem, "type")), "urn:penstock:problem:insufficient-funds");
    cr_expect_str_eq(json_string_value(json_object_get(problem, "detail")), "available: 5.00");
    cr_expect_str_eq(json_string_value(json_object_get(problem, "field")), "amount");
    cr_expect_str_eq(json_string_value(json_object_get(problem, "trace_id")), id);
    cr_expect_eq(json_integer_value(json_object_get(problem, "status")), 422);
    cr_expect(json_is_string(json_object_get(problem, "title")));
    json_decref(problem);
}

Test(problem, bytes_of_a_client_that_are_not_text_are_left_out)
{
    struct error e = { 0 };
    error_field(&e, ERROR_INVALID, "", "x", "bad: \xff\xfe");
    json_t *problem = http_problem(&e, NULL);
    char *text = json_dumps(problem, 0);
    cr_assert_not_null(text);
    cr_expect_null(json_object_get(problem, "detail"));
    free(text);
    json_decref(problem);
}
