/* SPDX-License-Identifier: MIT */
/*
 * Fairness over all sites, in virtual time: jobs start when the queue lets them, take their time,
 * and come home.  What one flow has when it is alone is compared with what it has beside another.
 */
#include "mta/base/heap.h"
#include "tests/unit/queue_fixture.h"

enum { JOBS_MAX = 50, JOB_MS = 10, OUT_MAX = 4096 };

struct lane {
    struct fixture f;
    struct {
        struct job *job;
        uint64_t home_ms;
    } out[OUT_MAX];
    size_t first, count; /* jobs all take equally long, so they come home in order */
    uint64_t jobs;
};

static void open_lane(struct lane *l, unsigned jobs_max)
{
    *l = (struct lane){0};
    fixture_init(&l->f);
    l->f.policy.jobs_max = jobs_max;
    fixture_open(&l->f);
}

static void close_lane(struct lane *l)
{
    for (; l->count > 0; l->count--, l->first++)
        fixture_end(&l->f, l->out[l->first % OUT_MAX].job, JOB_DELIVERED, JOB_SITE_ANSWERED);
    fixture_close(&l->f);
}

/* One millisecond: what is over comes home, what may start starts. */
static void step(struct lane *l)
{
    struct job *job;
    l->f.now_ms++;
    while (l->count > 0 && l->out[l->first % OUT_MAX].home_ms <= l->f.now_ms) {
        fixture_end(&l->f, l->out[l->first++ % OUT_MAX].job, JOB_DELIVERED, JOB_SITE_ANSWERED);
        l->count--;
    }
    while ((job = fixture_job(&l->f)) != NULL) {
        assert_true(l->count < OUT_MAX);
        size_t at          = (l->first + l->count++) % OUT_MAX;
        l->out[at].job     = job;
        l->out[at].home_ms = l->f.now_ms + JOB_MS;
        l->jobs++;
    }
}

static uint64_t steps_until_gone(struct lane *l, uint64_t id)
{
    uint64_t start_ms = l->f.now_ms;
    while (queue_find(l->f.q, id) != NULL)
        step(l);
    return l->f.now_ms - start_ms;
}

/* 'each' recipients in each of so many domains, in one message. */
static uint64_t post(struct lane *l, const char *flow, const char *kind, size_t domains,
                     size_t each)
{
    char address[64];
    struct message *m = fixture_message(&l->f, "owner@sender.example", flow);
    for (size_t i = 0; i < domains * each; i++) {
        (void)snprintf(address, sizeof address, "u%zu@d%zu.%s.example", i, i % domains, kind);
        fixture_rcpt(m, address, 0);
    }
    fixture_accept(&l->f, m);
    (void)fixture_route(&l->f);
    return m->id;
}

static void mailing(struct lane *l, const char *flow, size_t messages, size_t domains)
{
    char domain[64];
    for (size_t i = 0; i < messages; i++) {
        (void)snprintf(domain, sizeof domain, "d%zu.big.example", i % domains);
        (void)fixture_post(&l->f, flow, domain, 1);
    }
}

static void a_mailing_to_all_sites_leaves_another_flow_its_share_of_jobs(void **state)
{
    (void)state;
    static struct lane l;
    open_lane(&l, JOBS_MAX);
    uint64_t alone_ms = steps_until_gone(&l, post(&l, "post", "small", 400, 1));
    close_lane(&l);

    open_lane(&l, JOBS_MAX);
    mailing(&l, "mailing", 20000, 1000);
    for (size_t i = 0; i < 100; i++)
        step(&l);
    uint64_t beside_ms = steps_until_gone(&l, post(&l, "post", "small", 400, 1));
    assert_in_range(beside_ms * 4, alone_ms * 4, 2 * alone_ms * 5); /* its half, and a quarter */
    while (l.f.outcomes[OUTCOME_DELIVERED] < 20400)
        step(&l);
    close_lane(&l);
}

/* The share holds where both want the same sites, too. */
static void a_mailing_leaves_another_flow_its_share_of_the_same_sites(void **state)
{
    (void)state;
    static struct lane l;
    open_lane(&l, JOBS_MAX);
    uint64_t alone_ms = steps_until_gone(&l, post(&l, "post", "big", 400, 1));
    close_lane(&l);

    open_lane(&l, JOBS_MAX);
    mailing(&l, "mailing", 20000, 1000);
    for (size_t i = 0; i < 100; i++)
        step(&l);
    uint64_t beside_ms = steps_until_gone(&l, post(&l, "post", "big", 400, 1));
    assert_in_range(beside_ms * 4, alone_ms * 4, 2 * alone_ms * 5);
    close_lane(&l);
}

