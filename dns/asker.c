/* SPDX-License-Identifier: MIT */
/*
 * A want is in exactly one list: that of the question it waits for, or 'done'.  A question is in
 * the table from the first want until its answer, and first waits for a place on the wire:
 *
 *     want -> cache -> fact -> done
 *              |        ^ |
 *              v        | v  an alias: the want goes on with the next name
 *           question -> answer
 */
#include "dns/asker.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/sys/clock.h"

struct asker {
    struct resolver *resolver;
    struct dns_cache cache;
    struct table questions;
    struct list waiting, done;
    size_t inflight, inflight_max;
    uint64_t now_ms;
    uint64_t asked, cache_hits, failures, timeouts;
};

struct question {
    struct table_node by_key;
    struct list in_waiting;
    struct list wants;
    enum dns_type type;
    uint64_t asked_ms;
    size_t name_len;
    char key[DNS_KEY_BYTES_MAX];
};

static struct span name_of(const struct question *q)
{
    return span_make(q->key, q->name_len);
}

struct asker *asker_open(struct resolver *resolver, size_t cache_entries_max, size_t inflight_max)
{
    uint64_t seeds[2];
    struct asker *a = mem_new(sizeof *a);
    a->resolver     = resolver;
    a->inflight_max = inflight_max;
    clock_random(seeds, sizeof seeds);
    dns_cache_init(&a->cache, cache_entries_max, seeds[0]);
    table_init(&a->questions, seeds[1]);
    list_init(&a->waiting);
    list_init(&a->done);
    return a;
}

void asker_forget(struct dns_want *want)
{
    list_remove(&want->in_asker);
    dns_fact_drop(want->fact);
    want->fact = NULL;
}

static void question_free(struct asker *a, struct question *q)
{
    table_remove(&a->questions, &q->by_key);
    list_remove(&q->in_waiting);
    must(list_is_empty(&q->wants));
    mem_free(q);
}

void asker_close(struct asker *a)
{
    struct table_node *node;
    size_t at = 0;
    must(list_is_empty(&a->done));
    while ((node = table_each(&a->questions, &at)) != NULL)
        question_free(a, CONTAINER_OF(node, struct question, by_key));
    table_release(&a->questions);
    dns_cache_release(&a->cache);
    mem_free(a);
}

static void send_waiting(struct asker *a)
{
    struct list *node;
    while (a->inflight < a->inflight_max && (node = list_take(&a->waiting)) != NULL) {
        struct question *q = CONTAINER_OF(node, struct question, in_waiting);
        q->asked_ms        = a->now_ms;
        a->inflight++;
        a->asked++;
        resolver_ask(a->resolver, name_of(q), q->type, q);
    }
}

static struct question *question_about(struct asker *a, struct span name, enum dns_type type)
{
    char key[DNS_KEY_BYTES_MAX];
    struct table_node *node = table_find(&a->questions, dns_key(name, type, key));
    if (node != NULL)
        return CONTAINER_OF(node, struct question, by_key);
    struct question *q = mem_new(sizeof *q);
    q->type            = type;
    q->name_len        = name.len;
    list_init(&q->wants);
    table_insert(&a->questions, &q->by_key, dns_key(name, type, q->key));
    list_push(&a->waiting, &q->in_waiting);
    return q;
}

/* The want is done with 'fact', of which it gets a reference of its own. */
static void finish(struct asker *a, struct dns_want *want, struct dns_fact *fact)
{
    want->fact = fact;
    if (fact->expires_ms < want->expires_ms)
        want->expires_ms = fact->expires_ms;
    list_move(&a->done, &want->in_asker);
}

