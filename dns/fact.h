/* SPDX-License-Identifier: MIT */
/*
 * Fact: what one answer said about one name and type, and until when it holds.  Immutable, shared
 * and counted: the cache holds one reference, everybody who works with it another.
 */
#pragma once
#include "dns/packet.h"
#include "mta/base/list.h"
#include "mta/base/table.h"

enum { DNS_FAILURE_TTL_S = 30, DNS_KEY_BYTES_MAX = DNS_NAME_BYTES_MAX + 2 };

enum dns_outcome {
    DNS_RECORDS, /* at least one of the type asked for, at the end of the CNAMEs if there are any */
    DNS_ALIAS,   /* the CNAMEs lead to a name this answer says nothing about */
    DNS_NO_DATA, /* the name is there, the type is not */
    DNS_NO_NAME, /* NXDOMAIN */
    DNS_FAILED,  /* SERVFAIL and the like, an answer nobody understands, a CNAME loop */
    DNS_SILENT,  /* no answer at all */
};

struct dns_fact {
    enum dns_type type;
    enum dns_outcome outcome;
    bool is_authentic;
    unsigned hops;       /* CNAMEs followed inside the answer */
    uint64_t expires_ms; /* in the time base of 'now_ms' */
    struct span name, key;

    size_t cost_bytes;
    /* private: */
    unsigned references;
    size_t data_bytes;
    struct table_node by_key; /* of the cache */
    struct list in_use_order;
    char bytes[]; /* key, then records, each behind its length */
};

/* A name and type as one key; as long as 'into' lives. */
struct span dns_key(struct span name, enum dns_type type, char into[DNS_KEY_BYTES_MAX]);

/* What 'packet' says about 'name' (clean, lower case) and 'type'.  Never NULL: what cannot be
 * understood is DNS_FAILED. */
struct dns_fact *dns_fact_read(struct span name, enum dns_type type, struct span packet,
                               uint64_t now_ms);
/* What there is to say when no server said anything. */
struct dns_fact *dns_fact_failed(struct span name, enum dns_type type, enum dns_outcome outcome,
                                 uint64_t now_ms);

struct dns_fact *dns_fact_share(struct dns_fact *fact);
void dns_fact_drop(struct dns_fact *fact); /* NULL is fine */

/* The name a DNS_ALIAS leads to. */
struct span dns_fact_alias(const struct dns_fact *fact);

/*
 * The records of a DNS_RECORDS in the order they came, start with *at = 0; false at the end.  Their
 * bytes are those of the wire, only that an MX target is text: two bytes of preference and the
 * name.
 */
bool dns_fact_next(const struct dns_fact *fact, size_t *at, struct span *record);
