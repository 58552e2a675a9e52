/* SPDX-License-Identifier: MIT */
/*
 * From the greeting to the first job: EHLO (LHLO), HELO where EHLO is not known, STARTTLS by
 * policy, then AUTH.  What was offered in clear is forgotten when TLS stands (RFC 3207 4.2).
 */
#include "mta/smtp/client_parts.h"

static void forget_offers(struct smtp_client *c)
{
    c->offered      = 0;
    c->size_max     = 0;
    c->rcpt_max     = 0;
    c->mail_max     = 0;
    c->auth_offered = 0;
}

void client_say_hello(struct smtp_client *c)
{
    forget_offers(c);
    c->ehlo_first_line = true;
    client_command(c, SMTP_EHLO, "%s %s", c->config->is_lmtp ? "LHLO" : "EHLO", c->config->helo);
}

static void offer_size(struct smtp_client *c, struct span parameters)
{
    uint64_t size_max = 0;
    c->size_max       = span_to_number(parameters, UINT64_MAX, &size_max) ? size_max : 0;
}

/* RFC 9422 3: a malformed value is as if it were not there. */
static void offer_limit(struct smtp_client *c, struct span limit)
{
    enum { LIMIT_MAX = 999999 };
    struct span name;
    uint64_t value;
    if (!span_cut(&limit, '=', &name) || limit.len == 0 || limit.at[0] == '0' ||
        !span_to_number(limit, LIMIT_MAX, &value))
        return;
    if (span_is_nocase(name, "RCPTMAX"))
        c->rcpt_max = (unsigned)value;
    else if (span_is_nocase(name, "MAILMAX"))
        c->mail_max = (unsigned)value;
}

static void offer_limits(struct smtp_client *c, struct span parameters)
{
    struct span limit;
    while (span_cut(&parameters, ' ', &limit))
        offer_limit(c, limit);
}

typedef void offer_fn(struct smtp_client *c, struct span parameters);
static offer_fn *const offers[SMTP_EXT_COUNT] = {
    [SMTP_EXT_INDEX_SIZE]   = offer_size,
    [SMTP_EXT_INDEX_AUTH]   = client_auth_offer,
    [SMTP_EXT_INDEX_LIMITS] = offer_limits,
};

/* "AUTH=PLAIN" is how it was written before RFC 2554, and some still do. */
static size_t keyword_end(struct span line)
{
    static const struct span old_auth = SPAN("AUTH=");
    return span_starts_nocase(line, old_auth) ? old_auth.len - 1 : span_find(line, ' ');
}

void client_hello_line(struct smtp_client *c, struct span line)
{
    if (c->ehlo_first_line) {
        c->ehlo_first_line = false;
        return;
    }
    size_t end             = keyword_end(line);
    struct span parameters = span_trim(span_skip(line, end + 1));
    unsigned bit           = smtp_ext_bit(span_first(line, end)) & ~c->config->ignore;
    c->offered |= bit;
    for (unsigned i = 0; i < SMTP_EXT_COUNT; i++)
        if (bit == 1U << i && offers[i] != NULL)
            offers[i](c, parameters);
}

/* "220 mx.example ESMTP Exim 4.96 ..." */
static bool names_exim(struct span text)
{
    static const struct span name = SPAN("Exim ");
    while (text.len > 0 && !span_starts(text, name))
        text = span_skip(text, 1);
    return text.len > 0;
}

enum smtp_phase client_after_banner(struct smtp_client *c, const struct smtp_reply *reply)
{
    c->says_exim = names_exim(smtp_reply_text(reply));
    if (smtp_reply_class(reply) != 2)
        return client_fail(c, SMTP_CAUSE_REPLY, SMTP_BANNER, reply);
    client_say_hello(c);
    return SMTP_PHASE_HELLO;
}

static enum smtp_phase ready(struct smtp_client *c)
{
    return c->config->user != NULL ? client_auth_start(c) : SMTP_PHASE_READY;
}

static enum smtp_phase after_hello(struct smtp_client *c)
{
    enum smtp_client_tls tls = c->config->tls;
    bool is_offered          = (c->offered & SMTP_EXT_STARTTLS) != 0;
    if (c->is_secured || tls == SMTP_TLS_NEVER || (tls == SMTP_TLS_OFFERED && !is_offered))
        return ready(c);
    if (!is_offered)
        return client_fail(c, SMTP_CAUSE_POLICY, SMTP_STARTTLS, NULL);
    client_command(c, SMTP_STARTTLS, "STARTTLS");
    return SMTP_PHASE_HELLO;
}

enum smtp_phase client_after_ehlo(struct smtp_client *c, const struct smtp_reply *reply)
{
    c->is_esmtp = smtp_reply_class(reply) == 2;
    if (c->is_esmtp)
        return after_hello(c);
    forget_offers(c);
    if (smtp_reply_class(reply) == 4 || c->config->is_lmtp)
        return client_fail(c, SMTP_CAUSE_REPLY, SMTP_EHLO, reply);
    client_command(c, SMTP_HELO, "HELO %s", c->config->helo);
    return SMTP_PHASE_HELLO;
}

enum smtp_phase client_after_helo(struct smtp_client *c, const struct smtp_reply *reply)
{
    if (smtp_reply_class(reply) != 2)
        return client_fail(c, SMTP_CAUSE_REPLY, SMTP_HELO, reply);
    return after_hello(c);
}

enum smtp_phase client_after_starttls(struct smtp_client *c, const struct smtp_reply *reply)
{
    if (smtp_reply_class(reply) == 2)
        return SMTP_PHASE_TLS;
    c->tls_was_refused = true;
    if (c->config->tls == SMTP_TLS_REQUIRED)
        return client_fail(c, SMTP_CAUSE_POLICY, SMTP_STARTTLS, reply);
    return ready(c);
}
