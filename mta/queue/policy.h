/* SPDX-License-Identifier: MIT */
/* Policy: what the operator allows per site, and how tries are spaced.  Plain values; whoever made
 * them keeps them alive and unchanged. */
#pragma once
#include "mta/base/span.h"

enum policy_tls { POLICY_TLS_NONE, POLICY_TLS_OPPORTUNISTIC, POLICY_TLS_REQUIRED };

/* Of one site, or of all sites of an operator together when 'shared'. */
struct site_limits {
    unsigned connections;
    unsigned messages_per_connection; /* 0: what suits the host */
    unsigned recipients_per_transaction;
    uint64_t rate_per_hour; /* transactions; 0: no limit */
    uint64_t idle_ms;       /* how long a connection rests in the pool */
    enum policy_tls tls;
    bool pipeline_messages; /* the next envelope may go out behind the body before */
    bool bdat;              /* where it is offered */
    unsigned bdat_window;   /* messages on their way without a reply */
    unsigned ignore_ehlo;   /* bits of mta/smtp/ext.h, as if not offered */
};

enum {
    SITE_PATTERNS_MAX      = 32,
    SITE_RULES_MAX         = 256,
    RETRY_INTERVALS_MAX    = 32,
    QUEUE_LINGER_TIMES_MAX = 20, /* a post lingers at most so many times linger_ms in all */
};

/* An entry of 'sites:'.  The first rule with a matching MX or domain wins; rules[0] is 'default'
 * and matches all that is left. */
struct site_rule {
    const char *name;                        /* the operator's name */
    const char *match_mx[SITE_PATTERNS_MAX]; /* domain_matches() patterns, NULL-terminated */
    const char *match_domain[SITE_PATTERNS_MAX];
    bool shared;
    struct site_limits limits;
};

struct retry_policy {
    uint64_t intervals_ms[RETRY_INTERVALS_MAX]; /* the last one repeats */
    size_t interval_count;
    uint64_t expire_ms;
    unsigned jitter_percent;
    uint64_t in_doubt_ms;     /* after an unanswered end of data */
    uint64_t delay_report_ms; /* a delay report for recipients that asked for one (NOTIFY=DELAY); 0:
                                 never */
};

struct queue_policy {
    const struct site_rule *rules;
    size_t rule_count;
    struct retry_policy retry;
    uint64_t linger_ms; /* a list post's recipients wait so long after the last transaction for
                           others of their domain; 0: not at all */
    unsigned jobs_max;  /* on the wire at once, over all sites */
    unsigned shards;
};
