/* SPDX-License-Identifier: MIT */
#include "mta/spool/judge.h"
#include "mta/base/mem.h"
#include "mta/spool/inside.h"

enum { COPY_BYTES = 1 << 20 };

bool judge_follows(const struct scanned *found, uint64_t previous, uint32_t generation)
{
    return previous == 0 ||
           (found->record.sequence > previous && found->record.generation == generation);
}

/* What the records themselves claim to be durable. */
static uint64_t durable_claim(const struct found *in, uint32_t *generation)
{
    struct scan scan;
    struct scanned found;
    uint64_t claim = 0, previous = 0;
    scan_init(&scan, in->segment->file, in->segment->id);
    while (scan_next(&scan, &found)) {
        if (!judge_follows(&found, previous, *generation))
            continue;
        previous    = found.record.sequence;
        *generation = found.record.generation;
        if (found.record.durable > claim)
            claim = found.record.durable;
    }
    scan_release(&scan);
    return claim;
}

/* The last record of a clean end says nothing but that all before it is durable. */
static bool is_mere_claim(const struct record *record)
{
    return record->type == RECORD_OUTCOMES && record->payload.len == 0;
}

static bool is_gap(const struct scanned *found, uint64_t previous, uint64_t claim)
{
    uint64_t sequence = found->record.sequence;
    if (previous == 0)
        return found->record.type != RECORD_SEGMENT && sequence - 1 > claim;
    return sequence != previous + 1 && previous + 1 > claim;
}

void judge_segment(struct spool *s, struct found *in)
{
    struct scan scan;
    struct scanned found;
    uint32_t generation = 0;
    uint64_t claim      = durable_claim(in, &generation);
    uint64_t torn       = 0;
    bool is_over        = false;
    in->last            = 0;
    scan_init(&scan, in->segment->file, in->segment->id);
    while (scan_next(&scan, &found)) {
        if (!judge_follows(&found, in->last, generation))
            continue;
        is_over = is_over || is_gap(&found, in->last, claim);
        if (found.record.sequence > s->recover.sequence_max)
            s->recover.sequence_max = found.record.sequence;
        if (is_over) {
            torn += found.bytes + found.damaged_bytes;
            continue;
        }
        in->last        = found.record.sequence;
        in->end         = found.offset + found.bytes;
        in->is_in_doubt = in->is_in_doubt || (in->last > claim && !is_mere_claim(&found.record));
    }
    torn += found.damaged_bytes;
    in->written = scan.is_recycled ? in->segment->bytes : in->end;
    scan_release(&scan);
    in->has_end  = true;
    in->is_cut   = torn > 0;
    in->is_empty = in->last == 0;
    s->recover.report.torn_bytes += torn;
}

static enum status copy_bytes(struct disk_file *from, struct disk_file *to, uint64_t end)
{
    char *block        = mem_new(COPY_BYTES);
    enum status status = OK;
    for (uint64_t at = 0; at < end && status == OK; at += COPY_BYTES) {
        size_t got = 0, cap = end - at < COPY_BYTES ? (size_t)(end - at) : COPY_BYTES;
        status = disk_read(from, at, block, cap, &got);
        if (status == OK)
            status = disk_write(to, at, span_make(block, got));
    }
    mem_free(block);
    return status == OK ? disk_sync(to) : status;
}

static enum status put_in_place(struct spool *s, struct segment *segment, struct disk_file *copy)
{
    char name[DISK_NAME_BYTES];
    segment_name(segment->id, name);
    enum status status = disk_rename(s->disk, JUDGE_COPY_NAME, name);
    if (status == OK)
        status = disk_sync_directory(s->disk);
    if (status != OK) {
        disk_close_file(copy);
        return status;
    }
    disk_close_file(segment->file);
    segment->file = copy;
    return OK;
}

enum status judge_make_durable(struct spool *s, struct found *in)
{
    struct disk_file *copy = NULL;
    if (!in->is_in_doubt)
        return disk_sync(in->segment->file);
    enum status status = disk_create(s->disk, JUDGE_COPY_NAME, in->segment->bytes, &copy);
    if (status == NO_SPACE)
        return disk_sync(in->segment->file);
    if (status != OK)
        return status;
    status = copy_bytes(in->segment->file, copy, in->end);
    if (status == OK)
        return put_in_place(s, in->segment, copy);
    disk_close_file(copy);
    (void)disk_unlink(s->disk, JUDGE_COPY_NAME);
    return status;
}
