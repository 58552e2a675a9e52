/* SPDX-License-Identifier: MIT */
/* Story: what happened to one message or one site, what it waits for and what comes next, told in
 * plain lines. */
#pragma once
#include "mta/control/listing.h"

/* The envelope: the lines before those of its recipients. */
void story_message(const struct message *m, const struct moment *at, struct buf *into);
/* One recipient: its state, the last reply, and why and until when it waits. */
void story_rcpt(const struct queue_row *row, const struct moment *at, struct buf *into);
void story_site(const struct site_row *row, const struct moment *at, struct buf *into);
