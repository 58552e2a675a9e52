/* SPDX-License-Identifier: MIT */
#include "mta/spool/segment.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include <stdio.h>
#include <string.h>

static const char suffix[] = ".seg";

#define TO(state) (1u << (state))
static const unsigned may_follow[SEGMENT_STATE_COUNT] = {
    [SEGMENT_SPARE]    = TO(SEGMENT_OPEN) | TO(SEGMENT_DOOMED),
    [SEGMENT_OPEN]     = TO(SEGMENT_SEALED) | TO(SEGMENT_POISONED) | TO(SEGMENT_SPARE),
    [SEGMENT_SEALED]   = TO(SEGMENT_DOOMED) | TO(SEGMENT_POISONED) | TO(SEGMENT_SPARE),
    [SEGMENT_POISONED] = TO(SEGMENT_DOOMED),
    [SEGMENT_DOOMED]   = TO(SEGMENT_GONE) | TO(SEGMENT_SEALED), /* it failed: try again */
    [SEGMENT_GONE]     = 0,
};

void segment_enter(struct segment *segment, enum segment_state next)
{
    must(may_follow[segment->state] & TO(next));
    segment->state = next;
}

void segment_name(uint64_t id, char name[DISK_NAME_BYTES])
{
    (void)snprintf(name, DISK_NAME_BYTES, "%0*llx%s", SEGMENT_NAME_ID_DIGITS,
                   (unsigned long long)id, suffix);
}

static int hex_digit(char c)
{
    if (ascii_is_digit(c))
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool segment_id_of(const char *name, uint64_t *id)
{
    uint64_t value = 0;
    if (strlen(name) != SEGMENT_NAME_ID_DIGITS + sizeof suffix - 1)
        return false;
    for (int i = 0; i < SEGMENT_NAME_ID_DIGITS; i++) {
        int digit = hex_digit(name[i]);
        if (digit < 0)
            return false;
        value = value << 4 | (unsigned)digit;
    }
    if (strcmp(name + SEGMENT_NAME_ID_DIGITS, suffix) != 0 || value == 0 || value == SEGMENT_NO_ID)
        return false;
    *id = value;
    return true;
}

struct segment *segment_new(uint64_t id, struct disk_file *file)
{
    struct segment *segment = mem_new(sizeof *segment);
    segment->id             = id;
    segment->file           = file;
    segment->bytes          = disk_file_bytes(file);
    segment->oldest         = SEGMENT_NO_ID;
    segment->state          = SEGMENT_SPARE;
    list_init(&segment->link);
    return segment;
}

void segment_free(struct segment *segment)
{
    must(segment->busy == 0 && segment->refs == 0);
    list_remove(&segment->link);
    disk_close_file(segment->file);
    mem_free(segment);
}

struct segment *segment_again(struct segment *old, uint64_t id)
{
    must(old->busy == 0 && old->refs == 0 && old->live == 0 && !old->is_spent);
    struct segment *segment = segment_new(id, old->file);
    segment->written        = old->written;
    list_remove(&old->link);
    mem_free(old);
    return segment;
}

struct segment *segment_at(struct list *link)
{
    return link == NULL ? NULL : CONTAINER_OF(link, struct segment, link);
}

struct segment *segment_first(const struct list *all)
{
    return segment_at(list_first(all));
}

struct segment *segment_next(const struct list *all, const struct segment *segment)
{
    return segment_at(list_next(all, &segment->link));
}

void segment_insert(struct list *all, struct segment *segment)
{
    struct list *before = all->prev;
    while (before != all && segment_at(before)->id > segment->id)
        before = before->prev;
    list_push_front(before, &segment->link); /* any node of a ring may stand for its head */
}

void segment_pin(struct segment *segment, uint64_t about)
{
    if (about < segment->oldest)
        segment->oldest = about;
}

bool segment_is_dead(const struct list *all, const struct segment *segment)
{
    if (segment->live > 0 || segment->busy > 0 ||
        (segment->state != SEGMENT_SEALED && segment->state != SEGMENT_POISONED))
        return false;
    for (const struct segment *s = segment_first(all); s != NULL && s->id < segment->id;
         s                       = segment_next(all, s))
        if (s->id >= segment->oldest)
            return false;
    return true;
}

bool segment_may_recycle(const struct segment *segment, uint64_t bytes)
{
    return segment->state == SEGMENT_SEALED && segment->refs == 0 && !segment->is_spent &&
           segment->bytes == bytes;
}
