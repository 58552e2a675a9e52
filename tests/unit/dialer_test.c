/* SPDX-License-Identifier: MIT */
#include "mta/base/mem.h"
#include "mta/deliver/dialer.h"
#include "tests/unit/check.h"
#include <string.h>

static const struct site_host hosts[] = {
    {"mx1.example", 10, 25  },
    {"mx2.example", 10, 25  },
    {"mx3.example", 20, 2525}
};
static const struct site_target target = {
    .key = "k", .name = "mx1.example", .hosts = hosts, .host_count = 3, .is_mx = true};

/* 'count' addresses 'first', 'first'+1, ... of 198.51.100.0/24 (or a private net). */
static struct address_result addresses(const char *first, size_t count)
{
    struct address_result result = {.verdict = DNS_FOUND, .address_count = count};
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(net_address_parse(span_of(first), &result.addresses[i]), OK);
        result.addresses[i].ip[3] = (uint8_t)(result.addresses[i].ip[3] + i);
    }
    return result;
}

static struct job *job_of(size_t rcpts)
{
    struct job *job = mem_new(sizeof *job + rcpts * sizeof job->rcpts[0]);
    job->rcpt_count = rcpts;
    return job;
}

static void drop(struct job *job)
{
    arena_release(&job->texts);
    mem_free(job);
}

static void failed(struct dialer *d, enum dial_failure failure, unsigned code, const char *text)
{
    unsigned char enhanced[3] = {(unsigned char)(code >= 500 ? 5 : 4), 4, 1};
    dialer_failed(d, failure, code, enhanced, span_of(text));
}

static void equals_are_shuffled_and_the_worse_come_last(void **state)
{
    (void)state;
    unsigned first[2] = {0};
    struct rng rng;
    rng_seed(&rng, 1);
    for (int i = 0; i < 200; i++) {
        struct dialer d;
        struct net_address address;
        struct address_result none = {.verdict = DNS_SERVER_FAILED};
        dialer_init(&d, &target, &rng);
        assert_int_equal(dialer_next(&d, &address), DIAL_LOOKUP);
        first[strcmp(dialer_host(&d), "mx2.example") == 0]++;
        dialer_addresses(&d, &none, false);
        assert_int_equal(dialer_next(&d, &address), DIAL_LOOKUP);
        dialer_addresses(&d, &none, false);
        assert_int_equal(dialer_next(&d, &address), DIAL_LOOKUP);
        assert_string_equal(dialer_host(&d), "mx3.example");
    }
    assert_true(first[0] > 60 && first[1] > 60);
}

static void addresses_come_one_by_one_with_the_hosts_port(void **state)
{
    (void)state;
    struct site_target one = target;
    struct rng rng;
    struct dialer d;
    struct net_address address;
    rng_seed(&rng, 1);
    one.hosts      = &hosts[2];
    one.host_count = 1;
    dialer_init(&d, &one, &rng);
    assert_int_equal(dialer_next(&d, &address), DIAL_LOOKUP);
    struct address_result found = addresses("198.51.100.1", 2);
    dialer_addresses(&d, &found, false);
    for (int i = 1; i <= 2; i++) {
        assert_int_equal(dialer_next(&d, &address), DIAL_CONNECT);
        assert_int_equal(address.port, 2525);
        assert_int_equal(address.ip[3], i);
    }
    assert_int_equal(dialer_next(&d, &address), DIAL_EXHAUSTED);
}

static void marked_addresses_go_last_in_their_order(void **state)
{
    static const unsigned expected[]   = {1, 3, 5, 2, 4};
    const bool marks[MX_ADDRESSES_MAX] = {false, true, false, true, false};
    struct site_target one             = target;
    struct rng rng;
    struct dialer d;
    struct net_address address;
    (void)state;
    rng_seed(&rng, 1);
    one.host_count              = 1;
    struct address_result found = addresses("198.51.100.1", 5);
    dialer_init(&d, &one, &rng);
    assert_false(dialer_has_another(&d));
    dialer_addresses(&d, &found, false);
    dialer_put_last(&d, marks);
    for (size_t i = 0; i < 5; i++) {
        assert_true(dialer_has_another(&d));
        assert_int_equal(dialer_next(&d, &address), DIAL_CONNECT);
        assert_int_equal(address.ip[3], expected[i]);
    }
    assert_false(dialer_has_another(&d));
}

