/* SPDX-License-Identifier: MIT */
/*
 * A world around one spool, driven by a seed: drafts, commits, outcomes, reports, turns and threads
 * in random order, and a model of what the spool has promised.  After a crash model_reopen() holds
 * what is found against it:
 *
 *     I1 what was acknowledged and has not ended is there, byte for byte
 *     I4 what was not is there whole or not at all; what was refused or aborted is not
 *     I5 what was durable of a recipient is never undone
 *
 * Recipients also join messages that are open, also before those are durable: what was promised to
 * a join is what was promised to a commit, and the message is as it was when a join is refused.
 *
 * Some messages grow from a list: their cursor never moves back, and they stay until the slice that
 * says it was the last.
 */
#pragma once
#include "tests/unit/spool_fixture.h"
#include <stdlib.h>

enum {
    MODEL_MESSAGES  = 600,
    MODEL_RCPTS     = 16,
    MODEL_RCPTS_NEW = 6, /* of a commit, or a join */
    MODEL_DRAFTS    = 4,
    MODEL_VERSIONS  = 40,
    MODEL_BYTES_MAX = 60000,
};

struct model_rcpt {
    uint8_t states[MODEL_VERSIONS]; /* by attempts */
    unsigned noted, durable;        /* versions */
    bool has_ended, end_is_durable;
    bool is_reported; /* a report is on its way */
};

enum model_fate { FATE_PENDING, FATE_ACKED, FATE_REFUSED, FATE_UNKNOWN, FATE_GONE };

/* On its way, or nobody knows: it may be found. */
struct model_join {
    unsigned first_serial, count;
    uint64_t cursor; /* of a message that grows */
};

struct model_message {
    uint64_t id, bytes;
    size_t rcpt_count;
    unsigned serials[MODEL_RCPTS], next_serial; /* what is in their addresses */
    struct model_join joins[MODEL_RCPTS];
    size_t join_count;
    bool is_open, is_growing;
    uint64_t cursor, asked_cursor; /* durable; and what may be found */
    enum model_fate fate;
    struct model_rcpt rcpts[MODEL_RCPTS];
    struct content *content;
    struct spool_end ends[MODEL_RCPTS];
    size_t end_count;
    bool is_seen; /* at recovery */
};

struct model_draft {
    struct draft *draft;
    uint64_t id, bytes;
    bool is_committed, is_join;
    struct model_join join;
};

struct model {
    struct spool_config config;
    struct spool *spool;
    struct rng rng;
    uint64_t now_ms, last_id;
    struct model_message messages[MODEL_MESSAGES];
    size_t count;
    struct model_draft drafts[MODEL_DRAFTS];
    bool expects_damage; /* bytes were spoiled: what is lost must be alarmed, no more */
    bool wants_quiet;    /* no new mail */
    uint64_t acked, joined, lost, recovered, checkpoints, refused, alarms, recycled;
};

static inline void model_fail(const struct model *m, const struct model_message *message,
                              const char *what)
{
    (void)m;
    print_error("message %llu: %s\n", message == NULL ? 0ULL : (unsigned long long)message->id,
                what);
    fail();
}

static inline struct model_message *model_find(struct model *m, uint64_t id)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->messages[i].id == id)
            return &m->messages[i];
    return NULL;
}

/* Those that nothing is expected of any more make room. */
static inline struct model_message *model_slot(struct model *m)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->messages[i].fate == FATE_GONE && m->messages[i].content == NULL)
            return &m->messages[i];
    assert_true(m->count < MODEL_MESSAGES);
    return &m->messages[m->count++];
}

/* --- what happens --- */

static inline struct model_draft *any_draft(struct model *m, bool is_open)
{
    size_t at = (size_t)rng_below(&m->rng, MODEL_DRAFTS);
    for (size_t i = 0; i < MODEL_DRAFTS; i++) {
        struct model_draft *d = &m->drafts[(at + i) % MODEL_DRAFTS];
        if ((d->draft != NULL && !d->is_committed) == is_open && !(d->draft != NULL && !is_open))
            return d;
    }
    return NULL;
}

static inline void do_open(struct model *m)
{
    struct model_draft *d = any_draft(m, false);
    if (d == NULL || m->wants_quiet || m->count > MODEL_MESSAGES - 100)
        return;
    struct draft *draft = draft_open(m->spool);
    if (draft != NULL)
        *d = (struct model_draft){.draft = draft, .id = ++m->last_id};
}

