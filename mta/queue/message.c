/* SPDX-License-Identifier: MIT */
#include "mta/queue/message.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/queue/recipient.h"

enum { MESSAGE_RCPTS_AT_FIRST = 1 };

/* Most messages have none of the optional texts: those share one "". */
static const char *keep(struct message *m, struct span text)
{
    return text.len == 0 ? "" : arena_text(&m->arena, text);
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

uint32_t message_add_rcpt(struct message *m, const struct envelope_rcpt *rcpt)
{
    must(m->rcpt_count < UINT32_MAX / 2);
    if (m->rcpt_count == m->rcpt_cap) {
        m->rcpt_cap = m->rcpt_cap == 0 ? MESSAGE_RCPTS_AT_FIRST : m->rcpt_cap * 2;
        m->rcpts    = mem_resize(m->rcpts, m->rcpt_cap * sizeof m->rcpts[0]);
    }
    m->rcpts[m->rcpt_count] = (struct recipient){
        .address = keep(m, span_of(rcpt->address)),
        .orcpt   = keep(m, span_of(rcpt->orcpt)),
        .state   = RCPT_WAITING,
        .notify  = rcpt->notify,
    };
    return m->rcpt_count++;
}

void message_free(struct message *m)
{
    must(list_is_empty(&m->batches) && m->busy == 0);
    for (uint32_t i = 0; i < m->rcpt_count; i++)
        attempt_note_release(m->rcpts[i].last);
    mem_free(m->rcpts);
    arena_release(&m->arena);
    mem_free(m);
}

size_t message_memory(const struct message *m)
{
    return sizeof *m + m->rcpt_cap * sizeof m->rcpts[0] + m->arena.bytes;
}
