/* SPDX-License-Identifier: MIT */
/*
 * Every event ends in go_on(): held bytes are fed, events of the core are handled, replies go out
 * as one group, and reading is switched on or off.  A connection never frees itself: bury() puts it
 * into the graves, once.
 */
#include "mta/receive/connection.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/mail/msgid.h"
#include "mta/receive/inside.h"
#include <stdio.h>
#include <string.h>

enum {
    CONNECTION_PENDING_BYTES_MAX = 65536, /* replies the client does not read */
    CONNECTION_HELD_BYTES_KEPT   = 4096,
    CONNECTION_HANDSHAKE_MS      = 20000,
    CONNECTION_CLOSE_MS          = 5000,
    CONNECTION_BYTES_PER_S_MIN   = 500, /* of content (security.md 2) */
    CONNECTION_ERRORS_MAX        = 10,
    CONNECTION_JUNK_MAX          = 50,
};

static void set_deadline(struct connection *c, uint64_t in_ms)
{
    heap_set(&c->receive->deadlines, &c->deadline, c->receive->now_ms + in_ms);
}

/* --- the end --- */

static void drop_mail(struct connection *c)
{
    if (c->mail == NULL)
        return;
    if (c->awaits_commit)
        intake_disown(c->mail);
    else
        intake_abort(c->mail);
    c->mail          = NULL;
    c->has_begun     = false;
    c->awaits_commit = false;
}

static void log_end(struct connection *c)
{
    event_begin(c->receive->log, EVENT_DISCONNECTED, c->receive->wall_ms);
    event_text(c->receive->log, "ip", span_of(c->ip));
    event_end(c->receive->log);
}

static void bury(struct connection *c)
{
    if (c->is_dead)
        return;
    c->is_dead = true;
    drop_mail(c);
    log_end(c);
    wire_release(&c->wire);
    heap_remove(&c->receive->deadlines, &c->deadline);
    list_remove(&c->in_waiting);
    list_move(&c->receive->graves, &c->grave);
    if (c->client != NULL)
        clients_leave(&c->receive->clients, c->client);
    c->receive->connection_count--;
}

void connection_free(struct connection *c)
{
    must(c->is_dead);
    list_remove(&c->in_receive);
    list_remove(&c->grave);
    smtp_server_release(&c->smtp);
    buf_release(&c->held);
    c->kind = 0;
    mem_free(c);
}

void connection_cut(struct connection *c)
{
    bury(c);
}

/* --- the answers to the core's events --- */

static void log_refused(struct connection *c, int code, const char *text, const char *to)
{
    struct event_log *log = c->receive->log;
    event_begin(log, EVENT_REFUSED, c->receive->wall_ms);
    event_text(log, "ip", span_of(c->ip));
    event_text(log, "from", span_of(c->smtp.mail.sender.text));
    event_text(log, "to", span_of(to));
    event_number(log, "code", (uint64_t)code);
    event_text(log, "text", span_of(text));
    event_end(log);
}

static void on_mail(struct connection *c)
{
    const struct smtp_server_mail *mail = &c->smtp.mail;
    const char *refusal                 = intake_refusal(c->receive->intake);
    if (refusal != NULL) {
        log_refused(c, 452, refusal, "");
        smtp_server_answer(&c->smtp, 452, "4.3.1", "no room for new mail now, try again later");
        return;
    }
    struct envelope envelope = {.sender     = mail->sender.text,
                                .envid      = mail->envid,
                                .ret        = mail->ret,
                                .is_8bit    = mail->is_8bit,
                                .needs_utf8 = mail->is_utf8};
    c->mail                  = intake_open(c->receive->intake, &envelope);
    c->has_begun             = false;
    smtp_server_answer(&c->smtp, 250, "2.1.0", "sender ok");
}

/* No look-up: whatever is wrong with the domain or mailbox comes back as a report. */
static void on_rcpt(struct connection *c)
{
    const struct smtp_server_rcpt *rcpt = &c->smtp.rcpt;
    struct envelope_rcpt envelope       = {
              .address = rcpt->address.text, .orcpt = rcpt->orcpt, .notify = rcpt->notify};
    must(c->mail != NULL);
    intake_rcpt(c->mail, &envelope);
    smtp_server_answer(&c->smtp, 250, "2.1.5", "recipient ok");
}

static const char *protocol_of(const struct connection *c)
{
    bool is_secure = c->wire.tls != NULL;
    if (!c->smtp.is_esmtp)
        return "SMTP";
    if (c->smtp.mail.is_utf8)
        return is_secure ? "UTF8SMTPS" : "UTF8SMTP";
    return is_secure ? "ESMTPS" : "ESMTP";
}

