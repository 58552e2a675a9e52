/* SPDX-License-Identifier: MIT */
/*
 * Bodies: the bodies of list posts as they leave, rendered once for all jobs of a message on this
 * shard, and read from there without another copy.  Bounded: the one not used for longest goes,
 * and each goes when nobody has asked for it for a while.  One thread.
 */
#pragma once
#include "mta/base/buf.h"
#include "mta/base/list.h"
#include "mta/base/status.h"
#include "mta/base/table.h"

struct content;

enum {
    BODY_BYTES_MAX   = 1 << 20, /* of content; larger ones are rendered piece by piece, each time */
    BODIES_BYTES_MAX = 32 << 20, /* kept by one shard, beside those being sent */
    BODY_IDLE_MS     = 10000,
};

struct body_key {
    uint64_t message_id, is_chunk;
};

struct body {
    struct table_node by_key;
    struct list by_age;
    struct body_key key;
    unsigned refs; /* who is sending it */
    bool is_kept;  /* it can be found */
    uint64_t used_ms;
    struct buf bytes;
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
 * The body of the message, with a reference for the taker.  'is_chunk' and what goes wrong: as in
 * render.h; *body is NULL then.  'scratch' holds RENDER_PIECE_BYTES.
 */
enum status bodies_take(struct bodies *bodies, const struct content *content,
                        const struct body_key *key, char *scratch, uint64_t now_ms,
                        struct body **body);
void body_give(struct body *body); /* NULL is fine */
/* Forgets what was idle for long enough.  Returns when the next one will have been; UINT64_MAX:
 * none. */
uint64_t bodies_turn(struct bodies *bodies, uint64_t now_ms);