/* One step along the CNAMEs, unless it is one too many. */
static bool may_follow(struct asker *a, struct dns_want *want, const struct dns_fact *alias)
{
    enum dns_outcome outcome = DNS_FAILED;
    want->hops += alias->hops;
    if (alias->expires_ms < want->expires_ms)
        want->expires_ms = alias->expires_ms;
    if (want->wire_ms >= ASKER_WIRE_MS_MAX)
        outcome = DNS_SILENT;
    else if (want->hops <= DNS_CNAME_DEPTH_MAX)
        return true;
    finish(a, want, dns_fact_failed(alias->name, want->type, outcome, a->now_ms));
    return false;
}

/* The want has learned 'fact' (its own reference): it is done, or goes on where an alias leads. */
static void learn(struct asker *a, struct dns_want *want, struct dns_fact *fact)
{
    while (fact->outcome == DNS_ALIAS && may_follow(a, want, fact)) {
        struct span name      = dns_fact_alias(fact);
        struct dns_fact *next = dns_cache_find(&a->cache, name, want->type, a->now_ms);
        if (next == NULL) {
            list_move(&question_about(a, name, want->type)->wants, &want->in_asker);
            dns_fact_drop(fact);
            return;
        }
        a->cache_hits++;
        (void)dns_fact_share(next);
        dns_fact_drop(fact);
        fact = next;
    }
    if (fact->outcome == DNS_ALIAS) /* given up: done already */
        dns_fact_drop(fact);
    else
        finish(a, want, fact);
}

void asker_want(struct asker *a, struct dns_want *want, struct span name)
{
    struct dns_fact *fact = dns_cache_find(&a->cache, name, want->type, a->now_ms);
    want->expires_ms      = UINT64_MAX;
    if (fact != NULL) {
        a->cache_hits++;
        learn(a, want, dns_fact_share(fact));
    } else {
        list_move(&question_about(a, name, want->type)->wants, &want->in_asker);
    }
    send_waiting(a);
}

static struct dns_fact *fact_from(struct asker *a, const struct question *q,
                                  const struct resolver_answer *answer)
{
    struct span name = name_of(q);
    switch (answer->status) {
    case OK:
        return dns_fact_read(name, q->type, answer->packet, a->now_ms);
    case TIMED_OUT:
    case UNREACHABLE:
        return dns_fact_failed(name, q->type, DNS_SILENT, a->now_ms);
    default:
        return dns_fact_failed(name, q->type, DNS_FAILED, a->now_ms);
    }
}

static void take_in(struct asker *a, const struct resolver_answer *answer)
{
    struct question *q    = answer->tag;
    struct dns_fact *fact = fact_from(a, q, answer);
    struct list wants     = {0};
    struct list *node;
    must(a->inflight > 0);
    a->inflight--;
    a->failures += fact->outcome == DNS_FAILED;
    a->timeouts += fact->outcome == DNS_SILENT;
    dns_cache_put(&a->cache, fact);

    uint64_t wire_ms = a->now_ms - q->asked_ms;
    list_splice(&wants, &q->wants);
    question_free(a, q); /* first: an alias may lead back to this name */
    while ((node = list_take(&wants)) != NULL) {
        struct dns_want *want = CONTAINER_OF(node, struct dns_want, in_asker);
        want->wire_ms += wire_ms;
        learn(a, want, dns_fact_share(fact));
    }
    dns_fact_drop(fact);
}

void asker_turn(struct asker *a, uint64_t now_ms)
{
    struct resolver_answer answer;
    a->now_ms = now_ms;
    while (resolver_take(a->resolver, &answer))
        take_in(a, &answer);
    send_waiting(a);
}

struct dns_want *asker_take(struct asker *a)
{
    struct list *node = list_take(&a->done);
    return node == NULL ? NULL : CONTAINER_OF(node, struct dns_want, in_asker);
}

void asker_stats(const struct asker *a, struct asker_stats *stats)
{
    *stats = (struct asker_stats){.questions  = a->asked,
                                  .cache_hits = a->cache_hits,
                                  .failures   = a->failures,
                                  .timeouts   = a->timeouts,
                                  .cached     = dns_cache_count(&a->cache),
                                  .inflight   = a->inflight};
}
