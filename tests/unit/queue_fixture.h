/* SPDX-License-Identifier: MIT */
/*
 * A queue with the simplest world around it: time that the test moves, routes where the domain
 * names the host, and a record of what the facts said.
 */
#pragma once
#include "mta/queue/queue.h"
#include "mta/queue/recipient.h"
#include "tests/unit/check.h"
#include <string.h>

enum {
    FIXTURE_WALL_MS   = 1000000000,
    FIXTURE_FACTS_MAX = 4096,
    MINUTE_MS         = 60000,
    HOUR_MS           = 3600000
};

struct seen {
    enum queue_fact_kind kind;
    enum outcome outcome;
    enum rcpt_state state;
    uint32_t rcpt_index;
    uint64_t id, next_in_ms, window;
    char site[64];
};

struct fixture {
    struct site_rule rules[4];
    struct queue_policy policy;
    struct queue *q;
    uint64_t now_ms, last_id;
    size_t done; /* messages */
    size_t outcomes[OUTCOME_COUNT];
    size_t kinds[FACT_MESSAGE_DONE + 1];
    struct seen seen[FIXTURE_FACTS_MAX];
    size_t seen_count;
    struct message *report; /* the last REPORT_DUE */
};

static inline void fixture_init(struct fixture *f)
{
    *f          = (struct fixture){.now_ms = 1000};
    f->rules[0] = (struct site_rule){
        .name   = "default",
        .limits = {
                   .connections = 20, .messages_per_connection = 100, .recipients_per_transaction = 100}
    };
    f->policy = (struct queue_policy){
        .rules      = f->rules,
        .rule_count = 1,
        .retry      = {.intervals_ms   = {5 * MINUTE_MS, 15 * MINUTE_MS, 40 * MINUTE_MS},
                       .interval_count = 3,
                       .expire_ms      = 120 * (uint64_t)HOUR_MS,
                       .in_doubt_ms    = 7 * MINUTE_MS},
        .jobs_max   = 1000,
        .shards     = 4
    };
}

static inline void fixture_open(struct fixture *f)
{
    f->q = queue_new(&f->policy, 42);
}

static inline void fixture_start(struct fixture *f)
{
    fixture_init(f);
    fixture_open(f);
}

static inline uint64_t fixture_wall(const struct fixture *f)
{
    return FIXTURE_WALL_MS + f->now_ms;
}

static inline void fixture_facts(struct fixture *f)
{
    struct queue_fact fact;
    while (queue_next_fact(f->q, &fact)) {
        f->kinds[fact.kind]++;
        if (fact.kind == FACT_RCPT)
            f->outcomes[fact.outcome]++;
        if (fact.kind == FACT_REPORT_DUE)
            f->report = fact.message;
        if (f->seen_count == FIXTURE_FACTS_MAX)
            continue;
        struct seen *seen = &f->seen[f->seen_count++];
        *seen             = (struct seen){.kind       = fact.kind,
                                          .outcome    = fact.outcome,
                                          .state      = fact.state,
                                          .rcpt_index = fact.rcpt_index,
                                          .id         = fact.message != NULL ? fact.message->id : 0,
                                          .next_in_ms = fact.next_in_ms,
                                          .window     = fact.window};
        (void)snprintf(seen->site, sizeof seen->site, "%s", fact.site);
    }
}

static inline void fixture_close(struct fixture *f)
{
    queue_free(f->q);
}

/* The last fact of the kind; fails when there is none. */
static inline const struct seen *fixture_last(const struct fixture *f, enum queue_fact_kind kind)
{
    for (size_t i = f->seen_count; i-- > 0;)
        if (f->seen[i].kind == kind)
            return &f->seen[i];
    fail();
    return NULL;
}

/* Answers every question: the host of "x.example" is "mx.x.example". */
static inline size_t fixture_route_for(struct fixture *f, uint64_t life_ms)
{
    char domain[256], host[300];
    size_t count = 0;
    while (queue_next_unrouted(f->q, domain)) {
        (void)snprintf(host, sizeof host, "mx.%s", domain);
        struct site_host hosts[] = {
            {.name = host, .preference = 10, .port = 25}
        };
        struct queue_route answer = {
            .is_found   = true,
            .expires_ms = f->now_ms + life_ms,
            .target = {.key = host, .name = host, .hosts = hosts, .host_count = 1, .is_mx = true}
        };
        queue_route(f->q, span_of(domain), &answer, f->now_ms);
        count++;
    }
    fixture_facts(f);
    return count;
}

static inline size_t fixture_route(struct fixture *f)
{
    return fixture_route_for(f, 1000 * (uint64_t)HOUR_MS);
}

