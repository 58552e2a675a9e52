/* SPDX-License-Identifier: MIT */
/*
 * A session takes one line after the other, and none while it thinks about a reply.  The reply that
 * takes a message is marked, so that the oracle knows whether the product has heard it.
 */
#include "tests/sim/sim_peer.h"
#include "tests/sim/sim_mem.h"
#include "tests/sim/sim_oracle.h"
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SESSION_RCPTS_MAX = 200, COMMAND_BYTES_MAX = 2048, LINE_BYTES_MAX = 1000 };

enum phase { PHASE_GREETING, PHASE_HELLO, PHASE_IDLE, PHASE_MAIL, PHASE_BODY, PHASE_MUTE };

struct peer_session {
    struct sim_end end;
    const struct plan_host *host;
    const struct host_manner *manner;
    enum phase phase;
    bool is_extended; /* EHLO was said */
    bool closes;      /* behind the reply */
    struct buf reply;
    struct sim_event thinks; /* then the reply goes out */
    struct sim_mark *mark;   /* of the delivery that the reply confirms */

    unsigned messages;
    unsigned rcpts[SESSION_RCPTS_MAX], rcpt_count; /* members */
    char report_to[PLAN_NAME_BYTES * 2];           /* a sender's address; "" */
    struct buf text;
    uint64_t drop_at; /* bytes of the body */
};

struct sim_peers {
    unsigned sessions[PLAN_HOSTS_MAX];
    uint64_t known_ms[PLAN_RCPTS_MAX]; /* when greylisting saw it first, plus 1 */
};

struct sim_peers *peers_new(void)
{
    return world_new(sizeof(struct sim_peers));
}

const struct plan_host *peer_at(const struct net_address *address)
{
    const struct sim_plan *p = sim()->plan;
    for (unsigned i = 0; i < p->host_count; i++)
        if (net_address_equals(&p->hosts[i].address, address) &&
            p->hosts[i].address.port == address->port)
            return &p->hosts[i];
    return NULL;
}

static unsigned *sessions_of(const struct plan_host *host)
{
    return &sim()->peers->sessions[host - sim()->plan->hosts];
}

/* A misbehaviour that comes one in n times, while the world is not calm. */
static bool strikes(unsigned one_in)
{
    return one_in > 0 && !plan_is_calm() && sim_below(one_in) == 0;
}

/* --- the end of a session --- */

static void session_free(struct peer_session *s)
{
    --*sessions_of(s->host);
    sim_cancel(&s->thinks);
    if (s->mark != NULL)
        s->mark->is_lost = true; /* the reply was never said */
    buf_release(&s->reply);
    buf_release(&s->text);
    buf_release(&s->end.in);
    world_free(s);
}

static void hang_up(struct peer_session *s)
{
    end_close(&s->end);
    session_free(s);
}

static void slam(struct peer_session *s)
{
    sim_note("%s resets the connection", s->host->name);
    end_reset(&s->end);
    session_free(s);
}

/* --- replies --- */

