/* SPDX-License-Identifier: MIT */
/*
 * Loop, behind the door: what the bodies that wait with libuv (*_uv.c, dns/resolver_cares.c) share.
 * Nobody else includes this file.
 *
 * A libuv callback only notes what happened (in a list of its own) and calls loop_note(); the turn
 * that follows pulls it.  Callbacks run between turns, never inside one.
 */
#pragma once
#include "mta/base/list.h"
#include "mta/sys/loop.h"
#include <uv.h>

enum { LOOP_SIGNALS = 3 };

struct poll;

struct loop {
    uv_loop_t uv;
    loop_turn_fn *turn;
    void *owner;
    uint64_t now_ms, wall_ms; /* at the start of this turn */
    uint64_t due_ms;          /* when the next turn is wanted at the latest, or LOOP_NEVER */
    bool is_noted;            /* a turn is owed */
    bool is_stopped;
    bool uv_is_touched; /* handles of libuv were started, stopped or closed: it must run once */
    struct poll *poll;
    uv_signal_t signals[LOOP_SIGNALS];
    unsigned signals_noted; /* a bit for each of signals[] */
    bool catches_signals;

    /* net_conn.c: conns with something noted, conns whose interest changed, listeners to accept on
     */
    struct list ready, changed, accepting;
    /* Runs before each wait, when not NULL. */
    void (*before_wait)(struct loop *loop);
};

/* Something was noted: the loop runs a turn before it waits again.  Thread of the loop. */
static inline void loop_note(struct loop *loop)
{
    loop->is_noted = true;
}

/* A handle of libuv was started, stopped or closed.  Thread of the loop. */
static inline void loop_touch_uv(struct loop *loop)
{
    loop->uv_is_touched = true;
}
