/* SPDX-License-Identifier: MIT */
/*
 * The calendar by arithmetic: gmtime_r() would take glibc's time zone lock on every log line.
 */
#include "mta/mail/date.h"
#include <string.h>

#define DATE_WALL_MS_MAX 253402300799999u /* the last of 9999, beyond it no form has room */

enum { DAY_MS = 86400000, ERA_DAYS = 146097, EPOCH_FROM_ERA_DAYS = 719468 };

struct date {
    unsigned year, month, day, weekday; /* month 1-12, day 1-31, weekday 0 = Sunday */
    unsigned hour, minute, second, ms;
};

/*
 * Years are counted from March, so that the leap day is the last of its year, in eras of 400 years,
 * after which the calendar repeats.
 */
static void date_set_day(struct date *d, uint64_t days)
{
    uint64_t z        = days + EPOCH_FROM_ERA_DAYS;
    uint64_t era      = z / ERA_DAYS;
    unsigned of_era   = (unsigned)(z % ERA_DAYS);
    unsigned year     = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year  = of_era - (365 * year + year / 4 - year / 100);
    unsigned march_is = (5 * of_year + 2) / 153; /* 0 = March */
    d->day            = of_year - (153 * march_is + 2) / 5 + 1;
    d->month          = march_is < 10 ? march_is + 3 : march_is - 9;
    d->year           = (unsigned)(era * 400) + year + (d->month <= 2);
    d->weekday        = (unsigned)((days + 4) % 7); /* 1970 began on a Thursday */
}

static struct date date_of(uint64_t wall_ms)
{
    struct date d;
    wall_ms      = wall_ms < DATE_WALL_MS_MAX ? wall_ms : DATE_WALL_MS_MAX;
    unsigned day = (unsigned)(wall_ms % DAY_MS);
    date_set_day(&d, wall_ms / DAY_MS);
    d.hour   = day / 3600000;
    d.minute = day / 60000 % 60;
    d.second = day / 1000 % 60;
    d.ms     = day % 1000;
    return d;
}

/* The last 'digits' digits of 'value'; returns where the next thing goes. */
static char *put_digits(char *at, unsigned value, int digits)
{
    for (int i = digits - 1; i >= 0; i--, value /= 10)
        at[i] = (char)('0' + value % 10);
    return at + digits;
}

static char *put_text(char *at, const char *text)
{
    size_t len = strlen(text);
    memcpy(at, text, len + 1);
    return at + len;
}

static char *put_time(char *at, const struct date *d)
{
    at = put_text(put_digits(at, d->hour, 2), ":");
    at = put_text(put_digits(at, d->minute, 2), ":");
    return put_digits(at, d->second, 2);
}

const char *date_rfc5322(uint64_t wall_ms, char into[DATE_TEXT_BYTES])
{
    static const char days[][8]   = {"Sun, ", "Mon, ", "Tue, ", "Wed, ", "Thu, ", "Fri, ", "Sat, "};
    static const char months[][8] = {" Jan ", " Feb ", " Mar ", " Apr ", " May ", " Jun ",
                                     " Jul ", " Aug ", " Sep ", " Oct ", " Nov ", " Dec "};
    struct date d                 = date_of(wall_ms);
    char *at                      = put_text(into, days[d.weekday]);
    at                            = put_digits(at, d.day, d.day < 10 ? 1 : 2);
    at                            = put_text(at, months[d.month - 1]);
    at                            = put_text(put_digits(at, d.year, 4), " ");
    (void)put_text(put_time(at, &d), " +0000");
    return into;
}

const char *date_rfc3339(uint64_t wall_ms, char into[DATE_TEXT_BYTES])
{
    struct date d = date_of(wall_ms);
    char *at      = put_text(put_digits(into, d.year, 4), "-");
    at            = put_text(put_digits(at, d.month, 2), "-");
    at            = put_text(put_digits(at, d.day, 2), "T");
    at            = put_text(put_time(at, &d), ".");
    (void)put_text(put_digits(at, d.ms, 3), "Z");
    return into;
}
