/* SPDX-License-Identifier: MIT */
/*
 * Reason: why OpenSSL failed, as words for logs and reports.  OpenSSL keeps a queue of errors per
 * thread; the oldest is the cause, the others are how it travelled up.  Only mta/tls includes this.
 */
#pragma once
#include "mta/base/buf.h"

/* Appends what the oldest error says and empties the queue; never appends nothing. */
void tls_reason_put(struct buf *into);
/* Copies 'text' with a NUL, cut to 'cap'; what is not printable ASCII becomes '?'. */
void tls_reason_copy(char *into, size_t cap, struct span text);
