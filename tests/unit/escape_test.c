/* SPDX-License-Identifier: MIT */
#include "mta/mail/escape.h"
#include "tests/unit/check.h"
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void assert_text(struct span from, size_t max, const char *expected)
{
    struct buf got = {0};
    escape_text(from, max, &got);
    assert_string_equal(buf_text(&got), expected);
    buf_release(&got);
}

static void assert_ascii(struct span from, size_t max, const char *expected)
{
    struct buf got = {0};
    escape_ascii(from, max, &got);
    assert_string_equal(buf_text(&got), expected);
    buf_release(&got);
}

static void assert_json(struct span from, const char *expected)
{
    struct buf got = {0};
    escape_json(from, &got);
    assert_string_equal(buf_text(&got), expected);
    buf_release(&got);
}

static void controls_become_question_marks(void **state)
{
    (void)state;
    assert_text(span_of("a\r\nb\tc\x1b[2J\x7f"), 100, "a??b?c?[2J?");
    assert_text(span_make("a\0b", 3), 100, "a?b");
    assert_text(span_of("\xc2\x85x\xe2\x80\xa8y\xe2\x80\xa9"), 100, "?x?y?"); /* C1, separators */
    assert_text(span_of("%n \"'\\"), 100, "%n \"'\\");
}

static void bytes_that_are_no_utf8_become_question_marks_one_by_one(void **state)
{
    (void)state;
    assert_text(span_of("a\xff\xfe"
                        "b"),
                100, "a??b");
    assert_text(span_of("\xc3"), 100, "?");
    assert_text(span_of("\xc3"
                        "a"),
                100, "?a"); /* nothing is swallowed */
    assert_text(span_of("\xe2\x82"
                        "a"),
                100, "??a");
    assert_text(span_of("\xc0\xaf"), 100, "??");           /* overlong */
    assert_text(span_of("\xed\xa0\x80"), 100, "???");      /* a surrogate */
    assert_text(span_of("\xf4\x90\x80\x80"), 100, "????"); /* beyond U+10FFFF */
    assert_text(span_of("\xf0\x9f\x98\x80 \xc3\xb6"), 100, "\xf0\x9f\x98\x80 \xc3\xb6");
}

static void a_cut_falls_between_characters(void **state)
{
    (void)state;
    assert_text(span_of("ab\xc3\xb6"), 3, "ab");
    assert_text(span_of("ab\xc3\xb6"), 4, "ab\xc3\xb6");
    assert_text(span_of("abc"), 0, "");
    assert_ascii(span_of("ab\xc3\xb6"
                         "c"),
                 3, "ab?");
}

static void the_limit_counts_what_is_appended(void **state)
{
    (void)state;
    struct buf got = {0};
    buf_put_text(&got, "before ");
    escape_text(span_of("text"), 2, &got);
    escape_text(span_of("more"), SIZE_MAX, &got);
    assert_string_equal(buf_text(&got), "before temore");
    buf_release(&got);
}

static void ascii_is_all_that_a_reply_may_hold(void **state)
{
    (void)state;
    assert_ascii(span_of("Kein Postfach f\xc3\xbcr j\xf6\r\n250 ok"), 100,
                 "Kein Postfach f?r j???250 ok");
}

static void json_strings_are_json(void **state)
{
    (void)state;
    assert_json(span_of(""), "\"\"");
    assert_json(span_of("a\"b\\c/d"), "\"a\\\"b\\\\c/d\"");
    assert_json(span_of("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\"");
    assert_json(span_make("a\0b\x1b", 4), "\"a\\u0000b\\u001b\"");
    assert_json(span_of("\x7f\xc2\x85\xe2\x80\xa8"), "\"\\u007f\\u0085\\u2028\"");
    assert_json(span_of("\xc3\xb6\xff\xf0\x9f\x98\x80"),
                "\"\xc3\xb6\xef\xbf\xbd\xf0\x9f\x98\x80\"");
}

/* Encodes by the book, to check the decoder over all that there is. */
static size_t encode(uint32_t point, char into[4])
{
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t n = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 0; point >>= 6)
        into[i] = (char)(i == 0 ? lead[n] | point : 0x80 | (point & 0x3f));
    return n;
}

static void every_character_is_known_and_its_cut_forms_are_not(void **state)
{
    (void)state;
    char text[4];
    for (uint32_t point = 0; point <= 0x10ffff; point++) {
        size_t n          = encode(point, text);
        uint32_t got      = UINT32_MAX;
        bool is_surrogate = point >= 0xd800 && point <= 0xdfff;
        assert_int_equal(utf8_decode(span_make(text, n), &got), is_surrogate ? 0 : n);
        if (!is_surrogate)
            assert_int_equal(got, point);
        for (size_t cut = 0; cut < n; cut++)
            assert_int_equal(utf8_decode(span_make(text, cut), &got), 0);
    }
}

static void validity_is_that_of_rfc_3629(void **state)
{
    (void)state;
    static const char *const good[] = {"", "ascii", "\xc3\xb6", "\xef\xbf\xbf", "\xf4\x8f\xbf\xbf"};
    static const char *const bad[]  = {
         "\x80", "\xc1\x81", "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xf8\x88\x80\x80\x80", "ok \xc3"};
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(utf8_is_valid(span_of(good[i])));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(utf8_is_valid(span_of(bad[i])));
    assert_true(utf8_is_printable(span_of("a \xc3\xb6")));
    assert_false(utf8_is_printable(span_of("a\n")));
    assert_false(utf8_is_printable(span_of("\xc2\x9b")));
}

static void one_high_byte_anywhere_is_no_ascii(void **state)
{
    (void)state;
    char text[40];
    memset(text, 'a', sizeof text);
    assert_true(text_is_ascii(span_make(text, sizeof text)));
    assert_true(text_is_ascii(span_make(NULL, 0)));
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = (char)0x80;
        for (size_t from = 0; from <= i; from++)
            assert_false(text_is_ascii(span_make(text + from, sizeof text - from)));
        assert_true(text_is_ascii(span_make(text, i)));
        text[i] = 'a';
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(controls_become_question_marks),
        cmocka_unit_test(bytes_that_are_no_utf8_become_question_marks_one_by_one),
        cmocka_unit_test(a_cut_falls_between_characters),
        cmocka_unit_test(the_limit_counts_what_is_appended),
        cmocka_unit_test(ascii_is_all_that_a_reply_may_hold),
        cmocka_unit_test(json_strings_are_json),
        cmocka_unit_test(every_character_is_known_and_its_cut_forms_are_not),
        cmocka_unit_test(validity_is_that_of_rfc_3629),
        cmocka_unit_test(one_high_byte_anywhere_is_no_ascii),
    };
    return RUN(tests);
}
