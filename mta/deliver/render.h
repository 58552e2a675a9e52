/* SPDX-License-Identifier: MIT */
/*
 * Render: the body of one job as it leaves: content from the spool, dot-stuffed and checked for
 * smuggling at this last place, in pieces.  What differs per recipient stands in front of it
 * (letter.h).
 */
#pragma once
#include "mta/base/buf.h"
#include "mta/base/status.h"
#include "mta/mail/dot.h"

struct content;

enum { RENDER_PIECE_BYTES = 65536 };

struct render {
    const struct content *content;
    uint64_t offset, bytes;
    struct dot_writer dot;
};

/* From 'skip' on, which is the beginning of a line.  'is_chunk': for BDAT, without dots and end
 * mark. */
void render_init(struct render *r, const struct content *content, uint64_t skip, bool is_chunk);
/*
 * Appends the next piece to 'into', the end mark with the last one (*is_last).  OK; CORRUPT or
 * IO_ERROR: the content cannot be read; BAD_INPUT: it holds a bare CR, LF or NUL and must not be
 * sent.  'scratch' holds RENDER_PIECE_BYTES.
 */
enum status render_next(struct render *r, char *scratch, struct buf *into, bool *is_last);
