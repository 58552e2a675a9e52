/* SPDX-License-Identifier: MIT */
/*
 * MAIL and RCPT.  A parameter is a row: to which command it belongs, which hosts know it, and what
 * it changes; one that is not offered is the client's mistake.
 */
#include "bench/mx_mailbox.h"
#include "bench/mx_verbs.h"
#include <idn2.h>
#include <stdio.h>
#include <string.h>

enum { ADDRESS_BYTES_MAX = 1024 };

/* Cuts "<address>" from the front; its inside is the address, 'rest' what follows. */
static bool take_path(struct span *rest, struct span *address)
{
    bool in_quotes = false;
    if (rest->len == 0 || rest->at[0] != '<')
        return false;
    for (size_t i = 1; i < rest->len; i++) {
        if (rest->at[i] == '\\' && in_quotes)
            i++;
        else if (rest->at[i] == '"')
            in_quotes = !in_quotes;
        else if (rest->at[i] == '>' && !in_quotes) {
            *address = span_make(rest->at + 1, i - 1);
            *rest    = span_skip(*rest, i + 1);
            return i - 1 <= ADDRESS_BYTES_MAX && (rest->len == 0 || rest->at[0] == ' ');
        }
    }
    return false;
}

static bool has_8bit(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.at[i] >= 0x80)
            return true;
    return false;
}

struct parameter {
    const char *name;
    bool is_for_mail;
    bool (*is_offered)(const struct personality *p);
    void (*take)(struct mx_transaction *t, struct span value); /* may be NULL */
};

static bool knows_size(const struct personality *p)
{
    return !p->no_size;
}

static bool knows_8bitmime(const struct personality *p)
{
    return !p->no_8bitmime;
}

static bool knows_smtputf8(const struct personality *p)
{
    return !p->no_smtputf8;
}

static bool knows_dsn(const struct personality *p)
{
    return !p->no_dsn;
}

static bool knows_auth(const struct personality *p)
{
    return p->auth != NULL;
}

static void take_size(struct mx_transaction *t, struct span value)
{
    (void)span_to_number(value, UINT64_MAX, &t->declared_bytes);
}

static void take_body(struct mx_transaction *t, struct span value)
{
    t->is_8bit = span_is_nocase(value, "8BITMIME");
}

static void take_utf8(struct mx_transaction *t, struct span value)
{
    (void)value;
    t->is_utf8 = true;
}

static const struct parameter parameters[] = {
    {"SIZE",     true,  knows_size,     take_size},
    {"BODY",     true,  knows_8bitmime, take_body},
    {"SMTPUTF8", true,  knows_smtputf8, take_utf8},
    {"RET",      true,  knows_dsn,      NULL     },
    {"ENVID",    true,  knows_dsn,      NULL     },
    {"AUTH",     true,  knows_auth,     NULL     },
    {"NOTIFY",   false, knows_dsn,      NULL     },
    {"ORCPT",    false, knows_dsn,      NULL     },
};

static bool take_parameter(struct mx_session *s, struct span word, bool is_mail,
                           struct mx_transaction *into)
{
    struct span value = word, name;
    (void)span_cut(&value, '=', &name);
    for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++) {
        const struct parameter *row = &parameters[i];
        if (row->is_for_mail != is_mail || !span_is_nocase(name, row->name))
            continue;
        if (!s->is_extended || !row->is_offered(&s->host->p))
            break;
        if (row->take != NULL)
            row->take(into, value);
        return true;
    }
    return false;
}

/* All of them, into 'into'; false: refused. */
static bool take_parameters(struct mx_session *s, struct span words, bool is_mail,
                            struct mx_transaction *into)
{
    struct span word;
    while (span_cut(&words, ' ', &word)) {
        if (word.len == 0 || take_parameter(s, word, is_mail, into))
            continue;
        mx_session_violation(s, VIOLATION_parameter, word);
        mx_session_say(s, "555 5.5.4 I do not know that parameter");
        return false;
    }
    return true;
}

/* What stands between the verb and the address, in any case. */
static bool take_keyword(struct span *argument, const char *keyword)
{
    if (!span_starts_nocase(*argument, span_of(keyword)))
        return false;
    *argument = span_skip(*argument, strlen(keyword));
    while (argument->len > 0 && argument->at[0] == ' ')
        *argument = span_skip(*argument, 1); /* RFC 5321 3.3 forbids it, everybody takes it */
    return true;
}

static const char *mail_refusal(const struct mx_session *s, const struct mx_transaction *asked)
{
    const struct personality *p = &s->host->p;
    if (p->messages > 0 && s->messages >= p->messages)
        return "421 4.7.0 too many messages on this connection";
    if (p->tls_required && s->tls == NULL)
        return "530 5.7.0 STARTTLS first";
    if (p->auth != NULL && !s->is_authenticated)
        return "530 5.7.0 AUTH first";
    if (p->size > 0 && asked->declared_bytes > p->size)
        return "552 5.3.4 message too big";
    return NULL;
}

