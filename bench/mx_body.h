/* SPDX-License-Identifier: MIT */
/*
 * Mx body: one content on its way in, by DATA (dots taken off, end found) or BDAT (as it is). Finds
 * the id in its header section, hashes what follows it, and notes what no client may send.
 * init/release; between contents mx_body_begin().
 */
#pragma once
#include "bench/ledger.h"

enum {
    MX_BODY_LINE_BYTES_MAX   = 1000,        /* with CRLF, RFC 5321 4.5.3.1.6 */
    MX_BODY_HEADER_BYTES_MAX = 1024 * 1024, /* of the header section that we look at */
};

enum mx_body_state {
    MX_BODY_LINE_START,
    MX_BODY_DOT,    /* after a dot at the start of a line */
    MX_BODY_DOT_CR, /* and a CR */
    MX_BODY_TEXT,
    MX_BODY_CR,
    MX_BODY_ENDED
};

struct mx_body {
    enum mx_body_state state;
    unsigned violations; /* bit n: enum violation n, each at most once a content */
    bool in_header, keep, hash, has_8bit;
    size_t line_bytes;
    uint64_t bytes; /* without dot-stuffing */
    struct buf header, whole;
    void *digest; /* EVP_MD_CTX */
};

void mx_body_init(struct mx_body *b);
void mx_body_release(struct mx_body *b);

/* 'keep': the whole content stays in b->whole.  'hash': take the SHA-256 of what follows the
 * header. */
void mx_body_begin(struct mx_body *b, bool keep, bool hash);
/* Takes content as it comes after DATA and returns how much of it; all, unless the end was in it:
 * then b->state is MX_BODY_ENDED and what follows the final dot is not taken. */
size_t mx_body_feed(struct mx_body *b, struct span bytes);
/* Takes content as it comes after BDAT. */
void mx_body_feed_chunk(struct mx_body *b, struct span bytes);
/* The content is complete. */
void mx_body_end(struct mx_body *b, uint8_t sha256[LEDGER_SHA256_BYTES]);
/* The value of a header field, trimmed; empty if there is none.  Until the next begin. */
struct span mx_body_field(const struct mx_body *b, const char *name);
