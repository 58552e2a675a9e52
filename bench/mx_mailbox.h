/* SPDX-License-Identifier: MIT */
/*
 * Mx mailbox: what a recipient's mailbox says to a letter.  The local part may ask for a fate by
 * its prefix (unknown- defer- full- once-, and with LMTP dotfail- dotdefer-); otherwise the shares
 * and the greylist of its domain decide, and the same address always meets the same fate.
 */
#pragma once
#include "bench/greylist.h"
#include "bench/personality.h"

struct mx_visit {
    struct span peer, sender, rcpt; /* whole addresses */
    uint64_t now_ms;
};

/* The reply that refuses this recipient, NULL: taken. */
const char *mx_mailbox_at_rcpt(const struct personality *rules, struct greylist *greylist,
                               const struct mx_visit *visit);
/* The same after the content, for protocols that answer for each recipient. */
const char *mx_mailbox_at_dot(struct span rcpt);
