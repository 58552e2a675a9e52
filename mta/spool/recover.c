/* SPDX-License-Identifier: MIT */
/*
 * In four steps: which files there are; where each ends, told by the head of a later one or judged
 * (judge.c); what their records mean (replay.c); what the log needs to go on.
 */
#include "mta/spool/recover.h"
#include "mta/base/mem.h"
#include "mta/spool/inside.h"
#include "mta/spool/judge.h"
#include "mta/spool/replay.h"
#include <string.h>

enum { FILES_MIN = 16 };

struct files {
    struct spool *spool;
    struct found *all;
    size_t count, cap;
    struct buf *error;
};

/* --- which files there are --- */

static enum status refuse_foreign(const struct files *f, const char *name)
{
    buf_printf(f->error, "%s holds %s, which is no part of a spool: %s", f->spool->directory, name,
               strcmp(name, "lost+found") == 0
                   ? "give the spool a directory of its own below the mount point"
                   : "move it away, or name another directory");
    return NOT_PERMITTED;
}

static enum status cannot(const struct files *f, const char *what, const char *name,
                          enum status status)
{
    buf_printf(f->error, "cannot %s %s/%s: %s (check the disk and the file's owner)", what,
               f->spool->directory, name, disk_error());
    return status;
}

static enum status open_segment(struct files *f, const char *name, uint64_t id)
{
    struct disk_file *file = NULL;
    enum status status     = disk_open_file(f->spool->disk, name, &file);
    if (status != OK)
        return cannot(f, "open", name, status);
    if (f->count == f->cap) {
        f->cap = f->cap == 0 ? FILES_MIN : f->cap * 2;
        f->all = mem_resize(f->all, f->cap * sizeof *f->all);
    }
    f->all[f->count++] = (struct found){.segment = segment_new(id, file), .last = UINT64_MAX};
    return OK;
}

/* One that was not made whole is made again. */
static enum status look_at_reserve(struct files *f)
{
    struct spool *s        = f->spool;
    struct disk_file *file = NULL;
    enum status status     = disk_open_file(s->disk, SEGMENT_RESERVE_NAME, &file);
    if (status != OK)
        return cannot(f, "open", SEGMENT_RESERVE_NAME, status);
    uint64_t bytes = disk_file_bytes(file);
    disk_close_file(file);
    s->keeper.has_reserve = bytes >= SEGMENT_BYTES_MIN && bytes <= SEGMENT_RESERVE_BYTES;
    if (s->keeper.has_reserve)
        return OK;
    status = disk_unlink(s->disk, SEGMENT_RESERVE_NAME);
    return status == OK ? OK : cannot(f, "remove", SEGMENT_RESERVE_NAME, status);
}

/* A copy that was not finished: what it is of is still there. */
static enum status unlink_copy(const struct files *f)
{
    enum status status = disk_unlink(f->spool->disk, JUDGE_COPY_NAME);
    return status == OK ? OK : cannot(f, "remove", JUDGE_COPY_NAME, status);
}

static enum status list_files(struct files *f)
{
    char name[DISK_NAME_BYTES] = "";
    size_t at                  = 0;
    uint64_t id;
    enum status status;
    while ((status = disk_list(f->spool->disk, &at, name)) == OK) {
        if (strcmp(name, SEGMENT_RESERVE_NAME) == 0)
            status = look_at_reserve(f);
        else if (strcmp(name, JUDGE_COPY_NAME) == 0)
            status = unlink_copy(f);
        else if (segment_id_of(name, &id))
            status = open_segment(f, name, id);
        else
            status = refuse_foreign(f, name);
        if (status != OK)
            return status;
    }
    if (status == NOT_PERMITTED)
        return refuse_foreign(f, name);
    return status == END ? OK : cannot(f, "list", ".", status);
}

/* --- where they end --- */

static struct found *find(struct files *f, uint64_t id)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->all[i].segment->id == id)
            return &f->all[i];
    return NULL;
}

