/* SPDX-License-Identifier: MIT */
/*
 * MX: where the mail of a domain goes (RFC 5321 5.1, 7505, 2181), and the addresses of those hosts;
 * look-ups with cache, one at a time per name however many ask.
 *
 *     lookup_mx("d.example") -> MX -> hosts by preference         found: asked once, shared
 *                                  -> none: A/AAAA -> implicit MX
 *     lookup_addresses("mx1.d.example") -> A and AAAA together
 *
 * Results are pulled.  One per loop; the loop's thread.
 */
#pragma once
#include "dns/resolver.h"
#include "mta/sys/net.h"

enum {
    MX_HOSTS_MAX     = 20,
    MX_ADDRESSES_MAX = 10,  /* of one host that are tried */
    MX_INFLIGHT_MAX  = 100, /* questions on the wire at once: a burst of more overflows the socket
                               buffers of a name  server; the rest wait */
    MX_NAME_BYTES = 256,
};

/* How a look-up ended: identifier, enhanced code, our words for it (4.x.x: try again later). */
#define DNS_VERDICTS(X)                                                                            \
    X(FOUND, "2.0.0", "found")                                                                     \
    X(NO_DOMAIN, "5.1.2", "domain does not exist")                                                 \
    X(NO_ADDRESS, "5.4.4", "no mail host has an address")                                          \
    X(NULL_MX, "5.1.10", "domain accepts no mail (null MX)")                                       \
    X(LOOP, "5.4.6", "mail for this domain loops back to us")                                      \
    X(BAD_NAME, "5.1.2", "not a domain name")                                                      \
    X(SERVER_FAILED, "4.4.3", "name server failure")                                               \
    X(NO_ANSWER, "4.4.3", "no answer from the name servers")
#define DNS_VERDICT(id, enhanced, text) DNS_##id,
enum dns_verdict { DNS_VERDICTS(DNS_VERDICT) DNS_VERDICT_COUNT };
#undef DNS_VERDICT
const char *dns_verdict_text(enum dns_verdict verdict);
const char *dns_verdict_enhanced(enum dns_verdict verdict);
bool dns_verdict_is_temporary(enum dns_verdict verdict);

struct mx_host {
    char name[MX_NAME_BYTES]; /* A-labels, lower case, no dot at the end; an address literal's text
                                 for a literal */
    uint16_t preference;
};

struct mx_result {
    void *tag;
    enum dns_verdict verdict;
    struct mx_host hosts[MX_HOSTS_MAX]; /* by preference, then name; order among equals is the
                                           dialler's to shuffle */
    size_t host_count;
    bool is_implicit;    /* no MX record: the domain itself */
    uint64_t expires_ms; /* loop_now_ms() time until which it holds, negative answers too */
};

struct address_result {
    void *tag;
    enum dns_verdict verdict;
    struct net_address addresses[MX_ADDRESSES_MAX]; /* port 0; IPv6 and IPv4 alternating, the order
                                                       the servers gave within a family */
    size_t address_count;
    uint64_t expires_ms;
};

struct dns_config {
    struct resolver_config resolver;
    const char *hostname; /* ours: found in an MX list, it and all worse or equal preferences are
                             dropped (RFC 5321 5.1); NULL: no such check */
    unsigned cache_entries_max; /* default 100000 */
};

struct dns;

struct dns *dns_open(struct loop *loop, const struct dns_config *config, struct buf *error);
void dns_close(struct dns *dns);

/* Answered from the cache it comes in the same turn's dns_take_*(), else in a later one; always
 * exactly once.  The name is copied.  An address literal answers itself at once; a bare IP address
 * does too as a host, as a domain it is a BAD_NAME. */
void dns_lookup_mx(struct dns *dns, struct span domain, void *tag);
void dns_lookup_addresses(struct dns *dns, struct span host, void *tag);

/* Moves answers on; call at the start of the turn.  Returns when it wants to be called again at the
 * latest. */
uint64_t dns_turn(struct dns *dns, uint64_t now_ms);
/* The result stays until the next call. */
const struct mx_result *dns_take_mx(struct dns *dns);
const struct address_result *dns_take_addresses(struct dns *dns);

struct dns_stats {
    uint64_t questions, cache_hits, failures, timeouts;
    size_t cached, inflight;
};
void dns_stats(const struct dns *dns, struct dns_stats *stats);
