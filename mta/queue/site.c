/* SPDX-License-Identifier: MIT */
#include "mta/queue/site.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/mail/domain.h"
#include "mta/queue/recipient.h"
#include "mta/queue/schedule.h"
#include <string.h>

#define TO(state) (1u << SITE_##state)
static const unsigned may_follow[SITE_STATES] = {
    [SITE_READY] = TO(BACKOFF),
    [SITE_BACKOFF] =
        TO(PROBING) /* wakes by its timer */ | TO(READY), /* an older job got through */
    [SITE_PROBING] = TO(READY) | TO(BACKOFF),
};
#undef TO

static void enter(struct site *s, enum site_state next)
{
    must(may_follow[s->state] & 1u << next);
    s->state = next;
}

/* --- a site's place --- */

static const char *keep(struct arena *a, const char *text)
{
    return text == NULL ? NULL : arena_text(a, span_of(text));
}

static void copy_target(struct site *s, const struct site_target *from)
{
    struct site_host *hosts = arena_new(&s->arena, (from->host_count + 1) * sizeof *hosts);
    for (size_t i = 0; i < from->host_count; i++) {
        hosts[i]      = from->hosts[i];
        hosts[i].name = keep(&s->arena, from->hosts[i].name);
    }
    s->target          = *from;
    s->target.hosts    = hosts;
    s->target.key      = keep(&s->arena, from->key);
    s->target.name     = keep(&s->arena, from->name);
    s->target.user     = keep(&s->arena, from->user);
    s->target.password = keep(&s->arena, from->password);
}

struct site *site_new(const struct site_target *target, struct span key, struct span first_domain,
                      uint64_t seed)
{
    must(target->host_count <= SITE_HOSTS_MAX);
    struct site *s = mem_new(sizeof *s);
    copy_target(s, target);
    s->by_key.key   = span_make(arena_text(&s->arena, key), key.len);
    s->first_domain = arena_text(&s->arena, first_domain);
    s->window       = SITE_WINDOW_FIRST;
    list_init(&s->domains);
    flow_ring_init(&s->flows, seed);
    return s;
}

void site_free(struct site *s)
{
    must(s->jobs == 0 && s->total == 0 && list_is_empty(&s->domains));
    list_remove(&s->in_turn);
    list_remove(&s->in_idle);
    flow_ring_release(&s->flows);
    attempt_note_release(s->last_failure);
    arena_release(&s->arena);
    mem_free(s);
}

void site_leave(struct domain *d)
{
    struct site *s = d->site;
    if (s == NULL)
        return;
    for (size_t i = 0; i < BATCH_STATES; i++)
        s->waits[i] -= d->waits[i];
    s->total -= d->total;
    s->flows.has_many_domains = --s->domain_count > 1;
    list_remove(&d->in_site);
    d->site = NULL;
}

void site_join(struct site *s, struct domain *d)
{
    must(d->site == NULL);
    for (size_t i = 0; i < BATCH_STATES; i++)
        s->waits[i] += d->waits[i];
    s->total += d->total;
    s->flows.has_many_domains = ++s->domain_count > 1;
    list_push(&s->domains, &d->in_site);
    d->site = s;
}

static bool text_equals(const char *a, const char *b)
{
    return (a == NULL) == (b == NULL) && span_equals(span_of(a), span_of(b));
}

static bool has_host(const struct site_target *t, const struct site_host *host)
{
    for (size_t i = 0; i < t->host_count; i++)
        if (t->hosts[i].port == host->port && text_equals(t->hosts[i].name, host->name))
            return true;
    return false;
}

bool site_target_equals(const struct site_target *a, const struct site_target *b)
{
    if (a->is_mx != b->is_mx || a->is_lmtp != b->is_lmtp || a->is_local != b->is_local ||
        a->is_inbound != b->is_inbound || a->tls != b->tls ||
        a->is_tls_implicit != b->is_tls_implicit || a->host_count != b->host_count ||
        !text_equals(a->user, b->user) || !text_equals(a->password, b->password))
        return false;
    for (size_t i = 0; i < a->host_count; i++)
        if (!has_host(b, &a->hosts[i]))
            return false;
    return true;
}

static bool any_matches(const char *const *patterns, struct span name)
{
    for (size_t i = 0; i < SITE_PATTERNS_MAX && patterns[i] != NULL; i++)
        if (domain_matches(span_of(patterns[i]), name))
            return true;
    return false;
}

static bool rule_matches(const struct site_rule *rule, const struct site_target *target,
                         struct span domain)
{
    for (size_t i = 0; i < target->host_count; i++)
        if (any_matches(rule->match_mx, span_of(target->hosts[i].name)))
            return true;
    return any_matches(rule->match_domain, domain);
}

/* What operators say of sites is not meant for us. */
static const struct site_rule local_rule = {
    .name   = "local",
    .limits = {.connections = 20, .recipients_per_transaction = 100},
};

const struct site_rule *site_rule_of(const struct queue_policy *policy,
                                     const struct site_target *target, struct span domain)
{
    if (target->is_local)
        return &local_rule;
    for (size_t i = 1; i < policy->rule_count; i++)
        if (rule_matches(&policy->rules[i], target, domain))
            return &policy->rules[i];
    return &policy->rules[0];
}

