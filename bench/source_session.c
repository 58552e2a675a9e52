/* SPDX-License-Identifier: MIT */
/*
 * 'written' and 'answered' count the commands of the transaction: 0 is MAIL, 1..n the recipients,
 * n+1 DATA or BDAT.  Pipelining only lets 'written' run ahead; BDAT takes the content along, so
 * that its reply is that of the whole message.
 */
#include "bench/source_session.h"
#include "bench/source_hello.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include <string.h>

void source_session_init(struct source_session *s, const struct source_session_config *config,
                         const struct source_plan *plan, struct source_report *report)
{
    memset(s, 0, sizeof *s);
    s->config     = config;
    s->plan       = plan;
    s->report     = report;
    s->is_waiting = true; /* for the greeting */
}

void source_session_release(struct source_session *s)
{
    buf_release(&s->out);
    mem_free(s->rcpt_taken);
}

static size_t command_count(const struct source_session *s)
{
    return s->parcel.count + 2;
}

static void write_command(struct source_session *s, size_t n)
{
    if (n == 0) {
        buf_put_text(&s->out, "MAIL FROM:<");
        buf_put_text(&s->out, s->config->sender);
        buf_put_text(&s->out, ">\r\n");
    } else if (n <= s->parcel.count) {
        buf_put_text(&s->out, "RCPT TO:<");
        buf_put(&s->out, s->plan->rcpts[s->parcel.first + n - 1]);
        buf_put_text(&s->out, ">\r\n");
    } else if (s->may_chunk) {
        buf_printf(&s->out, "BDAT %zu LAST\r\n", s->mail.len);
        buf_put(&s->out, s->mail);
        s->has_content_in_out = true;
    } else {
        buf_put_text(&s->out, "DATA\r\n");
    }
}

static void write_commands(struct source_session *s)
{
    while (s->written < command_count(s) && (s->may_pipeline || s->written == s->answered))
        write_command(s, s->written++);
}

void source_session_send(struct source_session *s, struct source_parcel parcel, struct span mail,
                         uint64_t now_us)
{
    must(s->phase == SOURCE_IDLE);
    if (parcel.count > s->rcpt_cap) {
        s->rcpt_cap   = parcel.count;
        s->rcpt_taken = mem_resize(s->rcpt_taken, s->rcpt_cap * sizeof s->rcpt_taken[0]);
    }
    s->parcel  = parcel;
    s->mail    = mail;
    s->written = s->answered = s->rcpts_taken = 0;
    s->mail_us                                = now_us;
    s->has_refused_mail                       = false;
    s->phase                                  = SOURCE_ENVELOPE;
    s->is_waiting                             = true;
    write_commands(s);
}

void source_session_quit(struct source_session *s)
{
    buf_put_text(&s->out, "QUIT\r\n");
    s->phase      = SOURCE_QUITTING;
    s->is_waiting = true;
}

/* Everybody whose RCPT was taken shares this reply. */
static void refuse_rest(struct source_session *s, const char *stage, struct span reply)
{
    for (size_t i = 0; i < s->parcel.count; i++)
        if (s->rcpt_taken[i])
            source_report_refuse(s->report, stage, s->plan->rcpts[s->parcel.first + i], reply);
}

static enum source_phase reset(struct source_session *s)
{
    buf_put_text(&s->out, "RSET\r\n");
    s->is_resetting = true;
    return SOURCE_ENVELOPE;
}

static enum source_phase after_mail(struct source_session *s, struct span reply)
{
    if (reply.at[0] == '2')
        return SOURCE_ENVELOPE;
    if (span_starts(reply, span_of("421"))) {
        s->has_sent_away = true;
        return SOURCE_DONE;
    }
    for (size_t i = 0; i < s->parcel.count; i++)
        s->rcpt_taken[i] = true;
    refuse_rest(s, "MAIL", reply);
    s->has_refused_mail = true;
    if (s->may_pipeline)
        return SOURCE_ENVELOPE; /* the replies to RCPT and DATA are on their way */
    s->written = s->answered = command_count(s);
    return reset(s);
}

static enum source_phase after_rcpt(struct source_session *s, size_t n, struct span reply)
{
    if (s->has_refused_mail)
        return SOURCE_ENVELOPE;
    s->rcpt_taken[n] = reply.at[0] == '2';
    s->rcpts_taken += s->rcpt_taken[n];
    if (!s->rcpt_taken[n])
        source_report_refuse(s->report, "RCPT", s->plan->rcpts[s->parcel.first + n], reply);
    if (n + 1 < s->parcel.count || s->may_pipeline || s->rcpts_taken > 0)
        return SOURCE_ENVELOPE;
    s->written = s->answered = command_count(s); /* nobody left: no DATA */
    return reset(s);
}

