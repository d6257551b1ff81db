#include <event_bus/event.h>

#include <stdio.h>
#include <time.h>

static const int64_t US_PER_S = 1000000;

/* Years 0000 to 9999: what RFC 3339 can say. */
static const int64_t FIRST_S = -62167219200;
static const int64_t LAST_S = 253402300799;

void event_time_format(int64_t time_us, char ret_text[EVENT_TIME_MAX])
{
    int64_t s = time_us / US_PER_S;
    int64_t us = time_us % US_PER_S;

    if (us < 0) {
        us += US_PER_S;
        s -= 1;
    }
    s = s < FIRST_S ? FIRST_S : s > LAST_S ? LAST_S : s;

    time_t clock = s;
    struct tm tm;
    char rest[sizeof "-01-01T00:00:00"];

    gmtime_r(&clock, &tm);
    strftime(rest, sizeof rest, "-%m-%dT%H:%M:%S", &tm);
    /* The year by hand: glibc's %Y writes the year 7 as "7". */
    snprintf(ret_text, EVENT_TIME_MAX, "%04u%s.%06uZ", (unsigned)(tm.tm_year + 1900) % 10000, rest,
        (unsigned)us % (unsigned)US_PER_S);
}

/* Exactly `digits` decimal digits at *text, which moves on. */
static bool take_number(const char **text, int digits, int low, int high, int *ret_value)
{
    int value = 0;

    for (int i = 0; i < digits; i++) {
        char c = (*text)[i];

        if (c < '0' || c > '9')
            return false;
        value = value * 10 + (c - '0');
    }
    *text += digits;
    *ret_value = value;
    return value >= low && value <= high;
}

static bool take_char(const char **text, const char *allowed)
{
    if (**text == '\0' || !strchr(allowed, **text))
        return false;
    (*text)++;
    return true;
}

static int days_in_month(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

/* ".5", ".123456", ".123456789": what is finer than a microsecond is cut off. */
static bool take_fraction(const char **text, int64_t *ret_us)
{
    int64_t unit = US_PER_S / 10;

    *ret_us = 0;
    if (!take_char(text, "."))
        return true;
    if (**text < '0' || **text > '9')
        return false;
    for (; **text >= '0' && **text <= '9'; (*text)++, unit /= 10)
        *ret_us += (**text - '0') * unit;
    return true;
}

static bool take_zone(const char **text, int64_t *ret_offset_s)
{
    int hour, minute;
    int64_t sign = **text == '-' ? -1 : 1;

    *ret_offset_s = 0;
    if (take_char(text, "Zz"))
        return true;
    if (!take_char(text, "+-") || !take_number(text, 2, 0, 23, &hour) || !take_char(text, ":") ||
        !take_number(text, 2, 0, 59, &minute))
        return false;
    *ret_offset_s = sign * (hour * 3600 + minute * 60);
    return true;
}

bool event_time_parse(const char *text, int64_t *ret_time_us)
{
    int year, month, day, hour, minute, second;
    int64_t us, zone_s;

    if (!take_number(&text, 4, 0, 9999, &year) || !take_char(&text, "-") || !take_number(&text, 2, 1, 12, &month) ||
        !take_char(&text, "-") || !take_number(&text, 2, 1, days_in_month(year, month), &day) ||
        !take_char(&text, "Tt") || !take_number(&text, 2, 0, 23, &hour) || !take_char(&text, ":") ||
        !take_number(&text, 2, 0, 59, &minute) || !take_char(&text, ":") ||
        !take_number(&text, 2, 0, 60, &second) /* 60 is a leap second: timegm() gives the next one */
        || !take_fraction(&text, &us) || !take_zone(&text, &zone_s) || *text != '\0')
        return false;

    struct tm tm = {
        .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour, .tm_min = minute, .tm_sec = second
    };

    *ret_time_us = (timegm(&tm) - zone_s) * US_PER_S + us;
    return true;
}
