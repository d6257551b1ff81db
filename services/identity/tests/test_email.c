/* email: what is an address. */
#include "../email.h"

#include <criterion/criterion.h>

#define A61 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A63 A61 "aa"
#define A64 A63 "a"

Test(email, takes_addresses_and_lowers_them)
{
    static const struct {
        const char *text, *email;
    } cases[] = {
        { "anna@example.com", "anna@example.com" }, { "Anna.Smith+Tag@Example.COM", "anna.smith+tag@example.com" },
        { "a@localhost", "a@localhost" }, { "1@2.3", "1@2.3" },
        { "o'neil_{x}~@ex-ample.org", "o'neil_{x}~@ex-ample.org" },
        { A64 "@" A63 "." A63 "." A61, A64 "@" A63 "." A63 "." A61 }, /* 254 bytes */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char email[EMAIL_MAX + 1] = "";
        struct error e = { 0 };
        cr_expect(email_normalise(cases[i].text, email, &e), "%s", cases[i].text);
        cr_expect_str_eq(email, cases[i].email);
    }
}

Test(email, refuses_all_else)
{
    static const char *const cases[] = {
        "", "@", "anna", "anna@", "@example.com", "anna@@example.com", "anna@exa@mple.com", "an na@example.com",
        " anna@example.com", "anna@example.com ", "anna@example.com\n", "anna@.com", "anna@example.",
        "anna@example..com", "anna@-example.com", "anna@example-.com", "anna@exa_mple.com", "anna@[127.0.0.1]",
        "\"anna\"@example.com", "anna<x>@example.com", "änna@example.com", A64 "a@example.com", "a@" A64 ".com",
        A64 "@" A63 "." A63 "." A61 "a", /* 255 bytes */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char email[EMAIL_MAX + 1] = "untouched";
        struct error e = { 0 };
        cr_expect_not(email_normalise(cases[i], email, &e), "%s", cases[i]);
        cr_expect_eq(e.kind, ERROR_REFUSED);
        cr_expect_str_eq(e.problem, "invalid-email");
        cr_expect_str_eq(e.field, "email");
        cr_expect_str_eq(email, "untouched");
    }
}
