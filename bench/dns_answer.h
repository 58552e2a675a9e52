/* SPDX-License-Identifier: MIT */
/*
 * Dns answer: what an authoritative server for the whole world says to one question.  Pure: bytes
 * in, bytes out.  It shares no code with the product's resolver, which is what it tests.
 */
#pragma once
#include "bench/world.h"

enum {
    DNS_UDP_BYTES     = 512,  /* without EDNS */
    DNS_UDP_BYTES_MAX = 4096, /* what we are willing to send with it */
    DNS_MESSAGE_MAX   = 65535,
    DNS_NEGATIVE_S    = 60
};

struct dns_tally {
    uint64_t questions, over_tcp, truncated, silent, bad;
};

/*
 * Writes the answer into the empty 'out'; false: say nothing at all (a name that times out, or
 * bytes that are no question).  Counts the question with its domain or host.
 */
bool dns_answer(struct world *w, struct dns_tally *tally, struct span query, bool is_udp,
                struct buf *out);
