/* SPDX-License-Identifier: MIT */
/* Offer: a mail to a list as it came, as far as a list looks at it: its header section. */
#pragma once
#include "lists/mlist.h"
#include "mta/mail/addresses.h"

enum { OFFER_ID_BYTES = 500 /* Gmail takes no longer one (providers.md 1) */ };

struct offer {
    struct span header;              /* without the empty line; borrowed */
    bool has_author;                 /* From names exactly one mailbox */
    struct mailbox_entry author;     /* spans into the header */
    struct span subject;             /* as it stands; empty if there is none */
    char message_id[OFFER_ID_BYTES]; /* without <>; "" if there is none, or it is longer */
    bool is_automatic;               /* nobody wrote it (RFC 3834 5): Auto-Submitted says so */
    bool is_answer;                  /* and it answers another mail: a notice of absence */
    bool is_loop;                    /* this list has seen it before */
};

/* 'list' is whose loops are looked for. */
void offer_read(struct offer *offer, struct span header, const struct mlist *list);
