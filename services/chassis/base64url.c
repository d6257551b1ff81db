#include "base64url.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void base64url_encode(const void *data, size_t len, char *ret_text)
{
    const uint8_t *bytes = data;
    uint32_t bits = 0;
    unsigned bit_count = 0;
    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | bytes[i];
        for (bit_count += 8; bit_count >= 6; bit_count -= 6)
            *ret_text++ = alphabet[bits >> (bit_count - 6) & 63];
    }
    if (bit_count > 0)
        *ret_text++ = alphabet[bits << (6 - bit_count) & 63];
    *ret_text = '\0';
}

/* 0..63, or -1. */
static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool base64url_decode(const char *text, size_t text_len, uint8_t *ret, size_t size, size_t *ret_len)
{
    if (text_len % 4 == 1 || text_len / 4 * 3 + text_len % 4 * 3 / 4 > size)
        return false;
    uint32_t bits = 0;
    unsigned bit_count = 0;
    size_t len = 0;
    for (size_t i = 0; i < text_len; i++) {
        int value = value_of(text[i]);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            ret[len++] = (uint8_t)(bits >> bit_count);
        }
    }
    if ((bits & ((1u << bit_count) - 1)) != 0)
        return false;
    *ret_len = len;
    return true;
}
