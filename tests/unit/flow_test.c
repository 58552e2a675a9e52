/* SPDX-License-Identifier: MIT */
#include "mta/queue/batch.h"
#include "mta/queue/flow.h"
#include "tests/unit/check.h"

enum { FULL = 100, BIG = 1, SMALL = 2, THIRD = 3 };

/* Something of each is out somewhere. */
static const struct flow flows[] = {
    [BIG]   = {.id = BIG,   .jobs = 1},
    [SMALL] = {.id = SMALL, .jobs = 1},
    [THIRD] = {.id = THIRD, .jobs = 1}
};

struct ring {
    struct flow_ring flows;
    struct batch batches[32768];
    size_t count;
};

static void start(struct ring *r)
{
    *r = (struct ring){0};
    flow_ring_init(&r->flows, 1);
}

/* 'recipients' is noted in count; nothing here looks at recipients themselves. */
static struct batch *add(struct ring *r, uint64_t flow, uint32_t recipients)
{
    struct batch *b = &r->batches[r->count++];
    b->count        = recipients;
    flow_ring_add(&r->flows, &flows[flow], b, false, FULL);
    return b;
}

/* Takes the next job as the queue does; gives the batch and how many. */
static struct batch *take_batch(struct ring *r, uint32_t *recipients)
{
    struct batch *b = flow_ring_next(&r->flows, FULL);
    if (b == NULL)
        return NULL;
    *recipients = b->count < FULL ? b->count : FULL;
    flow_ring_charge(b, *recipients, FULL);
    b->count -= *recipients;
    if (b->count == 0)
        flow_ring_remove(&r->flows, b);
    return b;
}

/* The same; gives the flow. */
static uint64_t take(struct ring *r, uint32_t *recipients)
{
    const struct batch *next = flow_ring_next(&r->flows, FULL);
    uint64_t flow            = next == NULL ? 0 : next->turn->flow->by_flow.id;
    (void)take_batch(r, recipients);
    return flow;
}

static void drain(struct ring *r)
{
    uint32_t recipients;
    while (take(r, &recipients) != 0)
        continue;
    assert_int_equal(r->flows.batches, 0);
    assert_int_equal(r->flows.by_flow.count, 0);
    flow_ring_release(&r->flows);
}

static void one_flow_goes_in_order(void **state)
{
    (void)state;
    static struct ring r;
    start(&r);
    struct batch *first = add(&r, BIG, 1), *second = add(&r, BIG, 1);
    assert_ptr_equal(flow_ring_next(&r.flows, FULL), first);
    flow_ring_remove(&r.flows, first);
    assert_ptr_equal(flow_ring_next(&r.flows, FULL), second);
    flow_ring_add(&r.flows, &flows[BIG], first, true, FULL); /* comes back untried */
    assert_ptr_equal(flow_ring_next(&r.flows, FULL), first);
    drain(&r);
}

static void a_new_flow_is_served_next(void **state)
{
    (void)state;
    static struct ring r;
    start(&r);
    uint32_t recipients;
    for (size_t i = 0; i < 1000; i++)
        (void)add(&r, BIG, 1);
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(take(&r, &recipients), BIG);
    (void)add(&r, SMALL, 1);
    assert_int_equal(take(&r, &recipients), SMALL);
    drain(&r);
}

static void two_big_flows_share_by_what_they_cost(void **state)
{
    (void)state;
    static struct ring r;
    start(&r);
    for (size_t i = 0; i < 2000; i++) /* single recipients against full transactions */
        (void)add(&r, BIG, 1);
    (void)add(&r, SMALL, 100000);
    uint64_t jobs[4] = {0}, cost[4] = {0};
    uint32_t recipients;
    for (size_t i = 0; i < 1000; i++) {
        uint64_t flow = take(&r, &recipients);
        jobs[flow]++;
        cost[flow] += recipients + FULL / 4;
    }
    assert_true(cost[BIG] * 10 < cost[SMALL] * 11 && cost[SMALL] * 10 < cost[BIG] * 11);
    assert_true(jobs[BIG] < 6 * jobs[SMALL]); /* and not a hundred times as many */
    drain(&r);
}

static void coming_back_again_and_again_wins_no_more_than_a_share(void **state)
{
    (void)state;
    static struct ring r;
    start(&r);
    for (size_t i = 0; i < 2000; i++)
        (void)add(&r, BIG, 1);
    uint64_t cost[4] = {0};
    uint32_t recipients;
    size_t ready = 0; /* of SMALL: a full transaction, new each time, as soon as BIG had one job */
    for (size_t i = 0; i < 1000; i++) {
        uint64_t flow = take(&r, &recipients);
        cost[flow] += recipients + FULL / 4;
        ready -= flow == SMALL;
        if (flow == BIG && ready == 0) {
            (void)add(&r, SMALL, FULL);
            ready++;
        }
    }
    assert_true(cost[SMALL] * 10 < cost[BIG] * 11);
    drain(&r);
}

static void no_flow_starves(void **state)
{
    (void)state;
    static struct ring r;
    start(&r);
    uint32_t recipients;
    for (size_t i = 0; i < 500; i++) {
        (void)add(&r, BIG, 150);
        (void)add(&r, SMALL, 3);
        (void)add(&r, THIRD, 40);
    }
    size_t since[4] = {0};
    for (size_t i = 0; i < 600; i++) {
        uint64_t flow = take(&r, &recipients);
        for (uint64_t other = BIG; other <= THIRD; other++)
            since[other] = other == flow ? 0 : since[other] + 1;
        for (uint64_t other = BIG; other <= THIRD; other++)
            assert_in_range(since[other], 0, 12);
    }
    drain(&r);
}

