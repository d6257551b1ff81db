#include "password.h"

enum { PASSES = 2, MEMORY_BYTES = 19 * 1024 * 1024 };

bool password_validate(const char *password, struct error *e)
{
    size_t len = strlen(password);
    if (len < PASSWORD_MIN || len > PASSWORD_MAX)
        return error_field(e, ERROR_REFUSED, "invalid-password", "password", "password must have %d to %d bytes",
            PASSWORD_MIN, PASSWORD_MAX);
    return true;
}

bool password_hash(const char *password, char ret_hash[PASSWORD_HASH_MAX], struct error *e)
{
    if (crypto_pwhash_str(ret_hash, password, strlen(password), PASSES, MEMORY_BYTES) != 0)
        return error_set(e, ERROR_TRANSIENT, "no memory to hash a password");
    return true;
}

bool password_matches(const char *password, const char *hash)
{
    return crypto_pwhash_str_verify(hash, password, strlen(password)) == 0;
}