static inline void do_write(struct model *m)
{
    struct model_draft *d = any_draft(m, true);
    if (d == NULL || draft_should_wait(d->draft) || d->bytes > MODEL_BYTES_MAX)
        return;
    size_t n = 1 + (size_t)rng_below(&m->rng, rng_one_in(&m->rng, 4) ? 20000 : 3000);
    if (draft_write(d->draft, content_at(d->id, d->bytes, n)) == OK)
        d->bytes += n;
}

static inline void do_abort(struct model *m)
{
    struct model_draft *d = any_draft(m, true);
    if (d == NULL)
        return;
    draft_abort(d->draft);
    d->draft = NULL;
}

/* Recipients that owe a report, of one message. */
static inline size_t owing(struct model *m, struct spool_end *ends)
{
    size_t count = 0;
    for (size_t i = 0; i < m->count && count == 0; i++)
        for (uint32_t r = 0; r < m->messages[i].rcpt_count; r++) {
            struct model_rcpt *rcpt = &m->messages[i].rcpts[r];
            if (m->messages[i].fate == FATE_ACKED && !rcpt->has_ended && !rcpt->is_reported &&
                rcpt->states[rcpt->noted] == RCPT_OWES_FAILURE) {
                rcpt->is_reported = true;
                ends[count++]     = (struct spool_end){m->messages[i].id, r};
            }
        }
    return count;
}

static inline void do_commit(struct model *m)
{
    struct model_draft *d = any_draft(m, true);
    if (d == NULL)
        return;
    struct model_message *message = model_slot(m);
    *message =
        (struct model_message){.id         = d->id,
                               .bytes      = d->bytes,
                               .rcpt_count = 1 + (size_t)rng_below(&m->rng, MODEL_RCPTS_NEW)};
    for (; message->next_serial < message->rcpt_count; message->next_serial++)
        message->serials[message->next_serial] = message->next_serial;
    message->is_open    = rng_one_in(&m->rng, 2);
    message->is_growing = message->is_open && rng_one_in(&m->rng, 3);
    if (rng_one_in(&m->rng, 2))
        message->end_count = owing(m, message->ends);
    message->cursor = message->asked_cursor = message->is_growing ? 1 : SPOOL_CURSOR_DONE;
    struct spool_entry entry                = entry_of(d->id);
    entry.is_open                           = message->is_open;
    entry.is_growing                        = message->is_growing;
    entry.cursor                            = message->cursor;
    draft_set_owner(d->draft, d);
    commit_entry(d->draft, &entry, message->rcpt_count, message->ends, message->end_count);
    d->is_committed = true;
}

static inline size_t rcpts_with_joins(const struct model_message *message)
{
    size_t count = message->rcpt_count;
    for (size_t i = 0; i < message->join_count; i++)
        count += message->joins[i].count;
    return count;
}

static inline struct model_message *any_open(struct model *m)
{
    size_t first = m->count == 0 ? 0 : (size_t)rng_below(&m->rng, m->count);
    for (size_t i = 0; i < m->count; i++) {
        struct model_message *message = &m->messages[(first + i) % m->count];
        if (message->is_open && (message->fate == FATE_ACKED || message->fate == FATE_PENDING))
            return message;
    }
    return NULL;
}

/* So many join, or come from a list; the last of it, when there is no room for more. */
static inline void join_some(struct model *m, struct model_message *message, unsigned count)
{
    struct model_draft *d = any_draft(m, false);
    struct envelope_rcpt to[MODEL_RCPTS_NEW];
    char texts[MODEL_RCPTS_NEW][64];
    struct draft *draft = d == NULL ? NULL : draft_open(m->spool);
    if (draft == NULL)
        return;
    struct model_join join = {message->next_serial, count, message->asked_cursor};
    if (message->is_growing)
        join.cursor = count == 0 || rng_one_in(&m->rng, 6) ? SPOOL_CURSOR_DONE : join.cursor + 1;
    *d = (struct model_draft){
        .draft = draft, .id = message->id, .is_committed = true, .is_join = true, .join = join};
    for (unsigned i = 0; i < count; i++)
        to[i] = (struct envelope_rcpt){
            .address = rcpt_address(message->id, message->next_serial++, texts[i]),
            .orcpt   = "",
            .notify  = NOTIFY_FAILURE};
    message->joins[message->join_count++] = join;
    draft_set_owner(draft, d);
    if (message->is_growing) {
        message->asked_cursor = join.cursor;
        draft_grow(draft, message->id, to, count, join.cursor);
    } else {
        draft_join(draft, message->id, to, count);
    }
}

