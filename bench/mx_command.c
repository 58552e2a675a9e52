/* SPDX-License-Identifier: MIT */
/*
 * A verb is a row: whether this host offers it now, what must have happened before, whether it ends
 * a group, and what it does.  The checks happen in one place and count what the client did wrong.
 */
#include "bench/mx_command.h"
#include "bench/mx_verbs.h"
#include <string.h>

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

void mx_bad_syntax(struct mx_session *s, struct span what)
{
    mx_session_violation(s, VIOLATION_bad_syntax, what);
    mx_session_say(s, "501 5.5.4 cannot understand that");
}

/* ---- content ---- */

static bool offers_chunking(const struct mx_session *s)
{
    return s->host->p.chunking && s->is_extended;
}

static void begin_content(struct mx_session *s)
{
    s->body_seen = false;
    mx_body_begin(&s->body, mx_transaction_stores(&s->transaction, s->host), !s->common->no_hash);
}

static void run_data(struct mx_session *s, struct span argument)
{
    if (argument.len > 0)
        mx_bad_syntax(s, argument);
    else if (mx_session_answer(s, STAGE_DATA, "354 end with a dot")) {
        begin_content(s);
        s->end_stage = STAGE_DOT;
        s->phase     = MX_DATA;
    }
}

static void run_bdat(struct mx_session *s, struct span argument)
{
    struct span size;
    (void)span_cut(&argument, ' ', &size);
    if (!span_to_number(size, UINT32_MAX, &s->chunk_left)) {
        mx_bad_syntax(s, size);
        return;
    }
    mx_session_count(s, offsetof(struct tally, bdat));
    s->chunk_is_last = span_is_nocase(span_trim(argument), "LAST");
    s->chunk_is_void = s->transaction.count == 0; /* read it, then say what was wrong */
    if (!s->has_begun_bdat && !s->chunk_is_void) {
        begin_content(s);
        s->has_begun_bdat = true;
    }
    s->end_stage = s->host->p.at[STAGE_BDAT].act != ACT_NORMAL ? STAGE_BDAT : STAGE_DOT;
    s->phase     = MX_CHUNK;
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
    } else if (!mx_session_answer(s, s->end_stage == STAGE_BDAT ? STAGE_BDAT : STAGE_DATA,
                                  "250 2.0.0 more please")) {
        mx_session_forget(s); /* RFC 3030 2: nothing but RSET helps */
        s->has_refused_mail = true;
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
    if (s->is_turn_fresh && s->is_turn_warm) { /* what came was for no message */
        s->host->tally.round_trips_warm--;
        s->common->ledger->total.round_trips_warm--;
    }
    (void)mx_session_answer(s, STAGE_QUIT, "221 2.0.0 bye");
    if (s->phase == MX_COMMAND)
        s->phase = MX_CLOSED;
}

static const struct verb verbs[] = {
    {"EHLO",     ENDS_GROUP,                              mx_is_smtp,         mx_run_ehlo_unless_old},
    {"HELO",     ENDS_GROUP,                              mx_is_smtp,         mx_run_helo           },
    {"LHLO",     ENDS_GROUP,                              mx_is_lmtp,         mx_run_ehlo           },
    {"STARTTLS", ENDS_GROUP | NEEDS_HELLO | FORBIDS_MAIL, mx_offers_starttls, mx_run_starttls       },
    {"AUTH",     ENDS_GROUP | NEEDS_HELLO | FORBIDS_MAIL, mx_offers_auth,     mx_run_auth           },
    {"MAIL",     NEEDS_HELLO | FORBIDS_MAIL,              NULL,               mx_run_mail           },
    {"RCPT",     NEEDS_HELLO | NEEDS_MAIL,                NULL,               mx_run_rcpt           },
    {"DATA",     ENDS_GROUP | NEEDS_HELLO | NEEDS_RCPT,   NULL,               run_data              },
    {"BDAT",     NEEDS_HELLO | NEEDS_MAIL | HAS_BYTES,    offers_chunking,    run_bdat              },
    {"RSET",     0,                                       NULL,               run_rset              },
    {"NOOP",     ENDS_GROUP,                              NULL,               run_noop              },
    {"VRFY",     ENDS_GROUP,                              NULL,               run_vrfy              },
    {"QUIT",     ENDS_GROUP,                              NULL,               run_quit              },
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
    if (verb->flags & NEEDS_HELLO && !s->has_hello && !(verb->flags & HAS_BYTES))
        return out_of_order(s, verb, "503 5.5.1 hello first");
    if (verb->flags & FORBIDS_MAIL && t->is_open)
        return out_of_order(s, verb, "503 5.5.1 not inside a transaction");
    if (!(verb->flags & (NEEDS_MAIL | NEEDS_RCPT)))
        return NULL;
    const char *fault =
        !t->is_open && !s->has_refused_mail ? out_of_order(s, verb, "503 5.5.1 MAIL first") : NULL;
    if (fault != NULL || verb->flags & HAS_BYTES)
        return verb->flags & HAS_BYTES ? NULL : fault; /* bytes must be read first */
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
        mx_check_credentials(s, span_trim(line));
    else
        run_line(s, line, span_skip(bytes, line.len));
    return line.len;
}
