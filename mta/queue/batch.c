/* SPDX-License-Identifier: MIT */
#include "mta/queue/batch.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"

#define TO(state) (1u << BATCH_##state)
static const unsigned may_follow[BATCH_STATES] = {
    [BATCH_NOWHERE] = TO(UNROUTED) | TO(LINGERING) | TO(READY) | TO(BUSY) | TO(DEFERRED) | TO(HELD),
    [BATCH_UNROUTED]  = TO(NOWHERE),
    [BATCH_LINGERING] = TO(NOWHERE),
    [BATCH_READY]     = TO(NOWHERE),
    [BATCH_BUSY]      = TO(NOWHERE),
    [BATCH_DEFERRED]  = TO(NOWHERE),
    [BATCH_HELD]      = TO(NOWHERE),
};
#undef TO

struct batch *batch_new(struct message *m, struct domain *d)
{
    struct batch *b = mem_new(sizeof *b);
    b->message      = m;
    b->domain       = d;
    return b;
}

void batch_free(struct batch *b)
{
    must(b->count == 0 && b->state == BATCH_NOWHERE);
    mem_free(b);
}

void batch_push(struct batch *b, struct recipient *r)
{
    must(r->batch == NULL);
    r->batch = b;
    r->next  = r;
    if (b->last != NULL) {
        r->next       = b->last->next;
        b->last->next = r;
    }
    b->last = r;
    b->count++;
}

struct recipient *batch_pop(struct batch *b)
{
    struct recipient *r = batch_first(b);
    if (r == NULL)
        return NULL;
    if (r == b->last)
        b->last = NULL;
    else
        b->last->next = r->next;
    b->count--;
    r->next  = NULL;
    r->batch = NULL;
    return r;
}

void batch_move_first(struct batch *b, struct batch *to, uint32_t count)
{
    must(count <= b->count);
    while (count-- > 0)
        batch_push(to, batch_pop(b));
}

void batch_set_state(struct batch *b, enum batch_state next)
{
    must(may_follow[b->state] & 1u << next);
    b->state = next;
}
