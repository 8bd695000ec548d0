/* ident.c - ids, times and UUIDs of the wire contract, without locale or time zone; see
 * ident.h. */
#include "common/base/ident.h"

#include <errno.h>

#define US_PER_S 1000000
#define S_PER_DAY 86400
#define TIME_US_MAX                                                                            \
    (253402300800LL * US_PER_S - 1) /* the last microsecond of the year 9999                   \
                                     */

static bool is_id_char(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '_' || c == '-';
}

bool ident_is_valid(struct slice s)
{
    if (s.len < 1 || s.len > ID_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!is_id_char((unsigned char)s.data[i]))
            return false;
    return true;
}

bool ident_copy(struct slice s, char ret[ID_MAX + 1])
{
    if (!s.data || !ident_is_valid(s))
        return false;
    memcpy(ret, s.data, s.len);
    ret[s.len] = '\0';
    return true;
}

bool client_message_id_is_valid(struct slice s)
{
    if (s.len < 1 || s.len > CLIENT_ID_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] < 0x21 || s.data[i] > 0x7e)
            return false;
    return true;
}

/* ---- the proleptic Gregorian calendar ----
 *
 * Years are counted from March, so that the leap day is the last day of a year;
 * then the days before month m (0 = March) are (153 * m + 2) / 5. */

static int64_t days_from_date(int64_t year, int64_t month, int64_t day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t m = month <= 2 ? month + 9 : month - 3;

    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

static void date_from_days(int64_t days, int64_t *ret_year, int64_t *ret_month,
                           int64_t *ret_day)
{
    int64_t d = days + 719468; /* since the first of March of year 0 */
    int64_t era = d / 146097;  /* 400 years */
    int64_t of_era = d % 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153;

    *ret_day = of_year - (153 * month + 2) / 5 + 1;
    *ret_month = month < 10 ? month + 3 : month - 9;
    *ret_year = year + 400 * era + (*ret_month <= 2);
}

static int64_t days_in_month(int64_t year, int64_t month)
{
    static const int8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return days[month - 1] + (month == 2 && is_leap);
}

static char *put_digits(char *to, int64_t v, int n)
{
    for (int i = n - 1; i >= 0; i--) {
        to[i] = (char)('0' + v % 10);
        v /= 10;
    }
    return to + n;
}

size_t time_format(int64_t us, char ret[TIME_TEXT_MAX])
{
    int64_t year, month, day, seconds, fraction;
    char *at = ret;

    us = us < 0 ? 0 : MIN(us, (int64_t)TIME_US_MAX);
    seconds = us / US_PER_S;
    fraction = us % US_PER_S;
    date_from_days(seconds / S_PER_DAY, &year, &month, &day);
    seconds %= S_PER_DAY;

    at = put_digits(at, year, 4);
    *at++ = '-';
    at = put_digits(at, month, 2);
    *at++ = '-';
    at = put_digits(at, day, 2);
    *at++ = 'T';
    at = put_digits(at, seconds / 3600, 2);
    *at++ = ':';
    at = put_digits(at, seconds / 60 % 60, 2);
    *at++ = ':';
    at = put_digits(at, seconds % 60, 2);
    *at++ = '.';
    at =
        fraction % 1000 == 0 ? put_digits(at, fraction / 1000, 3) : put_digits(at, fraction, 6);
    *at++ = 'Z';
    *at = '\0';
    return (size_t)(at - ret);
}

/* ---- parsing: a cursor that goes bad and stays bad ---- */

struct cursor {
    const char *at, *end;
    bool bad;
};

static char peek(const struct cursor *c)
{
    return c->at < c->end ? *c->at : '\0';
}

static bool peek_is_digit(const struct cursor *c)
{
    return peek(c) >= '0' && peek(c) <= '9';
}

static int64_t take_digits(struct cursor *c, int n)
{
    int64_t v = 0;

    for (int i = 0; i < n; i++) {
        if (!peek_is_digit(c)) {
            c->bad = true;
            return 0;
        }
        v = 10 * v + (*c->at++ - '0');
    }
    return v;
}

static void take_char(struct cursor *c, char want, char or_want)
{
    if (c->at < c->end && (*c->at == want || *c->at == or_want))
        c->at++;
    else
        c->bad = true;
}

/* [.d{1,9}], in microseconds; finer digits are cut off. */
static int64_t take_fraction(struct cursor *c)
{
    int64_t us = 0;
    int n = 0;

    if (peek(c) != '.')
        return 0;
    c->at++;
    for (; peek_is_digit(c); n++, c->at++)
        if (n < 6)
            us = 10 * us + (*c->at - '0');
    if (n < 1 || n > 9)
        c->bad = true;
    for (; n < 6; n++)
        us *= 10;
    return us;
}

/* Z or (+|-)hh:mm, in seconds east of UTC. */
static int64_t take_offset(struct cursor *c)
{
    char sign = peek(c);
    int64_t hours, minutes;

    if (sign != '+' && sign != '-') {
        take_char(c, 'Z', 'z');
        return 0;
    }
    c->at++;
    hours = take_digits(c, 2);
    take_char(c, ':', ':');
    minutes = take_digits(c, 2);
    if (hours > 23 || minutes > 59)
        c->bad = true;
    return (sign == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
}

int time_parse(struct slice s, int64_t *ret_us)
{
    struct cursor c = {s.data, s.len ? s.data + s.len : s.data, false};
    int64_t year, month, day, hour, minute, second, fraction, offset, us;

    if (s.len == 0)
        return -EINVAL;
    year = take_digits(&c, 4);
    take_char(&c, '-', '-');
    month = take_digits(&c, 2);
    take_char(&c, '-', '-');
    day = take_digits(&c, 2);
    take_char(&c, 'T', 't');
    hour = take_digits(&c, 2);
    take_char(&c, ':', ':');
    minute = take_digits(&c, 2);
    take_char(&c, ':', ':');
    second = take_digits(&c, 2);
    fraction = take_fraction(&c);
    offset = take_offset(&c);
    if (c.bad || c.at != c.end)
        return -EINVAL;
    if (year < 1969 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) ||
        hour > 23 || minute > 59 || second > 60)
        return -EINVAL;

    us = (days_from_date(year, month, day) * S_PER_DAY + hour * 3600 + minute * 60 + second -
          offset) *
             US_PER_S +
         fraction;
    if (us < 0 || us > TIME_US_MAX)
        return -EINVAL;
    *ret_us = us;
    return 0;
}

void uuid_format(const uint8_t random[16], char ret[37])
{
    static const char hex[] = "0123456789abcdef";
    char *at = ret;

    for (int i = 0; i < 16; i++) {
        uint8_t byte = random[i];

        if (i == 6)
            byte = (uint8_t)((byte & 0x0f) | 0x40); /* version 4 */
        if (i == 8)
            byte = (uint8_t)((byte & 0x3f) | 0x80); /* variant of RFC 9562 */
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        *at++ = hex[byte >> 4];
        *at++ = hex[byte & 0x0f];
    }
    *at = '\0';
}
