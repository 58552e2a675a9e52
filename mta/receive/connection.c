/* SPDX-License-Identifier: MIT */
/*
 * Every event ends in connection_go_on(): what is held is fed, events of the core are handled,
 * replies go out as one group, more is read, and reading is switched on or off.  A connection never
 * frees itself: bury() puts it into the graves, once.
 *
 *     greeting -> commands -> content -> awaits_commit -> commands ... -> is_closing -> is_dead
 */
#include "mta/receive/connection.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/mail/domain.h"
#include "mta/mail/msgid.h"
#include "mta/receive/inside.h"
#include <stdio.h>
#include <string.h>

enum {
    CONNECTION_PENDING_BYTES_MAX = 65536,  /* replies the client does not read */
    CONNECTION_TURN_BYTES_MAX    = 262144, /* read at once, then others have their turn */
    CONNECTION_HELD_BYTES_KEPT   = 4096,
    CONNECTION_HANDSHAKE_MS      = 20000,
    CONNECTION_CLOSE_MS          = 5000,
    CONNECTION_BYTES_PER_S_MIN   = 500, /* of content (security.md 2) */
    CONNECTION_ERRORS_MAX        = 10,
    CONNECTION_JUNK_MAX          = 50,
    CONNECTION_INBOUND_RCPTS_MAX = 1000,  /* security.md 2 */
    CONNECTION_BUSY_MS           = 60000, /* for a command of a stranger, when half is full */
    CONNECTION_CROWDED_MS        = 10000, /* and when seven in ten are */
};

static void set_deadline(struct connection *c, uint64_t in_ms)
{
    heap_set(&c->receive->deadlines, &c->deadline, c->receive->now_ms + in_ms);
}

static bool is_handshaking(const struct connection *c)
{
    return wire_tls(&c->wire) == WIRE_HANDSHAKING;
}

/* --- the end --- */

static void drop_mail(struct connection *c)
{
    if (c->mail == NULL)
        return;
    if (c->guest != NULL) /* one that is underway to the disk is sent */
        submission_end(&c->guest->submission, c->awaits_commit, intake_rcpt_count(c->mail),
                       c->receive->wall_ms);
    if (c->awaits_commit)
        intake_disown(c->mail);
    else
        intake_abort(c->mail);
    c->mail          = NULL;
    c->has_begun     = false;
    c->awaits_commit = false;
}

static void log_connection(struct connection *c, enum event event)
{
    event_begin(c->receive->log, event, c->receive->wall_ms);
    event_text(c->receive->log, "ip", span_of(c->ip));
    event_end(c->receive->log);
}

