/* SPDX-License-Identifier: MIT */
#include "mta/mail/words.h"
#include "tests/unit/check.h"
#include <string.h>

static void reads_as(const char *value, const char *wanted)
{
    struct buf text = {0};
    words_decode(span_of(value), &text);
    assert_string_equal(buf_text(&text), wanted);
    buf_release(&text);
}

static void encoded_words_are_read(void **state)
{
    (void)state;
    reads_as("plain  text", "plain  text");
    reads_as("=?utf-8?q?D=C3=B6g_lovers?=", "D\xc3\xb6g lovers");
    reads_as("=?UTF-8?B?RMO2Zw==?= x", "D\xc3\xb6g x");
    reads_as("=?iso-8859-1*de?Q?D=F6g?=", "D\xc3\xb6g");
    reads_as("=?utf-8?q?a?=\r\n =?utf-8?q?b?= c", "ab c");
    reads_as("a\r\n b", "a b");
}

static void what_is_no_encoded_word_stays(void **state)
{
    (void)state;
    reads_as("=?utf-8?q?open", "=?utf-8?q?open");
    reads_as("=?koi8-r?q?x?=", "=?koi8-r?q?x?=");
    reads_as("=?utf-8?x?a?=", "=?utf-8?x?a?=");
    reads_as("=?utf-8?b?!?=", "=?utf-8?b?!?=");
    reads_as("=?utf-8?q?=FF?=", "=?utf-8?q?=FF?=");
    reads_as("=?", "=?");
}

static void what_is_written_reads_the_same(void **state)
{
    (void)state;
    const char *text = "D\xc3\xb6g \xf0\x9f\x90\xb6 lovers, and a text that is longer than one "
                       "word of seventy-five bytes can hold";
    struct buf coded = {0};
    struct span rest, word;
    words_encode(span_of(text), " ", &coded);
    reads_as(buf_text(&coded), text);
    for (rest = buf_span(&coded); span_cut(&rest, ' ', &word);)
        assert_true(word.len <= 75);
    buf_release(&coded);
}

static void a_plain_name_is_quoted(void **state)
{
    (void)state;
    struct buf into = {0};
    words_phrase(span_of("Lee, \"Ann\""), " ", &into);
    assert_string_equal(buf_text(&into), "\"Lee, \\\"Ann\\\"\"");
    buf_release(&into);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encoded_words_are_read),
        cmocka_unit_test(what_is_no_encoded_word_stays),
        cmocka_unit_test(what_is_written_reads_the_same),
        cmocka_unit_test(a_plain_name_is_quoted),
    };
    return RUN(tests);
}