static void open_transaction(struct mx_session *s, const struct mx_transaction *asked,
                             struct span sender, struct span params)
{
    struct mx_transaction *t = &s->transaction;
    mx_transaction_open(t, sender, params);
    t->is_8bit        = asked->is_8bit;
    t->is_utf8        = asked->is_utf8;
    t->declared_bytes = asked->declared_bytes;
    s->host->tally.transactions++;
    s->common->ledger->total.transactions++;
}

void mx_run_mail(struct mx_session *s, struct span argument)
{
    struct span sender;
    struct mx_transaction asked = {0};
    if (!take_keyword(&argument, "FROM:") || !take_path(&argument, &sender)) {
        mx_bad_syntax(s, argument);
        return;
    }
    argument = span_trim(argument);
    if (!take_parameters(s, argument, true, &asked))
        return;
    if (has_8bit(sender) && !asked.is_utf8)
        mx_session_violation(s, VIOLATION_utf8_envelope, sender);
    const char *refusal = mail_refusal(s, &asked);
    if (refusal != NULL) {
        mx_session_say(s, refusal);
        if (refusal[0] == '4') {
            s->phase      = MX_CLOSED;
            s->was_broken = true;
        }
    } else if (mx_session_answer(s, STAGE_MAIL, "250 2.1.0 sender taken")) {
        open_transaction(s, &asked, sender, argument);
    }
    s->has_refused_mail = !s->transaction.is_open;
}

/* Where the mail for this address belongs; NULL: nowhere in this world. */
static struct domain *domain_of_address(const struct mx_session *s, struct span address)
{
    size_t at = address.len;
    while (at > 0 && address.at[at - 1] != '@')
        at--;
    struct span name = span_skip(address, at);
    if (!has_8bit(name))
        return world_find_domain(s->common->world, name);

    char text[WORLD_NAME_BYTES_MAX + 1];
    uint8_t *ascii = NULL;
    if (name.len >= sizeof text)
        return NULL;
    memcpy(text, name.at, name.len);
    text[name.len]        = '\0';
    struct domain *domain = NULL;
    if (idn2_lookup_u8((const uint8_t *)text, &ascii, IDN2_NONTRANSITIONAL) == IDN2_OK)
        domain = world_find_domain(s->common->world, span_of((const char *)ascii));
    idn2_free(ascii);
    return domain;
}

/* "user@[127.1.0.1]" at that very host. */
static bool is_literal_of(const struct host *host, struct span address)
{
    size_t open = span_find(address, '[');
    if (open == address.len || open == 0 || address.at[open - 1] != '@')
        return false;
    char text[24];
    const uint8_t *ip = host->addresses[0].ip;
    (void)snprintf(text, sizeof text, "[%u.%u.%u.%u]", ip[0], ip[1], ip[2], ip[3]);
    return span_is(span_skip(address, open), text);
}

static const char *rcpt_refusal(struct mx_session *s, struct span rcpt, struct domain *domain)
{
    const struct personality *p = &s->host->p;
    if (!p->relay && !is_literal_of(s->host, rcpt) && !span_is_nocase(rcpt, "postmaster") &&
        (domain == NULL || !world_serves(s->common->world, domain, s->host))) {
        mx_session_violation(s, VIOLATION_misrouted, rcpt);
        return "550 5.7.1 I do not relay for that domain";
    }
    if (p->rcpts > 0 && s->transaction.count >= p->rcpts)
        return "452 4.5.3 too many recipients";
    const struct mx_visit visit = {.peer   = span_of(s->peer),
                                   .sender = mx_transaction_sender(&s->transaction),
                                   .rcpt   = rcpt,
                                   .now_ms = s->now_ms};
    bool domain_rules           = domain != NULL && personality_rules_mailboxes(&domain->p);
    return mx_mailbox_at_rcpt(domain_rules ? &domain->p : p, &s->common->greylist, &visit);
}

void mx_run_rcpt(struct mx_session *s, struct span argument)
{
    struct span rcpt;
    if (!take_keyword(&argument, "TO:") || !take_path(&argument, &rcpt) || rcpt.len == 0) {
        mx_bad_syntax(s, argument);
        return;
    }
    s->has_tried_rcpt = true;
    argument          = span_trim(argument);
    if (!take_parameters(s, argument, false, &s->transaction))
        return;
    if (has_8bit(rcpt) && !s->transaction.is_utf8)
        mx_session_violation(s, VIOLATION_utf8_envelope, rcpt);
    struct domain *domain = domain_of_address(s, rcpt);
    const char *refusal   = rcpt_refusal(s, rcpt, domain);
    if (refusal != NULL)
        mx_session_say(s, refusal);
    else if (mx_session_answer(s, STAGE_RCPT, "250 2.1.5 recipient taken")) {
        mx_transaction_add(&s->transaction, rcpt, argument, domain);
        return;
    }
    mx_session_count_refusal(s, domain, rcpt, s->said);
}
