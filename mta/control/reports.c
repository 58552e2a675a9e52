/* SPDX-License-Identifier: MIT */
/*
 * A report is written at once, but counts only when it is on disk: until then its recipients still
 * owe it, so a crash in between makes it anew.  While one is on its way no other is made for the
 * same message.
 */
#include "mta/control/reports.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/control/original.h"
#include "mta/mail/dsn.h"
#include "mta/mail/msgid.h"
#include "mta/mail/sender.h"
#include <stdio.h>
#include <string.h>

struct reports {
    struct queue *queue;
    struct intake *intake;
    struct event_log *log;
    const struct reports_settings *settings;
    struct tokens *const *tokens;
    struct list pending; /* struct report */
    uint64_t made;
};

/* One on its way to the disk. */
struct report {
    unsigned kind;
    struct list link;
    uint64_t id; /* of the message reported on */
    enum dsn_action action;
    struct buf to;            /* the return path of all its recipients */
    uint64_t expires_wall_ms; /* that message */
    size_t count;
    uint32_t rcpts[REPORT_RCPTS_MAX];
};

struct reports *reports_new(struct queue *queue, struct intake *intake, struct event_log *log,
                            const struct reports_settings *settings, struct tokens *const *tokens)
{
    struct reports *reports = mem_new(sizeof *reports);
    *reports                = (struct reports){
                       .queue = queue, .intake = intake, .log = log, .settings = settings, .tokens = tokens};
    list_init(&reports->pending);
    return reports;
}

static void report_free(struct report *report)
{
    list_remove(&report->link);
    buf_release(&report->to);
    report->kind = 0;
    mem_free(report);
}

void reports_free(struct reports *reports)
{
    struct list *node;
    while ((node = list_first(&reports->pending)) != NULL)
        report_free(CONTAINER_OF(node, struct report, link));
    mem_free(reports);
}

void reports_set_settings(struct reports *reports, const struct reports_settings *settings)
{
    reports->settings = settings;
}

static bool is_pending(const struct reports *reports, uint64_t id)
{
    for (struct list *n = list_first(&reports->pending); n != NULL;
         n              = list_next(&reports->pending, n))
        if (CONTAINER_OF(n, struct report, link)->id == id)
            return true;
    return false;
}

/* --- what is told --- */

static void describe(const struct recipient *rcpt, const struct report *report,
                     struct dsn_rcpt *row)
{
    enum dsn_action action                = report->action;
    static const unsigned char expired[3] = {4, 4, 7};
    const struct attempt *last            = rcpt->last == NULL ? NULL : &rcpt->last->attempt;
    *row                                  = (struct dsn_rcpt){.action     = action,
                                                              .address    = rcpt->address,
                                                              .orcpt      = recipient_envelope(rcpt).orcpt,
                                                              .remote_mta = "",
                                                              .text       = span_of("")};
    if (last != NULL) {
        memcpy(row->status, last->enhanced, 3);
        row->remote_mta           = last->mx;
        row->code                 = last->code;
        row->text                 = span_of(last->text);
        row->last_attempt_wall_ms = last->wall_ms;
    }
    if (last == NULL || last->outcome == OUTCOME_EXPIRED)
        memcpy(row->status, expired, 3);
    if (action == DSN_DELAYED)
        row->will_retry_until_wall_ms = report->expires_wall_ms;
    if (row->status[0] == 0)
        row->status[0] = action == DSN_FAILED ? 5 : action == DSN_DELAYED ? 4 : 2;
}

static bool returns_full(const struct reports *reports, const struct message *m,
                         enum dsn_action action)
{
    return action == DSN_FAILED && m->envelope.ret == RET_FULL && reports->settings->full_allowed &&
           original_bytes(m) <= reports->settings->bytes_max;
}

