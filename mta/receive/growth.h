/* SPDX-License-Identifier: MIT */
/*
 * Growth: messages that grow from a list too long to be taken in at once.  The first slice of its
 * recipients comes with the message, each further one joins it with a cursor that says how far the
 * list has got, and the last one carries SPOOL_CURSOR_DONE.  Until then the message is open, also
 * over a restart.
 *
 * One slice of a message is on its way at a time, so a refused one leaves no gap.  Engine thread.
 */
#pragma once
#include "mta/base/list.h"
#include "mta/queue/message.h"

enum {
    GROWTH_SLICE_RCPTS_MAX  = 4096,
    GROWTH_MOVING_RCPTS_MAX = 100000, /* of a message, that could go out now: no more join... */
    GROWTH_PATIENCE_MS      = 10000,  /* ...for so long; then a slice all the same, because those
                                         may be stuck behind one site */
    GROWTH_CHECK_MS = 60000,          /* how often those that are over are looked for */
};

struct growth {
    struct list link;
    uint64_t id, cursor;
    struct message *message; /* the queue's; NULL until it is durable */
    uint64_t grown_ms;       /* the last slice */
    bool is_pending;         /* a slice, or the message itself, is on its way */
    bool is_found;           /* at start; nobody was told yet */
};

struct growth *growth_new(struct list *all, uint64_t id, uint64_t cursor);
void growth_free(struct growth *growth);
struct growth *growth_find(const struct list *all, uint64_t id);
/* How many may join it now. */
uint32_t growth_room(const struct growth *growth, uint64_t now_ms);
/* Nobody need come any more: it has expired, or was cancelled. */
bool growth_is_over(const struct growth *growth, uint64_t now_ms);
