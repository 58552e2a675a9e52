/* SPDX-License-Identifier: MIT */
#include "dns/fact.h"
#include "tests/unit/check.h"
#include "tests/unit/dns_fixture.h"

enum { NOW_MS = 1000000 };

static struct dns_fact *fact_of(const struct buf *packet, const char *name, enum dns_type type)
{
    return dns_fact_read(span_of(name), type, buf_span(packet), NOW_MS);
}

static unsigned count(const struct dns_fact *fact)
{
    struct span record;
    size_t at  = 0;
    unsigned n = 0;
    while (dns_fact_next(fact, &at, &record))
        n++;
    return n;
}

static void expect(const struct buf *packet, const char *name, enum dns_type type,
                   enum dns_outcome outcome, uint64_t ttl_s)
{
    struct dns_fact *fact = fact_of(packet, name, type);
    assert_int_equal(fact->outcome, outcome);
    assert_int_equal(fact->expires_ms, NOW_MS + ttl_s * 1000);
    assert_true(span_is(fact->name, name));
    assert_int_equal(count(fact) > 0, outcome == DNS_RECORDS || outcome == DNS_ALIAS);
    dns_fact_drop(fact);
}

static void records_are_kept_in_order(void **state)
{
    (void)state;
    struct buf p = {0};
    struct span record;
    size_t at = 0;
    dns_begin(&p, "d.example", DNS_MX, DNS_NOERROR);
    dns_mx(&p, "d.example", 300, 20, "b.example");
    dns_mx(&p, "d.example", 200, 10, "");
    struct dns_fact *fact = fact_of(&p, "d.example", DNS_MX);
    assert_int_equal(fact->outcome, DNS_RECORDS);
    assert_int_equal(fact->expires_ms, NOW_MS + 200 * 1000);
    assert_true(dns_fact_next(fact, &at, &record));
    assert_int_equal(bytes_get16(record.at), 20);
    assert_true(span_is(span_skip(record, 2), "b.example"));
    assert_true(dns_fact_next(fact, &at, &record));
    assert_int_equal(record.len, 2);
    assert_false(dns_fact_next(fact, &at, &record));
    dns_fact_drop(fact);
    buf_release(&p);
}

static void records_of_other_names_and_types_do_not_count(void **state)
{
    (void)state;
    struct buf p = {0};
    dns_begin(&p, "d.example", DNS_A, DNS_NOERROR);
    dns_ip(&p, "evil.example", 60, "192.0.2.1");
    dns_ip(&p, "d.example", 60, "2001:db8::1");
    expect(&p, "d.example", DNS_A, DNS_NO_DATA, DNS_TTL_MIN_S);
    buf_release(&p);
}

static void aliases_are_followed_in_any_order(void **state)
{
    (void)state;
    struct buf p = {0};
    dns_begin(&p, "a.example", DNS_A, DNS_NOERROR);
    dns_ip(&p, "c.example", 500, "192.0.2.1");
    dns_cname(&p, "b.example", 60, "c.example");
    dns_cname(&p, "a.example", 300, "b.example");
    struct dns_fact *fact = fact_of(&p, "a.example", DNS_A);
    assert_int_equal(fact->outcome, DNS_RECORDS);
    assert_int_equal(fact->hops, 2);
    assert_int_equal(fact->expires_ms, NOW_MS + 60 * 1000); /* the shortest on the way */
    dns_fact_drop(fact);
    buf_release(&p);
}

static void an_alias_may_lead_out_of_the_answer(void **state)
{
    (void)state;
    struct buf p = {0};
    dns_begin(&p, "a.example", DNS_A, DNS_NOERROR);
    dns_cname(&p, "a.example", 300, "b.example");
    dns_cname(&p, "b.example", 60, "c.example");
    struct dns_fact *fact = fact_of(&p, "a.example", DNS_A);
    assert_int_equal(fact->outcome, DNS_ALIAS);
    assert_true(span_is(dns_fact_alias(fact), "c.example"));
    assert_int_equal(fact->hops, 2);
    assert_int_equal(fact->expires_ms, NOW_MS + 60 * 1000);
    dns_fact_drop(fact);
    buf_release(&p);
}

static void an_alias_to_nowhere_is_no_name(void **state)
{
    (void)state;
    struct buf p = {0};
    dns_begin(&p, "a.example", DNS_A, DNS_NXDOMAIN);
    dns_cname(&p, "a.example", 300, "b.example");
    dns_soa(&p, "example", 100, 60);
    expect(&p, "a.example", DNS_A, DNS_NO_NAME, 60);
    buf_release(&p);
}

static void an_alias_loop_is_a_failure(void **state)
{
    (void)state;
    struct buf p = {0};
    dns_begin(&p, "a.example", DNS_A, DNS_NOERROR);
    dns_cname(&p, "a.example", 300, "b.example");
    dns_cname(&p, "b.example", 300, "a.example");
    expect(&p, "a.example", DNS_A, DNS_FAILED, DNS_FAILURE_TTL_S);
    dns_begin(&p, "a.example", DNS_A, DNS_NOERROR);
    dns_cname(&p, "a.example", 300, "a.example");
    expect(&p, "a.example", DNS_A, DNS_FAILED, DNS_FAILURE_TTL_S);
    buf_release(&p);
}