/* --- what it allows --- */

unsigned site_window(const struct site *s)
{
    unsigned window = s->window / SITE_WINDOW_QUARTERS;
    unsigned limit  = s->run_by->limits.connections;
    return window < limit ? window : limit;
}

unsigned site_jobs_max(const struct site *s)
{
    unsigned window   = site_window(s);
    unsigned ahead    = throttle_ahead(&s->run_by->limits) / s->run_by->limits.connections;
    bool answers_well = s->state == SITE_READY && s->has_answered && s->busy_in_row == 0;
    return answers_well ? window + window * ahead : window;
}

unsigned site_full_transaction(const struct site *s)
{
    unsigned full = s->run_by->limits.recipients_per_transaction;
    return full > 0 ? full : 1;
}

enum site_gate site_gate(const struct site *s)
{
    if (s->flows.batches == 0)
        return SITE_GATE_EMPTY;
    switch (s->state) {
    case SITE_BACKOFF:
        return SITE_GATE_BACKOFF;
    case SITE_PROBING:
        return s->is_probe_out ? SITE_GATE_FULL : SITE_GATE_OPEN;
    case SITE_READY:
    case SITE_STATES:
        break;
    }
    return s->jobs < site_jobs_max(s) ? SITE_GATE_OPEN : SITE_GATE_FULL;
}

void site_wake(struct site *s, uint64_t now_ms)
{
    if (s->state == SITE_BACKOFF && s->probe_ms <= now_ms)
        enter(s, SITE_PROBING);
}

void site_probe_now(struct site *s, uint64_t now_ms)
{
    if (s->state == SITE_BACKOFF && s->probe_ms > now_ms)
        s->probe_ms = now_ms;
}

void site_start_job(struct site *s, bool is_probe)
{
    s->jobs++;
    s->is_probe_out |= is_probe;
    s->was_full |= s->jobs >= site_window(s);
}

void site_end_job(struct site *s)
{
    must(s->jobs > 0);
    s->jobs--;
    s->excess -= s->excess > 0;
    s->was_full &= s->jobs > 0;
}

/* --- what it answers --- */

/* A window that was not used proves nothing, so it does not grow. */
static void grow_window(struct site *s)
{
    if (s->was_full && s->window < s->run_by->limits.connections * SITE_WINDOW_QUARTERS)
        s->window++;
}

static void hear_answer(struct site *s, struct site_news *news, uint64_t now_ms)
{
    s->failures     = 0;
    s->busy_in_row  = 0;
    s->answered_ms  = now_ms;
    s->has_answered = true;
    if (s->state != SITE_READY) {
        enter(s, SITE_READY);
        news->has_recovered = true;
    }
    grow_window(s);
}

/* Starts a backoff, unless one goes on already or only an older job than the probe came home. */
static void back_off(struct site *s, struct site_news *news, const struct retry_policy *retry,
                     struct rng *jitter, uint64_t now_ms)
{
    s->failures++;
    s->probe_ms = now_ms + schedule_wait_ms(retry, s->failures, jitter);
    if (s->window > SITE_WINDOW_FIRST)
        s->window = SITE_WINDOW_FIRST;
    enter(s, SITE_BACKOFF);
    news->has_backed_off = true;
}

/*
 * Halves the window, once for all jobs that were out when it was too wide: as many as the new
 * window has connections less come home before it is judged again.
 */
static void shrink_window(struct site *s, struct site_news *news)
{
    unsigned window = site_window(s);
    if (s->excess > 0)
        return;
    s->busy_in_row++;
    if (window > 1) {
        s->window              = window / 2 * SITE_WINDOW_QUARTERS;
        s->excess              = window - window / 2;
        news->has_moved_window = true;
    }
}

static bool is_alive(const struct site *s, uint64_t now_ms)
{
    return s->jobs > 1 || (s->has_answered && now_ms - s->answered_ms < SITE_ANSWERED_RECENTLY_MS);
}

struct site_news site_hear(struct site *s, const struct job *job, const struct retry_policy *retry,
                           struct rng *jitter, uint64_t now_ms)
{
    struct site_news news = {.advice = SITE_ADVISES_DEFERRAL};
    bool is_news          = s->state == SITE_READY || (s->state == SITE_PROBING && job->is_probe);
    if (job->is_probe)
        s->is_probe_out = false;
    switch (job->site_verdict) {
    case JOB_SITE_UNKNOWN:
        break;
    case JOB_SITE_ANSWERED:
        hear_answer(s, &news, now_ms);
        break;
    case JOB_SITE_BUSY:
        shrink_window(s, &news);
        if (s->state == SITE_READY && is_alive(s, now_ms) &&
            s->busy_in_row <= SITE_BUSY_IN_ROW_MAX) {
            news.advice = SITE_ADVISES_AGAIN;
            break;
        }
        /* fall through */
    case JOB_SITE_UNREACHABLE:
        news.advice = SITE_ADVISES_WAITING;
        if (is_news)
            back_off(s, &news, retry, jitter, now_ms);
        break;
    }
    return news;
}