static void write_report(struct reports *reports, const struct message *m, struct report *report,
                         uint64_t wall_ms, struct buf *into)
{
    char queue_id[MSGID_TEXT_BYTES], message_id[512], original_id[ORIGINAL_ID_BYTES];
    struct buf original   = {0};
    struct dsn_rcpt *rows = mem_new_array(report->count, sizeof *rows);
    for (size_t i = 0; i < report->count; i++)
        describe(message_rcpt(m, report->rcpts[i]), report, &rows[i]);

    msgid_text(m->id, queue_id);
    (void)snprintf(message_id, sizeof message_id, "%s.%llu.%llu@%s", queue_id,
                   (unsigned long long)wall_ms, (unsigned long long)++reports->made,
                   reports->settings->hostname);
    struct dsn dsn = {
        .reporting_mta       = reports->settings->hostname,
        .to                  = buf_text(&report->to),
        .message_id          = message_id,
        .original_message_id = original_id,
        .queue_id            = queue_id,
        .envid               = m->envelope.envid,
        .arrival_wall_ms     = m->arrival_wall_ms,
        .now_wall_ms         = wall_ms,
        .is_utf8             = m->envelope.needs_utf8,
        .return_full         = returns_full(reports, m, report->action),
    };
    if (dsn.return_full)
        original_read(m, reports->settings->bytes_max, &original);
    else
        original_read_header(m, &original);
    original_message_id(buf_span(&original), original_id);
    dsn.original = buf_span(&original);
    dsn_write(into, &dsn, rows, report->count);
    buf_release(&original);
    mem_free(rows);
}

/* --- on its way --- */

static void log_report(struct reports *reports, const struct message *m, struct report *report,
                       uint64_t wall_ms)
{
    static const char *const classes[] = {"failed", "delayed", "delivered", "relayed"};
    char id[MSGID_TEXT_BYTES];
    event_begin(reports->log, EVENT_REPORTED, wall_ms);
    event_text(reports->log, "id", span_of(msgid_text(m->id, id)));
    event_text(reports->log, "to", buf_span(&report->to));
    event_text(reports->log, "class", span_of(classes[report->action]));
    event_number(reports->log, "rcpts", report->count);
    event_end(reports->log);
}

static void end_recipients(struct intake_mail *mail, const struct report *report)
{
    struct spool_end *ends = mem_new_array(report->count, sizeof *ends);
    for (size_t i = 0; i < report->count; i++)
        ends[i] = (struct spool_end){report->id, report->rcpts[i]};
    intake_ends(mail, ends, report->count);
    mem_free(ends);
}

/* A list of ours may be the sender: its bounce address takes the report. */
static bool is_local(const struct reports *reports, struct report *report)
{
    const struct sink *sink   = reports->settings->sink;
    struct sink_answer answer = {0};
    struct address address;
    if (sink == NULL || address_parse(buf_span(&report->to), true, &address) != NULL)
        return false;
    struct sink_query query = {
        .rcpt = &address, .sender = "", .role = RECEIVE_RELAY, .user = "", .is_trusted = true};
    return sink->ask(sink->owner, &query, &answer) == SINK_TAKE;
}

/* Hands the report to the intake; it answers through reports_on_done().  false: the intake does not
 * take it now. */
static bool submit(struct reports *reports, const struct message *m, struct report *report,
                   uint64_t wall_ms)
{
    struct envelope envelope = {.sender = "", .envid = "", .needs_utf8 = m->envelope.needs_utf8};
    struct envelope_rcpt to  = {.address  = buf_text(&report->to),
                                .orcpt    = "",
                                .notify   = NOTIFY_NEVER,
                                .is_local = is_local(reports, report)};
    struct intake_mail *mail = intake_open(reports->intake, &envelope);
    struct buf text          = {0};
    intake_rcpt(mail, &to);
    write_report(reports, m, report, wall_ms, &text);
    bool is_good =
        intake_begin(mail, NULL, wall_ms) == OK && intake_write(mail, buf_span(&text)) == OK;
    buf_release(&text);
    if (!is_good) {
        intake_abort(mail);
        return false;
    }
    if (report->action != DSN_DELAYED)
        end_recipients(mail, report);
    intake_commit(mail, report, wall_ms);
    return true;
}

/* Where the next host did not promise a report, ours says whether the mail is there or went on (RFC
 * 3461 5.2.2, 5.2.3). */
