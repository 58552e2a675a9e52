/* SPDX-License-Identifier: MIT */
/*
 * Job: one message and up to N of its recipients for one site: the parcel that travels queue ->
 * shard -> session and back.
 *
 * Whoever holds it may write the outcomes; everything else was set by queue_next_job() and does not
 * change.  What it points to (message, target, texts) holds until the job is home again, in
 * queue_job_done().
 */
#pragma once
#include "mta/base/arena.h"
#include "mta/base/list.h"
#include "mta/mail/envelope.h"
#include "mta/mail/outcome.h"
#include "mta/queue/policy.h"

struct batch;
struct message;
struct recipient;
struct site;

enum { SITE_HOSTS_MAX = 20 };

struct site_host {
    const char *name; /* A-label name, or an address literal's or route's address as text */
    uint16_t preference;
    uint16_t port;
};

/* Where a site is: never changes in a site's life. */
struct site_target {
    const char *key;               /* what makes the site itself: rule, MX set or route */
    const char *name;              /* for people: the best host's name, or the route */
    const struct site_host *hosts; /* by preference */
    size_t host_count;
    bool is_mx; /* found by MX: protection against private addresses applies */
    bool is_lmtp;
    bool is_local; /* ourselves: no hosts, and no shard gets its jobs (mta/local.h) */
    bool is_tls_implicit;
    bool is_inbound;     /* strangers may send this way: nothing that goes it gets our signature */
    enum policy_tls tls; /* of a route; a site found by MX has that of its limits */
    const char *user, *password; /* AUTH at a smarthost; NULL: none */
};

enum job_verdict {
    JOB_UNDECIDED, /* not tried: goes back as if nothing had been */
    JOB_DELIVERED,
    JOB_DEFERRED,
    JOB_FAILED,
    JOB_IN_DOUBT, /* deferred, and it may have been delivered */
};

struct job_rcpt {
    struct recipient *recipient; /* the queue's; shards do not look into it */
    struct envelope_rcpt envelope;
    enum job_verdict verdict;
    bool is_relayed;        /* delivered to a host that does not pass DSN on (RFC 3461 5.2.2) */
    struct attempt attempt; /* texts in job->texts */
};

/* What the job says about the site. */
enum job_site {
    JOB_SITE_UNKNOWN,     /* it was not tried */
    JOB_SITE_ANSWERED,    /* a transaction got replies, whatever they were */
    JOB_SITE_BUSY,        /* 421, or 4xx to greeting or EHLO: it is there, but wants less of us */
    JOB_SITE_UNREACHABLE, /* no host could be connected, greeted or secured */
};

struct job {
    struct list link; /* in whatever list its holder keeps */
    struct message *message;
    struct site *site;   /* the queue's */
    struct batch *batch; /* the queue's */
    uint64_t site_id;    /* never used twice */
    unsigned shard;
    const struct site_target *target;
    struct site_limits limits;
    uint64_t group_id; /* sites with the same one share 'limits' (an operator's); else the site's
                          own id */
    const struct envelope *envelope;
    void *content;
    uint64_t content_bytes; /* filled in by whoever gives it to a shard */
    uint64_t message_id;
    bool has_siblings; /* the message has other recipients: its content is sent more than once */
    unsigned attempts; /* the fewest tries that any of its recipients has had before */
    bool is_probe;
    unsigned window; /* sessions the site may have at this moment.  More jobs than that may be out:
                        those wait at a busy session, to be its next.  They are no promise of the
                        queue's: when a job has found the site busy or out of reach, those that wait
                        go home undecided. */
    unsigned dials;  /* connections tried for this job so far (the shard's) */

    unsigned refs; /* the queue's: facts that tell of it */
    unsigned room; /* for so many recipients */

    enum job_site site_verdict;
    const char *host, *ip, *source, *tls; /* who took it and how, for the log; "" if unknown; tls:
                                             "none", "opportunistic TLSv1.3", ... */
    bool lost_tls; /* the host had TLS before and has none now: told with the first job that sees it
                    */
    struct arena texts;
    size_t rcpt_count;
    struct job_rcpt rcpts[];
};

/* Zeroed, every recipient UNDECIDED.  The queue makes and frees jobs; others only in tests. */
struct job *job_new(size_t rcpt_count);
void job_free(struct job *job);

/*
 * Jobs that are over and wait for their next use, with a block for their texts, by the recipients
 * they have room for: each class has twice as much as the one before.  Larger ones are not kept.
 */
enum { JOB_CLASSES = 8, JOBS_KEPT_MAX = 4096 };
struct job_pool {
    struct list spare[JOB_CLASSES];
    unsigned kept;
};
struct job *job_pool_take(struct job_pool *pool, size_t rcpt_count);
void job_pool_give(struct job_pool *pool, struct job *job);
void job_pool_release(struct job_pool *pool);

/* For every recipient still UNDECIDED: this verdict, code and words.  'text' and 'mx' are copied.
 */
void job_settle_rest(struct job *job, enum job_verdict verdict, unsigned code,
                     const unsigned char enhanced[3], struct span text, const char *mx);
void job_settle(struct job *job, size_t rcpt, enum job_verdict verdict, unsigned code,
                const unsigned char enhanced[3], struct span text, const char *mx);
