/* SPDX-License-Identifier: MIT */
#include "mta/mail/event.h"
#include "tests/unit/check.h"
#include <string.h>

enum { WALL_MS = 1000 };

static const char *line_of(struct event_log *log)
{
    return buf_text(&log->pending);
}

static void an_event_is_one_object_a_line(void **state)
{
    (void)state;
    struct event_log log;
    event_log_init(&log, EVENT_JSON, LEVEL_INFO);
    event_begin(&log, EVENT_DELIVERED, WALL_MS);
    event_text(&log, "to", span_of("user@a.example"));
    event_text(&log, "from", span_of(""));
    event_number(&log, "size", UINT64_MAX);
    event_number(&log, "attempt", 0);
    event_status(&log, "enhanced", (const unsigned char[]){2, 10, 255});
    event_status(&log, "none", (const unsigned char[]){0, 0, 0});
    event_time(&log, "next", WALL_MS + 1);
    event_end(&log);
    assert_string_equal(
        line_of(&log),
        "{\"time\":\"1970-01-01T00:00:01.000Z\",\"event\":\"delivered\",\"to\":\"user@a."
        "example\",\"size\":18446744073709551615,\"attempt\":0,\"enhanced\":\"2.10.255\","
        "\"next\":\"1970-01-01T00:00:01.001Z\"}\n");
    event_log_release(&log);
}

/* Every byte, in every place of the eight that are looked at together. */
static void no_byte_ends_or_forges_a_line(void **state)
{
    (void)state;
    struct event_log log;
    event_log_init(&log, EVENT_JSON, LEVEL_INFO);
    for (unsigned byte = 0; byte < 256; byte++)
        for (size_t at = 0; at < 17; at++) {
            char value[17];
            memset(value, 'x', sizeof value);
            value[at] = (char)byte;
            buf_clear(&log.pending);
            event_begin(&log, EVENT_REFUSED, WALL_MS);
            size_t start = log.pending.len;
            event_text(&log, "text", span_make(value, sizeof value));
            struct span put = span_skip(buf_span(&log.pending), start + sizeof ",\"text\":\"" - 1);
            event_end(&log);
            bool is_plain = byte >= ' ' && byte < 0x7f && byte != '"' && byte != '\\';
            put.len--; /* the quote behind it */
            assert_int_equal(span_equals(put, span_make(value, sizeof value)), is_plain);
            for (size_t i = 0; i < put.len; i++)
                assert_true((unsigned char)put.at[i] >= ' ' && put.at[i] != 0x7f &&
                            (put.at[i] != '"' || put.at[i - 1] == '\\'));
        }
    event_log_release(&log);
}

static void the_time_follows(void **state)
{
    (void)state;
    struct event_log log;
    event_log_init(&log, EVENT_PLAIN, LEVEL_INFO);
    for (uint64_t ms = 0; ms < 2; ms++) {
        event_begin(&log, EVENT_HELD, ms);
        event_text(&log, "to", span_of("a b=\"c\""));
        event_end(&log);
    }
    assert_string_equal(line_of(&log), "1970-01-01T00:00:00.000Z held to=\"a b=\\\"c\\\"\"\n"
                                       "1970-01-01T00:00:00.001Z held to=\"a b=\\\"c\\\"\"\n");
    event_log_release(&log);
}

static void what_is_below_the_level_is_not_said(void **state)
{
    (void)state;
    struct event_log log;
    event_log_init(&log, EVENT_JSON, LEVEL_WARNING);
    event_begin(&log, EVENT_DELIVERED, WALL_MS);
    event_text(&log, "to", span_of("x"));
    event_status(&log, "enhanced", (const unsigned char[]){2, 0, 0});
    event_number(&log, "size", 1);
    event_end(&log);
    assert_int_equal(log.pending.len, 0);
    event_log_release(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_one_object_a_line),
        cmocka_unit_test(no_byte_ends_or_forges_a_line),
        cmocka_unit_test(the_time_follows),
        cmocka_unit_test(what_is_below_the_level_is_not_said),
    };
    return RUN(tests);
}
