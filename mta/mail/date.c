/* SPDX-License-Identifier: MIT */
/*
 * The calendar by arithmetic: gmtime_r() would take glibc's time zone lock on every log line.
 */
#include "mta/mail/date.h"
#include <stdio.h>

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

const char *date_rfc5322(uint64_t wall_ms, char into[DATE_TEXT_BYTES])
{
    static const char days[][4]   = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct date d                 = date_of(wall_ms);
    (void)snprintf(into, DATE_TEXT_BYTES, "%s, %u %s %u %02u:%02u:%02u +0000", days[d.weekday],
                   d.day, months[d.month - 1], d.year, d.hour, d.minute, d.second);
    return into;
}

const char *date_rfc3339(uint64_t wall_ms, char into[DATE_TEXT_BYTES])
{
    struct date d = date_of(wall_ms);
    (void)snprintf(into, DATE_TEXT_BYTES, "%u-%02u-%02uT%02u:%02u:%02u.%03uZ", d.year, d.month,
                   d.day, d.hour, d.minute, d.second, d.ms);
    return into;
}
