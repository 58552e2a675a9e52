/* SPDX-License-Identifier: MIT */
/*
 * A loop has one event: its next turn.  It comes a moment after something was noted, sometimes
 * late, as a thread that was not scheduled; else when the last turn wanted it.
 */
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/sys/clock.h"
#include "tests/sim/sim_daemon.h"
#include "tests/sim/sim_doors.h"
#include <signal.h>

enum { SOON_MS_MAX = 1, STALL_MS_MAX = 60 };

static const int caught[] = {SIGTERM, SIGINT, SIGHUP};
enum { CAUGHT = sizeof caught / sizeof caught[0] };

static uint64_t draw_delay_ms(void)
{
    if (sim_chance(sim()->plan->faults.stall_permille))
        return sim_below(STALL_MS_MAX);
    return sim_below(SOON_MS_MAX + 1);
}

static void plan_turn(struct loop *loop)
{
    if (loop->is_stopped)
        sim_cancel(&loop->next_turn);
    else if (loop->is_noted)
        sim_after(&loop->next_turn, draw_delay_ms());
    else if (loop->due_ms != LOOP_NEVER)
        sim_at(&loop->next_turn, loop->due_ms);
    else
        sim_cancel(&loop->next_turn);
}

static void run_turn(void *data)
{
    struct loop *loop = data;
    loop->is_noted    = false;
    loop->now_ms      = clock_now_ms();
    loop->wall_ms     = clock_wall_ms();
    net_begin_turn(loop);
    loop->due_ms   = loop->turn(loop->owner, loop->now_ms);
    loop->is_noted = loop->is_noted || net_has_ready(loop);
    plan_turn(loop);
}

static void on_turn(struct sim_event *event)
{
    struct loop *loop = CONTAINER_OF(event, struct loop, next_turn);
    (void)daemon_enter(run_turn, loop);
}

struct loop *loop_open(loop_turn_fn *turn, void *owner)
{
    struct loop *loop = mem_new(sizeof *loop);
    loop->turn        = turn;
    loop->owner       = owner;
    loop->now_ms      = clock_now_ms();
    loop->wall_ms     = clock_wall_ms();
    loop->due_ms      = LOOP_NEVER;
    list_push(&sim()->loops, &loop->in_world);
    sim_event_init(&loop->next_turn, on_turn, true);
    loop_note(loop);
    return loop;
}

void loop_close(struct loop *loop)
{
    must(list_is_empty(&loop->conns) && list_is_empty(&loop->listeners));
    sim_cancel(&loop->next_turn);
    list_remove(&loop->in_world);
    mem_free(loop);
}

bool loops_have_stopped(void)
{
    const struct list *all = &sim()->loops;
    for (struct list *n = list_first(all); n != NULL; n = list_next(all, n))
        if (!CONTAINER_OF(n, struct loop, in_world)->is_stopped)
            return false;
    return true;
}

void loops_forget(void)
{
    list_init(&sim()->loops);
}

void loop_run(struct loop *loop)
{
    (void)loop;
    must(false); /* here the world runs the turns */
}

void loop_stop(struct loop *loop)
{
    loop->is_stopped = true;
    sim_cancel(&loop->next_turn);
}

void loop_note(struct loop *loop)
{
    if (loop->is_noted)
        return;
    loop->is_noted = true;
    plan_turn(loop);
}

void loop_wake(struct loop *loop)
{
    loop_note(loop);
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
    (void)loop; /* loop_signal() is all there is */
}

void loop_signal(struct loop *loop, int signal)
{
    for (unsigned i = 0; i < CAUGHT; i++)
        if (caught[i] == signal)
            loop->signals |= 1u << i;
    loop_note(loop);
}

int loop_take_signal(struct loop *loop)
{
    for (unsigned i = 0; i < CAUGHT; i++)
        if (loop->signals & 1u << i) {
            loop->signals &= ~(1u << i);
            return caught[i];
        }
    return 0;
}
