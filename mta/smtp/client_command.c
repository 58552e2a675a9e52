/* SPDX-License-Identifier: MIT */
/*
 * Commands into the output.  A line is built whole, checked to be one line, and copied; with it
 * goes the note that a reply is owed.  Arguments come checked (address.h, envelope.h, the
 * configuration), so one that would end the line early is a bug, and must not reach a peer.
 */
#include "mta/base/fault.h"
#include "mta/smtp/client_parts.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void client_owe(struct smtp_client *c, enum smtp_verb verb, unsigned count)
{
    unsigned end = c->owed_head + c->owed_count;
    if (c->owed_count > 0 && c->owed[(end - 1) % SMTP_OWED_RUNS_MAX].verb == verb) {
        struct smtp_owed *last = &c->owed[(end - 1) % SMTP_OWED_RUNS_MAX];
        last->count            = (unsigned short)(last->count + count);
        return;
    }
    must(c->owed_count < SMTP_OWED_RUNS_MAX);
    c->owed[end % SMTP_OWED_RUNS_MAX] =
        (struct smtp_owed){(unsigned char)verb, (unsigned short)count};
    c->owed_count++;
}

enum smtp_verb client_owed_verb(const struct smtp_client *c, enum smtp_verb otherwise)
{
    return c->owed_count == 0 ? otherwise : (enum smtp_verb)c->owed[c->owed_head].verb;
}

void client_owed_pop(struct smtp_client *c)
{
    must(c->owed_count > 0);
    if (--c->owed[c->owed_head].count > 0)
        return;
    c->owed_head = (c->owed_head + 1) % SMTP_OWED_RUNS_MAX;
    c->owed_count--;
}

/* A command being built. */
struct line {
    size_t len;
    char text[SMTP_COMMAND_BYTES];
};

static void line_put(struct line *l, struct span text)
{
    must(text.len <= sizeof l->text - l->len);
    memcpy(l->text + l->len, text.at, text.len);
    l->len += text.len;
}

static void line_put_text(struct line *l, const char *text)
{
    line_put(l, span_of(text));
}

static void line_send(struct smtp_client *c, enum smtp_verb verb, struct line *l)
{
    static const struct span crlf = SPAN("\r\n");
    struct span command           = {l->text, l->len};
    /* no argument ends the line early */
    must(span_find(command, '\r') == l->len && span_find(command, '\n') == l->len);
    must(span_find(command, '\0') == l->len);
    line_put(l, crlf);
    client_put(c, span_make(l->text, l->len));
    client_owe(c, verb, 1);
}

void client_command(struct smtp_client *c, enum smtp_verb verb, const char *format, ...)
{
    struct line l;
    va_list args;
    va_start(args, format);
    int len = vsnprintf(l.text, sizeof l.text, format, args);
    va_end(args);
    must(len >= 0 && (size_t)len < sizeof l.text);
    l.len = (size_t)len;
    line_send(c, verb, &l);
}

void client_command_mail(struct smtp_client *c)
{
    static const char *const ret_texts[] = {[RET_FULL] = " RET=FULL", [RET_HDRS] = " RET=HDRS"};
    const struct smtp_transaction *t     = client_newest(c);
    const struct smtp_job *job           = t->job;
    const struct envelope *e             = &job->envelope;
    struct line l;
    l.len = 0;
    line_put_text(&l, "MAIL FROM:<");
    line_put_text(&l, e->sender);
    line_put_text(&l, ">");
    if ((c->offered & SMTP_EXT_SIZE) != 0 && job->size_bytes > 0) {
        char digits[SPAN_NUMBER_BYTES];
        line_put_text(&l, " SIZE=");
        line_put(&l, span_of_number(job->size_bytes, digits));
    }
    if ((c->offered & SMTP_EXT_8BITMIME) != 0 && e->is_8bit)
        line_put_text(&l, " BODY=8BITMIME");
    if (t->is_utf8)
        line_put_text(&l, " SMTPUTF8");
    if ((c->offered & SMTP_EXT_DSN) != 0 && e->ret != RET_DEFAULT)
        line_put_text(&l, ret_texts[e->ret]);
    if ((c->offered & SMTP_EXT_DSN) != 0 && e->envid[0] != '\0') {
        line_put_text(&l, " ENVID=");
        line_put_text(&l, e->envid);
    }
    line_send(c, SMTP_MAIL, &l);
}

static void put_notify(struct line *l, unsigned notify)
{
    static const struct {
        unsigned bit;
        const char *text;
    } words[] = {
        {NOTIFY_NEVER,   "NEVER"  },
        {NOTIFY_SUCCESS, "SUCCESS"},
        {NOTIFY_FAILURE, "FAILURE"},
        {NOTIFY_DELAY,   "DELAY"  },
    };
    const char *before = " NOTIFY=";
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if ((notify & words[i].bit) == 0)
            continue;
        line_put_text(l, before);
        line_put_text(l, words[i].text);
        before = ",";
    }
}

void client_command_rcpt(struct smtp_client *c, const struct envelope_rcpt *rcpt)
{
    struct line l;
    l.len = 0;
    line_put_text(&l, "RCPT TO:<");
    line_put_text(&l, rcpt->address);
    line_put_text(&l, ">");
    if ((c->offered & SMTP_EXT_DSN) != 0) {
        put_notify(&l, rcpt->notify);
        if (rcpt->orcpt[0] != '\0') {
            line_put_text(&l, " ORCPT=");
            line_put_text(&l, rcpt->orcpt);
        }
    }
    line_send(c, SMTP_RCPT, &l);
}
