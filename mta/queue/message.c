/* SPDX-License-Identifier: MIT */
#include "mta/queue/message.h"
#include "mta/base/buf.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/queue/recipient.h"

enum { RCPTS_AT_FIRST = 1, CHUNKS_AT_FIRST = 4 };

/* Most messages have none of the optional texts: those share one "". */
static const char *keep(struct message *m, struct span text)
{
    return text.len == 0 ? "" : arena_text(&m->arena, text);
}

/* Most recipients have neither: those share two empty texts. */
static const char *keep_both(struct message *m, struct span first, struct span second)
{
    if (first.len + second.len == 0)
        return "\0";
    struct buf both = {0};
    buf_put(&both, first);
    buf_put_byte(&both, '\0');
    buf_put(&both, second);
    const char *kept = arena_text(&m->arena, buf_span(&both));
    buf_release(&both);
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
    list_init(&m->batches);
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
    uint32_t index = m->rcpt_count;
    must(index < UINT32_MAX / 2);
    if (m->is_sealed)
        make_room_behind(m);
    else
        make_room(m);
    m->rcpt_count++;
    *message_rcpt(m, index) = (struct recipient){
        .address  = keep(m, span_of(rcpt->address)),
        .more     = keep_both(m, span_of(rcpt->orcpt), span_of(rcpt->data)),
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

void message_free(struct message *m)
{
    must(list_is_empty(&m->batches) && m->busy == 0);
    for (uint32_t i = 0; i < m->rcpt_count; i++)
        attempt_note_release(message_rcpt(m, i)->last);
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
