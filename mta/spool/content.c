/* SPDX-License-Identifier: MIT */
#include "mta/spool/content.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include <string.h>

enum { CONTENT_KIND = 0x636f6e74 };

void contents_init(struct contents *contents)
{
    *contents = (struct contents){0};
    list_init(&contents->retired);
}

/* --- layouts --- */

struct layout *layout_new(const struct extent *extents, size_t count)
{
    struct layout *layout = mem_new(sizeof *layout + count * sizeof layout->extents[0]);
    layout->count         = count;
    for (size_t i = 0; i < count; i++) {
        layout->extents[i]    = extents[i];
        layout->extents[i].at = layout->bytes;
        layout->bytes += extents[i].bytes;
        extents[i].segment->refs++;
    }
    list_init(&layout->link);
    return layout;
}

void layout_free(struct layout *layout)
{
    for (size_t i = 0; i < layout->count; i++) {
        must(layout->extents[i].segment->refs > 0);
        layout->extents[i].segment->refs--;
    }
    list_remove(&layout->link);
    mem_free(layout);
}

void content_relayout(struct content *content, struct layout *fresh)
{
    struct layout *old = atomic_exchange(&content->layout, fresh);
    must(fresh->bytes == old->bytes);
    fresh->content = old->content = content;
    list_push(&content->home->retired, &old->link);
}

void content_turn(struct contents *contents)
{
    struct list *next;
    for (struct list *n = list_first(&contents->retired); n != NULL; n = next) {
        struct layout *layout = CONTAINER_OF(n, struct layout, link);
        next                  = list_next(&contents->retired, n);
        if (atomic_load(&layout->content->readers) == 0)
            layout_free(layout);
    }
}

/* --- the public face --- */

struct content *content_new(struct contents *home, struct layout *layout)
{
    struct content *content = mem_new(sizeof *content);
    content->kind           = CONTENT_KIND;
    content->refs           = 1;
    content->home           = home;
    content->bytes          = layout->bytes;
    layout->content         = content;
    atomic_init(&content->layout, layout);
    atomic_init(&content->readers, 0);
    home->open++;
    return content;
}

const struct layout *content_layout(const struct content *content)
{
    return atomic_load(&content->layout);
}

struct content *content_hold(struct content *content)
{
    must(content->kind == CONTENT_KIND && content->refs > 0);
    content->refs++;
    return content;
}

/* Nobody holds it, so nobody reads it. */
static void content_free(struct content *content)
{
    struct list *retired = &content->home->retired, *next;
    must(atomic_load(&content->readers) == 0);
    for (struct list *n = list_first(retired); n != NULL; n = next) {
        struct layout *layout = CONTAINER_OF(n, struct layout, link);
        next                  = list_next(retired, n);
        if (layout->content == content)
            layout_free(layout);
    }
    layout_free(atomic_load(&content->layout));
    content->home->open--;
    content->kind = 0;
    mem_free(content);
}

void content_release(struct content *content)
{
    must(content->kind == CONTENT_KIND && content->refs > 0);
    if (--content->refs == 0)
        content_free(content);
}

uint64_t content_bytes(const struct content *content)
{
    must(content->kind == CONTENT_KIND);
    return content->bytes;
}

/* --- reading --- */

uint32_t extent_record_bytes(const struct extent *extent)
{
    return (uint32_t)record_bytes(PAYLOAD_CHUNK_HEAD + extent->bytes);
}

enum status extent_read(const struct extent *extent, char *scratch, struct span *bytes)
{
    struct record record;
    size_t got = 0, length = 0, want = extent_record_bytes(extent);
    uint64_t checksum  = 0;
    enum status status = disk_read(extent->segment->file, extent->offset, scratch, want, &got);
    if (status != OK)
        return status;
    if (record_parse(span_make(scratch, got), extent->segment->id, &record, &length, &checksum) !=
            RECORD_GOOD ||
        record.type != RECORD_CHUNK || checksum != extent->checksum ||
        record.payload.len != PAYLOAD_CHUNK_HEAD + extent->bytes)
        return CORRUPT;
    *bytes = span_skip(record.payload, PAYLOAD_CHUNK_HEAD);
    return OK;
}

/* The index of the extent that holds 'offset'. */
static size_t extent_of(const struct layout *layout, uint64_t offset)
{
    size_t low = 0, high = layout->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (layout->extents[middle].at <= offset)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static enum status read_layout(const struct layout *layout, uint64_t offset, char *into, size_t cap,
                               size_t *got)
{
    char scratch[RECORD_BYTES_MAX];
    for (size_t i = extent_of(layout, offset); i < layout->count && *got < cap; i++) {
        struct span bytes;
        enum status status = extent_read(&layout->extents[i], scratch, &bytes);
        if (status != OK)
            return *got > 0 ? OK : status;
        bytes = span_skip(bytes, offset - layout->extents[i].at);
        bytes = span_first(bytes, cap - *got);
        memcpy(into + *got, bytes.at, bytes.len);
        *got += bytes.len;
        offset += bytes.len;
    }
    return OK;
}

enum status content_read(const struct content *content, uint64_t offset, char *into, size_t cap,
                         size_t *got)
{
    /* The count is the reader's own mark, not a change to the content. */
    atomic_uint *readers = (atomic_uint *)&content->readers;
    must(content->kind == CONTENT_KIND);
    *got = 0;
    if (offset >= content->bytes)
        return END;
    must(cap > 0);
    atomic_fetch_add(readers, 1);
    enum status status = read_layout(atomic_load(&content->layout), offset, into, cap, got);
    atomic_fetch_sub(readers, 1);
    return status;
}
