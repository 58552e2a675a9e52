/* SPDX-License-Identifier: MIT */
/*
 * Plays tests/golden/server_*.smtp against the SMTP server core, at every chunk size.
 *
 *     O: options   before anything else: strict secured size=N rcpts=N errors=N junk=N hide=KEYWORD
 *                  auth (PLAIN LOGIN SCRAM-SHA-256) needs-auth
 *     C: text      the client says this line          c: the same, without a line end
 *     S: text      this line goes out next
 *     E: mail ADDRESS [size=N] [8bit] [utf8] [ret=N] [envid=TEXT] [verp=XY]     what is asked or
 * told E: rcpt ADDRESS [notify=N] [orcpt=TEXT] E: auth MECHANISM [first] [response=BASE64]      P:
 * base64      it is challenged with this E: end [bare] [nul] [8bit] | reset | starttls | close A:
 * code enhanced text      the answer           K: the same, to content that streams in B: text the
 * content since the last B: is this T:           TLS stands                         H: enhanced
 * text: the server is going away W: code text the client is turned away          I: nothing is open
 * N: something is
 *
 * Every transcript starts with the greeting written.  Neighbouring C: lines are fed as one run of
 * bytes cut into chunks, and what is answered to them counts as written where S: says so.  At the
 * end of each nothing may be left to write or to answer.
 */
#include "mta/smtp/server.h"
#include "script.h"

enum { CHUNK_BYTES_MAX = 64, SAID_BYTES = 1 << 17, RCPTS_MAX = 3, ERRORS_MAX = 5, JUNK_MAX = 5 };

struct player {
    struct script script;
    size_t chunk; /* bytes fed at once */
    struct smtp_server_config config;
    struct smtp_server server;
    char said[SAID_BYTES]; /* C: lines not fed yet */
    size_t said_len, said_fed;
    struct buf content;
    bool is_playing, is_good;
    unsigned passed, failed;
};

static void take_body(struct player *p)
{
    if (smtp_server_event(&p->server) != SMTP_EVENT_BODY)
        return;
    buf_put(&p->content, p->server.body);
    smtp_server_body_taken(&p->server);
}

static void feed_said(struct player *p)
{
    while (p->said_fed < p->said_len) {
        struct span left = span_make(p->said + p->said_fed, p->said_len - p->said_fed);
        size_t taken     = smtp_server_feed(&p->server, span_first(left, p->chunk));
        take_body(p);
        if (taken == 0)
            return;
        p->said_fed += taken;
    }
    p->said_fed = p->said_len = 0;
}

static bool say(struct player *p, struct span text, struct span end)
{
    if (text.len + end.len > sizeof p->said - p->said_len)
        return false;
    memcpy(p->said + p->said_len, text.at, text.len);
    memcpy(p->said + p->said_len + text.len, end.at, end.len);
    p->said_len += text.len + end.len;
    return true;
}

static bool goes_out(struct smtp_server *s, struct span text)
{
    struct span out = smtp_server_output(s);
    if (!span_starts(out, text) || !span_starts(span_skip(out, text.len), span_of("\r\n")))
        return false;
    smtp_server_wrote(s, text.len + 2);
    return true;
}

static void describe_mail(const struct smtp_server_mail *m, struct buf *into)
{
    buf_printf(into, "mail %s", m->sender.len == 0 ? "<>" : m->sender.text);
    if (m->size_bytes > 0)
        buf_printf(into, " size=%llu", (unsigned long long)m->size_bytes);
    buf_put_text(into, m->is_8bit ? " 8bit" : "");
    buf_put_text(into, m->is_utf8 ? " utf8" : "");
    if (m->ret != RET_DEFAULT)
        buf_printf(into, " ret=%d", (int)m->ret);
    if (m->envid[0] != '\0')
        buf_printf(into, " envid=%s", m->envid);
    if (m->verp[0] != '\0')
        buf_printf(into, " verp=%s", m->verp);
}

static void describe_rcpt(const struct smtp_server_rcpt *r, struct buf *into)
{
    buf_printf(into, "rcpt %s", r->address.text);
    if (r->notify > 0)
        buf_printf(into, " notify=%d", r->notify);
    if (r->orcpt[0] != '\0')
        buf_printf(into, " orcpt=%s", r->orcpt);
}

