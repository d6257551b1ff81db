#include <event_bus/event.h>

#include <string.h>

static const int64_t US_PER_S = 1000000;
static const int64_t S_PER_DAY = 86400;

/* Years 0000 to 9999: what RFC 3339 can say. */
static const int64_t FIRST_S = -62167219200;
static const int64_t LAST_S = 253402300799;

/* Days and dates by Howard Hinnant's chrono algorithms, not by libc: that takes a lock and reads time zones, and an
 * event has a time each. Years begin in March, so that the leap day is their last; 146,097 days are 400 years. */
enum { DAYS_PER_ERA = 146097, EPOCH_DAYS = 719468 };

static int64_t days_from_date(int64_t year, int month, int day)
{
    year -= month <= 2;

    int64_t era = (year >= 0 ? year : year - 399) / 400, of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * DAYS_PER_ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - EPOCH_DAYS;
}

static void date_from_days(int64_t days, int64_t *ret_year, int64_t *ret_month, int64_t *ret_day)
{
    days += EPOCH_DAYS;

    int64_t era = (days >= 0 ? days : days - DAYS_PER_ERA + 1) / DAYS_PER_ERA, of_era = days - era * DAYS_PER_ERA;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100), month = (5 * of_year + 2) / 153;

    *ret_day = of_year - (153 * month + 2) / 5 + 1;
    *ret_month = month + (month < 10 ? 3 : -9);
    *ret_year = year + era * 400 + (*ret_month <= 2);
}

static void put_digits(char *text, int digits, int64_t value)
{
    for (; digits > 0; value /= 10)
        text[--digits] = (char)('0' + value % 10);
}

void event_time_format(int64_t time_us, char ret_text[EVENT_TIME_MAX])
{
    int64_t s = time_us / US_PER_S;
    int64_t us = time_us % US_PER_S;

    if (us < 0) {
        us += US_PER_S;
        s -= 1;
    }
    s = s < FIRST_S ? FIRST_S : s > LAST_S ? LAST_S : s;

    int64_t days = s / S_PER_DAY - (s % S_PER_DAY < 0), year, month, day;

    s -= days * S_PER_DAY;
    date_from_days(days, &year, &month, &day);
    strcpy(ret_text, "YYYY-MM-DDThh:mm:ss.uuuuuuZ");
    put_digits(ret_text, 4, year);
    put_digits(ret_text + 5, 2, month);
    put_digits(ret_text + 8, 2, day);
    put_digits(ret_text + 11, 2, s / 3600);
    put_digits(ret_text + 14, 2, s / 60 % 60);
    put_digits(ret_text + 17, 2, s % 60);
    put_digits(ret_text + 20, 6, us);
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
        !take_number(&text, 2, 0, 60, &second) /* 60 is a leap second: the same as the next one */
        || !take_fraction(&text, &us) || !take_zone(&text, &zone_s) || *text != '\0')
        return false;

    int64_t s = days_from_date(year, month, day) * S_PER_DAY + hour * 3600 + minute * 60 + second;

    *ret_time_us = (s - zone_s) * US_PER_S + us;
    return true;
}
