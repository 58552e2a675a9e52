/* SPDX-License-Identifier: MIT */
/* Doors: what the simulated bodies of loop, net, disk, thread and resolver offer to the world
 * behind them. */
#pragma once
#include "mta/sys/loop.h"
#include "tests/sim/sim_world.h"

/* One of the product's threads, stepped by the world. */
struct loop {
    struct list in_world;
    loop_turn_fn *turn;
    void *owner;
    uint64_t now_ms, wall_ms, due_ms;
    struct sim_event next_turn;
    bool is_noted, is_stopped;
    unsigned signals;  /* a bit for each of loop_take_signal()'s */
    struct list conns; /* sim_net.c */
    struct list ready; /* conns to be taken in this turn */
    struct list listeners;
};

/* Something was noted: a turn follows soon. */
void loop_note(struct loop *loop);
void loop_signal(struct loop *loop, int signal);
bool loops_have_stopped(void);
/* They are gone with the process. */
void loops_forget(void);

/* sim_net.c: what is ready when a turn begins; and whether something is left when it ends. */
void net_begin_turn(struct loop *loop);
bool net_has_ready(struct loop *loop);
