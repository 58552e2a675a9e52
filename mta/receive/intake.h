/* SPDX-License-Identifier: MIT */
/*
 * Intake: the one door through which mail becomes ours: over SMTP and from ourselves (reports).  It
 * adds the trace fields, streams content into the spool, asks for the commit, and when the disk has
 * it gives the message to the queue.  The same mail in further transactions, for other recipients,
 * joins the message it has made of the first (posts.h).
 *
 *     intake_open -> intake_rcpt ... -> intake_begin -> intake_write ... -> intake_commit ->
 * (synced) -> intake_take_done
 *
 * Engine thread.
 */
#pragma once
#include "mta/base/status.h"
#include "mta/mail/envelope.h"
#include "mta/mail/event.h"
#include "mta/mail/header.h"
#include "mta/queue/queue.h"
#include "mta/spool/spool.h"

struct intake;
struct intake_mail; /* one mail on its way in */

struct intake_settings {
    const char *hostname;
    uint64_t expire_ms;
    uint64_t memory_bytes_max; /* of what the queue holds: above, nothing new is taken */
    uint64_t join_ms; /* a mail joins the same one that came no longer ago than this; 0: never */
};

struct intake *intake_new(struct spool *spool, struct queue *queue, struct event_log *log,
                          const struct intake_settings *settings);
void intake_free(struct intake *intake);
void intake_set_settings(struct intake *intake, const struct intake_settings *settings);

/* Once a turn; returns when it wants the next.  Messages that nobody has joined for a while are
 * closed: the queue may have facts then. */
uint64_t intake_turn(struct intake *intake, uint64_t now_ms);
/* Nothing is left open any more. */
void intake_stop(struct intake *intake);

/* An id found at start: no new one will be below it, whatever the clock says. */
void intake_note_id(struct intake *intake, uint64_t id);

/* Whether a new mail may be begun: NULL, or why not, for a 452 4.3.1. */
const char *intake_refusal(const struct intake *intake);

struct intake_mail *intake_open(struct intake *intake, const struct envelope *envelope);
/* Who has logged in and sends it; "" nobody.  Behind intake_open(). */
void intake_set_user(struct intake_mail *mail, const char *user);
/* A recipient given twice counts once (same mailbox). */
void intake_rcpt(struct intake_mail *mail, const struct envelope_rcpt *rcpt);
uint32_t intake_rcpt_count(const struct intake_mail *mail);

/* All recipients are known, content follows.  'trace' makes the Received field (its id, rcpt and by
 * are filled in here); NULL for our own mail.  NO_SPACE, IO_ERROR: abort. */
enum status intake_begin(struct intake_mail *mail, const struct header_trace *trace,
                         uint64_t wall_ms);
/* Canonical content. */
enum status intake_write(struct intake_mail *mail, struct span content);
/* The disk lags behind: read no more from this client before the next turn. */
bool intake_should_wait(const struct intake_mail *mail);
/* The header holds 100 or more Received fields. */
bool intake_is_looping(const struct intake_mail *mail);
uint64_t intake_id(const struct intake_mail *mail);
const char *intake_sender(const struct intake_mail *mail);

/* What the client said of the content while it came in. */
void intake_note(struct intake_mail *mail, bool is_8bit, bool saw_bare);
/* Recipients of other messages that end with this commit (spool.h). */
void intake_ends(struct intake_mail *mail, const struct spool_end *ends, size_t count);
/* 'owner' comes back with the answer. */
void intake_commit(struct intake_mail *mail, void *owner, uint64_t wall_ms);
/* The owner has gone away; the mail is finished all the same. */
void intake_disown(struct intake_mail *mail);
/* Forgets a mail that was not committed. */
void intake_abort(struct intake_mail *mail);

/* --- posts that grow (growth.h) --- */

/*
 * A list may be too long to be taken in at once: the post is made with the first slice of its
 * recipients and a cursor, and further slices join it, one at a time, while the queue has room.
 * What a cursor means only the list knows: it is as durable as the slice that brought it, and after
 * a restart the list goes on from there.
 *
 *     intake_open, intake_rcpt ..., intake_set_cursor, intake_begin ... intake_commit
 *     intake_slice_room -> intake_open_slice, intake_rcpt ..., intake_set_cursor, intake_commit
 *     ... until one with SPOOL_CURSOR_DONE, in which there may be nobody
 */
void intake_set_cursor(struct intake_mail *mail, uint64_t cursor);
/* How many may join message 'id' now; 0: none before a later turn.  GROWTH_SLICE_RCPTS_MAX at most.
 */
uint32_t intake_slice_room(const struct intake *intake, uint64_t id);
/* false: it is whole, has expired, or was cancelled. */
bool intake_is_growing(const struct intake *intake, uint64_t id);
/* NULL: there is no room in the spool, or a slice is on its way.  It takes no content. */
struct intake_mail *intake_open_slice(struct intake *intake, uint64_t id);

struct intake_growing {
    uint64_t id, cursor;
    const struct message *message; /* the queue's, as long as it grows */
};
/* One that a start has found, not told before; false: none now.  They come up while the engine
 * loads what was found, so ask each turn. */
bool intake_next_growing(struct intake *intake, struct intake_growing *growing);
/* The engine's: all that was found of it is loaded. */
void intake_note_growing(struct intake *intake, struct message *m, uint64_t cursor);

struct intake_done {
    void *owner;        /* NULL: disowned, or nobody */
    enum status status; /* OK: it is on disk and in the queue */
    uint64_t id;
    uint32_t rcpt_count; /* of this transaction */
    bool is_report;
    uint64_t cursor; /* of a post that grows, or a slice; else SPOOL_CURSOR_DONE */
};
/* Takes what the spool has committed, hands it to the queue, tells the log; one at a time, false
 * when none is left. */
bool intake_take_done(struct intake *intake, struct intake_done *done, uint64_t now_ms,
                      uint64_t wall_ms);
