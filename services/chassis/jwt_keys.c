#include "jwt_keys.h"

#include "base64url.h"

#include <jansson.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>

DEFINE_CLEANUP(OSSL_PARAM_BLD *, OSSL_PARAM_BLD_free)
DEFINE_CLEANUP(OSSL_PARAM *, OSSL_PARAM_free)
DEFINE_CLEANUP(EVP_PKEY_CTX *, EVP_PKEY_CTX_free)

/* Builds the key and lets OpenSSL check that the point is on the curve. */
static EVP_PKEY *key_from_point(const uint8_t *x, const uint8_t *y)
{
    uint8_t point[1 + 2 * JWT_COORDINATE_LEN] = { 0x04 }; /* uncompressed */
    memcpy(point + 1, x, JWT_COORDINATE_LEN);
    memcpy(point + 1 + JWT_COORDINATE_LEN, y, JWT_COORDINATE_LEN);
    CLEANUP(OSSL_PARAM_BLD_free) OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    if (!builder || !OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) ||
        !OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point))
        return NULL;
    CLEANUP(OSSL_PARAM_free) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    CLEANUP(EVP_PKEY_CTX_free) EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *pkey = NULL;
    if (!params || !context || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
        return NULL;
    CLEANUP(EVP_PKEY_CTX_free) EVP_PKEY_CTX *check = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    if (!check || EVP_PKEY_public_check(check) != 1) {
        EVP_PKEY_free(pkey);
        return NULL;
    }
    return pkey;
}

static bool has_text(const json_t *object, const char *field, const char *wanted)
{
    const char *text = json_string_value(json_object_get(object, field));
    return text && strcmp(text, wanted) == 0;
}

static bool is_usable(const json_t *item)
{
    return has_text(item, "kty", "EC") && has_text(item, "crv", "P-256") &&
           (!json_object_get(item, "alg") || has_text(item, "alg", "ES256")) &&
           (!json_object_get(item, "use") || has_text(item, "use", "sig"));
}

static bool read_coordinate(const json_t *item, const char *field, uint8_t ret[JWT_COORDINATE_LEN], struct error *e)
{
    const json_t *text = json_object_get(item, field);
    size_t len = 0;
    if (!json_is_string(text) ||
        !base64url_decode(json_string_value(text), json_string_length(text), ret, JWT_COORDINATE_LEN, &len) ||
        len != JWT_COORDINATE_LEN)
        return error_field(e, ERROR_INVALID, "", field, "a P-256 key needs %s of 32 bytes in base64url", field);
    return true;
}

static bool keys_add(struct jwt_keys *keys, const json_t *item, struct error *e)
{
    const json_t *kid = json_object_get(item, "kid");
    size_t kid_len = json_string_length(kid);
    if (kid_len == 0 || kid_len >= JWT_KID_MAX)
        return error_field(e, ERROR_INVALID, "", "kid", "a key needs a kid of 1 to %d bytes", JWT_KID_MAX - 1);
    if (jwt_keys_find(keys, json_string_value(kid)))
        return error_field(e, ERROR_INVALID, "", "kid", "two keys have the same kid");
    if (keys->count == JWT_KEYS_MAX)
        return error_field(e, ERROR_INVALID, "", "keys", "more than %d keys", JWT_KEYS_MAX);
    uint8_t x[JWT_COORDINATE_LEN], y[JWT_COORDINATE_LEN];
    if (!read_coordinate(item, "x", x, e) || !read_coordinate(item, "y", y, e))
        return false;
    EVP_PKEY *pkey = key_from_point(x, y);
    if (!pkey)
        return error_field(e, ERROR_INVALID, "", "x", "a key's point is not on P-256");
    struct jwt_key *key = &keys->items[keys->count++];
    memcpy(key->kid, json_string_value(kid), kid_len + 1);
    key->pkey = pkey;
    return true;
}

bool jwt_keys_parse(const char *jwks, struct jwt_keys *ret_keys, struct error *e)
{
    size_t len = strnlen(jwks, JWT_JWKS_MAX + 1);
    if (len > JWT_JWKS_MAX)
        return error_set(e, ERROR_INVALID, "the key set is over %d bytes", JWT_JWKS_MAX);
    json_auto_t *root = json_loadb(jwks, len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *items = json_object_get(root, "keys");
    if (!json_is_array(items))
        return error_field(e, ERROR_INVALID, "", "keys", "the key set is not a JSON object with an array \"keys\"");
    struct jwt_keys keys = { 0 };
    size_t index;
    const json_t *item;
    json_array_foreach(items, index, item)
    {
        if (is_usable(item) && !keys_add(&keys, item, e)) {
            jwt_keys_release(&keys);
            return false;
        }
    }
    if (keys.count == 0)
        return error_field(e, ERROR_INVALID, "", "keys", "the key set has no key for ES256");
    *ret_keys = keys;
    return true;
}

void jwt_keys_release(struct jwt_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++)
        EVP_PKEY_free(keys->items[i].pkey);
    keys->count = 0;
}

bool jwt_keys_equal(const struct jwt_keys *a, const struct jwt_keys *b)
{
    bool equal = a->count == b->count;
    for (size_t i = 0; equal && i < a->count; i++) {
        EVP_PKEY *other = jwt_keys_find(b, a->items[i].kid);
        equal = other && EVP_PKEY_eq(a->items[i].pkey, other) == 1;
    }
    return equal;
}

EVP_PKEY *jwt_keys_find(const struct jwt_keys *keys, const char *kid)
{
    for (size_t i = 0; i < keys->count; i++) {
        if (strcmp(keys->items[i].kid, kid) == 0)
            return keys->items[i].pkey;
    }
    return NULL;
}

bool jwt_key_point(const EVP_PKEY *pkey, uint8_t ret_x[JWT_COORDINATE_LEN], uint8_t ret_y[JWT_COORDINATE_LEN])
{
    char group[32] = "";
    uint8_t point[1 + 2 * JWT_COORDINATE_LEN];
    size_t len = 0;
    if (EVP_PKEY_get_base_id(pkey) != EVP_PKEY_EC || EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL) != 1 ||
        strcmp(group, "prime256v1") != 0)
        return false;
    if (EVP_PKEY_get_octet_string_param(pkey, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point, &len) != 1 ||
        len != sizeof point)
        return false;
    memcpy(ret_x, point + 1, JWT_COORDINATE_LEN);
    memcpy(ret_y, point + 1 + JWT_COORDINATE_LEN, JWT_COORDINATE_LEN);
    return true;
}
