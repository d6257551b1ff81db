/* jwt_keys.h -- P-256 public keys by kid, read from a JWKS (RFC 7517). Inside the chassis: jwt.h is the interface. */
#pragma once

#include <event_bus/error.h>

#include <openssl/evp.h>

enum {
    JWT_KEYS_MAX = 16,        /* keys of one set */
    JWT_KID_MAX = 128,        /* bytes of a key id with the NUL */
    JWT_JWKS_MAX = 64 * 1024, /* bytes of a key set */
    JWT_COORDINATE_LEN = 32,  /* bytes of x and of y */
    JWT_SIGNATURE_LEN = 64,   /* bytes of r followed by s */
};

struct jwt_key {
    char kid[JWT_KID_MAX];
    EVP_PKEY *pkey;
};

struct jwt_keys {
    struct jwt_key items[JWT_KEYS_MAX];
    size_t count;
};

/* Usable keys of a set: those of other kinds, curves or purposes are skipped. A broken P-256 key, a key id twice, more
 * than JWT_KEYS_MAX, and a set without any usable key are INVALID. */
MUST_CHECK bool jwt_keys_parse(const char *jwks, struct jwt_keys *ret_keys, struct error *e);
void jwt_keys_release(struct jwt_keys *keys);
bool jwt_keys_equal(const struct jwt_keys *a, const struct jwt_keys *b);
EVP_PKEY *jwt_keys_find(const struct jwt_keys *keys, const char *kid); /* borrowed; NULL: unknown */

/* The public point of a P-256 key; false if the key is of another kind. */
MUST_CHECK bool jwt_key_point(
    const EVP_PKEY *pkey, uint8_t ret_x[JWT_COORDINATE_LEN], uint8_t ret_y[JWT_COORDINATE_LEN]);