static inline struct message *fixture_message(struct fixture *f, const char *sender,
                                              const char *flow)
{
    struct envelope envelope = {.sender = sender, .envid = ""};
    struct message *m        = message_new(++f->last_id, &envelope);
    message_set_flow(m, span_of(flow));
    m->arrival_wall_ms = fixture_wall(f);
    return m;
}

static inline void fixture_rcpt(struct message *m, const char *address, unsigned notify)
{
    struct envelope_rcpt rcpt = {.address = address, .orcpt = "", .notify = (uint8_t)notify};
    (void)message_add_rcpt(m, &rcpt);
}

static inline void fixture_accept(struct fixture *f, struct message *m)
{
    queue_accept(f->q, m, f->policy.retry.expire_ms, NULL, f->now_ms);
    fixture_facts(f);
}

/* 'count' recipients in one domain, routed. */
static inline struct message *fixture_post(struct fixture *f, const char *flow, const char *domain,
                                           size_t count)
{
    struct message *m = fixture_message(f, "owner@sender.example", flow);
    char address[300];
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(address, sizeof address, "user%zu@%s", i, domain);
        fixture_rcpt(m, address, 0);
    }
    fixture_accept(f, m);
    (void)fixture_route(f);
    return m;
}

/* Not in the queue yet: users first, first + 1, ... of the domain. */
static inline struct message *fixture_users(struct fixture *f, const char *domain, unsigned first,
                                            unsigned count)
{
    struct message *m = fixture_message(f, "owner@sender.example", "list");
    char address[300];
    for (unsigned i = first; i < first + count; i++) {
        (void)snprintf(address, sizeof address, "user%u@%s", i, domain);
        fixture_rcpt(m, address, 0);
    }
    return m;
}

/* A message that others may join. */
static inline struct message *fixture_open_post(struct fixture *f, const char *domain,
                                                unsigned count, bool may_linger)
{
    struct message *m = fixture_users(f, domain, 0, count);
    m->is_open        = true;
    m->may_linger     = may_linger;
    fixture_accept(f, m);
    (void)fixture_route(f);
    return m;
}

static inline void fixture_append(struct fixture *f, struct message *m, const char *domain,
                                  unsigned first, unsigned count)
{
    struct message *more = fixture_users(f, domain, first, count);
    queue_append(f->q, m, more, f->now_ms);
    message_free(more);
    fixture_facts(f);
    (void)fixture_route(f);
}

static inline struct job *fixture_job(struct fixture *f)
{
    return queue_next_job(f->q, f->now_ms);
}

static inline void fixture_home(struct fixture *f, struct job *job, enum job_site site)
{
    job->site_verdict = site;
    queue_job_done(f->q, job, f->now_ms, fixture_wall(f));
    fixture_facts(f);
}

/* All recipients alike. */
static inline void fixture_end(struct fixture *f, struct job *job, enum job_verdict verdict,
                               enum job_site site)
{
    static const unsigned codes[]          = {0, 250, 451, 550, 0};
    static const unsigned char enhanced[3] = {4, 0, 0};
    if (verdict != JOB_UNDECIDED)
        job_settle_rest(job, verdict, codes[verdict], enhanced, span_of("so it said"), "mx");
    fixture_home(f, job, site);
}

static inline uint64_t fixture_turn(struct fixture *f)
{
    uint64_t next_ms = queue_turn(f->q, f->now_ms, fixture_wall(f));
    fixture_facts(f);
    return next_ms;
}

/* Moves the time, and does what is due. */
static inline uint64_t fixture_wait(struct fixture *f, uint64_t ms)
{
    f->now_ms += ms;
    return fixture_turn(f);
}

static inline struct site_row fixture_site(const struct fixture *f, const char *name)
{
    struct site_row row;
    for (size_t cursor = 0; queue_each_site(f->q, &cursor, f->now_ms, &row);)
        if (strcmp(row.name, name) == 0)
            return row;
    fail_msg("no site %s", name);
    return row;
}

static inline struct queue_row fixture_row(const struct fixture *f, const struct message *m,
                                           uint32_t rcpt)
{
    struct queue_row row;
    queue_describe(f->q, m, rcpt, f->now_ms, &row);
    return row;
}

static inline size_t fixture_command(struct fixture *f, enum queue_command command,
                                     const char *term)
{
    struct selector selector;
    struct buf error = {0};
    selector_init(&selector);
    assert_true(selector_add(&selector, span_of(term), &error));
    size_t count = queue_command(f->q, command, &selector, false, f->now_ms, fixture_wall(f));
    fixture_facts(f);
    return count;
}
