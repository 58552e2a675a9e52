/* SPDX-License-Identifier: MIT */
/* Escape: bytes from outside on their way into logs, replies and reports (security.md A12-A14). */
#pragma once
#include "mta/base/buf.h"

/* Controls (C0, DEL, C1), and bytes that are no valid UTF-8, become '?'.  At most 'max' bytes are
 * appended, cut at a character. */
void escape_text(struct span from, size_t max, struct buf *into);
/* The same, and also everything that is not ASCII becomes '?': for header fields and replies. */
void escape_ascii(struct span from, size_t max, struct buf *into);
/* A JSON string with its quotes; invalid UTF-8 becomes U+FFFD. */
void escape_json(struct span from, struct buf *into);
bool utf8_is_valid(struct span text);
bool text_is_ascii(struct span text);
