/* SPDX-License-Identifier: MIT */
#include "mta/mail/msgid.h"
#include "tests/unit/check.h"
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void an_id_and_its_text_go_round(void **state)
{
    (void)state;
    static const uint64_t ids[] = {0, 1, 31, 32, 0x0123456789abcdef, UINT64_MAX - 1, UINT64_MAX};
    for (size_t i = 0; i < COUNT(ids); i++) {
        char text[MSGID_TEXT_BYTES];
        uint64_t again = 42;
        assert_int_equal(strlen(msgid_text(ids[i], text)), 13);
        assert_true(msgid_parse(span_of(text), &again));
        assert_int_equal(again, ids[i]);
    }
}

static void the_alphabet_is_crockfords(void **state)
{
    (void)state;
    char text[MSGID_TEXT_BYTES];
    assert_string_equal(msgid_text(UINT64_MAX, text), "FZZZZZZZZZZZZ");
    assert_string_equal(msgid_text(0, text), "0000000000000");
    /* 10 18 19 23 31 */
    assert_string_equal(msgid_text(10ull << 20 | 18 << 15 | 19 << 10 | 23 << 5 | 31, text),
                        "00000000AJKQZ");
    for (uint64_t digit = 0; digit < 32; digit++)
        assert_null(strchr("ILOU", msgid_text(digit, text)[12]));
}

static void people_may_misread_it(void **state)
{
    (void)state;
    uint64_t a = 0, b = 1;
    assert_true(msgid_parse(span_of("01KB2C3D4E5F0"), &a));
    assert_true(msgid_parse(span_of("oikb2c3d4e5fO"), &b));
    assert_int_equal(a, b);
    assert_true(msgid_parse(span_of("0lkb2c3d4e5f0"), &b));
    assert_int_equal(a, b);
}

static void what_is_no_id_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "0",
                                      "000000000000",
                                      "00000000000000",
                                      "G000000000000", /* more than 64 bits */
                                      "000000000000U",
                                      "000000-000000",
                                      "000000000000\xc3"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        uint64_t id = 42;
        assert_false(msgid_parse(span_of(bad[i]), &id));
        assert_int_equal(id, 42);
    }
    uint64_t id;
    assert_false(msgid_parse(span_make("000000\0000000", 13), &id));
}

static void ids_grow_with_time_and_within_a_millisecond(void **state)
{
    (void)state;
    uint64_t first = msgid_next(0, 1795517367123);
    assert_int_equal(first >> 20, 1795517367123);
    assert_int_equal(msgid_next(first, 1795517367123), first + 1);
    assert_int_equal(msgid_next(first + 1, 1795517367124) >> 20, 1795517367124);
}

static void a_clock_that_steps_back_does_not_take_ids_back(void **state)
{
    (void)state;
    uint64_t last = msgid_next(0, 1795517367123);
    assert_int_equal(msgid_next(last, 1000), last + 1);
    assert_int_equal(msgid_next(last, 0), last + 1);
    assert_true(msgid_next(0, 0) > 0);
    assert_true(msgid_next(last, UINT64_MAX) > last);
}

static void text_sorts_like_the_number(void **state)
{
    (void)state;
    char a[MSGID_TEXT_BYTES], b[MSGID_TEXT_BYTES];
    uint64_t id = 1;
    for (int i = 0; i < 63; i++, id *= 2)
        assert_true(strcmp(msgid_text(id, a), msgid_text(id + id / 2 + 1, b)) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_and_its_text_go_round),
        cmocka_unit_test(the_alphabet_is_crockfords),
        cmocka_unit_test(people_may_misread_it),
        cmocka_unit_test(what_is_no_id_is_refused),
        cmocka_unit_test(ids_grow_with_time_and_within_a_millisecond),
        cmocka_unit_test(a_clock_that_steps_back_does_not_take_ids_back),
        cmocka_unit_test(text_sorts_like_the_number),
    };
    return RUN(tests);
}
