/* SPDX-License-Identifier: MIT */
/*
 * Daemon: the product as a process: started, stopped by signal, killed, started again on what the
 * disk has; and, when all mail has ended, the judge of whether everything is empty.
 *
 * Whatever runs the product's code goes through daemon_enter(), because a crash may fall into the
 * middle of it.
 */
#pragma once
#include "tests/sim/sim_plan.h"

/* Begins the life of the product, and what the plan does to it. */
struct sim_daemon *daemon_new(void);
bool daemon_has_ended(void);

/* Runs the product's code.  false: it crashed meanwhile, and everything of it is gone. */
bool daemon_enter(void (*body)(void *argument), void *argument);
/* Called by the doors at each operation: here an armed crash falls. */
void daemon_may_die(bool is_at_disk);
/* How long what the product has heard may be undone by a crash. */
uint64_t daemon_window_ms(void);
