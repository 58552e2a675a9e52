/* SPDX-License-Identifier: MIT */
#include "mta/mail/domain.h"
#include "tests/unit/check.h"
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void assert_canonical(const char *name, const char *expected)
{
    char got[DOMAIN_BYTES_MAX + 1];
    if (!domain_canonical(span_of(name), got))
        fail_msg("refused: %s", name);
    assert_string_equal(got, expected);
}

static void names_are_compared_in_one_form(void **state)
{
    (void)state;
    assert_canonical("Mail.Example.ORG", "mail.example.org");
    assert_canonical("mail.example.org.", "mail.example.org");
    assert_canonical("localhost", "localhost");
    assert_canonical("_25._tcp.mx.example", "_25._tcp.mx.example");
    assert_canonical("r3---sn-4g5e6.example", "r3---sn-4g5e6.example");
    assert_canonical("XN--BCHER-KVA.example", "xn--bcher-kva.example");
    assert_canonical("1.2.0.192.in-addr.arpa", "1.2.0.192.in-addr.arpa");
}

static void unicode_becomes_a_labels_without_transition(void **state)
{
    (void)state;
    assert_canonical("B\xc3\xbc"
                     "cher.example",
                     "xn--bcher-kva.example");
    assert_canonical("stra\xc3\x9f"
                     "e.example",
                     "xn--strae-oqa.example"); /* not strasse */
    assert_canonical("\xe4\xbe\x8b\xe3\x80\x82\xe3\x83\x86\xe3\x82\xb9\xe3\x83\x88",
                     "xn--fsq.xn--zckzah");
    assert_canonical("\xef\xbc\xa5x.example", "ex.example");  /* a wide E */
    assert_canonical("u\xcc\x88.example", "xn--tda.example"); /* decomposed */
}

static void what_is_no_name_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        ".",
        "..",
        "a..b",
        ".a",
        "a..",
        "a b",
        "a,b",
        "-a.example",
        "a-.example",
        "a@b",
        "a/b",
        "*.example",
        "a:b",
        "[192.0.2.1]",
        "192.0.2.1",
        "x.1",
        "a\tb",
        "a\r\nb",
        "\xff.example",
        "a\xc2\x85",
        "\xe2\x80\xa8",
        "\xe3\x80\x82",
        "a\xef\xbc\xa0"
        "b",
        "a.\xe3\x80\x82",
    };
    char got[DOMAIN_BYTES_MAX + 1];
    for (size_t i = 0; i < COUNT(bad); i++)
        if (domain_canonical(span_of(bad[i]), got))
            fail_msg("taken: %s as %s", bad[i], got);
    assert_false(domain_canonical(span_make("a\0b", 3), got));
    assert_false(domain_canonical(span_make("\xc3\xb6\0b", 4), got));
}

static void labels_and_names_have_the_lengths_of_dns(void **state)
{
    (void)state;
    char name[2048], got[DOMAIN_BYTES_MAX + 1];
    memset(name, 'a', sizeof name);
    assert_true(domain_canonical(span_make(name, 63), got));
    assert_false(domain_canonical(span_make(name, 64), got));
    for (size_t i = 50; i < sizeof name; i += 51)
        name[i] = '.';
    assert_true(domain_canonical(span_make(name, 253), got));
    assert_int_equal(strlen(got), 253);
    assert_false(domain_canonical(span_make(name, 254), got));
    assert_false(domain_canonical(span_make(name, sizeof name), got));
    memcpy(name, "\xc3\xb6", 2);
    assert_false(domain_canonical(span_make(name, sizeof name), got));
}

static void assert_displayed(const char *name, size_t cap, const char *expected)
{
    char got[512];
    assert_true(cap <= sizeof got);
    domain_display(span_of(name), got, cap);
    assert_string_equal(got, expected);
}

static void people_see_u_labels_where_they_convert_back(void **state)
{
    (void)state;
    assert_displayed("xn--bcher-kva.example", 512,
                     "b\xc3\xbc"
                     "cher.example");
    assert_displayed("example.org", 512, "example.org");
    assert_displayed("xn--strae-oqa.example", 512,
                     "stra\xc3\x9f"
                     "e.example");
    assert_displayed("xn--a.example", 512, "xn--a.example"); /* no valid A-label */
    assert_displayed("a\x1b[2Jb", 512, "a?[2Jb");
    assert_displayed("", 512, "");
}

static void a_display_fits_its_room(void **state)
{
    (void)state;
    assert_displayed("xn--bcher-kva.example", 16,
                     "b\xc3\xbc"
                     "cher.example");
    assert_displayed("xn--bcher-kva.example", 15, "xn--bcher-kva.");
    assert_displayed("example.org", 4, "exa");
    assert_displayed("example.org", 1, "");
}

static void patterns_hold_names(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *name;
        bool holds;
    } rows[] = {
        {"*",             "anything.example",   true },
        {"example.org",   "EXAMPLE.org",        true },
        {"example.org",   "a.example.org",      false},
        {"*.example.org", "a.example.org",      true },
        {"*.Example.org", "a.b.EXAMPLE.org",    true },
        {"*.example.org", "example.org",        false},
        {"*.example.org", ".example.org",       false},
        {"*.example.org", "badexample.org",     false},
        {"*.google.com",  "aspmx.l.google.com", true },
        {"",              "",                   true },
        {"",              "a",                  false},
        {"*.",            "a",                  false},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (domain_matches(span_of(rows[i].pattern), span_of(rows[i].name)) != rows[i].holds)
            fail_msg("%s %s", rows[i].pattern, rows[i].name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_compared_in_one_form),
        cmocka_unit_test(unicode_becomes_a_labels_without_transition),
        cmocka_unit_test(what_is_no_name_is_refused),
        cmocka_unit_test(labels_and_names_have_the_lengths_of_dns),
        cmocka_unit_test(people_see_u_labels_where_they_convert_back),
        cmocka_unit_test(a_display_fits_its_room),
        cmocka_unit_test(patterns_hold_names),
    };
    return RUN(tests);
}
