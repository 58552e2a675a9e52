/* SPDX-License-Identifier: MIT */
/*
 * The commands of a transaction are numbered: MAIL, RCPT for each, DATA.  'said' of them are out,
 * 'heard' of them are answered; a source that pipelines says all at once.
 */
#include "tests/sim/sim_source.h"
#include "mta/base/fault.h"
#include "tests/sim/sim_mem.h"
#include "tests/sim/sim_net.h"
#include "tests/sim/sim_plan.h"
#include <stdio.h>
#include <string.h>

enum {
    TRANSACTIONS_MAX = 600,
    SUBMISSIONS_MAX  = 60,
    RETRY_MS_MIN     = 500,
    RETRY_MS_MAX     = 120000,
    PATIENCE_MS      = 900000,
    CLOSING_MS_MAX   = 2000,
};

/* One time that the whole body was sent. */
struct submission {
    struct sim_mark mark; /* whether the product has read it */
    bool is_refused;
    bool is_in_doubt; /* whatever was answered */
};

struct transaction {
    unsigned mail, first_rcpt, rcpt_count;
    uint64_t not_before_ms, first_ms;
    struct submission *submissions[SUBMISSIONS_MAX];
    unsigned submission_count, acked;
};

enum phase { PHASE_AWAY, PHASE_GREETING, PHASE_HELLO, PHASE_COMMANDS, PHASE_BODY, PHASE_RESTING };

struct source {
    struct sim_end end;
    const struct plan_source *plan;
    enum phase phase;
    unsigned index, said, heard;
    struct transaction *now; /* NULL: none */
    struct sim_event wakes;  /* to begin, or out of patience */
};

struct sim_sources {
    struct source sources[PLAN_SOURCES_MAX];
    struct transaction transactions[TRANSACTIONS_MAX];
    unsigned transaction_of[PLAN_RCPTS_MAX];
    unsigned count;
};

static const struct transaction *transaction_of(unsigned rcpt)
{
    const struct sim_sources *all = sim()->sources;
    return &all->transactions[all->transaction_of[rcpt]];
}

static bool may_be_taken(const struct submission *s)
{
    return s->mark.heard_ms != UINT64_MAX && (!s->is_refused || s->is_in_doubt);
}

unsigned source_count_submitted(unsigned rcpt)
{
    const struct transaction *t = transaction_of(rcpt);
    unsigned count              = 0;
    for (unsigned i = 0; i < t->submission_count; i++)
        count += may_be_taken(t->submissions[i]);
    return count;
}

static void doubt(struct transaction *t, uint64_t since_ms)
{
    for (unsigned i = 0; i < t->submission_count; i++)
        if (t->submissions[i]->mark.heard_ms >= since_ms)
            t->submissions[i]->is_in_doubt = true;
}

void sources_on_broken_disk(uint64_t since_ms)
{
    for (unsigned i = 0; i < sim()->sources->count; i++)
        doubt(&sim()->sources->transactions[i], since_ms);
}

unsigned source_count_acked(unsigned rcpt)
{
    return transaction_of(rcpt)->acked;
}

uint64_t source_first_ms(unsigned rcpt)
{
    const struct sim_sources *all = sim()->sources;
    uint64_t first_ms             = transaction_of(rcpt)->first_ms;
    for (unsigned i = 0; i < all->count; i++) {
        const struct transaction *t = &all->transactions[i];
        if (t->mail == sim()->plan->rcpts[rcpt].mail && t->first_ms > 0 && t->first_ms < first_ms)
            first_ms = t->first_ms;
    }
    return first_ms;
}

bool sources_are_done(void)
{
    const struct sim_sources *all = sim()->sources;
    for (unsigned i = 0; i < all->count; i++)
        if (all->transactions[i].acked == 0)
            return false;
    return true;
}

/* --- what is next --- */

static struct transaction *next_transaction(const struct source *s, uint64_t *at_ms)
{
    struct sim_sources *all    = sim()->sources;
    struct transaction *chosen = NULL;
    for (unsigned i = 0; i < all->count; i++) {
        struct transaction *t = &all->transactions[i];
        bool is_ours          = sim()->plan->mails[t->mail].source == s->index;
        if (is_ours && t->acked == 0 && (chosen == NULL || t->not_before_ms < *at_ms)) {
            chosen = t;
            *at_ms = t->not_before_ms;
        }
    }
    return chosen;
}

