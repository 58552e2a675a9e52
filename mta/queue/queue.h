/* SPDX-License-Identifier: MIT */
/*
 * Queue: who is to be reached, when, and how hard: the only public face of mta/queue.  Pure: it is
 * given the time and knows neither network nor disk.  Engine thread.
 *
 *     queue_accept --> (unrouted domains) --> queue_route --> sites --> queue_next_job --> ... -->
 * queue_job_done
 *                                                                                                      |
 *     facts, pulled by queue_next_fact(): what to write into spool, log and reports
 * <-----------------+
 *
 * A batch is the recipients of one message in one domain that wait for the same thing; it is the
 * unit that moves: unrouted, ready at its site, deferred until due, held. A site serves its flows
 * in turn (deficit round robin, counted in recipients); a site that cannot be reached backs off as
 * one, is probed by one job, and on recovery releases all that waits.
 */
#pragma once
#include "mta/base/buf.h"
#include "mta/queue/job.h"
#include "mta/queue/message.h"
#include "mta/queue/policy.h"
#include "mta/queue/selector.h"

struct queue;

/* 'policy' is copied; what it points to stays the caller's and must live until the next
 * queue_set_policy() or queue_free(). */
struct queue *queue_new(const struct queue_policy *policy, uint64_t seed);
void queue_free(struct queue *q);
/* New limits and schedule count at once for what starts after; sites are matched to rules anew. */
void queue_set_policy(struct queue *q, const struct queue_policy *policy, uint64_t now_ms);

/*
 * Takes a message that is durable.  'expire_in_ms' from now.  Recovered recipients come with state,
 * attempts, last set and their next try in 'due_in_ms' (NULL: all now).  One that is_open stays
 * until queue_close_message(), also when all its recipients have ended.
 */
void queue_accept(struct queue *q, struct message *m, uint64_t expire_in_ms,
                  const uint64_t *due_in_ms, uint64_t now_ms);
/* The recipients of 'joins', durable as well, go on as the last ones of 'm', which is open.  Those
 * of a domain go out with what waits there of the same message.  'joins' stays the caller's. */
void queue_append(struct queue *q, struct message *m, const struct message *joins, uint64_t now_ms);
/*
 * A recovered message that is_open comes in pieces: after queue_grow() recipients are added, with
 * state, attempts and last set; queue_restore() then takes those from 'first' on, which may be due
 * later: due_in_ms[0] is of 'first'.
 */
void queue_grow(struct queue *q, const struct message *m);
void queue_restore(struct queue *q, struct message *m, uint32_t first, const uint64_t *due_in_ms,
                   uint64_t now_ms);
/* Nobody joins it any more. */
void queue_close_message(struct queue *q, struct message *m, uint64_t now_ms);

/* --- routes --- */

/* The domain of recipients that are for ourselves: no name can be that. */
#define QUEUE_LOCAL_DOMAIN ".local"

/* The next domain (lower-case A-labels, or a literal) whose route must be found, asked once each;
 * false when none. */
bool queue_next_unrouted(struct queue *q, char domain[256]);

struct queue_route {
    bool is_found;
    struct site_target target; /* copied; key without the rule's part */
    uint64_t expires_ms;       /* as now_ms counts */
    bool is_permanent;         /* not found: fail at once, else deferred with this code and words */
    unsigned char enhanced[3];
    const char *text;
};
void queue_route(struct queue *q, struct span domain, const struct queue_route *route,
                 uint64_t now_ms);

/* --- jobs --- */

/* What may start now; NULL when nothing may.  Ask until NULL, once a turn. */
struct job *queue_next_job(struct queue *q, uint64_t now_ms);
/* Takes the job home, and frees it.  'wall_ms' is what the facts will say. */
void queue_job_done(struct queue *q, struct job *job, uint64_t now_ms, uint64_t wall_ms);
/* Due batches, backed-off sites, expiry, reports.  Returns the next time something is due;
 * UINT64_MAX when nothing is.  Then ask queue_next_unrouted() and queue_next_job(). */
uint64_t queue_turn(struct queue *q, uint64_t now_ms, uint64_t wall_ms);
/* The same time, as it is after later calls: jobs that start, and reports that fail, move it. */
uint64_t queue_next_ms(const struct queue *q);

/* --- facts --- */

