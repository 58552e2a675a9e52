/* SPDX-License-Identifier: MIT */
#include "tests/sim/sim_oracle.h"
#include "mta/base/buf.h"
#include "mta/base/fault.h"
#include "tests/sim/sim_daemon.h"
#include "tests/sim/sim_mem.h"
#include "tests/sim/sim_net.h"
#include "tests/sim/sim_source.h"
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { ENDS_MAX = 64, REPORT_ID_BYTES = 160 };

/* One transaction that a host has taken: of members, or of a report. */
struct delivery {
    struct list in_oracle;
    struct sim_mark mark;
    bool is_crashed; /* a crash came before its outcome was surely on disk */
};

struct receipt {
    struct receipt *next;
    struct delivery *delivery;
};

/* What was delivered to one recipient, or of one report. */
struct receipts {
    struct receipt *first;
    unsigned count;
};

struct end {
    uint64_t at_ms;
    bool is_crashed;
};

struct fate {
    struct receipts receipts;
    struct end ends[ENDS_MAX];
    unsigned end_count, lost_count /* failed or expired */, doubts, reports;
};

struct report {
    struct list in_oracle;
    struct receipts receipts;
    char id[REPORT_ID_BYTES];
};

struct sim_oracle {
    struct fate fates[PLAN_RCPTS_MAX];
    struct list deliveries, reports;
    uint64_t delivered, excused, reported, joined;
    unsigned crashes;
};

struct sim_oracle *oracle_new(void)
{
    return world_new(sizeof(struct sim_oracle));
}

void oracle_close(void)
{
    const struct sim_oracle *o = sim()->oracle;
    sim_note("%u recipients, %llu joins, %llu deliveries, %llu of them again, %llu reports, "
             "%u crashes",
             sim()->plan->rcpt_count, (unsigned long long)o->joined,
             (unsigned long long)o->delivered, (unsigned long long)o->excused,
             (unsigned long long)o->reported, o->crashes);
}

/* --- deliveries --- */

static bool is_excused(const struct delivery *d)
{
    return d->is_crashed || d->mark.is_lost;
}

static unsigned count_plain(const struct receipts *receipts)
{
    unsigned count = 0;
    for (const struct receipt *r = receipts->first; r != NULL; r = r->next)
        count += !is_excused(r->delivery);
    return count;
}

static struct delivery *delivery_new(const struct sim_end *end)
{
    struct delivery *d = world_new(sizeof *d);
    d->mark.heard_ms   = UINT64_MAX;
    d->is_crashed      = end_is_orphan(end);
    list_push(&sim()->oracle->deliveries, &d->in_oracle);
    return d;
}

static void add_receipt(struct receipts *receipts, struct delivery *d)
{
    struct receipt *r = world_new(sizeof *r);
    r->delivery       = d;
    r->next           = receipts->first;
    receipts->first   = r;
    sim()->oracle->delivered++;
    sim()->oracle->excused += receipts->count++ > 0;
}

/* A repetition because of a lost reply must have been announced in the log. */
static void check_announced(unsigned rcpt, const struct fate *fate)
{
    for (const struct receipt *r = fate->receipts.first->next; r != NULL; r = r->next)
        if (r->delivery->mark.is_lost && !r->delivery->is_crashed && fate->doubts == 0)
            sim_break("promise 3", "r%u came again, and no duplicate_possible was logged", rcpt);
}

static void deliver(unsigned rcpt, struct delivery *d)
{
    struct fate *fate  = &sim()->oracle->fates[rcpt];
    unsigned submitted = source_count_submitted(rcpt);
    add_receipt(&fate->receipts, d);
    if (submitted == 0)
        sim_break("promise 1", "r%u was delivered, and nobody handed it over", rcpt);
    if (count_plain(&fate->receipts) > submitted)
        sim_break("promise 3", "r%u was handed over %u times and delivered %u times", rcpt,
                  submitted, fate->receipts.count);
    if (fate->receipts.count > submitted)
        check_announced(rcpt, fate);
}

struct sim_mark *oracle_on_delivery(const struct sim_end *end, const unsigned *rcpts, size_t count,
                                    struct span text)
{
    struct delivery *d = delivery_new(end);
    unsigned mail      = plan_mail_of(text);
    if (mail == UINT_MAX)
        sim_break("promise 1", "a mail of %zu bytes came that nobody wrote", text.len);
    for (size_t i = 0; i < count; i++) {
        sim_note("mail %u is taken for r%u", mail, rcpts[i]);
        if (sim()->plan->rcpts[rcpts[i]].mail != mail)
            sim_break("promise 1", "r%u was given mail %u", rcpts[i], mail);
        deliver(rcpts[i], d);
    }
    return &d->mark;
}

