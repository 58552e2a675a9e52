/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "mta/smtp/reply.h"
#include <stdlib.h>
#include <string.h>

/* Feeds all of it, in chunks, from memory that ends where the bytes end; the last line's verdict.
 */
static enum reply_line feed(struct reply_reader *r, struct span bytes, size_t chunk)
{
    enum reply_line line = REPLY_LINE_MORE;
    while (bytes.len > 0) {
        size_t n    = bytes.len < chunk ? bytes.len : chunk, used;
        char *piece = malloc(n);
        assert_non_null(piece);
        memcpy(piece, bytes.at, n);
        line = reply_reader_feed(r, span_make(piece, n), &used);
        free(piece);
        assert_true(used <= n);
        if (line == REPLY_LINE_BAD)
            return line;
        bytes = span_skip(bytes, used);
    }
    return line;
}

static enum reply_line read_one(struct reply_reader *r, const char *text)
{
    reply_reader_init(r);
    return feed(r, span_of(text), SIZE_MAX);
}

static void assert_text(const struct smtp_reply *reply, const char *text)
{
    char got[REPLY_TEXT_BYTES_MAX + 1] = {0};
    memcpy(got, reply->text, reply->text_len);
    assert_string_equal(got, text);
}

static void assert_status(const struct smtp_reply *reply, int x, int y, int z)
{
    unsigned char status[3];
    smtp_reply_status(reply, status);
    assert_int_equal(status[0], x);
    assert_int_equal(status[1], y);
    assert_int_equal(status[2], z);
}

static void a_reply_has_code_status_and_text(void **state)
{
    struct reply_reader r;
    (void)state;
    assert_int_equal(read_one(&r, "550 5.1.1 no such user\r\n"), REPLY_LINE_LAST);
    assert_int_equal(r.reply.code, 550);
    assert_status(&r.reply, 5, 1, 1);
    assert_text(&r.reply, "no such user");
    assert_int_equal(smtp_reply_class(&r.reply), 5);
}

static void lines_are_joined(void **state)
{
    struct reply_reader r;
    (void)state;
    assert_int_equal(read_one(&r, "250-2.0.0 one\r\n250-2.0.0 two\r\n250 2.0.0 three\r\n"),
                     REPLY_LINE_LAST);
    assert_text(&r.reply, "one\ntwo\nthree");
    assert_status(&r.reply, 2, 0, 0);
}

static void a_bare_code_is_a_reply(void **state)
{
    struct reply_reader r;
    (void)state;
    assert_int_equal(read_one(&r, "250\r\n"), REPLY_LINE_LAST);
    assert_int_equal(read_one(&r, "250\n"), REPLY_LINE_LAST);
    assert_int_equal(read_one(&r, "250-\r\n250 \r\n"), REPLY_LINE_LAST);
    assert_text(&r.reply, "\n");
    assert_int_equal(reply_reader_line(&r).len, 0);
}

static void a_status_must_fit_the_class(void **state)
{
    struct reply_reader r;
    (void)state;
    read_one(&r, "550 4.1.1 odd\r\n");
    assert_status(&r.reply, 5, 0, 0);
    assert_text(&r.reply, "4.1.1 odd");
    read_one(&r, "250-5.1.1 x\r\n550 y\r\n");
    assert_status(&r.reply, 5, 0, 0);
    read_one(&r, "550 5.1 x\r\n");
    assert_status(&r.reply, 5, 0, 0);
    read_one(&r, "550 5.1.1.1 x\r\n");
    assert_status(&r.reply, 5, 0, 0);
    read_one(&r, "550 5..1 x\r\n");
    assert_status(&r.reply, 5, 0, 0);
    read_one(&r, "550 5.1.1000 x\r\n");
    assert_status(&r.reply, 5, 0, 0);
}

static void a_status_that_does_not_fit_a_byte_stays_in_the_text(void **state)
{
    struct reply_reader r;
    (void)state;
    read_one(&r, "550 5.7.509 access denied\r\n");
    assert_status(&r.reply, 5, 7, 0);
    assert_text(&r.reply, "5.7.509 access denied");
}

static void nothing_is_taken_from_the_reply_before(void **state)
{
    struct reply_reader r;
    (void)state;
    reply_reader_init(&r);
    feed(&r, span_of("550 5.1.1 no such user\r\n"), 1);
    feed(&r, span_of("550 no\r\n"), 1);
    assert_status(&r.reply, 5, 0, 0);
    assert_text(&r.reply, "no");
    feed(&r, span_of("250\r\n"), 1);
    assert_text(&r.reply, "");
}

static void the_code_of_the_last_line_counts(void **state)
{
    struct reply_reader r;
    (void)state;
    assert_int_equal(read_one(&r, "250-ok\r\n550 no\r\n"), REPLY_LINE_LAST);
    assert_int_equal(r.reply.code, 550);
}

