/* SPDX-License-Identifier: MIT */
/*
 * Facts: outcomes on their way to the disk.  They are true whatever the disk does, so each is kept
 * until a sync has covered it, and written again when its group failed.
 */
#pragma once
#include "mta/spool/log.h"

struct facts {
    struct buf noted;      /* not in the log yet */
    struct buf placed;     /* in the log, not durable */
    uint64_t placed_total; /* bytes ever placed */
    uint64_t durable_total;
    uint64_t noted_oldest, placed_oldest; /* the oldest segment they speak of */
    uint64_t since_ms;                    /* the first that is not durable was noted */
    size_t count;                         /* noted since the last hand-over with a sync */
    bool is_timed;                        /* since_ms is set */
};

void facts_init(struct facts *facts);
void facts_release(struct facts *facts);

/* 'about': the oldest segment that holds the message. */
void facts_note(struct facts *facts, uint64_t id, uint32_t rcpt, const struct payload_fate *fate,
                uint64_t about);
/* Puts what was noted into the log; not OK: the rest stays noted (log_put()). */
enum status facts_place(struct facts *facts, struct log *log);
/* What was placed up to that total is durable. */
void facts_settle(struct facts *facts, uint64_t total);
/* What was placed and is not durable is as if it had just been noted. */
void facts_again(struct facts *facts);
/* All are durable. */
bool facts_are_settled(const struct facts *facts);
