/* SPDX-License-Identifier: MIT */
/*
 * One libuv iteration, then one turn if something was noted; never a turn inside a callback, so a
 * turn may close whatever it likes.  How the loop waits between two turns is poll's matter.
 */
#include "mta/sys/loop_uv.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/sys/clock.h"
#include "mta/sys/poll.h"
#include <signal.h>

static const int caught[LOOP_SIGNALS] = {SIGTERM, SIGINT, SIGHUP};

static void on_signal(uv_signal_t *handle, int number)
{
    struct loop *loop = handle->data;
    for (unsigned i = 0; i < LOOP_SIGNALS; i++)
        if (caught[i] == number)
            loop->signals_noted |= 1u << i;
    loop_note(loop);
}

struct loop *loop_open(loop_turn_fn *turn, void *owner)
{
    struct loop *loop = mem_new(sizeof *loop);
    loop->turn        = turn;
    loop->owner       = owner;
    loop->due_ms      = LOOP_NEVER;
    loop->now_ms      = clock_now_ms();
    loop->wall_ms     = clock_wall_ms();
    list_init(&loop->ready);
    list_init(&loop->changed);
    list_init(&loop->accepting);
    must(uv_loop_init(&loop->uv) == 0);
    poll_open(loop);
    return loop;
}

/* A handle that somebody left open would keep us waiting for ever. */
static void must_be_closing(uv_handle_t *handle, void *nothing)
{
    (void)nothing;
    must(uv_is_closing(handle));
}

void loop_close(struct loop *loop)
{
    poll_close(loop);
    if (loop->catches_signals)
        for (int i = 0; i < LOOP_SIGNALS; i++)
            uv_close((uv_handle_t *)&loop->signals[i], NULL);
    uv_walk(&loop->uv, must_be_closing, NULL);
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    must(uv_loop_close(&loop->uv) == 0);
    mem_free(loop);
}

static void run_turn(struct loop *loop)
{
    loop->is_noted = false;
    loop->now_ms   = clock_now_ms();
    loop->wall_ms  = clock_wall_ms();
    loop->due_ms   = loop->turn(loop->owner, loop->now_ms);
}

void loop_run(struct loop *loop)
{
    loop->is_stopped = false;
    loop_note(loop);
    for (;;) {
        if (loop->is_noted)
            run_turn(loop);
        if (loop->is_stopped)
            return;
        if (loop->before_wait != NULL)
            loop->before_wait(loop);
        poll_wait(loop);
    }
}

void loop_stop(struct loop *loop)
{
    loop->is_stopped = true;
}

void loop_wake(struct loop *loop)
{
    poll_wake(loop);
}

uint64_t loop_turn_ms(const struct loop *loop)
{
    return clock_now_ms() - loop->now_ms;
}

uint64_t loop_now_ms(const struct loop *loop)
{
    return loop->now_ms;
}

uint64_t loop_wall_ms(const struct loop *loop)
{
    return loop->wall_ms;
}

void loop_catch_signals(struct loop *loop)
{
    must(!loop->catches_signals);
    loop->catches_signals = true;
    loop_touch_uv(loop);
    must(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    for (int i = 0; i < LOOP_SIGNALS; i++) {
        must(uv_signal_init(&loop->uv, &loop->signals[i]) == 0);
        loop->signals[i].data = loop;
        must(uv_signal_start(&loop->signals[i], on_signal, caught[i]) == 0);
    }
}

int loop_take_signal(struct loop *loop)
{
    for (unsigned i = 0; i < LOOP_SIGNALS; i++)
        if (loop->signals_noted & 1u << i) {
            loop->signals_noted &= ~(1u << i);
            return caught[i];
        }
    return 0;
}