static void describe_auth(const struct smtp_server_auth *a, struct buf *into)
{
    buf_printf(into, "auth %s%s", a->mechanism, a->is_first ? " first" : "");
    if (a->has_response)
        buf_printf(into, " response=%.*s", (int)a->response.len, a->response.at);
}

static void describe(const struct smtp_server *s, struct buf *into)
{
    static const char *const names[] = {"none", "auth",  "mail",     "rcpt", "body",
                                        "end",  "reset", "starttls", "close"};
    enum smtp_event event            = smtp_server_event(s);
    if (event == SMTP_EVENT_AUTH)
        describe_auth(&s->auth, into);
    else if (event == SMTP_EVENT_MAIL)
        describe_mail(&s->mail, into);
    else if (event == SMTP_EVENT_RCPT)
        describe_rcpt(&s->rcpt, into);
    else
        buf_put_text(into, names[event]);
    if (event == SMTP_EVENT_END)
        buf_printf(into, "%s%s%s", s->saw_bare ? " bare" : "", s->saw_nul ? " nul" : "",
                   s->saw_8bit ? " 8bit" : "");
}

static bool event_is(struct smtp_server *s, struct span text)
{
    struct buf got = {0};
    describe(s, &got);
    bool is_so = span_equals(buf_span(&got), text);
    if (!is_so)
        printf("got '%s', ", buf_text(&got));
    buf_release(&got);
    if (is_so && smtp_server_event(s) == SMTP_EVENT_RESET)
        smtp_server_body_taken(s);
    return is_so;
}

static bool content_is(struct player *p, struct span text)
{
    bool is_so = span_equals(buf_span(&p->content), text);
    if (!is_so)
        printf("got '%s', ", buf_text(&p->content));
    buf_clear(&p->content);
    return is_so;
}

/* "250 2.1.0 ok" taken apart. */
static bool answer(struct player *p, struct span text, bool is_content)
{
    char line[256];
    struct smtp_server *s = &p->server;
    (void)snprintf(line, sizeof line, "%.*s", (int)text.len, text.at);
    char *code = strtok(line, " "), *enhanced = strtok(NULL, " "), *rest = strtok(NULL, "");
    if (code == NULL || enhanced == NULL || rest == NULL)
        return false;
    if (is_content)
        smtp_server_refuse_content(s, atoi(code), enhanced, rest);
    else
        smtp_server_answer(s, atoi(code), enhanced, rest);
    return true;
}

static bool challenge(struct smtp_server *s, struct span text)
{
    char base64[256];
    span_copy_text(text, base64, sizeof base64);
    smtp_server_challenge(s, base64);
    return true;
}

static bool turn_away(struct player *p, struct span text)
{
    char line[256];
    (void)snprintf(line, sizeof line, "%.*s", (int)text.len, text.at);
    smtp_server_turn_away(&p->server, atoi(line), line + 4);
    return true;
}

static bool shut(struct player *p, struct span text)
{
    char line[256];
    (void)snprintf(line, sizeof line, "%.*s", (int)text.len, text.at);
    char *enhanced = strtok(line, " ");
    smtp_server_shut(&p->server, enhanced, strtok(NULL, ""));
    return true;
}

static bool set_number(struct span option, const char *name, unsigned *value)
{
    struct span found, rest = option;
    uint64_t number = 0;
    if (!span_cut(&rest, '=', &found) || !span_is(found, name) ||
        !span_to_number(rest, UINT32_MAX, &number))
        return false;
    *value = (unsigned)number;
    return true;
}

static bool set_option(struct smtp_server_config *config, struct span option)
{
    static const struct span hide = SPAN("hide=");
    unsigned size                 = 0;
    if (span_is(option, "strict"))
        return config->refuses_bare = true;
    if (span_is(option, "needs-auth"))
        return config->needs_auth = true;
    if (span_is(option, "auth")) {
        config->auth = "PLAIN LOGIN SCRAM-SHA-256";
        return true;
    }
    if (span_starts(option, hide)) {
        config->offer &= ~smtp_ext_bit(span_skip(option, hide.len));
        return true;
    }
    if (set_number(option, "size", &size)) {
        config->message_bytes_max = size;
        return true;
    }
    return set_number(option, "rcpts", &config->rcpts_max) ||
           set_number(option, "errors", &config->errors_max) ||
           set_number(option, "junk", &config->junk_max);
}

