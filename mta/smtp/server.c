/* SPDX-License-Identifier: MIT */
/*
 * One command at a time: a line is run to its reply, or to an event whose answer is the reply,
 * before the next byte is taken.  So replies leave in order however much was pipelined, and no
 * state is ever seen by two commands at once.
 */
#include "mta/smtp/server.h"
#include "mta/base/fault.h"
#include "mta/smtp/server_parts.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Free before more is taken: the longest reply (to EHLO), and a good-bye behind it. */
enum { ROOM_BYTES = 2048 };

/* Which phase may follow which; the picture in the docs is printed from this table. */
#define TO(phase) (1U << SMTP_SERVER_##phase)
static const unsigned may_follow[SMTP_SERVER_PHASES] = {
    [SMTP_SERVER_GREETING] = TO(IDLE) | TO(SWALLOW) | TO(CLOSING),
    [SMTP_SERVER_IDLE]     = TO(MAIL) | TO(SWALLOW) | TO(AUTH) | TO(TLS) | TO(CLOSING),
    [SMTP_SERVER_MAIL]     = TO(RCPT) | TO(SWALLOW) | TO(IDLE) | TO(TLS) | TO(CLOSING),
    [SMTP_SERVER_RCPT] =
        TO(DATA) | TO(CHUNK) | TO(BDAT) | TO(SWALLOW) | TO(IDLE) | TO(TLS) | TO(CLOSING),
    [SMTP_SERVER_DATA]    = TO(SWALLOW) | TO(IDLE) | TO(CLOSING),
    [SMTP_SERVER_CHUNK]   = TO(BDAT) | TO(SWALLOW) | TO(IDLE) | TO(CLOSING),
    [SMTP_SERVER_BDAT]    = TO(CHUNK) | TO(SWALLOW) | TO(IDLE) | TO(TLS) | TO(CLOSING),
    [SMTP_SERVER_SWALLOW] = TO(GREETING) | TO(IDLE) | TO(CLOSING),
    [SMTP_SERVER_AUTH]    = TO(IDLE) | TO(CLOSING),
    [SMTP_SERVER_TLS]     = TO(GREETING) | TO(CLOSING),
};

void server_enter(struct smtp_server *s, enum smtp_server_phase next)
{
    must(next == s->phase || (may_follow[s->phase] & 1U << next) != 0);
    s->phase = next;
}

static bool phase_is(const struct smtp_server *s, unsigned phases)
{
    return (phases & 1U << s->phase) != 0;
}

enum smtp_server_phase server_home(const struct smtp_server *s)
{
    return s->helo[0] == '\0' ? SMTP_SERVER_GREETING : SMTP_SERVER_IDLE;
}

void smtp_server_init(struct smtp_server *s, const struct smtp_server_config *config)
{
    memset(s, 0, sizeof *s);
    s->config = config;
    buf_init(&s->piece);
    buf_init(&s->long_line);
}

void smtp_server_release(struct smtp_server *s)
{
    buf_release(&s->piece);
    server_wipe(s->long_line.at, s->long_line.len);
    buf_release(&s->long_line);
}

void smtp_server_rest(struct smtp_server *s)
{
    if (!smtp_server_in_transaction(s) && s->long_line.len == 0)
        smtp_server_release(s);
}

void server_put(struct smtp_server *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(s->out + s->out_len, sizeof s->out - s->out_len, format, args);
    va_end(args);
    must(len >= 0 && (size_t)len < sizeof s->out - s->out_len);
    s->out_len += (size_t)len;
}

/* What every message gets to hear is put together without a format. */
static void put_span(struct smtp_server *s, struct span text)
{
    must(text.len < sizeof s->out - s->out_len);
    memcpy(s->out + s->out_len, text.at, text.len);
    s->out_len += text.len;
}

/* One line of printable ASCII, whatever it was made from. */
static const char *clean(const char *text, char into[SMTP_SERVER_TEXT_BYTES])
{
    size_t n = 0;
    for (; text[n] != '\0' && n + 1 < SMTP_SERVER_TEXT_BYTES; n++)
        into[n] = (char)(text[n] >= ' ' && text[n] < 0x7f ? text[n] : '?');
    into[n] = '\0';
    return into;
}

/* "250 " */
static void put_code(struct smtp_server *s, int code)
{
    char text[] = {(char)('0' + code / 100), (char)('0' + code / 10 % 10), (char)('0' + code % 10),
                   ' '};
    put_span(s, span_make(text, sizeof text));
}

