/* SPDX-License-Identifier: MIT */
/*
 * The inside of the queue, shared by the files that make it up: queue (in and out), queue_place
 * (where batches wait), queue_linger (posts wait for the rest of them), queue_route (domains find
 * sites), queue_rule (sites and their limits), queue_idle (what is forgotten), queue_dispatch
 * (which site may start), queue_home (jobs come back), queue_end (ends and reports), queue_command
 * and queue_list (for operators).  Nobody else includes it.
 *
 * A site with ready mail is in exactly one of: the line of a flow in runnable; its operator's
 * waiting list; backoffs; or nowhere, because a job that is out will bring it back.  So nothing is
 * ever polled.
 */
#pragma once
#include "mta/queue/fact.h"
#include "mta/queue/queue.h"
#include "mta/queue/recipient.h"
#include "mta/queue/schedule.h"
#include "mta/queue/site.h"

enum {
    QUEUE_IDLE_MS    = 600000, /* how long a site's window and a domain's route are remembered */
    QUEUE_JOIN_STEPS = 64,     /* batches of a domain looked at for one that may grow */
    QUEUE_IDLE_DOMAINS_MAX = 50000,
    QUEUE_IDLE_SITES_MAX   = 20000,
    QUEUE_ROUTE_MS_MIN     = 1000,  /* a route that expires at once could never be used */
    QUEUE_REPORT_MS        = 60000, /* failures gather so long into one report */
    QUEUE_DOMAIN_BYTES_MAX = 255,
};

struct queue {
    struct queue_policy policy;
    struct rng rng;
    uint64_t seed, last_id;
    uint64_t now_ms;
    uint64_t wall_ms, wall_at_ms; /* the wall clock, as it was told last, and when */

    struct table messages, domains, sites, operators, flows;
    struct list open;                      /* messages that recipients may join */
    struct list unrouted;                  /* domains to be asked for */
    struct list runnable;                  /* flows, in turn, with sites in line */
    struct heap due;                       /* deferred batches */
    struct heap backoffs;                  /* sites */
    struct heap tokens;                    /* operators whose sites wait for the next transaction */
    struct heap lingers;                   /* messages */
    struct heap expiries, reports, delays; /* messages */
    struct list idle_domains, idle_sites;  /* the longest idle first */
    size_t idle_domain_count, idle_site_count;

    unsigned jobs;
    size_t waits[BATCH_STATES]; /* recipients */
    size_t owing, live;
    size_t batch_count, message_bytes;
    size_t ready_count; /* batches */
    uint64_t accepted, delivered, failed, expired, cancelled, deferrals, in_doubt;

    struct job_pool spare_jobs;
    struct fact_ring facts;
    struct fact told;         /* the one given out last */
    struct message *finished; /* told was its MESSAGE_DONE */
};

/* --- queue --- */

void queue_set_clock(struct queue *q, uint64_t now_ms);
void queue_set_clocks(struct queue *q, uint64_t now_ms, uint64_t wall_ms);
/* The wall clock now; 0 when it was never told. */
uint64_t queue_wall_ms(const struct queue *q);
uint64_t queue_next_id(struct queue *q);
/* Its memory; around whatever changes that. */
void queue_count(struct queue *q, const struct message *m);
void queue_uncount(struct queue *q, const struct message *m);

/* --- place: the only code that moves batches --- */

/* An empty batch, nowhere. */
struct batch *place_new(struct queue *q, struct message *m, struct domain *d);
void place_free(struct queue *q, struct batch *b);
/* One that lingers, stands ready, or waits for a route, takes another recipient. */
void place_grow(struct queue *q, struct batch *b, struct recipient *r);
void place_out(struct queue *q, struct batch *b);
/* READY at its site, LINGERING before that, or UNROUTED until its domain has a route. */
void place_waiting(struct queue *q, struct batch *b, bool at_front);
void place_deferred(struct queue *q, struct batch *b, uint64_t due_ms);
void place_held(struct queue *q, struct batch *b);
void place_busy(struct queue *q, struct batch *b);
/* Takes the first 'count' recipients, or the chosen ones, out of a batch that stays where it is;
 * gives the batch itself, out of its place, when that is all of them. */
