/* SPDX-License-Identifier: MIT */
/*
 * Domains find their sites here.  A domain is asked for once, however much mail waits for it; its
 * route is never used after it has expired, and mail that has stood at a site for too long comes
 * back to be routed when its turn comes (queue_dispatch.c).
 */
#include "mta/mail/address.h"
#include "mta/queue/queue_inside.h"
#include <string.h>

struct domain *route_domain(struct queue *q, struct span name)
{
    char lower[QUEUE_DOMAIN_BYTES_MAX];
    name = span_first(name, sizeof lower);
    for (size_t i = 0; i < name.len; i++)
        lower[i] = ascii_lower(name.at[i]);
    struct span key         = {lower, name.len};
    struct table_node *node = table_find(&q->domains, key);
    if (node != NULL)
        return CONTAINER_OF(node, struct domain, by_name);
    struct domain *d = domain_new(key);
    table_insert(&q->domains, &d->by_name, span_make(d->name, key.len));
    return d;
}

struct domain *route_domain_of(struct queue *q, const struct recipient *r)
{
    return route_domain(q, r->is_local ? span_of(QUEUE_LOCAL_DOMAIN)
                                       : address_domain(span_of(r->address)));
}

void route_want(struct queue *q, struct domain *d)
{
    if (d->route == ROUTE_WANTED || d->route == ROUTE_ASKED)
        return;
    domain_set_route(d, ROUTE_WANTED);
    list_push(&q->unrouted, &d->in_unrouted);
}

void route_lose(struct queue *q, struct domain *d)
{
    struct list *next;
    route_want(q, d);
    for (struct list *n = list_first(&d->batches); n != NULL; n = next) {
        struct batch *b = CONTAINER_OF(n, struct batch, in_domain);
        next            = list_next(&d->batches, n);
        if (b->state == BATCH_READY) {
            place_out(q, b);
            place_waiting(q, b, false);
        }
    }
}

bool queue_next_unrouted(struct queue *q, char domain[256])
{
    struct list *node;
    while ((node = list_take(&q->unrouted)) != NULL) {
        struct domain *d = CONTAINER_OF(node, struct domain, in_unrouted);
        if (d->waits[BATCH_UNROUTED] == 0) { /* cancelled, held or expired meanwhile */
            domain_set_route(d, ROUTE_NONE);
            continue;
        }
        domain_set_route(d, ROUTE_ASKED);
        memcpy(domain, d->name, d->by_name.key.len + 1);
        return true;
    }
    return false;
}

/* --- sites --- */

void route_write_key(struct buf *key, const struct site_rule *rule, const char *target_key)
{
    buf_printf(key, "%s/%s", rule->name, target_key);
}

struct site *route_find_site(struct queue *q, struct span key)
{
    struct table_node *node = table_find(&q->sites, key);
    return node == NULL ? NULL : CONTAINER_OF(node, struct site, by_key);
}

/* The key goes to the site's successor; the old one stays findable until it is empty. */
static void retire_site(struct queue *q, struct site *s)
{
    struct buf key = {0};
    buf_put(&key, s->by_key.key);
    buf_printf(&key, "#%llu", (unsigned long long)s->id);
    table_remove(&q->sites, &s->by_key);
    table_insert(&q->sites, &s->by_key, span_make(arena_text(&s->arena, buf_span(&key)), key.len));
    buf_release(&key);
}

static unsigned choose_shard(struct queue *q, const struct site_rule *rule, struct span key)
{
    unsigned shards = q->policy.shards > 0 ? q->policy.shards : 1;
    return (unsigned)(span_hash(rule->shared ? span_of(rule->name) : key, q->seed) % shards);
}

/* A site whose target has changed under its key (a reload) has a successor, which inherits its
 * limits, so that both together stay inside them, and what was learned of its window. */
static struct site *make_site(struct queue *q, const struct site_rule *rule, struct span key,
                              const struct site_target *target, struct span domain)
{
    struct site *s   = site_new(target, key, domain, rng_next(&q->rng));
    struct site *old = route_find_site(q, key);
    s->id            = queue_next_id(q);
    s->shard         = choose_shard(q, rule, key);
    rule_join_operator(s, old != NULL ? old->run_by : rule_operator(q, rule));
    if (old != NULL) {
        s->window = old->window;
        s->shard  = old->shard;
        retire_site(q, old);
    }
    table_insert(&q->sites, &s->by_key, s->by_key.key);
    return s;
}

