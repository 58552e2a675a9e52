/* SPDX-License-Identifier: MIT */
/* A content is the same however it is torn, and everything wrong with it is noticed. */
#include "bench/mx_body.h"
#include "tests/unit/check.h"
#include <openssl/sha.h>
#include <string.h>

static void feed_in_pieces(struct mx_body *b, struct span bytes, size_t piece)
{
    while (bytes.len > 0 && b->state != MX_BODY_ENDED) {
        struct span part = span_first(bytes, piece);
        size_t taken     = mx_body_feed(b, part);
        assert_true(taken == part.len || b->state == MX_BODY_ENDED);
        bytes = span_skip(bytes, taken);
    }
}

static void assert_hash_is_of(struct mx_body *b, const char *body)
{
    uint8_t got[LEDGER_SHA256_BYTES], wanted[LEDGER_SHA256_BYTES];
    mx_body_end(b, got);
    SHA256((const unsigned char *)body, strlen(body), wanted);
    assert_memory_equal(got, wanted, sizeof wanted);
}

static void content_is_the_same_in_pieces_of_every_size(void **state)
{
    (void)state;
    static const char wire[] =
        "Subject: x\r\nX-Mailrace-Id: i\r\n\r\na\r\n..b\r\n..\r\n...\r\n\r\n.\r\n";
    struct mx_body b;
    mx_body_init(&b);
    for (size_t piece = 1; piece < sizeof wire; piece++) {
        mx_body_begin(&b, true, true);
        feed_in_pieces(&b, span_of(wire), piece);
        assert_int_equal(b.state, MX_BODY_ENDED);
        assert_int_equal(b.violations, 0);
        assert_true(span_is(buf_span(&b.whole),
                            "Subject: x\r\nX-Mailrace-Id: i\r\n\r\na\r\n.b\r\n.\r\n..\r\n\r\n"));
        assert_int_equal(b.bytes, b.whole.len);
        assert_true(span_is(mx_body_field(&b, "x-mailrace-id"), "i"));
        assert_hash_is_of(&b, "a\r\n.b\r\n.\r\n..\r\n\r\n");
    }
    mx_body_release(&b);
}

static void what_follows_the_dot_is_not_taken(void **state)
{
    (void)state;
    struct mx_body b;
    mx_body_init(&b);
    mx_body_begin(&b, false, true);
    assert_int_equal(mx_body_feed(&b, span_of("\r\nx\r\n.\r\nMAIL FROM:<>\r\n")), 8);
    assert_int_equal(b.state, MX_BODY_ENDED);
    assert_hash_is_of(&b, "x\r\n");
    mx_body_release(&b);
}

static void an_empty_content_ends_at_once(void **state)
{
    (void)state;
    struct mx_body b;
    mx_body_init(&b);
    mx_body_begin(&b, true, true);
    assert_int_equal(mx_body_feed(&b, span_of(".\r\n")), 3);
    assert_int_equal(b.state, MX_BODY_ENDED);
    assert_int_equal(b.bytes, 0);
    assert_hash_is_of(&b, "");
    mx_body_release(&b);
}

struct breach {
    const char *wire;
    size_t len;
    enum violation violation;
};

#define BREACH(text, violation)                                                                    \
    {                                                                                              \
        text, sizeof(text) - 1, violation                                                          \
    }

