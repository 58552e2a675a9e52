/* SPDX-License-Identifier: MIT */
/*
 * DATA and BDAT.  Content that is refused, here or by the driver, still runs to its own end before
 * it is answered: the end mark, or the last octet that BDAT announced (RFC 3030 2).  So what a
 * client means as content is never taken for commands.
 */
#include "mta/smtp/server_parts.h"
#include <inttypes.h>
#include <stdio.h>

static const struct server_no fine      = {0, NULL, NULL};
static const struct server_no too_large = {552, "5.3.4", "message too large"};
static const struct server_no stray = {550, "5.6.0", "content holds a bare CR, a bare LF or a NUL"};

/* Why there can be no content now. */
static struct server_no no_transaction(const struct smtp_server *s)
{
    static const struct server_no rset_first = {503, "5.5.1", "a BDAT failed, say RSET first"};
    static const struct server_no mail_first = {503, "5.5.1", "say MAIL first"};
    static const struct server_no rcpt_first = {503, "5.5.1", "say RCPT first"};
    static const struct server_no nobody     = {554, "5.5.1", "no valid recipients"};
    if (s->needs_rset)
        return rset_first;
    if (s->phase == SMTP_SERVER_GREETING || s->phase == SMTP_SERVER_IDLE)
        return mail_first;
    if (s->phase == SMTP_SERVER_MAIL)
        return s->rcpt_tries > 0 ? nobody : rcpt_first;
    return fine;
}

struct server_no server_check_data(const struct smtp_server *s, struct span args)
{
    static const struct server_no no_arguments = {501, "5.5.4", "no arguments allowed"};
    return args.len > 0 ? no_arguments : no_transaction(s);
}

enum smtp_server_phase server_run_data(struct smtp_server *s, struct span args)
{
    static const struct server_no mixed = {503, "5.5.1", "DATA behind BDAT, say RSET"};
    (void)args;
    if (s->phase == SMTP_SERVER_BDAT) {
        server_void(s); /* RFC 3030 2: from here only RSET leads on */
        server_enter(s, server_home(s));
        s->needs_rset = true;
        return server_refuse(s, mixed);
    }
    dot_reader_init(&s->dot);
    server_put(s, "354 end data with <CR><LF>.<CR><LF>\r\n");
    s->must_wait = true;
    return SMTP_SERVER_DATA;
}

static void keep_refusal(struct smtp_server *s, struct server_no no)
{
    s->refusal.code = no.code;
    (void)snprintf(s->refusal.enhanced, sizeof s->refusal.enhanced, "%s", no.enhanced);
    (void)snprintf(s->refusal.text, sizeof s->refusal.text, "%s", no.text);
}

/* A chunk of swallowed content is over, or all of it. */
static void answer_swallowed(struct smtp_server *s)
{
    struct smtp_server_reply said = s->refusal;
    s->needs_rset                 = s->needs_rset || (s->is_chunked && !s->chunk_is_last);
    s->errors++;
    server_reset(s);
    server_reply(s, said.code, said.enhanced, said.text);
    server_enter(s, said.code == 421 ? SMTP_SERVER_CLOSING : server_home(s));
    server_say_goodbye_if_due(s);
}

static void answer_chunk(struct smtp_server *s)
{
    char text[64];
    (void)snprintf(text, sizeof text, "%" PRIu64 " octets received", s->chunk_bytes);
    s->content_is_over = false;
    server_enter(s, SMTP_SERVER_BDAT);
    server_reply(s, 250, "2.0.0", text);
    server_say_goodbye_if_due(s);
}

void server_content_over(struct smtp_server *s)
{
    if (s->phase == SMTP_SERVER_SWALLOW)
        answer_swallowed(s);
    else if (s->is_chunked && !s->chunk_is_last)
        answer_chunk(s);
    else
        s->event = SMTP_EVENT_END;
}

/* The one place where content is counted and judged. */
static struct server_no judge(struct smtp_server *s)
{
    uint64_t max     = s->config->message_bytes_max;
    s->saw_bare      = s->saw_bare || s->dot.saw_bare;
    s->saw_nul       = s->saw_nul || s->dot.saw_nul;
    s->saw_8bit      = s->saw_8bit || s->dot.saw_8bit;
    s->content_bytes = s->dot.bytes;
    if (max > 0 && s->content_bytes > max)
        return too_large;
    return s->config->refuses_bare && (s->saw_bare || s->saw_nul) ? stray : fine;
}

