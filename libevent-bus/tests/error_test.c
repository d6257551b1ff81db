#include <event_bus/error.h>

#include <criterion/criterion.h>
#include <errno.h>

Test(error, setting_always_returns_false_and_fills_every_part)
{
    struct error e = { .code = 5, .problem = "old", .field = "old" };
    cr_assert_not(error_set(&e, ERROR_TRANSIENT, "no answer from %s", "kafka"));
    cr_assert(error_is(&e, ERROR_TRANSIENT));
    cr_assert_str_eq(e.message, "no answer from kafka");
    cr_assert_eq(e.code, 0);
    cr_assert_str_eq(e.problem, "");
    cr_assert_str_eq(e.field, "");

    cr_assert_not(error_field(&e, ERROR_REFUSED, "invalid-price", "price", "%d is too many", 9));
    cr_assert(error_is(&e, ERROR_REFUSED));
    cr_assert_str_eq(e.problem, "invalid-price");
    cr_assert_str_eq(e.field, "price");
    cr_assert_str_eq(e.message, "9 is too many");

    error_clear(&e);
    cr_assert(error_is(&e, ERROR_NONE));
}

Test(error, a_null_problem_or_field_reads_as_empty)
{
    struct error e = { .problem = "old", .field = "old" };
    error_field(&e, ERROR_INVALID, NULL, NULL, "bad");
    cr_assert_str_eq(e.problem, "");
    cr_assert_str_eq(e.field, "");
}

Test(error, a_message_may_be_built_from_itself)
{
    struct error e = { 0 };
    error_set(&e, ERROR_FATAL, "disk full");
    error_set(&e, ERROR_FATAL, "writing the snapshot: %s", e.message);
    cr_assert_str_eq(e.message, "writing the snapshot: disk full");
}

Test(error, a_long_message_is_cut_on_a_whole_character)
{
    for (int pad = 0; pad < 4; pad++) {
        char text[400] = "";
        memset(text, 'x', (size_t)pad);
        while (strlen(text) < 300)
            strcat(text, "\u20ac");
        struct error e = { 0 };
        error_set(&e, ERROR_INVALID, "%s", text);
        size_t len = strlen(e.message);
        cr_assert_lt(len, sizeof e.message);
        cr_assert_geq(len, sizeof e.message - 4);
        cr_assert_eq((len - (size_t)pad) % 3, 0, "%zu bytes after %d of padding", len, pad);
    }
    struct error e = { 0 };
    error_field(&e, ERROR_INVALID, "p", "a field whose name goes on and on, far beyond what anyone needs", "m");
    cr_assert_eq(strlen(e.field), sizeof e.field - 1);
}

Test(error, every_kind_has_a_name)
{
    for (int kind = ERROR_NONE; kind <= ERROR_FATAL; kind++)
        cr_assert_str_neq(error_kind_name((enum error_kind)kind), "unknown");
    cr_assert_str_eq(error_kind_name(ERROR_NOT_FOUND), "not-found");
    cr_assert_str_eq(error_kind_name((enum error_kind)99), "unknown");
}
