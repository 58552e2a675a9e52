/* SPDX-License-Identifier: MIT */
/* A verdict that is said later waits in the connection's own deadline; until then nothing is read.
 */
#include "mta/receive/guest.h"
#include "mta/base/base64.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/receive/inside.h"
#include <stdio.h>
#include <string.h>

struct guest *guest_new(struct connection *c)
{
    struct guest *g = mem_new(sizeof *g);
    login_init(&g->login, c->receive->porter, net_peer(c->wire.conn), c->is_trusted);
    return g;
}

void guest_free(struct guest *g)
{
    if (g == NULL)
        return;
    login_release(&g->login);
    mem_free(g);
}

const char *connection_user(const struct connection *c)
{
    return c->guest == NULL ? "" : c->guest->login.user;
}

static const struct user *user_of(const struct connection *c)
{
    const struct user *user = users_find(c->receive->porter->users, connection_user(c));
    return user == NULL || user->is_disabled ? NULL : user;
}

/* --- logging in --- */

static void keep_binding(const struct connection *c, enum tls_binding kind,
                         char into[AUTH_BINDING_TEXT_BYTES])
{
    char bytes[TLS_BINDING_BYTES_MAX];
    struct buf text = {0};
    base64_put(&text, span_make(bytes, tls_engine_binding(c->wire.tls, kind, bytes)));
    must(text.len < AUTH_BINDING_TEXT_BYTES);
    span_copy_text(buf_span(&text), into, AUTH_BINDING_TEXT_BYTES);
    buf_release(&text);
}

void guest_on_secure(struct connection *c)
{
    struct auth_bindings *bindings = &c->guest->login.bindings;
    keep_binding(c, TLS_BINDING_EXPORTER, bindings->exporter);
    keep_binding(c, TLS_BINDING_UNIQUE, bindings->unique);
    bool is_bound  = bindings->exporter[0] != '\0' || bindings->unique[0] != '\0';
    c->config.auth = is_bound ? AUTH_MECHANISMS_BOUND : AUTH_MECHANISMS;
}

static void log_login(struct connection *c, const struct login_said *said)
{
    struct event_log *log = c->receive->log;
    bool is_right         = said->answer.code == 235;
    *(is_right ? &c->receive->stats.logins : &c->receive->stats.failed_logins) += 1;
    event_begin(log, is_right ? EVENT_AUTHENTICATED : EVENT_AUTH_FAILED, c->receive->wall_ms);
    event_text(log, "ip", span_of(c->ip));
    event_text(log, "user", span_of(said->user));
    event_text(log, "mechanism", span_of(c->guest->login.mechanism));
    event_number(log, "code", (uint64_t)said->answer.code);
    event_text(log, "text", span_of(said->cause));
    event_end(log);
}

void guest_say_verdict(struct connection *c)
{
    struct guest *g                 = c->guest;
    struct smtp_server_reply answer = g->verdict;
    must(g->awaits_verdict && answer.code != 0);
    g->awaits_verdict = false;
    g->verdict        = (struct smtp_server_reply){0};
    smtp_server_answer(&c->smtp, answer.code, answer.enhanced, answer.text);
    if (g->is_last)
        smtp_server_shut(&c->smtp, "4.7.0", "too many failed attempts, closing");
}

/* Does what the login says. */
static void follow(struct connection *c, const struct login_said *said)
{
    struct guest *g = c->guest;
    switch (said->next) {
    case LOGIN_CHALLENGE:
        smtp_server_challenge(&c->smtp, said->challenge);
        break;
    case LOGIN_WAIT: /* we are slow, not the client */
        g->awaits_verdict = true;
        heap_remove(&c->receive->deadlines, &c->deadline);
        break;
    case LOGIN_ANSWER:
        log_login(c, said);
        g->awaits_verdict = true;
        g->verdict        = said->answer;
        g->is_last        = said->is_last;
        if (said->delay_ms == 0)
            guest_say_verdict(c);
        else
            heap_set(&c->receive->deadlines, &c->deadline, c->receive->now_ms + said->delay_ms);
        break;
    }
}

void guest_on_auth(struct connection *c)
{
    struct login_said said;
    login_step(&c->guest->login, &c->smtp.auth, c, c->receive->now_ms, &said);
    follow(c, &said);
}

void guest_on_check(struct connection *c, bool is_right)
{
    struct login_said said;
    must(!c->is_dead && c->guest->awaits_verdict);
    login_checked(&c->guest->login, is_right, c->receive->now_ms, &said);
    follow(c, &said);
    connection_go_on(c);
}

/* --- mail --- */

static bool refuse(struct connection *c, const struct submission_no *no)
{
    connection_log_refused(c, no->code, no->text);
    smtp_server_answer(&c->smtp, no->code, no->enhanced, no->text);
    return false;
}

bool guest_on_mail(struct connection *c)
{
    const struct address *sender = &c->smtp.mail.sender;
    struct submission_no no      = submission_begin(
             &c->guest->submission, &c->receive->settings->submission, &c->receive->porter->quotas,
             user_of(c), span_make(sender->text, sender->len), c->receive->wall_ms);
    return no.code == 0 || refuse(c, &no);
}

bool guest_on_rcpt(struct connection *c)
{
    struct submission_no no = submission_rcpt(&c->guest->submission, c->receive->wall_ms);
    return no.code == 0 || refuse(c, &no);
}

static enum status pass_header(struct connection *c, enum manuscript_step step,
                               struct manuscript_refusal *no)
{
    struct manuscript *manuscript = &c->guest->submission.manuscript;
    if (step == MANUSCRIPT_REFUSED)
        *no = manuscript->refusal;
    if (step != MANUSCRIPT_HEADER)
        return OK;
    enum status status = intake_write(c->mail, buf_span(&manuscript->out));
    if (status == OK && manuscript->rest.len > 0)
        status = intake_write(c->mail, manuscript->rest);
    buf_release(&manuscript->out);
    buf_release(&manuscript->held);
    manuscript->rest = (struct span){0};
    return status;
}

/* The account may have ended meanwhile. */
static bool is_gone(const struct user *user, struct manuscript_refusal *no)
{
    static const struct manuscript_refusal gone = {550, "5.7.1",
                                                   "this account may not send any more"};
    if (user == NULL)
        *no = gone;
    return user == NULL;
}

enum status guest_take_content(struct connection *c, struct span piece,
                               struct manuscript_refusal *no)
{
    struct manuscript *manuscript = &c->guest->submission.manuscript;
    const struct user *user       = manuscript->is_over ? NULL : user_of(c);
    if (manuscript->is_over)
        return intake_write(c->mail, piece);
    if (is_gone(user, no))
        return OK;
    bool adds_sender = c->receive->settings->submission.adds_sender;
    return pass_header(c, manuscript_feed(manuscript, piece, user, adds_sender), no);
}

enum status guest_end_content(struct connection *c, struct manuscript_refusal *no)
{
    struct manuscript *manuscript = &c->guest->submission.manuscript;
    const struct user *user       = manuscript->is_over ? NULL : user_of(c);
    if (manuscript->is_over || is_gone(user, no))
        return OK;
    return pass_header(
        c, manuscript_end(manuscript, user, c->receive->settings->submission.adds_sender), no);
}
