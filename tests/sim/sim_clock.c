/* SPDX-License-Identifier: MIT */
/* The first door: virtual time, and secrets that the seed knows. */
#include "mta/sys/clock.h"
#include "tests/sim/sim_world.h"
#include <string.h>

/* 2025-01-01T00:00:00Z when the virtual clock stood at 0. */
static const uint64_t epoch_wall_ms = 1735689600000;

uint64_t clock_now_ms(void)
{
    return sim()->now_ms;
}

uint64_t clock_now_us(void)
{
    return clock_now_ms() * 1000;
}

uint64_t clock_wall_ms(void)
{
    return epoch_wall_ms + sim()->now_ms;
}

uint64_t clock_wall_us(void)
{
    return clock_wall_ms() * 1000;
}

void clock_random(void *into, unsigned bytes)
{
    char *at = into;
    while (bytes > 0) {
        uint64_t fresh = rng_next(&sim()->secret);
        unsigned part  = bytes < sizeof fresh ? bytes : (unsigned)sizeof fresh;
        memcpy(at, &fresh, part);
        at += part;
        bytes -= part;
    }
}
