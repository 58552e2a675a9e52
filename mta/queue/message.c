/* SPDX-License-Identifier: MIT */
#include "mta/queue/message.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/queue/batch.h"
#include "mta/queue/recipient.h"
#include <string.h>

enum { RCPTS_AT_FIRST = 1, CHUNKS_AT_FIRST = 4 };

/* Most messages have none of the optional texts: those share one "". */
static const char *keep(struct message *m, struct span text)
{
    return text.len == 0 ? "" : arena_text(&m->arena, text);
}

/* One behind the other; NULL is "". */
static const char *keep_all(struct message *m, const char *const *texts, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += span_of(texts[i]).len + 1;
    char *kept = arena_bytes(&m->arena, bytes), *at = kept;
    for (size_t i = 0; i < count; i++) {
        struct span text = span_of(texts[i]);
        if (text.len > 0)
            memcpy(at, text.at, text.len);
        at[text.len] = '\0';
        at += text.len + 1;
    }
    return kept;
}

struct message *message_new(uint64_t id, const struct envelope *envelope)
{
    struct message *m  = mem_new(sizeof *m);
    m->id              = id;
    m->envelope        = *envelope;
    m->envelope.sender = keep(m, span_of(envelope->sender));
    m->envelope.envid  = keep(m, span_of(envelope->envid));
    m->message_id      = "";
    m->flow_name       = "";
    return m;
}

void message_set_flow(struct message *m, struct span flow)
{
    must(m->flow == NULL);
    m->flow_name = keep(m, flow);
}

void message_set_message_id(struct message *m, struct span message_id)
{
    m->message_id = keep(m, message_id);
}

static void make_room(struct message *m)
{
    if (m->first_count == m->rcpt_cap) {
        m->rcpt_cap = m->rcpt_cap == 0 ? RCPTS_AT_FIRST : m->rcpt_cap * 2;
        m->rcpts    = mem_resize(m->rcpts, m->rcpt_cap * sizeof m->rcpts[0]);
    }
    m->first_count++;
}

static void make_room_behind(struct message *m)
{
    if (m->rcpt_count - m->first_count < m->chunk_count * MESSAGE_CHUNK_RCPTS)
        return;
    if (m->chunk_count == m->chunk_cap) {
        m->chunk_cap = m->chunk_cap == 0 ? CHUNKS_AT_FIRST : m->chunk_cap * 2;
        m->chunks    = mem_resize(m->chunks, m->chunk_cap * sizeof(struct recipient *));
    }
    m->chunks[m->chunk_count++] = mem_new_array(MESSAGE_CHUNK_RCPTS, sizeof(struct recipient));
}

uint32_t message_add_rcpt(struct message *m, const struct envelope_rcpt *rcpt)
{
    const char *texts[] = {rcpt->address, rcpt->orcpt, rcpt->data};
    uint32_t index      = m->rcpt_count;
    must(index < UINT32_MAX / 2);
    if (m->is_sealed)
        make_room_behind(m);
    else
        make_room(m);
    m->rcpt_count++;
    *message_rcpt(m, index) = (struct recipient){
        .address  = keep_all(m, texts, sizeof texts / sizeof texts[0]),
        .index    = index,
        .state    = RCPT_WAITING,
        .notify   = rcpt->notify,
        .is_local = rcpt->is_local,
    };
    return index;
}

void message_seal(struct message *m)
{
    must(!m->is_sealed && m->first_count == m->rcpt_count);
    m->is_sealed = true;
    if (m->rcpt_count == 0 || m->rcpt_count == m->rcpt_cap)
        return;
    m->rcpts    = mem_resize(m->rcpts, m->rcpt_count * sizeof m->rcpts[0]);
    m->rcpt_cap = m->rcpt_count;
}

struct batch *message_next_batch(const struct message *m, uint32_t *at)
{
    while (*at < m->rcpt_count) {
        struct recipient *r = message_rcpt(m, (*at)++);
        if (r->batch != NULL && batch_first(r->batch) == r)
            return r->batch;
    }
    return NULL;
}

void message_free(struct message *m)
{
    must(m->busy == 0);
    for (uint32_t i = 0; i < m->rcpt_count; i++) {
        must(message_rcpt(m, i)->batch == NULL);
        attempt_note_release(message_rcpt(m, i)->last);
    }
    for (uint32_t i = 0; i < m->chunk_count; i++)
        mem_free(m->chunks[i]);
    mem_free(m->chunks);
    mem_free(m->rcpts);
    arena_release(&m->arena);
    mem_free(m);
}

size_t message_memory(const struct message *m)
{
    size_t rcpts = m->rcpt_cap + (size_t)m->chunk_count * MESSAGE_CHUNK_RCPTS;
    return sizeof *m + rcpts * sizeof(struct recipient) +
           m->chunk_cap * sizeof(struct recipient *) + m->arena.bytes;
}