static size_t read_content(struct smtp_server *s, struct span bytes)
{
    buf_clear(&s->piece);
    size_t used        = dot_reader_feed(&s->dot, bytes, &s->piece);
    s->content_is_over = s->dot.ended;
    if (!s->is_chunked)
        return used;
    s->chunk_left -= used;
    s->content_is_over = s->chunk_left == 0;
    if (s->content_is_over && s->chunk_is_last)
        dot_reader_finish(&s->dot, &s->piece);
    return used;
}

size_t server_content_feed(struct smtp_server *s, struct span bytes)
{
    if (s->is_chunked && bytes.len > s->chunk_left)
        bytes = span_first(bytes, (size_t)s->chunk_left);
    size_t used = read_content(s, bytes);
    if (s->phase != SMTP_SERVER_SWALLOW) {
        struct server_no no = judge(s);
        if (no.code != 0) {
            keep_refusal(s, no);
            s->event = SMTP_EVENT_RESET;
            server_enter(s, SMTP_SERVER_SWALLOW);
        }
    }
    if (s->phase == SMTP_SERVER_SWALLOW || s->piece.len == 0) {
        if (s->content_is_over)
            server_content_over(s);
        return used;
    }
    s->body  = buf_span(&s->piece);
    s->event = SMTP_EVENT_BODY;
    return used;
}

/* A chunk that is refused before its first octet. */
static enum smtp_server_phase refuse_chunk(struct smtp_server *s, struct server_no no)
{
    struct smtp_server_reply said = s->refusal; /* the driver's, so it knows */
    bool is_last                  = s->chunk_is_last;
    uint64_t left                 = s->chunk_left;
    if (said.code != 0) {
        no = (struct server_no){said.code, said.enhanced, said.text};
        server_reset(s);
    } else {
        server_void(s);
    }
    dot_reader_init_chunked(&s->dot);
    s->is_chunked    = true;
    s->chunk_is_last = is_last;
    s->chunk_left    = left;
    keep_refusal(s, no);
    server_enter(s, SMTP_SERVER_SWALLOW);
    if (left == 0)
        answer_swallowed(s);
    return s->phase;
}

static struct server_no chunk_refusal(const struct smtp_server *s)
{
    static const struct server_no too_many = {554, "5.5.0", "too many chunks"};
    struct server_no no                    = no_transaction(s);
    uint64_t max                           = s->config->message_bytes_max;
    if (no.code != 0)
        return no;
    if (s->chunk_count >= SMTP_SERVER_CHUNKS_MAX)
        return too_many;
    bool fits = max == 0 || (s->content_bytes <= max && s->chunk_bytes <= max - s->content_bytes);
    return fits ? fine : too_large;
}

static bool is_number(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!ascii_is_digit(text.at[i]))
            return false;
    return text.len > 0;
}

enum smtp_server_phase server_run_bdat(struct smtp_server *s, struct span args)
{
    static const struct server_no no_bdat = {502, "5.5.1", "BDAT is not offered"};
    static const struct server_no syntax  = {501, "5.5.4", "syntax: BDAT octets [LAST]"};
    size_t end                            = span_find(args, ' ');
    struct span number = span_first(args, end), word = span_trim(span_skip(args, end));
    uint64_t bytes = 0;
    bool is_last   = word.len > 0;
    if (!is_number(number) || (is_last && !span_is_nocase(word, "LAST")))
        return server_refuse(s, syntax);
    if (!span_to_number(number, UINT64_MAX, &bytes)) /* nobody can swallow so many octets */
        return server_close(s, too_large.code, too_large.enhanced, too_large.text);
    bool is_offered = (s->config->offer & SMTP_EXT_CHUNKING) != 0;
    s->chunk_bytes = s->chunk_left = bytes;
    s->chunk_is_last               = is_last;
    struct server_no no            = is_offered ? chunk_refusal(s) : no_bdat;
    if (no.code != 0 || s->refusal.code != 0)
        return refuse_chunk(s, no);
    if (!s->is_chunked)
        dot_reader_init_chunked(&s->dot);
    s->is_chunked = true;
    s->chunk_count++;
    server_enter(s, SMTP_SERVER_CHUNK);
    if (bytes == 0)
        (void)server_content_feed(s, span_make("", 0));
    return s->phase;
}
