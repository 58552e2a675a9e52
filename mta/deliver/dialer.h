/* SPDX-License-Identifier: MIT */
/*
 * Dialer: which host and address of a site to try next, and what all the failures together mean.
 * Pure.
 *
 * Hosts go by preference, shuffled among equals (RFC 5321 5.1); a host is looked up, then its
 * addresses are tried in the order DNS gave, IPv6 and IPv4 alternating.  A host that cannot be
 * looked up, connected, greeted or secured gives way to the next.  At most DIALER_ADDRESSES_MAX
 * addresses are tried in all.
 */
#pragma once
#include "dns/mx.h"
#include "mta/base/rng.h"
#include "mta/queue/job.h"

enum { DIALER_ADDRESSES_MAX = 10, DIALER_TEXT_BYTES = 600 };

enum dial_step { DIAL_LOOKUP, DIAL_CONNECT, DIAL_EXHAUSTED };

struct dialer {
    const struct site_target *target;
    uint8_t order[SITE_HOSTS_MAX];
    size_t host_at; /* index into order */
    bool is_looked_up;
    struct net_address addresses[MX_ADDRESSES_MAX];
    size_t address_at, address_count;
    unsigned tried;

    /* what the failures were, the worst kept: a host that answered tells more than one that did not
     */
    unsigned busy, refused, unreachable,
        hopeless; /* 4xx greeting; 5xx greeting; no answer; has no (allowed) address */
    unsigned code;
    unsigned char enhanced[3];
    char mx[MX_NAME_BYTES];
    char text[DIALER_TEXT_BYTES];
};

void dialer_init(struct dialer *d, const struct site_target *target, struct rng *rng);

/* LOOKUP: host() wants addresses.  CONNECT: *address (with port).  EXHAUSTED: verdict(). */
enum dial_step dialer_next(struct dialer *d, struct net_address *address);
const char *dialer_host(const struct dialer *d);
uint16_t dialer_port(const struct dialer *d);
/* dialer_next() would give another address of the same host. */
bool dialer_has_another(const struct dialer *d);
/* Of the addresses that are still to be tried, those that are marked come behind the others. */
void dialer_put_last(struct dialer *d, const bool marks[MX_ADDRESSES_MAX]);
/* What DNS said of host(). 'allow_private': also addresses of this machine and of private nets. */
void dialer_addresses(struct dialer *d, const struct address_result *result, bool allow_private);

/* The address just given did not work.  'code' 0: no SMTP reply.  'gives_up_host': its other
 * addresses are not tried either. */
enum dial_failure { DIAL_UNREACHABLE, DIAL_BUSY, DIAL_REFUSED };
void dialer_failed(struct dialer *d, enum dial_failure failure, unsigned code,
                   const unsigned char enhanced[3], struct span text);

/* Settles every recipient of the job by what all failures together mean. */
void dialer_settle(const struct dialer *d, struct job *job);
