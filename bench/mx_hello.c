/* SPDX-License-Identifier: MIT */
/* The beginning of a session: EHLO and its extensions, STARTTLS with all its ways to fail, AUTH. */
#include "bench/mx_verbs.h"
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

enum { CREDENTIALS_BYTES = 1024 };

bool mx_is_smtp(const struct mx_session *s)
{
    return !s->host->p.lmtp;
}

bool mx_is_lmtp(const struct mx_session *s)
{
    return s->host->p.lmtp;
}

bool mx_offers_starttls(const struct mx_session *s)
{
    return s->host->p.starttls != STARTTLS_NONE && s->tls == NULL;
}

bool mx_offers_auth(const struct mx_session *s)
{
    return s->host->p.auth != NULL && !s->is_authenticated;
}

static void remember_hello(struct mx_session *s, struct span name, bool is_extended)
{
    (void)snprintf(s->helo, sizeof s->helo, "%.*s", (int)name.len, name.at);
    s->has_hello   = true;
    s->is_extended = is_extended;
    mx_session_forget(s);
}

static void extension(struct buf *lines, bool is_offered, const char *text)
{
    if (is_offered)
        buf_printf(lines, "|%s", text);
}

void mx_run_ehlo(struct mx_session *s, struct span name)
{
    const struct personality *p = &s->host->p;
    struct buf lines            = {0};
    char size[48];
    if (name.len == 0) {
        mx_bad_syntax(s, span_of("EHLO without a name"));
        return;
    }
    (void)snprintf(size, sizeof size, "SIZE %llu", (unsigned long long)p->size);
    buf_printf(&lines, "250 %.*s", (int)s->host->by_name.key.len, s->host->by_name.key.at);
    extension(&lines, !p->no_pipelining, "PIPELINING");
    extension(&lines, !p->no_size, size);
    extension(&lines, !p->no_8bitmime, "8BITMIME");
    extension(&lines, !p->no_smtputf8, "SMTPUTF8");
    extension(&lines, !p->no_dsn, "DSN");
    extension(&lines, !p->no_enhanced, "ENHANCEDSTATUSCODES");
    extension(&lines, p->chunking, "CHUNKING");
    extension(&lines, mx_offers_starttls(s), "STARTTLS");
    extension(&lines, mx_offers_auth(s), "AUTH PLAIN LOGIN");
    if (mx_session_answer(s, STAGE_EHLO, buf_text(&lines)))
        remember_hello(s, name, true);
    s->said = NULL;
    buf_release(&lines);
}

void mx_run_ehlo_unless_old(struct mx_session *s, struct span name)
{
    if (s->host->p.no_esmtp)
        mx_session_say(s, "502 what is that?");
    else
        mx_run_ehlo(s, name);
}

void mx_run_helo(struct mx_session *s, struct span name)
{
    if (name.len == 0)
        mx_bad_syntax(s, span_of("HELO without a name"));
    else if (mx_session_answer(s, STAGE_EHLO, "250 hello"))
        remember_hello(s, name, false);
}

void mx_run_starttls(struct mx_session *s, struct span argument)
{
    static const enum mx_phase next[STARTTLS_MODE_COUNT] = {
        [STARTTLS_OK] = MX_HANDSHAKE,   [STARTTLS_NONE] = MX_COMMAND,
        [STARTTLS_REFUSE] = MX_COMMAND, [STARTTLS_GARBAGE] = MX_BABBLE,
        [STARTTLS_CLOSE] = MX_CLOSED,   [STARTTLS_HANG] = MX_SILENT,
    };
    if (argument.len > 0) {
        mx_bad_syntax(s, argument);
    } else if (s->host->p.starttls == STARTTLS_REFUSE) {
        mx_session_say(s, "454 4.7.0 TLS is not available now");
    } else if (mx_session_answer(s, STAGE_STARTTLS, "220 2.0.0 go ahead")) {
        s->phase      = next[s->host->p.starttls];
        s->was_broken = s->phase != MX_HANDSHAKE;
    }
}

/* "user:password" out of base64("\0user\0password") or "authorize\0user\0password". */
static bool is_right(const struct mx_session *s, struct span base64)
{
    unsigned char text[CREDENTIALS_BYTES];
    if (base64.len == 0 || base64.len % 4 != 0 || base64.len > CREDENTIALS_BYTES)
        return false;
    int len = EVP_DecodeBlock(text, (const unsigned char *)base64.at, (int)base64.len);
    while (len > 0 && base64.len > 0 && base64.at[base64.len - 1] == '=') {
        len--;
        base64.len--;
    }
    struct span rest = span_make((const char *)text, len > 0 ? (size_t)len : 0), part, user;
    if (!span_cut(&rest, '\0', &part) || !span_cut(&rest, '\0', &user))
        return false;
    char joined[CREDENTIALS_BYTES + 2];
    (void)snprintf(joined, sizeof joined, "%.*s:%.*s", (int)user.len, user.at, (int)rest.len,
                   rest.at);
    return strcmp(joined, s->host->p.auth) == 0;
}

void mx_check_credentials(struct mx_session *s, struct span base64)
{
    s->phase = MX_COMMAND;
    if (!is_right(s, base64))
        mx_session_say(s, "535 5.7.8 wrong user or password");
    else if (mx_session_answer(s, STAGE_AUTH, "235 2.7.0 welcome"))
        s->is_authenticated = true;
}

void mx_run_auth(struct mx_session *s, struct span argument)
{
    struct span mechanism;
    (void)span_cut(&argument, ' ', &mechanism);
    if (!span_is_nocase(mechanism, "PLAIN")) {
        mx_session_say(s, "504 5.5.4 only PLAIN");
    } else if (argument.len > 0) {
        mx_check_credentials(s, argument);
    } else {
        mx_session_say(s, "334 ");
        s->phase = MX_AUTH;
    }
}
