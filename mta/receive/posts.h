/* SPDX-License-Identifier: MIT */
/*
 * Posts: messages that are still open.  A list manager hands one post over in many transactions;
 * those with the same key (whose mail it is, and its content) that come while the post is open join
 * it.
 *
 *     posts_open -> (durable: post_settle) -> posts_find, post_take ... -> closed: a while after
 * the last transaction, when there are too many, or at the end; never while one is on its way
 *
 * The newest post with a key is the one that is found.  Engine thread.
 */
#pragma once
#include "mta/base/list.h"
#include "mta/base/table.h"
#include "mta/mail/digest.h"
#include "mta/queue/queue.h"
#include "mta/receive/prints.h"
#include "mta/spool/spool.h"

enum {
    POSTS_MAX        = 4096, /* open at once: the one unused the longest closes */
    POST_RCPTS_MAX   = 1 << 22,
    POST_AGE_MAX_MS  = 3600000,  /* nobody joins one that is older: it expires as a whole */
    POSTS_BYTES_MAX  = 64 << 20, /* of what tells who is in them */
    POST_CONTENT_MAX = 16 << 20, /* bytes: longer ones are not joined */
};

struct post_key {
    unsigned char bytes[DIGEST_BYTES];
};

struct post {
    struct table_node by_key;
    struct list in_recent; /* the longest unused first */
    struct post_key key;
    uint64_t id;
    struct message *message;             /* the queue's; NULL until it is durable */
    struct content *content;             /* a reference, from then on */
    uint64_t client_bytes, prefix_bytes; /* of the content: what the client sent, and ours before */
    struct prints prints;
    uint64_t opened_ms, used_ms;
    unsigned pending; /* transactions on their way to the disk, with the first */
    bool is_closing;  /* found no more */
};

struct posts {
    struct spool *spool;
    struct queue *queue;
    uint64_t seed;
    struct table by_key;
    struct list recent;
    size_t count, bytes;
};

void posts_init(struct posts *posts, struct spool *spool, struct queue *queue, uint64_t seed);
/* The messages stay as they are. */
void posts_release(struct posts *posts);

/* NULL: there is none, or it is too old or too large. */
struct post *posts_find(struct posts *posts, const struct post_key *key, uint64_t now_ms);
/* Its first transaction is on its way. */
struct post *posts_open(struct posts *posts, const struct post_key *key, uint64_t id,
                        uint64_t now_ms);
/* These recipients join: one more transaction is on its way.  false: one of them is in it already,
 * or it is full. */
bool post_take(struct posts *posts, struct post *post, const struct message *joins);
/* One that was on its way has ended.  Not OK: nobody joins any more. */
void post_end(struct posts *posts, struct post *post, enum status status, uint64_t now_ms);
/* Closes what was not used for 'join_ms'; returns when the next one is due, or UINT64_MAX. */
uint64_t posts_turn(struct posts *posts, uint64_t join_ms, uint64_t now_ms);
void posts_close_all(struct posts *posts, uint64_t now_ms);
