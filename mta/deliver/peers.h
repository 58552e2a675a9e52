/* SPDX-License-Identifier: MIT */
/*
 * Peers: what a shard remembers of the hosts it met: TLS sessions to resume, and that TLS with a
 * host does not work. Bounded: the one not met for longest is forgotten.  One thread.
 */
#pragma once
#include "mta/base/list.h"
#include "mta/base/table.h"
#include "mta/tls/tickets.h"

enum {
    PEERS_MAX         = 20000,
    PEER_PLAIN_MS     = 3600000,
    PEER_SLOW_MS      = 600000,
    PEER_GREETING_MS  = 86400000,
    PEER_DISTRUST_MS  = 86400000, /* how long what a host stumbled over is not tried again */
    PEER_STUMBLES_MAX = 2,        /* one may be chance */
};

/* What a host may stumble over. */
enum peer_trouble {
    PEER_STUMBLED,    /* over an envelope behind a body: lost, or answered out of step */
    PEER_OUT_OF_STEP, /* over PIPELINING as such */
    PEER_NO_BDAT,     /* it offers BDAT, and does not know it or never answers: once is enough */
    PEER_TROUBLES,
    PEER_WALKS = PEER_TROUBLES, /* an envelope behind a body was answered as it should be */
};

/*
 * What a host said of itself when it was greeted last.  A connection that is still on its way is
 * planned by it; what is done on one is decided by what the host says there.
 */
struct peer_greeting {
    uint64_t until_ms;   /* 0: it was never greeted */
    unsigned extensions; /* enum smtp_ext bits, behind TLS where there was TLS */
    unsigned mail_max;   /* LIMITS MAILMAX; 0: none */
    bool says_exim;
    bool was_secured;
};

struct peer {
    struct table_node by_name;
    struct list by_age;
    struct tls_tickets tickets; /* of opportunistic connections */
    bool tls_failed;            /* the last handshake did not succeed */
    uint64_t
        plain_until_ms; /* clear text was tried after that and worked: go on with it until then */
    struct peer_greeting greeting;
    uint64_t slow_until_ms; /* it did not take a connection, or another address was faster */
    unsigned char stumbles, breaks; /* PEER_STUMBLED, PEER_OUT_OF_STEP, in a row */
    uint64_t distrusted_until_ms[PEER_TROUBLES];
    char name[]; /* "host[ip]:port" */
};

struct peers {
    struct table by_name;
    struct list by_age; /* the one met last at the end */
};

void peers_init(struct peers *peers, uint64_t seed);
void peers_release(struct peers *peers);
/* Never NULL; made when missing.  Holds until another one is met. */
struct peer *peers_meet(struct peers *peers, struct span name);
void peer_note(struct peer *peer, enum peer_trouble trouble, uint64_t now_ms);
/* Whether it is trusted not to stumble; one never met (NULL) is. */
bool peer_may(const struct peer *peer, enum peer_trouble trouble, uint64_t now_ms);
/*
 * Keeps the greeting for a day.  True: it was secured before, and this one is not; told once, until
 * it is secured again.
 */
bool peer_hear(struct peer *peer, const struct peer_greeting *greeting, uint64_t now_ms);
/* NULL when unknown. */
struct peer *peers_find(struct peers *peers, struct span name);
