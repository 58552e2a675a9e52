/* SPDX-License-Identifier: MIT */
/*
 * Compact: gives space back.  When too much of the log is dead, what is live in its oldest segment
 * is written again at the end, message by message; when nothing in it is live any more, the keeper
 * unlinks it.  A message's old records count as live until the sync that covers its new ones, so a
 * crash anywhere leaves one or the other.
 *
 *     SEEK a message with something in the victim -> READ -> READING its content there
 *      -> PLACE the copies -> ASK the engine for its present state, a few recipients at a time;
 * what changes meanwhile is asked again -> a checkpoint goes into the log
 *
 * Content of drafts moves in the same way, without the question.
 */
#pragma once
#include "mta/spool/stored.h"

struct chore;
struct draft;
struct group;
struct move;
struct spool;

enum { COMPACT_READS_MAX = 64 };

#define COMPACT_PHASES(X) X(SEEK) X(READ) X(READING) X(PLACE) X(ASK)
#define COMPACT_PHASE(id) COMPACT_##id,
enum compact_phase { COMPACT_PHASES(COMPACT_PHASE) COMPACT_PHASE_COUNT };
#undef COMPACT_PHASE

struct compact {
    enum compact_phase phase;
    struct segment *victim;                      /* NULL: nothing to do */
    size_t cursor;                               /* in the table of messages */
    bool has_waiting;                            /* this pass met some that may move later */
    size_t on_the_way;                           /* moves in groups, or in the txn */
    uint64_t retry_ms;                           /* nothing could be done: look again then */
    struct move *move;                           /* in hand, from READ to ASK */
    struct draft *draft;                         /* or a draft, from READ to PLACE */
    size_t reads[COMPACT_READS_MAX], read_count; /* extents that are read, by index */
    size_t placed, placed_bytes;                 /* of them */
    unsigned asked;                              /* of the engine, in this turn */
};

/* Something was noted about a recipient: what the engine said of it is out of date. */
void compact_touch(struct stored *stored, uint32_t rcpt);
/* Recipients from 'first' on have joined. */
void compact_grow(struct stored *stored, uint32_t first);
/* A bounded piece of work; returns whether it can go on at once. */
bool compact_turn(struct spool *s);
/* Fills in what is to be read; false: nothing. */
bool compact_take_read(struct spool *s, struct chore *chore);
/* The helping thread has read it. */
void compact_on_read(struct spool *s);
/* The checkpoint of this move is in the log. */
void compact_on_placed(struct spool *s, struct move *move);
/* The group of these moves is durable; or lost, and with it what gathers. */
void compact_settle(struct spool *s, struct group *group);
void compact_fail(struct spool *s, struct group *group);
/* What is in hand, and what is on its way into the log, is off. */
void compact_cancel(struct spool *s);
/* It is about to ask for the state of this message: who joins it must wait for a moment. */
bool compact_waits_for(const struct spool *s, const struct stored *stored);
/* The message, or the draft, is about to go. */
void compact_forget(struct spool *s, struct stored *stored);
void compact_forget_draft(struct spool *s, struct draft *draft);
