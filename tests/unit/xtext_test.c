/* SPDX-License-Identifier: MIT */
#include "mta/mail/escape.h"
#include "mta/mail/xtext.h"
#include "tests/unit/check.h"
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef bool decode_fn(struct span xtext, struct buf *into);

static void assert_decodes(decode_fn *decode, const char *xtext, const char *expected)
{
    struct buf got = {0};
    if (!decode(span_of(xtext), &got))
        fail_msg("refused: %s", xtext);
    assert_string_equal(buf_text(&got), expected);
    buf_release(&got);
}

static void assert_refused(decode_fn *decode, const char *xtext)
{
    struct buf got = {0};
    buf_put_text(&got, "before");
    if (decode(span_of(xtext), &got))
        fail_msg("taken: %s", xtext);
    assert_true(span_is(buf_span(&got), "before"));
    buf_release(&got);
}

static void xtext_decodes_its_escapes(void **state)
{
    (void)state;
    assert_decodes(xtext_decode, "", "");
    assert_decodes(xtext_decode, "user@dom.example", "user@dom.example");
    assert_decodes(xtext_decode, "a+2Bb+3Dc", "a+b=c");
    assert_decodes(xtext_decode, "a+20b+09c", "a b\tc"); /* RFC 3461 4.4: white space is fine */
    assert_decodes(xtext_decode, "\\x{41}", "\\x{41}");  /* no escape here */
    assert_decodes(xtext_decode, "+C3+B6", "\xc3\xb6");
}

static void what_is_no_xtext_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"a+",  "a+2", "a+2x", "a+2b", "a+ 1",    "+-1",
                                      "a=b", "a b", "a\tb", "\x7f", "\xc3\xb6"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_refused(xtext_decode, bad[i]);
}

static void no_control_comes_out_of_xtext(void **state)
{
    (void)state;
    static const char *const bad[] = {"a+0Ab", "a+0Db",  "+0D+0A",    "+00", "+1B",      "+7F",
                                      "+85",   "+C2+85", "+E2+80+A8", "+FF", "+ED+A0+80"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_refused(xtext_decode, bad[i]);
}

static void encoding_escapes_all_but_printable_ascii(void **state)
{
    (void)state;
    struct buf got = {0};
    xtext_encode(span_of("a+b=c d\r\n\xc3\xb6~!"), &got);
    assert_string_equal(buf_text(&got), "a+2Bb+3Dc+20d+0D+0A+C3+B6~!");
    buf_release(&got);
}

static void a_plus_in_an_address_is_quoted_again(void **state)
{
    (void)state;
    struct buf text = {0}, again = {0};
    assert_true(xtext_decode(span_of("list+2Bx@dom.example"), &text));
    xtext_encode(buf_span(&text), &again);
    assert_string_equal(buf_text(&again), "list+2Bx@dom.example");
    buf_release(&text);
    buf_release(&again);
}

static void the_utf8_form_decodes_its_escapes(void **state)
{
    (void)state;
    assert_decodes(xtext_decode_utf8, "user@dom.example", "user@dom.example");
    assert_decodes(xtext_decode_utf8, "j\\x{F6}rg", "j\xc3\xb6rg");
    assert_decodes(xtext_decode_utf8, "\\x{5C}\\x{2B}\\x{3D}\\x{20}", "\\+= ");
    assert_decodes(xtext_decode_utf8, "\\x{4f8b}\\x{1F600}", "\xe4\xbe\x8b\xf0\x9f\x98\x80");
    assert_decodes(xtext_decode_utf8, "\\x{10FFFD}", "\xf4\x8f\xbf\xbd");
    assert_decodes(xtext_decode_utf8, "j\xc3\xb6rg+x",
                   "j\xc3\xb6rg+x"); /* raw, as in utf-8-address */
}

static void what_is_no_utf8_form_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\\",       "\\x",     "\\x{",    "\\x{}",     "\\x{F}",      "\\x{F6",
        "\\x{0F6}", "\\x{41}", "\\x{G0}", "\\x{D800}", "\\x{110000}", "\\x{1000000}",
        "\\x{0A}",  "\\x{0D}", "\\x{00}", "\\x{7F}",   "\\x{85}",     "\\x{2028}",
        "\\y",      "a b",     "a\r\nb",  "\xff",      "\xc2\x85",    "\\x{FFFFFFFF}",
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_refused(xtext_decode_utf8, bad[i]);
}

static void the_utf8_form_goes_round(void **state)
{
    (void)state;
    static const char text[] = "a\\b+c=d e\xc3\xb6\xe4\xbe\x8b\xf0\x9f\x98\x80@x";
    struct buf encoded = {0}, decoded = {0};
    xtext_encode_utf8(span_of(text), &encoded);
    assert_true(text_is_ascii(buf_span(&encoded)));
    assert_string_equal(buf_text(&encoded),
                        "a\\x{5C}b\\x{2B}c\\x{3D}d\\x{20}e\\x{F6}\\x{4F8B}\\x{1F600}@x");
    assert_true(xtext_decode_utf8(buf_span(&encoded), &decoded));
    assert_string_equal(buf_text(&decoded), text);
    buf_clear(&encoded);
    xtext_encode_utf8(span_of("a\xff"), &encoded);
    assert_string_equal(buf_text(&encoded), "a\\x{FFFD}");
    buf_release(&encoded);
    buf_release(&decoded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(xtext_decodes_its_escapes),
        cmocka_unit_test(what_is_no_xtext_is_refused),
        cmocka_unit_test(no_control_comes_out_of_xtext),
        cmocka_unit_test(encoding_escapes_all_but_printable_ascii),
        cmocka_unit_test(a_plus_in_an_address_is_quoted_again),
        cmocka_unit_test(the_utf8_form_decodes_its_escapes),
        cmocka_unit_test(what_is_no_utf8_form_is_refused),
        cmocka_unit_test(the_utf8_form_goes_round),
    };
    return RUN(tests);
}
