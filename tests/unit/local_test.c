/* SPDX-License-Identifier: MIT */
/* Mail for ourselves goes through the queue, and to whoever takes it. */
#include "mta/local.h"
#include "mta/receive/intake.h"
#include "tests/unit/queue_fixture.h"

static struct fixture f;
static struct local local;

/* --- a taker --- */

struct taker {
    struct list held;
    bool is_done; /* it gives back what it holds */
    size_t given, turns, done;
};
static struct taker taker;

static void give(void *owner, struct job *job)
{
    struct taker *t = owner;
    t->given++;
    list_push(&t->held, &job->link);
}

static struct job *take(void *owner)
{
    struct taker *t   = owner;
    struct list *node = t->is_done ? list_take(&t->held) : NULL;
    return node == NULL ? NULL : CONTAINER_OF(node, struct job, link);
}

static uint64_t turn(void *owner, uint64_t now_ms, uint64_t wall_ms)
{
    struct taker *t = owner;
    (void)wall_ms;
    t->turns++;
    return now_ms + 1000;
}

static void done(void *owner, const struct intake_done *what)
{
    struct taker *t = owner;
    t->done += what->status == OK;
}

static void stop(void *owner)
{
    struct taker *t = owner;
    t->is_done      = true;
}

static const struct local_taker interface = {
    .owner = &taker, .give = give, .take = take, .turn = turn, .done = done, .stop = stop};

/* --- the world --- */

static int set_up(void **state)
{
    (void)state;
    taker = (struct taker){0};
    fixture_start(&f);
    local_init(&local, &interface);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    struct job *job;
    local_stop(&local);
    while ((job = local_take(&local)) != NULL)
        fixture_home(&f, job, job->site_verdict);
    fixture_close(&f);
    return 0;
}

static void add_local(struct message *m, const char *address, const char *data)
{
    struct envelope_rcpt rcpt = {.address = address, .orcpt = "", .is_local = true, .data = data};
    (void)message_add_rcpt(m, &rcpt);
}

/* As the router answers. */
static void route(void)
{
    char domain[256];
    struct queue_route to = {
        .is_found   = true,
        .target     = {.key = "local", .name = "local", .is_local = true},
        .expires_ms = f.now_ms + HOUR_MS
    };
    while (queue_next_unrouted(f.q, domain))
        if (strcmp(domain, QUEUE_LOCAL_DOMAIN) == 0)
            queue_route(f.q, span_of(domain), &to, f.now_ms);
    (void)fixture_turn(&f);
}

static struct message *post(void)
{
    struct message *m = fixture_message(&f, "ann@x.example", "dogs");
    add_local(m, "dogs@lists.example", "user=ann");
    add_local(m, "cats@lists.example", NULL);
    fixture_rcpt(m, "u@far.example", 0);
    fixture_accept(&f, m);
    route();
    return m;
}

static struct job *give_all(void)
{
    struct job *job, *last = NULL;
    while ((job = fixture_job(&f)) != NULL) {
        assert_true(job->target->is_local);
        local_give(&local, job);
        last = job;
    }
    return last;
}

static void take_home(void)
{
    struct job *job;
    while ((job = local_take(&local)) != NULL)
        fixture_home(&f, job, job->site_verdict);
}

/* --- tests --- */

static void local_recipients_go_to_the_taker_in_one_job(void **state)
{
    (void)state;
    struct message *m = post();
    struct job *job   = give_all();
    assert_int_equal(taker.given, 1);
    assert_int_equal(job->rcpt_count, 2);
    assert_ptr_equal(job->message, m);
    assert_string_equal(job->rcpts[0].envelope.data, "user=ann");
    assert_string_equal(job->rcpts[1].envelope.address, "cats@lists.example");
    assert_string_equal(job->rcpts[1].envelope.data, "");
    assert_true(job->rcpts[1].envelope.is_local);
    assert_null(local_take(&local));
    assert_string_equal(fixture_row(&f, m, 0).site, "local");
    assert_string_equal(fixture_row(&f, m, 2).status, "routing");
}

