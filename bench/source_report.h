/* SPDX-License-Identifier: MIT */
/*
 * Source report: what the server said to the source, and how long it took.  A recipient is accepted
 * when its RCPT and the end of the content were; refused when either was; else it stays unanswered.
 */
#pragma once
#include "mta/base/buf.h"

enum { SOURCE_EXAMPLES_MAX = 20, SOURCE_REPLY_BYTES = 160, SOURCE_ADDRESS_BYTES = 128 };

struct source_example {
    char rcpt[SOURCE_ADDRESS_BYTES], reply[SOURCE_REPLY_BYTES];
    const char *stage;
};

/* Durations in microseconds, all of them kept until the end. */
struct source_times {
    uint32_t *us;
    size_t count, cap;
};

struct source_report {
    uint64_t recipients, accepted, refused, transactions, connections, lost, bytes;
    uint64_t unsent;      /* recipients that a bound left out */
    uint64_t sent_away;   /* connections that ended with 421 between messages */
    uint64_t round_trips; /* times that something was written and its replies awaited */
    uint64_t tls, tls_resumed;
    uint64_t begun_us, ended_us;  /* the first byte of mail, the last reply; monotonic */
    uint64_t begun_wall_us;       /* since 1970 */
    struct source_times handover; /* from the final dot to its reply */
    struct source_times whole;    /* from MAIL to the same */
    struct source_example examples[SOURCE_EXAMPLES_MAX];
    size_t example_count;
};

void source_report_release(struct source_report *r);
void source_times_add(struct source_times *times, uint64_t us);
/* Their percentiles, as a member of the object open in 'out'.  Sorts them. */
void source_times_json(struct source_times *times, const char *name, struct buf *out);
void source_report_refuse(struct source_report *r, const char *stage, struct span rcpt,
                          struct span reply);
void source_report_lost(struct source_report *r, const char *why);
/* Sorts the times, so call it last. */
void source_report_json(struct source_report *r, const char *id, const char *sha256,
                        struct buf *out);