static void what_is_no_reply_is_bad_for_ever(void **state)
{
    static const char *const bad[] = {
        "\r\n",      "\n",         "2\r\n",       "25\r\n",     "25 0\r\n",  "250x\r\n",
        "150 x\r\n", "600 x\r\n",  "abc\r\n",     " 250 x\r\n", "-50 x\r\n", "2 50\r\n",
        "2500\r\n",  "250\tx\r\n", "250-x\r\n\n", "+25 x\n",
    };
    struct reply_reader r;
    size_t used;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(read_one(&r, bad[i]), REPLY_LINE_BAD);
        assert_int_equal(r.reply.code, 0);
        assert_int_equal(reply_reader_feed(&r, span_of("250 x\r\n"), &used), REPLY_LINE_BAD);
    }
    read_one(&r, "SSH-2.0\x1b\r\n");
    assert_text(&r.reply, "SSH-2.0?");
}

static void controls_are_replaced_and_utf8_is_kept(void **state)
{
    struct reply_reader r;
    (void)state;
    read_one(&r, "550 a\x1b[2J\rb\x7f\xc2\x85 \xc3\xa4 \xff \xe2\x80\xa8 \xc3\r\n");
    assert_text(&r.reply, "a?[2J?b?? \xc3\xa4 ? ? ?");
}

static void a_long_line_loses_its_tail(void **state)
{
    static char line[20000];
    struct reply_reader r;
    (void)state;
    memset(line, 'x', sizeof line - 3);
    memcpy(line, "250 ", 4);
    memcpy(line + sizeof line - 3, "\r\n", 3);
    assert_int_equal(read_one(&r, line), REPLY_LINE_LAST);
    assert_int_equal(r.reply.text_len, REPLY_LINE_BYTES_MAX - 4);
}

static void a_reply_has_a_limit_of_lines_and_of_bytes(void **state)
{
    struct reply_reader r;
    (void)state;
    reply_reader_init(&r);
    for (int i = 0; i < REPLY_LINES_MAX; i++)
        assert_int_equal(feed(&r, span_of("250-x\r\n"), 3), REPLY_LINE_MIDDLE);
    assert_int_equal(feed(&r, span_of("250 x\r\n"), 3), REPLY_LINE_BAD);

    reply_reader_init(&r);
    size_t fed = 0;
    while (feed(&r, span_of("2500000000"), SIZE_MAX) != REPLY_LINE_BAD)
        assert_true((fed += 10) <= REPLY_BYTES_MAX);
    assert_true(fed + 10 > REPLY_BYTES_MAX);
}

static void the_cut_does_not_matter(void **state)
{
    static const char text[] = "220-4.1.1 a\r\n220-\xc3\xa4\r\n220 2.1.1 b\n550\r\n354 go\r\n";
    struct reply_reader whole, cut;
    (void)state;
    reply_reader_init(&whole);
    feed(&whole, span_of(text), SIZE_MAX);
    for (size_t chunk = 1; chunk < sizeof text; chunk++) {
        reply_reader_init(&cut);
        assert_int_equal(feed(&cut, span_of(text), chunk), REPLY_LINE_LAST);
        assert_int_equal(cut.reply.code, whole.reply.code);
        assert_int_equal(cut.reply.text_len, whole.reply.text_len);
        assert_memory_equal(cut.reply.text, whole.reply.text, whole.reply.text_len);
    }
}

static void one_line_is_taken_at_a_time(void **state)
{
    struct reply_reader r;
    struct span text = span_of("250-PIPELINING\r\n250 SIZE 5\r\n220");
    size_t used;
    (void)state;
    reply_reader_init(&r);
    assert_int_equal(reply_reader_feed(&r, text, &used), REPLY_LINE_MIDDLE);
    assert_int_equal(used, 16);
    assert_true(span_is(reply_reader_line(&r), "PIPELINING"));
    text = span_skip(text, used);
    assert_int_equal(reply_reader_feed(&r, text, &used), REPLY_LINE_LAST);
    assert_true(span_is(reply_reader_line(&r), "SIZE 5"));
    text = span_skip(text, used);
    assert_int_equal(reply_reader_feed(&r, text, &used), REPLY_LINE_MORE);
    assert_int_equal(used, 3);
    assert_int_equal(r.reply.code, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_has_code_status_and_text),
        cmocka_unit_test(lines_are_joined),
        cmocka_unit_test(a_bare_code_is_a_reply),
        cmocka_unit_test(a_status_must_fit_the_class),
        cmocka_unit_test(a_status_that_does_not_fit_a_byte_stays_in_the_text),
        cmocka_unit_test(nothing_is_taken_from_the_reply_before),
        cmocka_unit_test(the_code_of_the_last_line_counts),
        cmocka_unit_test(what_is_no_reply_is_bad_for_ever),
        cmocka_unit_test(controls_are_replaced_and_utf8_is_kept),
        cmocka_unit_test(a_long_line_loses_its_tail),
        cmocka_unit_test(a_reply_has_a_limit_of_lines_and_of_bytes),
        cmocka_unit_test(the_cut_does_not_matter),
        cmocka_unit_test(one_line_is_taken_at_a_time),
    };
    return RUN(tests);
}