/* One slice of a list at a time, and none behind the last. */
static inline bool may_join(const struct model_message *message)
{
    return !message->is_growing ||
           (message->join_count == 0 && message->cursor != SPOOL_CURSOR_DONE);
}

static inline void do_join(struct model *m)
{
    struct model_message *message = any_open(m);
    unsigned count                = 1 + (unsigned)rng_below(&m->rng, MODEL_RCPTS_NEW);
    if (message == NULL || m->wants_quiet || !may_join(message))
        return;
    if (rcpts_with_joins(message) + count <= MODEL_RCPTS)
        join_some(m, message, count);
    else if (message->is_growing)
        join_some(m, message, 0);
}

static inline void close_message(struct model *m, struct model_message *message)
{
    if (message->is_growing && message->cursor != SPOOL_CURSOR_DONE) {
        if (m->wants_quiet && may_join(message) && message->fate == FATE_ACKED)
            join_some(m, message, 0);
        return;
    }
    message->is_open = false;
    spool_close_message(m->spool, message->id);
}

static inline void do_close(struct model *m)
{
    struct model_message *message = any_open(m);
    if (message != NULL && rng_one_in(&m->rng, 3))
        close_message(m, message);
}

/* It is known how it ended: true if it was still asked for. */
static inline bool drop_join(struct model_message *message, const struct model_join *join)
{
    for (size_t i = 0; i < message->join_count; i++)
        if (message->joins[i].first_serial == join->first_serial) {
            message->joins[i] = message->joins[--message->join_count];
            return true;
        }
    return false;
}

static inline void add_rcpts(struct model_message *message, const struct model_join *join)
{
    for (unsigned i = 0; i < join->count; i++) {
        message->serials[message->rcpt_count] = join->first_serial + i;
        message->rcpts[message->rcpt_count++] = (struct model_rcpt){0};
    }
}

static inline void on_joined(struct model *m, struct model_message *message,
                             const struct model_join *join, enum status status)
{
    if (status != OK && spool_is_broken(m->spool))
        return; /* as on_refused() */
    assert_true(drop_join(message, join));
    m->joined += status == OK;
    m->refused += status != OK;
    if (status == OK) {
        add_rcpts(message, join);
        message->cursor = join->cursor;
    } else {
        message->asked_cursor = message->cursor;
    }
}

static inline struct model_rcpt *any_live(struct model *m, struct model_message **of, uint32_t *at)
{
    if (m->count == 0)
        return NULL;
    size_t first = (size_t)rng_below(&m->rng, m->count);
    for (size_t i = 0; i < m->count; i++) {
        struct model_message *message = &m->messages[(first + i) % m->count];
        for (uint32_t r = 0; message->fate == FATE_ACKED && r < message->rcpt_count; r++)
            if (!message->rcpts[r].has_ended && !message->rcpts[r].is_reported) {
                *of = message;
                *at = r;
                return &message->rcpts[r];
            }
    }
    return NULL;
}

static inline void let_go(struct model *m, struct model_message *message)
{
    (void)m;
    for (size_t r = 0; r < message->rcpt_count; r++)
        if (!message->rcpts[r].has_ended)
            return;
    if (message->content != NULL)
        content_release(message->content);
    message->content = NULL;
}

static inline void do_note(struct model *m)
{
    static const enum rcpt_state states[] = {RCPT_WAITING, RCPT_HELD, RCPT_OWES_FAILURE,
                                             RCPT_ENDED};
    struct model_message *message;
    uint32_t at;
    struct model_rcpt *rcpt = any_live(m, &message, &at);
    if (rcpt == NULL)
        return;
    enum rcpt_state state = states[rng_below(&m->rng, 4)];
    if (m->wants_quiet || rcpt->noted == MODEL_VERSIONS - 1)
        state = RCPT_ENDED;
    if (state == RCPT_ENDED) {
        rcpt->has_ended = true;
    } else {
        rcpt->noted++;
        rcpt->states[rcpt->noted] = (uint8_t)state;
    }
    spool_note(m->spool, message->id, at, state, (uint16_t)rcpt->noted, rcpt->noted * 1000,
               &a_deferral);
    let_go(m, message);
}

