/* SPDX-License-Identifier: MIT */
/*
 * Reply: what a server said (RFC 5321 4.2, 2034), parsed from bytes cut anywhere and bounded
 * whatever the peer sends.
 *
 * A reply of several lines has the code of its last one, as every client in use takes it.  Lines
 * end in LF, with or without a CR before it.
 */
#pragma once
#include "mta/base/span.h"

enum {
    REPLY_LINE_BYTES_MAX = 512,   /* RFC 5321 4.5.3.1.5; the tail of a longer line is dropped */
    REPLY_LINES_MAX      = 100,   /* more is no SMTP server (security.md A12, A26) */
    REPLY_BYTES_MAX      = 65536, /* of a whole reply, with dropped tails; more is no SMTP server */
    REPLY_TEXT_BYTES_MAX = 512,   /* what is kept of the text, lines joined by LF, escaped */
};

struct smtp_reply {
    int code;                  /* 200-599; 0: no reply came */
    unsigned char enhanced[3]; /* X.Y.Z; all 0 if the reply had none that fits its class */
    unsigned short text_len;
    char text[REPLY_TEXT_BYTES_MAX]; /* without code and enhanced code; UTF-8 without controls */
};

struct span smtp_reply_text(const struct smtp_reply *reply);
/* The enhanced code, or X.0.0 from the reply's class. */
void smtp_reply_status(const struct smtp_reply *reply, unsigned char status[3]);
static inline int smtp_reply_class(const struct smtp_reply *reply)
{
    return reply->code / 100;
}

/* One line at a time, as the client needs it for EHLO. */
enum reply_line {
    REPLY_LINE_MORE, /* needs bytes */
    REPLY_LINE_MIDDLE,
    REPLY_LINE_LAST,
    REPLY_LINE_BAD, /* code is 0, text is the line */
};

struct reply_reader {
    struct smtp_reply reply; /* complete after REPLY_LINE_LAST, until the next feed */
    unsigned bytes;          /* of this reply so far */
    unsigned char lines;
    bool line_is_complete, is_complete, is_bad;
    unsigned short line_len;
    char line[REPLY_LINE_BYTES_MAX];
};

void reply_reader_init(struct reply_reader *r);
/* Takes bytes up to the end of one line at most; *used says how many.  BAD is for ever. */
enum reply_line reply_reader_feed(struct reply_reader *r, struct span bytes, size_t *used);
/*
 * The text of the line just read, without code, before the enhanced code was split off (EHLO
 * keywords).  Raw: it may hold any byte but LF.
 */
struct span reply_reader_line(const struct reply_reader *r);
