/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes mime and merge.  Oracle: parts stay inside the message, and no value of a recipient makes
 * a field or takes one away.
 */
#include "mta/base/fault.h"
#include "mta/mail/header.h"
#include "mta/mail/merge.h"
#include "mta/mail/mime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t fields_of(struct span header)
{
    struct header_field field;
    size_t count = 0;
    while (header_next(&header, &field))
        count++;
    return count;
}

static void render(const struct merge *merge, const struct merge_values *values, struct buf *into)
{
    struct buf scratch = {0};
    struct span bytes;
    size_t at = 0;
    merge_header(merge, values, into);
    while (merge_body_next(merge, values, &at, &scratch, &bytes))
        buf_put(into, bytes);
    buf_release(&scratch);
}

static void check_scope(struct span content, enum envelope_merge scope)
{
    static const struct merge_values values = {
        .address = {"a@b.example",                             11},
        .data    = {"n=%0D%0AX:%20y&m=%C3%A4%C3%A4%22&empty=", 39},
    };
    struct merge *merge = merge_new(content, scope);
    struct buf found = {0}, header = {0};
    merge_header(merge, &values, &header);
    must(fields_of(buf_span(&header)) == fields_of(span_first(content, merge_header_bytes(merge))));
    render(merge, &values, &found);
    must(span_starts(buf_span(&found), buf_span(&header)));
    buf_release(&found);
    buf_release(&header);
    merge_free(merge);
}

static void check_parts(struct span content)
{
    struct mime_walk walk;
    struct mime_part part;
    struct buf plain = {0};
    mime_begin(&walk, content);
    while (mime_next(&walk, &part)) {
        must(part.header.len + part.body.len <= content.len && part.depth <= MIME_DEPTH_MAX);
        buf_clear(&plain);
        mime_decode(part.encoding, part.body, &plain);
        must(plain.len <= part.body.len);
    }
    buf_release(&plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span content = {(const char *)data, size};
    check_parts(content);
    check_scope(content, MERGE_HEADER);
    check_scope(content, MERGE_ALL);
    return 0;
}
