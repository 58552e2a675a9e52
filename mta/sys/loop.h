/* SPDX-License-Identifier: MIT */
/*
 * Loop: one thread's events.  Nothing calls back into the engine from here: events are noted
 * (net.h, resolver.h, mailbox.h), and then the loop runs its one turn, which pulls them and does
 * the work.
 *
 *     loop_run:  wait for events, a wake-up or the time the last turn asked for  ->  turn  ->  wait
 * ...
 *
 * A loop belongs to the thread that runs it; only loop_wake() may be called from any thread.
 */
#pragma once
#include "mta/base/status.h"
#include <stdbool.h>
#include <stdint.h>

struct loop;

/* One bounded pass over all that was noted.  Returns when (loop_now_ms) it wants to run again at
 * the latest; LOOP_NEVER: only on events. */
typedef uint64_t loop_turn_fn(void *owner, uint64_t now_ms);
#define LOOP_NEVER UINT64_MAX

struct loop *loop_open(loop_turn_fn *turn, void *owner);
/* Every conn, listener, resolver, worker of this loop must be closed before; waits until the system
 * has let go of them. */
void loop_close(struct loop *loop);

/* Runs turns until loop_stop(). */
void loop_run(struct loop *loop);
/* From inside a turn: loop_run() returns after it. */
void loop_stop(struct loop *loop);
/* Makes a turn happen soon, from any thread; many wakes may become one turn. */
void loop_wake(struct loop *loop);

/* From inside a turn: how long it has gone on by now, also while others had the processor. */
uint64_t loop_turn_ms(const struct loop *loop);

/* The monotonic time at the start of this turn. */
uint64_t loop_now_ms(const struct loop *loop);
/* The wall clock at the start of this turn. */
uint64_t loop_wall_ms(const struct loop *loop);

/*
 * Signals are events too.  After loop_catch_signals() SIGTERM and SIGINT, SIGHUP are noted on this
 * loop and wake it; SIGPIPE is ignored. loop_take_signal() gives the next one noted, 0 if there is
 * none.
 */
void loop_catch_signals(struct loop *loop);
int loop_take_signal(struct loop *loop);
