/* SPDX-License-Identifier: MIT */
/*
 * Site: one destination (all hosts behind one MX set, or a route): what waits for it, and how hard
 * to try.
 *
 * Two things hold a site back beside its operator's limits: the state (a site that cannot be
 * reached backs off as one, then is probed by one job), and the window, which follows what the site
 * answers and never exceeds limits.connections.
 *
 * The window counts connections.  While the site answers well more jobs go out for each of them
 * (throttle_ahead), to wait at the shard: so a connection finds its next envelope when a body is
 * out, and the next message costs one round trip.
 */
#pragma once
#include "mta/base/arena.h"
#include "mta/base/heap.h"
#include "mta/base/rng.h"
#include "mta/queue/domain.h"
#include "mta/queue/flow.h"
#include "mta/queue/job.h"
#include "mta/queue/operator.h"

enum site_state {
    SITE_READY,
    SITE_BACKOFF, /* until probe_ms */
    SITE_PROBING, /* one job finds out */
    SITE_STATES
};

/*
 * The window is counted in quarters, because each answered job adds one (smtp.md 6: a fixed quarter
 * survives a site whose every fourth host is bad).  It starts at two connections, as a stranger
 * should; with a quarter a job it doubles in three rounds, so a site that takes mail is at 20
 * within a dozen.
 */
enum {
    SITE_WINDOW_QUARTERS      = 4,
    SITE_WINDOW_FIRST         = 2 * SITE_WINDOW_QUARTERS,
    SITE_BUSY_IN_ROW_MAX      = 3,
    SITE_ANSWERED_RECENTLY_MS = 60000,
};

struct site {
    struct table_node by_key;
    struct list in_turn;     /* stands_for->line, or operator->waiting */
    struct flow *stands_for; /* whose mail is next; NULL unless in line */
    struct list in_idle;     /* queue->idle_sites */
    struct list domains;     /* domain->site == this */
    struct heap_node wake;   /* queue->backoffs: while mail waits for the probe */
    struct flow_ring flows;
    struct site_operator *run_by;
    struct site_target target;
    uint64_t id;
    unsigned shard;

    enum site_state state;
    unsigned window; /* in quarters of a connection */
    unsigned jobs;
    unsigned failures, busy_in_row;
    bool is_probe_out, has_answered;
    bool is_fresh;   /* in line with a message of which nothing is out */
    bool was_full;   /* the window was all used since the last time nothing was out */
    unsigned excess; /* jobs that were out beyond the window when it was halved, and come home */
    uint64_t probe_ms, answered_ms, idle_ms;

    size_t domain_count;
    size_t waits[BATCH_STATES], total; /* recipients */
    uint64_t delivered, deferred, failed;
    struct attempt_note *last_failure;
    const char *first_domain; /* by which its rule is matched anew */
    struct arena arena;       /* texts, hosts */
};

/* 'key' is all of it, with the rule's part. */
struct site *site_new(const struct site_target *target, struct span key, struct span first_domain,
                      uint64_t seed);
void site_free(struct site *s);
/* The domain, and all of its mail wherever it waits, counts for this site; or for none. */
void site_join(struct site *s, struct domain *d);
void site_leave(struct domain *d);

/* The same hosts, reached the same way; their order is what the key says of it. */
bool site_target_equals(const struct site_target *a, const struct site_target *b);
const struct site_rule *site_rule_of(const struct queue_policy *policy,
                                     const struct site_target *target, struct span domain);

unsigned site_window(const struct site *s);           /* connections it may have now */
unsigned site_jobs_max(const struct site *s);         /* and jobs, with those ahead */
unsigned site_full_transaction(const struct site *s); /* recipients; at least 1 */

enum site_gate {
    SITE_GATE_OPEN,
    SITE_GATE_EMPTY,   /* until mail comes */
    SITE_GATE_FULL,    /* until a job comes home */
    SITE_GATE_BACKOFF, /* until probe_ms */
};
/* What the site itself allows; its operator is asked apart. */
enum site_gate site_gate(const struct site *s);
/* The end of a backoff, when it has come. */
void site_wake(struct site *s, uint64_t now_ms);
/* An operator does not want to wait for it. */
void site_probe_now(struct site *s, uint64_t now_ms);

void site_start_job(struct site *s, bool is_probe);
void site_end_job(struct site *s);

/* What the recipients that a job brings home deferred shall do. */
enum site_advice {
    SITE_ADVISES_DEFERRAL, /* each waits for its own next try */
    SITE_ADVISES_AGAIN,    /* it was no attempt: ready, with the smaller window */
    SITE_ADVISES_WAITING,  /* ready, behind the backoff */
};
struct site_news {
    bool has_recovered, has_backed_off, has_moved_window;
    enum site_advice advice;
};
/* A job has come home; it still counts in 'jobs'. */
struct site_news site_hear(struct site *s, const struct job *job, const struct retry_policy *retry,
                           struct rng *jitter, uint64_t now_ms);
