/* SPDX-License-Identifier: MIT */
/* Greylist: remembers when somebody first came, by a key the caller makes of who that is. */
#pragma once
#include "mta/base/arena.h"
#include "mta/base/table.h"

struct greylist {
    struct table seen;
    struct arena arena;
};

void greylist_init(struct greylist *g);
void greylist_release(struct greylist *g);
/* false on the first visit; later true once 'wait_ms' have passed since that. */
bool greylist_passes(struct greylist *g, struct span key, uint64_t wait_ms, uint64_t now_ms);