/* --- reports --- */

/* What stands between 'before' and 'after', or nothing; 'text' moves on behind it. */
static struct span between(struct span *text, struct span before, char after)
{
    struct span rest = span_skip(*text, span_find_text(*text, before) + before.len);
    struct span part = span_first(rest, span_find(rest, after));
    *text            = span_skip(rest, part.len);
    return part;
}

static struct report *report_known(struct span id)
{
    struct list *all = &sim()->oracle->reports;
    for (struct list *n = list_first(all); n != NULL; n = list_next(all, n)) {
        struct report *report = CONTAINER_OF(n, struct report, in_oracle);
        if (span_is(id, report->id))
            return report;
    }
    return NULL;
}

static struct report *report_new(struct span id)
{
    struct report *report = world_new(sizeof *report);
    (void)snprintf(report->id, sizeof report->id, "%.*s", (int)id.len, id.at);
    list_push(&sim()->oracle->reports, &report->in_oracle);
    sim()->oracle->reported++;
    return report;
}

static void check_reported(unsigned rcpt, struct span to)
{
    struct fate *fate = &sim()->oracle->fates[rcpt];
    char sender[PLAN_NAME_BYTES * 2];
    plan_sender_address(sim()->plan->rcpts[rcpt].mail, sender);
    fate->reports++;
    if (!span_is(to, sender))
        sim_break("promise 2", "a report about r%u went to %.*s", rcpt, (int)to.len, to.at);
    if (sim()->plan->mails[sim()->plan->rcpts[rcpt].mail].wants_no_report)
        sim_break("promise 2", "a report about r%u was not wanted", rcpt);
    if (fate->lost_count == 0)
        sim_break("promise 2", "r%u was reported, and has not failed", rcpt);
    if (fate->reports > source_count_submitted(rcpt))
        sim_break("promise 2", "r%u was reported %u times", rcpt, fate->reports);
    if (source_count_submitted(rcpt) == 1 && count_plain(&fate->receipts) > 0)
        sim_break("promise 2", "r%u was delivered, and reported as failed", rcpt);
}

static void read_report(struct span to, struct span text)
{
    static const struct span field = SPAN("Final-Recipient: rfc822;");
    for (;;) {
        struct span about = span_trim(between(&text, field, '\r'));
        if (about.len == 0)
            return;
        unsigned rcpt = plan_rcpt_of(about);
        if (rcpt == UINT_MAX)
            sim_break("promise 2", "a report about nobody: %.*s", (int)about.len, about.at);
        sim_note("%.*s hears that r%u has failed", (int)to.len, to.at, rcpt);
        check_reported(rcpt, to);
    }
}

struct sim_mark *oracle_on_report(const struct sim_end *end, struct span to, struct span text)
{
    static const struct span field = SPAN("\r\nMessage-ID: <");
    struct delivery *d             = delivery_new(end);
    struct span rest               = text;
    struct span id                 = between(&rest, field, '>');
    if (id.len == 0 || id.len >= REPORT_ID_BYTES)
        sim_break("promise 2", "what came to %.*s is no report", (int)to.len, to.at);
    struct report *report = report_known(id);
    if (report == NULL) {
        report = report_new(id);
        read_report(to, text);
    }
    add_receipt(&report->receipts, d);
    if (count_plain(&report->receipts) > 1)
        sim_break("promise 3", "the report %s was delivered %u times", report->id,
                  report->receipts.count);
    return &d->mark;
}

/* --- the log --- */

static struct span field_of(struct span line, struct span key)
{
    return between(&line, key, '"');
}

static bool may_fail(unsigned rcpt)
{
    const struct plan_rcpt *r = &sim()->plan->rcpts[rcpt];
    enum domain_kind kind     = sim()->plan->domains[r->domain].kind;
    return kind == DOMAIN_MISSING || kind == DOMAIN_NULL_MX || r->kind == RCPT_UNKNOWN;
}

static void check_end(unsigned rcpt, struct span event)
{
    const struct fate *fate = &sim()->oracle->fates[rcpt];
    uint64_t life_ms        = sim()->now_ms - source_first_ms(rcpt);
    if (span_is(event, "delivered") && fate->receipts.count == 0)
        sim_break("promise 2", "r%u was never delivered, but the log says so", rcpt);
    if (span_is(event, "failed") && !may_fail(rcpt))
        sim_break("promise 2", "r%u failed for no reason", rcpt);
    if (span_is(event, "expired") && life_ms + 1000 < sim()->plan->expire_ms)
        sim_break("promise 2", "r%u expired after %llu ms", rcpt, (unsigned long long)life_ms);
}

