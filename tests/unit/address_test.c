/* SPDX-License-Identifier: MIT */
#include "mta/mail/address.h"
#include "tests/unit/check.h"
#include <string.h>

/* The whole text with its NUL bytes, so that a byte behind the last is never read (ASan sees it).
 */
#define TEXT(literal) span_make((literal), sizeof(literal) - 1)
#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))

static void assert_parses(const char *text, bool utf8, const char *expected)
{
    struct address a;
    const char *problem = address_parse(span_of(text), utf8, &a);
    if (problem != NULL)
        fail_msg("%s: %s", text, problem);
    assert_string_equal(a.text, expected);
    assert_int_equal(a.len, strlen(expected));
    assert_int_equal(a.text[a.local_len], '@');
}

static void assert_refused(struct span text, bool utf8)
{
    struct address a = {.len = 7};
    if (address_parse(text, utf8, &a) == NULL)
        fail_msg("taken: %.*s", (int)text.len, text.at);
    assert_int_equal(a.len, 7); /* untouched */
}

static void what_rfc_5321_allows_is_taken_as_it_is(void **state)
{
    (void)state;
    static const char *const good[] = {
        "user@dom.example",
        "User.Name+tag@Dom.EXAMPLE",
        "!#$%&'*+-/=?^_`{|}~@x.example",
        "a@localhost",
        "a@_x.example",
        "a@r3---sn.example",
        "\"a b\"@x.example",
        "\"\"@x.example",
        "\"a\\\"b\\\\c\"@x.example",
        "\"user@dom\"@ours.example",
        "\"a>b\"@x.example",
        "user%dom@ours.example",
        "dom!user@ours.example",
        "a@[192.0.2.1]",
        "a@[127.0.0.1]",
        "a@[IPv6:::1]",
        "a@[ipv6:2001:db8::1]",
        "a@[IPv6:::ffff:192.0.2.1]",
        "list-bounces+user=dom.example@l.example",
    };
    for (size_t i = 0; i < COUNT(good); i++)
        assert_parses(good[i], false, good[i]);
}

static void everything_else_is_refused(void **state)
{
    (void)state;
    const struct span bad[] = {
        TEXT(""),
        TEXT("@"),
        TEXT("user"),
        TEXT("user@"),
        TEXT("@dom.example"),
        TEXT("postmaster"),
        TEXT("user@dom@ours.example"),
        TEXT("user@ours.example@"),
        TEXT("user@ours.example."),
        TEXT("user@.example"),
        TEXT("user@dom..example"),
        TEXT(".user@dom.example"),
        TEXT("user.@dom.example"),
        TEXT("us..er@dom.example"),
        TEXT("us er@dom.example"),
        TEXT(" user@dom.example"),
        TEXT("user@dom.example "),
        TEXT("us(er)@dom.example"),
        TEXT("us\\er@dom.example"),
        TEXT("<user@dom.example>"),
        TEXT("user@dom.example\0"),
        TEXT("us\0er@dom.example"),
        TEXT("user@dom\0.example"),
        TEXT("user@dom.example\r"),
        TEXT("us\ner@dom.example"),
        TEXT("user\x7f@dom.example"),
        TEXT("\"user@dom\""),
        TEXT("\"user"),
        TEXT("\"user\\\"@dom.example"),
        TEXT("\"us\"er@dom.example"),
        TEXT("\"a\r\nb\"@dom.example"),
        TEXT("\"a\\\rb\"@dom.example"),
        TEXT("\"a\tb\"@dom.example"),
        TEXT("\"a\"b\"@dom.example"),
        TEXT("user@-dom.example"),
        TEXT("user@dom-.example"),
        TEXT("user@do$m.example"),
        TEXT("user@192.0.2.1"),
        TEXT("user@[192.0.2.1"),
        TEXT("user@[192.0.2.256]"),
        TEXT("user@[192.0.2]"),
        TEXT("user@[192.0.2.1]x"),
        TEXT("user@[]"),
        TEXT("user@["),
        TEXT("user@[2001:db8::1]"),
        TEXT("user@[IPv6:192.0.2.1]"),
        TEXT("user@[IPv6:fe80::1%eth0]"),
        TEXT("user@[IPv6:]"),
        TEXT("user@[IPv6:::1\0]"),
        TEXT("user@[tag:content]"),
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_refused(bad[i], false);
        assert_refused(bad[i], true);
    }
}

static void the_reason_is_a_fragment_for_a_reply(void **state)
{
    (void)state;
    struct address a;
    assert_string_equal(address_parse(TEXT("user"), false, &a), "no domain");
    assert_string_equal(address_parse(TEXT("us er@x.example"), false, &a), "bad local part");
    assert_string_equal(address_parse(TEXT("@x.example"), false, &a), "no local part");
    assert_string_equal(address_parse(TEXT("a@[x]"), false, &a), "bad address literal");
}

