/* SPDX-License-Identifier: MIT */
/*
 * Dot: every string of eight bytes over the alphabet that matters, at every cut, against a
 * reference that is written for being read, not for speed (security.md 1.1).
 */
#include "mta/mail/dot.h"
#include "tests/unit/check.h"
#include <stdlib.h>
#include <string.h>

static const char alphabet[] = {'\r', '\n', '.', '\0', 'a'};

enum { LENGTH = 8, STRINGS = 390625 /* 5^8 */ };

struct reference {
    char content[4 * LENGTH + 4];
    size_t len, taken;
    bool ended, saw_bare, saw_nul;
};

static void put(struct reference *r, const char *text)
{
    size_t n = strlen(text);
    memcpy(r->content + r->len, text, n);
    r->len += n;
}

/* Line by line: a line ends at CRLF, CR or LF, whichever comes first; only behind CRLF (or at the
 * start) does a dot count, and only "." between two CRLFs is the end. */
static struct reference reference_read(const char *in, size_t len)
{
    struct reference r = {0};
    bool counts        = true;
    for (size_t i = 0; i < len && !r.ended;) {
        size_t n = 0;
        while (i + n < len && in[i + n] != '\r' && in[i + n] != '\n')
            n++;
        bool is_cut  = i + n == len;
        bool is_crlf = !is_cut && in[i + n] == '\r' && i + n + 1 < len && in[i + n + 1] == '\n';
        r.ended      = counts && is_crlf && n == 1 && in[i] == '.';
        bool is_dot  = !is_cut && !is_crlf && n == 1; /* "." with a bare end stays as it is */
        size_t skip  = counts && n > 0 && in[i] == '.' && !is_dot;
        for (size_t k = skip; k < n; k++) {
            r.saw_nul |= in[i + k] == '\0';
            put(&r, in[i + k] == '\0' ? " " : (char[]){in[i + k], '\0'});
        }
        if (!r.ended && !is_cut)
            put(&r, "\r\n");
        r.saw_bare |= !is_crlf && !is_cut;
        counts = is_crlf;
        i += n + (is_cut ? 0 : is_crlf ? 2 : 1);
        r.taken = i;
    }
    return r;
}

static void make_string(unsigned number, char into[LENGTH])
{
    for (size_t i = 0; i < LENGTH; i++, number /= sizeof alphabet)
        into[i] = alphabet[number % sizeof alphabet];
}

/* What is fed behind each string, so that nothing is held back when the two are compared. */
static const char tail[] = "z\r\n.\r\nMAIL";

/* In pieces of 'size' bytes, the first of 'cut'. */
static void compare(struct span in, size_t cut, size_t size, const struct reference *expected,
                    struct buf *content)
{
    struct dot_reader r;
    dot_reader_init(&r);
    buf_clear(content);
    size_t taken = dot_reader_feed(&r, span_first(in, cut), content);
    while (!r.ended && taken < in.len)
        taken += dot_reader_feed(&r, span_first(span_skip(in, taken), size), content);
    assert_true(r.ended);
    assert_int_equal(taken, expected->taken);
    assert_int_equal(r.bytes, expected->len);
    assert_int_equal(r.saw_bare, expected->saw_bare);
    assert_int_equal(r.saw_nul, expected->saw_nul);
    assert_true(span_equals(buf_span(content), span_make(expected->content, expected->len)));
}

static void every_string_is_read_like_the_reference_at_every_cut(void **state)
{
    (void)state;
    struct buf content = {0};
    char in[LENGTH + sizeof tail - 1];
    memcpy(in + LENGTH, tail, sizeof tail - 1);
    for (unsigned number = 0; number < STRINGS; number++) {
        make_string(number, in);
        struct reference expected = reference_read(in, sizeof in);
        for (size_t cut = 0; cut <= LENGTH + 1; cut++)
            compare(span_make(in, sizeof in), cut, sizeof in, &expected, &content);
        compare(span_make(in, sizeof in), 0, 1, &expected, &content);
    }
    buf_release(&content);
}

static bool is_canonical(struct span content)
{
    for (size_t i = 0; i < content.len; i++) {
        bool is_cr_good = i + 1 < content.len && content.at[i + 1] == '\n';
        bool is_lf_good = i > 0 && content.at[i - 1] == '\r';
        if (content.at[i] == '\0' || (content.at[i] == '\r' && !is_cr_good) ||
            (content.at[i] == '\n' && !is_lf_good))
            return false;
    }
    return content.len == 0 || content.at[content.len - 1] == '\n';
}