static void say(struct peer_session *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(struct peer_session *s, const char *format, ...)
{
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    buf_put(&s->reply, span_make(line, (size_t)len));
    buf_put_text(&s->reply, "\r\n");
}

static void send_reply(struct peer_session *s)
{
    end_write(&s->end, buf_span(&s->reply));
    buf_clear(&s->reply);
    if (s->mark != NULL)
        end_mark(&s->end, s->mark);
    s->mark = NULL;
}

/* --- commands --- */

static void reset_envelope(struct peer_session *s)
{
    s->rcpt_count   = 0;
    s->report_to[0] = '\0';
    buf_clear(&s->text);
}

static void on_ehlo(struct peer_session *s, struct span rest)
{
    (void)rest;
    if (s->manner->is_plain) {
        say(s, "500 what?");
        return;
    }
    s->phase       = PHASE_IDLE;
    s->is_extended = true;
    say(s, "250-%s", s->host->name);
    if (!s->manner->lacks_pipelining)
        say(s, "250-PIPELINING");
    if (!s->manner->lacks_dsn)
        say(s, "250-DSN");
    if (s->manner->takes_8bit)
        say(s, "250-8BITMIME");
    say(s, "250 SIZE 1000000");
}

static void on_helo(struct peer_session *s, struct span rest)
{
    (void)rest;
    s->phase = PHASE_IDLE;
    say(s, "250 %s", s->host->name);
}

/* Whether the session has offered what a parameter needs. */
static bool is_offered(const struct peer_session *s, struct span parameter)
{
    static const struct span size = SPAN("SIZE="), body = SPAN("BODY=8BITMIME"),
                             dsn[] = {SPAN("NOTIFY="), SPAN("ORCPT="), SPAN("RET="),
                                      SPAN("ENVID=")};
    if (!s->is_extended)
        return false;
    for (size_t i = 0; i < sizeof dsn / sizeof dsn[0]; i++)
        if (span_starts(parameter, dsn[i]))
            return !s->manner->lacks_dsn;
    return span_starts(parameter, size) || (span_equals(parameter, body) && s->manner->takes_8bit);
}

/* "<address> PARAMETERS": the address; the parameters are checked. */
static struct span take_path(const struct peer_session *s, struct span rest)
{
    struct span parameter, path;
    if (rest.len < 2 || rest.at[0] != '<')
        sim_break("wire", "no path: %.*s", (int)rest.len, rest.at);
    rest = span_skip(rest, 1);
    path = span_first(rest, span_find(rest, '>'));
    rest = span_skip(rest, path.len + 1);
    while (span_cut(&rest, ' ', &parameter))
        if (parameter.len > 0 && !is_offered(s, parameter))
            sim_break("wire", "%s did not offer %.*s", s->host->name, (int)parameter.len,
                      parameter.at);
    return path;
}

static void on_mail(struct peer_session *s, struct span rest)
{
    (void)take_path(s, rest);
    if (s->phase != PHASE_IDLE) {
        sim_break("wire", "MAIL out of order");
    } else if (s->manner->messages_max > 0 && s->messages >= s->manner->messages_max) {
        say(s, "421 enough for now");
        s->closes = true;
    } else if (strikes(s->manner->refuses_mail)) {
        say(s, "451 not in the mood");
    } else {
        reset_envelope(s);
        s->phase = PHASE_MAIL;
        say(s, "250 ok");
    }
}

static bool is_greylisted(const struct peer_session *s, unsigned rcpt)
{
    uint64_t *known_ms = &sim()->peers->known_ms[rcpt];
    if (*known_ms == 0)
        *known_ms = sim()->now_ms + 1;
    return sim()->now_ms < *known_ms - 1 + s->manner->greylist_ms;
}

static void take_member(struct peer_session *s, unsigned number)
{
    const struct plan_rcpt *rcpt = &sim()->plan->rcpts[number];
    if (sim()->plan->domains[rcpt->domain].site != s->host->site)
        sim_break("routing", "r%u came to %s", number, s->host->name);
    if (rcpt->kind == RCPT_UNKNOWN) {
        say(s, "550 5.1.1 nobody here is called so");
    } else if (rcpt->kind == RCPT_FULL && sim()->now_ms < rcpt->full_until_ms) {
        say(s, "450 4.2.2 the mailbox is full");
    } else if (is_greylisted(s, number)) {
        say(s, "450 4.7.1 come back later");
    } else if (s->manner->rcpts_max > 0 && s->rcpt_count >= s->manner->rcpts_max) {
        say(s, "452 4.5.3 too many at once");
    } else if (s->rcpt_count == SESSION_RCPTS_MAX) {
        sim_break("promise 4", "more than %d recipients in a transaction", SESSION_RCPTS_MAX);
    } else {
        s->rcpts[s->rcpt_count++] = number;
        say(s, "250 ok");
    }
}

static void on_rcpt(struct peer_session *s, struct span rest)
{
    struct span path = take_path(s, rest);
    unsigned number  = plan_rcpt_of(path);
    if (s->phase == PHASE_IDLE) {
        say(s, "503 MAIL first"); /* pipelined behind one that was refused */
    } else if (number != UINT_MAX) {
        take_member(s, number);
    } else if (s->host->site == sim()->plan->domains[0].site && s->rcpt_count == 0 &&
               s->report_to[0] == '\0') {
        (void)snprintf(s->report_to, sizeof s->report_to, "%.*s", (int)path.len, path.at);
        say(s, "250 ok");
    } else {
        sim_break("routing", "a recipient nobody sent to: %.*s", (int)path.len, path.at);
    }
}

static void on_data(struct peer_session *s, struct span rest)
{
    (void)rest;
    if (s->phase != PHASE_MAIL || (s->rcpt_count == 0 && s->report_to[0] == '\0')) {
        s->phase = PHASE_IDLE;
        say(s, "503 no valid recipients");
        return;
    }
    s->phase   = PHASE_BODY;
    s->drop_at = strikes(s->manner->drops_before_dot) ? sim_below(400) : UINT64_MAX;
    say(s, "354 go on");
}

static void on_rset(struct peer_session *s, struct span rest)
{
    (void)rest;
    reset_envelope(s);
    if (s->phase == PHASE_MAIL)
        s->phase = PHASE_IDLE;
    say(s, "250 ok");
}

static void on_quit(struct peer_session *s, struct span rest)
{
    (void)rest;
    s->closes = true;
    say(s, "221 bye");
}

static const struct command {
    struct span verb;
    bool needs_hello;
    void (*run)(struct peer_session *s, struct span rest);
} commands[] = {
    {SPAN("EHLO "),      false, on_ehlo},
    {SPAN("HELO "),      false, on_helo},
    {SPAN("MAIL FROM:"), true,  on_mail},
    {SPAN("RCPT TO:"),   true,  on_rcpt},
    {SPAN("DATA"),       true,  on_data},
    {SPAN("RSET"),       false, on_rset},
    {SPAN("QUIT"),       false, on_quit},
};

static void take_command(struct peer_session *s, struct span line)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        const struct command *c = &commands[i];
        if (!span_starts(line, c->verb))
            continue;
        if (c->needs_hello && s->phase < PHASE_IDLE)
            sim_break("wire", "%.*s before a greeting", (int)line.len, line.at);
        c->run(s, span_skip(line, c->verb.len));
        return;
    }
    sim_break("wire", "no command: %.*s", (int)line.len, line.at);
}

