/* SPDX-License-Identifier: MIT */
/*
 * Merge: one stored message with holes, filled in for each recipient while it is sent.  A hole is
 * {{name}} or {{name|what stands there when there is none}}; it is filled so that it is right where
 * it stands: an encoded word (RFC 2047) or a phrase in a header, escaped in HTML, quoted-printable
 * in parts that are.
 *
 * MERGE_HEADER looks into List-* fields only, which are ours: what somebody wrote about {{holes}}
 * stays what it is.  MERGE_ALL looks into all fields but trace and signatures, and into text parts
 * that are not base64.
 *
 * Pure.  A struct merge never changes after it was made: any thread may read it.
 */
#pragma once
#include "mta/base/buf.h"
#include "mta/mail/envelope.h"
#include <stdbool.h>

enum {
    MERGE_NAME_BYTES_MAX    = 64,
    MERGE_DEFAULT_BYTES_MAX = 200,
    MERGE_VALUE_BYTES_MAX   = 1000, /* what a value is cut to */
    MERGE_HOLES_MAX         = 1000, /* of one message: what comes behind is literal */
};

/* --- values --- */

struct merge_extra {
    const char *name;
    struct span value; /* printable ASCII */
};

/* What holes stand for: 'address', then the extras, then the data of the recipient (envelope.h). */
struct merge_values {
    struct span address;
    struct span data;
    const struct merge_extra *extras;
    size_t extra_count;
};

/* The value of one name, decoded, cut, with controls and bad UTF-8 replaced; false: there is none,
 * or it is empty, and nothing was appended. */
bool merge_value(const struct merge_values *values, struct span name, struct buf *into);
/* The list's number for the recipient: 'id' in its data; 0: there is none. */
uint64_t merge_member(const struct merge_values *values);
/* One pair for the data of a recipient: "name=value", behind a '&' if something stands there. */
void merge_put_data(struct buf *into, struct span name, struct span value);
/* Fills the holes of a plain text, like a return path. */
void merge_text(struct span pattern, const struct merge_values *values, struct buf *into);

/* --- messages --- */

struct merge;

/* The content is copied. */
struct merge *merge_new(struct span content, enum envelope_merge scope);
void merge_free(struct merge *merge); /* NULL is fine */
size_t merge_memory(const struct merge *merge);
/* Its body is the same for everybody. */
bool merge_has_one_body(const struct merge *merge);
/* How long the header section of the stored message is, without the empty line. */
size_t merge_header_bytes(const struct merge *merge);

/* Appends the header section, without the empty line. */
void merge_header(const struct merge *merge, const struct merge_values *values, struct buf *into);
/*
 * The body piece by piece, from the empty line on: *at is 0 at first.  'bytes' holds until
 * 'scratch' changes.  false: that was all.
 */
bool merge_body_next(const struct merge *merge, const struct merge_values *values, size_t *at,
                     struct buf *scratch, struct span *bytes);
