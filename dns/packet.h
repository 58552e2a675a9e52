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
    DNS_RECORDS_MAX     = 100,  /* of an answer that are looked at */
    DNS_CNAME_DEPTH_MAX = 8,
    DNS_TTL_MIN_S       = 5,
    DNS_TTL_MAX_S       = 86400,
    DNS_NEGATIVE_MAX_S  = 10800, /* RFC 2308 5: one to three hours */
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

/*
 * A query with recursion desired, the AD bit and an OPT record, the OPT last.  false, and nothing
 * is written: 'name' does not fit the wire form.
 */
bool dns_write_query(struct buf *into, struct span name, enum dns_type type, uint16_t id);

/* Names are text: lower case, no dot at the end; "" is the root.  A byte that no such text can hold
 * (a dot inside a label, a space, a control, 8 bits) stands there as '?', which no query takes. */
struct dns_record {
    char name[DNS_NAME_BYTES_MAX + 1];
    enum dns_type type;
    uint32_t ttl_s;                      /* clipped to DNS_TTL_MIN_S .. DNS_TTL_MAX_S */
    uint16_t preference;                 /* MX */
    char target[DNS_NAME_BYTES_MAX + 1]; /* MX, CNAME, NS, PTR */
    uint8_t ip[16];                      /* A (4 bytes), AAAA */
    struct span data;                    /* the rdata as it stands, inside the packet */
};

struct dns_answer {
    struct span packet;
    uint16_t id;
    enum dns_rcode rcode; /* with the upper bits from the OPT record: any number up to 4095 */
    bool is_truncated;    /* TC: the records are not looked at */
    bool is_authentic;    /* AD */
    bool has_opt;         /* the server speaks EDNS */
    char question[DNS_NAME_BYTES_MAX + 1];
    enum dns_type question_type;
    uint32_t negative_ttl_s; /* RFC 2308: from the SOA in the authority section, clipped;
                                DNS_TTL_MIN_S if there is none */
    unsigned left;           /* private: answer records not read yet */
    size_t at;               /* private */
};

/* CORRUPT: no DNS answer to one question, or its sections do not fit into it.  The packet is
 * borrowed as long as the answer is used. */
enum status dns_answer_parse(struct dns_answer *answer, struct span packet);
/* The next record of the answer section, of the first DNS_RECORDS_MAX: OK, END, CORRUPT. */
enum status dns_answer_next(struct dns_answer *answer, struct dns_record *record);
