/* SPDX-License-Identifier: MIT */
#include "mta/sys/clock.h"
#include "mta/sys/loop.h"
#include "mta/sys/thread.h"
#include "tests/unit/check.h"
#include <signal.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 5000, NAP_MS = 30 };

struct world {
    struct loop *loop;
    unsigned turns, turns_wanted;
    uint64_t started_ms, due_ms; /* due_ms: what the next turn answers */
    uint64_t last_ms;
    bool has_timed_out;
    int signals[8];
    unsigned signal_count;
};

static uint64_t turn(void *owner, uint64_t now_ms)
{
    struct world *w = owner;
    int number;
    w->turns++;
    w->last_ms = now_ms;
    while ((number = loop_take_signal(w->loop)) != 0)
        w->signals[w->signal_count++ % 8] = number;
    w->has_timed_out = now_ms >= w->started_ms + PATIENCE_MS;
    if (w->turns >= w->turns_wanted || w->has_timed_out)
        loop_stop(w->loop);
    return w->due_ms != 0 ? w->due_ms : w->started_ms + PATIENCE_MS;
}

static void open_world(struct world *w, unsigned turns_wanted)
{
    *w               = (struct world){.turns_wanted = turns_wanted};
    w->loop          = loop_open(turn, w);
    w->started_ms    = clock_now_ms();
    w->has_timed_out = false;
}

static void run(struct world *w)
{
    loop_run(w->loop);
    assert_false(w->has_timed_out);
}

static void the_first_turn_runs_at_once(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, 1);
    run(&w);
    assert_int_equal(w.turns, 1);
    assert_true(w.last_ms - w.started_ms < PATIENCE_MS / 10);
    loop_close(w.loop);
}

static void a_loop_can_be_run_again(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, 1);
    run(&w);
    run(&w);
    assert_int_equal(w.turns, 2);
    loop_close(w.loop);
}

static void the_turn_comes_back_when_it_asked_to(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, 2);
    w.due_ms = w.started_ms + NAP_MS;
    run(&w);
    assert_int_equal(w.turns, 2); /* and not once more often: nothing spins */
    assert_true(w.last_ms >= w.due_ms);
    assert_true(loop_now_ms(w.loop) == w.last_ms);
    loop_close(w.loop);
}

static void a_time_in_the_past_means_at_once(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, 100);
    w.due_ms = 1;
    run(&w);
    assert_int_equal(w.turns, 100);
    assert_true(w.last_ms - w.started_ms < PATIENCE_MS / 2);
    loop_close(w.loop);
}

static double cpu_seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

static void waiting_costs_no_time(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, 2);
    w.due_ms      = w.started_ms + 200;
    double before = cpu_seconds();
    run(&w);
    assert_true(cpu_seconds() - before < 0.1);
    loop_close(w.loop);
}

static void wake_after_a_nap(void *loop)
{
    (void)usleep(NAP_MS * 1000);
    for (int i = 0; i < 1000; i++)
        loop_wake(loop);
}

static void another_thread_wakes_the_loop(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, 2);
    struct thread *thread = thread_start("waker", wake_after_a_nap, w.loop);
    run(&w);
    assert_int_equal(w.turns, 2);
    thread_join(thread);
    loop_close(w.loop);
}

static void a_wake_before_the_run_is_not_lost(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, 2);
    loop_wake(w.loop);
    run(&w);
    assert_int_equal(w.turns, 2);
    loop_close(w.loop);
}

static void signals_are_noted_once_each(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, 1);
    loop_catch_signals(w.loop);
    run(&w);
    (void)raise(SIGHUP);
    (void)raise(SIGHUP);
    (void)raise(SIGTERM);
    (void)raise(SIGPIPE); /* ignored */
    while (w.signal_count < 2 && !w.has_timed_out) {
        w.turns_wanted = w.turns + 2; /* the first comes before any wait */
        loop_run(w.loop);
    }
    assert_int_equal(w.signal_count, 2);
    assert_int_equal(w.signals[0] + w.signals[1], SIGTERM + SIGHUP);
    assert_int_equal(loop_take_signal(w.loop), 0);
    loop_close(w.loop);
}

static void the_wall_clock_is_of_this_century(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, 1);
    run(&w);
    uint64_t wall_ms = loop_wall_ms(w.loop);
    assert_true(wall_ms > 1600000000000 && wall_ms <= clock_wall_ms() + 1000);
    loop_close(w.loop);
}

static void random_bytes_differ(void **state)
{
    (void)state;
    unsigned char a[32] = {0}, b[32] = {0};
    clock_random(a, sizeof a);
    clock_random(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_turn_runs_at_once),
        cmocka_unit_test(a_loop_can_be_run_again),
        cmocka_unit_test(the_turn_comes_back_when_it_asked_to),
        cmocka_unit_test(a_time_in_the_past_means_at_once),
        cmocka_unit_test(waiting_costs_no_time),
        cmocka_unit_test(another_thread_wakes_the_loop),
        cmocka_unit_test(a_wake_before_the_run_is_not_lost),
        cmocka_unit_test(signals_are_noted_once_each),
        cmocka_unit_test(the_wall_clock_is_of_this_century),
        cmocka_unit_test(random_bytes_differ),
    };
    return RUN(tests);
}