static void note_end(unsigned rcpt, struct span event)
{
    struct fate *fate = &sim()->oracle->fates[rcpt];
    unsigned plain    = 0;
    check_end(rcpt, event);
    must(fate->end_count < ENDS_MAX);
    fate->ends[fate->end_count++].at_ms = sim()->now_ms;
    fate->lost_count += !span_is(event, "delivered");
    for (unsigned i = 0; i < fate->end_count; i++)
        plain += !fate->ends[i].is_crashed;
    if (plain > source_count_submitted(rcpt))
        sim_break("promise 2", "r%u ended %u times", rcpt, fate->end_count);
}

void oracle_on_log(struct span line)
{
    static const struct span event_key = SPAN("\"event\":\""), to_key = SPAN("\"to\":\""),
                             joined = SPAN("\"joined\":true");
    struct span event               = field_of(line, event_key);
    unsigned rcpt                   = plan_rcpt_of(field_of(line, to_key));
    sim_note("log: %.*s", (int)line.len, line.at);
    sim()->oracle->joined += span_find_text(line, joined) < line.len;
    bool is_end =
        span_is(event, "delivered") || span_is(event, "failed") || span_is(event, "expired");
    if (rcpt == UINT_MAX) {
        if (is_end && !span_is(event, "delivered"))
            sim_break("promise 2", "a report was lost: %.*s", (int)line.len, line.at);
    } else if (is_end) {
        note_end(rcpt, event);
    } else if (span_is(event, "duplicate_possible")) {
        sim()->oracle->fates[rcpt].doubts++;
    }
}

/* --- crashes and limits --- */

void oracle_on_crash(void)
{
    struct sim_oracle *o = sim()->oracle;
    uint64_t now_ms = sim()->now_ms, window_ms = daemon_window_ms();
    o->crashes++;
    for (struct list *n = list_first(&o->deliveries); n != NULL; n = list_next(&o->deliveries, n)) {
        struct delivery *d = CONTAINER_OF(n, struct delivery, in_oracle);
        if (d->mark.heard_ms == UINT64_MAX || d->mark.heard_ms + window_ms >= now_ms)
            d->is_crashed = true;
    }
    for (unsigned i = 0; i < sim()->plan->rcpt_count; i++)
        for (unsigned j = 0; j < o->fates[i].end_count; j++)
            if (o->fates[i].ends[j].at_ms + window_ms >= now_ms)
                o->fates[i].ends[j].is_crashed = true;
}

/* A domain without MX is a site of its own, though its host may serve another. */
static unsigned keys_of(unsigned site)
{
    const struct sim_plan *p = sim()->plan;
    unsigned count           = 1;
    for (unsigned i = 0; i < p->domain_count; i++)
        count += p->domains[i].kind == DOMAIN_IMPLICIT && p->domains[i].site == site;
    return count;
}

void oracle_on_dialled(unsigned site)
{
    unsigned limit = sim()->plan->connections * keys_of(site);
    if (net_count_dialled(site) > limit)
        sim_break("promise 4", "%u connections to site %u, and %u are allowed",
                  net_count_dialled(site), site, limit);
}

/* --- the end --- */

static void check_fate(unsigned rcpt)
{
    const struct fate *fate      = &sim()->oracle->fates[rcpt];
    const struct plan_mail *mail = &sim()->plan->mails[sim()->plan->rcpts[rcpt].mail];
    unsigned acked               = source_count_acked(rcpt);
    if (fate->receipts.count + fate->lost_count < acked)
        sim_break("promise 1", "r%u was taken %u times, delivered %u times and given up %u times",
                  rcpt, acked, fate->receipts.count, fate->lost_count);
    if (fate->end_count < acked)
        sim_break("promise 2", "r%u was taken %u times and ended %u times", rcpt, acked,
                  fate->end_count);
    if (fate->lost_count > 0 && fate->reports == 0 && !mail->is_from_nobody &&
        !mail->wants_no_report)
        sim_break("promise 2", "r%u was given up, and nobody was told", rcpt);
}

void oracle_check_end(void)
{
    for (unsigned i = 0; i < sim()->plan->rcpt_count; i++)
        check_fate(i);
}