static inline void answer_checkpoint(struct model *m, uint64_t id, uint32_t first, uint32_t asked)
{
    struct model_message *message = model_find(m, id);
    uint32_t indexes[MODEL_RCPTS];
    struct spool_rcpt rcpts[MODEL_RCPTS];
    char texts[MODEL_RCPTS][64];
    size_t count = 0;
    for (uint32_t r = first; message != NULL && r < first + asked; r++) {
        const struct model_rcpt *rcpt = &message->rcpts[r];
        if (rcpt->has_ended)
            continue;
        indexes[count] = r;
        rcpts[count++] = (struct spool_rcpt){
            .envelope     = {.address = rcpt_address(id, message->serials[r], texts[r]),
                             .orcpt   = "",
                             .notify  = NOTIFY_FAILURE},
            .state        = (enum rcpt_state)rcpt->states[rcpt->noted],
            .attempts     = (uint16_t)rcpt->noted,
            .next_wall_ms = rcpt->noted * 1000,
            .last         = a_deferral,
        };
    }
    m->checkpoints++;
    spool_put_checkpoint(m->spool, id, indexes, rcpts, count);
}

static inline void on_acked(struct model *m, struct model_message *message)
{
    m->acked++;
    message->fate = FATE_ACKED;
    for (size_t i = 0; i < message->end_count; i++) {
        struct model_message *about = model_find(m, message->ends[i].id);
        if (about == NULL)
            continue;
        struct model_rcpt *rcpt = &about->rcpts[message->ends[i].rcpt];
        rcpt->has_ended = rcpt->end_is_durable = true;
        let_go(m, about);
    }
}

static inline void on_refused(struct model *m, struct model_message *message)
{
    m->refused++;
    message->fate = spool_is_broken(m->spool) ? FATE_UNKNOWN : FATE_REFUSED;
    if (message->fate == FATE_UNKNOWN)
        return; /* nobody could write down that it is void: it may come back, with its ends */
    for (size_t i = 0; i < message->end_count; i++) {
        struct model_message *about = model_find(m, message->ends[i].id);
        if (about != NULL)
            about->rcpts[message->ends[i].rcpt].is_reported = false;
    }
}

static inline void take_committed(struct model *m)
{
    struct draft *draft;
    struct content *content;
    enum status status;
    while (!fake.is_off && (draft = spool_take_committed(m->spool, &status, &content)) != NULL) {
        struct model_message *message = model_find(m, draft_id(draft));
        struct model_draft *d         = draft_owner(draft);
        assert_ptr_equal(d->draft, draft);
        if (d->is_join && !(fake.is_off && status != OK))
            on_joined(m, message, &d->join, status);
        else if (d->is_join)
            ; /* nobody heard */
        else if (fake.is_off && status != OK)
            message->fate = FATE_PENDING;
        else if (status == OK)
            on_acked(m, message);
        else
            on_refused(m, message);
        if (content != NULL)
            message->content = content;
        draft_abort(draft);
        d->draft = NULL;
    }
}

static inline void all_is_durable(struct model *m)
{
    for (size_t i = 0; i < m->count; i++)
        for (size_t r = 0; m->messages[i].fate == FATE_ACKED && r < m->messages[i].rcpt_count;
             r++) {
            struct model_rcpt *rcpt = &m->messages[i].rcpts[r];
            rcpt->durable           = rcpt->noted;
            rcpt->end_is_durable    = rcpt->has_ended;
        }
}

static inline void take_alarms(struct model *m)
{
    struct buf sentence = {0};
    while (spool_take_alarm(m->spool, &sentence)) {
        m->alarms++;
        if (getenv("SPOOL_TRACE") != NULL)
            print_message("alarm: %s\n", buf_text(&sentence));
        buf_clear(&sentence);
    }
    buf_release(&sentence);
}

/* As the engine does it. */
static inline void do_turn(struct model *m)
{
    uint64_t id;
    take_committed(m);
    if (fake.is_off)
        return;
    uint32_t first, count;
    for (size_t i = 0; m->wants_quiet && i < m->count; i++)
        if (m->messages[i].is_open)
            close_message(m, &m->messages[i]);
    while (spool_wants_checkpoint(m->spool, &id, &first, &count))
        answer_checkpoint(m, id, first, count);
    m->now_ms += rng_below(&m->rng, 60);
    (void)spool_turn(m->spool, m->now_ms);
    if (!fake.is_off && !spool_is_broken(m->spool) && spool_is_idle(m->spool))
        all_is_durable(m);
    take_alarms(m);
}