/* Whatever came in: as stored it is canonical, goes out, and comes in again as the same, once. */
static void round_trip(struct span content, size_t cut, struct buf *wire, struct buf *again)
{
    struct dot_writer w;
    struct dot_reader r;
    dot_writer_init(&w, false);
    buf_clear(wire);
    assert_true(dot_writer_put(&w, span_first(content, cut), wire));
    assert_true(dot_writer_put(&w, span_skip(content, cut), wire));
    assert_true(dot_writer_end(&w, wire));

    dot_reader_init(&r);
    buf_clear(again);
    assert_int_equal(dot_reader_feed(&r, buf_span(wire), again), wire->len);
    assert_true(r.ended && !r.saw_bare && !r.saw_nul);
    assert_true(span_equals(buf_span(again), content));
}

static void every_string_goes_out_and_comes_in_as_it_was_stored(void **state)
{
    (void)state;
    struct buf wire = {0}, again = {0};
    char in[LENGTH + sizeof tail - 1];
    memcpy(in + LENGTH, tail, sizeof tail - 1);
    for (unsigned number = 0; number < STRINGS; number++) {
        make_string(number, in);
        struct reference r  = reference_read(in, sizeof in);
        struct span content = {r.content, r.len};
        assert_true(is_canonical(content));
        for (size_t cut = 0; cut <= content.len; cut++)
            round_trip(content, cut, &wire, &again);
    }
    buf_release(&wire);
    buf_release(&again);
}

/* The writer alone: what is not canonical stops the message, and what is comes out stuffed. */
static bool reference_write(struct span in, char *out, size_t *len)
{
    *len = 0;
    for (size_t i = 0; i < in.len; i++) {
        char c     = in.at[i];
        char left  = i > 0 ? in.at[i - 1] : '\0';
        char right = i + 1 < in.len ? in.at[i + 1] : '\0';
        if (c == '\0' || (c == '\r' && right != '\n') || (c == '\n' && left != '\r'))
            return false;
        if (c == '.' && (i == 0 || left == '\n'))
            out[(*len)++] = '.';
        out[(*len)++] = c;
    }
    if (in.len > 0 && in.at[in.len - 1] != '\n') {
        memcpy(out + *len, "\r\n", 2);
        *len += 2;
    }
    memcpy(out + *len, ".\r\n", 3);
    *len += 3;
    return true;
}

static void the_writer_stops_at_every_byte_that_could_smuggle(void **state)
{
    (void)state;
    struct buf wire = {0};
    char in[LENGTH], out[2 * LENGTH + 8];
    size_t len;
    for (unsigned number = 0; number < STRINGS; number++) {
        make_string(number, in);
        bool is_good = reference_write(span_make(in, LENGTH), out, &len);
        for (size_t cut = 0; cut <= LENGTH; cut++) {
            struct dot_writer w;
            dot_writer_init(&w, false);
            buf_clear(&wire);
            bool was_good = dot_writer_put(&w, span_make(in, cut), &wire);
            was_good = dot_writer_put(&w, span_make(in + cut, LENGTH - cut), &wire) && was_good;
            was_good = dot_writer_end(&w, &wire) && was_good;
            assert_int_equal(was_good, is_good);
            if (is_good)
                assert_true(span_equals(buf_span(&wire), span_make(out, len)));
        }
    }
    buf_release(&wire);
}

static void a_refused_writer_appends_nothing_more(void **state)
{
    (void)state;
    struct buf wire = {0};
    struct dot_writer w;
    dot_writer_init(&w, false);
    assert_true(dot_writer_put(&w, span_of("good\r\n"), &wire));
    assert_false(dot_writer_put(&w, span_of("fine\r\nbad\nMAIL FROM:<>\r\n"), &wire));
    assert_false(dot_writer_put(&w, span_of("fine\r\n"), &wire));
    assert_false(dot_writer_end(&w, &wire));
    assert_true(span_is(buf_span(&wire), "good\r\n"));
    buf_release(&wire);
}

