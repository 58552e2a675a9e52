/* SPDX-License-Identifier: MIT */
#include "mta/deliver/render.h"
#include "mta/spool/spool.h"

void render_init(struct render *r, const struct content *content, uint64_t skip, bool is_chunk)
{
    *r = (struct render){.content = content, .offset = skip, .bytes = content_bytes(content)};
    dot_writer_init(&r->dot, is_chunk);
}

enum status render_next(struct render *r, char *scratch, struct buf *into, bool *is_last)
{
    if (r->offset < r->bytes) {
        size_t got         = 0;
        enum status status = content_read(r->content, r->offset, scratch, RENDER_PIECE_BYTES, &got);
        if (status != OK)
            return status == END ? CORRUPT : status;
        if (!dot_writer_put(&r->dot, span_make(scratch, got), into))
            return BAD_INPUT;
        r->offset += got;
    }
    *is_last = r->offset >= r->bytes;
    if (*is_last && !dot_writer_end(&r->dot, into))
        return BAD_INPUT;
    return OK;
}
