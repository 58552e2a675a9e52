/* SPDX-License-Identifier: MIT */
/* Escape: bytes from outside on their way into logs, replies and reports (security.md A12-A14). */
#pragma once
#include "mta/base/buf.h"

/*
 * Controls (C0, DEL, C1, and the line and paragraph separators U+2028, U+2029), and bytes that are
 * no valid UTF-8, become '?'.  At most 'max' bytes are appended, cut at a character.
 */
void escape_text(struct span from, size_t max, struct buf *into);
/* The same, and also everything that is not ASCII becomes '?': for header fields and replies. */
void escape_ascii(struct span from, size_t max, struct buf *into);
/* A JSON string with its quotes; invalid UTF-8 becomes U+FFFD. */
void escape_json(struct span from, struct buf *into);

/* The bytes of the character that 'text' starts with and its code point; 0: no valid UTF-8. */
size_t utf8_decode(struct span text, uint32_t *point);
/* A control in the sense of escape_text(). */
bool utf8_is_control(uint32_t point);
bool utf8_is_valid(struct span text);
/* Valid, and without any control. */
bool utf8_is_printable(struct span text);
bool text_is_ascii(struct span text);
