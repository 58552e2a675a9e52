/* SPDX-License-Identifier: MIT */
#include "mta/spool/log.h"
#include "mta/base/fault.h"
#include <stdio.h>
#include <string.h>

enum {
    GROUP_BYTES_KEPT  = 1 << 20,  /* memory a group keeps between two uses */
    SMALL_GROUP_BYTES = 8 << 10,  /* what a client that waits for each reply makes */
    AHEAD_BYTES       = 32 << 10, /* zeros behind a small group, where no block was written yet */
};

static void group_init(struct group *group)
{
    *group = (struct group){0};
    list_init(&group->commits);
    list_init(&group->moves);
}

static void group_clear(struct group *group)
{
    struct buf bytes = group->bytes;
    must(list_is_empty(&group->commits) && list_is_empty(&group->moves));
    if (bytes.cap > GROUP_BYTES_KEPT && bytes.len < bytes.cap / 4)
        buf_release(&bytes);
    buf_clear(&bytes);
    group_init(group);
    group->bytes = bytes;
}

void log_init(struct log *log, struct worker *writer)
{
    *log = (struct log){.writer = writer, .next_sequence = 1};
    list_init(&log->segments);
    group_init(&log->groups[0]);
    group_init(&log->groups[1]);
    log->gathering = &log->groups[0];
}

void log_release(struct log *log)
{
    struct segment *segment;
    while ((segment = segment_first(&log->segments)) != NULL) {
        segment->busy = 0;
        segment_free(segment);
    }
    buf_release(&log->groups[0].bytes);
    buf_release(&log->groups[1].bytes);
}

bool log_is_broken(const struct log *log)
{
    return log->failures >= LOG_FAILURES_MAX;
}

bool log_is_empty(const struct log *log)
{
    return log->flying == NULL && log->gathering->piece_count == 0;
}

size_t log_backlog(const struct log *log)
{
    return log->gathering->bytes.len + (log->flying == NULL ? 0 : log->flying->bytes.len);
}

struct segment *log_spare(const struct log *log)
{
    struct segment *s =
        log->open == NULL ? segment_first(&log->segments) : segment_next(&log->segments, log->open);
    while (s != NULL && s->state != SEGMENT_SPARE)
        s = segment_next(&log->segments, s);
    return s;
}

size_t log_count_spares(const struct log *log)
{
    size_t count = 0;
    for (const struct segment *s = segment_first(&log->segments); s != NULL;
         s                       = segment_next(&log->segments, s))
        count += s->state == SEGMENT_SPARE;
    return count;
}

uint64_t log_room(const struct log *log)
{
    uint64_t room = log->open == NULL ? 0 : log->open->bytes - log->open->used;
    for (const struct segment *s = segment_first(&log->segments); s != NULL;
         s                       = segment_next(&log->segments, s))
        if (s->state == SEGMENT_SPARE)
            room += s->bytes;
    return room;
}

/* --- ends of segments --- */

static void drop_end(struct log *log, size_t i)
{
    for (; i + 1 < log->end_count; i++)
        log->ends[i] = log->ends[i + 1];
    log->end_count--;
}

void log_add_end(struct log *log, uint64_t id, uint64_t last, bool is_cut)
{
    must(log->end_count < PAYLOAD_ENDS_MAX);
    log->ends[log->end_count++] = (struct log_end){
        .end = {id, last, is_cut}
    };
}

bool log_owes_head(const struct log *log)
{
    for (size_t i = 0; i < log->end_count; i++)
        if (log->failures > 0 && log->ends[i].end.is_cut)
            return true;
    return false;
}

static void drop_durable_ends(struct log *log)
{
    for (size_t i = log->end_count; i > 0; i--) {
        uint64_t named_in = log->ends[i - 1].named_in;
        if (named_in != 0 && named_in <= log->durable)
            drop_end(log, i - 1);
    }
}

static void drop_end_of(struct log *log, uint64_t id)
{
    for (size_t i = log->end_count; i > 0; i--)
        if (log->ends[i - 1].end.segment == id)
            drop_end(log, i - 1);
}

/* --- whole blocks --- */

static uint64_t to_block(uint64_t bytes)
{
    return (bytes + SEGMENT_BLOCK_BYTES - 1) / SEGMENT_BLOCK_BYTES * SEGMENT_BLOCK_BYTES;
}

/* Zeros up to that place in the segment: the system need not read the rest of a block that is
 * written, and small groups that follow find blocks that were written already. */
static void fill_up_to(struct group *group, struct group_piece *piece, uint64_t end)
{
    uint64_t at = piece->offset + piece->len;
    if (end > piece->segment->bytes)
        end = piece->segment->bytes;
    if (piece->len == 0 || end <= at)
        return; /* nothing to write */
    size_t zeros = (size_t)(end - at);
    memset(buf_reserve(&group->bytes, zeros), 0, zeros);
    group->bytes.len += zeros;
    piece->len += zeros;
}

