/* SPDX-License-Identifier: MIT */
/*
 * Domain: from the name behind the '@' to the site that takes its mail, and what is known of the
 * way there.
 *
 * 'site' is the last one known, so that listings can name it; it may be used only while the route
 * is KNOWN and has not expired.  A domain with no recipients is kept for a while, with its route.
 */
#pragma once
#include "mta/base/list.h"
#include "mta/base/table.h"
#include "mta/queue/batch.h"

struct site;

enum domain_route {
    ROUTE_NONE,
    ROUTE_WANTED, /* in queue->unrouted */
    ROUTE_ASKED,  /* queue_next_unrouted() gave it out */
    ROUTE_KNOWN,
    ROUTE_STATES
};

struct domain {
    struct table_node by_name;
    struct list in_site;
    struct list in_unrouted;
    struct list in_idle;
    struct list batches; /* those that wait at it: UNROUTED, LINGERING, READY */
    struct site *site;
    struct batch *gathering;             /* only while a message is taken in */
    uint64_t expires_ms;                 /* of a KNOWN route */
    uint64_t idle_ms;                    /* since when nothing waits */
    uint32_t waits[BATCH_STATES], total; /* recipients */
    uint8_t route;                       /* enum domain_route */
    char name[];
};

struct domain *domain_new(struct span name);
void domain_free(struct domain *d);
void domain_set_route(struct domain *d, enum domain_route next);
bool domain_is_routed(const struct domain *d, uint64_t now_ms);