static inline void model_step(struct model *m)
{
    static void (*const moves[])(struct model * m) = {
        do_open, do_write, do_write, do_write, do_commit, do_note, do_note,
        do_turn, do_turn,  do_turn,  do_turn,  do_join,   do_join, do_close};
    size_t move = (size_t)rng_below(&m->rng, sizeof moves / sizeof moves[0] + 3);
    if (rng_one_in(&m->rng, 60))
        do_abort(m);
    else if (move < sizeof moves / sizeof moves[0])
        moves[move](m);
    else
        (void)fake_step(&m->rng);
}

static inline void model_run(struct model *m, unsigned steps)
{
    for (unsigned i = 0; i < steps && !fake.is_off; i++)
        model_step(m);
}

/* Only turns and threads: what was recovered is taken and dropped. */
static inline void model_run_quietly(struct model *m)
{
    struct spool_recovered found;
    while (spool_take_recovered(m->spool, &found))
        content_release(found.content);
    for (int i = 0; i < 30 && !fake.is_off; i++) {
        m->now_ms += 10;
        (void)spool_turn(m->spool, m->now_ms);
        (void)fake_step(&m->rng);
    }
}

/* --- its life --- */

static inline struct model *model_new(uint64_t seed)
{
    struct model *m = mem_new(sizeof *m);
    fake_reset();
    rng_seed(&m->rng, seed);
    m->config = small_config();
    m->now_ms = 1000;
    m->spool  = open_spool(&m->config);
    assert_non_null(m->spool);
    return m;
}

/* The process is gone: nobody holds anything. */
static inline void model_close(struct model *m)
{
    if (m->spool == NULL)
        return;
    for (size_t i = 0; i < MODEL_DRAFTS; i++)
        if (m->drafts[i].draft != NULL) {
            draft_abort(m->drafts[i].draft);
            m->drafts[i].draft = NULL;
        }
    for (size_t i = 0; i < m->count; i++)
        if (m->messages[i].content != NULL) {
            content_release(m->messages[i].content);
            m->messages[i].content = NULL;
        }
    struct spool_stats stats;
    spool_stats(m->spool, &stats);
    m->recycled += stats.recycled;
    spool_close(m->spool);
    m->spool = NULL;
}

static inline void model_free(struct model *m)
{
    model_close(m);
    mem_free(m);
}

static inline void check_rcpt(struct model *m, const struct model_message *message,
                              struct model_rcpt *rcpt, const struct spool_rcpt *found, size_t at)
{
    char text[64];
    if (found->state == RCPT_ENDED) {
        if (!rcpt->has_ended && !rcpt->is_reported && !m->expects_damage)
            model_fail(m, message, "a recipient ended that had not");
        rcpt->has_ended = rcpt->end_is_durable = true;
        return;
    }
    if (rcpt->end_is_durable && !m->expects_damage)
        model_fail(m, message, "a durable end was undone");
    if (!m->expects_damage && (found->attempts < rcpt->durable || found->attempts > rcpt->noted))
        model_fail(m, message, "attempts moved back");
    if (found->state != (enum rcpt_state)rcpt->states[found->attempts])
        model_fail(m, message, "a state nobody noted");
    if (strcmp(found->envelope.address, rcpt_address(message->id, message->serials[at], text)) != 0)
        model_fail(m, message, "another address");
    if (found->attempts > 0 && (strcmp(found->last.text, a_deferral.text) != 0 ||
                                found->next_wall_ms != found->attempts * 1000ULL))
        model_fail(m, message, "another last try");
    rcpt->has_ended = rcpt->end_is_durable = rcpt->is_reported = false;
    rcpt->noted = rcpt->durable = found->attempts;
}

/* More than was acknowledged: whole joins that were on their way, in their order. */
static inline void find_joins(struct model *m, struct model_message *message,
                              const struct spool_recovered *found)
{
    while (message->rcpt_count < found->rcpt_count) {
        unsigned long long id = 0;
        unsigned serial       = 0;
        const char *address   = found->rcpts[message->rcpt_count].envelope.address;
        size_t at             = 0;
        if (sscanf(address, "rcpt%u.%llu@", &serial, &id) != 2)
            model_fail(m, message, "a recipient nobody knows");
        while (at < message->join_count && message->joins[at].first_serial != serial)
            at++;
        if (at == message->join_count ||
            message->rcpt_count + message->joins[at].count > found->rcpt_count)
            model_fail(m, message, "recipients that were refused, or not all of a join");
        struct model_join join = message->joins[at];
        (void)drop_join(message, &join);
        add_rcpts(message, &join);
    }
    if (found->rcpt_count < message->rcpt_count && m->expects_damage)
        message->rcpt_count = found->rcpt_count;
}

