/* token_maker.h -- tokens that no honest signer makes: any header, any payload, any algorithm. Tests only. */
#pragma once

#include <event_bus/base.h>

#include <openssl/evp.h>

/* header.payload, signed: with ES256 by key; the caller's (xfree). */
char *token_es256(EVP_PKEY *key, const char *header, struct bytes payload);
/* The same with HMAC-SHA256 keyed by the given bytes, as an attacker does with our public key. */
char *token_hs256(struct bytes secret, const char *header, const char *payload);
/* The kid in a key set of one key. */
char *kid_of_jwks(const char *jwks);
EVP_PKEY *key_from_pem_file(const char *path);
char *public_pem(EVP_PKEY *key); /* "-----BEGIN PUBLIC KEY-----…" */