static void chain(struct buf *p, unsigned length)
{
    dns_begin(p, "n0.example", DNS_A, DNS_NOERROR);
    for (unsigned i = 0; i < length; i++) {
        char from[32], to[32];
        (void)snprintf(from, sizeof from, "n%u.example", i);
        (void)snprintf(to, sizeof to, i + 1 == length ? "end.example" : "n%u.example", i + 1);
        dns_cname(p, from, 300, to);
    }
    dns_ip(p, "end.example", 300, "192.0.2.1");
}

static void eight_aliases_are_followed_nine_are_not(void **state)
{
    (void)state;
    struct buf p = {0};
    chain(&p, DNS_CNAME_DEPTH_MAX);
    expect(&p, "n0.example", DNS_A, DNS_RECORDS, 300);
    chain(&p, DNS_CNAME_DEPTH_MAX + 1);
    expect(&p, "n0.example", DNS_A, DNS_FAILED, DNS_FAILURE_TTL_S);
    buf_release(&p);
}

static void no_records_is_no_data_or_no_name(void **state)
{
    (void)state;
    struct buf p = {0};
    dns_begin(&p, "d.example", DNS_MX, DNS_NOERROR);
    dns_soa(&p, "example", 900, 300);
    expect(&p, "d.example", DNS_MX, DNS_NO_DATA, 300);
    dns_begin(&p, "d.example", DNS_MX, DNS_NXDOMAIN);
    dns_soa(&p, "example", 900, 300);
    expect(&p, "d.example", DNS_MX, DNS_NO_NAME, 300);
    buf_release(&p);
}

static void other_rcodes_are_failures(void **state)
{
    (void)state;
    static const unsigned rcodes[] = {DNS_FORMERR, DNS_SERVFAIL, DNS_NOTIMP, DNS_REFUSED, 9};
    struct buf p                   = {0};
    for (size_t i = 0; i < sizeof rcodes / sizeof rcodes[0]; i++) {
        dns_begin(&p, "d.example", DNS_MX, rcodes[i]);
        expect(&p, "d.example", DNS_MX, DNS_FAILED, DNS_FAILURE_TTL_S);
    }
    buf_release(&p);
}

static void what_answers_another_question_is_a_failure(void **state)
{
    (void)state;
    struct buf p = {0};
    dns_begin(&p, "d.example", DNS_MX, DNS_NOERROR);
    dns_mx(&p, "d.example", 300, 20, "b.example");
    expect(&p, "e.example", DNS_MX, DNS_FAILED, DNS_FAILURE_TTL_S);
    expect(&p, "d.example", DNS_A, DNS_FAILED, DNS_FAILURE_TTL_S);
    p.at[2] = (char)(p.at[2] | 2); /* truncated, although asked by TCP */
    expect(&p, "d.example", DNS_MX, DNS_FAILED, DNS_FAILURE_TTL_S);
    p.len = 5;
    expect(&p, "d.example", DNS_MX, DNS_FAILED, DNS_FAILURE_TTL_S);
    buf_release(&p);
}

static void one_bad_record_spoils_the_answer(void **state)
{
    (void)state;
    struct buf p = {0};
    dns_begin(&p, "d.example", DNS_A, DNS_NOERROR);
    dns_ip(&p, "d.example", 60, "192.0.2.1");
    dns_record(&p, DNS_ANSWER, "d.example", DNS_A, 60, span_of("abc"));
    expect(&p, "d.example", DNS_A, DNS_FAILED, DNS_FAILURE_TTL_S);
    buf_release(&p);
}

static void a_shared_fact_lives_until_the_last_drop(void **state)
{
    (void)state;
    struct dns_fact *fact = dns_fact_failed(span_of("d.example"), DNS_A, DNS_SILENT, NOW_MS);
    struct dns_fact *same = dns_fact_share(fact);
    dns_fact_drop(fact);
    assert_true(span_is(same->name, "d.example"));
    assert_int_equal(same->outcome, DNS_SILENT);
    assert_int_equal(same->expires_ms, NOW_MS + DNS_FAILURE_TTL_S * 1000);
    dns_fact_drop(same);
    dns_fact_drop(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_kept_in_order),
        cmocka_unit_test(records_of_other_names_and_types_do_not_count),
        cmocka_unit_test(aliases_are_followed_in_any_order),
        cmocka_unit_test(an_alias_may_lead_out_of_the_answer),
        cmocka_unit_test(an_alias_to_nowhere_is_no_name),
        cmocka_unit_test(an_alias_loop_is_a_failure),
        cmocka_unit_test(eight_aliases_are_followed_nine_are_not),
        cmocka_unit_test(no_records_is_no_data_or_no_name),
        cmocka_unit_test(other_rcodes_are_failures),
        cmocka_unit_test(what_answers_another_question_is_a_failure),
        cmocka_unit_test(one_bad_record_spoils_the_answer),
        cmocka_unit_test(a_shared_fact_lives_until_the_last_drop),
    };
    return RUN(tests);
}
