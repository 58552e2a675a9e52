/* SPDX-License-Identifier: MIT */
/*
 * Each phase has a step that takes bytes from the front and returns how many; 0 means that it needs
 * more.  The feed runs steps until nothing moves.  What a host does instead of the right thing is
 * decided in one place, mx_session_answer().
 */
#include "bench/mx_session.h"
#include "bench/mx_command.h"
#include "bench/mx_mailbox.h"
#include <stdio.h>
#include <string.h>

enum { HUGE_LINES = 2048, HUGE_LINE_BYTES = 500 };

void mx_session_count(struct mx_session *s, size_t field)
{
    ++*(uint64_t *)((char *)&s->host->tally + field);
    ++*(uint64_t *)((char *)&s->common->ledger->total + field);
}

void mx_session_violation(struct mx_session *s, enum violation violation, struct span what)
{
    ledger_violation(s->common->ledger, violation, s->host, what);
}

/* In front of the text stands an enhanced code that this host or client may not know. */
static struct span without_enhanced(struct span text)
{
    struct span rest = text, word;
    (void)span_cut(&rest, ' ', &word);
    return word.len >= 5 && ascii_is_digit(word.at[0]) && word.at[1] == '.' ? rest : text;
}

void mx_session_say(struct mx_session *s, const char *text)
{
    struct span code = span_first(span_of(text), 3), rest = span_skip(span_of(text), 4), line;
    bool may_enhance = s->is_extended && !s->host->p.no_enhanced;
    do {
        line = span_first(rest, span_find(rest, '|'));
        rest = span_skip(rest, line.len + 1);
        buf_put(&s->out, code);
        buf_put_byte(&s->out, rest.len > 0 ? '-' : ' ');
        buf_put(&s->out, may_enhance ? line : without_enhanced(line));
        buf_put_text(&s->out, "\r\n");
    } while (rest.len > 0);
    s->said = text;
}

static void say_huge(struct mx_session *s, const char *normal)
{
    for (int i = 0; i < HUGE_LINES; i++) {
        buf_put(&s->out, span_make(normal, 3));
        buf_put_byte(&s->out, '-');
        memset(buf_reserve(&s->out, HUGE_LINE_BYTES), 'x', HUGE_LINE_BYTES);
        s->out.len += HUGE_LINE_BYTES;
        buf_put_text(&s->out, "\r\n");
    }
    mx_session_say(s, normal);
}

static void enter_broken(struct mx_session *s, enum mx_phase phase)
{
    s->phase      = phase;
    s->was_broken = true;
    s->said       = NULL;
}

/* What the personality wants here, with 'times' and 'every' applied. */
static const struct action *action_at(struct mx_session *s, enum stage stage)
{
    static const struct action normal = {ACT_NORMAL, NULL};
    const struct personality *p       = &s->host->p;
    if (p->at[stage].act == ACT_NORMAL)
        return &normal;
    uint64_t use   = ++s->host->action_uses[stage];
    uint64_t every = p->every > 0 ? p->every : 1;
    if (use % every != 0 || (p->times > 0 && use > p->times * every))
        return &normal;
    return &p->at[stage];
}

bool mx_session_answer(struct mx_session *s, enum stage stage, const char *normal)
{
    const struct action *action = action_at(s, stage);
    s->said                     = NULL;
    switch (action->act) {
    case ACT_REPLY:
        mx_session_say(s, action->text);
        return normal == NULL || action->text[0] == normal[0];
    case ACT_DROP:
        enter_broken(s, MX_CLOSED);
        return false;
    case ACT_DROP_KEPT:
        enter_broken(s, MX_CLOSED);
        return true;
    case ACT_SILENT:
        enter_broken(s, normal == NULL ? MX_DEAF : MX_SILENT);
        return false;
    case ACT_GARBAGE:
        buf_put(&s->out, span_make("\x01\xff\x00no reply\r\n", 13));
        return false;
    case ACT_HUGE:
        if (normal != NULL)
            say_huge(s, normal);
        return true;
    case ACT_TWICE:
        if (normal != NULL)
            mx_session_say(s, normal);
        break;
    case ACT_NORMAL:
    case ACT_COUNT:
        break;
    }
    if (normal != NULL)
        mx_session_say(s, normal);
    return true;
}

/* Too many connections: true, and this one ends. */
static bool refuses_connection(struct mx_session *s)
{
    const struct personality *p = &s->host->p;
    uint64_t open               = s->host->tally.open;
    bool closes                 = p->connections_close > 0 && open > p->connections_close;
    bool refuses                = p->connections > 0 && open > p->connections;
    if (!closes && !refuses)
        return false;
    mx_session_count(s, offsetof(struct tally, refused));
    if (!closes)
        mx_session_say(s, "421 4.7.0 too many connections from you");
    enter_broken(s, MX_CLOSED);
    return true;
}

static void schedule_output(struct mx_session *s)
{
    const struct personality *p = &s->host->p;
    s->due_ms                   = s->now_ms + p->latency_ms + p->tarpit_ms;
    s->hold_ms                  = s->now_ms + p->tarpit_ms;
}

