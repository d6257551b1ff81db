#include "email.h"

enum { LOCAL_MAX = 64, LABEL_MAX = 63 };

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_local(const char *text, size_t len)
{
    if (len == 0 || len > LOCAL_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!is_alnum(text[i]) && !memchr(".!#$%&'*+/=?^_`{|}~-", text[i], 20))
            return false;
    }
    return true;
}

static bool is_label(const char *text, size_t len)
{
    if (len == 0 || len > LABEL_MAX || !is_alnum(text[0]) || !is_alnum(text[len - 1]))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!is_alnum(text[i]) && text[i] != '-')
            return false;
    }
    return true;
}

static bool is_domain(const char *text)
{
    for (;;) {
        size_t len = strcspn(text, ".");
        if (!is_label(text, len))
            return false;
        if (text[len] == '\0')
            return true;
        text += len + 1;
    }
}

bool email_normalise(const char *text, char ret_email[EMAIL_MAX + 1], struct error *e)
{
    size_t len = strlen(text);
    if (len > EMAIL_MAX)
        return error_field(e, ERROR_REFUSED, "invalid-email", "email", "email is over %d bytes", EMAIL_MAX);
    char email[EMAIL_MAX + 1];
    for (size_t i = 0; i <= len; i++)
        email[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i]);
    const char *at = strchr(email, '@');
    if (!at || !is_local(email, (size_t)(at - email)) || !is_domain(at + 1))
        return error_field(e, ERROR_REFUSED, "invalid-email", "email", "email is not an e-mail address");
    memcpy(ret_email, email, len + 1);
    return true;
}
