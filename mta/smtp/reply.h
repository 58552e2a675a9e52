/* SPDX-License-Identifier: MIT */
/* Reply: what a server said (RFC 5321 4.2, 2034), parsed from bytes cut anywhere and bounded
 * whatever the peer sends. */
#pragma once
#include "mta/base/span.h"

enum {
    REPLY_LINE_BYTES_MAX = 2048, /* the tail of a longer line is dropped */
    REPLY_LINES_MAX      = 100,  /* more is no SMTP server (security.md A12, A26) */
    REPLY_TEXT_BYTES_MAX = 512,  /* what is kept of the text, lines joined by LF, escaped */
};

struct smtp_reply {
    int code;                  /* 200-599; 0: no reply came */
    unsigned char enhanced[3]; /* X.Y.Z; all 0 if the reply had none that fits its class */
    size_t text_len;
    char text[REPLY_TEXT_BYTES_MAX]; /* without code and enhanced code */
};

struct span smtp_reply_text(const struct smtp_reply *reply);
/* The enhanced code, or X.0.0 from the reply's class. */
void smtp_reply_status(const struct smtp_reply *reply, unsigned char status[3]);
static inline int smtp_reply_class(const struct smtp_reply *reply)
{
    return reply->code / 100;
}

/* One line at a time, as the client's handlers need it for EHLO. */
enum reply_line {
    REPLY_LINE_MORE /* needs bytes */,
    REPLY_LINE_MIDDLE,
    REPLY_LINE_LAST,
    REPLY_LINE_BAD
};

struct reply_reader {
    struct smtp_reply reply; /* complete after REPLY_LINE_LAST, until the next feed */
    char line[REPLY_LINE_BYTES_MAX];
    size_t line_len;
    unsigned lines;
    bool is_complete, is_long;
};

void reply_reader_init(struct reply_reader *r);
/* Takes bytes up to the end of one line at most; *used says how many.  BAD is for ever. */
enum reply_line reply_reader_feed(struct reply_reader *r, struct span bytes, size_t *used);
/* The text of the line just read, without code, before the enhanced code was split off (EHLO
 * keywords). */
struct span reply_reader_line(const struct reply_reader *r);
