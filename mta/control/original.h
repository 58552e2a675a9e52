/* SPDX-License-Identifier: MIT */
/*
 * Original: what is read of a queued message's content, for people and reports.  Engine thread; it
 * reads from disk.
 */
#pragma once
#include "mta/base/buf.h"

struct message;

enum { ORIGINAL_ID_BYTES = 256 };

uint64_t original_bytes(const struct message *m);
/* The header section, HEADER_BYTES_MAX at most, or 'bytes_max' of the whole.  Shorter when it
 * cannot be read. */
void original_read_header(const struct message *m, struct buf *into);
void original_read(const struct message *m, uint64_t bytes_max, struct buf *into);
/* What stands in the <> of the Message-ID; "" if there is none. */
void original_message_id(struct span original, char into[ORIGINAL_ID_BYTES]);
