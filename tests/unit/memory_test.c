/* SPDX-License-Identifier: MIT */
/* What 100,000 queued recipients cost, counted by the allocator as well as by the queue itself. */
#include "mta/base/mem.h"
#include "mta/queue/selector.h"
#include "tests/unit/queue_fixture.h"
#include <malloc.h>

enum { MESSAGES = 2, RCPTS = 50000, DOMAINS = 1000 };

/* The sanitizers' allocator does not tell: 0. */
static size_t allocated(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* Returns the bytes of their addresses. */
static size_t put_post(struct fixture *f)
{
    struct message *m = fixture_message(f, "owner@lists.example", "list");
    size_t texts      = 0;
    char address[64];
    for (unsigned i = 0; i < RCPTS; i++) {
        texts +=
            (size_t)snprintf(address, sizeof address, "user%u@d%u.example", i, i % DOMAINS) + 1;
        fixture_rcpt(m, address, 0);
    }
    fixture_accept(f, m);
    return texts;
}

static void a_queued_recipient_costs_at_most_64_bytes_beside_its_address(void **state)
{
    (void)state;
    static struct fixture f;
    size_t texts = 0;
    fixture_start(&f);
    size_t before = allocated(), counted = queue_memory_bytes(f.q);
    for (int i = 0; i < MESSAGES; i++)
        texts += put_post(&f);
    size_t took = allocated() - before;
    counted     = queue_memory_bytes(f.q) - counted;
    assert_in_range(counted - texts, 1, MESSAGES * RCPTS * RECIPIENT_HOT_BYTES_MAX);
    if (took > 0)
        assert_in_range(took - texts, 1, MESSAGES * RCPTS * RECIPIENT_HOT_BYTES_MAX);
    fixture_close(&f);
}

/* --- mails for one recipient each --- */

enum { SINGLES = 200000 };

/* What the allocator gave, and what the queue says, since a moment; without addresses. */
struct costs {
    size_t took, counted, texts;
};

static struct costs costs_now(const struct fixture *f)
{
    return (struct costs){.took = allocated(), .counted = queue_memory_bytes(f->q)};
}

static void put_singles(struct fixture *f, struct costs *costs)
{
    char address[64];
    for (unsigned i = 0; i < SINGLES; i++) {
        struct message *m = fixture_message(f, "owner@lists.example", "list");
        costs->texts +=
            (size_t)snprintf(address, sizeof address, "user%u@d%u.example", i, i % DOMAINS) + 1;
        fixture_rcpt(m, address, 0);
        fixture_accept(f, m);
    }
}

static void assert_cost(const struct fixture *f, const struct costs *since, size_t each_max)
{
    struct costs now = costs_now(f);
    if (now.took > 0)
        assert_in_range((now.took - since->took - since->texts) / SINGLES, 1, each_max);
    assert_in_range((now.counted - since->counted - since->texts) / SINGLES, 1, each_max);
}

/* Before routing, ready at their sites, and deferred with one reply for all of a site. */
static void a_queued_mail_for_one_costs_little_beside_its_address(void **state)
{
    (void)state;
    static struct fixture f;
    struct job *job;
    fixture_start(&f);
    struct costs since = costs_now(&f);
    put_singles(&f, &since);
    assert_cost(&f, &since, 300);
    (void)fixture_route(&f);
    assert_cost(&f, &since, 370);
    while ((job = fixture_job(&f)) != NULL)
        fixture_end(&f, job, JOB_DEFERRED, JOB_SITE_ANSWERED);
    assert_cost(&f, &since, 370);
    fixture_close(&f);
}

static void memory_comes_back_with_the_last_recipient(void **state)
{
    (void)state;
    static struct fixture f;
    fixture_start(&f);
    size_t before = queue_memory_bytes(f.q);
    (void)put_post(&f);
    struct selector everybody;
    selector_init(&everybody);
    assert_true(selector_add(&everybody, span_of("all"), NULL));
    assert_int_equal(
        queue_command(f.q, QUEUE_CANCEL, &everybody, false, f.now_ms, fixture_wall(&f)), RCPTS);
    fixture_facts(&f);
    assert_in_range(queue_memory_bytes(f.q) - before, 0, 1 << 20); /* domains are remembered */
    mem_give_back();
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_queued_recipient_costs_at_most_64_bytes_beside_its_address),
        cmocka_unit_test(a_queued_mail_for_one_costs_little_beside_its_address),
        cmocka_unit_test(memory_comes_back_with_the_last_recipient),
    };
    return RUN(tests);
}
