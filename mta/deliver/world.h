/* SPDX-License-Identifier: MIT */
/* World: what shard, pool and session share of one shard; private to mta/deliver. */
#pragma once
#include "mta/base/heap.h"
#include "mta/base/rng.h"
#include "mta/base/table.h"
#include "mta/deliver/bodies.h"
#include "mta/deliver/peers.h"
#include "mta/deliver/render.h"
#include "mta/deliver/shard.h"
#include "mta/deliver/signers.h"
#include "mta/mail/token.h"
#include "mta/tls/context.h"

struct shard {
    unsigned index;
    struct loop *loop;
    struct dns *dns;
    const struct deliver_settings *settings;
    struct tls_context *tls_opportunistic;
    struct tls_context *tls_required; /* NULL until it is needed, without a ca_file */
    struct rng rng;
    uint64_t now_ms;
    bool is_draining, is_stopping;
    bool has_thread; /* and a loop of its own */

    struct mailbox *inbox, *orders;     /* from the engine */
    struct mailbox *home, *orders_home; /* to the engine */
    struct list done;                   /* jobs to go home at the end of this turn */
    struct list orders_done;
    struct shard_order *stop; /* carried out when the last session is gone */

    struct table pools;    /* by site id */
    struct table groups;   /* by group id */
    struct list runnable;  /* pools with something to start */
    struct list suspects;  /* pools that may be empty */
    struct heap deadlines; /* sessions */
    struct heap patience;  /* pools */
    struct list sessions;  /* all that live */
    struct list graves;    /* sessions that died in this turn */
    struct peers peers;
    struct bodies bodies;
    struct signers signers;
    struct tokens *tokens; /* NULL: no lists */
    struct shard_stats stats;

    struct buf stuffed;               /* a piece of body on its way to the wire */
    struct span piece;                /* of it, in the hands of a client core */
    char scratch[RENDER_PIECE_BYTES]; /* content on its way into stuffed */
    char heard[16384];                /* what was just read from a peer */
};
