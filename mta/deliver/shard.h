/* SPDX-License-Identifier: MIT */
/*
 * Shard: one delivery thread's world: its loop, its resolver, the pools of the sites that belong to
 * it.  Jobs come in from the engine, go home with their outcomes, in batches; nothing else is
 * shared.
 *
 * shard_open, shard_give, shard_tell and shard_close are called by the engine thread; shard_run is
 * the thread's body.
 */
#pragma once
#include "dns/mx.h"
#include "mta/base/list.h"
#include "mta/deliver/settings.h"
#include <stdatomic.h>

struct job;
struct mailbox;
struct shard;

enum { SHARD_CONN_KIND = 0x5e551047 };

struct shard_config {
    unsigned index;
    struct loop *loop; /* whose turns call shard_turn(); NULL: one of its own, for shard_run() */
    const struct deliver_settings
        *settings; /* the first; alive until it comes home by shard_tell() */
    struct dns_config dns;
    uint64_t seed;
    struct mailbox *home;        /* jobs with outcomes go there */
    struct mailbox *orders_home; /* orders that were carried out go there */
};

/* NULL with a sentence in 'error'. */
struct shard *shard_open(const struct shard_config *config, struct buf *error);
/*
 * Without a thread: one turn, in a turn of that loop; returns when it wants the next.  Jobs that
 * are given wake nobody then, nor do those that go home: it is called after the one, before the
 * other.
 */
uint64_t shard_turn(void *shard, uint64_t now_ms);
/* A conn of that loop is ready whose owner begins with SHARD_CONN_KIND.  Before shard_turn(). */
void shard_on_ready(struct shard *shard, void *owner, unsigned ready, uint64_t now_ms);
/* The thread's body: runs until SHARD_STOP is carried out.  'shard' is a struct shard. */
void shard_run(void *shard);
/* After the thread has ended. */
void shard_close(struct shard *shard);

/* A list of struct job by link: they change hands. */
void shard_give(struct shard *shard, struct list *jobs);

enum shard_verb {
    SHARD_SETTINGS, /* for sessions dialled from now on; comes home with the old ones in 'settings'
                     */
    SHARD_DRAIN, /* start nothing more: jobs not on the wire come home undecided, idle sessions quit
                  */
    SHARD_STOP,  /* end: what is still on the wire is cut; comes home when all jobs are home */
};
struct shard_order {
    struct list link;
    enum shard_verb verb;
    const struct deliver_settings *settings;
};
void shard_tell(struct shard *shard, struct shard_order *order);

/* Counted by the shard, readable by anybody at any time. */
struct shard_stats {
    atomic_size_t sessions, idle, jobs;
    atomic_uint_fast64_t dials, dial_failures, reuses, tls_handshakes, tls_resumed, tls_failures,
        plain_fallbacks, lookups, writes, moves, stumbles, kept_senders;
};
const struct shard_stats *shard_stats(const struct shard *shard);