static void end_piece(struct group *group, struct group_piece *piece, uint64_t ahead)
{
    uint64_t end = to_block(piece->offset + piece->len);
    fill_up_to(group, piece, end);
    if (end <= piece->segment->written)
        return;
    size_t before = piece->len;
    fill_up_to(group, piece, end + ahead);
    group->zero_bytes       = piece->len - before;
    piece->segment->written = piece->offset + piece->len;
}

/* --- placing --- */

static struct group_piece *piece_for(struct group *group, struct segment *segment)
{
    struct group_piece *last =
        group->piece_count == 0 ? NULL : &group->pieces[group->piece_count - 1];
    if (last != NULL && last->segment == segment)
        return last;
    must(group->piece_count < GROUP_PIECES_MAX);
    struct group_piece *piece = &group->pieces[group->piece_count++];
    *piece =
        (struct group_piece){.segment = segment, .offset = segment->used, .from = group->bytes.len};
    segment->busy++;
    return piece;
}

/* The record stands at the end of what is used in the open segment. */
static void place_record(struct log *log, const struct log_record *record, struct place *place,
                         uint64_t *checksum)
{
    struct segment *open      = log->open;
    struct group *group       = log->gathering;
    struct group_piece *piece = piece_for(group, open);
    size_t bytes              = record_bytes(record->head.len + record->rest.len);
    struct record framed      = {
             .type       = record->type,
             .generation = log->generation,
             .segment    = open->id,
             .sequence   = log->next_sequence++,
             .durable    = log->durable,
             .payload    = record->head,
    };
    must(open->used + bytes <= open->bytes);
    uint64_t sum = record_put(&group->bytes, &framed, record->rest);
    if (checksum != NULL)
        *checksum = sum;
    if (place != NULL)
        *place = (struct place){open, (uint32_t)open->used, (uint32_t)bytes};
    if (open->first_sequence == 0)
        open->first_sequence = framed.sequence;
    open->last_sequence  = framed.sequence;
    group->last_sequence = framed.sequence;
    open->used += bytes;
    piece->len += bytes;
}

static void put_head(struct log *log)
{
    struct payload_segment_end ends[PAYLOAD_ENDS_MAX];
    struct buf payload = {0};
    for (size_t i = 0; i < log->end_count; i++) {
        ends[i] = log->ends[i].end;
        if (log->ends[i].named_in == 0) /* the first durable head that names it will do */
            log->ends[i].named_in = log->next_sequence;
        if (ends[i].is_cut)
            segment_pin(log->open, ends[i].segment);
    }
    payload_put_segment(&payload, ends, log->end_count);
    struct log_record head = {.type = RECORD_SEGMENT, .head = buf_span(&payload)};
    place_record(log, &head, NULL, NULL);
    buf_release(&payload);
}

static void seal(struct log *log)
{
    struct segment *open      = log->open;
    struct group_piece *piece = piece_for(log->gathering, open);
    piece->seal_last          = open->last_sequence;
    end_piece(log->gathering, piece, 0);
    log_add_end(log, open->id, open->last_sequence, false);
    segment_enter(open, SEGMENT_SEALED);
    log->open = NULL;
}

/* Whether a seal and a new piece fit into the group, and its end into a head. */
static bool may_roll(const struct log *log)
{
    return log->gathering->piece_count + (log->open == NULL ? 1u : 2u) <= GROUP_PIECES_MAX &&
           log->end_count < PAYLOAD_ENDS_MAX - 1;
}

static enum status roll(struct log *log, bool is_content)
{
    struct segment *next = log_spare(log);
    if (log_is_broken(log))
        return IO_ERROR;
    if (next == NULL || (is_content && next->is_reserve && log->keeps_reserve) || !may_roll(log))
        return AGAIN;
    if (log->open != NULL)
        seal(log);
    segment_enter(next, SEGMENT_OPEN);
    log->open         = next;
    log->is_block_due = false;
    put_head(log);
    return OK;
}

enum status log_open_next(struct log *log)
{
    return roll(log, false);
}

static uint64_t next_offset(const struct log *log)
{
    return log->is_block_due ? to_block(log->open->used) : log->open->used;
}

enum status log_put(struct log *log, const struct log_record *record, struct place *place,
                    uint64_t *checksum)
{
    size_t bytes = record_bytes(record->head.len + record->rest.len);
    if (log_is_broken(log))
        return IO_ERROR;
    if (record->is_content && log->keeps_reserve && log->open != NULL && log->open->is_reserve)
        return AGAIN;
    if (log->open == NULL || next_offset(log) + bytes > log->open->bytes) {
        enum status status = roll(log, record->is_content);
        if (status != OK)
            return status;
    }
    log->open->used   = next_offset(log);
    log->is_block_due = false;
    place_record(log, record, place, checksum);
    return OK;
}

/* --- on the disk thread --- */

