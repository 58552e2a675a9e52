/* SPDX-License-Identifier: MIT */
/*
 * Base64 (RFC 4648 4), strictly: groups of four, '=' only where they must stand, nothing between,
 * and no bit that says nothing.  So each text means one thing, and each thing has one text.
 */
#pragma once
#include "mta/base/buf.h"

/* How long the text of so many bytes is. */
#define BASE64_BYTES(bytes) (((bytes) + 2) / 3 * 4)

void base64_put(struct buf *into, struct span bytes);
bool base64_is_good(struct span text);
/* False, and nothing was put: it is no base64. */
bool base64_take(struct span text, struct buf *into);
