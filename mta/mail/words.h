/* SPDX-License-Identifier: MIT */
/* Words: text that is not ASCII where a header allows only ASCII: encoded words (RFC 2047). */
#pragma once
#include "mta/base/buf.h"

/* UTF-8 as encoded words of at most 75 bytes, parted between characters by 'between' (" ", or
 * "\r\n " to fold).  They may stand in a phrase too. */
void words_encode(struct span text, const char *between, struct buf *into);
/* A display name: quoted if it is ASCII. */
void words_phrase(struct span name, const char *between, struct buf *into);
/* The value of a field as people read it, in UTF-8: encoded words in UTF-8, US-ASCII and
 * ISO-8859-1 are decoded, others stay as they stand; folding is undone. */
void words_decode(struct span value, struct buf *into);