static enum status begin_content(struct connection *c)
{
    char tls[96]              = "";
    struct header_trace trace = {
        .helo = c->smtp.helo, .client_ip = c->ip, .protocol = protocol_of(c)};
    if (c->wire.tls != NULL) {
        (void)snprintf(tls, sizeof tls, "%s with cipher %s", tls_engine_version(c->wire.tls),
                       tls_engine_cipher(c->wire.tls));
        trace.tls = tls;
    }
    c->has_begun        = true;
    c->content_begun_ms = c->receive->now_ms;
    return intake_begin(c->mail, &trace, c->receive->wall_ms);
}

static void refuse_content(struct connection *c, enum status status)
{
    bool is_full = status == NO_SPACE;
    log_refused(c, is_full ? 452 : 451, status_text(status), "");
    drop_mail(c);
    if (is_full)
        smtp_server_refuse_content(&c->smtp, 452, "4.3.1", "no room for this message now");
    else
        smtp_server_refuse_content(&c->smtp, 451, "4.3.0", "the message cannot be stored now");
}

/* The first piece, or an empty message, begins the draft. */
static enum status take_content(struct connection *c, struct span piece)
{
    enum status status = c->has_begun ? OK : begin_content(c);
    return status == OK && piece.len > 0 ? intake_write(c->mail, piece) : status;
}

static void on_body(struct connection *c)
{
    if (c->mail != NULL) {
        enum status status = take_content(c, c->smtp.body);
        if (status != OK)
            refuse_content(c, status);
    }
    smtp_server_body_taken(&c->smtp);
}

static void refuse_end(struct connection *c, int code, const char *enhanced, const char *text)
{
    log_refused(c, code, text, "");
    drop_mail(c);
    smtp_server_answer(&c->smtp, code, enhanced, text);
}

static void on_end(struct connection *c)
{
    must(c->mail != NULL);
    enum status status = take_content(c, span_make("", 0));
    if (status != OK) {
        refuse_end(c, status == NO_SPACE ? 452 : 451, status == NO_SPACE ? "4.3.1" : "4.3.0",
                   "the message cannot be stored now");
        return;
    }
    if (intake_is_looping(c->mail)) {
        refuse_end(c, 554, "5.4.6", "too many Received fields, this mail loops");
        return;
    }
    intake_note(c->mail, c->smtp.saw_8bit, c->smtp.saw_bare || c->smtp.saw_nul);
    c->awaits_commit = true;
    intake_commit(c->mail, c, c->receive->wall_ms);
}

void connection_on_done(struct connection *c, const struct intake_done *done)
{
    char id[MSGID_TEXT_BYTES], text[64];
    must(c->awaits_commit);
    c->mail          = NULL;
    c->awaits_commit = c->has_begun = false;
    (void)snprintf(text, sizeof text, "ok: queued as %s", msgid_text(done->id, id));
    if (done->status == OK) {
        c->receive->stats.messages++;
        c->receive->stats.recipients += done->rcpt_count;
        smtp_server_answer(&c->smtp, 250, "2.0.0", text);
    } else if (done->status == NO_SPACE) {
        smtp_server_answer(&c->smtp, 452, "4.3.1", "no room for this message now");
    } else {
        smtp_server_answer(&c->smtp, 451, "4.3.0", "the message cannot be stored now");
    }
    connection_go_on(c);
}

/* --- going on --- */

static void flush(struct connection *c)
{
    struct span out = smtp_server_output(&c->smtp);
    if (out.len == 0)
        return;
    if (wire_write(&c->wire, &out, 1) != OK) {
        bury(c);
        return;
    }
    smtp_server_wrote(&c->smtp, out.len);
}

static void start_tls(struct connection *c, struct tls_context *context)
{
    drop_mail(c);
    wire_start_tls(&c->wire, tls_engine_server(context));
    set_deadline(c, CONNECTION_HANDSHAKE_MS);
}

static struct tls_context *context_of(const struct connection *c);

static void begin_to_close(struct connection *c)
{
    c->is_closing = true;
    set_deadline(c, CONNECTION_CLOSE_MS);
}

