/* SPDX-License-Identifier: MIT */
/*
 * Bodies: what is made once for all jobs of a message on this shard: the body of a list post as it
 * leaves, read from there without another copy, and what a letter needs to be signed and addressed
 * (letter.h).  Bounded: the one not used for longest goes, and each goes when nobody has asked for
 * it for a while.  One thread.
 */
#pragma once
#include "mta/base/buf.h"
#include "mta/base/list.h"
#include "mta/base/status.h"
#include "mta/base/table.h"
#include "mta/mail/digest.h"

struct content;
struct merge;

enum {
    BODY_BYTES_MAX   = 1 << 20, /* of content; larger ones are rendered piece by piece, each time */
    BODIES_BYTES_MAX = 32 << 20, /* kept by one shard, beside those being sent */
    BODY_IDLE_MS     = 10000,
};

enum body_kind {
    BODY_DATA,  /* with stuffed dots and the end mark */
    BODY_CHUNK, /* for BDAT */
    BODY_REST,  /* added to one of those: from the end of the header section on, where that differs
                   from recipient to recipient */
    BODY_SEAL = 4, /* signatures that are the same for everybody, or the holes and the hash of the
                      body */
};

struct body_key {
    uint64_t message_id, kind; /* enum body_kind */
};

struct body {
    struct table_node by_key;
    struct list by_age;
    struct body_key key;
    unsigned refs; /* who is sending it */
    bool is_kept;  /* it can be found */
    uint64_t used_ms;
    struct buf bytes;
    size_t cost;         /* while it is kept */
    struct merge *merge; /* of a seal; NULL: no holes */
    unsigned char hash[DIGEST_BYTES];
};

struct bodies {
    struct table by_key;
    struct list by_age; /* the one used last at the end */
    size_t bytes;
};

void bodies_init(struct bodies *bodies, uint64_t seed);
/* Nobody sends one any more. */
void bodies_release(struct bodies *bodies);

/*
 * The body of the message from 'skip' on, with a reference for the taker.  What goes wrong: as in
 * render.h; *body is NULL then.  'scratch' holds RENDER_PIECE_BYTES.
 */
enum status bodies_take(struct bodies *bodies, const struct content *content,
                        const struct body_key *key, uint64_t skip, char *scratch, uint64_t now_ms,
                        struct body **body);
/* Whatever stands under this key, with a reference; NULL: nothing. */
struct body *bodies_find(struct bodies *bodies, const struct body_key *key, uint64_t now_ms);
/* An empty one with one reference, that nobody else can find. */
struct body *body_new(const struct body_key *key);
/* It is complete, and others may find it. */
void bodies_keep(struct bodies *bodies, struct body *body, uint64_t now_ms);
void body_give(struct body *body); /* NULL is fine */
/* Forgets what was idle for long enough.  Returns when the next one will have been; UINT64_MAX:
 * none. */
uint64_t bodies_turn(struct bodies *bodies, uint64_t now_ms);