static enum status write_piece(struct group *group, const struct group_piece *piece)
{
    struct span bytes = {group->bytes.at + piece->from, piece->len};
    enum status status =
        piece->len == 0 ? OK : disk_write(piece->segment->file, piece->offset, bytes);
    bool is_last = piece == &group->pieces[group->piece_count - 1];
    if (status == OK && (piece->seal_last != 0 || (is_last && group->syncs))) {
        group->sync_count++;
        status = disk_sync(piece->segment->file);
    }
    return status;
}

/* A segment is synced before anything is written to its successor. */
static void group_run(struct work *work)
{
    struct group *group = CONTAINER_OF(work, struct group, work);
    for (size_t i = 0; i < group->piece_count && group->status == OK; i++) {
        group->failed = i;
        group->status = write_piece(group, &group->pieces[i]);
    }
    if (group->status != OK)
        (void)snprintf(group->why, sizeof group->why, "%s", disk_error());
}

/* One small group alone need not be followed by another. */
static void end_group(struct log *log, struct group *group)
{
    bool is_small = group->bytes.len <= SMALL_GROUP_BYTES;
    if (group->piece_count > 0)
        end_piece(group, &group->pieces[group->piece_count - 1],
                  is_small && log->was_small ? AHEAD_BYTES : 0);
    log->was_small = is_small;
}

static struct group *begin_flight(struct log *log, bool syncs)
{
    struct group *group = log->gathering;
    if (log->flying != NULL)
        return NULL;
    if (group->piece_count == 0 && syncs && log->is_unsynced && log->open != NULL)
        (void)piece_for(group, log->open); /* nothing to write, but to sync */
    if (group->piece_count == 0)
        return NULL;
    end_group(log, group);
    if (group->last_sequence == 0)
        group->last_sequence = log->handed_over;
    log->handed_over  = group->last_sequence;
    group->syncs      = syncs;
    group->work.run   = group_run;
    log->is_unsynced  = !syncs;
    log->is_block_due = log->is_block_due || syncs;
    log->flying       = group;
    log->gathering    = group == &log->groups[0] ? &log->groups[1] : &log->groups[0];
    return group;
}

void log_hand_over(struct log *log, bool syncs)
{
    struct group *group = begin_flight(log, syncs);
    if (group != NULL && log->writer != NULL)
        worker_give(log->writer, &group->work);
    else if (group != NULL)
        group_run(&group->work);
    if (group != NULL)
        group->is_done = log->writer == NULL; /* else when the writer gives it back, not before */
}

struct group *log_take_done(struct log *log)
{
    if (log->writer != NULL && worker_take(log->writer) != NULL)
        log->flying->is_done = true; /* there is never more than one */
    return log->flying != NULL && log->flying->is_done ? log->flying : NULL;
}

/* --- how it ended --- */

static void let_go(struct group *group)
{
    for (size_t i = 0; i < group->piece_count; i++) {
        must(group->pieces[i].segment->busy > 0);
        group->pieces[i].segment->busy--;
    }
    group_clear(group);
}

void log_settle(struct log *log, struct group *group)
{
    must(group == log->flying && group->status == OK);
    for (size_t i = 0; i < group->piece_count; i++)
        if (group->pieces[i].seal_last > log->durable)
            log->durable = group->pieces[i].seal_last;
    if (group->syncs && group->last_sequence > log->durable)
        log->durable = group->last_sequence;
    log->flying = NULL;
    let_go(group);
    drop_durable_ends(log);
}

/* It was never written to. */
static void make_spare_again(struct log *log, struct segment *segment)
{
    segment->used           = 0;
    segment->oldest         = SEGMENT_NO_ID;
    segment->first_sequence = segment->last_sequence = 0;
    if (segment->state != SEGMENT_SPARE)
        segment_enter(segment, SEGMENT_SPARE);
    drop_end_of(log, segment->id);
}

/* What was not durable does not count, in whatever segment it stands. */
static void cut_at_durable(struct log *log, const struct segment *poisoned)
{
    drop_end_of(log, poisoned->id);
    for (size_t i = 0; i < log->end_count; i++) {
        struct log_end *end = &log->ends[i];
        end->named_in       = 0;
        if (end->end.last > log->durable) {
            end->end.last   = log->durable;
            end->end.is_cut = true;
        }
    }
    log_add_end(log, poisoned->id, log->durable, true);
}

void log_fail(struct log *log, struct group *group)
{
    must(group == log->flying && group->status != OK);
    struct segment *poisoned = group->pieces[group->failed].segment;
    for (size_t i = group->failed + 1; i < group->piece_count; i++)
        make_spare_again(log, group->pieces[i].segment);
    for (size_t i = 0; i < log->gathering->piece_count; i++)
        if (log->gathering->pieces[i].segment != poisoned)
            make_spare_again(log, log->gathering->pieces[i].segment);
    segment_enter(poisoned, SEGMENT_POISONED);
    poisoned->is_spent = true;
    cut_at_durable(log, poisoned);
    log->open        = NULL;
    log->is_unsynced = false;
    log->failures++;
    log->flying = NULL;
    let_go(group);
    let_go(log->gathering);
}
