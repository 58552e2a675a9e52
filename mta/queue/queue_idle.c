/* SPDX-License-Identifier: MIT */
/*
 * Domains and sites for which nothing waits: kept for a while, because the next post comes to the
 * same ones, then forgotten.  Both stand in a list, the longest idle first, so forgetting looks at
 * no others.
 */
#include "mta/base/fault.h"
#include "mta/queue/queue_inside.h"

/* True when the thing has to enter the list of idle ones. */
static bool note_idle(struct list *in_idle, bool is_idle, size_t *count)
{
    if (list_is_linked(in_idle) == is_idle)
        return false;
    if (!is_idle) {
        list_remove(in_idle);
        --*count;
    } else {
        ++*count;
    }
    return is_idle;
}

void idle_note_domain(struct queue *q, struct domain *d)
{
    if (note_idle(&d->in_idle, d->total == 0, &q->idle_domain_count)) {
        list_push(&q->idle_domains, &d->in_idle);
        d->idle_ms = q->now_ms;
    }
}

void idle_note_site(struct queue *q, struct site *s)
{
    if (note_idle(&s->in_idle, s->total == 0 && s->jobs == 0, &q->idle_site_count)) {
        list_push(&q->idle_sites, &s->in_idle);
        s->idle_ms = q->now_ms;
    }
}

static void drop_domain(struct queue *q, struct domain *d)
{
    list_remove(&d->in_idle);
    q->idle_domain_count--;
    site_leave(d);
    table_remove(&q->domains, &d->by_name);
    domain_free(d);
}

static void drop_site(struct queue *q, struct site *s)
{
    list_remove(&s->in_idle);
    q->idle_site_count--;
    struct list *node;
    while ((node = list_first(&s->domains)) != NULL) {
        struct domain *d = CONTAINER_OF(node, struct domain, in_site);
        if (d->route == ROUTE_KNOWN)
            domain_set_route(d, ROUTE_NONE);
        site_leave(d);
    }
    rule_leave(q, s);
    table_remove(&q->sites, &s->by_key);
    site_free(s);
}

static bool is_over(uint64_t idle_ms, uint64_t now_ms, size_t count, size_t count_max)
{
    return count > count_max || now_ms - idle_ms >= QUEUE_IDLE_MS;
}

/* Its answer is on its way, and forgotten it would be asked for again. */
static bool is_awaited(const struct queue *q, const struct domain *d)
{
    return d->route == ROUTE_ASKED && q->idle_domain_count <= QUEUE_IDLE_DOMAINS_MAX;
}

/* A slow rate is remembered longer than the site: else it could start afresh. */
static bool is_paced(const struct queue *q, struct site *s)
{
    return !throttle_is_fresh(&s->run_by->throttle, &s->run_by->limits, q->now_ms) &&
           q->idle_site_count <= QUEUE_IDLE_SITES_MAX;
}

static void stay_idle(struct list *idle, struct list *in_idle, uint64_t *idle_ms, uint64_t now_ms)
{
    *idle_ms = now_ms;
    list_move(idle, in_idle);
}

void idle_drop(struct queue *q)
{
    struct list *node;
    while ((node = list_first(&q->idle_domains)) != NULL) {
        struct domain *d = CONTAINER_OF(node, struct domain, in_idle);
        if (!is_over(d->idle_ms, q->now_ms, q->idle_domain_count, QUEUE_IDLE_DOMAINS_MAX))
            break;
        if (is_awaited(q, d))
            stay_idle(&q->idle_domains, &d->in_idle, &d->idle_ms, q->now_ms);
        else
            drop_domain(q, d);
    }
    while ((node = list_first(&q->idle_sites)) != NULL) {
        struct site *s = CONTAINER_OF(node, struct site, in_idle);
        if (!is_over(s->idle_ms, q->now_ms, q->idle_site_count, QUEUE_IDLE_SITES_MAX))
            break;
        if (is_paced(q, s))
            stay_idle(&q->idle_sites, &s->in_idle, &s->idle_ms, q->now_ms);
        else
            drop_site(q, s);
    }
}

void idle_free_all(struct queue *q)
{
    struct table_node *node;
    for (size_t at = 0; (node = table_each(&q->domains, &at)) != NULL;)
        idle_note_domain(q, CONTAINER_OF(node, struct domain, by_name));
    for (size_t at = 0; (node = table_each(&q->domains, &at)) != NULL;)
        drop_domain(q, CONTAINER_OF(node, struct domain, by_name));
    for (size_t at = 0; (node = table_each(&q->sites, &at)) != NULL;) {
        struct site *s = CONTAINER_OF(node, struct site, by_key);
        idle_note_site(q, s);
        drop_site(q, s);
    }
    must(q->operators.count == 0);
}
