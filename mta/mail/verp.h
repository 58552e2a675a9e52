/* SPDX-License-Identifier: MIT */
/*
 * VERP: a return path that names the recipient, so that a bounce tells whom it is about whatever
 * its text says (mailman.md 5).  With the delimiters "+=":
 *
 *     list-bounces@h.example + user@dom.example -> list-bounces+user=dom.example@h.example
 */
#pragma once
#include "mta/base/buf.h"
#include "mta/mail/envelope.h"

enum { VERP_LOCAL_BYTES_MAX = 64 }; /* RFC 5321 4.5.3.1.1: what every host takes */

/* Two of "-+=". */
bool verp_is_valid(struct span delimiters);

/*
 * Appends the return path.  false, and nothing: there is no sender; the local part would be too
 * long; the recipient's holds the second delimiter, so that nobody could read it back; or one of
 * them cannot stand in a local part (quotes, an address literal).
 */
bool verp_write(struct span sender, const char *delimiters, struct span rcpt, struct buf *into);
