/* SPDX-License-Identifier: MIT */
/*
 * Message: one accepted mail and the people it must reach.  It is built while it comes in
 * (message_new, message_add_rcpt), then given to the queue, which owns it from then on.  Engine
 * thread; a shard that holds a job may read envelope, content and size, which never change.
 */
#pragma once
#include "mta/base/arena.h"
#include "mta/base/heap.h"
#include "mta/base/list.h"
#include "mta/base/table.h"
#include "mta/mail/envelope.h"
#include "mta/mail/outcome.h"
#include <string.h>

struct batch;
struct flow;

enum {
    RECIPIENT_HOT_BYTES_MAX = 64, /* with its share of message and batch, but its address */
    RECIPIENT_BYTES_MAX     = 40,
    MESSAGE_CHUNK_RCPTS     = 64, /* allotted at once for those who join */
};

/* The last try, shared by all recipients that got the same reply. */
struct attempt_note {
    unsigned refs;
    struct attempt attempt; /* its texts stand behind this struct */
};

/* What an operator asked for while the recipient was in a job. */
enum rcpt_wish { RCPT_WISH_NONE, RCPT_WISH_HOLD, RCPT_WISH_CANCEL };

/* One person to reach.  Its index in the message is its name in the spool, and never changes. */
struct recipient {
    const char *address;       /* behind its NUL two more texts: ORCPT, data */
    struct recipient *next;    /* in its batch: a ring (batch_next) */
    struct batch *batch;       /* NULL once it waits for nothing more */
    struct attempt_note *last; /* NULL before the first try */
    uint32_t index;
    uint16_t attempts;
    uint8_t state : 3;     /* enum rcpt_state */
    uint8_t notify : 4;    /* enum envelope_notify */
    bool is_busy : 1;      /* in a job */
    uint8_t wish : 2;      /* enum rcpt_wish: an operator's, for when its job is home */
    bool is_late_told : 1; /* a delay report was made */
    bool is_chosen : 1;    /* scratch: by a selector, while a command runs */
    bool is_local : 1;     /* for ourselves */
};
_Static_assert(sizeof(struct recipient) <= RECIPIENT_BYTES_MAX, "there are millions");
_Static_assert(RCPT_STATE_COUNT <= 1 << 3 && NOTIFY_DELAY < 1 << 4, "they fit");

struct message {
    union {
        struct table_id by_id;
        uint64_t id;
    };
    struct envelope envelope;
    const char *message_id; /* without <>, "" if unknown */
    const char *flow_name;
    struct flow *flow;
    void *content; /* the spool's struct content: carried, never looked into */
    uint64_t content_bytes;
    uint64_t arrival_wall_ms, expire_wall_ms;
    bool is_report;
    struct heap_node expiry, report, delay; /* the queue's clocks for it */
    uint64_t expire_ms;
    /* message_rcpt() finds them: those it was accepted with stand in one piece, those who joined
     * later in chunks of MESSAGE_CHUNK_RCPTS, because pointers to the first ones must hold. */
    struct recipient *rcpts;
    uint32_t first_count, rcpt_cap;
    struct recipient **chunks;
    uint32_t chunk_count, chunk_cap;
    uint32_t rcpt_count;     /* all */
    uint32_t live;           /* not ENDED */
    uint32_t busy;           /* in jobs */
    uint32_t resting;        /* deferred or held: nothing happens to them soon */
    uint32_t owing;          /* OWES_FAILURE or OWES_SUCCESS */
    bool is_reporting;       /* FACT_REPORT_DUE was given, and no answer has come */
    bool is_sealed;          /* the queue has it: pointers to recipients hold */
    bool may_linger;         /* a list post: more of it is likely to come */
    bool is_cancelled;       /* as a whole: nobody shall join it any more */
    struct heap_node linger; /* the queue's clock for it, while it does */
    uint64_t linger_end_ms;
    bool is_open;        /* recipients may join: it is not done when all have ended */
    struct list in_open; /* the queue's, while it is */
    struct arena arena;  /* all its texts */
};

/* Texts of 'envelope', 'flow' and 'message_id' are copied.  Recipients begin in RCPT_WAITING. */
struct message *message_new(uint64_t id, const struct envelope *envelope);
void message_set_flow(struct message *m, struct span flow);
void message_set_message_id(struct message *m, struct span message_id);
/* Returns the new recipient's index.  Pointers to recipients hold only once the message is sealed.
 */
uint32_t message_add_rcpt(struct message *m, const struct envelope_rcpt *rcpt);
/* The recipients stay where they are from now on, and take no more room than they need. */
void message_seal(struct message *m);

static inline struct envelope_rcpt recipient_envelope(const struct recipient *r)
{
    const char *orcpt = r->address + strlen(r->address) + 1;
    return (struct envelope_rcpt){.address  = r->address,
                                  .orcpt    = orcpt,
                                  .notify   = r->notify,
                                  .is_local = r->is_local,
                                  .data     = orcpt + strlen(orcpt) + 1};
}

static inline struct recipient *message_rcpt(const struct message *m, uint32_t index)
{
    if (index < m->first_count)
        return &m->rcpts[index];
    index -= m->first_count;
    return &m->chunks[index / MESSAGE_CHUNK_RCPTS][index % MESSAGE_CHUNK_RCPTS];
}

/* Its batches, by the first recipient of each; start with *at = 0; NULL at the end.  Those at or
 * before the one just given may change meanwhile. */
struct batch *message_next_batch(const struct message *m, uint32_t *at);

/* It must not be in a queue.  The content stays the caller's. */
void message_free(struct message *m);
/* What it costs in memory, about. */
size_t message_memory(const struct message *m);