static void private_addresses_are_refused_for_mx_only(void **state)
{
    (void)state;
    struct rng rng;
    struct dialer d;
    struct net_address address;
    struct address_result mine  = addresses("127.0.0.1", 1);
    struct site_target by_route = target, one = target;
    rng_seed(&rng, 1);
    one.host_count = by_route.host_count = 1;
    by_route.is_mx                       = false;

    dialer_init(&d, &one, &rng);
    dialer_addresses(&d, &mine, false);
    assert_int_equal(dialer_next(&d, &address), DIAL_EXHAUSTED);
    struct job *job = job_of(1);
    dialer_settle(&d, job);
    assert_int_equal(job->rcpts[0].verdict, JOB_FAILED);
    assert_int_equal(job->rcpts[0].attempt.enhanced[1], 4);
    drop(job);

    dialer_init(&d, &one, &rng);
    dialer_addresses(&d, &mine, true);
    assert_int_equal(dialer_next(&d, &address), DIAL_CONNECT);
    dialer_init(&d, &by_route, &rng);
    dialer_addresses(&d, &mine, false);
    assert_int_equal(dialer_next(&d, &address), DIAL_CONNECT);
}

struct outcome_row {
    enum dial_failure failures[3];
    unsigned codes[3];
    enum job_verdict verdict;
    enum job_site site;
};

static void the_failures_together_decide(void **state)
{
    (void)state;
    static const struct outcome_row rows[] = {
        {{DIAL_UNREACHABLE, DIAL_UNREACHABLE, DIAL_UNREACHABLE},
         {0, 0, 0},
         JOB_DEFERRED,                                                                      JOB_SITE_UNREACHABLE},
        {{DIAL_REFUSED, DIAL_REFUSED, DIAL_REFUSED},
         {554, 554, 554},
         JOB_FAILED,                                                                        JOB_SITE_ANSWERED   },
        {{DIAL_REFUSED, DIAL_UNREACHABLE, DIAL_REFUSED},
         {554, 0, 554},
         JOB_DEFERRED,                                                                      JOB_SITE_UNREACHABLE},
        {{DIAL_UNREACHABLE, DIAL_BUSY, DIAL_UNREACHABLE},        {0, 421, 0}, JOB_DEFERRED, JOB_SITE_BUSY       },
    };
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        struct rng rng;
        struct dialer d;
        struct net_address address;
        rng_seed(&rng, r);
        dialer_init(&d, &target, &rng);
        for (int i = 0; i < 3; i++) {
            struct address_result found = addresses("198.51.100.1", 1);
            assert_int_equal(dialer_next(&d, &address), DIAL_LOOKUP);
            dialer_addresses(&d, &found, false);
            assert_int_equal(dialer_next(&d, &address), DIAL_CONNECT);
            failed(&d, rows[r].failures[i], rows[r].codes[i], "words");
        }
        assert_int_equal(dialer_next(&d, &address), DIAL_EXHAUSTED);
        struct job *job = job_of(2);
        dialer_settle(&d, job);
        assert_int_equal(job->rcpts[1].verdict, rows[r].verdict);
        assert_int_equal(job->site_verdict, rows[r].site);
        assert_int_equal(job->rcpts[0].attempt.enhanced[0], rows[r].verdict == JOB_FAILED ? 5 : 4);
        drop(job);
    }
}

static void a_reply_tells_more_than_silence(void **state)
{
    (void)state;
    struct rng rng;
    struct dialer d;
    rng_seed(&rng, 1);
    dialer_init(&d, &target, &rng);
    failed(&d, DIAL_BUSY, 421, "too busy\r\nX: y");
    failed(&d, DIAL_UNREACHABLE, 0, "cannot connect");
    struct job *job = job_of(1);
    dialer_settle(&d, job);
    assert_int_equal(job->rcpts[0].attempt.code, 421);
    assert_string_equal(job->rcpts[0].attempt.text, "too busy??X: y");
    drop(job);
}

static void the_number_of_tries_is_bounded(void **state)
{
    (void)state;
    struct rng rng;
    struct dialer d;
    struct net_address address;
    unsigned connects = 0;
    rng_seed(&rng, 1);
    dialer_init(&d, &target, &rng);
    for (;;) {
        enum dial_step step = dialer_next(&d, &address);
        if (step == DIAL_EXHAUSTED)
            break;
        struct address_result found = addresses("198.51.100.1", 10);
        if (step == DIAL_LOOKUP)
            dialer_addresses(&d, &found, false);
        connects += step == DIAL_CONNECT;
    }
    assert_int_equal(connects, DIALER_ADDRESSES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_are_shuffled_and_the_worse_come_last),
        cmocka_unit_test(addresses_come_one_by_one_with_the_hosts_port),
        cmocka_unit_test(marked_addresses_go_last_in_their_order),
        cmocka_unit_test(private_addresses_are_refused_for_mx_only),
        cmocka_unit_test(the_failures_together_decide),
        cmocka_unit_test(a_reply_tells_more_than_silence),
        cmocka_unit_test(the_number_of_tries_is_bounded),
    };
    return RUN(tests);
}