static struct site *meet_site(struct queue *q, const struct site_target *target, struct span domain)
{
    const struct site_rule *rule = site_rule_of(&q->policy, target, domain);
    struct buf text              = {0};
    route_write_key(&text, rule, target->key);
    struct site *s = route_find_site(q, buf_span(&text));
    if (s == NULL || !site_target_equals(&s->target, target))
        s = make_site(q, rule, buf_span(&text), target, domain);
    buf_release(&text);
    return s;
}

/* --- answers --- */

/* READY ones only when they have to move to another site. */
static void collect(struct queue *q, struct domain *d, bool also_ready, struct list *into)
{
    struct list *next;
    for (struct list *n = list_first(&d->batches); n != NULL; n = next) {
        struct batch *b = CONTAINER_OF(n, struct batch, in_domain);
        next            = list_next(&d->batches, n);
        if (b->state == BATCH_UNROUTED || (also_ready && b->state == BATCH_READY)) {
            place_out(q, b);
            list_push(into, &b->in_domain);
        }
    }
}

static void move_to_site(struct queue *q, struct domain *d, struct site *s)
{
    struct site *old = d->site;
    if (old == s)
        return;
    site_leave(d);
    site_join(s, d);
    idle_note_site(q, s);
    if (old != NULL)
        idle_note_site(q, old);
}

static void route_found(struct queue *q, struct domain *d, const struct queue_route *route)
{
    struct list collected = {0}, *node;
    struct site *s        = meet_site(q, &route->target, d->by_name.key);
    domain_set_route(d, ROUTE_KNOWN);
    d->expires_ms = route->expires_ms;
    if (d->expires_ms < q->now_ms + QUEUE_ROUTE_MS_MIN)
        d->expires_ms = q->now_ms + QUEUE_ROUTE_MS_MIN;
    collect(q, d, d->site != s, &collected);
    move_to_site(q, d, s);
    while ((node = list_take(&collected)) != NULL)
        place_waiting(q, CONTAINER_OF(node, struct batch, in_domain), false);
}

static struct attempt_note *note_of(const struct queue *q, const struct queue_route *route)
{
    struct attempt attempt = {
        .outcome = route->is_permanent ? OUTCOME_FAILED : OUTCOME_DEFERRED,
        .wall_ms = queue_wall_ms(q),
        .text    = route->text != NULL ? route->text : "",
        .mx      = "",
    };
    memcpy(attempt.enhanced, route->enhanced, sizeof attempt.enhanced);
    return attempt_note_new(&attempt);
}

static void fail_batch(struct queue *q, struct batch *b, struct attempt_note *note)
{
    struct message *m = b->message;
    struct recipient *r;
    place_out(q, b);
    while ((r = batch_pop(b)) != NULL) {
        struct rcpt_news news = {
            .outcome = OUTCOME_FAILED, .state = recipient_after_failure(m, r), .note = note};
        end_note(q, m, r, &news);
    }
    place_free(q, b);
    end_check(q, m);
}

static void defer_batch(struct queue *q, struct batch *b, struct attempt_note *note)
{
    struct message *m = b->message;
    place_out(q, b);
    uint64_t wait_ms = schedule_wait_ms(&q->policy.retry, batch_first(b)->attempts + 1u, &q->rng);
    for (struct recipient *r = batch_first(b); r != NULL; r = batch_next(b, r)) {
        recipient_count_attempt(r);
        struct rcpt_news news = {.outcome    = OUTCOME_DEFERRED,
                                 .state      = RCPT_WAITING,
                                 .note       = note,
                                 .next_in_ms = wait_ms};
        end_note(q, m, r, &news);
    }
    place_deferred(q, b, q->now_ms + wait_ms);
    end_check(q, m);
}

static void route_not_found(struct queue *q, struct domain *d, const struct queue_route *route)
{
    struct attempt_note *note = note_of(q, route);
    domain_set_route(d, ROUTE_NONE);
    struct list *next;
    for (struct list *n = list_first(&d->batches); n != NULL; n = next) {
        struct batch *b = CONTAINER_OF(n, struct batch, in_domain);
        next            = list_next(&d->batches, n);
        if (b->state != BATCH_UNROUTED)
            continue;
        if (route->is_permanent)
            fail_batch(q, b, note);
        else
            defer_batch(q, b, note);
    }
    attempt_note_release(note);
}

void queue_route(struct queue *q, struct span domain, const struct queue_route *route,
                 uint64_t now_ms)
{
    queue_set_clock(q, now_ms);
    struct table_node *node = table_find(&q->domains, domain);
    if (node == NULL)
        return; /* its mail has gone meanwhile, and so has it */
    struct domain *d = CONTAINER_OF(node, struct domain, by_name);
    list_remove(&d->in_unrouted);
    if (route->is_found)
        route_found(q, d, route);
    else
        route_not_found(q, d, route);
}