/* --- messages within a flow --- */

static void a_small_message_overtakes_a_large_one_of_its_flow(void **state)
{
    (void)state;
    static struct ring r;
    start(&r);
    uint32_t recipients;
    struct batch *large = add(&r, BIG, 50000);
    for (size_t i = 0; i < 9; i++)
        assert_ptr_equal(take_batch(&r, &recipients), large);
    struct batch *small = add(&r, BIG, 1);
    assert_ptr_equal(take_batch(&r, &recipients), small);
    assert_ptr_equal(take_batch(&r, &recipients), large);
    drain(&r);
}

static void a_large_message_is_slowed_by_a_quarter_at_most(void **state)
{
    (void)state;
    static struct ring r;
    start(&r);
    uint32_t recipients;
    uint64_t own = 0, all = 0, small_waits = 0;
    struct batch *large = add(&r, BIG, 20000);
    (void)take_batch(&r, &recipients);
    while (large->count > 0) { /* and each transaction of whatever kind brings two small ones */
        for (size_t i = 0; i < 2 && r.count < 32000; i++)
            (void)add(&r, BIG, 1);
        struct batch *b = take_batch(&r, &recipients);
        all += recipients + FULL / 4;
        own += b == large ? recipients + FULL / 4 : 0;
        small_waits = b == large ? small_waits + 1 : 0;
        assert_in_range(small_waits, 0, 2); /* nor do they wait for it */
    }
    assert_true(all * 100 <= own * 127); /* 5/4, and what was saved at first */
    drain(&r);
}

static void two_large_messages_of_a_flow_take_turns(void **state)
{
    (void)state;
    static struct ring r;
    start(&r);
    uint32_t recipients;
    struct batch *one = add(&r, BIG, 20000), *two = NULL;
    for (size_t i = 0; i < 20; i++)
        (void)take_batch(&r, &recipients);
    uint32_t one_had = one->count;
    two              = add(&r, BIG, 20000);
    for (size_t i = 0; i < 100; i++)
        (void)take_batch(&r, &recipients);
    uint32_t one_took = one_had - one->count, two_took = 20000 - two->count;
    assert_in_range(two_took, one_took - 200, one_took + 200);
    drain(&r);
}

static void a_message_with_many_domains_at_a_site_has_one_turn(void **state)
{
    (void)state;
    static struct ring r;
    struct message many = {.id = 1}, single = {.id = 2};
    uint32_t recipients;
    uint64_t took = 0, all = 0;
    start(&r);
    r.flows.has_many_domains = true;
    for (size_t i = 0; i < 50; i++) {
        struct batch *b = &r.batches[r.count++];
        *b              = (struct batch){.message = &many, .count = 200};
        flow_ring_add(&r.flows, &flows[BIG], b, false, FULL);
    }
    struct batch *alone = &r.batches[r.count++];
    *alone              = (struct batch){.message = &single, .count = 10000};
    flow_ring_add(&r.flows, &flows[BIG], alone, false, FULL);
    for (size_t i = 0; i < 60; i++) {
        struct batch *b = take_batch(&r, &recipients);
        all += recipients;
        took += b == alone ? recipients : 0;
    }
    assert_in_range(took * 100, all * 45, all * 55);
    drain(&r);
}

static void a_mailing_of_20000_leaves_another_flow_its_share(void **state)
{
    (void)state;
    static struct ring r;
    start(&r);
    uint32_t recipients;
    for (size_t i = 0; i < 20000; i++)
        (void)add(&r, BIG, 1);
    for (size_t i = 0; i < 100; i++)
        (void)take_batch(&r, &recipients);
    struct batch *other = add(&r, SMALL, 2000);
    uint64_t all        = 0;
    while (other->count > 0) {
        (void)take_batch(&r, &recipients);
        all += recipients + FULL / 4;
    }
    uint64_t alone = 20 * (FULL + FULL / 4); /* what it costs where it is the only one */
    assert_in_range(all, alone, 2 * alone * 5 / 4);
    drain(&r);
}

static void a_flow_lives_as_long_as_its_messages(void **state)
{
    (void)state;
    struct flow *f = flow_new(span_of("weekly"), 5);
    assert_string_equal(f->name, "weekly");
    assert_int_equal(f->id, 5);
    flow_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_flow_goes_in_order),
        cmocka_unit_test(a_new_flow_is_served_next),
        cmocka_unit_test(two_big_flows_share_by_what_they_cost),
        cmocka_unit_test(coming_back_again_and_again_wins_no_more_than_a_share),
        cmocka_unit_test(no_flow_starves),
        cmocka_unit_test(a_small_message_overtakes_a_large_one_of_its_flow),
        cmocka_unit_test(a_large_message_is_slowed_by_a_quarter_at_most),
        cmocka_unit_test(two_large_messages_of_a_flow_take_turns),
        cmocka_unit_test(a_message_with_many_domains_at_a_site_has_one_turn),
        cmocka_unit_test(a_mailing_of_20000_leaves_another_flow_its_share),
        cmocka_unit_test(a_flow_lives_as_long_as_its_messages),
    };
    return RUN(tests);
}
