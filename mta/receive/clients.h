/* SPDX-License-Identifier: MIT */
/* Clients: how many connections each client holds: per IPv4 address, per IPv6 /64 (security.md 2).
 * An entry lives as long as it counts something. */
#pragma once
#include "mta/base/table.h"
#include "mta/sys/net.h"

struct clients {
    struct table by_prefix;
};

struct client;

void clients_init(struct clients *clients, uint64_t seed);
void clients_release(struct clients *clients); /* all have left */

/* One more connection; NULL when there are 'max' already. */
struct client *clients_enter(struct clients *clients, const struct net_address *address,
                             unsigned max);
void clients_leave(struct clients *clients, struct client *client);
