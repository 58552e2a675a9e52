/* SPDX-License-Identifier: MIT */
#include "mta/spool/content.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include <string.h>

enum { CONTENT_KIND = 0x636f6e74 };

/* One that may still be read. */
struct retired {
    struct list link;
    struct content *content;
    struct layout *layout;
};

void contents_init(struct contents *contents)
{
    *contents = (struct contents){0};
    list_init(&contents->retired);
}

/* --- layouts --- */

static size_t bytes_for(size_t extents)
{
    return extents * sizeof(struct extent);
}

/* Returns the bytes of all extents. */
static uint64_t layout_fill(struct layout *layout, const struct extent *extents, size_t count)
{
    uint64_t bytes = 0;
    layout->count  = count;
    for (size_t i = 0; i < count; i++) {
        layout->extents[i] = extents[i];
        bytes += extents[i].bytes;
        extents[i].segment->refs++;
    }
    return bytes;
}

static void layout_free(struct content *content, struct layout *layout)
{
    for (size_t i = 0; i < layout->count; i++) {
        must(layout->extents[i].segment->refs > 0);
        layout->extents[i].segment->refs--;
    }
    layout->count = 0;
    if (layout != &content->first)
        mem_free(layout);
}

static void retired_free(struct retired *retired)
{
    layout_free(retired->content, retired->layout);
    list_remove(&retired->link);
    mem_free(retired);
}

void content_relayout(struct content *content, const struct extent *extents, size_t count)
{
    struct layout *fresh    = mem_new(sizeof *fresh + bytes_for(count));
    struct retired *retired = mem_new(sizeof *retired);
    must(layout_fill(fresh, extents, count) == content->bytes);
    retired->content = content;
    retired->layout  = atomic_exchange(&content->layout, fresh);
    list_push(&content->home->retired, &retired->link);
}

void content_turn(struct contents *contents)
{
    struct list *next;
    for (struct list *n = list_first(&contents->retired); n != NULL; n = next) {
        struct retired *retired = CONTAINER_OF(n, struct retired, link);
        next                    = list_next(&contents->retired, n);
        if (atomic_load(&retired->content->readers) == 0)
            retired_free(retired);
    }
}

/* --- the public face --- */

struct content *content_new(struct contents *home, const struct extent *extents, size_t count)
{
    struct content *content = mem_new(sizeof *content + bytes_for(count));
    content->kind           = CONTENT_KIND;
    content->refs           = 1;
    content->home           = home;
    content->bytes          = layout_fill(&content->first, extents, count);
    atomic_init(&content->layout, &content->first);
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
        struct retired *old = CONTAINER_OF(n, struct retired, link);
        next                = list_next(retired, n);
        if (old->content == content)
            retired_free(old);
    }
    layout_free(content, atomic_load(&content->layout));
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

/* The index of the extent that holds *offset, which counts from its beginning then. */
static size_t extent_of(const struct layout *layout, uint64_t *offset)
{
    size_t i = 0;
    while (i < layout->count && *offset >= layout->extents[i].bytes)
        *offset -= layout->extents[i++].bytes;
    return i;
}

static enum status read_layout(const struct layout *layout, uint64_t offset, char *into, size_t cap,
                               size_t *got)
{
    char scratch[RECORD_BYTES_MAX];
    for (size_t i = extent_of(layout, &offset); i < layout->count && *got < cap; i++) {
        struct span bytes;
        enum status status = extent_read(&layout->extents[i], scratch, &bytes);
        if (status != OK)
            return *got > 0 ? OK : status;
        bytes = span_first(span_skip(bytes, offset), cap - *got);
        memcpy(into + *got, bytes.at, bytes.len);
        *got += bytes.len;
        offset = 0;
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
