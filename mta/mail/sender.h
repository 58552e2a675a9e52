/* SPDX-License-Identifier: MIT */
/*
 * Sender: the return path that a recipient's mail has: that of the envelope, or one made for the
 * recipient, by VERP or by filling the holes of the envelope's (merge.h).  What leaves with MAIL,
 * what a report goes to, and what logs and listings say is the same text.
 */
#pragma once
#include "mta/base/buf.h"
#include "mta/mail/envelope.h"

struct tokens;

enum sender_form {
    SENDER_PLAIN, /* the envelope's */
    SENDER_MADE,  /* for this recipient */
    SENDER_KEPT,  /* the envelope's, because none can be made: too long, or not to be read back; ""
                     when that has holes */
};

/* Appends it.  'tokens' makes the bounce tokens of lists; NULL: there are no lists. */
enum sender_form sender_write(const struct envelope *envelope, const struct envelope_rcpt *rcpt,
                              struct tokens *tokens, struct buf *into);
