/* SPDX-License-Identifier: MIT */
/*
 * Servers: the name servers we ask, in the form that c-ares wants.  Private to dns.
 */
#pragma once
#include "dns/resolver.h"
#include <ares.h>

enum { SERVERS_MAX = 8 };

struct servers {
    struct ares_addr_port_node nodes[SERVERS_MAX]; /* 'next' does not count */
    size_t count;
};

/* Those of the configuration, maybe none.  false: a sentence in 'error'. */
bool servers_parse(struct servers *servers, const struct resolver_config *config,
                   struct buf *error);
/* Adds those of resolv.conf; false: there are none. */
bool servers_of_system(struct servers *servers);
/* All of them, beginning with the one at 'first', for a channel without open questions, whose
 * sockets are closed by that.  false: no memory. */
bool servers_give(const struct servers *servers, size_t first, ares_channel ares);