static void unicode_needs_to_be_allowed(void **state)
{
    (void)state;
    assert_refused(TEXT("j\xc3\xb6@dom.example"), false);
    assert_refused(TEXT("jo@d\xc3\xb6m.example"), false);
    assert_parses("j\xc3\xb6@dom.example", true, "j\xc3\xb6@dom.example");
    assert_parses("\"j \xc3\xb6\"@dom.example", true, "\"j \xc3\xb6\"@dom.example");
}

static void a_unicode_domain_becomes_a_labels_and_needs_no_smtputf8(void **state)
{
    (void)state;
    struct address a;
    assert_null(address_parse(TEXT("user@B\xc3\xbc"
                                   "cher.example"),
                              true, &a));
    assert_string_equal(a.text, "user@xn--bcher-kva.example");
    assert_false(a.is_utf8);
    assert_null(address_parse(TEXT("\xe7\x94\xa8\xe6\x88\xb7@\xe4\xbe\x8b.example"), true, &a));
    assert_string_equal(a.text, "\xe7\x94\xa8\xe6\x88\xb7@xn--fsq.example");
    assert_true(a.is_utf8);
}

static void unicode_that_is_no_text_is_refused(void **state)
{
    (void)state;
    const struct span bad[] = {
        TEXT("j\xf6@dom.example"),           /* Latin-1 */
        TEXT("j\xc0\xaf@dom.example"),       /* overlong */
        TEXT("j\xed\xa0\x80@dom.example"),   /* a surrogate */
        TEXT("j\xc2\x85@dom.example"),       /* NEL */
        TEXT("j\xe2\x80\xa8@dom.example"),   /* U+2028 */
        TEXT("j\xe2\x80\xa9@dom.example"),   /* U+2029 */
        TEXT("\"j\\\xc3\xb6\"@dom.example"), /* a quoted pair is ASCII */
        TEXT("jo@dom\xe3\x80\x82"),          /* an ideographic full stop is a dot at the end */
        TEXT("jo@a\xef\xbc\xa0"
             "b.example"), /* a wide '@' */
        TEXT("jo@a\xe2\x84\x80"
             "b.example"), /* a/c */
        TEXT("jo@\xc3\xb6\xff.example"),
        TEXT("j\xc3"),
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_refused(bad[i], true);
}

static void the_limits_are_those_of_the_header(void **state)
{
    (void)state;
    char text[ADDRESS_BYTES_MAX + 8];
    struct address a;
    memset(text, 'a', sizeof text);
    memcpy(text + ADDRESS_LOCAL_BYTES_MAX, "@x.example", 10);
    assert_null(address_parse(span_make(text, ADDRESS_LOCAL_BYTES_MAX + 10), false, &a));
    memmove(text + ADDRESS_LOCAL_BYTES_MAX + 1, text + ADDRESS_LOCAL_BYTES_MAX, 10);
    text[0] = text[ADDRESS_LOCAL_BYTES_MAX] = 'a';
    assert_string_equal(address_parse(span_make(text, ADDRESS_LOCAL_BYTES_MAX + 11), false, &a),
                        "local part too long");

    memset(text, 'a', sizeof text);
    for (size_t i = 1; i < sizeof text; i += 2)
        text[i] = '.';
    text[1] = '@';
    assert_null(address_parse(span_make(text, 2 + 253), false, &a)); /* as long as DNS goes */
    assert_refused(span_make(text, 2 + 255), false);
}

static void assert_path(struct span text, unsigned allowed, const char *expected,
                        size_t expected_used)
{
    struct address a;
    size_t used         = 0;
    const char *problem = address_parse_path(text, allowed, &a, &used);
    if (problem != NULL)
        fail_msg("%.*s: %s", (int)text.len, text.at, problem);
    assert_string_equal(a.text, expected);
    assert_int_equal(used, expected_used);
}

static void a_path_ends_at_its_bracket(void **state)
{
    (void)state;
    assert_path(TEXT("<user@dom.example>"), 0, "user@dom.example", 18);
    assert_path(TEXT("<user@dom.example> SIZE=9>"), 0, "user@dom.example", 18);
    assert_path(TEXT("<\"a>b\"@dom.example> X"), 0, "\"a>b\"@dom.example", 19);
    assert_path(TEXT("<\"a\\\">\"@dom.example>"), 0, "\"a\\\">\"@dom.example", 20);
}

static void a_source_route_is_dropped_and_the_rest_is_checked(void **state)
{
    (void)state;
    assert_path(TEXT("<@r1.example,@r2.example:user@dom.example>"), 0, "user@dom.example", 42);
    assert_path(TEXT("<@r1.example:\"a:b\"@dom.example>"), 0, "\"a:b\"@dom.example", 31);
    const struct span bad[] = {
        TEXT("<@r1.example:>"),
        TEXT("<@r1.example:user>"),
        TEXT("<@r1.example:postmaster>"),
        TEXT("<@r1.example:@r2.example:user@dom.example>"),
        TEXT("<@r1.example,:user@dom.example>"),
        TEXT("<@r1.example,r2.example:user@dom.example>"),
        TEXT("<@r1.example,@:user@dom.example>"),
        TEXT("<@:user@dom.example>"),
        TEXT("<@r1.example user@dom.example>"),
        TEXT("<@r1.example"),
        TEXT("<@r1.example:"),
    };
    struct address a;
    size_t used;
    for (size_t i = 0; i < COUNT(bad); i++)
        if (address_parse_path(bad[i], ADDRESS_NULL_ALLOWED | ADDRESS_POSTMASTER_ALLOWED, &a,
                               &used) == NULL)
            fail_msg("taken: %.*s", (int)bad[i].len, bad[i].at);
}

static void what_is_no_path_is_refused(void **state)
{
    (void)state;
    const struct span bad[] = {
        TEXT(""),          TEXT("user@dom.example"),     TEXT("<user@dom.example"),
        TEXT("<"),         TEXT("< user@dom.example>"),  TEXT("<user@dom.example >"),
        TEXT("<>"),        TEXT(" <user@dom.example>"),  TEXT("<postmaster>"),
        TEXT("<<a@b.c>>"), TEXT("<user@dom.example\0>"), TEXT("<\"user@dom.example>"),
    };
    struct address a;
    size_t used;
    for (size_t i = 0; i < COUNT(bad); i++)
        if (address_parse_path(bad[i], 0, &a, &used) == NULL)
            fail_msg("taken: %.*s", (int)bad[i].len, bad[i].at);
}

static void the_null_sender_and_postmaster_are_taken_where_allowed(void **state)
{
    (void)state;
    struct address a;
    size_t used;
    assert_path(TEXT("<> BODY=7BIT"), ADDRESS_NULL_ALLOWED, "", 2);
    assert_path(TEXT("<PostMaster>"), ADDRESS_POSTMASTER_ALLOWED, "postmaster", 12);
    assert_null(address_parse_path(TEXT("<postmaster>"), ADDRESS_POSTMASTER_ALLOWED, &a, &used));
    assert_int_equal(a.local_len, a.len);
    assert_non_null(address_parse_path(TEXT("<postmaster>"), ADDRESS_NULL_ALLOWED, &a, &used));
    assert_non_null(address_parse_path(TEXT("<>"), ADDRESS_POSTMASTER_ALLOWED, &a, &used));
}

static void every_prefix_of_a_path_is_refused_without_reading_on(void **state)
{
    (void)state;
    static const char path[] = "<@r.example:\"a\\\"b\xc3\xb6\"@d\xc3\xb6m.example>";
    for (size_t n = 0; n <= sizeof path - 1; n++) {
        char *copy = n == 0 ? NULL : test_malloc(n); /* cmocka guards its end */
        struct address a;
        size_t used;
        if (n > 0)
            memcpy(copy, path, n);
        const char *problem =
            address_parse_path(span_make(copy, n), ADDRESS_UTF8_ALLOWED, &a, &used);
        assert_int_equal(problem == NULL, n == sizeof path - 1);
        if (n > 0)
            test_free(copy);
    }
}

static void a_checked_text_falls_into_its_parts(void **state)
{
    (void)state;
    assert_true(span_is(address_domain(TEXT("\"a@b\"@x.example")), "x.example"));
    assert_true(span_is(address_local(TEXT("\"a@b\"@x.example")), "\"a@b\""));
    assert_true(span_is(address_local(TEXT("postmaster")), "postmaster"));
    assert_int_equal(address_domain(TEXT("postmaster")).len, 0);
    assert_int_equal(address_domain(TEXT("")).len, 0);
    assert_int_equal(address_local(TEXT("")).len, 0);
}

static void domains_have_no_case_but_local_parts_do(void **state)
{
    (void)state;
    assert_true(address_equals(TEXT("a@X.example"), TEXT("a@x.EXAMPLE")));
    assert_false(address_equals(TEXT("A@x.example"), TEXT("a@x.example")));
    assert_false(address_equals(TEXT("a@x.example"), TEXT("a@y.example")));
    assert_false(address_equals(TEXT("a"), TEXT("a@x.example")));
    assert_true(address_equals(TEXT(""), TEXT("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_rfc_5321_allows_is_taken_as_it_is),
        cmocka_unit_test(everything_else_is_refused),
        cmocka_unit_test(the_reason_is_a_fragment_for_a_reply),
        cmocka_unit_test(unicode_needs_to_be_allowed),
        cmocka_unit_test(a_unicode_domain_becomes_a_labels_and_needs_no_smtputf8),
        cmocka_unit_test(unicode_that_is_no_text_is_refused),
        cmocka_unit_test(the_limits_are_those_of_the_header),
        cmocka_unit_test(a_path_ends_at_its_bracket),
        cmocka_unit_test(a_source_route_is_dropped_and_the_rest_is_checked),
        cmocka_unit_test(what_is_no_path_is_refused),
        cmocka_unit_test(the_null_sender_and_postmaster_are_taken_where_allowed),
        cmocka_unit_test(every_prefix_of_a_path_is_refused_without_reading_on),
        cmocka_unit_test(a_checked_text_falls_into_its_parts),
        cmocka_unit_test(domains_have_no_case_but_local_parts_do),
    };
    return RUN(tests);
}
