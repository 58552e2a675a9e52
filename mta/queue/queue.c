/* SPDX-License-Identifier: MIT */
/*
 * The queue as a whole: how it begins and ends, how messages come in, what its clocks bring, and
 * how facts go out.
 */
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/queue/queue_inside.h"
#include <string.h>

/* --- life --- */

struct queue *queue_new(const struct queue_policy *policy, uint64_t seed)
{
    must(policy->rule_count > 0 && policy->retry.interval_count > 0);
    struct queue *q = mem_new(sizeof *q);
    q->policy       = *policy;
    q->seed         = seed;
    rng_seed(&q->rng, seed);
    table_init_by_id(&q->messages, rng_next(&q->rng));
    table_init(&q->domains, rng_next(&q->rng));
    table_init(&q->sites, rng_next(&q->rng));
    table_init(&q->operators, rng_next(&q->rng));
    table_init(&q->flows, rng_next(&q->rng));
    list_init(&q->open);
    list_init(&q->unrouted);
    list_init(&q->runnable);
    list_init(&q->idle_domains);
    list_init(&q->idle_sites);
    return q;
}

/* Nothing speaks of it any more. */
static void release_message(struct queue *q, struct message *m)
{
    struct flow *f = m->flow;
    message_free(m);
    if (--f->messages > 0)
        return;
    table_remove(&q->flows, &f->by_name);
    flow_free(f);
}

static void drop_message(struct queue *q, struct message *m)
{
    struct batch *b;
    for (uint32_t at = 0; (b = message_next_batch(m, &at)) != NULL;) {
        place_out(q, b);
        while (batch_pop(b) != NULL)
            ;
        place_free(q, b);
    }
    release_message(q, m);
}

void queue_free(struct queue *q)
{
    must(q->jobs == 0); /* whoever holds one would come home to nothing */
    struct queue_fact fact;
    while (queue_next_fact(q, &fact))
        ;
    struct message *m;
    for (size_t at = 0; (m = queue_each_message(q, &at)) != NULL;)
        drop_message(q, m);
    idle_free_all(q);
    must(q->flows.count == 0);
    table_release(&q->messages);
    table_release(&q->domains);
    table_release(&q->sites);
    table_release(&q->operators);
    table_release(&q->flows);
    job_pool_release(&q->spare_jobs);
    fact_ring_release(&q->facts);
    mem_free(q);
}

/* --- time --- */

void queue_set_clock(struct queue *q, uint64_t now_ms)
{
    if (now_ms > q->now_ms) /* callers may hold a time of a moment ago */
        q->now_ms = now_ms;
}

void queue_set_clocks(struct queue *q, uint64_t now_ms, uint64_t wall_ms)
{
    queue_set_clock(q, now_ms);
    q->wall_ms    = wall_ms;
    q->wall_at_ms = q->now_ms;
}

uint64_t queue_wall_ms(const struct queue *q)
{
    return q->wall_ms == 0 ? 0 : q->wall_ms + (q->now_ms - q->wall_at_ms);
}

uint64_t queue_next_id(struct queue *q)
{
    return ++q->last_id;
}

void queue_count(struct queue *q, const struct message *m)
{
    q->message_bytes += message_memory(m);
}

void queue_uncount(struct queue *q, const struct message *m)
{
    q->message_bytes -= message_memory(m);
}

/* --- messages come in --- */

static struct flow *meet_flow(struct queue *q, struct span name)
{
    struct table_node *node = table_find(&q->flows, name);
    if (node != NULL)
        return CONTAINER_OF(node, struct flow, by_name);
    struct flow *f = flow_new(name, queue_next_id(q));
    table_insert(&q->flows, &f->by_name, span_make(f->name, name.len));
    return f;
}

/* While batches gather they carry what they will wait for: a due time (0: now), or being held. */
static bool fits(const struct batch *b, const struct message *m, const struct recipient *r,
                 uint64_t due_in_ms)
{
    return b != NULL && b->message == m && b->due.key == due_in_ms &&
           batch_first(b)->state == r->state;
}

static void gather(struct queue *q, struct message *m, struct recipient *r, uint64_t due_in_ms)
{
    struct domain *d = route_domain_of(q, r);
    if (!fits(d->gathering, m, r, due_in_ms)) {
        d->gathering          = place_new(q, m, d);
        d->gathering->due.key = due_in_ms;
    }
    batch_push(d->gathering, r);
}

static void join(struct queue *q, struct message *m, struct recipient *r);

