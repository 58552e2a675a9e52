/* SPDX-License-Identifier: MIT */
/*
 * A verb is a row: whether this host offers it now, what must have happened before, whether it ends
 * a group, and what it does.  The checks happen in one place and count what the client did wrong.
 */
#include "bench/mx_command.h"
#include "bench/mx_mailbox.h"
#include <idn2.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { CREDENTIALS_BYTES = 1024, ADDRESS_BYTES_MAX = 1024 };

enum verb_flag {
    ENDS_GROUP   = 1, /* RFC 2920 3.1 */
    NEEDS_HELLO  = 2,
    NEEDS_MAIL   = 4,
    NEEDS_RCPT   = 8,
    FORBIDS_MAIL = 16,
    HAS_BYTES    = 32 /* content follows at once, wanted or not */
};

struct verb {
    const char *name;
    unsigned flags;
    bool (*is_offered)(const struct mx_session *s); /* NULL: always */
    void (*run)(struct mx_session *s, struct span argument);
};

static void bad_syntax(struct mx_session *s, struct span what)
{
    mx_session_violation(s, VIOLATION_bad_syntax, what);
    mx_session_say(s, "501 5.5.4 cannot understand that");
}

static void close_now(struct mx_session *s)
{
    s->phase = MX_CLOSED;
}

/* ---- greetings ---- */

static bool is_smtp(const struct mx_session *s)
{
    return !s->host->p.lmtp;
}

static bool is_lmtp(const struct mx_session *s)
{
    return s->host->p.lmtp;
}

static bool offers_starttls(const struct mx_session *s)
{
    return s->host->p.starttls != STARTTLS_NONE && s->tls == NULL;
}

static bool offers_auth(const struct mx_session *s)
{
    return s->host->p.auth != NULL && !s->is_authenticated;
}