/* Handles one event; false when there is none, or it has to wait. */
static bool handle_event(struct connection *c)
{
    switch (smtp_server_event(&c->smtp)) {
    case SMTP_EVENT_NONE:
        return false;
    case SMTP_EVENT_MAIL:
        on_mail(c);
        return true;
    case SMTP_EVENT_RCPT:
        on_rcpt(c);
        return true;
    case SMTP_EVENT_BODY:
        on_body(c);
        return true;
    case SMTP_EVENT_END:
        if (c->awaits_commit)
            return false;
        on_end(c);
        return !c->awaits_commit;
    case SMTP_EVENT_RESET:
        drop_mail(c);
        smtp_server_body_taken(&c->smtp);
        return true;
    case SMTP_EVENT_STARTTLS: /* it stays until the handshake is done */
        if (wire_tls(&c->wire) != WIRE_PLAIN)
            return false;
        flush(c);
        if (!c->is_dead)
            start_tls(c, context_of(c));
        return false;
    case SMTP_EVENT_CLOSE:
        begin_to_close(c);
        return false;
    }
    return false;
}

static bool must_wait(const struct connection *c)
{
    bool disk_lags = c->mail != NULL && !c->awaits_commit && intake_should_wait(c->mail);
    return c->awaits_commit || disk_lags || c->is_closing || c->is_dead ||
           wire_tls(&c->wire) == WIRE_HANDSHAKING ||
           wire_pending(&c->wire) > CONNECTION_PENDING_BYTES_MAX;
}

static void feed_held(struct connection *c)
{
    while (!c->is_dead && !c->is_closing) {
        while (handle_event(c))
            continue;
        if (c->held.len == 0 || must_wait(c))
            return;
        size_t taken = smtp_server_feed(&c->smtp, buf_span(&c->held));
        c->receive->stats.bytes += taken;
        buf_drop(&c->held, taken);
        if (taken == 0 && smtp_server_event(&c->smtp) == SMTP_EVENT_NONE) {
            if (smtp_server_output(&c->smtp).len == 0)
                return;
            flush(c); /* the room for replies was full */
        }
    }
}

/* How long the client may take: the command timeout, and for content a minimum rate over all. */
static void arm(struct connection *c)
{
    const struct receive *r = c->receive;
    uint64_t in_ms          = r->settings->command_timeout_ms;
    if (c->has_begun) {
        uint64_t allowed = in_ms + c->smtp.content_bytes * 1000 / CONNECTION_BYTES_PER_S_MIN;
        uint64_t spent   = r->now_ms - c->content_begun_ms;
        uint64_t left    = allowed > spent ? allowed - spent : 0;
        in_ms            = left < in_ms ? left : in_ms;
    }
    if (c->awaits_commit)
        heap_remove(&c->receive->deadlines, &c->deadline); /* the disk is ours, not the client's */
    else
        set_deadline(c, in_ms);
}

static void wait_for_disk(struct connection *c)
{
    bool disk_lags = c->mail != NULL && !c->awaits_commit && intake_should_wait(c->mail);
    if (disk_lags && !list_is_linked(&c->in_waiting))
        list_push(&c->receive->waiting, &c->in_waiting);
}

void connection_go_on(struct connection *c)
{
    if (c->is_dead)
        return;
    feed_held(c);
    if (!c->is_dead)
        flush(c);
    if (c->is_dead)
        return;
    if (c->is_closing && wire_pending(&c->wire) == 0) {
        bury(c);
        return;
    }
    if (c->held.len == 0 && c->held.cap > CONNECTION_HELD_BYTES_KEPT)
        buf_release(&c->held);
    wait_for_disk(c);
    wire_want_read(&c->wire, c->held.len == 0 && !must_wait(c));
    if (!c->is_closing && wire_tls(&c->wire) != WIRE_HANDSHAKING)
        arm(c);
}

/* --- events of the wire --- */

static void greet(struct connection *c)
{
    size_t got         = 0;
    enum status status = wire_read(&c->wire, c->receive->heard, sizeof c->receive->heard, &got);
    if (status == OK)
        smtp_server_turn_away(&c->smtp, 554, "5.5.0 you must wait for the greeting");
    else
        smtp_server_greet(&c->smtp);
}

static void on_handshake(struct connection *c)
{
    if (wire_tls(&c->wire) == WIRE_TLS_FAILED) {
        log_refused(c, 0, tls_engine_error(c->wire.tls), "");
        bury(c);
        return;
    }
    if (wire_tls(&c->wire) != WIRE_SECURE)
        return;
    c->receive->stats.tls++;
    smtp_server_secured(&c->smtp);
    if (c->is_implicit_tls)
        greet(c);
}

static void read_some(struct connection *c)
{
    struct receive *r = c->receive;
    while (!c->is_dead && c->held.len == 0 && !must_wait(c)) {
        size_t got         = 0;
        enum status status = wire_read(&c->wire, r->heard, sizeof r->heard, &got);
        if (status == AGAIN)
            return;
        if (status != OK) {
            bury(c);
            return;
        }
        buf_put(&c->held, span_make(r->heard, got));
        connection_go_on(c);
    }
}

