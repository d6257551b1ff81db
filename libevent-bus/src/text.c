#include "text.h"

#include <string.h>

/* Length of the UTF-8 sequence that starts at s, or 0 if there is none within len. */
static size_t sequence_len(const unsigned char *s, size_t len)
{
    static const struct {
        unsigned char mask, lead;
        uint32_t min;
    } forms[] = { { 0x80, 0x00, 0x1 }, { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 } };

    for (size_t extra = 0; extra < ARRAY_LEN(forms); extra++) {
        if ((s[0] & forms[extra].mask) != forms[extra].lead)
            continue;
        if (extra + 1 > len)
            return 0;
        uint32_t code = s[0] & (unsigned char)~forms[extra].mask;
        for (size_t i = 1; i <= extra; i++) {
            if ((s[i] & 0xc0) != 0x80)
                return 0;
            code = code << 6 | (s[i] & 0x3f);
        }
        bool surrogate = code >= 0xd800 && code <= 0xdfff;
        return code < forms[extra].min || code > 0x10ffff || surrogate ? 0 : extra + 1;
    }
    return 0;
}

static bool is_control(unsigned char c)
{
    return c < 0x20 || c == 0x7f;
}

bool text_is_utf8(const char *text, size_t len)
{
    for (size_t at = 0, step; at < len; at += step) {
        step = sequence_len((const unsigned char *)text + at, len - at);
        if (step == 0)
            return false;
    }
    return true;
}

bool text_is_clean(const char *text, size_t len)
{
    bool ascii = true;

    for (size_t i = 0; i < len; i++) {
        if (is_control((unsigned char)text[i]))
            return false;
        ascii = ascii && (unsigned char)text[i] < 0x80;
    }
    return ascii || text_is_utf8(text, len);
}

void text_scrub(char *text)
{
    size_t len = strlen(text);

    for (size_t at = 0, step; at < len; at += step) {
        step = sequence_len((unsigned char *)text + at, len - at);
        if (step == 0 || is_control((unsigned char)text[at])) {
            text[at] = '?';
            step = 1;
        }
    }
}