enum queue_fact_kind {
    FACT_RCPT,  /* outcome tells: delivered, deferred, failed, expired, cancelled, held, released;
                   note it in the spool and the log */
    FACT_DOUBT, /* a delivery may have happened unseen: duplicate_possible */
    FACT_SITE_BACKOFF,
    FACT_SITE_RECOVERED,
    FACT_LIMIT_CHANGED, /* the window of a site moved because of what it answered */
    FACT_REPORT_DUE,    /* tell the sender: recipients of 'message' in state OWES_*; then
                           queue_reported() */
    FACT_DELAY_DUE,     /* a delay report for the recipients of 'message' that asked and wait: those
                           with is_late_told; it comes once */
    FACT_MESSAGE_DONE,  /* every recipient ended; after this fact the message is freed */
};

struct queue_fact {
    enum queue_fact_kind kind;
    enum outcome outcome;
    struct message *message;
    struct recipient *rcpt;
    uint32_t rcpt_index;
    enum rcpt_state state; /* as the spool should have it */
    uint64_t next_in_ms;   /* deferred: until the next try (of it, or of its site) */
    uint64_t delay_ms;     /* since arrival, by the wall clock */
    bool is_relayed;
    const struct attempt *attempt; /* NULL if none */
    const char *site, *operator_name;
    const char *host, *ip, *source, *tls; /* how it was reached; "" if it was not */
    uint64_t window;                      /* LIMIT_CHANGED */
};

/* The next fact, in order; false when none is left.  It and what it points to hold until the next
 * call.  Pull all of them after every other call, before the loop waits. */
bool queue_next_fact(struct queue *q, struct queue_fact *fact);

/* The report is durable: those recipients end; one REPORT_DUE may be answered in several parts, and
 * what still owes then comes due again.  No FACT_RCPT tells so, because the report's own
 * commit has ended them in the spool. */
void queue_reported(struct queue *q, struct message *m, const uint32_t *rcpts, size_t count,
                    uint64_t now_ms);
/* The report could not be made durable: it comes due again later. */
void queue_report_failed(struct queue *q, struct message *m, uint64_t now_ms);

/* --- operators --- */

enum queue_command { QUEUE_RETRY, QUEUE_HOLD, QUEUE_RELEASE, QUEUE_CANCEL };
/* Returns how many recipients it matched (those in a job are matched but take effect when they come
 * home, except retry). */
size_t queue_command(struct queue *q, enum queue_command command, const struct selector *selector,
                     bool dry_run, uint64_t now_ms, uint64_t wall_ms);

struct message *queue_find(const struct queue *q, uint64_t id);
/* Walks the messages in no promised order; start with *cursor = 0; NULL at the end. */
struct message *queue_each_message(const struct queue *q, size_t *cursor);

/* One recipient, for listings. */
struct queue_row {
    const struct message *message;
    const struct recipient *rcpt;
    const char *site;    /* "" before it is routed */
    const char *status;  /* "waiting" "sending" "deferred" "held" "failed" "delivered" "routing" */
    uint64_t next_in_ms; /* 0: now, or unknown while the site decides */
};
void queue_describe(const struct queue *q, const struct message *m, uint32_t rcpt, uint64_t now_ms,
                    struct queue_row *row);
bool queue_matches(const struct queue *q, const struct selector *selector, const struct message *m,
                   uint32_t rcpt, uint64_t now_ms, uint64_t wall_ms);

struct site_row {
    const char *name, *key, *operator_name;
    const char *state; /* "ready" "throttled" "backoff" "probing" "idle" */
    const struct site_target *target;
    struct site_limits limits;
    size_t domains, ready, deferred, busy; /* recipients, but domains */
    unsigned jobs;
    unsigned window;     /* sessions allowed now, after what the site answered */
    unsigned failures;   /* in a row */
    uint64_t next_in_ms; /* backoff: until the probe */
    uint64_t delivered, deferred_total, failed; /* since start */
    const struct attempt *last_failure;         /* NULL if none */
};
bool queue_each_site(const struct queue *q, size_t *cursor, uint64_t now_ms, struct site_row *row);
/* The site that takes, or took last, the mail of a domain (canonical); false when none is known. */
bool queue_site_of(const struct queue *q, struct span domain, uint64_t now_ms,
                   struct site_row *row);

struct queue_stats {
    size_t messages; /* that have recipients to reach */
    size_t recipients, ready, deferred, held, busy, unrouted, owing;
    size_t sites, sites_backoff, flows, domains;
    unsigned jobs;
    uint64_t accepted, delivered, failed, expired, cancelled, deferrals, in_doubt;
    size_t memory_bytes; /* about */
};
void queue_stats(const struct queue *q, struct queue_stats *stats);
/* memory_bytes alone: cheap enough to be asked for every mail that comes in. */
size_t queue_memory_bytes(const struct queue *q);
