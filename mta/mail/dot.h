/* SPDX-License-Identifier: MIT */
/*
 * Dot: where the bytes of a message enter and leave DATA (RFC 5321 4.5.2), the one scanner and the
 * one writer.
 *
 * Entering: only CRLF.CRLF ends the data; dots are unstuffed only after CRLF; whatever other line
 * end comes (bare CR, bare LF, NUL) is noted and normalised: bare CR or LF becomes CRLF, NUL a
 * space, so what is stored is canonical: every line ends in CRLF, no CR or LF stands alone. A line
 * that becomes "." by normalising is content (security.md A1-A3). Leaving: dots are stuffed, and a
 * byte that could smuggle (CR or LF alone, NUL) stops the message.
 *
 * Both work in pieces cut anywhere and give the same whatever the cut.
 */
#pragma once
#include "mta/base/buf.h"

struct dot_reader {
    unsigned char state;
    bool is_chunked;
    bool ended;
    bool saw_bare; /* bare CR or LF */
    bool saw_nul;
    bool saw_8bit;
    uint64_t bytes; /* of content, so far, after normalising */
};

void dot_reader_init(struct dot_reader *r);
/* For BDAT: no dots, no end mark; normalises only. */
void dot_reader_init_chunked(struct dot_reader *r);
/* Appends content to 'into'; returns how much of 'from' was taken: all of it, or up to and with the
 * end mark (then ended is set). */
size_t dot_reader_feed(struct dot_reader *r, struct span from, struct buf *into);
/* Chunked only: the last byte has come; completes an unfinished last line with CRLF. */
void dot_reader_finish(struct dot_reader *r, struct buf *into);

struct dot_writer {
    unsigned char state;
    bool is_chunked;
};

void dot_writer_init(struct dot_writer *w, bool is_chunked);
/* Appends 'content' as it goes out.  false, now and ever after: it holds a bare CR, LF or a NUL;
 * nothing of it was appended and nothing more may be sent. */
bool dot_writer_put(struct dot_writer *w, struct span content, struct buf *into);
/* Appends what ends it (CRLF if the last line has none, then the dot, unless chunked).  false: it
 * ends in a bare CR. */
bool dot_writer_end(struct dot_writer *w, struct buf *into);
