/* SPDX-License-Identifier: MIT */
/*
 * Mime: the parts of a message that lies in memory, one after the other, outermost first, and the
 * decoding of what they carry (RFC 2045, 2046).  Bounded in depth and in the length of names,
 * lenient as mail programs are: a missing end goes to the end, an unknown encoding is said.  Does
 * not look into message/rfc822: that is another message, walked by its own.
 */
#pragma once
#include "mta/base/buf.h"
#include <stdbool.h>

enum {
    MIME_DEPTH_MAX          = 16,
    MIME_TYPE_BYTES_MAX     = 80,
    MIME_BOUNDARY_BYTES_MAX = 70, /* RFC 2046 5.1.1 */
    MIME_QP_LINE_BYTES      = 76, /* RFC 2045 6.7 */
};

enum mime_encoding { MIME_PLAIN, MIME_QUOTED_PRINTABLE, MIME_BASE64, MIME_UNKNOWN };

struct mime_part {
    struct span header, body;       /* in the message; the header without the empty line */
    char type[MIME_TYPE_BYTES_MAX]; /* "text/plain", lower case; "text/plain" if none is given */
    enum mime_encoding encoding;    /* PLAIN: 7bit, 8bit, binary */
    unsigned depth;                 /* 0: the message itself */
    bool is_multipart;              /* its parts come next */
};

struct mime_level {
    struct span rest; /* from the next part on; at == NULL: there is none */
    char delimiter[4 + MIME_BOUNDARY_BYTES_MAX + 1]; /* CRLF "--" boundary */
};

struct mime_walk {
    struct span message;
    bool has_begun;
    unsigned depth; /* levels in use */
    struct mime_level levels[MIME_DEPTH_MAX];
};

void mime_begin(struct mime_walk *walk, struct span message);
/* false: there are no more. */
bool mime_next(struct mime_walk *walk, struct mime_part *part);

/* Of a field like Content-Type: what stands before the first ';', lower case.  false: nothing, or
 * it is too long. */
bool mime_value(struct span field, char *into, size_t cap);
/* The value of a parameter without its quotes; false: it is not there, or too long. */
bool mime_parameter(struct span field, const char *name, char *into, size_t cap);

/* Appends what 'body' stands for.  Bytes that cannot be are left out (base64) or kept as they are
 * (quoted-printable). */
void mime_decode(enum mime_encoding encoding, struct span body, struct buf *into);
/* Appends 'text' in quoted-printable; CRLF stays a line end. */
void mime_encode_quoted(struct span text, struct buf *into);
