/* SPDX-License-Identifier: MIT */
/* Notes: what servers replied, while recovery gathers it: each once, however many recipients got
 * it. */
#pragma once
#include "mta/base/arena.h"
#include "mta/base/table.h"
#include "mta/spool/payload.h"

struct note {
    struct table_node by_bytes;
    uint32_t number;
    struct attempt attempt; /* its texts are in the arena */
};

struct notes {
    struct table by_bytes;
    struct arena arena;
    struct note **all;
    uint32_t count, cap;
};

void notes_release(struct notes *notes);
/* The number of the reply behind a fate; never 0. */
uint32_t notes_intern(struct notes *notes, const struct payload_fate *fate);
/* Without the time of the try. */
const struct attempt *notes_get(const struct notes *notes, uint32_t number);
