/* SPDX-License-Identifier: MIT */
#include "dns/cache.h"
#include "tests/unit/check.h"
#include "tests/unit/dns_fixture.h"

enum { NOW_MS = 1000, SEED = 7, TTL_MS = DNS_FAILURE_TTL_S * 1000 };

static void put(struct dns_cache *cache, const char *name, enum dns_type type,
                enum dns_outcome outcome, uint64_t now_ms)
{
    struct dns_fact *fact = dns_fact_failed(span_of(name), type, outcome, now_ms);
    dns_cache_put(cache, fact);
    dns_fact_drop(fact);
}

static struct dns_fact *find(struct dns_cache *cache, const char *name, enum dns_type type,
                             uint64_t now_ms)
{
    return dns_cache_find(cache, span_of(name), type, now_ms);
}

static void facts_are_found_by_name_and_type(void **state)
{
    (void)state;
    struct dns_cache cache;
    dns_cache_init(&cache, 10, SEED);
    assert_null(find(&cache, "d.example", DNS_A, NOW_MS));
    put(&cache, "d.example", DNS_A, DNS_FAILED, NOW_MS);
    put(&cache, "d.example", DNS_MX, DNS_SILENT, NOW_MS);
    assert_int_equal(find(&cache, "d.example", DNS_A, NOW_MS)->outcome, DNS_FAILED);
    assert_int_equal(find(&cache, "d.example", DNS_MX, NOW_MS)->outcome, DNS_SILENT);
    assert_null(find(&cache, "d.example", DNS_AAAA, NOW_MS));
    assert_null(find(&cache, "example", DNS_A, NOW_MS));
    assert_int_equal(dns_cache_count(&cache), 2);
    dns_cache_release(&cache);
}

static void a_fact_holds_until_it_expires(void **state)
{
    (void)state;
    struct dns_cache cache;
    dns_cache_init(&cache, 10, SEED);
    put(&cache, "d.example", DNS_A, DNS_FAILED, NOW_MS);
    assert_non_null(find(&cache, "d.example", DNS_A, NOW_MS + TTL_MS - 1));
    assert_null(find(&cache, "d.example", DNS_A, NOW_MS + TTL_MS));
    assert_int_equal(dns_cache_count(&cache), 0);
    assert_int_equal(cache.bytes, 0);
    dns_cache_release(&cache);
}

static void a_new_fact_replaces_the_old(void **state)
{
    (void)state;
    struct dns_cache cache;
    dns_cache_init(&cache, 10, SEED);
    put(&cache, "d.example", DNS_A, DNS_FAILED, NOW_MS);
    struct dns_fact *old = dns_fact_share(find(&cache, "d.example", DNS_A, NOW_MS));
    put(&cache, "d.example", DNS_A, DNS_NO_DATA, NOW_MS);
    assert_int_equal(dns_cache_count(&cache), 1);
    assert_int_equal(find(&cache, "d.example", DNS_A, NOW_MS)->outcome, DNS_NO_DATA);
    assert_int_equal(old->outcome, DNS_FAILED); /* who holds it still has it */
    dns_fact_drop(old);
    dns_cache_release(&cache);
}

static void the_longest_unused_goes_first(void **state)
{
    (void)state;
    struct dns_cache cache;
    dns_cache_init(&cache, 3, SEED);
    put(&cache, "a.example", DNS_A, DNS_FAILED, NOW_MS);
    put(&cache, "b.example", DNS_A, DNS_FAILED, NOW_MS);
    put(&cache, "c.example", DNS_A, DNS_FAILED, NOW_MS);
    assert_non_null(find(&cache, "a.example", DNS_A, NOW_MS));
    put(&cache, "d.example", DNS_A, DNS_FAILED, NOW_MS);
    assert_int_equal(dns_cache_count(&cache), 3);
    assert_null(find(&cache, "b.example", DNS_A, NOW_MS));
    assert_non_null(find(&cache, "a.example", DNS_A, NOW_MS));
    assert_non_null(find(&cache, "c.example", DNS_A, NOW_MS));
    assert_non_null(find(&cache, "d.example", DNS_A, NOW_MS));
    dns_cache_release(&cache);
}

static void bytes_are_bounded_too(void **state)
{
    (void)state;
    struct buf p = {0};
    struct dns_cache cache;
    char name[32];
    dns_cache_init(&cache, 100, SEED);
    for (unsigned i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof name, "d%u.example", i);
        dns_begin(&p, name, DNS_TXT, DNS_NOERROR);
        for (int j = 0; j < 20; j++)
            dns_record(&p, DNS_ANSWER, name, DNS_TXT, 300, span_make(name, sizeof name));
        struct dns_fact *fact = dns_fact_read(span_of(name), DNS_TXT, buf_span(&p), NOW_MS);
        assert_int_equal(fact->outcome, DNS_RECORDS);
        dns_cache_put(&cache, fact);
        dns_fact_drop(fact);
        assert_true(cache.bytes <= cache.bytes_max);
    }
    assert_true(dns_cache_count(&cache) > 10 && dns_cache_count(&cache) < 100);
    assert_non_null(find(&cache, name, DNS_TXT, NOW_MS));
    buf_release(&p);
    dns_cache_release(&cache);
}

static void many_facts_stay_inside_the_limit(void **state)
{
    (void)state;
    struct dns_cache cache;
    char name[32];
    dns_cache_init(&cache, 1000, SEED);
    for (unsigned i = 0; i < 50000; i++) {
        (void)snprintf(name, sizeof name, "d%u.example", i);
        put(&cache, name, DNS_A, DNS_FAILED, NOW_MS);
    }
    assert_int_equal(dns_cache_count(&cache), 1000);
    assert_non_null(find(&cache, "d49001.example", DNS_A, NOW_MS));
    assert_null(find(&cache, "d48999.example", DNS_A, NOW_MS));
    dns_cache_release(&cache);
    assert_int_equal(cache.bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_are_found_by_name_and_type),
        cmocka_unit_test(a_fact_holds_until_it_expires),
        cmocka_unit_test(a_new_fact_replaces_the_old),
        cmocka_unit_test(the_longest_unused_goes_first),
        cmocka_unit_test(bytes_are_bounded_too),
        cmocka_unit_test(many_facts_stay_inside_the_limit),
    };
    return RUN(tests);
}
