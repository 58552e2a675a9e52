/* SPDX-License-Identifier: MIT */
#include "mta/base/mem.h"
#include "mta/queue/site.h"
#include "tests/unit/check.h"

enum { MINUTE_MS = 60000 };

static const struct site_rule rule = {
    .name = "default", .limits = {.connections = 20, .recipients_per_transaction = 100}
};
static const struct retry_policy retry = {
    .intervals_ms = {5 * MINUTE_MS, 15 * MINUTE_MS},
      .interval_count = 2
};

static const struct flow flow = {.id = 1};

struct stage {
    struct site *site;
    struct site_operator *run_by;
    struct rng rng;
    struct batch mail; /* so that something is ready */
    struct job *job;
    uint64_t now_ms;
};

static void start(struct stage *t)
{
    struct site_host hosts[] = {
        {.name = "mx.example", .port = 25}
    };
    struct site_target target = {
        .key = "mx.example", .name = "mx.example", .hosts = hosts, .host_count = 1};
    *t              = (struct stage){.now_ms = 10 * MINUTE_MS};
    t->run_by       = operator_new(&rule, 1, t->now_ms);
    t->site         = site_new(&target, span_of("default/mx.example"), span_of("a.example"), 1);
    t->site->run_by = t->run_by;
    t->job          = job_new(0);
    rng_seed(&t->rng, 1);
    flow_ring_add(&t->site->flows, &flow, &t->mail, false, 100);
}

static void finish(struct stage *t)
{
    flow_ring_remove(&t->site->flows, &t->mail);
    job_free(t->job);
    site_free(t->site);
    operator_free(t->run_by);
}

static struct site_news home(struct stage *t, enum job_site verdict, bool is_probe)
{
    t->job->site_verdict  = verdict;
    t->job->is_probe      = is_probe;
    struct site_news news = site_hear(t->site, t->job, &retry, &t->rng, t->now_ms);
    site_end_job(t->site);
    return news;
}

/* As many as it allows. */
static unsigned fill(struct stage *t)
{
    unsigned count = 0;
    for (; site_gate(t->site) == SITE_GATE_OPEN; count++)
        site_start_job(t->site, t->site->state == SITE_PROBING);
    return count;
}

static void a_stranger_gets_two_connections(void **state)
{
    (void)state;
    struct stage t;
    start(&t);
    assert_int_equal(site_window(t.site), 2);
    assert_int_equal(fill(&t), 2);
    assert_int_equal(site_gate(t.site), SITE_GATE_FULL);
    while (t.site->jobs > 0)
        (void)home(&t, JOB_SITE_UNKNOWN, false);
    finish(&t);
}

static void the_window_grows_to_the_limit_and_not_beyond(void **state)
{
    (void)state;
    struct stage t;
    start(&t);
    unsigned rounds = 0;
    for (; site_window(t.site) < 20 && rounds < 100; rounds++) {
        (void)fill(&t);
        while (t.site->jobs > 0)
            (void)home(&t, JOB_SITE_ANSWERED, false);
    }
    assert_in_range(rounds, 5, 14);
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(fill(&t), 60); /* two for each connection are waiting */
        while (t.site->jobs > 0)
            (void)home(&t, JOB_SITE_ANSWERED, false);
    }
    finish(&t);
}

static void a_window_that_is_not_used_does_not_grow(void **state)
{
    (void)state;
    struct stage t;
    start(&t);
    for (size_t i = 0; i < 100; i++) {
        site_start_job(t.site, false);
        (void)home(&t, JOB_SITE_ANSWERED, false);
    }
    assert_int_equal(site_window(t.site), 2);
    finish(&t);
}

static void one_refused_cohort_halves_the_window_as_often_as_it_was_too_wide(void **state)
{
    (void)state;
    struct stage t;
    start(&t);
    t.site->window = 20 * SITE_WINDOW_QUARTERS;
    assert_int_equal(fill(&t), 20);
    t.site->has_answered = true;
    t.site->answered_ms  = t.now_ms;
    for (unsigned refused = 0; refused < 15; refused++) { /* it takes five at once */
        struct site_news news = home(&t, JOB_SITE_BUSY, false);
        assert_int_equal(news.advice, SITE_ADVISES_AGAIN);
    }
    assert_int_equal(site_window(t.site), 5);
    assert_int_equal(t.site->state, SITE_READY);
    while (t.site->jobs > 0)
        (void)home(&t, JOB_SITE_ANSWERED, false);
    finish(&t);
}

static void a_busy_site_that_nobody_heard_lately_backs_off_at_once(void **state)
{
    (void)state;
    struct stage t;
    start(&t);
    site_start_job(t.site, false);
    struct site_news news = home(&t, JOB_SITE_BUSY, false);
    assert_true(news.has_backed_off);
    assert_int_equal(news.advice, SITE_ADVISES_WAITING);
    assert_int_equal(site_gate(t.site), SITE_GATE_BACKOFF);
    finish(&t);
}