/* --- the body --- */

static void accept_mail(struct peer_session *s)
{
    struct span text = buf_span(&s->text);
    sim_note("%s takes a mail of %zu bytes", s->host->name, text.len);
    s->messages++;
    if (s->report_to[0] != '\0')
        s->mark = oracle_on_report(&s->end, span_of(s->report_to), text);
    else
        s->mark = oracle_on_delivery(&s->end, s->rcpts, s->rcpt_count, text);
    say(s, "250 taken");
}

/* false: the session is gone. */
static bool end_of_body(struct peer_session *s)
{
    s->phase = PHASE_IDLE;
    if (strikes(s->manner->refuses_content)) {
        say(s, "451 4.3.0 not now");
        return true;
    }
    accept_mail(s);
    if (strikes(s->manner->drops_after_dot)) {
        slam(s);
        return false;
    }
    if (strikes(s->manner->silent_after_dot))
        s->phase = PHASE_MUTE;
    return true;
}

static bool take_body_line(struct peer_session *s, struct span line)
{
    if (span_is(line, "."))
        return end_of_body(s);
    if (line.len > 0 && line.at[0] == '.')
        line = span_skip(line, 1);
    buf_put(&s->text, line);
    buf_put_text(&s->text, "\r\n");
    if (s->text.len > s->drop_at) {
        slam(s);
        return false;
    }
    return true;
}

/* --- lines --- */

/* The next whole line without its CRLF; false: there is none yet. */
static bool next_line(const struct peer_session *s, struct span *line)
{
    struct span in = buf_span(&s->end.in);
    size_t len     = span_find(in, '\n');
    size_t max     = s->phase == PHASE_BODY ? LINE_BYTES_MAX : COMMAND_BYTES_MAX;
    if (len > max)
        sim_break("wire", "an endless line");
    if (len == in.len)
        return false;
    if (len == 0 || in.at[len - 1] != '\r' || span_find(span_first(in, len - 1), '\r') < len - 1)
        sim_break("wire", "a bare CR or LF");
    *line = span_first(in, len - 1);
    return true;
}

static void check_patience(const struct peer_session *s)
{
    bool may_pipeline = s->is_extended && !s->manner->lacks_pipelining;
    if ((!may_pipeline || s->phase == PHASE_BODY) && s->end.in.len > 0)
        sim_break("wire", "%s was not waited for", s->host->name);
}

static bool take_line(struct peer_session *s, struct span line)
{
    size_t bytes = line.len + 2;
    if (s->phase == PHASE_BODY) {
        if (!take_body_line(s, line))
            return false;
        end_take(&s->end, bytes);
        return true;
    }
    take_command(s, line);
    end_take(&s->end, bytes);
    check_patience(s);
    return true;
}

static void pump(struct peer_session *s);

static void on_thought(struct sim_event *event)
{
    struct peer_session *s = CONTAINER_OF(event, struct peer_session, thinks);
    send_reply(s);
    if (s->closes)
        hang_up(s);
    else
        pump(s);
}

static void answer(struct peer_session *s)
{
    if (s->phase != PHASE_MUTE)
        sim_after(&s->thinks, sim_below(s->manner->think_ms_max + 1));
}

static void pump(struct peer_session *s)
{
    struct span line;
    while (!sim_is_due(&s->thinks) && s->phase != PHASE_MUTE && next_line(s, &line)) {
        if (s->phase == PHASE_GREETING)
            sim_break("wire", "%s was talked to before its greeting", s->host->name);
        if (!take_line(s, line))
            return;
        if (s->reply.len > 0)
            answer(s);
    }
    if (s->end.is_broken || s->end.is_ended)
        hang_up(s);
}

static void on_happened(struct sim_end *end)
{
    pump(CONTAINER_OF(end, struct peer_session, end));
}

/* --- its beginning --- */

enum peer_answer peer_answer(const struct plan_host *host, struct sim_end **end)
{
    if (plan_host_is_dead(host, sim()->now_ms))
        return host->dead_is_silent ? PEER_KEEPS_SILENT : PEER_REFUSES;
    if (strikes(host->manner->refuses_connections))
        return PEER_REFUSES;
    struct peer_session *s = world_new(sizeof *s);
    s->host                = host;
    s->manner              = host->manner;
    s->end.happened        = on_happened;
    sim_event_init(&s->thinks, on_thought, false);
    ++*sessions_of(host);
    *end = &s->end;
    return PEER_ACCEPTS;
}

void peer_greet(struct sim_end *end)
{
    struct peer_session *s = CONTAINER_OF(end, struct peer_session, end);
    unsigned max           = s->manner->connections_max;
    if (strikes(s->manner->silent_at_greeting)) {
        s->phase = PHASE_MUTE;
        return;
    }
    s->closes = max > 0 && *sessions_of(s->host) > max;
    s->phase  = PHASE_HELLO;
    say(s, s->closes ? "421 too many connections" : "220 %s ESMTP", s->host->name);
    answer(s);
}
