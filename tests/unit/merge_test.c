/* SPDX-License-Identifier: MIT */
#include "mta/mail/merge.h"
#include "tests/unit/check.h"
#include <string.h>

static const struct merge_extra extras[] = {
    {"unsubscribe_url", {"https://l.example/u/abc", 23}},
    {"bounce_token",    {"tok", 3}                     },
};
static const struct merge_values values = {
    .address = {"ann@a.example",                                                                            13},
    .data =
        {"id=42&name=J%C3%BCrgen%20%26%20Co&city=Bonn&evil=a%0D%0ABcc%3A%20x&full=Lee%2C%20%22A%22",
                88                                                                                            },
    .extras      = extras,
    .extra_count = 2,
};

static void render(const char *content, enum envelope_merge scope, struct buf *into)
{
    struct merge *merge = merge_new(span_of(content), scope);
    struct buf scratch  = {0};
    struct span bytes;
    size_t at = 0;
    buf_clear(into);
    merge_header(merge, &values, into);
    while (merge_body_next(merge, &values, &at, &scratch, &bytes))
        buf_put(into, bytes);
    buf_release(&scratch);
    merge_free(merge);
}

static void expect(const char *content, enum envelope_merge scope, const char *expected)
{
    struct buf found = {0};
    render(content, scope, &found);
    assert_string_equal(buf_text(&found), expected);
    buf_release(&found);
}

static void header_only_looks_into_our_fields(void **state)
{
    (void)state;
    expect("Subject: on {{name}}\r\nList-Unsubscribe: <{{unsubscribe_url}}>,\r\n"
           " <mailto:l+{{bounce_token}}@l.example>\r\n\r\nHello {{name}}\r\n",
           MERGE_HEADER,
           "Subject: on {{name}}\r\nList-Unsubscribe: <https://l.example/u/abc>,\r\n"
           " <mailto:l+tok@l.example>\r\n\r\nHello {{name}}\r\n");
}

static void a_field_takes_encoded_words(void **state)
{
    (void)state;
    expect("Subject: Dear {{name}}, hi\r\n\r\n", MERGE_ALL,
           "Subject: Dear =?utf-8?q?J=C3=BCrgen_=26_Co=2C?= hi\r\n\r\n");
    expect("Subject:{{name}}\r\n\r\n", MERGE_ALL, "Subject:=?utf-8?q?J=C3=BCrgen_=26_Co?=\r\n\r\n");
    expect("Subject: News from {{city}}!\r\n\r\n", MERGE_ALL, "Subject: News from Bonn!\r\n\r\n");
    expect("Subject: {{city}}-{{name}}\r\n\r\n", MERGE_ALL,
           "Subject: Bonn-\r\n =?utf-8?q?J=C3=BCrgen_=26_Co?=\r\n\r\n");
}

static void a_field_of_addresses_takes_phrases(void **state)
{
    (void)state;
    expect("To: {{full}} <{{address}}>\r\n\r\n", MERGE_ALL,
           "To: \"Lee, \\\"A\\\"\" <ann@a.example>\r\n\r\n");
    expect("To: {{name}} <{{address}}>\r\n\r\n", MERGE_ALL,
           "To: =?utf-8?q?J=C3=BCrgen_=26_Co?= <ann@a.example>\r\n\r\n");
    expect("To: {{none}} <{{address}}>\r\n\r\n", MERGE_ALL, "To:  <ann@a.example>\r\n\r\n");
}

static void no_value_makes_a_line(void **state)
{
    (void)state;
    expect("Subject: {{evil}}\r\nTo: {{evil}} <x@y.example>\r\n\r\n{{evil}}", MERGE_ALL,
           "Subject: a??Bcc: x\r\nTo: \"a??Bcc: x\" <x@y.example>\r\n\r\na??Bcc: x");
}

static void text_and_html_are_filled_in_their_own_way(void **state)
{
    (void)state;
    expect("Content-Type: text/html; charset=utf-8\r\n\r\n<p>{{name}}</p>", MERGE_ALL,
           "Content-Type: text/html; charset=utf-8\r\n\r\n<p>J\xc3\xbcrgen &amp; Co</p>");
    expect("Content-Type: text/plain; charset=utf-8\r\n"
           "Content-Transfer-Encoding: quoted-printable\r\n\r\nDear {{na=\r\nme}=\r\n}, a =3D b",
           MERGE_ALL,
           "Content-Type: text/plain; charset=utf-8\r\n"
           "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
           "Dear =\r\nJ=C3=BCrgen=20&=20Co=\r\n, a =3D b");
    expect("Subject: x\r\n\r\nDear {{name}}", MERGE_ALL, "Subject: x\r\n\r\nDear J?rgen & Co");
    expect("Content-Transfer-Encoding: base64\r\n\r\ne3tu{{name}}", MERGE_ALL,
           "Content-Transfer-Encoding: base64\r\n\r\ne3tu{{name}}");
}

