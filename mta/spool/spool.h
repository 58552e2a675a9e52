/* SPDX-License-Identifier: MIT */
/*
 * Spool: what was answered 250, on disk.  docs/SPOOL.md tells the format byte by byte and every
 * state a crash can leave.
 *
 * A log of checksummed records in numbered segments.  A message comes in as a draft: its content
 * streams into the log while it arrives; the commit record makes content, envelope and recipients
 * one message; outcomes are records in the same log.  Writing happens on the disk thread in groups:
 * while one group is written and synced the next gathers, and a commit is reported only by the
 * completion that covered it.
 *
 * Engine thread, except content_read(), which any thread may call.
 */
#pragma once
#include "mta/base/buf.h"
#include "mta/base/status.h"
#include "mta/mail/envelope.h"
#include "mta/mail/outcome.h"

struct loop;
struct spool;
struct draft;
struct content;

struct spool_config {
    const char *directory;
    uint64_t segment_bytes;     /* default 32 MiB */
    unsigned min_free_percent;  /* of the file system; below: spool_has_room() is false
                                   (limits.min_free_space) */
    uint64_t min_free_bytes;    /* the same, as an absolute number; the larger of both counts */
    unsigned outcome_delay_ms;  /* outcomes are synced at the latest after this (default 100) */
    unsigned outcome_count_max; /* or this many (default 1000) */
    uint64_t backlog_bytes_max; /* bytes gathered but not written: above, drafts want to wait
                                   (default 16 MiB) */
};

/* Nothing more of a list comes. */
#define SPOOL_CURSOR_DONE UINT64_MAX

/* What stands in a commit record beside the content.  Texts NUL-terminated, never NULL. */
struct spool_entry {
    uint64_t id;
    uint64_t arrival_wall_ms, expire_wall_ms;
    struct envelope envelope;
    const char *flow;
    const char *message_id;
    bool is_report; /* made by ourselves: a DSN */
    bool is_open;   /* transactions may join it, until spool_close_message() */
    /* A list is being expanded into it, slice by slice (draft_grow()): it is_open, also after a
     * restart, until a slice carries SPOOL_CURSOR_DONE. */
    bool is_growing;
    uint64_t cursor; /* is_growing: how far; for who expands the list to understand.  The highest
                        that was made durable counts. */
};

struct spool_rcpt {
    struct envelope_rcpt envelope;
    enum rcpt_state state;
    uint16_t attempts;
    uint64_t next_wall_ms;
    struct attempt last;
};

/* Opens, checks and recovers.  On failure a sentence in 'error' that names path, cause and remedy.
 */
enum status spool_open(struct spool **spool, struct loop *home, const struct spool_config *config,
                       struct buf *error);
/* Writes and syncs what is pending first; waits for the disk. */
void spool_close(struct spool *spool);

enum { SPOOL_PIECE_RCPTS = 2048 }; /* recipients given at once */

/* One message found at start, or the next piece of it. */
struct spool_recovered {
    struct spool_entry entry;
    struct content *content; /* with the first piece: a reference for the taker; then NULL */
    size_t rcpt_count;       /* also of ended ones: the index of a recipient never changes */
    size_t first, given;     /* 'rcpts' are those from index 'first' on; none is left out */
    bool is_last;            /* the next one is of another message */
    const struct spool_rcpt *rcpts;
};
/*
 * The next one, oldest first; false after the last.  Everything it points to holds until the next
 * call.  A large message comes in pieces, one behind the other.  Deliveries may begin before all
 * are taken, also of a message whose next piece is still to come: when its last recipient has
 * ended, or its records turn unreadable, an empty last piece follows.
 */
bool spool_take_recovered(struct spool *spool, struct spool_recovered *message);
struct spool_recovery {
    uint64_t segments, records, messages, recipients;
    uint64_t torn_bytes, corrupt_records, dropped_drafts;
    uint64_t last_id; /* the highest of all messages read, also of those that have ended */
    size_t left;      /* messages not yet taken */
};
void spool_recovery(const struct spool *spool, struct spool_recovery *recovery);

/* --- drafts: mail on its way in --- */

/* NULL when nothing can be taken in now (no room, poisoned); spool_refusal() says why. */
struct draft *draft_open(struct spool *spool);
/* Takes canonical content (mail/dot.h).  NO_SPACE, IO_ERROR: the draft is lost, only draft_abort()
 * remains. */
enum status draft_write(struct draft *draft, struct span content);
/* The disk lags behind: write no more to this draft before spool_turn() has brought it down (read
 * no more from the client). */
bool draft_should_wait(const struct draft *draft);
uint64_t draft_bytes(const struct draft *draft);
/* A finished or unfinished draft is forgotten; nothing of it will be found at recovery.  One whose
 * commit is on its way to the disk comes to its end unheard: it may be found. */
void draft_abort(struct draft *draft);
/*
 * Asks for durability.  Entry and recipients are copied before the call returns.  'ends' are
 * recipients of other messages that end with this commit, in the same record (a report and the
 * recipients it tells of).  The answer comes through spool_take_committed().
 */