static void plan_next(struct source *s)
{
    uint64_t at_ms = 0;
    if (next_transaction(s, &at_ms) != NULL)
        sim_at(&s->wakes, at_ms);
    else
        sim_cancel(&s->wakes);
}

static void go_away(struct source *s, bool gently)
{
    if (gently)
        end_close(&s->end);
    else
        end_reset(&s->end);
    s->phase = PHASE_AWAY;
    s->now   = NULL;
    plan_next(s);
}

/* It did not work: again later. */
static void try_later(struct source *s)
{
    if (s->now != NULL)
        s->now->not_before_ms = sim()->now_ms + sim_between(RETRY_MS_MIN, RETRY_MS_MAX);
    go_away(s, sim_below(2) == 0);
}

/* --- saying --- */

static void say(struct source *s, const char *text)
{
    end_write(&s->end, span_of(text));
}

static void say_command(struct source *s, unsigned number)
{
    const struct transaction *t = s->now;
    char address[PLAN_NAME_BYTES * 2], line[PLAN_NAME_BYTES * 4];
    if (number == 0) {
        plan_sender_address(t->mail, address);
        (void)snprintf(line, sizeof line, "MAIL FROM:<%s>\r\n", address);
    } else if (number <= t->rcpt_count) {
        bool is_quiet = sim()->plan->mails[t->mail].wants_no_report;
        plan_rcpt_address(t->first_rcpt + number - 1, address);
        (void)snprintf(line, sizeof line, "RCPT TO:<%s>%s\r\n", address,
                       is_quiet ? " NOTIFY=NEVER" : "");
    } else {
        (void)snprintf(line, sizeof line, "DATA\r\n");
    }
    say(s, line);
}

static unsigned command_count(const struct source *s)
{
    return s->now->rcpt_count + 2;
}

static void say_on(struct source *s)
{
    while (s->said < command_count(s) && (s->plan->pipelines || s->said == s->heard))
        say_command(s, s->said++);
}

static void begin_transaction(struct source *s)
{
    s->phase = PHASE_COMMANDS;
    s->said = s->heard = 0;
    say_on(s);
    sim_after(&s->wakes, PATIENCE_MS);
}

static void stuff(struct span text, struct buf *into)
{
    while (text.len > 0) {
        struct span line = span_first(text, span_find(text, '\n') + 1);
        if (line.at[0] == '.')
            buf_put_byte(into, '.');
        buf_put(into, line);
        text = span_skip(text, line.len);
    }
    buf_put_text(into, ".\r\n");
}

static void remember_submission(struct source *s)
{
    struct transaction *t        = s->now;
    struct submission *submitted = world_new(sizeof *submitted);
    must(t->submission_count < SUBMISSIONS_MAX);
    t->submissions[t->submission_count++] = submitted;
    end_mark(&s->end, &submitted->mark);
    if (t->first_ms == 0)
        t->first_ms = sim()->now_ms;
}

static void say_body(struct source *s)
{
    struct buf text = {0}, stuffed = {0};
    plan_mail_text(s->now->mail, &text);
    stuff(buf_span(&text), &stuffed);
    bool gives_up = s->plan->gives_up > 0 && !plan_is_calm() && sim_below(s->plan->gives_up) == 0;
    s->phase      = PHASE_BODY;
    if (gives_up) {
        end_write(&s->end, span_first(buf_span(&stuffed), sim_below(stuffed.len - 2)));
        try_later(s);
    } else {
        end_write(&s->end, buf_span(&stuffed));
        remember_submission(s);
    }
    buf_release(&text);
    buf_release(&stuffed);
}

/* --- hearing --- */

static void transaction_done(struct source *s)
{
    uint64_t at_ms = 0;
    s->now->acked++;
    sim_note("source %u: mail %u from r%u on was taken", s->index, s->now->mail,
             s->now->first_rcpt);
    s->now = next_transaction(s, &at_ms);
    if (s->now != NULL && s->plan->keeps_connection && at_ms <= sim()->now_ms) {
        begin_transaction(s);
        return;
    }
    s->now   = NULL;
    s->phase = PHASE_RESTING;
    say(s, "QUIT\r\n");
    sim_after(&s->wakes, sim_below(CLOSING_MS_MAX));
}

