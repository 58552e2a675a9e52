/* SPDX-License-Identifier: MIT */
/*
 * Stream: the bytes between two sides, one half each way; between sim_net.c (the streams and the
 * world's ends) and sim_conn.c (the product's conns).
 *
 *     conn (product)  --- half[OUT] --->  end (peer, source)
 *                     <-- half[IN] -----
 */
#pragma once
#include "tests/sim/sim_net.h"

enum { OUT, IN, HALVES };

struct half {
    struct buf bytes; /* written and not taken */
    size_t arrived;   /* IN: the first of them, which may be read */
    uint64_t written, taken;
    bool is_finished; /* nothing more will be written */
    bool has_ended;   /* and all of it has arrived */
    struct sim_event arrival;
    struct sim_stream *stream;
};

struct sim_stream {
    struct list in_net;
    struct half half[HALVES];
    struct net_conn *conn; /* NULL: the product has closed it, or did not accept it yet */
    struct sim_end *end;   /* NULL: closed */
    bool awaits_accept;
    size_t window;                      /* what the product may have on its way */
    uint64_t reset_after, freeze_after; /* bytes arrived, both ways */
    uint64_t arrived;
    bool is_broken, is_frozen;
    bool is_orphan; /* the product has left it in a crash */
    struct list marks;
};

struct sim_net {
    struct list streams, conns, listeners;
    unsigned dialled[64]; /* by site */
};

struct sim_stream *stream_new(struct sim_end *end);
/* How many bytes the product may write. */
size_t stream_room(const struct sim_stream *stream);
/* The product has written to its half. */
void stream_wrote(struct sim_stream *stream);
/* The product has taken bytes from its half. */
void stream_took(struct sim_stream *stream);
/* The product lets go; 'power': without a word to the other side. */
void stream_leave(struct sim_stream *stream, bool power);

/* sim_conn.c: the state of the stream has changed. */
void conn_note(struct net_conn *conn);
