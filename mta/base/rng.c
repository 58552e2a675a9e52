/* SPDX-License-Identifier: MIT */
#include "mta/base/rng.h"
#include "mta/base/fault.h"

static uint64_t rotate_left(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

/* Vigna's splitmix64: spreads a small seed over the whole state. */
static uint64_t splitmix(uint64_t *x)
{
    uint64_t z = *x += 0x9e3779b97f4a7c15;
    z          = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z          = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

void rng_seed(struct rng *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        rng->state[i] = splitmix(&seed);
}

uint64_t rng_next(struct rng *rng)
{
    uint64_t *s     = rng->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t kept   = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= kept;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t rng_below(struct rng *rng, uint64_t bound)
{
    must(bound > 0);
    uint64_t unfair =
        -bound % bound; /* 2^64 mod bound: values below it would come once too often */
    uint64_t value;
    do
        value = rng_next(rng);
    while (value < unfair);
    return value % bound;
}

bool rng_one_in(struct rng *rng, uint64_t n)
{
    return rng_below(rng, n) == 0;
}