static bool offers_chunking(const struct mx_session *s)
{
    return s->host->p.chunking && s->is_extended;
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

static void run_ehlo(struct mx_session *s, struct span name)
{
    const struct personality *p = &s->host->p;
    struct buf lines            = {0};
    char size[48];
    if (name.len == 0) {
        bad_syntax(s, span_of("EHLO without a name"));
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
    extension(&lines, offers_starttls(s), "STARTTLS");
    extension(&lines, offers_auth(s), "AUTH PLAIN LOGIN");
    if (mx_session_answer(s, STAGE_EHLO, buf_text(&lines)))
        remember_hello(s, name, true);
    s->said = NULL;
    buf_release(&lines);
}

static void run_ehlo_unless_old(struct mx_session *s, struct span name)
{
    if (s->host->p.no_esmtp)
        mx_session_say(s, "502 what is that?");
    else
        run_ehlo(s, name);
}

static void run_helo(struct mx_session *s, struct span name)
{
    if (name.len == 0)
        bad_syntax(s, span_of("HELO without a name"));
    else if (mx_session_answer(s, STAGE_EHLO, "250 hello"))
        remember_hello(s, name, false);
}

static void run_starttls(struct mx_session *s, struct span argument)
{
    static const enum mx_phase next[STARTTLS_MODE_COUNT] = {
        [STARTTLS_OK] = MX_HANDSHAKE,   [STARTTLS_NONE] = MX_COMMAND,
        [STARTTLS_REFUSE] = MX_COMMAND, [STARTTLS_GARBAGE] = MX_BABBLE,
        [STARTTLS_CLOSE] = MX_CLOSED,   [STARTTLS_HANG] = MX_SILENT,
    };
    if (argument.len > 0) {
        bad_syntax(s, argument);
    } else if (s->host->p.starttls == STARTTLS_REFUSE) {
        mx_session_say(s, "454 4.7.0 TLS is not available now");
    } else if (mx_session_answer(s, STAGE_STARTTLS, "220 2.0.0 go ahead")) {
        s->phase      = next[s->host->p.starttls];
        s->was_broken = s->phase != MX_HANDSHAKE;
    }
}

/* ---- AUTH ---- */

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

static void check_credentials(struct mx_session *s, struct span base64)
{
    s->phase = MX_COMMAND;
    if (!is_right(s, base64))
        mx_session_say(s, "535 5.7.8 wrong user or password");
    else if (mx_session_answer(s, STAGE_AUTH, "235 2.7.0 welcome"))
        s->is_authenticated = true;
}

static void run_auth(struct mx_session *s, struct span argument)
{
    struct span mechanism;
    (void)span_cut(&argument, ' ', &mechanism);
    if (!span_is_nocase(mechanism, "PLAIN")) {
        mx_session_say(s, "504 5.5.4 only PLAIN");
    } else if (argument.len > 0) {
        check_credentials(s, argument);
    } else {
        mx_session_say(s, "334 ");
        s->phase = MX_AUTH;
    }
}

/* ---- the envelope ---- */

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

static void run_mail(struct mx_session *s, struct span argument)
{
    struct span sender;
    struct mx_transaction asked = {0};
    if (!take_keyword(&argument, "FROM:") || !take_path(&argument, &sender)) {
        bad_syntax(s, argument);
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
            close_now(s);
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

static void run_rcpt(struct mx_session *s, struct span argument)
{
    struct span rcpt;
    if (!take_keyword(&argument, "TO:") || !take_path(&argument, &rcpt) || rcpt.len == 0) {
        bad_syntax(s, argument);
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

/* ---- content ---- */

static void begin_content(struct mx_session *s)
{
    s->body_seen = false;
    mx_body_begin(&s->body, mx_transaction_stores(&s->transaction, s->host), !s->common->no_hash);
}

static void run_data(struct mx_session *s, struct span argument)
{
    if (argument.len > 0)
        bad_syntax(s, argument);
    else if (mx_session_answer(s, STAGE_DATA, "354 end with a dot")) {
        begin_content(s);
        s->phase = MX_DATA;
    }
}

static void run_bdat(struct mx_session *s, struct span argument)
{
    struct span size;
    (void)span_cut(&argument, ' ', &size);
    if (!span_to_number(size, UINT32_MAX, &s->chunk_left)) {
        bad_syntax(s, size);
        return;
    }
    s->chunk_is_last = span_is_nocase(span_trim(argument), "LAST");
    s->chunk_is_void = s->transaction.count == 0; /* read it, then say what was wrong */
    if (!s->has_begun_bdat && !s->chunk_is_void) {
        begin_content(s);
        s->has_begun_bdat = true;
    }
    s->phase = MX_CHUNK;
    if (s->chunk_left == 0)
        mx_command_end_chunk(s);
}

void mx_command_end_chunk(struct mx_session *s)
{
    s->phase = MX_COMMAND;
    if (s->chunk_is_void) {
        mx_session_say(s, "503 5.5.1 no recipients");
    } else if (s->chunk_is_last) {
        mx_session_finish_content(s);
    } else {
        (void)mx_session_answer(s, STAGE_DATA, "250 2.0.0 more please");
    }
}

/* ---- the rest ---- */

static void run_rset(struct mx_session *s, struct span argument)
{
    (void)argument;
    if (mx_session_answer(s, STAGE_RSET, "250 2.0.0 forgotten"))
        mx_session_forget(s);
}

static void run_noop(struct mx_session *s, struct span argument)
{
    (void)argument;
    mx_session_say(s, "250 2.0.0 nothing done");
}

static void run_vrfy(struct mx_session *s, struct span argument)
{
    (void)argument;
    mx_session_say(s, "252 2.5.2 try and see");
}

static void run_quit(struct mx_session *s, struct span argument)
{
    (void)argument;
    s->has_quit = true;
    (void)mx_session_answer(s, STAGE_QUIT, "221 2.0.0 bye");
    if (s->phase == MX_COMMAND)
        close_now(s);
}

static const struct verb verbs[] = {
    {"EHLO",     ENDS_GROUP,                              is_smtp,         run_ehlo_unless_old},
    {"HELO",     ENDS_GROUP,                              is_smtp,         run_helo           },
    {"LHLO",     ENDS_GROUP,                              is_lmtp,         run_ehlo           },
    {"STARTTLS", ENDS_GROUP | NEEDS_HELLO | FORBIDS_MAIL, offers_starttls, run_starttls       },
    {"AUTH",     ENDS_GROUP | NEEDS_HELLO | FORBIDS_MAIL, offers_auth,     run_auth           },
    {"MAIL",     NEEDS_HELLO | FORBIDS_MAIL,              NULL,            run_mail           },
    {"RCPT",     NEEDS_HELLO | NEEDS_MAIL,                NULL,            run_rcpt           },
    {"DATA",     ENDS_GROUP | NEEDS_HELLO | NEEDS_RCPT,   NULL,            run_data           },
    {"BDAT",     NEEDS_HELLO | NEEDS_MAIL,                offers_chunking, run_bdat           },
    {"RSET",     0,                                       NULL,            run_rset           },
    {"NOOP",     ENDS_GROUP,                              NULL,            run_noop           },
    {"VRFY",     ENDS_GROUP,                              NULL,            run_vrfy           },
    {"QUIT",     ENDS_GROUP,                              NULL,            run_quit           },
};

static const char *out_of_order(struct mx_session *s, const struct verb *verb, const char *reply)
{
    mx_session_violation(s, VIOLATION_out_of_order, span_of(verb->name));
    return reply;
}

/* NULL: it may be run; else the reply.  A pipelined command behind a MAIL or RCPT that was refused
 * is no fault of the client, so it is only refused too. */
static const char *order_fault(struct mx_session *s, const struct verb *verb)
{
    const struct mx_transaction *t = &s->transaction;
    if (verb->flags & NEEDS_HELLO && !s->has_hello)
        return out_of_order(s, verb, "503 5.5.1 hello first");
    if (verb->flags & FORBIDS_MAIL && t->is_open)
        return out_of_order(s, verb, "503 5.5.1 not inside a transaction");
    if (!(verb->flags & (NEEDS_MAIL | NEEDS_RCPT)))
        return NULL;
    if (!t->is_open && !s->has_refused_mail)
        return out_of_order(s, verb, "503 5.5.1 MAIL first");
    if (verb->flags & HAS_BYTES)
        return NULL; /* they must be read before anything can be said */
    if (!t->is_open)
        return "503 5.5.1 MAIL first";
    if (verb->flags & NEEDS_RCPT && t->count == 0)
        return s->has_tried_rcpt ? "554 5.5.1 no valid recipients"
                                 : out_of_order(s, verb, "503 5.5.1 RCPT first");
    return NULL;
}

static const struct verb *verb_named(const struct mx_session *s, struct span name)
{
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (span_is_nocase(name, verbs[i].name))
            return verbs[i].is_offered == NULL || verbs[i].is_offered(s) ? &verbs[i] : NULL;
    return NULL;
}

void mx_command_note_more(struct mx_session *s, bool ends_group, struct span rest)
{
    s->scolds = false;
    if (rest.len == 0)
        return;
    if (s->host->p.no_pipelining || !s->is_extended) {
        mx_session_violation(s, VIOLATION_pipelined, rest);
        s->scolds = s->host->p.no_pipelining;
    } else if (ends_group) {
        mx_session_violation(s, VIOLATION_past_sync, rest);
    }
}

static void inspect_line(struct mx_session *s, struct span line, struct span name)
{
    bool is_envelope = span_is_nocase(name, "MAIL") || span_is_nocase(name, "RCPT");
    size_t limit     = is_envelope                    ? MX_ENVELOPE_LINE_BYTES
                       : span_is_nocase(name, "AUTH") ? MX_AUTH_LINE_BYTES
                                                      : MX_LINE_BYTES;
    if (line.len > limit)
        mx_session_violation(s, VIOLATION_line_too_long, line);
    if (line.len < 2 || line.at[line.len - 2] != '\r')
        mx_session_violation(s, VIOLATION_bare_lf, line);
    if (span_find(line, '\r') + 2 < line.len)
        mx_session_violation(s, VIOLATION_bare_cr, line);
    if (span_find(line, '\0') < line.len)
        mx_session_violation(s, VIOLATION_nul, line);
}

static void run_line(struct mx_session *s, struct span line, struct span rest)
{
    struct span argument = span_trim(line), name;
    bool scolded         = s->scolds;
    (void)span_cut(&argument, ' ', &name);
    const struct verb *verb = verb_named(s, name);
    mx_command_note_more(s, verb != NULL && verb->flags & ENDS_GROUP, rest);
    if (scolded) {
        mx_session_say(s, "503 5.5.1 wait for my replies");
        return;
    }
    if (verb == NULL) {
        mx_session_violation(s, VIOLATION_unknown_command, name);
        mx_session_say(s, "502 5.5.1 I do not know that command");
        return;
    }
    const char *fault = order_fault(s, verb);
    if (fault != NULL)
        mx_session_say(s, fault);
    else
        verb->run(s, span_trim(argument));
    if (s->phase == MX_HANDSHAKE && rest.len > 0)
        mx_session_violation(s, VIOLATION_plaintext_after_tls, rest);
}

size_t mx_command_feed(struct mx_session *s, struct span bytes)
{
    size_t end = span_find(bytes, '\n');
    if (end == bytes.len) {
        if (bytes.len < MX_AUTH_LINE_BYTES)
            return 0;
        mx_session_violation(s, VIOLATION_line_too_long, bytes);
        mx_session_say(s, "500 5.5.6 line too long");
        s->phase      = MX_CLOSED;
        s->was_broken = true;
        return bytes.len;
    }
    struct span line = span_first(bytes, end + 1);
    inspect_line(s, line, span_first(line, span_find(line, ' ')));
    s->host->tally.commands++;
    s->common->ledger->total.commands++;
    if (s->phase == MX_AUTH)
        check_credentials(s, span_trim(line));
    else
        run_line(s, line, span_skip(bytes, line.len));
    return line.len;
}
