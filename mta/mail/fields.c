/* SPDX-License-Identifier: MIT */
#include "mta/mail/fields.h"
#include "mta/mail/date.h"
#include "mta/mail/escape.h"
#include "mta/mail/msgid.h"
#include <inttypes.h>
#include <stdio.h>

void field_key(struct buf *into, const char *key)
{
    bool is_first = into->len > 0 && into->at[into->len - 1] == '{';
    buf_printf(into, "%s\"%s\":", is_first ? "" : ",", key);
}

void field_text(struct buf *into, const char *key, const char *text)
{
    field_key(into, key);
    if (text == NULL)
        buf_put_text(into, "null");
    else
        escape_json(span_of(text), into);
}

void field_id(struct buf *into, const char *key, uint64_t message_id)
{
    char text[MSGID_TEXT_BYTES];
    field_text(into, key, msgid_text(message_id, text));
}

void field_number(struct buf *into, const char *key, uint64_t number)
{
    field_key(into, key);
    buf_printf(into, "%" PRIu64, number);
}

void field_bool(struct buf *into, const char *key, bool value)
{
    field_key(into, key);
    buf_put_text(into, value ? "true" : "false");
}

void field_time(struct buf *into, const char *key, uint64_t wall_ms)
{
    char text[DATE_TEXT_BYTES];
    field_text(into, key, wall_ms == 0 ? NULL : date_rfc3339(wall_ms, text));
}

void field_status(struct buf *into, const char *key, const unsigned char status[3])
{
    char text[sizeof "255.255.255"] = "";
    if (status[0] != 0)
        (void)snprintf(text, sizeof text, "%u.%u.%u", status[0], status[1], status[2]);
    field_text(into, key, text);
}

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

static const char *two_units(char into[WORDS_BYTES], uint64_t big, char big_unit, uint64_t small,
                             char small_unit)
{
    if (small == 0)
        (void)snprintf(into, WORDS_BYTES, "%" PRIu64 "%c", big, big_unit);
    else
        (void)snprintf(into, WORDS_BYTES, "%" PRIu64 "%c %" PRIu64 "%c", big, big_unit, small,
                       small_unit);
    return into;
}

const char *words_duration(uint64_t ms, char into[WORDS_BYTES])
{
    if (ms == 0)
        return "now";
    if (ms < MINUTE)
        return two_units(into, (ms + SECOND - 1) / SECOND, 's', 0, ' ');
    if (ms < HOUR)
        return two_units(into, ms / MINUTE, 'm', 0, ' ');
    if (ms < DAY)
        return two_units(into, ms / HOUR, 'h', ms % HOUR / MINUTE, 'm');
    return two_units(into, ms / DAY, 'd', ms % DAY / HOUR, 'h');
}

const char *words_size(uint64_t bytes, char into[WORDS_BYTES])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double amount                    = (double)bytes;
    unsigned unit                    = 0;
    for (; amount >= 1000 && unit + 1 < sizeof units / sizeof units[0]; unit++)
        amount /= 1000;
    (void)snprintf(into, WORDS_BYTES, unit == 0 ? "%.0f %s" : "%.1f %s", amount, units[unit]);
    return into;
}