void server_reply(struct smtp_server *s, int code, const char *enhanced, const char *text)
{
    static const struct span space = SPAN(" "), crlf = SPAN("\r\n");
    char line[SMTP_SERVER_TEXT_BYTES];
    must(code >= 200 && code <= 599);
    put_code(s, code);
    if ((s->config->offer & SMTP_EXT_ENHANCEDSTATUSCODES) != 0) {
        put_span(s, span_first(span_of(enhanced), SMTP_SERVER_STATUS_BYTES - 1));
        put_span(s, space);
    }
    put_span(s, span_of(clean(text, line)));
    put_span(s, crlf);
}

void server_reset(struct smtp_server *s)
{
    s->mail          = (struct smtp_server_mail){0};
    s->rcpt          = (struct smtp_server_rcpt){0};
    s->body          = (struct span){0};
    s->refusal.code  = 0;
    s->content_bytes = s->chunk_bytes = s->chunk_left = 0;
    s->rcpt_count = s->rcpt_tries = s->chunk_count = 0;
    s->saw_bare = s->saw_nul = s->saw_8bit = false;
    s->is_chunked = s->chunk_is_last = s->content_is_over = false;
    dot_reader_init(&s->dot);
}

/* The driver holds something for this transaction. */
static bool is_open(const struct smtp_server *s)
{
    return phase_is(s, TO(MAIL) | TO(RCPT) | TO(DATA) | TO(CHUNK) | TO(BDAT));
}

void server_void(struct smtp_server *s)
{
    if (is_open(s))
        s->event = SMTP_EVENT_RESET;
    server_reset(s);
}

enum smtp_server_phase server_close(struct smtp_server *s, int code, const char *enhanced,
                                    const char *text)
{
    server_void(s);
    server_reply(s, code, enhanced, text);
    return SMTP_SERVER_CLOSING;
}

enum smtp_server_phase server_refuse(struct smtp_server *s, struct server_no no)
{
    if (++s->errors > s->config->errors_max)
        return server_close(s, 421, "4.7.0", "too many errors");
    server_reply(s, no.code, no.enhanced, no.text);
    return s->phase;
}

void smtp_server_greet(struct smtp_server *s)
{
    server_put(s, "220 %.255s ESMTP\r\n", s->config->hostname);
}

void smtp_server_turn_away(struct smtp_server *s, int code, const char *text)
{
    char line[SMTP_SERVER_TEXT_BYTES];
    if (s->phase == SMTP_SERVER_CLOSING)
        return;
    s->event = SMTP_EVENT_NONE; /* what was asked needs no answer any more */
    server_void(s);
    server_put(s, "%d %.255s %s\r\n", code, s->config->hostname, clean(text, line));
    server_enter(s, SMTP_SERVER_CLOSING);
}

enum smtp_event smtp_server_event(const struct smtp_server *s)
{
    if (s->event != SMTP_EVENT_NONE)
        return s->event;
    if (s->phase == SMTP_SERVER_TLS)
        return SMTP_EVENT_STARTTLS;
    return s->phase == SMTP_SERVER_CLOSING ? SMTP_EVENT_CLOSE : SMTP_EVENT_NONE;
}

static bool is_in_content(const struct smtp_server *s)
{
    return phase_is(s, TO(DATA) | TO(CHUNK) | TO(SWALLOW));
}

static bool takes_bytes(const struct smtp_server *s)
{
    return smtp_server_event(s) == SMTP_EVENT_NONE && sizeof s->out - s->out_len >= ROOM_BYTES;
}

size_t smtp_server_feed(struct smtp_server *s, struct span bytes)
{
    size_t taken = 0;
    if (s->phase == SMTP_SERVER_TLS && bytes.len > 0)
        server_enter(s, SMTP_SERVER_CLOSING); /* in clear, behind STARTTLS (security.md A5) */
    while (taken < bytes.len && takes_bytes(s)) {
        struct span rest = span_skip(bytes, taken);
        if (s->must_wait)
            server_enter(s, server_close(s, 554, "5.5.0", "you must wait for the reply"));
        else
            taken += is_in_content(s) ? server_content_feed(s, rest) : server_line_feed(s, rest);
    }
    return smtp_server_event(s) == SMTP_EVENT_CLOSE ? bytes.len : taken;
}

