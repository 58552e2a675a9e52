/* SPDX-License-Identifier: MIT */
#include "mta/queue/message.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/queue/batch.h"
#include "mta/queue/flow.h"
#include "mta/queue/recipient.h"
#include <string.h>

enum { RCPTS_AT_FIRST = 1, CHUNKS_AT_FIRST = 4 };

/* --- texts --- */

static const char *keep(struct message *m, const char *text)
{
    return span_of(text).len == 0 ? "" : arena_text(&m->more->arena, span_of(text));
}

/* Into *at, which moves on. */
static const char *put_text(char **at, struct span text)
{
    char *copy = *at;
    if (text.len > 0)
        memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    *at += text.len + 1;
    return copy;
}

enum { RCPT_TEXTS = 3 };

/* One behind the other; NULL is "". */
static const char *keep_rcpt(struct message *m, const struct envelope_rcpt *rcpt)
{
    const struct span texts[RCPT_TEXTS] = {span_of(rcpt->address), span_of(rcpt->orcpt),
                                           span_of(rcpt->data)};
    size_t bytes                        = texts[0].len + texts[1].len + texts[2].len + RCPT_TEXTS;
    char *kept = arena_bytes(&m->more->arena, bytes), *at = kept;
    for (int i = 0; i < RCPT_TEXTS; i++)
        (void)put_text(&at, texts[i]);
    return kept;
}

static struct span rcpt_texts(const struct recipient *r)
{
    const char *end = r->address;
    for (int i = 0; i < RCPT_TEXTS; i++)
        end += strlen(end) + 1;
    return span_make(r->address, (size_t)(end - r->address));
}

/* --- while it comes in --- */

struct message_more *message_add_more(struct message *m)
{
    if (m->more == NULL) {
        m->more              = mem_new(sizeof *m->more);
        m->more->message     = m;
        m->more->first_count = m->rcpt_count;
        m->more->flow_name   = "";
    }
    return m->more;
}

struct message *message_new(uint64_t id, const struct envelope *envelope)
{
    struct message *m = mem_new(sizeof *m);
    (void)message_add_more(m);
    m->id              = id;
    m->envelope        = *envelope;
    m->envelope.sender = keep(m, envelope->sender);
    m->envelope.envid  = keep(m, envelope->envid);
    return m;
}

void message_set_flow(struct message *m, struct span flow)
{
    must(m->flow == NULL);
    m->more->flow_name = flow.len == 0 ? "" : arena_text(&m->more->arena, flow);
}

const char *message_flow(const struct message *m)
{
    return m->flow != NULL ? m->flow->name : m->more->flow_name;
}

static void make_room(struct message *m)
{
    struct message_more *more = m->more;
    if (more->first_count == more->first_cap) {
        more->first_cap = more->first_cap == 0 ? RCPTS_AT_FIRST : more->first_cap * 2;
        m->rcpts        = mem_resize(m->rcpts, more->first_cap * sizeof m->rcpts[0]);
    }
    more->first_count++;
}

static void make_room_behind(struct message *m)
{
    struct message_more *more = message_add_more(m);
    if (m->rcpt_count - more->first_count < more->chunk_count * MESSAGE_CHUNK_RCPTS)
        return;
    if (more->chunk_count == more->chunk_cap) {
        more->chunk_cap = more->chunk_cap == 0 ? CHUNKS_AT_FIRST : more->chunk_cap * 2;
        more->chunks    = mem_resize(more->chunks, more->chunk_cap * sizeof(struct recipient *));
    }
    more->chunks[more->chunk_count++] =
        mem_new_array(MESSAGE_CHUNK_RCPTS, sizeof(struct recipient));
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
        .address  = keep_rcpt(m, rcpt),
        .index    = index,
        .state    = RCPT_WAITING,
        .notify   = rcpt->notify,
        .is_local = rcpt->is_local,
    };
    return index;
}

/* --- when it is the queue's --- */

static void share_sender(struct message *m)
{
    struct span sender = span_of(m->envelope.sender);
    if (sender.len > 0 && m->flow->sender == NULL)
        m->flow->sender = mem_text(m->envelope.sender);
    if (sender.len > 0 && span_equals(sender, span_of(m->flow->sender)))
        m->envelope.sender = m->flow->sender;
}

/* A text of its own that is not "". */
static bool is_apart(const struct message *m, const char *text)
{
    return text[0] != '\0' && text != m->flow->sender;
}

static size_t packed_bytes(const struct message *m)
{
    const char *const texts[] = {m->envelope.sender, m->envelope.envid};
    size_t bytes              = 0;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        bytes += is_apart(m, texts[i]) ? strlen(texts[i]) + 1 : 0;
    for (uint32_t i = 0; i < m->rcpt_count; i++)
        bytes += sizeof m->rcpts[0] + rcpt_texts(&m->rcpts[i]).len;
    return bytes;
}

/* Recipients and all texts in one piece of memory. */
static void pack(struct message *m)
{
    const char **texts[]     = {&m->envelope.sender, &m->envelope.envid};
    struct recipient *packed = mem_new(packed_bytes(m));
    char *at                 = (char *)(packed + m->rcpt_count);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (is_apart(m, *texts[i]))
            *texts[i] = put_text(&at, span_of(*texts[i]));
    for (uint32_t i = 0; i < m->rcpt_count; i++) {
        struct span all   = rcpt_texts(&m->rcpts[i]);
        packed[i]         = m->rcpts[i];
        packed[i].address = memcpy(at, all.at, all.len);
        at += all.len;
    }
    mem_free(m->rcpts);
    m->rcpts = packed;
    arena_release(&m->more->arena);
}

void message_seal(struct message *m, struct flow *flow)
{
    struct message_more *more = m->more;
    must(!m->is_sealed && more->first_count == m->rcpt_count);
    m->is_sealed = true;
    m->flow      = flow;
    share_sender(m);
    if (m->rcpt_count <= MESSAGE_SMALL_RCPTS)
        pack(m);
    else if (m->rcpt_count < more->first_cap)
        m->rcpts = mem_resize(m->rcpts, m->rcpt_count * sizeof m->rcpts[0]);
    more->first_cap = m->rcpt_count;
    message_tidy(m);
}

void message_tidy(struct message *m)
{
    const struct message_more *more = m->more;
    if (more == NULL || m->is_open || more->chunk_count > 0 || more->arena.blocks != NULL)
        return;
    mem_free(m->more);
    m->more = NULL;
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

uint64_t message_expires_in_ms(const struct message *m, uint64_t now_ms)
{
    return m->expiry.key > now_ms ? m->expiry.key - now_ms : 0;
}

void message_free(struct message *m)
{
    must(m->busy == 0);
    for (uint32_t i = 0; i < m->rcpt_count; i++) {
        must(message_rcpt(m, i)->batch == NULL);
        attempt_note_release(message_rcpt(m, i)->last);
    }
    struct message_more *more = m->more;
    for (uint32_t i = 0; more != NULL && i < more->chunk_count; i++)
        mem_free(more->chunks[i]);
    if (more != NULL) {
        mem_free(more->chunks);
        arena_release(&more->arena);
    }
    mem_free(more);
    mem_free(m->rcpts);
    mem_free(m);
}

size_t message_memory(const struct message *m)
{
    const struct message_more *more = m->more;
    size_t bytes                    = mem_cost(m) + mem_cost(m->rcpts);
    if (more == NULL)
        return bytes;
    size_t joined = (size_t)more->chunk_count * MESSAGE_CHUNK_RCPTS * sizeof(struct recipient);
    return bytes + joined + mem_cost(more) + mem_cost(more->chunks) + more->arena.bytes;
}
