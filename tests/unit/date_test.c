/* SPDX-License-Identifier: MIT */
#include "mta/mail/date.h"
#include "tests/unit/check.h"
#include <string.h>
#include <time.h>

static void assert_dates(uint64_t wall_ms, const char *rfc5322, const char *rfc3339)
{
    char text[DATE_TEXT_BYTES];
    assert_string_equal(date_rfc5322(wall_ms, text), rfc5322);
    assert_string_equal(date_rfc3339(wall_ms, text), rfc3339);
}

static void known_days_are_written_as_mail_and_logs_do(void **state)
{
    (void)state;
    assert_dates(0, "Thu, 1 Jan 1970 00:00:00 +0000", "1970-01-01T00:00:00.000Z");
    assert_dates(1795517367123, "Tue, 24 Nov 2026 10:49:27 +0000", "2026-11-24T10:49:27.123Z");
    assert_dates(951827696999, "Tue, 29 Feb 2000 12:34:56 +0000", "2000-02-29T12:34:56.999Z");
    assert_dates(4107542400000, "Mon, 1 Mar 2100 00:00:00 +0000", "2100-03-01T00:00:00.000Z");
}

static void a_clock_gone_wild_still_fits(void **state)
{
    (void)state;
    assert_dates(UINT64_MAX, "Fri, 31 Dec 9999 23:59:59 +0000", "9999-12-31T23:59:59.999Z");
}

static void every_day_of_four_centuries_agrees_with_the_c_library(void **state)
{
    (void)state;
    enum { DAYS = 400 * 366 };
    for (time_t day = 0; day < DAYS; day++) {
        time_t seconds = day * 86400 + day % 86400;
        char expected[64], got[DATE_TEXT_BYTES];
        struct tm tm;
        assert_non_null(gmtime_r(&seconds, &tm));
        assert_true(strftime(expected, sizeof expected, "%a, %e %b %Y %H:%M:%S +0000", &tm) > 0);
        if (expected[5] == ' ') /* %e pads */
            memmove(expected + 5, expected + 6, strlen(expected + 5));
        assert_string_equal(date_rfc5322((uint64_t)seconds * 1000, got), expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_days_are_written_as_mail_and_logs_do),
        cmocka_unit_test(a_clock_gone_wild_still_fits),
        cmocka_unit_test(every_day_of_four_centuries_agrees_with_the_c_library),
    };
    return RUN(tests);
}
