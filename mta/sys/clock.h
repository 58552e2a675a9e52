/* SPDX-License-Identifier: MIT */
/*
 * Clock: the first of the four doors to the world.  Only mta/sys and main read it; everybody else
 * is given the time.  clock_uv.c is the real one, tests/sim/sim_clock.c the simulated one.  Any
 * thread.
 */
#pragma once
#include <stdint.h>

/* Monotonic, from an unknown start; for intervals. */
uint64_t clock_now_ms(void);
uint64_t clock_now_us(void);
/* Since 1970 UTC; for what is written down: arrival, expiry, next try.  May step. */
uint64_t clock_wall_ms(void);
uint64_t clock_wall_us(void);
/* Bytes nobody can guess: message ids, seeds, hash seeds. */
void clock_random(void *into, unsigned bytes);
