/* SPDX-License-Identifier: MIT */
#include "mta/sys/clock.h"
#include "mta/sys/loop.h"
#include "mta/sys/mailbox.h"
#include "mta/sys/thread.h"
#include "tests/unit/check.h"

enum { GIVERS = 3, PARCELS = 2000, PATIENCE_MS = 20000 };

struct parcel {
    struct list link;
    unsigned giver, number;
};

struct world {
    struct loop *loop;
    struct mailbox *mailbox;
    unsigned next[GIVERS]; /* the number each giver's next parcel must have */
    unsigned came;
    bool is_in_order;
    uint64_t deadline_ms;
    struct parcel parcels[GIVERS][PARCELS];
};

struct giver {
    struct world *world;
    unsigned number;
};

static void give_all(void *argument)
{
    struct giver *giver = argument;
    struct world *w     = giver->world;
    struct list batch;
    list_init(&batch);
    for (unsigned i = 0; i < PARCELS; i++) {
        struct parcel *parcel = &w->parcels[giver->number][i];
        *parcel               = (struct parcel){.giver = giver->number, .number = i};
        list_push(&batch, &parcel->link);
        if (i % 7 == 0)
            mailbox_post(w->mailbox, &batch);
    }
    mailbox_post(w->mailbox, &batch);
}

static void count(struct world *w, struct list *batch)
{
    struct list *link;
    while ((link = list_take(batch)) != NULL) {
        struct parcel *parcel = CONTAINER_OF(link, struct parcel, link);
        w->is_in_order        = w->is_in_order && parcel->number == w->next[parcel->giver]++;
        w->came++;
    }
}

static uint64_t turn(void *owner, uint64_t now_ms)
{
    struct world *w = owner;
    struct list batch;
    list_init(&batch);
    mailbox_drain(w->mailbox, &batch);
    count(w, &batch);
    if (w->came == GIVERS * PARCELS || now_ms >= w->deadline_ms)
        loop_stop(w->loop);
    return w->deadline_ms;
}

static void start_givers(struct world *w, struct giver *givers, struct thread **threads)
{
    for (unsigned i = 0; i < GIVERS; i++) {
        givers[i]  = (struct giver){w, i};
        threads[i] = thread_start("giver", give_all, &givers[i]);
    }
}

static void parcels_of_many_threads_come_home_in_order(void **state)
{
    (void)state;
    static struct world w;
    struct giver givers[GIVERS];
    struct thread *threads[GIVERS];
    w         = (struct world){.is_in_order = true, .deadline_ms = clock_now_ms() + PATIENCE_MS};
    w.loop    = loop_open(turn, &w);
    w.mailbox = mailbox_open(w.loop);
    start_givers(&w, givers, threads);
    loop_run(w.loop); /* only posts wake it */
    for (unsigned i = 0; i < GIVERS; i++)
        thread_join(threads[i]);
    assert_int_equal(w.came, GIVERS * PARCELS);
    assert_true(w.is_in_order);
    mailbox_close(w.mailbox);
    loop_close(w.loop);
}

static void a_thread_without_a_loop_waits_for_parcels(void **state)
{
    (void)state;
    static struct world w;
    struct giver givers[GIVERS];
    struct thread *threads[GIVERS];
    struct list batch;
    list_init(&batch);
    w         = (struct world){.is_in_order = true};
    w.mailbox = mailbox_open(NULL);
    start_givers(&w, givers, threads);
    while (w.came < GIVERS * PARCELS) {
        assert_true(mailbox_wait(w.mailbox, &batch));
        count(&w, &batch);
    }
    for (unsigned i = 0; i < GIVERS; i++)
        thread_join(threads[i]);
    assert_true(w.is_in_order);
    mailbox_close(w.mailbox);
}

static void a_shut_mailbox_is_emptied_before_the_wait_ends(void **state)
{
    (void)state;
    struct parcel parcel    = {0};
    struct mailbox *mailbox = mailbox_open(NULL);
    struct list batch;
    list_init(&batch);
    list_push(&batch, &parcel.link);
    mailbox_post(mailbox, &batch);
    assert_true(list_is_empty(&batch));
    mailbox_shut(mailbox);
    assert_true(mailbox_wait(mailbox, &batch));
    assert_ptr_equal(list_take(&batch), &parcel.link);
    assert_false(mailbox_wait(mailbox, &batch));
    assert_true(list_is_empty(&batch));
    mailbox_close(mailbox);
}

static void draining_keeps_what_the_taker_had(void **state)
{
    (void)state;
    struct parcel parcels[3] = {0};
    struct mailbox *mailbox  = mailbox_open(NULL);
    struct list mine, batch;
    list_init(&mine);
    list_init(&batch);
    list_push(&mine, &parcels[0].link);
    list_push(&batch, &parcels[1].link);
    list_push(&batch, &parcels[2].link);
    mailbox_post(mailbox, &batch);
    mailbox_drain(mailbox, &mine);
    mailbox_drain(mailbox, &mine); /* nothing more */
    for (int i = 0; i < 3; i++)
        assert_ptr_equal(list_take(&mine), &parcels[i].link);
    assert_null(list_take(&mine));
    mailbox_close(mailbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parcels_of_many_threads_come_home_in_order),
        cmocka_unit_test(a_thread_without_a_loop_waits_for_parcels),
        cmocka_unit_test(a_shut_mailbox_is_emptied_before_the_wait_ends),
        cmocka_unit_test(draining_keeps_what_the_taker_had),
    };
    return RUN(tests);
}