/* Recipients from 'first' on.  What may go at once stands with those who came before. */
static void gather_from(struct queue *q, struct message *m, uint32_t first,
                        const uint64_t *due_in_ms)
{
    for (uint32_t i = first; i < m->rcpt_count; i++) {
        struct recipient *r = message_rcpt(m, i);
        bool is_waiting     = r->state == RCPT_WAITING;
        uint64_t due        = due_in_ms != NULL && is_waiting ? due_in_ms[i - first] : 0;
        m->live += r->state != RCPT_ENDED;
        m->owing += r->state == RCPT_OWES_FAILURE || r->state == RCPT_OWES_SUCCESS;
        if (is_waiting && due == 0 && first > 0)
            join(q, m, r);
        else if (is_waiting || r->state == RCPT_HELD)
            gather(q, m, r, due);
    }
}

static void place_one(struct queue *q, struct batch *b)
{
    b->domain->gathering = NULL;
    if (batch_first(b)->state == RCPT_HELD)
        place_held(q, b);
    else if (b->due.key > 0)
        place_deferred(q, b, q->now_ms + b->due.key);
    else
        place_waiting(q, b, false);
}

/* Of recipients from 'first' on. */
static void place_gathered(struct queue *q, const struct message *m, uint32_t first)
{
    struct batch *b;
    while ((b = message_next_batch(m, &first)) != NULL)
        if (b->state == BATCH_NOWHERE) /* else it was made for one that joined */
            place_one(q, b);
}

void queue_accept(struct queue *q, struct message *m, uint64_t expire_in_ms,
                  const uint64_t *due_in_ms, uint64_t now_ms)
{
    queue_set_clock(q, now_ms);
    message_seal(m, meet_flow(q, span_of(message_flow(m))));
    m->flow->messages++;
    table_insert_id(&q->messages, &m->by_id);
    queue_count(q, m);
    heap_push(&q->expiries, &m->expiry,
              expire_in_ms > UINT64_MAX - now_ms ? UINT64_MAX : now_ms + expire_in_ms);

    gather_from(q, m, 0, due_in_ms);
    linger_begin(q, m);
    q->live += m->live;
    q->owing += m->owing;
    q->accepted += m->live - m->owing;
    place_gathered(q, m, 0);
    end_arm_delay(q, m);
    if (m->is_open)
        list_push(&q->open, &m->more->in_open);
    end_check(q, m);
}

/* --- others join --- */

static bool may_grow(const struct batch *b)
{
    return b->state == BATCH_LINGERING || b->state == BATCH_READY || b->state == BATCH_UNROUTED;
}

/* What waits of the message in that domain, if it is among the newest there. */
static struct batch *find_growing(const struct domain *d, const struct message *m)
{
    struct list *n = list_last(&d->batches);
    for (int i = 0; i < QUEUE_JOIN_STEPS && n != NULL; i++, n = list_before(&d->batches, n)) {
        struct batch *b = CONTAINER_OF(n, struct batch, in_domain);
        if (b->message == m && may_grow(b))
            return b;
    }
    return NULL;
}

static void join(struct queue *q, struct message *m, struct recipient *r)
{
    struct domain *d = route_domain_of(q, r);
    struct batch *b  = find_growing(d, m);
    if (b != NULL) {
        list_move(&d->batches, &b->in_domain); /* the next is as quick to find it */
        place_grow(q, b, r);
        return;
    }
    b = place_new(q, m, d);
    batch_push(b, r);
    place_waiting(q, b, false);
}

void queue_append(struct queue *q, struct message *m, const struct message *joins, uint64_t now_ms)
{
    uint32_t first = m->rcpt_count;
    must(m->is_open);
    queue_set_clock(q, now_ms);
    queue_uncount(q, m);
    for (uint32_t i = 0; i < joins->rcpt_count; i++) {
        struct envelope_rcpt rcpt = recipient_envelope(message_rcpt(joins, i));
        (void)message_add_rcpt(m, &rcpt);
    }
    queue_count(q, m);
    m->live += joins->rcpt_count;
    q->live += joins->rcpt_count;
    q->accepted += joins->rcpt_count;
    m->may_linger = true;
    if (joins->rcpt_count > 0 && !heap_holds(&q->expiries, &m->expiry))
        heap_push(&q->expiries, &m->expiry, m->expiry.key); /* those who were there have expired */
    linger_begin(q, m);
    for (uint32_t i = first; i < m->rcpt_count; i++)
        join(q, m, message_rcpt(m, i));
    end_arm_delay_again(q, m, first);
}

void queue_grow(struct queue *q, const struct message *m)
{
    must(m->is_open);
    queue_uncount(q, m);
}

