/* SPDX-License-Identifier: MIT */
/*
 * Counts: a number for each 64-bit key, in one flat table.  Keys are seeded hashes of longer things
 * and stand for them: that two of a million different things share one has a chance of 1 in 30
 * million.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct counts_slot {
    uint64_t key; /* 0: free */
    uint32_t value;
};

struct counts {
    struct counts_slot *slots;
    size_t cap, count;
};

void counts_init(struct counts *c);
void counts_release(struct counts *c);
/* The number of this key, until the next call; 0 for a new one. */
uint32_t *counts_at(struct counts *c, uint64_t key);
