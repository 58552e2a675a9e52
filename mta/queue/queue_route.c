/* SPDX-License-Identifier: MIT */
/*
 * Domains find their sites here.  A domain is asked for once, however much mail waits for it; its
 * route is never used after it has expired, and mail that has stood at a site for too long comes
 * back to be routed when its turn comes (queue_dispatch.c).
 */
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/queue/queue_inside.h"
#include <string.h>

/* --- idle domains and sites --- */

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

void route_note_idle_domain(struct queue *q, struct domain *d)
{
    if (note_idle(&d->in_idle, list_is_empty(&d->batches), &q->idle_domain_count)) {
        list_push(&q->idle_domains, &d->in_idle);
        d->idle_ms = q->now_ms;
    }
}

void route_note_idle_site(struct queue *q, struct site *s)
{
    if (note_idle(&s->in_idle, s->total == 0 && s->jobs == 0, &q->idle_site_count)) {
        list_push(&q->idle_sites, &s->in_idle);
        s->idle_ms = q->now_ms;
    }
}

static void leave_site(struct domain *d)
{
    struct site *s = d->site;
    if (s == NULL)
        return;
    for (size_t i = 0; i < BATCH_STATES; i++)
        s->waits[i] -= d->waits[i];
    s->total -= d->total;
    s->domain_count--;
    list_remove(&d->in_site);
    d->site = NULL;
}

static void join_site(struct queue *q, struct domain *d, struct site *s)
{
    struct site *old = d->site;
    if (old == s)
        return;
    leave_site(d);
    if (old != NULL)
        route_note_idle_site(q, old);
    for (size_t i = 0; i < BATCH_STATES; i++)
        s->waits[i] += d->waits[i];
    s->total += d->total;
    s->domain_count++;
    list_push(&s->domains, &d->in_site);
    d->site = s;
    route_note_idle_site(q, s);
}

static void drop_domain(struct queue *q, struct domain *d)
{
    list_remove(&d->in_idle);
    q->idle_domain_count--;
    leave_site(d);
    table_remove(&q->domains, &d->by_name);
    domain_free(d);
}

static void leave_operator(struct queue *q, struct site *s)
{
    struct site_operator *o = s->run_by;
    dispatch_forget_site(q, s);
    o->throttle.jobs -= s->jobs;
    s->run_by = NULL;
    if (--o->sites > 0)
        return;
    if (o->is_shared)
        table_remove(&q->operators, &o->by_name);
    heap_remove(&q->tokens, &o->wake);
    operator_free(o);
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
        leave_site(d);
    }
    leave_operator(q, s);
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

void route_drop_idle(struct queue *q)
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

void route_free_all(struct queue *q)
{
    struct table_node *node;
    for (size_t at = 0; (node = table_each(&q->domains, &at)) != NULL;)
        route_note_idle_domain(q, CONTAINER_OF(node, struct domain, by_name));
    for (size_t at = 0; (node = table_each(&q->domains, &at)) != NULL;)
        drop_domain(q, CONTAINER_OF(node, struct domain, by_name));
    for (size_t at = 0; (node = table_each(&q->sites, &at)) != NULL;) {
        struct site *s = CONTAINER_OF(node, struct site, by_key);
        route_note_idle_site(q, s);
        drop_site(q, s);
    }
    must(q->operators.count == 0);
}

/* --- domains --- */

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

void route_want(struct queue *q, struct domain *d)
{
    if (d->route == ROUTE_WANTED || d->route == ROUTE_ASKED)
        return;
    domain_set_route(d, ROUTE_WANTED);
    list_push(&q->unrouted, &d->in_unrouted);
}

