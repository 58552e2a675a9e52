/* SPDX-License-Identifier: MIT */
/*
 * Router: where the mail of a domain goes: by the operator's routes, else by MX.  It turns names
 * into the sites of the queue: all domains behind one MX set are one site. Engine thread.
 */
#pragma once
#include "dns/mx.h"
#include "mta/queue/queue.h"

/* Instead of MX. */
struct router_route {
    const char *domain; /* domain_matches() pattern */
    struct site_target target;
};

/* Borrowed until replaced. */
struct router_settings {
    const struct router_route *routes; /* the first match wins */
    size_t route_count;
    uint16_t port; /* where MX hosts are met */
};

struct router;

struct router *router_open(struct loop *loop, struct queue *queue, const struct dns_config *dns,
                           const struct router_settings *settings, struct buf *error);
void router_close(struct router *router);
void router_set_settings(struct router *router, const struct router_settings *settings);

/* Start of the turn: moves look-ups on; returns when it wants to be called again. */
uint64_t router_turn(struct router *router, uint64_t now_ms);
/* Asks for every domain the queue wants routed, and tells it what is known. */
void router_pump(struct router *router, uint64_t now_ms);
const struct dns *router_dns(const struct router *router);