static void note_end(struct files *f, const struct payload_segment_end *end)
{
    struct found *found = find(f, end->segment);
    if (found == NULL)
        return;
    found->has_end = true;
    found->is_cut  = end->is_cut;
    found->last    = end->last;
}

static enum status refuse_version(const struct files *f, unsigned version)
{
    buf_printf(f->error,
               "%s was written by a newer version (format %u, this one knows %u): run that version "
               "until the queue is empty, or name another directory",
               f->spool->directory, version, RECORD_VERSION);
    return BAD_INPUT;
}

/* Whether another version's magic stands at the beginning, and no record of ours behind it. */
static enum status check_version(const struct files *f, const struct found *found,
                                 struct span beginning)
{
    unsigned version = record_version(beginning);
    struct scanned record;
    struct scan scan;
    if (version <= RECORD_VERSION)
        return OK;
    scan_init(&scan, found->segment->file, found->segment->id);
    bool is_ours = scan_next(&scan, &record);
    scan_release(&scan);
    return is_ours ? OK : refuse_version(f, version);
}

/* Later heads know better than earlier ones, so this goes in the order of numbers. */
static enum status read_head(struct files *f, const struct found *found)
{
    char bytes[RECORD_BYTES_MAX];
    struct payload_segment_end ends[PAYLOAD_ENDS_MAX];
    struct record record;
    size_t got = 0, length, count;
    if (disk_read(found->segment->file, 0, bytes, sizeof bytes, &got) != OK)
        return OK; /* the scan tells */
    struct span in = span_make(bytes, got);
    if (record_parse(in, found->segment->id, &record, &length, NULL) != RECORD_GOOD)
        return check_version(f, found, in);
    if (record.type == RECORD_SEGMENT && payload_read_segment(record.payload, ends, &count))
        for (size_t i = 0; i < count; i++)
            note_end(f, &ends[i]);
    return OK;
}

/* From the newest back to the first that holds something. */
static enum status judge_newest(struct files *f)
{
    char name[DISK_NAME_BYTES];
    for (size_t i = f->count; i > 0; i--) {
        struct found *in = &f->all[i - 1];
        if (in->has_end)
            break;
        judge_segment(f->spool, in);
        enum status status = judge_make_durable(f->spool, in);
        segment_name(in->segment->id, name);
        if (status != OK)
            return cannot(f, "copy", name, status);
        if (!in->is_empty)
            break;
    }
    return OK;
}

/* --- reading --- */

static void tell_gap(struct spool *s, const struct found *in, uint64_t count, uint64_t offset)
{
    s->recover.report.corrupt_records += count;
    spool_alarm(s, "segment %016llx in %s is damaged at offset %llu: %llu records cannot be read",
                (unsigned long long)in->segment->id, s->directory, (unsigned long long)offset,
                (unsigned long long)count);
}

static void read_segment(struct spool *s, struct replay *replay, struct found *in)
{
    struct scan scan;
    struct scanned found;
    uint64_t previous = 0, end_offset = 0;
    uint32_t generation = 0;
    scan_init(&scan, in->segment->file, in->segment->id);
    while (scan_next(&scan, &found)) {
        if (!judge_follows(&found, previous, generation))
            continue;
        if (found.record.sequence > s->recover.sequence_max)
            s->recover.sequence_max = found.record.sequence;
        if (found.record.generation > s->recover.generation_max)
            s->recover.generation_max = found.record.generation;
        if (found.record.sequence > in->last)
            break;
        if (previous == 0 && found.record.type != RECORD_SEGMENT)
            tell_gap(s, in, 1, end_offset);
        else if (previous != 0 && found.record.sequence != previous + 1)
            tell_gap(s, in, found.record.sequence - previous - 1, end_offset);
        previous   = found.record.sequence;
        generation = found.record.generation;
        end_offset = found.offset + found.bytes;
        s->recover.report.records++;
        replay_record(replay, in, &found);
    }
    scan_release(&scan);
    if (in->has_end && previous != 0 && previous < in->last)
        tell_gap(s, in, in->last - previous, end_offset);
    if (in->has_end && previous == 0 && !in->is_cut)
        tell_gap(s, in, 1, 0); /* one that was sealed held something */
}

