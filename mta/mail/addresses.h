/* SPDX-License-Identifier: MIT */
/*
 * Addresses: the mailboxes of a header field that lists them: From, Sender, Reply-To, To (RFC 5322
 * 3.4, with the obsolete forms of 4.4).  Lenient in what stands around an address, strict in what
 * counts as one: an address that address_parse() refuses is given with the reason, not left out, so
 * that nobody can hide one.  Pure, no memory of its own.
 */
#pragma once
#include "mta/mail/address.h"
#include <stdbool.h>

struct mailbox_entry {
    struct span name; /* as it stands before the '<', trimmed, quotes kept; may be empty */
    struct address address;
    const char *error; /* NULL when the address is good, else why not; its text is "" then */
};

/* Takes the next mailbox out of a field's value (folded or not); members of a group come one by
 * one, an empty group gives none.  false: none is left. */
bool addresses_next(struct span *list, struct mailbox_entry *entry);
/* The only mailbox of the field; false: there is none, there are several, or it is bad. */
bool addresses_single(struct span list, struct mailbox_entry *entry);
