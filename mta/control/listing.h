/* SPDX-License-Identifier: MIT */
/*
 * Listing: rows for operators: each as a JSON object or as a line of a table, always with its line
 * end.  Tables have columns of fixed width, because rows are made one by one and there may be a
 * million of them.  Every text from outside is escaped here.
 */
#pragma once
#include "mta/queue/queue.h"

struct tokens;

/* When "now" is, on both clocks; and what makes return paths (mta/mail/sender.h). */
struct moment {
    uint64_t now_ms, wall_ms;
    struct tokens *tokens;
};

void listing_rcpt_json(const struct queue_row *row, const struct moment *at, struct buf *into);
/* With what is known of its message: size, arrival, expire, flow. */
void listing_shown_json(const struct queue_row *row, const struct moment *at, struct buf *into);
void listing_rcpt_head(struct buf *into);
void listing_rcpt_line(const struct queue_row *row, struct buf *into);

void listing_site_json(const struct site_row *row, const struct moment *at, struct buf *into);
void listing_site_head(struct buf *into);
void listing_site_line(const struct site_row *row, struct buf *into);

/* "451 4.3.2 come back later", escaped; "not tried yet" for NULL. */
void listing_reply(const struct attempt *attempt, size_t max, struct buf *into);
/* 'text' escaped, in a column of 'width' characters and a gap behind it. */
void listing_cell(struct buf *into, const char *text, size_t width);