void smtp_server_body_taken(struct smtp_server *s)
{
    enum smtp_event told = s->event;
    must(told == SMTP_EVENT_BODY || told == SMTP_EVENT_RESET);
    s->event = SMTP_EVENT_NONE;
    s->body  = (struct span){0};
    if (told == SMTP_EVENT_BODY && s->content_is_over)
        server_content_over(s);
}

static enum smtp_server_phase after_end(struct smtp_server *s, bool is_taken)
{
    if (is_taken)
        s->errors = s->junk = 0;
    server_reset(s);
    return server_home(s);
}

static enum smtp_server_phase after_answer(struct smtp_server *s, enum smtp_event asked,
                                           bool is_taken)
{
    if (asked == SMTP_EVENT_END)
        return after_end(s, is_taken);
    if (asked == SMTP_EVENT_AUTH)
        return server_after_auth(s, is_taken);
    if (!is_taken)
        return s->phase;
    if (asked == SMTP_EVENT_MAIL)
        return SMTP_SERVER_MAIL;
    s->rcpt_count++;
    return SMTP_SERVER_RCPT;
}

void smtp_server_answer(struct smtp_server *s, int code, const char *enhanced, const char *text)
{
    enum smtp_event asked = s->event;
    must(asked == SMTP_EVENT_AUTH || asked == SMTP_EVENT_MAIL || asked == SMTP_EVENT_RCPT ||
         asked == SMTP_EVENT_END);
    s->event = SMTP_EVENT_NONE;
    server_reply(s, code, enhanced, text);
    server_enter(s, after_answer(s, asked, code / 100 == 2));
    if (code == 421) {
        server_void(s);
        server_enter(s, SMTP_SERVER_CLOSING);
    }
    server_say_goodbye_if_due(s);
}

static void keep_reply(struct smtp_server_reply *reply, int code, const char *enhanced,
                       const char *text)
{
    reply->code = code;
    (void)snprintf(reply->enhanced, sizeof reply->enhanced, "%s", enhanced);
    (void)snprintf(reply->text, sizeof reply->text, "%s", text);
}

void smtp_server_refuse_content(struct smtp_server *s, int code, const char *enhanced,
                                const char *text)
{
    if (!phase_is(s, TO(DATA) | TO(CHUNK) | TO(BDAT)) || s->event == SMTP_EVENT_END ||
        s->refusal.code != 0)
        return; /* it has its answer, or will get one */
    keep_reply(&s->refusal, code, enhanced, text);
    if (s->phase != SMTP_SERVER_BDAT)
        server_enter(s, SMTP_SERVER_SWALLOW);
}

void smtp_server_secured(struct smtp_server *s)
{
    must(s->phase == SMTP_SERVER_TLS);
    s->is_secured = true;
    s->is_esmtp = s->is_authenticated = false;
    s->must_wait = s->needs_rset = false;
    s->helo[0]                   = '\0';
    server_reset(s);
    server_enter(s, SMTP_SERVER_GREETING);
}

void server_say_goodbye_if_due(struct smtp_server *s)
{
    bool is_asking = s->event != SMTP_EVENT_NONE && s->event != SMTP_EVENT_RESET;
    if (s->goodbye.code == 0 || is_asking || is_in_content(s) || s->phase == SMTP_SERVER_CLOSING)
        return;
    if (s->phase != SMTP_SERVER_TLS) {
        server_void(s);
        server_reply(s, s->goodbye.code, s->goodbye.enhanced, s->goodbye.text);
    }
    server_enter(s, SMTP_SERVER_CLOSING);
}

void smtp_server_shut(struct smtp_server *s, const char *enhanced, const char *text)
{
    keep_reply(&s->goodbye, 421, enhanced, text);
    server_say_goodbye_if_due(s);
}

bool smtp_server_in_transaction(const struct smtp_server *s)
{
    return is_open(s) || s->phase == SMTP_SERVER_SWALLOW || s->event == SMTP_EVENT_MAIL;
}

struct span smtp_server_output(const struct smtp_server *s)
{
    return span_make(s->out, s->out_len);
}

void smtp_server_wrote(struct smtp_server *s, size_t n)
{
    must(n <= s->out_len);
    s->out_len -= n;
    memmove(s->out, s->out + n, s->out_len);
    if (s->out_len == 0)
        s->must_wait = false;
}
