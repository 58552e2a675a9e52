/* SPDX-License-Identifier: MIT */
/*
 * Rules meet sites: who runs a site, under which limits, and what a reload changes.
 */
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/queue/queue_inside.h"

struct site_operator *rule_operator(struct queue *q, const struct site_rule *rule)
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

void rule_join_operator(struct site *s, struct site_operator *o)
{
    s->run_by = o;
    o->sites++;
    o->throttle.jobs += s->jobs;
}

void rule_leave(struct queue *q, struct site *s)
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

/* The key follows the rule, unless another site has it already; routes are asked for anew in any
 * case, and then every domain finds the right one. */
static void rename_site(struct queue *q, struct site *s, const struct site_rule *rule)
{
    struct buf key = {0};
    route_write_key(&key, rule, s->target.key);
    if (!span_equals(buf_span(&key), s->by_key.key) && route_find_site(q, buf_span(&key)) == NULL) {
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
        rule_leave(q, s);
        rule_join_operator(s, rule_operator(q, rule));
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
