/* SPDX-License-Identifier: MIT */
/*
 * Submission: one transaction of a user who has logged in: whether he may send as this sender, how
 * much he may still send, and what his mail must look like (manuscript.h).
 *
 * What is underway is held against his quota, and is used or let go at the end.  Engine thread.
 */
#pragma once
#include "mta/receive/manuscript.h"
#include "mta/receive/quota.h"

struct submission_rules {
    struct quota_limits messages, recipients; /* of who has none of his own */
    bool adds_sender;
};

struct submission {
    struct quota_use *use;      /* of the user; NULL: no transaction is open */
    struct quota_limits limits; /* of recipients: a reload in between changes nothing */
    uint32_t recipients;        /* held */
    struct manuscript manuscript;
};

/* A refusal; code 0: none. */
struct submission_no {
    int code;
    char enhanced[12], text[MANUSCRIPT_TEXT_BYTES];
};

/* MAIL: 'user' NULL: he is gone, or disabled.  Opens the transaction when it refuses nothing. */
struct submission_no submission_begin(struct submission *s, const struct submission_rules *rules,
                                      struct quotas *quotas, const struct user *user,
                                      struct span sender, uint64_t wall_ms);
/* RCPT: one more that nobody else has refused. */
struct submission_no submission_rcpt(struct submission *s, uint64_t wall_ms);
/* It is over; 'is_sent': it was accepted, for so many. */
void submission_end(struct submission *s, bool is_sent, uint32_t recipients, uint64_t wall_ms);
