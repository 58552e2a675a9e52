/* SPDX-License-Identifier: MIT */
#include "mta/control/original.h"
#include "mta/mail/header.h"
#include "mta/queue/message.h"
#include "mta/spool/spool.h"
#include <stdio.h>

enum { PIECE_BYTES = 16384 };

uint64_t original_bytes(const struct message *m)
{
    return m->content == NULL ? 0 : content_bytes(m->content);
}

/* The next piece; false at the end, or when it cannot be read. */
static bool read_more(const struct message *m, struct buf *into)
{
    char piece[PIECE_BYTES];
    size_t got = 0;
    if (m->content == NULL || content_read(m->content, into->len, piece, sizeof piece, &got) != OK)
        return false;
    buf_put(into, span_make(piece, got));
    return true;
}

void original_read_header(const struct message *m, struct buf *into)
{
    while (into->len < HEADER_BYTES_MAX && read_more(m, into))
        if (header_section_bytes(buf_span(into)) < into->len)
            break;
    into->len = header_section_bytes(buf_span(into));
}

void original_read(const struct message *m, uint64_t bytes_max, struct buf *into)
{
    while (into->len < bytes_max && read_more(m, into))
        continue;
}

void original_message_id(struct span original, char into[ORIGINAL_ID_BYTES])
{
    struct header_scan scan;
    _Static_assert(sizeof scan.message_id <= ORIGINAL_ID_BYTES, "it fits");
    header_scan_init(&scan);
    header_scan_feed(&scan, original);
    (void)snprintf(into, ORIGINAL_ID_BYTES, "%s", scan.message_id);
}
