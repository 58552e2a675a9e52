/* SPDX-License-Identifier: MIT */
/*
 * Packet: DNS questions and answers on the wire (RFC 1035, 6891, 2181), written and read by
 * ourselves, because we need TTLs, the AD bit and record types that no parser at hand gives
 * (docs/decisions).  Every length is checked against what remains; compression pointers only go
 * backwards.
 */
#pragma once
#include "mta/base/buf.h"
#include "mta/base/status.h"

enum {
    DNS_NAME_BYTES_MAX  = 255,
    DNS_UDP_BYTES       = 1232, /* announced by EDNS: fits one frame everywhere */
    DNS_RECORDS_MAX     = 100,  /* of an answer that are looked at (security.md 2) */
    DNS_CNAME_DEPTH_MAX = 8,
    DNS_TTL_MIN_S       = 5,
    DNS_TTL_MAX_S       = 86400,
};

enum dns_type {
    DNS_A     = 1,
    DNS_NS    = 2,
    DNS_CNAME = 5,
    DNS_SOA   = 6,
    DNS_PTR   = 12,
    DNS_MX    = 15,
    DNS_TXT   = 16,
    DNS_AAAA  = 28,
    DNS_OPT   = 41,
    DNS_TLSA  = 52
};

enum dns_rcode {
    DNS_NOERROR  = 0,
    DNS_FORMERR  = 1,
    DNS_SERVFAIL = 2,
    DNS_NXDOMAIN = 3,
    DNS_NOTIMP   = 4,
    DNS_REFUSED  = 5
};

/* A query with recursion desired, the AD bit and an OPT record.  false: 'name' does not fit the
 * wire form. */
bool dns_write_query(struct buf *into, struct span name, enum dns_type type, uint16_t id);

struct dns_record {
    char name[DNS_NAME_BYTES_MAX + 1]; /* lower case, no dot at the end; "" is the root */
    enum dns_type type;
    uint32_t ttl_s;
    uint16_t preference;                 /* MX */
    char target[DNS_NAME_BYTES_MAX + 1]; /* MX, CNAME, NS, PTR */
    uint8_t ip[16];                      /* A (4 bytes), AAAA */
    struct span data;                    /* the rdata as it stands, inside the packet */
};

struct dns_answer {
    struct span packet;
    uint16_t id;
    enum dns_rcode rcode;
    bool is_truncated, is_authentic; /* TC, AD */
    char question[DNS_NAME_BYTES_MAX + 1];
    enum dns_type question_type;
    uint32_t negative_ttl_s; /* RFC 2308: from the SOA in the authority section, clipped;
                                DNS_TTL_MIN_S if there is none */
    unsigned left;           /* private: answer records not read yet */
    size_t at;               /* private */
};

/* CORRUPT: no DNS answer.  The packet is borrowed as long as the answer is used. */
enum status dns_answer_parse(struct dns_answer *answer, struct span packet);
/* The next record of the answer section: OK, END, CORRUPT. */
enum status dns_answer_next(struct dns_answer *answer, struct dns_record *record);