/* Feeds both halves in chunked form. */
static void read_chunked(const char *text, size_t len, size_t cut, struct dot_reader *r,
                         struct buf *into)
{
    buf_clear(into);
    dot_reader_init_chunked(r);
    assert_int_equal(dot_reader_feed(r, span_make(text, cut), into), cut);
    assert_int_equal(dot_reader_feed(r, span_make(text + cut, len - cut), into), len - cut);
    dot_reader_finish(r, into);
    assert_false(r->ended);
    assert_int_equal(r->bytes, into->len);
}

static void chunks_know_no_dots_but_are_normalised(void **state)
{
    (void)state;
    static const char in[] = ".\r\n..a\n\0b\r.\r\n.\r";
    struct buf content     = {0};
    struct dot_reader r;
    for (size_t cut = 0; cut < sizeof in; cut++) {
        read_chunked(in, sizeof in - 1, cut, &r, &content);
        assert_true(span_is(buf_span(&content), ".\r\n..a\r\n b\r\n.\r\n.\r\n"));
        assert_true(r.saw_bare && r.saw_nul && !r.saw_8bit);
    }
    buf_release(&content);
}

static void an_unfinished_last_chunk_gets_its_line_end(void **state)
{
    (void)state;
    struct buf content = {0};
    struct dot_reader r;
    read_chunked("abc", 3, 1, &r, &content);
    assert_true(span_is(buf_span(&content), "abc\r\n"));
    assert_false(r.saw_bare);
    read_chunked("abc\r\n", 5, 4, &r, &content);
    assert_true(span_is(buf_span(&content), "abc\r\n"));
    read_chunked("", 0, 0, &r, &content);
    assert_int_equal(content.len, 0);
    buf_release(&content);
}

static void chunks_go_out_without_dots(void **state)
{
    (void)state;
    struct buf wire = {0};
    struct dot_writer w;
    dot_writer_init(&w, true);
    assert_true(dot_writer_put(&w, span_of(".\r\n..a\r\nlast"), &wire));
    assert_true(dot_writer_end(&w, &wire));
    assert_true(span_is(buf_span(&wire), ".\r\n..a\r\nlast\r\n"));
    assert_false(dot_writer_put(&w, span_of("\nx"), &wire));
    buf_release(&wire);
}

static void high_bytes_are_noted_but_not_behind_the_end(void **state)
{
    (void)state;
    struct buf content = {0};
    struct dot_reader r;
    dot_reader_init(&r);
    assert_int_equal(dot_reader_feed(&r, span_of("ascii\r\n.\r\nMAIL \xc3\xa4"), &content), 10);
    assert_false(r.saw_8bit);
    static const char *const with[] = {"\xc3\xa4\r\n", "long line with one \xe4", "\r\xe4",
                                       ".\xe4"};
    for (size_t i = 0; i < sizeof with / sizeof with[0]; i++) {
        dot_reader_init(&r);
        (void)dot_reader_feed(&r, span_of(with[i]), &content);
        assert_true(r.saw_8bit);
    }
    buf_release(&content);
}

/* Stray bytes must not make the scanners look at the same megabyte again and again. */
static void a_megabyte_of_any_one_byte_takes_no_quadratic_time(void **state)
{
    (void)state;
    enum { BYTES = 4 << 20 };
    struct buf content = {0};
    char *in           = malloc(BYTES);
    assert_non_null(in);
    for (size_t i = 0; i < sizeof alphabet; i++) {
        struct dot_reader r;
        memset(in, alphabet[i], BYTES);
        dot_reader_init(&r);
        buf_clear(&content);
        assert_int_equal(dot_reader_feed(&r, span_make(in, BYTES), &content), BYTES);
    }
    free(in);
    buf_release(&content);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_string_is_read_like_the_reference_at_every_cut),
        cmocka_unit_test(every_string_goes_out_and_comes_in_as_it_was_stored),
        cmocka_unit_test(the_writer_stops_at_every_byte_that_could_smuggle),
        cmocka_unit_test(a_refused_writer_appends_nothing_more),
        cmocka_unit_test(chunks_know_no_dots_but_are_normalised),
        cmocka_unit_test(an_unfinished_last_chunk_gets_its_line_end),
        cmocka_unit_test(chunks_go_out_without_dots),
        cmocka_unit_test(high_bytes_are_noted_but_not_behind_the_end),
        cmocka_unit_test(a_megabyte_of_any_one_byte_takes_no_quadratic_time),
    };
    return RUN(tests);
}
