/* SPDX-License-Identifier: MIT */
/* Xtext: RFC 3461 4, printable ASCII with +HH for the rest; and utf-8-addr-xtext of RFC 6533 3. */
#pragma once
#include "mta/base/buf.h"

/* Appends the decoded form.  false: no xtext, or it decodes to a control character (security.md
 * A11). */
bool xtext_decode(struct span xtext, struct buf *into);
void xtext_encode(struct span text, struct buf *into);