static bool is_told_by(const struct recipient *rcpt, enum dsn_action action)
{
    bool is_final = rcpt->last != NULL && rcpt->last->attempt.is_final;
    switch (action) {
    case DSN_FAILED:
        return rcpt->state == RCPT_OWES_FAILURE;
    case DSN_DELIVERED:
        return rcpt->state == RCPT_OWES_SUCCESS && is_final;
    case DSN_RELAYED:
        return rcpt->state == RCPT_OWES_SUCCESS && !is_final;
    case DSN_DELAYED:
        return rcpt->state == RCPT_WAITING && rcpt->is_late_told;
    }
    return false;
}

/* To whom it goes: who has a return path of its own is told of alone. */
static void address_report(struct reports *reports, const struct message *m, struct report *report)
{
    struct envelope_rcpt first = recipient_envelope(message_rcpt(m, report->rcpts[0]));
    (void)sender_write(&m->envelope, &first, *reports->tokens, &report->to);
    if (report->to.len == 0) /* its holes cannot be filled: somebody must hear of it */
        buf_printf(&report->to, "postmaster@%s", reports->settings->hostname);
}

static void gather(const struct message *m, struct report *report, uint32_t *at)
{
    size_t most = envelope_is_individual(&m->envelope) ? 1 : REPORT_RCPTS_MAX;
    for (; *at < m->rcpt_count && report->count < most; ++*at)
        if (is_told_by(message_rcpt(m, *at), report->action))
            report->rcpts[report->count++] = *at;
}

/* Makes one report of the class, of the recipients from *at on; false when there are none left. */
static bool make_one(struct reports *reports, struct message *m, enum dsn_action action,
                     uint32_t *at, uint64_t now_ms, uint64_t wall_ms)
{
    struct report *report = mem_new(sizeof *report);
    *report               = (struct report){.kind            = REPORTS_KIND,
                                            .id              = m->id,
                                            .action          = action,
                                            .expires_wall_ms = wall_ms + message_expires_in_ms(m, now_ms)};
    gather(m, report, at);
    if (report->count > 0)
        address_report(reports, m, report);
    bool is_made = report->count > 0 && submit(reports, m, report, wall_ms);
    if (is_made) {
        list_push(&reports->pending, &report->link);
        return true;
    }
    if (report->count > 0 && action != DSN_DELAYED)
        queue_report_failed(reports->queue, m, now_ms);
    report_free(report);
    return false;
}

static void make_all(struct reports *reports, struct message *m, enum dsn_action action,
                     uint64_t now_ms, uint64_t wall_ms)
{
    uint32_t at = 0;
    while (make_one(reports, m, action, &at, now_ms, wall_ms))
        continue;
}

void reports_on_due(struct reports *reports, struct message *m, uint64_t now_ms, uint64_t wall_ms)
{
    must(m->envelope.sender[0] != '\0');
    if (is_pending(reports, m->id))
        return; /* queue_reported() makes the rest due again */
    make_all(reports, m, DSN_FAILED, now_ms, wall_ms);
    make_all(reports, m, DSN_DELIVERED, now_ms, wall_ms);
    make_all(reports, m, DSN_RELAYED, now_ms, wall_ms);
}

void reports_on_delay_due(struct reports *reports, struct message *m, uint64_t now_ms,
                          uint64_t wall_ms)
{
    make_all(reports, m, DSN_DELAYED, now_ms, wall_ms);
}

void reports_on_done(struct reports *reports, const struct intake_done *done, uint64_t now_ms,
                     uint64_t wall_ms)
{
    struct report *report = done->owner;
    must(report->kind == REPORTS_KIND);
    struct message *m = queue_find(reports->queue, report->id);
    if (m != NULL && done->status == OK)
        log_report(reports, m, report, wall_ms);
    if (m != NULL && report->action != DSN_DELAYED) {
        if (done->status == OK)
            queue_reported(reports->queue, m, report->rcpts, report->count, now_ms);
        else
            queue_report_failed(reports->queue, m, now_ms);
    }
    report_free(report);
}
