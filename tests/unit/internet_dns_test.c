/* SPDX-License-Identifier: MIT */
/* The name server answers what is asked, and survives what is no question. */
#include "bench/dns_answer.h"
#include "bench/scenario.h"
#include "mta/base/bytes.h"
#include "mta/base/mem.h"
#include "mta/base/rng.h"
#include "tests/unit/check.h"
#include <string.h>

enum { TYPE_A = 1, TYPE_MX = 15, TYPE_AAAA = 28 };

struct fixture {
    struct world world;
    struct scenario scenario;
    struct dns_tally tally;
    struct buf query, answer;
};

static int set_up(void **state)
{
    static const char text[] = "domain a.test\n"
                               "domain servfail.test dns=servfail\n"
                               "domain silent.test dns=timeout\n"
                               "alias www.test a.test\n"
                               "alias loop.test loop.test\n";
    struct fixture *f        = mem_new(sizeof *f);
    struct buf error         = {0};
    world_init(&f->world);
    scenario_init(&f->scenario, &f->world, 0);
    assert_true(scenario_read(&f->scenario, span_of(text), &error));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    scenario_release(&f->scenario);
    world_release(&f->world);
    buf_release(&f->query);
    buf_release(&f->answer);
    mem_free(f);
    return 0;
}

static void make_query(struct fixture *f, const char *name, unsigned type)
{
    static const char header[12] = {0x12, 0x34, 1, 0, 0, 1};
    struct span rest             = span_of(name), label;
    char tail[4];
    buf_clear(&f->query);
    buf_put(&f->query, span_make(header, sizeof header));
    while (span_cut(&rest, '.', &label)) {
        buf_put_byte(&f->query, (char)label.len);
        buf_put(&f->query, label);
    }
    buf_put_byte(&f->query, 0);
    bytes_put16(tail, (uint16_t)type);
    bytes_put16(tail + 2, 1);
    buf_put(&f->query, span_make(tail, sizeof tail));
}

static bool ask(struct fixture *f, const char *name, unsigned type)
{
    make_query(f, name, type);
    buf_clear(&f->answer);
    return dns_answer(&f->world, &f->tally, buf_span(&f->query), true, &f->answer);
}

static unsigned rcode(const struct fixture *f)
{
    return bytes_get16(f->answer.at + 2) & 15;
}

static unsigned answers(const struct fixture *f)
{
    return bytes_get16(f->answer.at + 6);
}

static void questions_are_counted_where_they_belong(void **state)
{
    struct fixture *f = *state;
    assert_true(ask(f, "A.Test", TYPE_MX));
    assert_int_equal(answers(f), 1);
    assert_true(ask(f, "mx.a.test", TYPE_A));
    assert_int_equal(answers(f), 1);
    assert_true(ask(f, "mx.a.test", TYPE_AAAA));
    assert_int_equal(answers(f), 0);
    assert_int_equal(world_find_domain(&f->world, span_of("a.test"))->tally.dns_mx, 1);
    assert_int_equal(world_find_host(&f->world, span_of("mx.a.test"))->tally.dns_address, 2);
    assert_int_equal(f->tally.questions, 3);
}

static void faults_have_their_codes(void **state)
{
    struct fixture *f = *state;
    assert_true(ask(f, "servfail.test", TYPE_MX));
    assert_int_equal(rcode(f), 2);
    assert_true(ask(f, "nowhere.test", TYPE_MX));
    assert_int_equal(rcode(f), 3);
    assert_false(ask(f, "silent.test", TYPE_MX));
    assert_int_equal(f->tally.silent, 1);
}

static void aliases_end_even_when_they_loop(void **state)
{
    struct fixture *f = *state;
    assert_true(ask(f, "www.test", TYPE_MX));
    assert_int_equal(answers(f), 2);
    assert_true(ask(f, "loop.test", TYPE_MX));
    assert_int_equal(answers(f), WORLD_ALIAS_HOPS_MAX);
}

static void an_answer_is_no_question(void **state)
{
    struct fixture *f = *state;
    make_query(f, "a.test", TYPE_A);
    f->query.at[2] |= (char)0x80;
    assert_false(dns_answer(&f->world, &f->tally, buf_span(&f->query), true, &f->answer));
    assert_int_equal(f->tally.bad, 1);
}

static void other_operations_and_question_counts_are_refused(void **state)
{
    struct fixture *f = *state;
    make_query(f, "a.test", TYPE_A);
    f->query.at[2] |= 0x20; /* STATUS */
    assert_true(dns_answer(&f->world, &f->tally, buf_span(&f->query), true, &f->answer));
    assert_int_equal(rcode(f), 4);
    make_query(f, "a.test", TYPE_A);
    f->query.at[5] = 2;
    buf_clear(&f->answer);
    assert_true(dns_answer(&f->world, &f->tally, buf_span(&f->query), true, &f->answer));
    assert_int_equal(rcode(f), 1);
}

static void torn_and_random_questions_do_no_harm(void **state)
{
    struct fixture *f = *state;
    struct rng rng;
    make_query(f, "a.test", TYPE_MX);
    for (size_t len = 0; len < f->query.len; len++) {
        char *exact = mem_new(len + 1); /* so that a sanitizer sees what is read behind it */
        exact       = mem_resize(exact, len > 0 ? len : 1);
        memcpy(exact, f->query.at, len);
        buf_clear(&f->answer);
        (void)dns_answer(&f->world, &f->tally, span_make(exact, len), true, &f->answer);
        assert_true(f->answer.len == 0 || rcode(f) == 1);
        mem_free(exact);
    }
    rng_seed(&rng, 1);
    for (int i = 0; i < 20000; i++) {
        make_query(f, "www.test", TYPE_MX);
        for (int changes = 0; changes < 3; changes++)
            f->query.at[rng_below(&rng, f->query.len)] = (char)rng_next(&rng);
        buf_clear(&f->answer);
        (void)dns_answer(&f->world, &f->tally, buf_span(&f->query), true, &f->answer);
        assert_true(f->answer.len <= DNS_UDP_BYTES);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(questions_are_counted_where_they_belong),
        TEST(faults_have_their_codes),
        TEST(aliases_end_even_when_they_loop),
        TEST(an_answer_is_no_question),
        TEST(other_operations_and_question_counts_are_refused),
        TEST(torn_and_random_questions_do_no_harm),
    };
    return RUN(tests);
}