static void only_text_parts_are_looked_into(void **state)
{
    (void)state;
    expect("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n{{city}}\r\n--b\r\n"
           "Content-Type: application/pdf\r\n\r\n{{city}}\r\n--b--\r\n",
           MERGE_ALL,
           "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nBonn\r\n--b\r\n"
           "Content-Type: application/pdf\r\n\r\n{{city}}\r\n--b--\r\n");
}

static void what_has_no_value_has_its_default(void **state)
{
    (void)state;
    expect("\r\n{{none|friend}} {{none}} {{ city |x}} {{NAME|x}}", MERGE_ALL,
           "\r\nfriend  Bonn J?rgen & Co");
}

static void what_is_no_hole_stays(void **state)
{
    static const char *const texts[] = {"\r\n{{}} {{a b}} {{a",
                                        "\r\n{a} {{{ }}",
                                        "\r\n{{a\r\nb}}",
                                        "\r\n{{a|b\r\n}}",
                                        "\r\n}} {{",
                                        "\r\n{",
                                        "\r\n{{n\xc3\xa4me}} {{a%b}}"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        expect(texts[i], MERGE_ALL, texts[i]);
    expect("\r\n{{{city}}}", MERGE_ALL, "\r\n{Bonn}");
}

static void one_body_is_known_as_such(void **state)
{
    (void)state;
    struct merge *one = merge_new(span_of("List-Id: {{name}}\r\n\r\n{{name}}"), MERGE_HEADER);
    struct merge *all = merge_new(span_of("List-Id: {{name}}\r\n\r\n{{name}}"), MERGE_ALL);
    assert_true(merge_has_one_body(one));
    assert_false(merge_has_one_body(all));
    assert_int_equal(merge_header_bytes(one), 19);
    assert_true(merge_memory(all) > sizeof "List-Id: {{name}}\r\n\r\n{{name}}");
    merge_free(one);
    merge_free(all);
}

static void a_return_path_is_filled(void **state)
{
    struct buf into = {0};
    (void)state;
    merge_text(span_of("l-bounces+{{bounce_token}}@l.example"), &values, &into);
    assert_string_equal(buf_text(&into), "l-bounces+tok@l.example");
    buf_clear(&into);
    merge_text(span_of("{{l-{{x"), &values, &into);
    assert_string_equal(buf_text(&into), "{{l-{{x");
    buf_release(&into);
}

static void data_comes_back_as_it_was_put(void **state)
{
    static const char text[] = "a=b&c%d\xc3\xa4 e";
    struct buf data = {0}, found = {0};
    (void)state;
    merge_put_data(&data, span_of("id"), span_of("7"));
    merge_put_data(&data, span_of("k v"), span_of(text));
    assert_string_equal(buf_text(&data), "id=7&k%20v=a%3Db%26c%25d%C3%A4%20e");
    const struct merge_values some = {
        .address = {"", 0},
          .data = buf_span(&data)
    };
    assert_true(merge_value(&some, span_of("ID"), &found));
    assert_string_equal(buf_text(&found), "7");
    assert_false(merge_value(&some, span_of("none"), &found));
    buf_release(&data);
    buf_release(&found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_only_looks_into_our_fields),
        cmocka_unit_test(a_field_takes_encoded_words),
        cmocka_unit_test(a_field_of_addresses_takes_phrases),
        cmocka_unit_test(no_value_makes_a_line),
        cmocka_unit_test(text_and_html_are_filled_in_their_own_way),
        cmocka_unit_test(only_text_parts_are_looked_into),
        cmocka_unit_test(what_has_no_value_has_its_default),
        cmocka_unit_test(what_is_no_hole_stays),
        cmocka_unit_test(one_body_is_known_as_such),
        cmocka_unit_test(a_return_path_is_filled),
        cmocka_unit_test(data_comes_back_as_it_was_put),
    };
    return RUN(tests);
}