void queue_restore(struct queue *q, struct message *m, uint32_t first, const uint64_t *due_in_ms,
                   uint64_t now_ms)
{
    uint32_t live = m->live, owing = m->owing;
    must(m->is_open && first > 0);
    queue_set_clock(q, now_ms);
    queue_count(q, m);
    gather_from(q, m, first, due_in_ms);
    q->live += m->live - live;
    q->owing += m->owing - owing;
    q->accepted += (m->live - live) - (m->owing - owing);
    place_gathered(q, m, first);
    if (!heap_holds(&q->expiries, &m->expiry)) /* those who were there have expired */
        heap_push(&q->expiries, &m->expiry, m->expiry.key);
    end_arm_delay_again(q, m, first);
    end_check(q, m);
}

void queue_close_message(struct queue *q, struct message *m, uint64_t now_ms)
{
    must(m->is_open);
    queue_set_clock(q, now_ms);
    m->is_open = false;
    linger_end(q, m);
    list_remove(&m->more->in_open);
    end_tidy(q, m);
    end_check(q, m);
}

/* --- what the clocks bring --- */

static void wake_all(struct queue *q)
{
    struct heap_node *node;
    linger_end_due(q);
    while ((node = heap_take(&q->due, q->now_ms)) != NULL) {
        struct batch *b = CONTAINER_OF(node, struct batch, due);
        place_out(q, b);
        place_waiting(q, b, false);
    }
    while ((node = heap_take(&q->backoffs, q->now_ms)) != NULL)
        dispatch_site(q, CONTAINER_OF(node, struct site, wake));
    while ((node = heap_take(&q->tokens, q->now_ms)) != NULL)
        dispatch_operator(q, CONTAINER_OF(node, struct site_operator, wake));
}

uint64_t queue_next_ms(const struct queue *q)
{
    const struct heap *heaps[] = {&q->due,      &q->backoffs, &q->tokens, &q->lingers,
                                  &q->expiries, &q->reports,  &q->delays};
    uint64_t next_ms           = UINT64_MAX;
    for (size_t i = 0; i < sizeof heaps / sizeof heaps[0]; i++) {
        const struct heap_node *first = heap_first(heaps[i]);
        if (first != NULL && first->key < next_ms)
            next_ms = first->key;
    }
    const struct list *domain = list_first(&q->idle_domains), *site = list_first(&q->idle_sites);
    uint64_t idle_ms = UINT64_MAX - QUEUE_IDLE_MS;
    if (domain != NULL)
        idle_ms = CONTAINER_OF(domain, struct domain, in_idle)->idle_ms;
    if (site != NULL && CONTAINER_OF(site, struct site, in_idle)->idle_ms < idle_ms)
        idle_ms = CONTAINER_OF(site, struct site, in_idle)->idle_ms;
    return idle_ms + QUEUE_IDLE_MS < next_ms ? idle_ms + QUEUE_IDLE_MS : next_ms;
}

uint64_t queue_turn(struct queue *q, uint64_t now_ms, uint64_t wall_ms)
{
    queue_set_clocks(q, now_ms, wall_ms);
    idle_drop(q); /* first, because the facts of this turn name sites */
    wake_all(q);
    end_expire_due(q);
    end_report_due(q);
    end_delay_due(q);
    return queue_next_ms(q);
}

/* --- facts go out --- */

static void forget_told(struct queue *q)
{
    struct fact *told = &q->told;
    attempt_note_release(told->note);
    dispatch_release_job(q, told->via);
    if (q->finished != NULL)
        release_message(q, q->finished);
    q->finished = NULL;
    *told       = (struct fact){0};
}

static void unfold(const struct fact *from, struct queue_fact *to)
{
    *to = (struct queue_fact){
        .kind          = from->kind,
        .outcome       = from->outcome,
        .message       = from->message,
        .rcpt_index    = from->rcpt_index,
        .state         = from->state,
        .next_in_ms    = from->next_in_ms,
        .delay_ms      = from->delay_ms,
        .is_relayed    = from->is_relayed,
        .attempt       = from->note == NULL ? NULL : &from->note->attempt,
        .site          = from->site == NULL ? "" : from->site->target.name,
        .operator_name = from->site == NULL ? "" : from->site->run_by->name,
        .host          = "",
        .ip            = "",
        .source        = "",
        .tls           = "",
        .window        = from->window,
    };
    if (from->kind == FACT_RCPT || from->kind == FACT_DOUBT)
        to->rcpt = message_rcpt(from->message, from->rcpt_index);
    if (from->via != NULL) {
        to->host   = from->via->host;
        to->ip     = from->via->ip;
        to->source = from->via->source;
        to->tls    = from->via->tls;
    }
}

bool queue_next_fact(struct queue *q, struct queue_fact *fact)
{
    forget_told(q);
    if (!fact_ring_take(&q->facts, &q->told))
        return false;
    unfold(&q->told, fact);
    if (q->told.kind == FACT_MESSAGE_DONE)
        q->finished = q->told.message;
    return true;
}