static enum source_phase after_dot(struct source_session *s, struct span reply, uint64_t now_us)
{
    struct source_report *r = s->report;
    if (s->rcpts_taken == 0)
        return SOURCE_IDLE;
    r->transactions++;
    source_times_add(&r->handover, now_us - s->dot_us);
    source_times_add(&r->whole, now_us - s->mail_us);
    r->ended_us = now_us;
    if (reply.at[0] == '2') {
        r->accepted += s->rcpts_taken;
        r->bytes += s->mail.len;
    } else {
        refuse_rest(s, "end of data", reply);
    }
    return SOURCE_IDLE;
}

/* What is left of a transaction with a refused BDAT is unclear until RSET (RFC 3030 2). */
static enum source_phase after_bdat(struct source_session *s, struct span reply, uint64_t now_us)
{
    (void)after_dot(s, reply, now_us);
    return reply.at[0] == '2' ? SOURCE_IDLE : reset(s);
}

static enum source_phase after_data(struct source_session *s, struct span reply)
{
    if (reply.at[0] != '3') {
        if (s->rcpts_taken > 0)
            refuse_rest(s, "DATA", reply);
        return reset(s);
    }
    if (s->rcpts_taken > 0)
        buf_put(&s->out, s->mail);
    else
        buf_put_text(&s->out, ".\r\n"); /* RFC 2920 3.1 */
    s->has_content_in_out = true;
    return SOURCE_CONTENT;
}

static enum source_phase after_command(struct source_session *s, struct span reply, uint64_t now_us)
{
    if (s->is_resetting) {
        s->is_resetting = false;
        return SOURCE_IDLE;
    }
    size_t n = s->answered++;
    if (n == 0) {
        memset(s->rcpt_taken, 0, s->parcel.count * sizeof s->rcpt_taken[0]);
        return after_mail(s, reply);
    }
    if (n > s->parcel.count)
        return s->may_chunk ? after_bdat(s, reply, now_us) : after_data(s, reply);
    return after_rcpt(s, n - 1, reply);
}

static enum source_phase after_reply(struct source_session *s, struct span reply, uint64_t now_us)
{
    switch (s->phase) {
    case SOURCE_GREETING:
        return source_after_greeting(s, reply);
    case SOURCE_HELLO:
        return source_after_hello(s, reply);
    case SOURCE_STARTTLS:
        return source_after_starttls(s, reply);
    case SOURCE_AUTH:
        return source_after_auth(s, reply);
    case SOURCE_ENVELOPE:
        return after_command(s, reply, now_us);
    case SOURCE_CONTENT:
        return after_dot(s, reply, now_us);
    case SOURCE_IDLE: /* nothing was asked: 421 */
        source_session_lost(s, s->line);
        break;
    case SOURCE_HANDSHAKE:
    case SOURCE_QUITTING:
    case SOURCE_DONE:
        break;
    }
    return SOURCE_DONE;
}

static void on_line(struct source_session *s, uint64_t now_us)
{
    struct span line  = span_trim(span_make(s->line, s->line_len));
    s->line[line.len] = '\0';
    if (line.len < 3) {
        source_session_lost(s, "the server speaks no SMTP");
        return;
    }
    if (s->phase == SOURCE_HELLO)
        source_hello_note(s, span_skip(line, 4));
    if (line.len > 3 && line.at[3] == '-')
        return;
    s->phase = after_reply(s, line, now_us);
    if (s->phase == SOURCE_ENVELOPE)
        write_commands(s);
}

void source_session_feed(struct source_session *s, struct span bytes, uint64_t now_us)
{
    s->report->round_trips += s->is_waiting;
    s->is_waiting = false;
    while (bytes.len > 0 && s->phase != SOURCE_DONE && s->phase != SOURCE_HANDSHAKE) {
        size_t end = span_find(bytes, '\n'), room = sizeof s->line - 1 - s->line_len;
        struct span part = span_first(bytes, end < room ? end : room);
        memcpy(s->line + s->line_len, part.at, part.len);
        s->line_len += part.len;
        if (end < bytes.len) {
            on_line(s, now_us);
            s->line_len = 0;
        }
        bytes = span_skip(bytes, end + 1);
    }
    s->is_waiting = s->out.len > 0;
}

void source_session_flushed(struct source_session *s, uint64_t now_us)
{
    if (s->has_content_in_out)
        s->dot_us = now_us;
    s->has_content_in_out = false;
}

void source_session_secured(struct source_session *s)
{
    s->is_secured = true;
    s->is_waiting = true;
    s->line_len   = 0;
    source_hello_write(s);
    s->phase = SOURCE_HELLO;
}

void source_session_lost(struct source_session *s, const char *why)
{
    if (s->phase != SOURCE_QUITTING && s->phase != SOURCE_DONE)
        source_report_lost(s->report, why);
    s->phase = SOURCE_DONE;
}
