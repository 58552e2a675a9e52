/* SPDX-License-Identifier: MIT */
/* What was asked for and is not offered ends the connection: a run that silently measures
 * something else measures nothing.  Only PIPELINING and CHUNKING are used where they can be. */
#include "bench/source_hello.h"
#include <openssl/evp.h>

enum source_phase source_give_up(struct source_session *s, const char *why)
{
    source_session_lost(s, why);
    return SOURCE_DONE;
}

void source_hello_write(struct source_session *s)
{
    s->may_pipeline = s->may_chunk = false;
    s->offers_tls = s->offers_plain = s->offers_login = false;
    buf_printf(&s->out, "EHLO %s\r\n", s->config->helo);
}

enum source_phase source_after_greeting(struct source_session *s, struct span reply)
{
    if (reply.at[0] != '2')
        return source_give_up(s, s->line);
    source_hello_write(s);
    return SOURCE_HELLO;
}

static void note_mechanisms(struct source_session *s, struct span words)
{
    struct span word;
    while (span_cut(&words, ' ', &word)) {
        s->offers_plain |= span_is_nocase(word, "PLAIN");
        s->offers_login |= span_is_nocase(word, "LOGIN");
    }
}

void source_hello_note(struct source_session *s, struct span keyword)
{
    struct span rest = keyword, name;
    (void)span_cut(&rest, ' ', &name);
    if (span_is_nocase(name, "PIPELINING"))
        s->may_pipeline = s->config->wants_pipelining;
    else if (span_is_nocase(name, "CHUNKING"))
        s->may_chunk = s->config->wants_chunking;
    else if (span_is_nocase(name, "STARTTLS"))
        s->offers_tls = true;
    else if (span_is_nocase(name, "AUTH"))
        note_mechanisms(s, rest);
}

static void put_base64(struct buf *out, struct span text)
{
    size_t room = (text.len + 2) / 3 * 4 + 1; /* with a NUL */
    char *to    = buf_reserve(out, room);
    out->len +=
        (size_t)EVP_EncodeBlock((unsigned char *)to, (const unsigned char *)text.at, (int)text.len);
}

static enum source_phase login(struct source_session *s)
{
    const struct source_session_config *c = s->config;
    if (s->offers_plain) {
        struct buf secret = {0};
        buf_put_byte(&secret, '\0');
        buf_put(&secret, c->user);
        buf_put_byte(&secret, '\0');
        buf_put(&secret, c->password);
        buf_put_text(&s->out, "AUTH PLAIN ");
        put_base64(&s->out, buf_span(&secret));
        buf_put_text(&s->out, "\r\n");
        buf_release(&secret);
    } else if (s->offers_login) {
        buf_put_text(&s->out, "AUTH LOGIN\r\n");
    } else {
        return source_give_up(s, "the server offers neither AUTH PLAIN nor LOGIN");
    }
    s->auth_answers = 0;
    return SOURCE_AUTH;
}

enum source_phase source_after_hello(struct source_session *s, struct span reply)
{
    if (reply.at[0] != '2')
        return source_give_up(s, s->line);
    if (s->config->wants_tls && !s->is_secured) {
        if (!s->offers_tls)
            return source_give_up(s, "the server does not offer STARTTLS");
        buf_put_text(&s->out, "STARTTLS\r\n");
        return SOURCE_STARTTLS;
    }
    return s->config->user.len > 0 ? login(s) : SOURCE_IDLE;
}

enum source_phase source_after_starttls(struct source_session *s, struct span reply)
{
    return reply.at[0] == '2' ? SOURCE_HANDSHAKE : source_give_up(s, s->line);
}

/* RFC 4616 has said all at once; LOGIN is asked for user and password, in this order. */
enum source_phase source_after_auth(struct source_session *s, struct span reply)
{
    const struct source_session_config *c = s->config;
    if (reply.at[0] == '2')
        return SOURCE_IDLE;
    if (reply.at[0] != '3' || s->offers_plain || s->auth_answers == 2)
        return source_give_up(s, s->line);
    put_base64(&s->out, s->auth_answers++ == 0 ? c->user : c->password);
    buf_put_text(&s->out, "\r\n");
    return SOURCE_AUTH;
}