static void bury(struct connection *c)
{
    struct receive *r = c->receive;
    if (c->is_dead)
        return;
    c->is_dead = true;
    drop_mail(c);
    guest_free(c->guest);
    c->guest = NULL;
    log_connection(c, EVENT_DISCONNECTED);
    wire_release(&c->wire);
    heap_remove(&r->deadlines, &c->deadline);
    list_remove(&c->in_waiting);
    list_push(&r->graves, &c->grave);
    if (c->client != NULL)
        clients_leave(&r->clients, c->client);
    c->client = NULL;
    r->connection_count--;
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

static void begin_to_close(struct connection *c)
{
    c->is_closing = true;
    set_deadline(c, CONNECTION_CLOSE_MS);
}

/* Our last words are out.  Bytes that were never read would make the system reset the connection,
 * and the client might lose what we said. */
static void finish_closing(struct connection *c)
{
    size_t got = 0;
    if (c->wire.tls == NULL)
        (void)wire_read(&c->wire, c->receive->heard, sizeof c->receive->heard, &got);
    bury(c);
}

/* --- the answers to the core's events --- */

static enum receive_role role_of(const struct connection *c)
{
    return c->listener == NULL ? RECEIVE_RELAY : c->listener->role;
}

void connection_log_refused(struct connection *c, int code, const char *text)
{
    const char *from = c->mail != NULL ? intake_sender(c->mail) : c->smtp.mail.sender.text;
    receive_log_refused(c->receive, c->ip, connection_user(c), from, "", code, text);
}

static void on_mail(struct connection *c)
{
    const struct smtp_server_mail *mail = &c->smtp.mail;
    const char *refusal                 = intake_refusal(c->receive->intake);
    must(c->mail == NULL);
    if (refusal != NULL) {
        connection_log_refused(c, 452, refusal);
        smtp_server_answer(&c->smtp, 452, "4.3.1", "no room for new mail now, try again later");
        return;
    }
    if (c->guest != NULL && !guest_on_mail(c))
        return;
    struct envelope envelope = {.sender     = mail->sender.text,
                                .envid      = mail->envid,
                                .ret        = mail->ret,
                                .is_8bit    = mail->is_8bit,
                                .needs_utf8 = mail->is_utf8};
    memcpy(envelope.verp, mail->verp, sizeof envelope.verp);
    c->mail = intake_open(c->receive->intake, &envelope);
    intake_set_user(c->mail, connection_user(c));
    smtp_server_answer(&c->smtp, 250, "2.1.0", "sender ok");
}

static void refuse_rcpt(struct connection *c, const struct sink_answer *no)
{
    receive_log_refused(c->receive, c->ip, connection_user(c), intake_sender(c->mail),
                        c->smtp.rcpt.address.text, no->code, no->text);
    smtp_server_answer(&c->smtp, no->code, no->enhanced, no->text);
}

static enum sink_verdict ask_sink(struct connection *c, struct sink_answer *answer)
{
    const struct sink *sink = c->receive->settings->sink;
    struct sink_query query = {.rcpt       = &c->smtp.rcpt.address,
                               .sender     = intake_sender(c->mail),
                               .role       = role_of(c),
                               .user       = connection_user(c),
                               .is_trusted = c->is_trusted || c->guest != NULL};
    *answer                 = (struct sink_answer){0};
    return sink == NULL ? SINK_NOT_MINE : sink->ask(sink->owner, &query, answer);
}

/* Of mail for elsewhere an inbound listener takes only what a route allows it. */
static bool is_let_in(const struct connection *c)
{
    const struct receive_settings *settings = c->receive->settings;
    const struct address *rcpt              = &c->smtp.rcpt.address;
    struct span domain                      = address_domain(span_make(rcpt->text, rcpt->len));
    if (role_of(c) != RECEIVE_INBOUND)
        return true;
    for (size_t i = 0; i < settings->inbound_domain_count; i++)
        if (domain_matches(span_of(settings->inbound_domains[i]), domain))
            return true;
    return false;
}

/* No look-up: whatever is wrong with the domain or mailbox comes back as a report. */
static void on_rcpt(struct connection *c)
{
    static const struct sink_answer refused  = {550, "5.1.1", "no such address here", NULL};
    static const struct sink_answer deferred = {450, "4.3.0", "not now, try again later", NULL};
    static const struct sink_answer foreign  = {550, "5.7.1",
                                                "no mail is taken here for this address", NULL};
    const struct smtp_server_rcpt *rcpt      = &c->smtp.rcpt;
    struct sink_answer answer;
    must(c->mail != NULL);
    enum sink_verdict verdict = ask_sink(c, &answer);
    if (verdict == SINK_REFUSE || verdict == SINK_DEFER) {
        const struct sink_answer *ours = verdict == SINK_REFUSE ? &refused : &deferred;
        refuse_rcpt(c, answer.code == 0 ? ours : &answer);
        return;
    }
    if (verdict == SINK_NOT_MINE && !is_let_in(c)) {
        refuse_rcpt(c, &foreign);
        return;
    }
    if (c->guest != NULL && !guest_on_rcpt(c))
        return;
    struct envelope_rcpt envelope = {.address  = rcpt->address.text,
                                     .orcpt    = rcpt->orcpt,
                                     .notify   = rcpt->notify,
                                     .is_local = verdict == SINK_TAKE,
                                     .data     = answer.data};
    intake_rcpt(c->mail, &envelope);
    smtp_server_answer(&c->smtp, 250, "2.1.5", "recipient ok");
}

/* RFC 3848, RFC 6531 4.3 */
static const char *protocol_of(const struct connection *c)
{
    bool is_secure = c->wire.tls != NULL;
    if (c->smtp.is_authenticated) /* which nobody is without TLS */
        return c->smtp.mail.is_utf8 ? "UTF8SMTPSA" : "ESMTPSA";
    if (!c->smtp.is_esmtp)
        return "SMTP";
    if (c->smtp.mail.is_utf8)
        return is_secure ? "UTF8SMTPS" : "UTF8SMTP";
    return is_secure ? "ESMTPS" : "ESMTP";
}

static enum status begin_content(struct connection *c)
{
    char tls[96]              = "";
    struct header_trace trace = {.helo      = c->smtp.helo,
                                 .client_ip = c->ip,
                                 .protocol  = protocol_of(c),
                                 .hides_client =
                                     c->guest != NULL && c->receive->settings->hides_client};
    if (c->wire.tls != NULL) {
        (void)snprintf(tls, sizeof tls, "%s with cipher %s", tls_engine_version(c->wire.tls),
                       tls_engine_cipher(c->wire.tls));
        trace.tls = tls;
    }
    c->has_begun = true;
    c->begun_ms  = c->receive->now_ms;
    return intake_begin(c->mail, &trace, c->receive->wall_ms);
}

/* The first piece, or the end of an empty message, begins the content. */
static enum status take_content(struct connection *c, struct span piece,
                                struct manuscript_refusal *no)
{
    enum status status = c->has_begun ? OK : begin_content(c);
    if (status != OK || piece.len == 0)
        return status;
    return c->guest != NULL ? guest_take_content(c, piece, no) : intake_write(c->mail, piece);
}

static enum status end_content(struct connection *c, struct manuscript_refusal *no)
{
    enum status status = take_content(c, span_make("", 0), no);
    return status == OK && c->guest != NULL ? guest_end_content(c, no) : status;
}

static struct smtp_server_reply reply_to(enum status status)
{
    return status == NO_SPACE
               ? (struct smtp_server_reply){452, "4.3.1", "no room for this message now"}
               : (struct smtp_server_reply){451, "4.3.0", "the message cannot be stored now"};
}

/* 'no' is what was found wrong with the content itself. */
static struct smtp_server_reply reply_of(enum status status, const struct manuscript_refusal *no)
{
    struct smtp_server_reply reply = reply_to(status);
    if (no->code != 0) {
        reply.code = no->code;
        (void)snprintf(reply.enhanced, sizeof reply.enhanced, "%s", no->enhanced);
        (void)snprintf(reply.text, sizeof reply.text, "%s", no->text);
    }
    return reply;
}

static void on_body(struct connection *c)
{
    struct manuscript_refusal no = {0};
    enum status status           = c->mail == NULL ? OK : take_content(c, c->smtp.body, &no);
    if (status != OK || no.code != 0) {
        struct smtp_server_reply reply = reply_of(status, &no);
        connection_log_refused(c, reply.code, no.code != 0 ? no.text : status_text(status));
        drop_mail(c);
        smtp_server_refuse_content(&c->smtp, reply.code, reply.enhanced, reply.text);
    }
    smtp_server_body_taken(&c->smtp);
}

static void refuse_end(struct connection *c, const struct smtp_server_reply *no)
{
    connection_log_refused(c, no->code, no->text);
    drop_mail(c);
    smtp_server_answer(&c->smtp, no->code, no->enhanced, no->text);
}

static void on_end(struct connection *c)
{
    static const struct smtp_server_reply loops = {554, "5.4.6",
                                                   "too many Received fields, this mail loops"};
    must(c->mail != NULL);
    struct manuscript_refusal wrong = {0};
    enum status status              = end_content(c, &wrong);
    struct smtp_server_reply no     = reply_of(status, &wrong);
    bool is_good                    = status == OK && wrong.code == 0;
    if (!is_good || intake_is_looping(c->mail)) {
        refuse_end(c, is_good ? &loops : &no);
        return;
    }
    intake_note(c->mail, c->smtp.saw_8bit, c->smtp.saw_bare || c->smtp.saw_nul);
    c->awaits_commit = true;
    intake_commit(c->mail, c, c->receive->wall_ms);
}

void connection_on_done(struct connection *c, const struct intake_done *done)
{
    char id[MSGID_TEXT_BYTES], text[64];
    struct receive *r = c->receive;
    must(c->awaits_commit && !c->is_dead);
    if (c->guest != NULL) {
        submission_end(&c->guest->submission, done->status == OK, done->rcpt_count, r->wall_ms);
        porter_note_sent(r->porter);
    }
    c->mail          = NULL; /* it has gone with its commit */
    c->awaits_commit = c->has_begun = false;
    if (done->status == OK) {
        r->stats.messages++;
        r->stats.recipients += done->rcpt_count;
        (void)snprintf(text, sizeof text, "Ok: queued as %s", msgid_text(done->id, id));
        smtp_server_answer(&c->smtp, 250, "2.0.0", text);
    } else {
        struct smtp_server_reply no = reply_to(done->status);
        refuse_end(c, &no);
    }
    connection_go_on(c);
}

/* The transaction is void: the client said so, or the core refuses the content. */
static void on_reset(struct connection *c)
{
    if (c->smtp.phase == SMTP_SERVER_SWALLOW && c->smtp.refusal.code != 0)
        connection_log_refused(c, c->smtp.refusal.code, c->smtp.refusal.text);
    drop_mail(c);
    smtp_server_body_taken(&c->smtp);
}

/* --- going on --- */

static void flush(struct connection *c)
{
    struct span out = smtp_server_output(&c->smtp);
    if (c->is_dead || out.len == 0)
        return;
    if (wire_write(&c->wire, &out, 1) == OK)
        smtp_server_wrote(&c->smtp, out.len);
    else
        bury(c);
}

/* Anything the client said in clear behind this must not count (security.md A5): the core has let
 * nothing through, and what is still in the socket now belongs to the handshake. */
static void start_tls(struct connection *c)
{
    struct tls_engine *engine = tls_engine_server(c->listener->context);
    if (engine == NULL) {
        bury(c);
        return;
    }
    wire_start_tls(&c->wire, engine);
    set_deadline(c, CONNECTION_HANDSHAKE_MS);
}

/* Handles one event; false when there is none, or it has to wait. */
static bool handle_event(struct connection *c)
{
    enum smtp_event event = smtp_server_event(&c->smtp);
    c->has_moved          = c->has_moved || event != SMTP_EVENT_NONE;
    switch (event) {
    case SMTP_EVENT_NONE:
        return false;
    case SMTP_EVENT_AUTH:
        if (!c->guest->awaits_verdict)
            guest_on_auth(c);
        return !c->guest->awaits_verdict;
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
        if (!c->awaits_commit)
            on_end(c);
        return !c->awaits_commit;
    case SMTP_EVENT_RESET:
        on_reset(c);
        return true;
    case SMTP_EVENT_STARTTLS:
        flush(c);
        if (!c->is_dead && c->wire.tls == NULL)
            start_tls(c);
        return false;
    case SMTP_EVENT_CLOSE:
        if (!c->is_closing)
            begin_to_close(c);
        return false;
    }
    return false;
}

static bool awaits_verdict(const struct connection *c)
{
    return c->guest != NULL && c->guest->awaits_verdict;
}

static bool is_lagging(const struct connection *c)
{
    return c->mail != NULL && !c->awaits_commit && intake_should_wait(c->mail);
}

/* Nothing more may be fed now. */
static bool must_wait(const struct connection *c)
{
    return c->is_dead || c->is_closing || c->awaits_commit || awaits_verdict(c) ||
           is_handshaking(c) || is_lagging(c) ||
           wire_pending(&c->wire) > CONNECTION_PENDING_BYTES_MAX;
}

/* What the core refuses by itself. */
static void log_replies(struct connection *c, size_t from)
{
    struct span line, said = span_skip(smtp_server_output(&c->smtp), from);
    char text[SMTP_SERVER_TEXT_BYTES];
    while (span_cut(&said, '\n', &line)) {
        bool is_refusal = line.len > 4 && (line.at[0] == '4' || line.at[0] == '5');
        if (!is_refusal)
            continue;
        struct span words = span_trim(span_skip(line, 4));
        (void)snprintf(text, sizeof text, "%.*s", (int)words.len, words.at);
        connection_log_refused(
            c, (line.at[0] - '0') * 100 + (line.at[1] - '0') * 10 + line.at[2] - '0', text);
    }
}

static size_t feed_once(struct connection *c, struct span input)
{
    bool was_logged = c->smtp.phase == SMTP_SERVER_SWALLOW; /* when it was refused */
    size_t said     = smtp_server_output(&c->smtp).len;
    size_t taken    = smtp_server_feed(&c->smtp, input);
    c->receive->stats.bytes += taken;
    if (!was_logged)
        log_replies(c, said);
    c->has_moved = c->has_moved || smtp_server_output(&c->smtp).len > said;
    return taken;
}

/* Returns how much of 'input' was taken. */
static size_t feed(struct connection *c, struct span input)
{
    size_t taken = 0;
    for (;;) {
        while (!c->is_dead && handle_event(c))
            continue;
        if (taken == input.len || must_wait(c))
            return taken;
        size_t now = feed_once(c, span_skip(input, taken));
        taken += now;
        if (now == 0 && smtp_server_event(&c->smtp) == SMTP_EVENT_NONE)
            flush(c); /* the room for replies was full */
    }
}

static bool holds_something(const struct connection *c)
{
    return c->held_at < c->held.len;
}

static void feed_held(struct connection *c)
{
    c->held_at += feed(c, span_skip(buf_span(&c->held), c->held_at));
    if (holds_something(c))
        return;
    c->held_at = 0;
    buf_clear(&c->held);
    if (c->held.cap > CONNECTION_HELD_BYTES_KEPT)
        buf_release(&c->held);
}

/* Reads once; how much came. */
static size_t read_once(struct connection *c)
{
    struct receive *r  = c->receive;
    size_t got         = 0;
    enum status status = wire_read(&c->wire, r->heard, sizeof r->heard, &got);
    if (status == OK) {
        struct span heard = span_make(r->heard, got);
        buf_put(&c->held, span_skip(heard, feed(c, heard)));
        if (c->wire.tls == NULL && got < sizeof r->heard)
            c->may_have_more = false; /* the socket tells when there is */
        flush(c);
        return got;
    }
    c->may_have_more = false;
    if (status == END && wire_pending(&c->wire) > 0)
        begin_to_close(c); /* it may still read what we said */
    else if (status != AGAIN)
        bury(c);
    return 0;
}

/* Until nothing comes any more, or others have waited long enough. */
static void read_on(struct connection *c)
{
    size_t total = 0;
    while (c->may_have_more && !holds_something(c) && !must_wait(c)) {
        if (total >= CONNECTION_TURN_BYTES_MAX) {
            c->receive->has_more = true;
            if (!list_is_linked(&c->in_waiting))
                list_push(&c->receive->waiting, &c->in_waiting);
            return;
        }
        total += read_once(c);
    }
}

/* Of strangers, the less the fuller it is (security.md 2). */
static uint64_t timeout_ms_of(const struct connection *c)
{
    const struct receive *r = c->receive;
    uint64_t usual_ms       = r->settings->command_timeout_ms;
    size_t tenths           = r->connection_count * 10 / r->settings->connections_max;
    uint64_t max_ms         = tenths >= 7   ? CONNECTION_CROWDED_MS
                              : tenths >= 5 ? CONNECTION_BUSY_MS
                                            : usual_ms;
    if (role_of(c) == RECEIVE_RELAY || usual_ms < max_ms)
        return usual_ms;
    return max_ms;
}

/* How long the client may take for a command, or a piece of content; and for content a minimum rate
 * over all of it (security.md A28). */
static uint64_t allowed_ms(const struct connection *c)
{
    const struct receive *r = c->receive;
    uint64_t timeout_ms     = timeout_ms_of(c);
    if (!c->has_begun)
        return timeout_ms;
    uint64_t whole = timeout_ms + c->smtp.content_bytes * 1000 / CONNECTION_BYTES_PER_S_MIN;
    uint64_t spent = r->now_ms - c->begun_ms;
    uint64_t left  = whole > spent ? whole - spent : 0;
    return left < timeout_ms ? left : timeout_ms;
}

/* A part of a line does not count: else a byte now and then would hold a place for ever. */
static void arm(struct connection *c)
{
    if (c->is_closing || is_handshaking(c) || awaits_verdict(c))
        return; /* they have a deadline of their own */
    if (c->awaits_commit || is_lagging(c))
        heap_remove(&c->receive->deadlines, &c->deadline); /* the disk is ours, not the client's */
    else if (c->has_moved || !heap_holds(&c->receive->deadlines, &c->deadline))
        set_deadline(c, allowed_ms(c));
    c->has_moved = false;
}

void connection_go_on(struct connection *c)
{
    if (c->is_dead)
        return;
    feed_held(c);
    flush(c);
    read_on(c);
    if (!c->is_dead && c->is_closing && wire_pending(&c->wire) == 0)
        finish_closing(c);
    if (c->is_dead)
        return;
    if (is_lagging(c) && !list_is_linked(&c->in_waiting))
        list_push(&c->receive->waiting, &c->in_waiting);
    smtp_server_rest(&c->smtp);
    wire_want_read(&c->wire, !holds_something(c) && !must_wait(c));
    arm(c);
}

/* --- events of the wire --- */

/* Who speaks before the greeting does not wait for answers either (security.md A4). */
static void greet(struct connection *c)
{
    size_t got         = 0;
    enum status status = wire_read(&c->wire, c->receive->heard, sizeof c->receive->heard, &got);
    if (status == OK) {
        connection_log_refused(c, 554, "spoke before the greeting");
        smtp_server_turn_away(&c->smtp, 554, "5.5.0 you must wait for the greeting");
    } else {
        smtp_server_greet(&c->smtp);
    }
}

static void on_handshake(struct connection *c)
{
    switch (wire_tls(&c->wire)) {
    case WIRE_TLS_FAILED:
        connection_log_refused(c, 0, tls_engine_error(c->wire.tls));
        bury(c);
        return;
    case WIRE_SECURE:
        must(!holds_something(c));
        c->receive->stats.tls++;
        c->has_moved = true;
        if (c->guest != NULL)
            guest_on_secure(c);
        if (c->listener->tls == RECEIVE_TLS_IMPLICIT) {
            c->smtp.is_secured = true;
            greet(c);
        } else
            smtp_server_secured(&c->smtp);
        return;
    case WIRE_PLAIN:
    case WIRE_HANDSHAKING:
        return;
    }
}

void connection_on_ready(struct connection *c, unsigned ready)
{
    if (c->is_dead)
        return;
    bool was_handshaking = is_handshaking(c) || wire_tls(&c->wire) == WIRE_TLS_FAILED;
    bool owed_bytes      = wire_pending(&c->wire) > 0;
    enum status status   = wire_pump(&c->wire, ready);
    c->may_have_more =
        c->may_have_more || status != OK || was_handshaking || (ready & NET_READABLE) != 0;
    if (was_handshaking)
        on_handshake(c);
    else if (status != OK && owed_bytes)
        bury(c); /* what we still had to say cannot be said */
    connection_go_on(c);
}

void connection_on_deadline(struct connection *c)
{
    static const struct span late = SPAN("421 4.4.2 timed out, closing\r\n");
    if (awaits_verdict(c)) {
        guest_say_verdict(c);
        connection_go_on(c);
        return;
    }
    if (!c->is_closing)
        connection_log_refused(c, 421,
                               is_handshaking(c) ? "timed out in the TLS handshake" : "timed out");
    if (c->is_closing || is_handshaking(c)) {
        bury(c);
        return;
    }
    drop_mail(c);
    smtp_server_shut(&c->smtp, "4.4.2", "timed out, closing");
    if (smtp_server_output(&c->smtp).len == 0)
        (void)wire_write(&c->wire, &late, 1); /* in content: the early answer to it */
    begin_to_close(c);
    connection_go_on(c);
}

void connection_shut(struct connection *c)
{
    if (c->is_dead || c->is_closing || c->awaits_commit || is_handshaking(c) ||
        smtp_server_in_transaction(&c->smtp))
        return;
    smtp_server_shut(&c->smtp, "4.3.2", "going away, try again later");
    connection_go_on(c);
}

/* --- the beginning --- */

static struct connection *connection_new(struct receive *r, struct net_conn *conn)
{
    struct connection *c = mem_new(sizeof *c);
    char ip[NET_ADDRESS_TEXT_BYTES];
    c->kind    = RECEIVE_KIND;
    c->receive = r;
    (void)snprintf(c->ip, sizeof c->ip, "%s", net_address_text(net_peer(conn), ip));
    net_set_owner(conn, c);
    wire_init(&c->wire, conn);
    list_push(&r->connections, &c->in_receive);
    r->connection_count++;
    c->config = (struct smtp_server_config){
        .hostname = r->hostname,
        .offer    = SMTP_EXT_SIZE | SMTP_EXT_8BITMIME | SMTP_EXT_SMTPUTF8 | SMTP_EXT_PIPELINING |
                 SMTP_EXT_CHUNKING | SMTP_EXT_ENHANCEDSTATUSCODES | SMTP_EXT_DSN | SMTP_EXT_LIMITS,
        .message_bytes_max = r->settings->message_bytes_max,
        .rcpts_max         = r->settings->recipients_max,
        .errors_max        = CONNECTION_ERRORS_MAX,
        .junk_max          = CONNECTION_JUNK_MAX,
    };
    smtp_server_init(&c->smtp, &c->config);
    log_connection(c, EVENT_CONNECTED);
    return c;
}

/* What differs by the door it came in by. */
static void configure(struct connection *c)
{
    bool is_relay          = role_of(c) == RECEIVE_RELAY;
    c->config.refuses_bare = !is_relay;
    if (role_of(c) == RECEIVE_INBOUND && c->config.rcpts_max > CONNECTION_INBOUND_RCPTS_MAX)
        c->config.rcpts_max = CONNECTION_INBOUND_RCPTS_MAX;
    if (role_of(c) == RECEIVE_SUBMISSION) {
        c->guest             = guest_new(c);
        c->config.needs_auth = true;
        c->config.auth       = AUTH_MECHANISMS; /* not announced before TLS */
    }
    if (role_of(c) != RECEIVE_INBOUND)
        c->config.offer |= SMTP_EXT_XVERP; /* for who may relay */
    if (c->listener->tls == RECEIVE_TLS_STARTTLS)
        c->config.offer |= SMTP_EXT_STARTTLS;
}

void connection_open(struct receive *r, struct net_conn *conn, const struct receive_listener *l,
                     struct client *client, bool is_trusted)
{
    struct connection *c = connection_new(r, conn);
    c->client            = client;
    c->listener          = l;
    c->is_trusted        = is_trusted;
    configure(c);
    if (l->tls == RECEIVE_TLS_IMPLICIT)
        start_tls(c);
    else
        greet(c);
    connection_go_on(c);
}

void connection_turn_away(struct receive *r, struct net_conn *conn, int code, const char *text)
{
    struct connection *c = connection_new(r, conn);
    connection_log_refused(c, code, text);
    smtp_server_turn_away(&c->smtp, code, text);
    connection_go_on(c);
}
