/* SPDX-License-Identifier: MIT */
#include "mta/base/mem.h"
#include "mta/base/span.h"
#include "tests/unit/check.h"
#include <string.h>

static const struct span empty = {NULL, 0};

static void equality_knows_length_and_case(void **state)
{
    (void)state;
    struct span a = SPAN("Mail");
    assert_true(span_is(a, "Mail"));
    assert_false(span_is(a, "mail"));
    assert_false(span_is(a, "Mai"));
    assert_false(span_is(a, "Mails"));
    assert_true(span_is_nocase(a, "mAIL"));
    assert_false(span_is_nocase(a, "mAILs"));
    assert_true(span_equals(empty, span_of("")));
    assert_true(span_equals(span_of(NULL), empty));
    assert_true(span_equals_nocase(empty, span_of("")));
}

static void only_ascii_letters_are_folded(void **state)
{
    (void)state;
    assert_false(span_is_nocase(span_of("["), "{")); /* 0x5b and 0x7b */
    assert_false(span_is_nocase(span_of("@"), "`"));
    assert_false(span_is_nocase(span_of("\xc4"), "\xe4"));
    for (int c = 0; c < 256; c++) {
        bool is_upper = c >= 'A' && c <= 'Z', is_lower = c >= 'a' && c <= 'z';
        assert_int_equal((unsigned char)ascii_lower((char)c), is_upper ? c + 32 : c);
        assert_int_equal((unsigned char)ascii_upper((char)c), is_lower ? c - 32 : c);
        assert_int_equal(ascii_is_alpha((char)c), is_upper || is_lower);
        assert_int_equal(ascii_is_digit((char)c), c >= '0' && c <= '9');
    }
}

static void prefixes_and_suffixes(void **state)
{
    (void)state;
    struct span line = SPAN("RCPT TO:<a@b>");
    assert_true(span_starts(line, span_of("RCPT")));
    assert_false(span_starts(line, span_of("rcpt")));
    assert_true(span_starts_nocase(line, span_of("rcpt to:")));
    assert_false(span_starts(span_of("RC"), span_of("RCPT")));
    assert_true(span_starts(line, empty));
    assert_true(span_starts(empty, empty));
    assert_true(span_ends_nocase(line, span_of("A@B>")));
    assert_false(span_ends_nocase(line, span_of("A@B")));
    assert_false(span_ends_nocase(span_of("b>"), span_of("a@b>")));
    assert_true(span_ends_nocase(line, empty));
}

static void order_is_that_of_bytes(void **state)
{
    (void)state;
    assert_true(span_compare(span_of("a"), span_of("b")) < 0);
    assert_true(span_compare(span_of("b"), span_of("a")) > 0);
    assert_true(span_compare(span_of("a"), span_of("aa")) < 0);
    assert_true(span_compare(span_of("aa"), span_of("a")) > 0);
    assert_int_equal(span_compare(span_of("aa"), span_of("aa")), 0);
    assert_int_equal(span_compare(empty, span_of("")), 0);
    assert_true(span_compare(span_of("\x80"), span_of("\x7f")) > 0);
}

static void finding(void **state)
{
    (void)state;
    struct span s = span_make("a\0b:c", 5);
    assert_int_equal(span_find(s, 'a'), 0);
    assert_int_equal(span_find(s, '\0'), 1);
    assert_int_equal(span_find(s, ':'), 3);
    assert_int_equal(span_find(s, 'x'), 5);
    assert_int_equal(span_find(empty, 'x'), 0);
    assert_int_equal(span_find_text(s, span_of("b:")), 2);
    assert_int_equal(span_find_text(s, span_of("c:")), 5);
    assert_int_equal(span_find_text(s, span_of("")), 0);
    assert_int_equal(span_find_text(s, empty), 0);
    assert_int_equal(span_find_text(empty, span_of("a")), 0);
    assert_int_equal(span_find_text(s, span_of("a long needle")), 5);
}

static void cutting_off(void **state)
{
    (void)state;
    struct span s = SPAN("abc");
    assert_true(span_is(span_skip(s, 1), "bc"));
    assert_int_equal(span_skip(s, 9).len, 0);
    assert_int_equal(span_skip(empty, 9).len, 0);
    assert_true(span_is(span_first(s, 2), "ab"));
    assert_true(span_is(span_first(s, 9), "abc"));
    assert_true(span_is(span_trim(span_of(" \t\r\n a b \r\n")), "a b"));
    assert_int_equal(span_trim(span_of(" \t ")).len, 0);
    assert_int_equal(span_trim(empty).len, 0);
}

