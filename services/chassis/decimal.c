#include "decimal.h"

#include <assert.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* value = value * 10 + digit, unless that leaves int64. */
static bool push_digit(int64_t *value, int digit)
{
    return !__builtin_mul_overflow(*value, 10, value) && !__builtin_add_overflow(*value, digit, value);
}

bool decimal_parse(const char *text, unsigned scale, const char *field, int64_t *ret_minor, struct error *e)
{
    assert(text && scale <= DECIMAL_SCALE_MAX);
    size_t whole = 0, decimals = 0;
    while (is_digit(text[whole]))
        whole++;
    const char *fraction = text + whole;
    if (*fraction == '.') {
        fraction++;
        while (is_digit(fraction[decimals]))
            decimals++;
        if (decimals == 0)
            return error_field(e, ERROR_INVALID, "", field, "%s must have a digit after the point", field);
    }
    if (whole == 0 || fraction[decimals] != '\0')
        return error_field(e, ERROR_INVALID, "", field, "%s must be a decimal number such as \"12.34\"", field);
    if (decimals > scale)
        return error_field(e, ERROR_REFUSED, "", field, "%s has more than %u decimals", field, scale);

    int64_t minor = 0;
    bool fits = true;
    for (size_t i = 0; fits && i < whole; i++)
        fits = push_digit(&minor, text[i] - '0');
    for (size_t i = 0; fits && i < scale; i++)
        fits = push_digit(&minor, i < decimals ? fraction[i] - '0' : 0);
    if (!fits)
        return error_field(e, ERROR_REFUSED, "", field, "%s is too large", field);
    *ret_minor = minor;
    return true;
}

char *decimal_format(int64_t minor, unsigned scale, unsigned min_decimals, char ret_text[DECIMAL_TEXT_MAX])
{
    assert(scale <= DECIMAL_SCALE_MAX);
    /* Negating in unsigned arithmetic is right for INT64_MIN too. */
    uint64_t rest = minor < 0 ? -(uint64_t)minor : (uint64_t)minor;
    unsigned decimals = scale;
    while (decimals > min_decimals && rest % 10 == 0) {
        rest /= 10;
        decimals--;
    }
    char reversed[DECIMAL_TEXT_MAX];
    size_t len = 0;
    for (unsigned i = 0; i < decimals; i++, rest /= 10)
        reversed[len++] = (char)('0' + rest % 10);
    if (decimals > 0)
        reversed[len++] = '.';
    do {
        reversed[len++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (minor < 0)
        reversed[len++] = '-';
    assert(len < DECIMAL_TEXT_MAX);
    for (size_t i = 0; i < len; i++)
        ret_text[i] = reversed[len - 1 - i];
    ret_text[len] = '\0';
    return ret_text;
}