static inline void check_growth(struct model *m, struct model_message *message,
                                const struct spool_entry *entry)
{
    uint64_t cursor = entry->is_growing ? entry->cursor : SPOOL_CURSOR_DONE;
    assert_int_equal(entry->is_open, entry->is_growing);
    if ((cursor < message->cursor || cursor > message->asked_cursor) && !m->expects_damage)
        model_fail(m, message, "a cursor that nobody asked for, or that moved back");
    message->is_growing = entry->is_growing;
    message->cursor = message->asked_cursor = cursor;
}

static inline void check_found(struct model *m, const struct spool_recovered *found)
{
    struct model_message *message = model_find(m, found->entry.id);
    struct spool_entry entry      = entry_of(found->entry.id);
    if (message == NULL || message->fate == FATE_GONE)
        model_fail(m, message, "a message that is over came back");
    if (message->fate == FATE_REFUSED)
        model_fail(m, message, "a refused message came back");
    if (message->is_seen)
        model_fail(m, message, "found twice");
    find_joins(m, message, found);
    if (found->rcpt_count != message->rcpt_count)
        model_fail(m, message, "another number of recipients");
    if (!content_is(found->content, message->id, message->bytes))
        model_fail(m, message, "another content");
    assert_int_equal(found->entry.arrival_wall_ms, entry.arrival_wall_ms);
    assert_string_equal(found->entry.flow, entry.flow);
    for (size_t r = 0; r < message->rcpt_count; r++)
        check_rcpt(m, message, &message->rcpts[r], &found->rcpts[r], r);
    check_growth(m, message, &found->entry);
    message->is_seen = true;
    message->content = found->content;
}

/* Whether it may be missing. */
static inline bool may_be_missing(const struct model_message *message)
{
    if (message->fate != FATE_ACKED)
        return true;
    if (message->asked_cursor != SPOOL_CURSOR_DONE)
        return false;
    for (size_t r = 0; r < message->rcpt_count; r++)
        if (!message->rcpts[r].has_ended && !message->rcpts[r].is_reported)
            return false;
    return true;
}

/* With a report neither acknowledged nor found, nothing ended by it. */
static inline void check_ends(struct model *m, const struct model_message *report)
{
    for (size_t i = 0; i < report->end_count; i++) {
        struct model_message *about = model_find(m, report->ends[i].id);
        if (about != NULL && about->fate == FATE_ACKED && !about->is_seen &&
            !about->rcpts[report->ends[i].rcpt].has_ended && !m->expects_damage)
            model_fail(m, about, "gone with a report that does not exist");
    }
}

static inline void judge_missing(struct model *m)
{
    for (size_t i = 0; i < m->count; i++) {
        struct model_message *message = &m->messages[i];
        if (!message->is_seen && !may_be_missing(message)) {
            m->lost++;
            if (!m->expects_damage)
                model_fail(m, message, "acknowledged and lost");
        }
        if (!message->is_seen && message->fate == FATE_PENDING)
            check_ends(m, message);
    }
    for (size_t i = 0; i < m->count; i++) {
        struct model_message *message = &m->messages[i];
        message->fate                 = message->is_seen ? FATE_ACKED : FATE_GONE;
        message->is_seen              = false;
        message->end_count            = 0;
        message->join_count           = 0;
        message->is_open              = message->is_growing && message->fate == FATE_ACKED;
    }
}

static inline void take_recovered(struct model *m)
{
    struct spool_recovered found;
    uint64_t last = 0;
    while (spool_take_recovered(m->spool, &found)) {
        assert_true(found.entry.id > last);
        last = found.entry.id;
        m->recovered++;
        check_found(m, &found);
    }
    judge_missing(m);
    for (size_t i = 0; i < m->count; i++)
        for (size_t r = 0; r < m->messages[i].rcpt_count; r++)
            m->messages[i].rcpts[r].is_reported = false;
    take_alarms(m);
}

/* The crash that came, and the start after it. */
static inline void model_reopen(struct model *m, enum fake_survival how)
{
    model_close(m);
    fake_power_on(how, rng_next(&m->rng));
    m->spool = open_spool(&m->config);
    assert_non_null(m->spool);
    take_recovered(m);
}
