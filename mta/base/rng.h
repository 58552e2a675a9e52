/* SPDX-License-Identifier: MIT */
/*
 * Rng: repeatable chance (xoshiro256**, seeded through splitmix64).  For jitter, shuffles and the
 * simulator; never for secrets.  Only main and the simulator choose seeds.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct rng {
    uint64_t state[4];
};

void rng_seed(struct rng *rng, uint64_t seed);
uint64_t rng_next(struct rng *rng);
/* 0 .. bound-1, without bias; bound > 0. */
uint64_t rng_below(struct rng *rng, uint64_t bound);
/* true once in 'n' */
bool rng_one_in(struct rng *rng, uint64_t n);
