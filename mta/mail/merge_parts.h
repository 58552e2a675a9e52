/* SPDX-License-Identifier: MIT */
/* What the parts of merge share: merge.c compiles and walks; merge_fill.c fills a hole. */
#pragma once
#include "mta/mail/merge.h"

enum merge_place {
    MERGE_IN_TEXT,   /* a text part, as it is */
    MERGE_IN_HTML,   /* escaped */
    MERGE_IN_WORDS,  /* an unstructured field */
    MERGE_IN_PHRASE, /* a field of addresses: a display name, or an address in <> */
    MERGE_IN_URL,    /* a field of ours: printable ASCII */
};

struct hole {
    struct span name, fallback; /* decoded */
    struct span prefix, suffix; /* of its word: encoded together (WORDS) */
    enum merge_place place;
    bool is_quoted_printable;
    bool is_ascii_only; /* the part could not carry more */
    bool is_glued;      /* another hole stands in the same word, before it */
};

/* Appends what stands there for this recipient. */
void merge_fill(const struct hole *hole, const struct merge_values *values, struct buf *into);