static void read_all(struct files *f)
{
    struct spool *s = f->spool;
    struct replay replay;
    replay_init(&replay, s, f->all, f->count);
    for (size_t i = 0; i < f->count; i++)
        if (!f->all[i].is_empty) {
            s->recover.report.segments++;
            read_segment(s, &replay, &f->all[i]);
        }
    replay_finish(&replay);
    replay_release(&replay);
}

/* --- going on --- */

/* Neither a record of its number nor the beginning of one. */
static bool is_unused(const struct segment *segment)
{
    struct scan scan;
    struct scanned found;
    scan_init(&scan, segment->file, segment->id);
    bool is_unused = !scan_next(&scan, &found) && found.damaged_bytes == 0;
    scan_release(&scan);
    return is_unused;
}

/* A process that was killed while it made the file may have left its name unsynced. */
static enum status sync_spare(struct files *f, const struct found *in)
{
    enum status status = disk_sync(in->segment->file);
    if (status == OK)
        status = disk_sync_directory(f->spool->disk);
    return status == OK ? OK : cannot(f, "sync", "a spare segment", status);
}

static enum status unlink_empty(struct files *f, struct found *in)
{
    char name[DISK_NAME_BYTES];
    segment_name(in->segment->id, name);
    enum status status = disk_unlink(f->spool->disk, name);
    if (status == OK)
        status = disk_sync_directory(f->spool->disk);
    if (status != OK)
        return cannot(f, "remove", name, status);
    segment_free(in->segment);
    in->segment = NULL;
    return OK;
}

/* The log takes the segment over.  One that is whole and unused is the next spare. */
static enum status adopt(struct files *f, struct found *in)
{
    struct spool *s         = f->spool;
    struct segment *segment = in->segment;
    segment->written        = in->written != 0 || in->is_empty ? in->written : segment->bytes;
    if (segment->id >= s->keeper.next_id)
        s->keeper.next_id = segment->id + 1;
    if (in->is_empty && (segment->bytes < SEGMENT_BYTES_MIN || segment->bytes > SEGMENT_BYTES_MAX ||
                         !is_unused(segment)))
        return unlink_empty(f, in);
    if (in->is_empty) {
        enum status status = sync_spare(f, in);
        if (status != OK)
            return status;
    } else {
        segment_enter(segment, SEGMENT_OPEN);
        segment_enter(segment, SEGMENT_SEALED);
        segment->used = segment->bytes;
    }
    segment_insert(&s->log.segments, segment);
    in->segment = NULL;
    return OK;
}

static enum status take_over(struct files *f)
{
    struct spool *s    = f->spool;
    enum status status = OK;
    s->keeper.next_id  = 1;
    for (size_t i = f->count; i > 0; i--)
        if (!f->all[i - 1].is_empty) {
            struct found *newest = &f->all[i - 1];
            log_add_end(&s->log, newest->segment->id, newest->last, newest->is_cut);
            break;
        }
    for (size_t i = 0; i < f->count && status == OK; i++)
        status = adopt(f, &f->all[i]);
    return status;
}

static void files_release(struct files *f)
{
    for (size_t i = 0; i < f->count; i++) {
        mem_free(f->all[i].chunks);
        if (f->all[i].segment != NULL)
            segment_free(f->all[i].segment);
    }
    mem_free(f->all);
}

enum status recover_run(struct spool *s, struct buf *error)
{
    struct files f     = {.spool = s, .error = error};
    enum status status = list_files(&f);
    for (size_t i = 0; i < f.count && status == OK; i++)
        status = read_head(&f, &f.all[i]);
    if (status == OK)
        status = judge_newest(&f);
    if (status == OK) {
        read_all(&f);
        status = take_over(&f);
    }
    if (status != OK) { /* what was found refers to files that are closed now */
        recover_release(s);
        index_release(&s->index);
        index_init(&s->index, 0);
    }
    files_release(&f);
    return status;
}