void connection_on_ready(struct connection *c, unsigned ready)
{
    if (c->is_dead)
        return;
    bool was_handshaking = wire_tls(&c->wire) == WIRE_HANDSHAKING;
    enum status status   = wire_pump(&c->wire, ready);
    if (was_handshaking)
        on_handshake(c);
    if (!c->is_dead && status != OK && wire_pending(&c->wire) > 0)
        bury(c); /* what we still had to say cannot be said */
    read_some(c);
    connection_go_on(c);
}

void connection_on_deadline(struct connection *c)
{
    if (c->is_closing || wire_tls(&c->wire) == WIRE_HANDSHAKING) {
        bury(c);
        return;
    }
    drop_mail(c);
    smtp_server_shut(&c->smtp, "4.4.2", "timed out, closing");
    buf_clear(&c->held);
    flush(c);
    if (!c->is_dead && smtp_server_event(&c->smtp) != SMTP_EVENT_CLOSE)
        bury(c); /* in the middle of content no reply may stand */
    else
        connection_go_on(c);
}

void connection_shut(struct connection *c)
{
    if (c->is_dead || c->is_closing || c->awaits_commit || smtp_server_in_transaction(&c->smtp))
        return;
    smtp_server_shut(&c->smtp, "4.3.2", "going away, try again later");
    connection_go_on(c);
}

/* --- the beginning --- */

static struct tls_context *context_of(const struct connection *c)
{
    struct list *listeners          = &c->receive->listeners;
    const struct net_address *local = net_local(c->wire.conn);
    struct tls_context *any         = NULL;
    for (struct list *n = list_first(listeners); n != NULL; n = list_next(listeners, n)) {
        struct receive_listener *l = CONTAINER_OF(n, struct receive_listener, in_receive);
        any                        = l->context != NULL ? l->context : any;
        if (l->context != NULL && net_listener_address(l->listener)->port == local->port)
            return l->context;
    }
    must(any != NULL);
    return any;
}

static struct connection *connection_new(struct receive *r, struct net_conn *conn)
{
    struct connection *c = mem_new(sizeof *c);
    char ip[NET_ADDRESS_TEXT_BYTES];
    c->kind    = RECEIVE_KIND;
    c->receive = r;
    (void)snprintf(c->ip, sizeof c->ip, "%s", net_address_text(net_peer(conn), ip));
    net_set_owner(conn, c);
    wire_init(&c->wire, conn);
    wire_want_read(&c->wire, true);
    list_push(&r->connections, &c->in_receive);
    r->connection_count++;
    c->config = (struct smtp_server_config){
        .hostname = r->settings->hostname,
        .offer    = SMTP_EXT_SIZE | SMTP_EXT_8BITMIME | SMTP_EXT_SMTPUTF8 | SMTP_EXT_PIPELINING |
                 SMTP_EXT_CHUNKING | SMTP_EXT_ENHANCEDSTATUSCODES | SMTP_EXT_DSN | SMTP_EXT_LIMITS,
        .message_bytes_max = r->settings->message_bytes_max,
        .rcpts_max         = r->settings->recipients_max,
        .errors_max        = CONNECTION_ERRORS_MAX,
        .junk_max          = CONNECTION_JUNK_MAX,
    };
    return c;
}

static void log_begin(struct connection *c)
{
    event_begin(c->receive->log, EVENT_CONNECTED, c->receive->wall_ms);
    event_text(c->receive->log, "ip", span_of(c->ip));
    event_end(c->receive->log);
}

void connection_open(struct receive *r, struct net_conn *conn, const struct receive_listener *l,
                     struct client *client)
{
    struct connection *c = connection_new(r, conn);
    c->client            = client;
    c->is_implicit_tls   = l->tls == RECEIVE_TLS_IMPLICIT;
    if (l->context != NULL && l->tls == RECEIVE_TLS_STARTTLS)
        c->config.offer |= SMTP_EXT_STARTTLS;
    smtp_server_init(&c->smtp, &c->config);
    log_begin(c);
    if (c->is_implicit_tls)
        start_tls(c, l->context);
    else
        greet(c);
    connection_go_on(c);
}

void connection_turn_away(struct receive *r, struct net_conn *conn, int code, const char *text)
{
    struct connection *c = connection_new(r, conn);
    smtp_server_init(&c->smtp, &c->config);
    log_refused(c, code, text, "");
    smtp_server_turn_away(&c->smtp, code, text);
    connection_go_on(c);
}
