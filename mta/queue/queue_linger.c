/* SPDX-License-Identifier: MIT */
/*
 * A list manager hands a post over in many transactions, one after the other, and the subscribers
 * of one domain are spread over them.  Who starts with the first transaction sends the body to each
 * domain again and again.  So while a post comes in, its batches linger: until nobody has joined
 * for policy.linger_ms, until they fill a transaction, or until QUEUE_LINGER_TIMES_MAX such times
 * have passed since it began.  Mail for one recipient never lingers.
 */
#include "mta/base/fault.h"
#include "mta/queue/queue_inside.h"

static bool lingers(const struct queue *q, const struct message *m)
{
    return m->more != NULL && heap_holds(&q->lingers, &m->more->linger);
}

void linger_begin(struct queue *q, struct message *m)
{
    uint64_t wait_ms = q->policy.linger_ms, until_ms = q->now_ms + wait_ms;
    if (!m->is_open || !m->may_linger || wait_ms == 0 || envelope_is_individual(&m->envelope))
        return;
    struct message_more *more = m->more; /* open ones have it */
    if (more->linger_end_ms == 0)
        more->linger_end_ms = q->now_ms + QUEUE_LINGER_TIMES_MAX * wait_ms;
    if (q->now_ms < more->linger_end_ms)
        heap_set(&q->lingers, &more->linger,
                 until_ms < more->linger_end_ms ? until_ms : more->linger_end_ms);
}

bool linger_holds(const struct queue *q, const struct batch *b)
{
    return lingers(q, b->message) && batch_first(b)->attempts == 0 &&
           b->count < site_full_transaction(b->domain->site);
}

void linger_end(struct queue *q, struct message *m)
{
    if (!lingers(q, m))
        return;
    heap_remove(&q->lingers, &m->more->linger);
    struct batch *b;
    for (uint32_t at = 0; (b = message_next_batch(m, &at)) != NULL;)
        if (b->state == BATCH_LINGERING) {
            place_out(q, b);
            place_waiting(q, b, false);
        }
}

void linger_end_due(struct queue *q)
{
    const struct heap_node *first;
    while ((first = heap_first(&q->lingers)) != NULL && first->key <= q->now_ms)
        linger_end(q, CONTAINER_OF(first, struct message_more, linger)->message);
}
