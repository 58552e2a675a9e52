/* SPDX-License-Identifier: MIT */
/*
 * Local: mail for ourselves.  A recipient that the sink has taken (mta/receive/sink.h) waits in the
 * queue like any other, under the pseudo domain ".local"; its jobs come here instead of to a shard,
 * and from here to the taker, if there is one.  Without one they are deferred: who takes the mail
 * may come back with the next reload or restart.
 *
 *     local_give -> taker->give -> ... -> taker->take -> local_take
 *
 * A job is one message and some of its local recipients; what the sink said of each stands in its
 * envelope.data.  The taker settles every recipient with job_settle(), or leaves it undecided: that
 * one comes back at once.  A commit of the intake may have ended some already (intake_ends()); they
 * are settled as delivered all the same.  A taker must bear that a job comes twice: after a crash
 * those that were not durably ended do.
 *
 * Engine thread.
 */
#pragma once
#include "mta/queue/job.h"

struct intake_done;

/* The first field, an unsigned, of whatever a taker gives intake_commit() as the owner of a mail
 * that it makes. */
enum { LOCAL_KIND = 0x10ca10ca };

struct local_taker {
    void *owner;
    /* The job, with what it points to, is the taker's until it comes out of take(). */
    void (*give)(void *owner, struct job *job);
    struct job *(*take)(void *owner); /* NULL: none is done */
    /* Once a turn, before take(); returns when it wants to be called again.  Another thread of the
     * taker's wakes the loop by a mailbox. */
    uint64_t (*turn)(void *owner, uint64_t now_ms, uint64_t wall_ms);
    /* A mail that the taker has made is durable, or refused. */
    void (*done)(void *owner, const struct intake_done *done);
    /* The end: every job comes out of the next take(), decided or not. */
    void (*stop)(void *owner);
};

struct local {
    const struct local_taker *taker; /* NULL: nobody takes mail */
    struct list done;
};

void local_init(struct local *local, const struct local_taker *taker);
void local_give(struct local *local, struct job *job);
struct job *local_take(struct local *local);
uint64_t local_turn(struct local *local, uint64_t now_ms, uint64_t wall_ms);
void local_done(struct local *local, const struct intake_done *done);
void local_stop(struct local *local);
