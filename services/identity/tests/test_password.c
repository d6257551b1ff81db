/* password: hashing. */
#include "../password.h"

#include <criterion/criterion.h>

Test(password, a_hash_matches_its_password_only)
{
    cr_assert_geq(sodium_init(), 0);
    char hash[PASSWORD_HASH_MAX], again[PASSWORD_HASH_MAX];
    struct error e = { 0 };
    cr_assert(password_hash("correct horse", hash, &e));
    cr_assert(password_hash("correct horse", again, &e));
    cr_expect_str_neq(hash, again, "each hash has a salt of its own");
    cr_expect(password_matches("correct horse", hash));
    cr_expect_not(password_matches("correct horsf", hash));
    cr_expect_not(password_matches("", hash));
    cr_expect_not(password_matches("correct horse", "not a hash"));
}

Test(password, the_hash_is_argon2id_with_19_mib_and_two_passes)
{
    cr_assert_geq(sodium_init(), 0);
    char hash[PASSWORD_HASH_MAX];
    struct error e = { 0 };
    cr_assert(password_hash("correct horse", hash, &e));
    const char wanted[] = "$argon2id$v=19$m=19456,t=2,p=1$";
    cr_expect_eq(strncmp(hash, wanted, strlen(wanted)), 0, "%s", hash);
}

Test(password, length_is_counted_in_bytes)
{
    static const struct {
        size_t len;
        bool good;
    } cases[] = { { 0, false }, { 7, false }, { 8, true }, { 128, true }, { 129, false } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[200] = "";
        memset(text, 'x', cases[i].len);
        struct error e = { 0 };
        cr_expect_eq(password_validate(text, &e), cases[i].good, "%zu bytes", cases[i].len);
        if (!cases[i].good) {
            cr_expect_eq(e.kind, ERROR_REFUSED);
            cr_expect_str_eq(e.field, "password");
        }
    }
}