static void refused(struct source *s, unsigned code)
{
    const struct transaction *t = s->now;
    if (code >= 500)
        sim_break("mailman", "a list manager was told %u", code);
    if (s->phase == PHASE_BODY)
        t->submissions[t->submission_count - 1]->is_refused = true;
    try_later(s);
}

static void hear(struct source *s, unsigned code)
{
    bool is_last = s->phase == PHASE_COMMANDS && s->heard + 1 == command_count(s);
    bool is_good = is_last ? code == 354 : code / 100 == 2;
    if (s->phase == PHASE_RESTING)
        return;
    if (!is_good) {
        refused(s, code);
        return;
    }
    switch (s->phase) {
    case PHASE_GREETING:
        s->phase = PHASE_HELLO;
        say(s, "EHLO lists.example\r\n");
        break;
    case PHASE_HELLO:
        begin_transaction(s);
        break;
    case PHASE_COMMANDS:
        s->heard++;
        if (is_last)
            say_body(s);
        else
            say_on(s);
        break;
    case PHASE_BODY:
        transaction_done(s);
        break;
    case PHASE_AWAY:
    case PHASE_RESTING:
        break;
    }
}

/* A whole line of a reply; *code 0: others of the same reply follow. */
static bool next_reply(struct source *s, unsigned *code)
{
    struct span in = buf_span(&s->end.in);
    size_t len     = span_find(in, '\n') + 1;
    uint64_t value;
    if (len > in.len)
        return false;
    if (len < 6 || !span_to_number(span_first(in, 3), 599, &value) || in.at[len - 2] != '\r')
        sim_break("wire", "no reply: %.*s", (int)len, in.at);
    *code = in.at[3] == '-' ? 0 : (unsigned)value;
    end_take(&s->end, len);
    return true;
}

static void on_happened(struct sim_end *end)
{
    struct source *s = CONTAINER_OF(end, struct source, end);
    unsigned code;
    while (end->stream != NULL && next_reply(s, &code))
        if (code != 0)
            hear(s, code);
    if (end->stream != NULL && (end->is_ended || end->is_broken))
        try_later(s);
}

/* --- beginning --- */

static void set_out(struct source *s)
{
    uint64_t at_ms = 0;
    s->now         = next_transaction(s, &at_ms);
    if (s->now == NULL)
        return;
    if (!end_connect(&s->end, PLAN_LISTEN_PORT)) {
        try_later(s);
        return;
    }
    s->phase = PHASE_GREETING;
    sim_after(&s->wakes, PATIENCE_MS);
}

static void on_wake(struct sim_event *event)
{
    struct source *s = CONTAINER_OF(event, struct source, wakes);
    if (s->phase == PHASE_AWAY)
        set_out(s);
    else if (s->phase == PHASE_RESTING)
        go_away(s, true);
    else
        try_later(s); /* no answer for too long */
}

static void cut_mail(struct sim_sources *all, unsigned number)
{
    const struct plan_mail *mail = &sim()->plan->mails[number];
    unsigned most                = sim()->plan->sources[mail->source].rcpts_per_transaction;
    for (unsigned at = 0; at < mail->rcpt_count; at += most) {
        must(all->count < TRANSACTIONS_MAX);
        struct transaction *t = &all->transactions[all->count];
        unsigned left         = mail->rcpt_count - at;
        t->mail               = number;
        t->first_rcpt         = mail->first_rcpt + at;
        t->rcpt_count         = left < most ? left : most;
        t->not_before_ms      = mail->start_ms;
        for (unsigned i = 0; i < t->rcpt_count; i++)
            all->transaction_of[t->first_rcpt + i] = all->count;
        all->count++;
    }
}

struct sim_sources *sources_new(void)
{
    const struct sim_plan *p = sim()->plan;
    struct sim_sources *all  = world_new(sizeof *all);
    sim()->sources           = all;
    for (unsigned i = 0; i < p->mail_count; i++)
        cut_mail(all, i);
    for (unsigned i = 0; i < p->source_count; i++) {
        struct source *s = &all->sources[i];
        s->plan          = &p->sources[i];
        s->index         = i;
        s->end.happened  = on_happened;
        sim_event_init(&s->wakes, on_wake, false);
        plan_next(s);
    }
    return all;
}