static void every_breach_is_noticed_however_it_is_torn(void **state)
{
    (void)state;
    static const struct breach breaches[] = {
        BREACH("a\nb\r\n.\r\n", VIOLATION_bare_lf),
        BREACH("a\n.\nb\r\n.\r\n", VIOLATION_bare_lf),
        BREACH("a\n.\r\nb\r\n.\r\n", VIOLATION_bare_lf), /* no end: the line began with no CRLF */
        BREACH("a\rb\r\n.\r\n", VIOLATION_bare_cr),
        BREACH("a\r\r\n.\r\n", VIOLATION_bare_cr),
        BREACH("a\0b\r\n.\r\n", VIOLATION_nul),
        BREACH(".a\r\n.\r\n", VIOLATION_dot_not_stuffed),
        BREACH(".\na\r\n.\r\n", VIOLATION_dot_not_stuffed),
        BREACH(".\ra\r\n.\r\n", VIOLATION_dot_not_stuffed),
    };
    struct mx_body b;
    mx_body_init(&b);
    for (size_t i = 0; i < sizeof breaches / sizeof breaches[0]; i++)
        for (size_t piece = 1; piece <= breaches[i].len; piece++) {
            mx_body_begin(&b, false, false);
            feed_in_pieces(&b, span_make(breaches[i].wire, breaches[i].len), piece);
            assert_int_equal(b.state, MX_BODY_ENDED);
            assert_true(b.violations & 1u << breaches[i].violation);
        }
    mx_body_release(&b);
}

static void lines_may_have_a_thousand_bytes_and_no_more(void **state)
{
    (void)state;
    struct mx_body b;
    char line[MX_BODY_LINE_BYTES_MAX + 1];
    mx_body_init(&b);
    for (size_t length = MX_BODY_LINE_BYTES_MAX - 1; length <= MX_BODY_LINE_BYTES_MAX + 1;
         length++) {
        memset(line, 'x', length);
        memcpy(line + length - 2, "\r\n", 2);
        mx_body_begin(&b, false, false);
        feed_in_pieces(&b, span_make(line, length), 7);
        assert_int_equal(b.violations != 0, length > MX_BODY_LINE_BYTES_MAX);
    }
    mx_body_release(&b);
}

static void eight_bit_content_is_seen_at_every_place(void **state)
{
    (void)state;
    struct mx_body b;
    mx_body_init(&b);
    for (size_t at = 0; at < 40; at++) {
        char text[43];
        memset(text, 'x', 40);
        memcpy(text + 40, "\r\n", 3);
        mx_body_begin(&b, false, false);
        (void)mx_body_feed(&b, span_of(text));
        assert_false(b.has_8bit);
        text[at] = (char)0x80;
        (void)mx_body_feed(&b, span_of(text));
        assert_true(b.has_8bit);
    }
    mx_body_release(&b);
}

static void chunks_keep_their_dots(void **state)
{
    (void)state;
    static const char wire[] = "A: b\r\n\r\n.\r\n..\r\n";
    struct mx_body b;
    mx_body_init(&b);
    for (size_t cut = 0; cut < sizeof wire; cut++) {
        mx_body_begin(&b, true, true);
        mx_body_feed_chunk(&b, span_first(span_of(wire), cut));
        mx_body_feed_chunk(&b, span_skip(span_of(wire), cut));
        assert_true(span_is(buf_span(&b.whole), wire));
        assert_int_equal(b.violations, 0);
        assert_hash_is_of(&b, ".\r\n..\r\n");
    }
    mx_body_release(&b);
}

static void fields_are_found_folded_or_not(void **state)
{
    (void)state;
    struct mx_body b;
    mx_body_init(&b);
    mx_body_begin(&b, false, false);
    (void)mx_body_feed(&b, span_of("Message-ID:\r\n <a@b>\r\nTo : x\r\n\r\nFrom: in the body\r\n"));
    assert_true(span_is(mx_body_field(&b, "message-id"), "<a@b>"));
    assert_true(span_is(mx_body_field(&b, "To"), "x"));
    assert_int_equal(mx_body_field(&b, "From").len, 0);
    mx_body_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_is_the_same_in_pieces_of_every_size),
        cmocka_unit_test(what_follows_the_dot_is_not_taken),
        cmocka_unit_test(an_empty_content_ends_at_once),
        cmocka_unit_test(every_breach_is_noticed_however_it_is_torn),
        cmocka_unit_test(lines_may_have_a_thousand_bytes_and_no_more),
        cmocka_unit_test(eight_bit_content_is_seen_at_every_place),
        cmocka_unit_test(chunks_keep_their_dots),
        cmocka_unit_test(fields_are_found_folded_or_not),
    };
    return RUN(tests);
}