void route_lose(struct queue *q, struct domain *d)
{
    route_want(q, d);
    for (struct list *n = list_first(&d->batches); n != NULL; n = list_next(&d->batches, n)) {
        struct batch *b = CONTAINER_OF(n, struct batch, in_domain);
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

static struct site_operator *find_operator(struct queue *q, const struct site_rule *rule)
{
    struct table_node *node = NULL;
    if (rule->shared)
        node = table_find(&q->operators, span_of(rule->name));
    if (node != NULL)
        return CONTAINER_OF(node, struct site_operator, by_name);
    struct site_operator *o = operator_new(rule, queue_next_id(q), q->now_ms);
    if (rule->shared)
        table_insert(&q->operators, &o->by_name, span_of(o->name));
    return o;
}

static void join_operator(struct site *s, struct site_operator *o)
{
    s->run_by = o;
    o->sites++;
    o->throttle.jobs += s->jobs;
}

static void make_key(struct buf *key, const struct site_rule *rule, const char *target_key)
{
    buf_printf(key, "%s/%s", rule->name, target_key);
}

static struct site *find_site(struct queue *q, struct span key)
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
    struct site *old = find_site(q, key);
    s->id            = queue_next_id(q);
    s->shard         = choose_shard(q, rule, key);
    join_operator(s, old != NULL ? old->run_by : find_operator(q, rule));
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
    make_key(&text, rule, target->key);
    struct site *s = find_site(q, buf_span(&text));
    if (s == NULL || !site_target_equals(&s->target, target))
        s = make_site(q, rule, buf_span(&text), target, domain);
    buf_release(&text);
    return s;
}

/* --- answers --- */

/* READY ones only when they have to move to another site. */
static void collect(struct queue *q, struct domain *d, bool also_ready)
{
    for (struct list *n = list_first(&d->batches); n != NULL; n = list_next(&d->batches, n)) {
        struct batch *b = CONTAINER_OF(n, struct batch, in_domain);
        if (b->state == BATCH_UNROUTED || (also_ready && b->state == BATCH_READY))
            place_out(q, b);
    }
}

static void route_found(struct queue *q, struct domain *d, const struct queue_route *route)
{
    struct site *s = meet_site(q, &route->target, d->by_name.key);
    domain_set_route(d, ROUTE_KNOWN);
    d->expires_ms = route->expires_ms;
    if (d->expires_ms < q->now_ms + QUEUE_ROUTE_MS_MIN)
        d->expires_ms = q->now_ms + QUEUE_ROUTE_MS_MIN;
    collect(q, d, d->site != s);
    join_site(q, d, s);
    for (struct list *n = list_first(&d->batches); n != NULL; n = list_next(&d->batches, n)) {
        struct batch *b = CONTAINER_OF(n, struct batch, in_domain);
        if (b->state == BATCH_NOWHERE)
            place_waiting(q, b, false);
    }
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
    uint64_t wait_ms = schedule_wait_ms(&q->policy.retry, b->first->attempts + 1u, &q->rng);
    for (struct recipient *r = b->first; r != NULL; r = r->next) {
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

/* --- new rules --- */

/* The key follows the rule, unless another site has it already; routes are asked for anew in any
 * case, and then every domain finds the right one. */
static void rename_site(struct queue *q, struct site *s, const struct site_rule *rule)
{
    struct buf key = {0};
    make_key(&key, rule, s->target.key);
    if (!span_equals(buf_span(&key), s->by_key.key) && find_site(q, buf_span(&key)) == NULL) {
        table_remove(&q->sites, &s->by_key);
        table_insert(&q->sites, &s->by_key,
                     span_make(arena_text(&s->arena, buf_span(&key)), key.len));
    }
    buf_release(&key);
}

static void match_anew(struct queue *q, struct site *s)
{
    const struct site_rule *rule = site_rule_of(&q->policy, &s->target, span_of(s->first_domain));
    bool is_same =
        rule->shared == s->run_by->is_shared && span_is(span_of(rule->name), s->run_by->name);
    if (!is_same) {
        leave_operator(q, s);
        join_operator(s, find_operator(q, rule));
        rename_site(q, s, rule);
    }
    s->run_by->limits = rule->limits;
}

void queue_set_policy(struct queue *q, const struct queue_policy *policy, uint64_t now_ms)
{
    must(policy->rule_count > 0 && policy->retry.interval_count > 0);
    queue_set_clock(q, now_ms);
    q->policy = *policy;
    struct table_node *node;
    for (size_t at = 0; (node = table_each(&q->domains, &at)) != NULL;)
        CONTAINER_OF(node, struct domain, by_name)->expires_ms = now_ms; /* routes are new, too */

    size_t count        = 0;
    struct site **sites = mem_new_array(q->sites.count + 1, sizeof(struct site *));
    for (size_t at = 0; (node = table_each(&q->sites, &at)) != NULL;)
        sites[count++] = CONTAINER_OF(node, struct site, by_key);
    for (size_t i = 0; i < count; i++)
        match_anew(q, sites[i]);
    for (size_t i = 0; i < count; i++) {
        dispatch_site(q, sites[i]);
        dispatch_operator(q, sites[i]->run_by);
    }
    mem_free(sites);
}