void mx_session_init(struct mx_session *s, struct mx_common *common, struct host *host,
                     const char *peer, uint64_t now_ms)
{
    char greeting[WORLD_NAME_BYTES_MAX + 64];
    memset(s, 0, sizeof *s);
    s->common = common;
    s->host   = host;
    s->now_ms = now_ms;
    (void)snprintf(s->peer, sizeof s->peer, "%s", peer);
    mx_transaction_init(&s->transaction);
    mx_body_init(&s->body);
    tally_open(&host->tally);
    tally_open(&common->ledger->total);

    (void)snprintf(greeting, sizeof greeting, "220 %.*s %sMTP mailrace-bench",
                   (int)host->by_name.key.len, host->by_name.key.at,
                   host->p.lmtp       ? "L"
                   : host->p.no_esmtp ? "S"
                                      : "ES");
    if (!refuses_connection(s) && !mx_session_answer(s, STAGE_GREETING, greeting) &&
        s->said != NULL && s->said[0] != '2')
        enter_broken(s, MX_CLOSED);
    s->said = NULL;
    schedule_output(s);
    s->greeting_due_ms = s->due_ms;
    mx_session_count(s, offsetof(struct tally, turns));
}

void mx_session_release(struct mx_session *s)
{
    buf_release(&s->out);
    mx_transaction_release(&s->transaction);
    mx_body_release(&s->body);
}

void mx_session_count_refusal(struct mx_session *s, struct domain *domain, struct span rcpt,
                              const char *reply)
{
    if (reply == NULL)
        return;
    if (reply[0] == '5') {
        mx_session_count(s, offsetof(struct tally, rejected));
        if (domain != NULL)
            domain->tally.rejected++;
    } else if (reply[0] == '4') {
        mx_session_count(s, offsetof(struct tally, deferred));
        if (domain != NULL)
            domain->tally.deferred++;
    }
    ledger_refuse(s->common->ledger, rcpt, span_of(reply));
}

/* The content's own fault; NULL: none. */
static const char *content_refusal(const struct mx_session *s)
{
    uint64_t limit = s->host->p.size;
    return limit > 0 && s->body.bytes > limit ? "552 5.3.4 message too big" : NULL;
}

static void refuse_all(struct mx_session *s, const char *reply)
{
    struct mx_transaction *t = &s->transaction;
    for (size_t i = 0; i < t->count; i++) {
        t->rcpts[i].refused = true;
        mx_session_count_refusal(s, t->rcpts[i].domain, mx_transaction_rcpt(t, i), reply);
    }
}

/* RFC 2033: one reply for each recipient. */
static void answer_each(struct mx_session *s, const char *refusal)
{
    struct mx_transaction *t = &s->transaction;
    for (size_t i = 0; i < t->count && s->phase != MX_CLOSED && s->phase != MX_SILENT; i++) {
        struct span rcpt = mx_transaction_rcpt(t, i);
        const char *own  = refusal != NULL ? refusal : mx_mailbox_at_dot(rcpt);
        if (own != NULL)
            mx_session_say(s, own);
        else if (mx_session_answer(s, s->end_stage, "250 2.0.0 delivered"))
            continue;
        t->rcpts[i].refused = true;
        mx_session_count_refusal(s, t->rcpts[i].domain, rcpt, s->said);
    }
}

static void answer_once(struct mx_session *s, const char *refusal)
{
    if (refusal != NULL)
        mx_session_say(s, refusal);
    else if (mx_session_answer(s, s->end_stage, "250 2.0.0 taken"))
        return;
    refuse_all(s, s->said);
}

static bool anybody_took_it(const struct mx_transaction *t)
{
    for (size_t i = 0; i < t->count; i++)
        if (!t->rcpts[i].refused)
            return true;
    return false;
}

void mx_session_forget(struct mx_session *s)
{
    mx_transaction_reset(&s->transaction);
    s->has_refused_mail = false;
    s->has_tried_rcpt   = false;
    s->has_begun_bdat   = false;
}

void mx_session_finish_content(struct mx_session *s)
{
    const char *refusal = content_refusal(s);
    s->phase            = MX_COMMAND;
    if (s->host->p.lmtp)
        answer_each(s, refusal);
    else
        answer_once(s, refusal);
    if (s->messages++ > 0)
        mx_session_count(s, offsetof(struct tally, messages_warm));
    if (anybody_took_it(&s->transaction)) {
        struct mx_delivery delivery = {.ledger  = s->common->ledger,
                                       .host    = s->host,
                                       .helo    = span_of(s->helo),
                                       .tls     = s->tls,
                                       .wall_us = s->common->wall_us};
        mx_transaction_record(&s->transaction, &s->body, &delivery);
    }
    mx_session_forget(s);
    if (s->host->p.messages_close > 0 && s->messages >= s->host->p.messages_close)
        enter_broken(s, MX_CLOSED);
}