static void parts_are_cut_in_turn(void **state)
{
    (void)state;
    struct span s = SPAN("a,,b,"), part;
    assert_true(span_cut(&s, ',', &part));
    assert_true(span_is(part, "a"));
    assert_true(span_cut(&s, ',', &part));
    assert_int_equal(part.len, 0);
    assert_true(span_cut(&s, ',', &part));
    assert_true(span_is(part, "b"));
    assert_false(span_cut(&s, ',', &part)); /* nothing behind the last one */
    s = span_of("whole");
    assert_true(span_cut(&s, ',', &part));
    assert_true(span_is(part, "whole"));
    assert_false(span_cut(&s, ',', &part));
}

static void numbers_keep_their_limits(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t max;
        bool is_taken;
        uint64_t value;
    } rows[] = {
        {"0",                     0,          true,  0         },
        {"1",                     0,          false, 0         },
        {"0000",                  9,          true,  0         },
        {"7",                     7,          true,  7         },
        {"8",                     7,          false, 0         },
        {"65535",                 65535,      true,  65535     },
        {"65536",                 65535,      false, 0         },
        {"100",                   99,         false, 0         },
        {"99",                    99,         true,  99        },
        {"18446744073709551615",  UINT64_MAX, true,  UINT64_MAX},
        {"18446744073709551616",  UINT64_MAX, false, 0         },
        {"99999999999999999999",  UINT64_MAX, false, 0         },
        {"184467440737095516150", UINT64_MAX, false, 0         },
        {"",                      10,         false, 0         },
        {"-1",                    10,         false, 0         },
        {"+1",                    10,         false, 0         },
        {" 1",                    10,         false, 0         },
        {"1 ",                    10,         false, 0         },
        {"1a",                    100,        false, 0         },
        {"0x1",                   100,        false, 0         },
        {"\xb2",                  100,        false, 0         },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t value = 4711;
        if (span_to_number(span_of(rows[i].text), rows[i].max, &value) != rows[i].is_taken)
            fail_msg("\"%s\"", rows[i].text);
        assert_true(value == (rows[i].is_taken ? rows[i].value : 4711));
    }
}

/* Against a plain count, for every limit and number that fit three digits. */
static void every_small_number_and_limit(void **state)
{
    (void)state;
    for (unsigned max = 0; max < 130; max++)
        for (unsigned n = 0; n < 1000; n++) {
            char text[8];
            uint64_t value;
            (void)snprintf(text, sizeof text, "%u", n);
            assert_int_equal(span_to_number(span_of(text), max, &value), n <= max);
        }
}

static void hashes_follow_content_seed_and_case(void **state)
{
    (void)state;
    char *upper = mem_new(1000), *lower = mem_new(1000);
    for (int i = 0; i < 1000; i++) {
        upper[i] = (char)('A' + i % 26);
        lower[i] = (char)('a' + i % 26);
    }
    for (size_t n = 0; n <= 1000; n += 37) {
        struct span a = {upper, n}, b = {lower, n};
        assert_true(span_hash_nocase(a, 1) == span_hash_nocase(b, 1));
        if (n > 0) {
            assert_true(span_hash(a, 1) != span_hash(b, 1));
            assert_true(span_hash(a, 1) != span_hash(a, 2));
            assert_true(span_hash_nocase(a, 1) != span_hash_nocase(a, 2));
        }
    }
    assert_true(span_hash(empty, 5) == span_hash(span_of(""), 5));
    mem_free(upper);
    mem_free(lower);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equality_knows_length_and_case),
        cmocka_unit_test(only_ascii_letters_are_folded),
        cmocka_unit_test(prefixes_and_suffixes),
        cmocka_unit_test(order_is_that_of_bytes),
        cmocka_unit_test(finding),
        cmocka_unit_test(cutting_off),
        cmocka_unit_test(parts_are_cut_in_turn),
        cmocka_unit_test(numbers_keep_their_limits),
        cmocka_unit_test(every_small_number_and_limit),
        cmocka_unit_test(hashes_follow_content_seed_and_case),
    };
    return RUN(tests);
}
