/* SPDX-License-Identifier: MIT */
#include "mta/spool/notes.h"
#include "mta/base/fault.h"
#include "mta/base/list.h"
#include "mta/base/mem.h"
#include <string.h>

enum { NOTES_MIN = 16 };

void notes_release(struct notes *notes)
{
    table_release(&notes->by_bytes);
    arena_release(&notes->arena);
    mem_free(notes->all);
    *notes = (struct notes){0};
}

const struct attempt *notes_get(const struct notes *notes, uint32_t number)
{
    must(number > 0 && number <= notes->count);
    return &notes->all[number - 1]->attempt;
}

static void add(struct notes *notes, struct note *note)
{
    if (notes->count == notes->cap) {
        notes->cap = notes->cap == 0 ? NOTES_MIN : notes->cap * 2;
        notes->all = mem_resize(notes->all, notes->cap * sizeof(struct note *));
    }
    notes->all[notes->count++] = note;
    note->number               = notes->count;
}

static struct note *note_new(struct notes *notes, const struct payload_fate *fate, struct span key)
{
    struct note *note = arena_new(&notes->arena, sizeof *note);
    struct span kept  = {arena_text(&notes->arena, key), key.len};
    note->attempt     = (struct attempt){.code    = fate->code,
                                         .outcome = fate->outcome,
                                         .text    = arena_text(&notes->arena, fate->text),
                                         .mx      = arena_text(&notes->arena, fate->mx)};
    memcpy(note->attempt.enhanced, fate->enhanced, sizeof fate->enhanced);
    add(notes, note);
    table_insert(&notes->by_bytes, &note->by_bytes, kept);
    return note;
}

uint32_t notes_intern(struct notes *notes, const struct payload_fate *fate)
{
    struct buf key            = {0};
    struct payload_fate plain = *fate;
    plain.next_wall_ms = plain.last_wall_ms = 0;
    plain.attempts                          = 0;
    plain.state                             = RCPT_WAITING;
    payload_put_outcome(&key, 0, 0, &plain);
    struct table_node *node = table_find(&notes->by_bytes, buf_span(&key));
    if (node == NULL)
        node = &note_new(notes, fate, buf_span(&key))->by_bytes;
    buf_release(&key);
    return CONTAINER_OF(node, struct note, by_bytes)->number;
}
