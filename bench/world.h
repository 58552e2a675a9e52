/* SPDX-License-Identifier: MIT */
/*
 * World: everything there is on the simulated Internet: hosts with addresses, domains with their MX
 * records, aliases.  Names are ASCII (A-labels), kept in lower case, without a final dot.  Things
 * are made while a scenario is read and live as long as the world.
 */
#pragma once
#include "bench/personality.h"
#include "bench/tally.h"
#include "mta/base/list.h"
#include "mta/base/table.h"

enum {
    WORLD_NAME_BYTES_MAX = 253,
    HOST_ADDRESSES_MAX   = 4,
    DOMAIN_MX_MAX        = 16,
    WORLD_ALIAS_HOPS_MAX = 8
};

struct host_address {
    uint8_t ip[16]; /* network order; the first 4 for IPv4 */
    bool is_ipv6;
};

struct host {
    struct table_node by_name;
    struct list in_world;
    struct host_address addresses[HOST_ADDRESSES_MAX];
    size_t address_count;
    struct personality p;
    unsigned action_uses[STAGE_COUNT];
    struct tally tally;
    struct list letters; /* whole messages, when p.store */
    void *service;       /* what listens for it, mx_server_uv.c */
    void *certificate;   /* internet_tls.c */
};

struct domain_mx {
    struct span name; /* as in the record */
    unsigned preference;
};

struct domain {
    struct table_node by_name;
    struct list in_world;
    struct domain_mx mx[DOMAIN_MX_MAX];
    size_t mx_count;
    struct personality p;
    struct span kind; /* the named personality it was generated with; empty */
    struct tally tally;
    uint64_t last_transaction; /* that brought something here: each counts once */
    struct list letters;       /* whole messages, when p.store */
};

struct alias {
    struct table_node by_name;
    struct span target;
    uint64_t ttl_s;
};

struct world {
    struct table hosts, domains, aliases;
    struct list all_hosts, all_domains; /* in the order of their making */
    size_t host_count, domain_count;
    uint32_t next_address; /* for hosts that were given none */
    struct arena arena;
};

void world_init(struct world *w);
void world_release(struct world *w);

/* A name in lower case, without final dot, kept; the empty span if it is none. */
struct span world_name(struct world *w, struct span text);

/* The new one, or the one that is there. */
struct host *world_host(struct world *w, struct span name);
struct domain *world_domain(struct world *w, struct span name);
struct alias *world_alias(struct world *w, struct span name);

/* Any case; NULL if there is none. */
struct host *world_find_host(const struct world *w, struct span name);
struct domain *world_find_domain(const struct world *w, struct span name);
struct alias *world_find_alias(const struct world *w, struct span name);

/* "127.1.2.3" or "::1"; false if it is none or there are too many. */
bool world_add_address(struct host *host, struct span text);
/* The next of 127.1.0.1, 127.1.0.2, ... */
void world_choose_address(struct world *w, struct host *host);
bool world_add_mx(struct world *w, struct domain *domain, struct span host, unsigned preference);

/* The records of 'domain' lead to 'host', through aliases too. */
bool world_serves(const struct world *w, const struct domain *domain, const struct host *host);

static inline struct host *host_of(struct list *in_world)
{
    return CONTAINER_OF(in_world, struct host, in_world);
}

static inline struct domain *domain_of(struct list *in_world)
{
    return CONTAINER_OF(in_world, struct domain, in_world);
}
