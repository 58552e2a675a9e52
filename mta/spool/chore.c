/* SPDX-License-Identifier: MIT */
#include "mta/spool/chore.h"
#include "mta/base/fault.h"
#include <stdio.h>
#include <string.h>

enum { ZERO_BYTES = 256 << 10 }; /* in one write */

void chore_init(struct chore *chore, struct disk *disk)
{
    *chore = (struct chore){.disk = disk};
}

void chore_release(struct chore *chore)
{
    buf_release(&chore->read);
}

/* --- on the helping thread --- */

static enum status run_idle(struct chore *chore)
{
    (void)chore;
    return OK;
}

static enum status run_spare(struct chore *chore)
{
    char name[DISK_NAME_BYTES];
    segment_name(chore->id, name);
    return disk_create(chore->disk, name, chore->bytes, &chore->file);
}

/* Nothing is written to it before its name is durable: else a crash might give its new records the
 * old number.  When that fails, nobody knows its name: it must go. */
static enum status run_recycle(struct chore *chore)
{
    char from[DISK_NAME_BYTES], to[DISK_NAME_BYTES];
    segment_name(chore->segment->id, from);
    segment_name(chore->id, to);
    enum status status = disk_rename(chore->disk, from, to);
    if (status != OK)
        return status;
    status = disk_sync_directory(chore->disk);
    if (status != OK)
        (void)disk_unlink(chore->disk, to);
    return status;
}

/* When it is needed the disk is full: so its blocks are not only taken but written. */
static enum status write_zeros(struct disk_file *file, uint64_t bytes)
{
    static const char zeros[ZERO_BYTES];
    enum status status = OK;
    for (uint64_t at = 0; at < bytes && status == OK; at += ZERO_BYTES)
        status = disk_write(file, at, span_first(span_make(zeros, ZERO_BYTES), bytes - at));
    return status == OK ? disk_sync(file) : status;
}

static enum status run_reserve(struct chore *chore)
{
    struct disk_file *file = NULL;
    enum status status     = disk_create(chore->disk, SEGMENT_RESERVE_NAME, chore->bytes, &file);
    if (status != OK)
        return status;
    status = write_zeros(file, chore->bytes);
    disk_close_file(file);
    if (status != OK)
        (void)disk_unlink(chore->disk, SEGMENT_RESERVE_NAME);
    return status;
}

/* It gets its place in the order of the log only now; nothing is written before that is durable. */
static enum status run_use_reserve(struct chore *chore)
{
    char name[DISK_NAME_BYTES];
    segment_name(chore->id, name);
    enum status status = disk_rename(chore->disk, SEGMENT_RESERVE_NAME, name);
    if (status == OK)
        status = disk_sync_directory(chore->disk);
    if (status == OK)
        status = disk_open_file(chore->disk, name, &chore->file);
    return status;
}

/* NOT_FOUND: an earlier try did it, but could not sync. */
static enum status run_unlink(struct chore *chore)
{
    char name[DISK_NAME_BYTES];
    segment_name(chore->segment->id, name);
    enum status status = disk_unlink(chore->disk, name);
    if (status == OK || status == NOT_FOUND)
        status = disk_sync_directory(chore->disk);
    return status;
}

static enum status run_space(struct chore *chore)
{
    return disk_space(chore->disk, &chore->free_bytes, &chore->total_bytes);
}

static enum status read_piece(struct chore *chore, char *scratch)
{
    const struct place *piece = &chore->piece;
    struct record record;
    size_t got = 0, bytes = 0;
    if (piece->bytes == 0)
        return OK;
    must(piece->bytes <= RECORD_BYTES_MAX);
    enum status status =
        disk_read(piece->segment->file, piece->offset, scratch, piece->bytes, &got);
    if (status != OK)
        return status;
    if (record_parse(span_make(scratch, got), piece->segment->id, &record, &bytes, NULL) !=
        RECORD_GOOD)
        return CORRUPT;
    buf_put(&chore->read, record.payload);
    chore->piece_bytes = record.payload.len;
    return OK;
}

static void read_extent(struct chore *chore, size_t i, char *scratch)
{
    const struct extent *extent = &chore->reads[i];
    struct span bytes;
    chore->is_lost[i] = extent_read(extent, scratch, &bytes) != OK;
    if (chore->is_lost[i])
        bytes = span_make(memset(scratch, 0, extent->bytes), extent->bytes);
    buf_put(&chore->read, bytes);
}

static enum status run_read(struct chore *chore)
{
    char scratch[RECORD_BYTES_MAX];
    buf_clear(&chore->read);
    chore->piece_bytes = 0;
    chore->read_status = read_piece(chore, scratch);
    for (size_t i = 0; i < chore->read_count && chore->read_status == OK; i++)
        read_extent(chore, i, scratch);
    return OK;
}

static enum status run_close(struct chore *chore)
{
    segment_free(chore->segment);
    chore->segment = NULL;
    return OK;
}

static void chore_run(struct work *work)
{
    static enum status (*const run[CHORE_COUNT])(struct chore * chore) = {
        [CHORE_IDLE]        = run_idle,
        [CHORE_SPARE]       = run_spare,
        [CHORE_RECYCLE]     = run_recycle,
        [CHORE_RESERVE]     = run_reserve,
        [CHORE_USE_RESERVE] = run_use_reserve,
        [CHORE_UNLINK]      = run_unlink,
        [CHORE_SPACE]       = run_space,
        [CHORE_READ]        = run_read,
        [CHORE_CLOSE]       = run_close,
    };
    struct chore *chore = CONTAINER_OF(work, struct chore, work);
    chore->status       = run[chore->kind](chore);
    if (chore->status != OK)
        (void)snprintf(chore->why, sizeof chore->why, "%s", disk_error());
}

/* --- at home --- */

void chore_give(struct chore *chore, struct worker *worker, enum chore_kind kind)
{
    must(chore->kind == CHORE_IDLE && kind != CHORE_IDLE);
    chore->kind     = kind;
    chore->is_done  = false;
    chore->status   = OK;
    chore->file     = NULL;
    chore->why[0]   = '\0';
    chore->work.run = chore_run;
    if (worker != NULL)
        worker_give(worker, &chore->work);
    else
        chore_run(&chore->work);
    chore->is_done = worker == NULL; /* else when the worker gives it back, not before */
}