static void what_the_taker_says_is_what_becomes_of_them(void **state)
{
    (void)state;
    static const unsigned char good[3] = {2, 0, 0}, bad[3] = {5, 7, 1};
    struct message *m = post();
    struct job *job   = give_all();
    job_settle(job, 0, JOB_DELIVERED, 250, good, span_of("taken"), "");
    job_settle(job, 1, JOB_FAILED, 550, bad, span_of("you may not post there"), "");
    taker.is_done = true;
    take_home();
    assert_int_equal(f.outcomes[OUTCOME_DELIVERED], 1);
    assert_int_equal(f.outcomes[OUTCOME_FAILED], 1);
    assert_int_equal(message_rcpt(m, 0)->state, RCPT_ENDED);
    assert_int_equal(message_rcpt(m, 1)->state, RCPT_OWES_FAILURE);
    assert_int_equal(m->live, 2);
}

static void one_left_undecided_comes_again(void **state)
{
    (void)state;
    static const unsigned char good[3] = {2, 0, 0};
    (void)post();
    struct job *job = give_all();
    job_settle(job, 0, JOB_DELIVERED, 250, good, span_of("taken"), "");
    taker.is_done = true;
    take_home();
    taker.is_done = false;
    job           = give_all();
    assert_int_equal(taker.given, 2);
    assert_int_equal(job->rcpt_count, 1);
    assert_string_equal(job->rcpts[0].envelope.address, "cats@lists.example");
}

static void a_success_report_is_ours_to_make(void **state)
{
    (void)state;
    static const unsigned char good[3] = {2, 0, 0};
    struct message *m                  = fixture_message(&f, "ann@x.example", "dogs");
    struct envelope_rcpt rcpt          = {
                 .address = "dogs@lists.example", .orcpt = "", .notify = NOTIFY_SUCCESS, .is_local = true};
    (void)message_add_rcpt(m, &rcpt);
    fixture_accept(&f, m);
    route();
    job_settle(give_all(), 0, JOB_DELIVERED, 250, good, span_of("taken"), "");
    taker.is_done = true;
    take_home();
    assert_int_equal(message_rcpt(m, 0)->state, RCPT_OWES_SUCCESS);
}

static void without_a_taker_they_wait_for_one(void **state)
{
    (void)state;
    local_init(&local, NULL);
    struct message *m = post();
    (void)give_all();
    assert_int_equal(local_turn(&local, f.now_ms, 0), UINT64_MAX);
    take_home();
    assert_int_equal(f.outcomes[OUTCOME_DEFERRED], 2);
    assert_string_equal(message_rcpt(m, 0)->last->attempt.text, "nobody here takes this mail now");
    assert_string_equal(fixture_row(&f, m, 0).status, "deferred");

    local_init(&local, &interface);
    (void)fixture_wait(&f, 10 * (uint64_t)MINUTE_MS);
    (void)give_all();
    assert_int_equal(taker.given, 1);
    assert_int_equal(local_turn(&local, f.now_ms, 0), f.now_ms + 1000);
    assert_int_equal(taker.turns, 1);
}

static void the_taker_hears_what_became_of_its_own_mail(void **state)
{
    (void)state;
    struct intake_done what = {.owner = &taker, .status = OK};
    local_done(&local, &what);
    assert_int_equal(taker.done, 1);
}

static void all_come_back_at_the_end(void **state)
{
    (void)state;
    (void)post();
    (void)give_all();
    local_stop(&local);
    take_home();
    assert_int_equal(f.outcomes[OUTCOME_DEFERRED] + f.outcomes[OUTCOME_FAILED], 0);
}

static void what_operators_say_of_sites_is_not_meant_for_us(void **state)
{
    (void)state;
    f.rules[0].limits.connections   = 1;
    f.rules[0].limits.rate_per_hour = 1;
    queue_set_policy(f.q, &f.policy, f.now_ms);
    for (unsigned i = 0; i < 2; i++)
        (void)post();
    (void)give_all();
    assert_int_equal(taker.given, 2);
    assert_int_equal(fixture_site(&f, "local").limits.rate_per_hour, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(local_recipients_go_to_the_taker_in_one_job),
        TEST(what_the_taker_says_is_what_becomes_of_them),
        TEST(one_left_undecided_comes_again),
        TEST(a_success_report_is_ours_to_make),
        TEST(without_a_taker_they_wait_for_one),
        TEST(the_taker_hears_what_became_of_its_own_mail),
        TEST(all_come_back_at_the_end),
        TEST(what_operators_say_of_sites_is_not_meant_for_us),
#undef TEST
    };
    return RUN(tests);
}
