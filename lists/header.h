/* SPDX-License-Identifier: MIT */
/*
 * Header: the header section of a post, made of that of the mail that came (RFC 2369, 2919, 8058,
 * 3834).  What belongs to the way here, to other lists or to a signature that no longer holds is
 * left out, what the list says is put behind, and the rest stays as it stood and where it stood.
 * Placeholders are filled in for each member while sending (mta/mail/merge.h).
 */
#pragma once
#include "lists/footer.h"
#include "lists/mlist.h"
#include "lists/offer.h"

/* The return path of all posts: a pattern. */
void header_sender(const struct mlist *list, struct buf *into);

/* Appends the section and its empty line.  'base_url' NULL or "": there are no pages, so no
 * one-click unsubscribing. */
void header_compose(const struct mlist *list, const struct offer *offer,
                    const struct footer *footer, const char *base_url, struct buf *into);
