/* SPDX-License-Identifier: MIT */
#include "mta/mail/mime.h"
#include "tests/unit/check.h"
#include <string.h>

static const char nested[] = "Content-Type: multipart/mixed; boundary=\"outer\"\r\n"
                             "\r\n"
                             "preamble\r\n"
                             "--outer\r\n"
                             "Content-Type: multipart/alternative; boundary=outer2\r\n"
                             "\r\n"
                             "--outer2\r\n"
                             "\r\n"
                             "plain\r\n"
                             "--outer2\r\n"
                             "Content-Type: TEXT/HTML; charset=utf-8\r\n"
                             "Content-Transfer-Encoding: quoted-printable\r\n"
                             "\r\n"
                             "<p>=\r\n"
                             "x</p>\r\n"
                             "--outer2--\r\n"
                             "--outer  \r\n"
                             "Content-Type: message/rfc822\r\n"
                             "Content-Transfer-Encoding: Base64 (as it was)\r\n"
                             "\r\n"
                             "Zm9v\r\n"
                             "--outer--\r\n"
                             "epilogue\r\n";

static void walk_all(struct span message, struct buf *found)
{
    struct mime_walk walk;
    struct mime_part part;
    mime_begin(&walk, message);
    while (mime_next(&walk, &part)) {
        buf_printf(found, "%u %s %d", part.depth, part.type, (int)part.encoding);
        if (!part.is_multipart) {
            buf_put_text(found, " [");
            buf_put(found, part.body);
            buf_put_text(found, "]");
        }
        buf_put_text(found, "\n");
    }
}

static void parts_come_outermost_first(void **state)
{
    struct buf found = {0};
    (void)state;
    walk_all(span_of(nested), &found);
    assert_string_equal(buf_text(&found), "0 multipart/mixed 0\n"
                                          "1 multipart/alternative 0\n"
                                          "2 text/plain 0 [plain]\n"
                                          "2 text/html 1 [<p>=\r\nx</p>]\n"
                                          "1 message/rfc822 2 [Zm9v]\n");
    buf_release(&found);
}

static void what_is_cut_short_goes_to_the_end(void **state)
{
    struct buf found = {0};
    (void)state;
    for (size_t len = 0; len < sizeof nested; len++) {
        buf_clear(&found);
        walk_all(span_make(nested, len), &found);
        assert_true(found.len > 0);
    }
    buf_clear(&found);
    walk_all(span_of("Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\none\r\n"),
             &found);
    assert_string_equal(buf_text(&found), "0 multipart/mixed 0\n1 text/plain 0 [one\r\n]\n");
    buf_release(&found);
}

static void a_message_without_parts_is_one(void **state)
{
    static const char *const messages[][2] = {
        {"Subject: x\r\n\r\nbody",                         "0 text/plain 0 [body]\n"},
        {"\r\nbody",                                       "0 text/plain 0 [body]\n"},
        {"",                                               "0 text/plain 0 []\n"    },
        {"Content-Type: multipart/mixed\r\n\r\nbody",      "0 multipart/mixed 0\n"  },
        {"Content-Transfer-Encoding: x-uuencode\r\n\r\nb", "0 text/plain 3 [b]\n"   },
    };
    struct buf found = {0};
    (void)state;
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        buf_clear(&found);
        walk_all(span_of(messages[i][0]), &found);
        assert_string_equal(buf_text(&found), messages[i][1]);
    }
    buf_release(&found);
}

static void nesting_without_end_is_bounded(void **state)
{
    struct buf message = {0}, found = {0};
    (void)state;
    for (int i = 0; i < 1000; i++)
        buf_printf(&message, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i);
    walk_all(buf_span(&message), &found);
    struct span rest = buf_span(&found), line;
    size_t lines     = 0;
    while (span_cut(&rest, '\n', &line))
        lines++;
    assert_int_equal(lines, MIME_DEPTH_MAX + 1);
    buf_release(&message);
    buf_release(&found);
}

static void parameters_are_found_and_unquoted(void **state)
{
    static const char field[] = " Multipart/Report; x=\"a;\\\"b\" ;\r\n Report-Type = "
                                "delivery-status (really); boundary=\"=_x\"";
    char into[80], small[4];
    (void)state;
    assert_true(mime_value(span_of(field), into, sizeof into));
    assert_string_equal(into, "multipart/report");
    assert_true(mime_parameter(span_of(field), "report-type", into, sizeof into));
    assert_string_equal(into, "delivery-status");
    assert_true(mime_parameter(span_of(field), "X", into, sizeof into));
    assert_string_equal(into, "a;\"b");
    assert_true(mime_parameter(span_of(field), "boundary", into, sizeof into));
    assert_string_equal(into, "=_x");
    assert_false(mime_parameter(span_of(field), "charset", into, sizeof into));
    assert_false(mime_parameter(span_of(field), "x", small, sizeof small));
    assert_false(mime_value(span_of(""), into, sizeof into));
}

static void encodings_are_decoded(void **state)
{
    static const struct {
        enum mime_encoding encoding;
        const char *coded, *plain;
    } cases[] = {
        {MIME_QUOTED_PRINTABLE, "a=3Db=\r\nc=  \r\nd=c3=A4", "a=bcd\xc3\xa4"},
        {MIME_QUOTED_PRINTABLE, "bad=4",                     "bad=4"        },
        {MIME_QUOTED_PRINTABLE, "bad=xy=",                   "bad=xy"       },
        {MIME_BASE64,           "aGVs\r\nbG8=\r\nrest",      "hello"        },
        {MIME_BASE64,           "aGV*sbG8",                  "hello"        },
        {MIME_BASE64,           "",                          ""             },
        {MIME_PLAIN,            "a=3D",                      "a=3D"         },
    };
    struct buf into = {0};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        buf_clear(&into);
        mime_decode(cases[i].encoding, span_of(cases[i].coded), &into);
        assert_string_equal(buf_text(&into), cases[i].plain);
    }
    buf_release(&into);
}

static void quoted_printable_comes_back_as_it_was(void **state)
{
    struct buf text = {0}, coded = {0}, again = {0};
    (void)state;
    for (int i = 0; i < 2000; i++)
        buf_put_text(&text, i % 97 == 0 ? " \r\n" : i % 13 == 0 ? "\xc3\xa4=\t" : "word ");
    mime_encode_quoted(buf_span(&text), &coded);
    mime_decode(MIME_QUOTED_PRINTABLE, buf_span(&coded), &again);
    assert_string_equal(buf_text(&again), buf_text(&text));
    struct span rest = buf_span(&coded), line;
    while (span_cut(&rest, '\n', &line))
        assert_true(line.len <= MIME_QP_LINE_BYTES + 1);
    buf_release(&text);
    buf_release(&coded);
    buf_release(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_come_outermost_first),
        cmocka_unit_test(what_is_cut_short_goes_to_the_end),
        cmocka_unit_test(a_message_without_parts_is_one),
        cmocka_unit_test(nesting_without_end_is_bounded),
        cmocka_unit_test(parameters_are_found_and_unquoted),
        cmocka_unit_test(encodings_are_decoded),
        cmocka_unit_test(quoted_printable_comes_back_as_it_was),
    };
    return RUN(tests);
}
