/* SPDX-License-Identifier: MIT */
/*
 * Net, behind the door: streams between the product's conns and the ends that peers and sources
 * hold.  Bytes take time, arrive in pieces, and may be cut off at any place.
 *
 * The owner of an end is told by its 'happened' that something did: bytes in 'in', the end of them,
 * or a break.  It may close the end there.
 */
#pragma once
#include "mta/base/buf.h"
#include "mta/sys/net.h"
#include "tests/sim/sim_world.h"

struct plan_host;
struct sim_stream;

struct sim_end {
    struct sim_stream *stream; /* NULL: not connected, or closed */
    void (*happened)(struct sim_end *end);
    struct buf in;            /* what came; end_take() what was understood */
    bool is_ended, is_broken; /* the other side has finished; the connection is gone */
};

/* A place in what was written to the product, and when the product had read as far. */
struct sim_mark {
    struct list in_stream;
    uint64_t offset;
    uint64_t heard_ms; /* UINT64_MAX: not yet */
    bool is_lost;      /* it never will */
};

struct sim_net *net_new(void);

/* To the product's listener; false: nobody listens there. */
bool end_connect(struct sim_end *end, uint16_t port);
void end_write(struct sim_end *end, struct span bytes);
void end_take(struct sim_end *end, size_t bytes);
/* What was written still arrives. */
void end_close(struct sim_end *end);
/* It does not. */
void end_reset(struct sim_end *end);
/* The product crashed while it had this connection. */
bool end_is_orphan(const struct sim_end *end);
/* Marks the end of what was written so far. */
void end_mark(struct sim_end *end, struct sim_mark *mark);

/* The process is gone, and with the machine ('power') also what was on its way. */
void net_forget_process(bool power);
/* Conns the product holds, and its connections to the hosts of a site, opening ones too. */
size_t net_count_conns(void);
unsigned net_count_dialled(unsigned site);
