/* SPDX-License-Identifier: MIT */
/*
 * Prints: a set of mailboxes, each as a keyed hash of 64 bits, so that a million of them is a few
 * MiB.  Two that share a print are taken for one; who asks must be able to live with that.
 */
#pragma once
#include "mta/base/span.h"

struct prints {
    uint64_t *slots; /* 0: free */
    size_t cap, count;
};

/* The local part as it is, the domain without case. */
uint64_t print_of(struct span address, uint64_t seed);

void prints_release(struct prints *prints);
bool prints_hold(const struct prints *prints, uint64_t print);
void prints_add(struct prints *prints, uint64_t print);
size_t prints_memory(const struct prints *prints);
