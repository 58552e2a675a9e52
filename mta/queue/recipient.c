/* SPDX-License-Identifier: MIT */
#include "mta/queue/recipient.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include <string.h>

struct attempt_note *attempt_note_new(const struct attempt *attempt)
{
    struct span text          = span_of(attempt->text);
    struct span mx            = span_of(attempt->mx);
    struct attempt_note *note = mem_new(sizeof *note + text.len + mx.len + 2);
    char *words               = (char *)(note + 1);

    note->refs    = 1;
    note->attempt = *attempt;
    if (text.len > 0)
        memcpy(words, text.at, text.len);
    if (mx.len > 0)
        memcpy(words + text.len + 1, mx.at, mx.len);
    note->attempt.text = words;
    note->attempt.mx   = words + text.len + 1;
    return note;
}

static bool are_near(uint64_t a_ms, uint64_t b_ms)
{
    return (a_ms > b_ms ? a_ms - b_ms : b_ms - a_ms) < ATTEMPT_NOTE_MS;
}

bool attempt_note_says(const struct attempt_note *note, const struct attempt *attempt)
{
    const struct attempt *a = &note->attempt, *b = attempt;
    return a->code == b->code && a->outcome == b->outcome && a->is_final == b->is_final &&
           memcmp(a->enhanced, b->enhanced, sizeof a->enhanced) == 0 &&
           are_near(a->wall_ms, b->wall_ms) && span_equals(span_of(a->text), span_of(b->text)) &&
           span_equals(span_of(a->mx), span_of(b->mx));
}

struct attempt_note *attempt_note_like(struct attempt_note *old, const struct attempt *attempt)
{
    return old != NULL && attempt_note_says(old, attempt) ? attempt_note_hold(old)
                                                          : attempt_note_new(attempt);
}

struct attempt_note *attempt_note_hold(struct attempt_note *note)
{
    note->refs++;
    return note;
}

void attempt_note_release(struct attempt_note *note)
{
    if (note == NULL)
        return;
    must(note->refs > 0);
    if (--note->refs == 0)
        mem_free(note);
}

void recipient_set_last(struct recipient *r, struct attempt_note *note)
{
    struct attempt_note *old = r->last;
    r->last                  = attempt_note_hold(note);
    attempt_note_release(old);
}

#define TO(state) (1u << RCPT_##state)
static const unsigned may_follow[RCPT_STATE_COUNT] = {
    [RCPT_WAITING]      = TO(WAITING) | TO(HELD) | TO(OWES_FAILURE) | TO(OWES_SUCCESS) | TO(ENDED),
    [RCPT_HELD]         = TO(WAITING) | TO(OWES_FAILURE) | TO(ENDED),
    [RCPT_OWES_FAILURE] = TO(ENDED),
    [RCPT_OWES_SUCCESS] = TO(ENDED),
};
#undef TO

static bool owes(enum rcpt_state state)
{
    return state == RCPT_OWES_FAILURE || state == RCPT_OWES_SUCCESS;
}

void recipient_set_state(struct message *m, struct recipient *r, enum rcpt_state next)
{
    must(may_follow[r->state] & 1u << next);
    m->owing -= owes(r->state);
    m->owing += owes(next);
    m->live -= next == RCPT_ENDED;
    r->state = (uint8_t)next;
}

void recipient_count_attempt(struct recipient *r)
{
    if (r->attempts < UINT16_MAX)
        r->attempts++;
}

static bool has_sender(const struct message *m)
{
    return m->envelope.sender[0] != '\0'; /* never a report about a report: RFC 5321 4.5.5 */
}

enum rcpt_state recipient_after_failure(const struct message *m, const struct recipient *r)
{
    bool is_asked = r->notify == 0 || (r->notify & NOTIFY_FAILURE) != 0;
    return has_sender(m) && is_asked && (r->notify & NOTIFY_NEVER) == 0 ? RCPT_OWES_FAILURE
                                                                        : RCPT_ENDED;
}

enum rcpt_state recipient_after_delivery(const struct message *m, const struct recipient *r,
                                         bool is_duty_ours)
{
    bool is_asked = (r->notify & NOTIFY_SUCCESS) != 0 && (r->notify & NOTIFY_NEVER) == 0;
    return has_sender(m) && is_asked && is_duty_ours ? RCPT_OWES_SUCCESS : RCPT_ENDED;
}

bool recipient_wants_delay_report(const struct message *m, const struct recipient *r)
{
    bool is_asked = (r->notify & NOTIFY_DELAY) != 0 && (r->notify & NOTIFY_NEVER) == 0;
    return has_sender(m) && is_asked && !r->is_late_told && r->state == RCPT_WAITING;
}
