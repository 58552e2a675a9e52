/* SPDX-License-Identifier: MIT */
#include "mta/sys/clock.h"
#include "mta/sys/loop.h"
#include "mta/sys/thread.h"
#include "tests/unit/check.h"
#include <signal.h>
#include <unistd.h>

enum { PIECES = 500, PATIENCE_MS = 20000 };

struct piece {
    struct work work;
    struct world *world;
    unsigned number;
    unsigned nap_ms;
    bool was_in_order, is_done;
};

struct world {
    struct loop *loop;
    struct worker *worker;
    unsigned ran;     /* the worker thread's own */
    unsigned came;    /* home's own */
    bool is_in_order; /* home's own */
    uint64_t deadline_ms;
    struct piece pieces[PIECES];
};

static struct piece *piece_of(struct work *work)
{
    return CONTAINER_OF(work, struct piece, work);
}

static void run_piece(struct work *work)
{
    struct piece *piece = piece_of(work);
    if (piece->nap_ms > 0)
        (void)usleep(piece->nap_ms * 1000);
    piece->was_in_order = piece->number == piece->world->ran++;
    piece->is_done      = true;
}

static uint64_t turn(void *owner, uint64_t now_ms)
{
    struct world *w = owner;
    struct work *work;
    while ((work = worker_take(w->worker)) != NULL) {
        struct piece *piece = piece_of(work);
        w->is_in_order =
            w->is_in_order && piece->is_done && piece->was_in_order && piece->number == w->came;
        w->came++;
    }
    if (w->came == PIECES || now_ms >= w->deadline_ms)
        loop_stop(w->loop);
    return w->deadline_ms;
}

static void give(struct world *w, unsigned number, unsigned nap_ms)
{
    struct piece *piece = &w->pieces[number];
    *piece              = (struct piece){.world = w, .number = number, .nap_ms = nap_ms};
    piece->work.run     = run_piece;
    worker_give(w->worker, &piece->work);
}

static void open_world(struct world *w)
{
    *w        = (struct world){.is_in_order = true, .deadline_ms = clock_now_ms() + PATIENCE_MS};
    w->loop   = loop_open(turn, w);
    w->worker = worker_open(w->loop, "a name longer than the system takes");
}

static void work_is_done_in_the_order_given(void **state)
{
    (void)state;
    static struct world w;
    open_world(&w);
    assert_null(worker_take(w.worker));
    for (unsigned i = 0; i < PIECES; i++)
        give(&w, i, i % 100 == 0);
    loop_run(w.loop);
    assert_int_equal(w.came, PIECES);
    assert_true(w.is_in_order);
    worker_close(w.worker);
    loop_close(w.loop);
}

static void closing_waits_for_what_was_given(void **state)
{
    (void)state;
    static struct world w;
    open_world(&w);
    for (unsigned i = 0; i < 5; i++)
        give(&w, i, 10);
    worker_close(w.worker);
    for (unsigned i = 0; i < 5; i++) {
        assert_true(w.pieces[i].is_done);
        assert_false(list_is_linked(&w.pieces[i].work.link));
    }
    loop_close(w.loop);
}

struct question {
    int answer;
    bool hears_signals;
};

static void answer(void *argument)
{
    struct question *question = argument;
    sigset_t blocked;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    question->hears_signals = !sigismember(&blocked, SIGTERM);
    question->answer        = 42;
}

static void a_thread_runs_without_signals_and_is_joined(void **state)
{
    (void)state;
    struct question question = {.hears_signals = true};
    thread_join(thread_start("answer", answer, &question));
    assert_int_equal(question.answer, 42);
    assert_false(question.hears_signals);
    sigset_t blocked;
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &blocked), 0);
    assert_false(sigismember(&blocked, SIGTERM));
}

static void there_is_a_core(void **state)
{
    (void)state;
    assert_true(thread_cores() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_is_done_in_the_order_given),
        cmocka_unit_test(closing_waits_for_what_was_given),
        cmocka_unit_test(a_thread_runs_without_signals_and_is_joined),
        cmocka_unit_test(there_is_a_core),
    };
    return RUN(tests);
}