static size_t step_data(struct mx_session *s, struct span bytes)
{
    if (!s->body_seen) {
        s->body_seen = true;
        (void)mx_session_answer(s, STAGE_BODY, NULL);
        if (s->phase != MX_DATA)
            return 0;
    }
    size_t taken = mx_body_feed(&s->body, bytes);
    if (s->body.state == MX_BODY_ENDED) {
        mx_session_finish_content(s);
        if (s->host->p.drop_behind)
            return bytes.len;
        if (s->phase == MX_COMMAND)
            mx_command_note_more(s, false, span_skip(bytes, taken));
    }
    return taken;
}

static size_t step_chunk(struct mx_session *s, struct span bytes)
{
    struct span part = span_first(bytes, s->chunk_left < bytes.len ? s->chunk_left : bytes.len);
    if (!s->body_seen && !s->chunk_is_void) {
        s->body_seen = true;
        (void)mx_session_answer(s, STAGE_BODY, NULL);
        if (s->phase != MX_CHUNK)
            return 0;
    }
    if (!s->chunk_is_void)
        mx_body_feed_chunk(&s->body, part);
    s->chunk_left -= part.len;
    if (s->chunk_left == 0)
        mx_command_end_chunk(s);
    return s->chunk_left == 0 && s->host->p.drop_behind ? bytes.len : part.len;
}

static size_t step(struct mx_session *s, struct span bytes)
{
    switch (s->phase) {
    case MX_COMMAND:
    case MX_AUTH:
        return mx_command_feed(s, bytes);
    case MX_DATA:
        return step_data(s, bytes);
    case MX_CHUNK:
        return step_chunk(s, bytes);
    case MX_BABBLE:
        buf_put_text(&s->out, "this is no handshake at all\r\n");
        enter_broken(s, MX_CLOSED);
        return bytes.len;
    case MX_SILENT:
        return bytes.len;
    case MX_HANDSHAKE:
    case MX_DEAF:
    case MX_CLOSED:
        break;
    }
    return 0;
}

void mx_session_flushed(struct mx_session *s)
{
    s->has_spoken = true;
}

void mx_session_heard(struct mx_session *s)
{
    s->is_turn_fresh = s->has_spoken;
    if (!s->has_spoken)
        return;
    s->has_spoken   = false;
    s->is_turn_warm = s->messages > 0;
    mx_session_count(s, offsetof(struct tally, round_trips));
    if (s->is_turn_warm)
        mx_session_count(s, offsetof(struct tally, round_trips_warm));
}

size_t mx_session_feed(struct mx_session *s, struct span bytes, uint64_t now_ms)
{
    size_t taken = 0, said = s->out.len;
    s->now_ms = now_ms;
    if (now_ms < s->greeting_due_ms && bytes.len > 0)
        mx_session_violation(s, VIOLATION_early_talk, bytes);
    s->greeting_due_ms = 0;
    while (taken < bytes.len && now_ms >= s->hold_ms) {
        size_t n = step(s, span_skip(bytes, taken));
        if (n == 0)
            break;
        taken += n;
        s->is_turn_fresh = false;
        if (s->host->p.tarpit_ms > 0 && s->out.len > said)
            schedule_output(s); /* and hold */
    }
    if (s->out.len > said) {
        mx_session_count(s, offsetof(struct tally, turns));
        if (s->host->p.tarpit_ms == 0)
            schedule_output(s);
    }
    return taken;
}

void mx_session_shakes_hands(struct mx_session *s)
{
    s->has_met_before = s->host->tally.tls > 0;
}

void mx_session_secured(struct mx_session *s, const char *version, bool is_resumed)
{
    mx_session_count(s, offsetof(struct tally, tls));
    if (s->has_met_before)
        mx_session_count(s, offsetof(struct tally, tls_repeated));
    if (is_resumed)
        mx_session_count(s, offsetof(struct tally, tls_resumed));
    if (strcmp(version, "TLSv1.3") == 0)
        mx_session_count(s, offsetof(struct tally, tls13));
    s->tls         = version;
    s->phase       = MX_COMMAND;
    s->has_hello   = false;
    s->is_extended = false;
    s->scolds      = false;
    mx_session_forget(s);
}

void mx_session_tls_failed(struct mx_session *s, const char *why, bool is_refused)
{
    if (is_refused)
        mx_session_count(s, offsetof(struct tally, tls_refused));
    else
        mx_session_violation(s, VIOLATION_tls_failed, span_of(why));
    enter_broken(s, MX_CLOSED);
}

void mx_session_idle(struct mx_session *s, uint64_t now_ms)
{
    s->now_ms = now_ms;
    mx_session_say(s, "421 4.4.2 idle for too long");
    schedule_output(s);
    enter_broken(s, MX_CLOSED);
}

void mx_session_ended(struct mx_session *s)
{
    tally_close(&s->host->tally);
    tally_close(&s->common->ledger->total);
    if (s->has_quit)
        mx_session_count(s, offsetof(struct tally, quit));
    else if (s->was_broken)
        mx_session_count(s, offsetof(struct tally, aborted));
    else
        mx_session_count(s, offsetof(struct tally, lost));
}
