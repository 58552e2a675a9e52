/* SPDX-License-Identifier: MIT */
/*
 * Xtext: RFC 3461 4, printable ASCII with +HH for the rest; and utf-8-addr-xtext of RFC 6533 3,
 * which ORCPT carries behind "utf-8;".  What is decoded is UTF-8 without controls (but TAB), so it
 * may go into a field through header_write(); what is written is ASCII without white space.
 */
#pragma once
#include "mta/base/buf.h"

/* Appends the decoded form.  false: no xtext, or it decodes to a control character (security.md
 * A11) or to what is no UTF-8; then nothing was appended. */
bool xtext_decode(struct span xtext, struct buf *into);
void xtext_encode(struct span text, struct buf *into);

/* The same for the forms of RFC 6533: \x{HEX} for a character, and raw UTF-8 is let through. */
bool xtext_decode_utf8(struct span xtext, struct buf *into);
/* 'text' is valid UTF-8; a byte that is none is written as U+FFFD. */
void xtext_encode_utf8(struct span text, struct buf *into);