struct spool_end {
    uint64_t id;
    uint32_t rcpt;
};
void draft_commit(struct draft *draft, const struct spool_entry *entry,
                  const struct envelope_rcpt *rcpts, size_t rcpt_count,
                  const struct spool_end *ends, size_t end_count);
/*
 * The same for recipients who join message 'id', which is open, instead of making a message:
 * nothing was written to this draft.  OK: they are its last recipients, in the order of answers,
 * and no content comes with it.  Refused: the message is as it was.  The message may still be on
 * its way itself: if it is refused, so is who joins it.
 */
void draft_join(struct draft *draft, uint64_t id, const struct envelope_rcpt *rcpts,
                size_t rcpt_count);
/* The same for the next slice of a list, whose cursor moves with it; there may be nobody in it.
 * With SPOOL_CURSOR_DONE it is the last: spool_close_message() follows when it is durable. */
void draft_grow(struct draft *draft, uint64_t id, const struct envelope_rcpt *rcpts,
                size_t rcpt_count, uint64_t cursor);
/* Nobody joins it any more: it may go when its last recipient has ended.  Unknown ids are fine. */
void spool_close_message(struct spool *spool, uint64_t id);
void draft_set_owner(struct draft *draft,
                     void *owner); /* may be NULL when the client has gone meanwhile */
void *draft_owner(const struct draft *draft);
uint64_t
draft_id(const struct draft *draft); /* of the message, after draft_commit() or draft_join() */

/*
 * The next draft whose commit has ended; NULL when none.  OK: it survives any crash from now on,
 * and *content is a reference for the taker. Anything else: it is as if it had never been; the
 * client gets 451.  The draft is freed by draft_abort() in both cases.
 */
struct draft *spool_take_committed(struct spool *spool, enum status *status,
                                   struct content **content);

/* --- facts about recipients --- */

/* Notes the state of recipient 'rcpt' of message 'id'; durable at the latest after
 * outcome_delay_ms.  When the last one has ENDED, and the message is not open, it is gone from the
 * spool. */
void spool_note(struct spool *spool, uint64_t id, uint32_t rcpt, enum rcpt_state state,
                uint16_t attempts, uint64_t next_wall_ms, const struct attempt *last);

/*
 * Compaction asks for the present state of some recipients of a message, so that old records of it
 * can go: answer with spool_put_checkpoint() before the next call into the spool.  false: nothing
 * is asked.
 */
bool spool_wants_checkpoint(struct spool *spool, uint64_t *id, uint32_t *first, uint32_t *count);
/* Those of them that have not ended; 'indexes' are theirs. */
void spool_put_checkpoint(struct spool *spool, uint64_t id, const uint32_t *indexes,
                          const struct spool_rcpt *rcpts, size_t count);

/* --- turning --- */

/* What waits goes to the disk now, if that is free: so that it syncs while other work of the turn
 * is done.  The other half of spool_turn(), which does it once more. */
void spool_submit(struct spool *spool, uint64_t now_ms);
/* Once per loop turn, after the work: hands the gathered group to the disk thread, takes back what
 * is done, compacts a bounded piece.  Returns when it wants to run again. */
uint64_t spool_turn(struct spool *spool, uint64_t now_ms);
/* Everything noted so far is on disk. */
bool spool_is_idle(const struct spool *spool);

/* Whether new mail may be taken: free space above the marks, no storage failure.  If not, a
 * sentence says why. */
bool spool_has_room(const struct spool *spool);
const char *spool_refusal(const struct spool *spool);
/* Two storage failures: no new mail until a restart; the daemon drains from memory and exits
 * non-zero. */
bool spool_is_broken(const struct spool *spool);
/* Something to tell the operator (a poisoned segment, a quarantined record, low space): one
 * sentence at a time; false when none. */
bool spool_take_alarm(struct spool *spool, struct buf *sentence);

struct spool_stats {
    uint64_t segments, bytes_used, bytes_live, bytes_free;
    uint64_t commits, appends, groups, syncs, bytes_written, outcomes;
    uint64_t bytes_zeroed;           /* ahead of what is written, in files that are new */
    uint64_t made, recycled;         /* segments: files made anew, files used again */
    uint64_t commit_latency_us_last; /* reserved for metrics: 0 if not measured */
};
void spool_stats(const struct spool *spool, struct spool_stats *stats);
/* What it keeps in memory of messages, about: cheap enough to be asked for every mail. */
size_t spool_memory_bytes(const struct spool *spool);

/* --- content --- */

/* Counted on the engine thread only; a content whose references are gone is closed, and its bytes
 * on disk are garbage once its message has ended. */
struct content *content_hold(struct content *content);
void content_release(struct content *content);
uint64_t content_bytes(const struct content *content);
/* Any thread that knows the content is held.  OK with *got > 0, END, CORRUPT (checksum), IO_ERROR.
 */
enum status content_read(const struct content *content, uint64_t offset, char *into, size_t cap,
                         size_t *got);
