/* SPDX-License-Identifier: MIT */
/*
 * Control: the operator's door: a UNIX socket on which a request is one line of words
 * ("queue status=deferred --json") and the answer is lines, the last of which is a dot and an exit
 * code of <sysexits.h> (".0").  A line of the answer that begins with a dot gets another one.
 *
 * Only root and the user we run as are heard.  Long listings are made a slice a turn, as fast as
 * the client reads.  Engine thread.
 */
#pragma once
#include "mta/base/buf.h"

struct config;
struct control;
struct loop;
struct net_conn;
struct queue;
struct receive;
struct shard;
struct spool;
struct tokens;

/* Turns of the engine that kept everybody waiting; see docs/man/mailraced.8. */
enum { LONG_TURN_MS = 100 };
struct long_turns {
    uint64_t count, longest_ms;
};

/* The first field of whatever owns a conn or listener here: 'unsigned kind'. */
enum { CONTROL_KIND = 0xc0474017 };

/* Copied, with the array of shards; what it points to must outlive the control. */
struct control_world {
    struct loop *loop;
    struct queue *queue;
    struct spool *spool;
    struct receive *receive;
    struct shard *const *shards;
    unsigned shard_count;
    const struct config *config;
    const struct long_turns *long_turns;
    struct tokens *const *tokens; /* the engine's, which change with the settings; NULL: none */
    uint64_t started_wall_ms;
};

/* NULL with a sentence in 'error'. */
struct control *control_open(const struct control_world *world, const char *path,
                             struct buf *error);
/* Cuts all connections. */
void control_close(struct control *control);

/* Events: what net_take_accepted() and net_take_ready() gave, when the kind of their owner is
 * CONTROL_KIND. */
void control_on_accepted(struct control *control, struct net_conn *conn);
void control_on_ready(void *owner, unsigned ready);
/* Listings go on, idle connections are cut, dead ones freed.  Returns when it wants to run again.
 */
uint64_t control_turn(struct control *control, uint64_t now_ms, uint64_t wall_ms);
/* The snapshot that counts from now on; the one before may go. */
void control_set_config(struct control *control, const struct config *config);

/* What a client asked for that only the engine can do; CONTROL_RELOAD must be answered. */
enum control_order { CONTROL_NOTHING, CONTROL_RELOAD, CONTROL_STOP };
enum control_order control_take_order(struct control *control);
/* Answers the reload: exit code 0 or 78, and the text. */
void control_order_done(struct control *control, bool is_good, const char *text);