static bool set_options(struct player *p, struct span options)
{
    struct span option;
    while (span_cut(&options, ' ', &option)) {
        if (span_is(option, "secured"))
            p->server.is_secured = true;
        else if (!set_option(&p->config, option))
            return false;
    }
    return true;
}

static bool step(struct player *p, char kind, struct span text)
{
    static const struct span crlf = SPAN("\r\n"), nothing = SPAN("");
    struct smtp_server *s = &p->server;
    if (kind == 'C' || kind == 'c')
        return say(p, text, kind == 'C' ? crlf : nothing);
    feed_said(p);
    switch (kind) {
    case 'O':
        return set_options(p, text);
    case 'S':
        return goes_out(s, text);
    case 'E':
        return event_is(s, text);
    case 'A':
        return answer(p, text, false);
    case 'K':
        return answer(p, text, true);
    case 'B':
        return content_is(p, text);
    case 'P':
        return challenge(s, text);
    case 'T':
        smtp_server_secured(s);
        return true;
    case 'H':
        return shut(p, text);
    case 'W':
        return turn_away(p, text);
    case 'I':
        return !smtp_server_in_transaction(s);
    case 'N':
        return smtp_server_in_transaction(s);
    default:
        return false;
    }
}

static void complain(struct player *p, const char *what)
{
    struct span out = smtp_server_output(&p->server);
    printf("%s:%zu: in chunks of %zu: %s; phase %d, event %d, output is '%.*s'\n", p->script.file,
           p->script.line, p->chunk, what, (int)p->server.phase, (int)smtp_server_event(&p->server),
           (int)out.len, out.at);
    p->is_good = false;
}

static void begin(struct player *p)
{
    p->config   = (struct smtp_server_config){.hostname          = "mx.example",
                                              .offer             = (1U << SMTP_EXT_COUNT) - 1,
                                              .message_bytes_max = 1000,
                                              .rcpts_max         = RCPTS_MAX,
                                              .errors_max        = ERRORS_MAX,
                                              .junk_max          = JUNK_MAX};
    p->said_len = p->said_fed = 0;
    p->is_playing = p->is_good = true;
    buf_clear(&p->content);
    smtp_server_init(&p->server, &p->config);
    smtp_server_greet(&p->server);
    if (!goes_out(&p->server, span_of("220 mx.example ESMTP")))
        complain(p, "a strange greeting");
}

static void finish(struct player *p)
{
    if (!p->is_playing)
        return;
    feed_said(p);
    enum smtp_event event = smtp_server_event(&p->server);
    if (p->is_good && smtp_server_output(&p->server).len > 0)
        complain(p, "unexpected output");
    if (p->is_good && event != SMTP_EVENT_NONE && event != SMTP_EVENT_CLOSE)
        complain(p, "unexpected event");
    if (p->is_good && p->content.len > 0)
        complain(p, "unexpected content");
    *(p->is_good ? &p->passed : &p->failed) += 1;
    smtp_server_release(&p->server);
}

static void play(struct player *p)
{
    script_rewind(&p->script);
    p->is_playing = false;
    while (script_next(&p->script)) {
        if (p->script.kind == '#') {
            finish(p);
            begin(p);
        } else if (p->is_playing && p->is_good) {
            if (!step(p, p->script.kind, p->script.content))
                complain(p, "not so");
        }
    }
    finish(p);
}

int main(int argc, char **argv)
{
    static struct player p;
    glob_t found;
    const char *pattern = argc > 1 ? argv[1] : "tests/golden/server_*.smtp";
    if (glob(pattern, 0, NULL, &found) != 0) {
        printf("no transcripts: %s\n0 passed, 1 failed\n", pattern);
        return 1;
    }
    for (size_t i = 0; i < found.gl_pathc; i++) {
        if (!script_open(&p.script, found.gl_pathv[i])) {
            printf("cannot read %s\n", found.gl_pathv[i]);
            p.failed++;
            continue;
        }
        for (p.chunk = 1; p.chunk <= CHUNK_BYTES_MAX; p.chunk++)
            play(&p);
    }
    globfree(&found);
    buf_release(&p.content);
    printf("%u passed, %u failed\n", p.passed, p.failed);
    return p.failed != 0;
}
