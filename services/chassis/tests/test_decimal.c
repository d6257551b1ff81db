/* decimal: strings ⇄ integers. */
#include "../decimal.h"

#include <criterion/criterion.h>

Test(decimal, parses_what_it_promises_and_nothing_else)
{
    static const struct {
        const char *text;
        unsigned scale;
        enum error_kind kind;
        int64_t minor;
    } cases[] = {
        { "0", 8, ERROR_NONE, 0 }, { "12.34", 8, ERROR_NONE, 1234000000 }, { "12.34", 2, ERROR_NONE, 1234 },
        { "007", 0, ERROR_NONE, 7 }, { "9223372036854775807", 0, ERROR_NONE, INT64_MAX },
        { "92233720368.54775807", 8, ERROR_NONE, INT64_MAX }, { "9.223372036854775807", 18, ERROR_NONE, INT64_MAX },
        { "0.000000000000000001", 18, ERROR_NONE, 1 }, { "9223372036854775808", 0, ERROR_REFUSED, 0 },
        { "92233720368.54775808", 8, ERROR_REFUSED, 0 }, { "10", 18, ERROR_REFUSED, 0 },
        { "99999999999999999999999999999999999999999999999999", 2, ERROR_REFUSED, 0 }, { "1.234", 2, ERROR_REFUSED, 0 },
        { "1.000", 2, ERROR_REFUSED, 0 }, { "1.0", 0, ERROR_REFUSED, 0 }, { "", 8, ERROR_INVALID, 0 },
        { ".", 8, ERROR_INVALID, 0 }, { ".5", 8, ERROR_INVALID, 0 }, { "5.", 8, ERROR_INVALID, 0 },
        { "1.2.3", 8, ERROR_INVALID, 0 }, { "-1", 8, ERROR_INVALID, 0 }, { "+1", 8, ERROR_INVALID, 0 },
        { "1e3", 8, ERROR_INVALID, 0 }, { "1,5", 8, ERROR_INVALID, 0 }, { "1 000", 8, ERROR_INVALID, 0 },
        { " 1", 8, ERROR_INVALID, 0 }, { "1\n", 8, ERROR_INVALID, 0 }, { "0x10", 8, ERROR_INVALID, 0 },
        { "NaN", 8, ERROR_INVALID, 0 }, { "\xd9\xa1", 8, ERROR_INVALID, 0 }, /* an Arabic-Indic one */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t minor = -1;
        struct error e = { 0 };
        bool parsed = decimal_parse(cases[i].text, cases[i].scale, "amount", &minor, &e);
        cr_expect_eq(parsed, cases[i].kind == ERROR_NONE, "\"%s\"", cases[i].text);
        cr_expect_eq(e.kind, cases[i].kind, "\"%s\": kind %d", cases[i].text, (int)e.kind);
        cr_expect_eq(minor, parsed ? cases[i].minor : -1, "\"%s\"", cases[i].text);
        if (!parsed)
            cr_expect_str_eq(e.field, "amount");
    }
}

Test(decimal, formats_without_loss)
{
    static const struct {
        int64_t minor;
        unsigned scale, min_decimals;
        const char *text;
    } cases[] = {
        { 0, 0, 0, "0" },
        { 0, 8, 0, "0" },
        { 0, 8, 2, "0.00" },
        { 1234000000, 8, 0, "12.34" },
        { 1234000000, 8, 4, "12.3400" },
        { 1200000000, 8, 0, "12" },
        { 1, 8, 2, "0.00000001" },
        { 100, 2, 5, "1.00" },
        { -5, 2, 0, "-0.05" },
        { INT64_MAX, 8, 0, "92233720368.54775807" },
        { INT64_MIN, 0, 0, "-9223372036854775808" },
        { INT64_MIN, 18, 18, "-9.223372036854775808" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[DECIMAL_TEXT_MAX];
        cr_expect_str_eq(decimal_format(cases[i].minor, cases[i].scale, cases[i].min_decimals, text), cases[i].text);
    }
}

Test(decimal, what_is_formatted_parses_back)
{
    uint64_t seed = 42;
    for (int i = 0; i < 10000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        int64_t minor = (int64_t)(seed >> (1 + i % 60));
        unsigned scale = (unsigned)(seed % (DECIMAL_SCALE_MAX + 1));
        char text[DECIMAL_TEXT_MAX];
        int64_t back = -1;
        struct error e = { 0 };
        bool parsed = decimal_parse(decimal_format(minor, scale, 0, text), scale, "f", &back, &e);
        if (!parsed || back != minor)
            cr_assert_fail("%s at scale %u", text, scale);
    }
}
