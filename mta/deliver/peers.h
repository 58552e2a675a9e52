/* SPDX-License-Identifier: MIT */
/*
 * Peers: what a shard remembers of the hosts it met: a TLS session to resume, and that TLS with a
 * host does not work. Bounded: the one not met for longest is forgotten.  One thread.
 */
#pragma once
#include "mta/base/list.h"
#include "mta/base/table.h"
#include "mta/tls/engine.h"

enum { PEERS_MAX = 20000, PEER_PLAIN_MS = 3600000 };

struct peer {
    struct table_node by_name;
    struct list by_age;
    struct tls_session *session; /* the newest, used once; NULL */
    bool tls_failed;             /* the last handshake did not succeed */
    uint64_t
        plain_until_ms; /* clear text was tried after that and worked: go on with it until then */
    char name[];        /* "host[ip]:port" */
};

struct peers {
    struct table by_name;
    struct list by_age; /* the one met last at the end */
};

void peers_init(struct peers *peers, uint64_t seed);
void peers_release(struct peers *peers);
/* Never NULL; made when missing.  Holds until another one is met. */
struct peer *peers_meet(struct peers *peers, struct span name);
/* NULL when unknown. */
struct peer *peers_find(struct peers *peers, struct span name);
