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
    MESSAGE_SMALL_RCPTS     = 64, /* up to so many are packed together when it is sealed */
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

/* What few messages have, or for a short time only. */
struct message_more {
    struct message *message;
    const char *flow_name;                  /* until it is sealed */
    struct heap_node report, delay, linger; /* the queue's clocks for it */
    uint64_t linger_end_ms;
    struct list in_open; /* the queue's, while it is_open */
    /* message_rcpt() finds them: those it was accepted with stand in one piece, those who joined
     * later in chunks of MESSAGE_CHUNK_RCPTS, because pointers to the first ones must hold. */
    uint32_t first_count, first_cap;
    struct recipient **chunks;
    uint32_t chunk_count, chunk_cap;
    struct arena arena; /* texts, until it is sealed; of a large message, and of who joined */
};

/* There may be millions, most of them for one recipient. */
struct message {
    union {
        struct table_id by_id;
        uint64_t id;
    };
    struct envelope envelope;
    struct flow *flow; /* NULL until the queue has it: message_flow() */
    void *content;     /* the spool's struct content: carried, never looked into */
    uint64_t arrival_wall_ms;
    struct heap_node expiry; /* the queue's clock: key is when, also when it does not run */
    struct recipient *rcpts; /* message_rcpt() */
    struct message_more *more;
    uint32_t rcpt_count;   /* all */
    uint32_t live;         /* not ENDED */
    uint32_t busy;         /* in jobs */
    uint32_t resting;      /* deferred or held: nothing happens to them soon */
    uint32_t owing;        /* OWES_FAILURE or OWES_SUCCESS */
    bool is_report : 1;    /* made by ourselves: a DSN */
    bool is_reporting : 1; /* FACT_REPORT_DUE was given, and no answer has come */
    bool is_sealed : 1;    /* the queue has it: pointers to recipients hold */
    bool may_linger : 1;   /* a list post: more of it is likely to come */
    bool is_cancelled : 1; /* as a whole: nobody shall join it any more */
    bool is_open : 1;      /* recipients may join: it is not done when all have ended */
};
enum { MESSAGE_BYTES_MAX = 136 };
_Static_assert(sizeof(struct message) <= MESSAGE_BYTES_MAX, "each single mail has one");

/* Texts are copied.  Recipients begin in RCPT_WAITING. */
struct message *message_new(uint64_t id, const struct envelope *envelope);
void message_set_flow(struct message *m, struct span flow);
/* The name of the flow. */
const char *message_flow(const struct message *m);
/* Returns the new recipient's index.  Pointers to recipients hold only once the message is sealed.
 */
uint32_t message_add_rcpt(struct message *m, const struct envelope_rcpt *rcpt);
/* It belongs to 'flow' from now on, shares its sender if that is the same, and takes no more room
 * than it needs: a small one is two pieces of memory.  Recipients stay where they are. */
void message_seal(struct message *m, struct flow *flow);

struct message_more *message_add_more(struct message *m);
/* Gives back what it had for a time, if it is neither open nor has anything there; its clocks of
 * these must not run. */
void message_tidy(struct message *m);

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
    const struct message_more *more = m->more;
    if (more == NULL || index < more->first_count)
        return &m->rcpts[index];
    index -= more->first_count;
    return &more->chunks[index / MESSAGE_CHUNK_RCPTS][index % MESSAGE_CHUNK_RCPTS];
}

/* Its batches, by the first recipient of each; start with *at = 0; NULL at the end.  Those at or
 * before the one just given may change meanwhile. */
struct batch *message_next_batch(const struct message *m, uint32_t *at);

/* As long as the queue has it; 0: it has expired. */
uint64_t message_expires_in_ms(const struct message *m, uint64_t now_ms);

/* It must not be in a queue.  The content stays the caller's. */
void message_free(struct message *m);
/* What it costs in memory. */
size_t message_memory(const struct message *m);
