/* SPDX-License-Identifier: MIT */
/*
 * Footer: the text below a post.  It goes behind a plain text in the same part, where charset and
 * encoding allow it; anything else becomes the first part of a multipart/mixed, with the footer as
 * the second, and stays byte for byte what it was: signed, HTML, attachments.
 */
#pragma once
#include "mta/base/buf.h"
#include <stdint.h>

struct footer {
    bool wraps;        /* the Content-* fields move from the header into 'open' */
    struct buf fields; /* for the header: of the multipart; empty unless it wraps */
    struct buf open;   /* before the body: from the first boundary to the empty line */
    struct buf close;  /* behind the body */
};

/* 'text' UTF-8 with LF; "": nothing is added.  'chance' makes the boundary one that stands in no
 * body. */
void footer_make(struct footer *footer, const char *text, struct span header, uint64_t chance);
void footer_release(struct footer *footer);

/* A field that describes the body, not the mail. */
bool footer_moves(struct span field_name);
