/* SPDX-License-Identifier: MIT */
/*
 * Blame: whose fault it is that mail was not taken.  Only the recipient's own counts against a
 * member of a list (mailman.md 1, rule 4): a site that refuses us for what we are or what we sent
 * says nothing about its people.  The same rules read replies and reports that come back.
 */
#pragma once
#include "mta/base/span.h"

enum blame {
    BLAME_NOBODY,    /* it may go well another time */
    BLAME_RECIPIENT, /* there is no such mailbox, or nobody reads it */
    BLAME_SENDER, /* who we are, how much we send, or what is in it: policy, reputation, content */
    BLAMES
};

/* 'code' is the reply's, 0 if there is only an enhanced one (RFC 3463), which is 0.0.0 if there is
 * none. */
enum blame blame_of(unsigned code, const unsigned char enhanced[3], struct span text);
/* "transient", "recipient", "sender" */
const char *blame_text(enum blame blame);