/* How long urgent single messages take at most, one every 50 ms, while the lane is full. */
static uint64_t worst_urgent_ms(struct lane *l, const char *flow)
{
    uint64_t worst_ms = 0;
    for (size_t i = 0; i < 20; i++) {
        uint64_t took_ms = steps_until_gone(l, post(l, flow, "urgent", 1, 1));
        worst_ms         = took_ms > worst_ms ? took_ms : worst_ms;
        while (took_ms++ < 50)
            step(l);
    }
    return worst_ms;
}

static void an_urgent_message_takes_the_next_free_job(void **state)
{
    (void)state;
    static struct lane l;
    open_lane(&l, JOBS_MAX);
    uint64_t idle_ms = worst_urgent_ms(&l, "urgent");
    (void)post(&l, "post", "big", 1000, 200);
    for (size_t i = 0; i < 20; i++)
        step(&l);
    assert_in_range(worst_urgent_ms(&l, "urgent"), idle_ms, 2 * idle_ms);
    close_lane(&l);
}

static void a_small_message_overtakes_a_post_of_its_own_flow(void **state)
{
    (void)state;
    static struct lane l;
    open_lane(&l, JOBS_MAX);
    uint64_t idle_ms = worst_urgent_ms(&l, "list");
    (void)post(&l, "list", "big", 1000, 200);
    for (size_t i = 0; i < 20; i++)
        step(&l);
    assert_in_range(worst_urgent_ms(&l, "list"), idle_ms, 2 * idle_ms);
    close_lane(&l);
}

static void a_post_is_slowed_by_small_messages_of_its_flow_by_a_quarter_at_most(void **state)
{
    (void)state;
    static struct lane l;
    open_lane(&l, JOBS_MAX);
    uint64_t alone_ms = steps_until_gone(&l, post(&l, "list", "big", 1000, 20));
    close_lane(&l);

    open_lane(&l, JOBS_MAX);
    uint64_t id = post(&l, "list", "big", 1000, 20), start_ms = l.f.now_ms;
    char domain[64];
    for (size_t i = 0; queue_find(l.f.q, id) != NULL; step(&l)) {
        for (size_t k = 0; k < 10; k++, i++) { /* more than everything could carry */
            (void)snprintf(domain, sizeof domain, "d%zu.small.example", i % 500);
            (void)fixture_post(&l.f, "list", domain, 1);
        }
    }
    assert_in_range((l.f.now_ms - start_ms) * 4, alone_ms * 4, alone_ms * 5 + 40 * JOB_MS);
    while (l.f.done < 1 && l.count > 0)
        step(&l);
    close_lane(&l);
}

static void a_site_in_line_is_called_sooner_when_urgent_mail_comes_to_it(void **state)
{
    (void)state;
    static struct lane l;
    open_lane(&l, 2);
    (void)post(&l, "post", "big", 100, 200);
    step(&l);
    uint64_t id = post(&l, "urgent", "big", 1, 1); /* to the first of its sites */
    assert_in_range(steps_until_gone(&l, id), JOB_MS, 3 * JOB_MS);
    close_lane(&l);
}

static void an_operator_with_many_sites_is_no_place_to_hide(void **state)
{
    (void)state;
    static struct lane l;
    l = (struct lane){0};
    fixture_init(&l.f);
    l.f.rules[1] = (struct site_rule){
        .name     = "provider",
        .match_mx = {"*.big.example",  "*.urgent.example"               },
        .shared   = true,
        .limits   = {.connections = 5, .recipients_per_transaction = 100}
    };
    l.f.policy.rule_count = 2;
    fixture_open(&l.f);
    (void)post(&l, "post", "big", 1000, 200);
    for (size_t i = 0; i < 20; i++)
        step(&l);
    assert_in_range(worst_urgent_ms(&l, "urgent"), JOB_MS, 3 * JOB_MS);
    close_lane(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mailing_to_all_sites_leaves_another_flow_its_share_of_jobs),
        cmocka_unit_test(a_mailing_leaves_another_flow_its_share_of_the_same_sites),
        cmocka_unit_test(an_urgent_message_takes_the_next_free_job),
        cmocka_unit_test(a_small_message_overtakes_a_post_of_its_own_flow),
        cmocka_unit_test(a_post_is_slowed_by_small_messages_of_its_flow_by_a_quarter_at_most),
        cmocka_unit_test(a_site_in_line_is_called_sooner_when_urgent_mail_comes_to_it),
        cmocka_unit_test(an_operator_with_many_sites_is_no_place_to_hide),
    };
    return RUN(tests);
}