static void backoffs_grow_by_failed_probes_only(void **state)
{
    (void)state;
    struct stage t;
    start(&t);
    assert_int_equal(fill(&t), 2);
    assert_true(home(&t, JOB_SITE_UNREACHABLE, false).has_backed_off);
    uint64_t probe_ms = t.site->probe_ms;
    assert_int_equal(probe_ms, t.now_ms + 5 * MINUTE_MS);
    t.now_ms += MINUTE_MS;
    assert_false(home(&t, JOB_SITE_UNREACHABLE, false).has_backed_off);
    assert_int_equal(t.site->probe_ms, probe_ms);

    t.now_ms = probe_ms;
    site_wake(t.site, t.now_ms);
    assert_int_equal(fill(&t), 1);
    assert_true(home(&t, JOB_SITE_UNREACHABLE, true).has_backed_off);
    assert_int_equal(t.site->probe_ms, t.now_ms + 15 * MINUTE_MS);
    site_wake(t.site, t.now_ms);
    assert_int_equal(t.site->state, SITE_BACKOFF);
    finish(&t);
}

static void a_probe_that_was_not_tried_is_given_again(void **state)
{
    (void)state;
    struct stage t;
    start(&t);
    site_start_job(t.site, false);
    (void)home(&t, JOB_SITE_UNREACHABLE, false);
    site_probe_now(t.site, t.now_ms);
    site_wake(t.site, t.now_ms);
    assert_int_equal(fill(&t), 1);
    struct site_news news = home(&t, JOB_SITE_UNKNOWN, true);
    assert_false(news.has_backed_off || news.has_recovered);
    assert_int_equal(t.site->state, SITE_PROBING);
    assert_int_equal(fill(&t), 1);
    assert_true(home(&t, JOB_SITE_ANSWERED, true).has_recovered);
    assert_int_equal(t.site->failures, 0);
    finish(&t);
}

static void an_older_job_that_gets_through_ends_the_backoff(void **state)
{
    (void)state;
    struct stage t;
    start(&t);
    assert_int_equal(fill(&t), 2);
    (void)home(&t, JOB_SITE_UNREACHABLE, false);
    assert_true(home(&t, JOB_SITE_ANSWERED, false).has_recovered);
    assert_int_equal(t.site->state, SITE_READY);
    finish(&t);
}

/* --- rules and targets --- */

static const char *rule_for(const char *mx, const char *domain)
{
    static const struct site_rule rules[] = {
        {.name = "default", .match_mx = {"*"}                               },
        {.name = "google",  .match_mx = {"*.google.com", "*.googlemail.com"}},
        {.name = "friend",  .match_domain = {"friend.example"}              },
        {.name = "wide",    .match_mx = {"*.com"}                           },
    };
    struct queue_policy policy = {.rules = rules, .rule_count = 4};
    struct site_host hosts[]   = {{.name = "first.example"}, {.name = mx}};
    struct site_target target  = {.hosts = hosts, .host_count = 2};
    return site_rule_of(&policy, &target, span_of(domain))->name;
}

static void the_first_rule_that_matches_any_host_or_the_domain_wins(void **state)
{
    (void)state;
    assert_string_equal(rule_for("aspmx.l.google.com", "a.example"), "google");
    assert_string_equal(rule_for("ASPMX.L.GOOGLE.COM", "friend.example"), "google");
    assert_string_equal(rule_for("mx.example", "friend.example"), "friend");
    assert_string_equal(rule_for("mx.other.com", "a.example"), "wide");
    assert_string_equal(rule_for("mx.example", "a.example"), "default");
}

static void targets_differ_by_how_they_are_reached(void **state)
{
    (void)state;
    struct site_host hosts[] = {
        {.name = "a", .port = 25},
        {.name = "b", .port = 25}
    };
    struct site_host swapped[] = {
        {.name = "b", .port = 25},
        {.name = "a", .port = 25}
    };
    struct site_host other[] = {
        {.name = "a", .port = 26},
        {.name = "b", .port = 25}
    };
    struct site_target one = {.hosts = hosts, .host_count = 2}, two = one;
    assert_true(site_target_equals(&one, &two));
    two.hosts = swapped;
    assert_true(site_target_equals(&one, &two));
    two.hosts = other;
    assert_false(site_target_equals(&one, &two));
    two      = one;
    two.user = "me";
    assert_false(site_target_equals(&one, &two));
    two     = one;
    two.tls = POLICY_TLS_REQUIRED;
    assert_false(site_target_equals(&one, &two));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stranger_gets_two_connections),
        cmocka_unit_test(the_window_grows_to_the_limit_and_not_beyond),
        cmocka_unit_test(a_window_that_is_not_used_does_not_grow),
        cmocka_unit_test(one_refused_cohort_halves_the_window_as_often_as_it_was_too_wide),
        cmocka_unit_test(a_busy_site_that_nobody_heard_lately_backs_off_at_once),
        cmocka_unit_test(backoffs_grow_by_failed_probes_only),
        cmocka_unit_test(a_probe_that_was_not_tried_is_given_again),
        cmocka_unit_test(an_older_job_that_gets_through_ends_the_backoff),
        cmocka_unit_test(the_first_rule_that_matches_any_host_or_the_domain_wins),
        cmocka_unit_test(targets_differ_by_how_they_are_reached),
    };
    return RUN(tests);
}