struct batch *place_split_first(struct queue *q, struct batch *b, uint32_t count);
struct batch *place_split_chosen(struct queue *q, struct batch *b);

/* --- linger --- */

/* The message has come, or others have joined it: those of its batches that are not full wait a
 * moment. */
void linger_begin(struct queue *q, struct message *m);
bool linger_holds(const struct queue *q, const struct batch *b);
/* The wait is over. */
void linger_end(struct queue *q, struct message *m);
void linger_end_due(struct queue *q);

/* --- route --- */

struct domain *route_domain(struct queue *q, struct span name);
/* Where its mail waits: its address' domain, or QUEUE_LOCAL_DOMAIN. */
struct domain *route_domain_of(struct queue *q, const struct recipient *r);
/* Its route must be found before its mail can go on. */
void route_want(struct queue *q, struct domain *d);
/* The route has expired: what is ready goes back to unrouted. */
void route_lose(struct queue *q, struct domain *d);
struct site *route_find_site(struct queue *q, struct span key);
void route_write_key(struct buf *key, const struct site_rule *rule, const char *target_key);

/* --- idle --- */

/* Something about it has changed: it may be idle now, or no longer. */
void idle_note_domain(struct queue *q, struct domain *d);
void idle_note_site(struct queue *q, struct site *s);
void idle_drop(struct queue *q);
void idle_free_all(struct queue *q);

/* --- rule --- */

/* The operator of a rule; a new one unless it is shared. */
struct site_operator *rule_operator(struct queue *q, const struct site_rule *rule);
void rule_join_operator(struct site *s, struct site_operator *o);
void rule_leave(struct queue *q, struct site *s);

/* --- dispatch --- */

/* Nobody tells of the job any more; NULL is fine. */
void dispatch_release_job(struct queue *q, struct job *job);
/* Something about the site has changed: puts it where it belongs. */
void dispatch_site(struct queue *q, struct site *s);
/* A job came home, or a transaction is allowed again: its sites in 'waiting' may have a turn. */
void dispatch_operator(struct queue *q, struct site_operator *o);
void dispatch_forget_site(struct queue *q, struct site *s);
void dispatch_end_job(struct queue *q, const struct job *job);
/* A batch of the flow is ready; or is it no longer, and out of its place. */
void dispatch_note_ready(struct flow *f);
void dispatch_end_ready(struct queue *q, struct flow *f);

/* --- end --- */

struct rcpt_news {
    enum outcome outcome;
    enum rcpt_state state;
    struct attempt_note *note; /* borrowed; NULL: the last one it has */
    struct job *via;           /* borrowed */
    const struct site *site;
    uint64_t next_in_ms;
    bool is_relayed;
};
/* Changes the state, and says so. */
void end_note(struct queue *q, struct message *m, struct recipient *r,
              const struct rcpt_news *news);
struct fact *end_add_fact(struct queue *q, enum queue_fact_kind kind, struct message *m);
void end_add_site_fact(struct queue *q, enum queue_fact_kind kind, const struct site *s,
                       uint64_t next_in_ms);
/* 'r' expires with the words of its last try. */
void end_expire(struct queue *q, struct message *m, struct recipient *r, const struct site *site,
                struct job *via);
/* After every change to recipients: is the message done, is a report due? */
void end_check(struct queue *q, struct message *m);
/* Gives back what the message had for a time and needs no more. */
void end_tidy(struct queue *q, struct message *m);
void end_expire_due(struct queue *q);
void end_report_due(struct queue *q);
void end_delay_due(struct queue *q);
void end_arm_delay(struct queue *q, struct message *m);
/* For recipients from 'first' on, who have just joined. */
void end_arm_delay_again(struct queue *q, struct message *m, uint32_t first);
