/* SPDX-License-Identifier: MIT */
/*
 * MAIL and RCPT: "FROM:<path> KEY=VALUE ...".  Parameters are rows: keyword, the extension that
 * brings it, what takes its value.  Whatever is kept was decoded, looked at, and written anew
 * (security.md A11).
 */
#include "mta/mail/escape.h"
#include "mta/mail/verp.h"
#include "mta/mail/xtext.h"
#include "mta/smtp/server_parts.h"
#include <string.h>

static const struct server_no fine = {0, NULL, NULL};

static struct server_no bad_value(const char *text)
{
    return (struct server_no){501, "5.5.4", text};
}

/* Takes the value of a parameter; value.at is NULL when there was no '='. */
typedef struct server_no take_fn(struct smtp_server *s, struct span value);

static struct server_no take_size(struct smtp_server *s, struct span value)
{
    static const struct server_no too_large = {552, "5.3.4", "message too large"};
    enum { DIGITS_MAX = 20 };
    uint64_t max   = s->config->message_bytes_max > 0 ? s->config->message_bytes_max : UINT64_MAX;
    bool is_number = value.len > 0 && value.len <= DIGITS_MAX;
    for (size_t i = 0; i < value.len; i++)
        is_number = is_number && ascii_is_digit(value.at[i]);
    if (!is_number)
        return bad_value("bad SIZE");
    return span_to_number(value, max, &s->mail.size_bytes) ? fine : too_large;
}

static struct server_no take_body(struct smtp_server *s, struct span value)
{
    s->mail.is_8bit = span_is_nocase(value, "8BITMIME");
    return s->mail.is_8bit || span_is_nocase(value, "7BIT") ? fine : bad_value("bad BODY");
}

static struct server_no take_smtputf8(struct smtp_server *s, struct span value)
{
    s->mail.is_utf8 = true;
    return value.at == NULL ? fine : bad_value("SMTPUTF8 has no value");
}

static struct server_no take_ret(struct smtp_server *s, struct span value)
{
    if (span_is_nocase(value, "FULL"))
        s->mail.ret = RET_FULL;
    else if (span_is_nocase(value, "HDRS"))
        s->mail.ret = RET_HDRS;
    else
        return bad_value("bad RET");
    return fine;
}

/* With a NUL behind it, if it fits. */
static bool keep(struct span text, char *into, size_t cap)
{
    if (text.len + 1 > cap)
        return false;
    memcpy(into, text.at, text.len);
    into[text.len] = '\0';
    return true;
}

static struct server_no take_envid(struct smtp_server *s, struct span value)
{
    struct buf text = {0}, xtext = {0};
    bool is_good = value.len <= ENVELOPE_ENVID_BYTES_MAX && xtext_decode(value, &text);
    xtext_encode(buf_span(&text), &xtext);
    is_good =
        is_good && text.len > 0 && keep(buf_span(&xtext), s->mail.envid, sizeof s->mail.envid);
    buf_release(&text);
    buf_release(&xtext);
    return is_good ? fine : bad_value("bad ENVID");
}

/* Postfix, VERP_README: each recipient gets a return path of its own. */
static struct server_no take_xverp(struct smtp_server *s, struct span value)
{
    struct span delimiters = value.at == NULL ? span_of("+=") : value;
    if (!verp_is_valid(delimiters))
        return bad_value("bad XVERP, want two of - + =");
    (void)keep(delimiters, s->mail.verp, sizeof s->mail.verp);
    return fine;
}

/* RFC 4954 5: who sent it first; nobody here asks. */
static struct server_no take_auth(struct smtp_server *s, struct span value)
{
    struct buf text = {0};
    bool is_good    = span_is(value, "<>") || (value.len > 0 && xtext_decode(value, &text));
    (void)s;
    buf_release(&text);
    return is_good ? fine : bad_value("bad AUTH");
}

static unsigned notify_bit(struct span word)
{
    static const struct {
        const char *word;
        unsigned bit;
    } words[] = {
        {"NEVER",   NOTIFY_NEVER  },
        {"SUCCESS", NOTIFY_SUCCESS},
        {"FAILURE", NOTIFY_FAILURE},
        {"DELAY",   NOTIFY_DELAY  },
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (span_is_nocase(word, words[i].word))
            return words[i].bit;
    return 0;
}

static struct server_no take_notify(struct smtp_server *s, struct span value)
{
    unsigned notify = 0;
    bool is_good    = value.len > 0 && value.at[value.len - 1] != ',';
    struct span word;
    while (is_good && span_cut(&value, ',', &word)) {
        is_good = notify_bit(word) != 0;
        notify |= notify_bit(word);
    }
    if ((notify & NOTIFY_NEVER) != 0 && notify != NOTIFY_NEVER)
        is_good = false; /* RFC 3461 4.1: NEVER stands alone */
    s->rcpt.notify = (uint8_t)notify;
    return is_good ? fine : bad_value("bad NOTIFY");
}

static bool is_address_type(struct span type)
{
    for (size_t i = 0; i < type.len; i++)
        if (!ascii_is_alnum(type.at[i]) && type.at[i] != '-')
            return false;
    return type.len > 0;
}

/* "type;xtext" (RFC 3461 4.2), or "utf-8;..." (RFC 6533 3), whose raw UTF-8 needs SMTPUTF8. */
static struct server_no take_orcpt(struct smtp_server *s, struct span value)
{
    struct buf text = {0}, written = {0};
    struct span xtext = value, type = {0};
    bool is_short = value.len <= ENVELOPE_ORCPT_BYTES_MAX && span_cut(&xtext, ';', &type);
    bool is_utf8  = span_is_nocase(type, "utf-8");
    bool is_good  = is_short && is_address_type(type) && xtext.len > 0 &&
                   (s->mail.is_utf8 || text_is_ascii(xtext)) &&
                   (is_utf8 ? xtext_decode_utf8 : xtext_decode)(xtext, &text);
    buf_put(&written, type);
    buf_put_byte(&written, ';');
    (is_utf8 ? xtext_encode_utf8 : xtext_encode)(buf_span(&text), &written);
    is_good =
        is_good && text.len > 0 && keep(buf_span(&written), s->rcpt.orcpt, sizeof s->rcpt.orcpt);
    buf_release(&text);
    buf_release(&written);
    return is_good ? fine : bad_value("bad ORCPT");
}

struct parameter {
    const char *keyword;
    unsigned ext; /* it comes with this extension; 0: always */
    take_fn *take;
};

static const struct parameter mail_parameters[] = {
    {"SIZE",     SMTP_EXT_SIZE,     take_size    },
    {"BODY",     SMTP_EXT_8BITMIME, take_body    },
    {"SMTPUTF8", SMTP_EXT_SMTPUTF8, take_smtputf8},
    {"RET",      SMTP_EXT_DSN,      take_ret     },
    {"ENVID",    SMTP_EXT_DSN,      take_envid   },
    {"AUTH",     0,                 take_auth    },
    {"XVERP",    SMTP_EXT_XVERP,    take_xverp   },
    {NULL,       0,                 NULL         },
};

static const struct parameter rcpt_parameters[] = {
    {"NOTIFY", SMTP_EXT_DSN, take_notify},
    {"ORCPT",  SMTP_EXT_DSN, take_orcpt },
    {NULL,     0,            NULL       },
};

static const struct parameter *find_parameter(const struct smtp_server *s,
                                              const struct parameter *rows, struct span keyword)
{
    while (rows->keyword != NULL && !span_is_nocase(keyword, rows->keyword))
        rows++;
    bool is_known = rows->keyword != NULL && (rows->ext & ~s->config->offer) == 0;
    return is_known ? rows : NULL;
}

static struct server_no take_parameters(struct smtp_server *s, const struct parameter *rows,
                                        struct span text)
{
    static const struct server_no unknown = {555, "5.5.4", "unknown parameter"};
    struct span word, keyword;
    unsigned seen = 0;
    while (span_cut(&text, ' ', &word)) {
        if (word.len == 0)
            continue;
        bool has_value = span_find(word, '=') < word.len;
        (void)span_cut(&word, '=', &keyword);
        const struct parameter *row = find_parameter(s, rows, keyword);
        if (row == NULL)
            return unknown;
        if ((seen & 1U << (row - rows)) != 0)
            return bad_value("parameter given twice");
        seen |= 1U << (row - rows);
        struct server_no no = row->take(s, has_value ? word : (struct span){0});
        if (no.code != 0)
            return no;
    }
    return fine;
}

/* A command's argument, taken apart. */
struct path {
    struct address address;
    bool is_ascii;
    struct span parameters;
};

/* "FROM:<...>"; NULL when good. */
static const char *parse_path(struct span args, const char *word, unsigned allowed,
                              struct path *path)
{
    size_t used = 0;
    if (!span_starts_nocase(args, span_of(word)))
        return "syntax: MAIL FROM:<address>, RCPT TO:<address>";
    struct span text = span_trim(span_skip(args, span_of(word).len));
    const char *problem =
        address_parse_path(text, allowed | ADDRESS_UTF8_ALLOWED, &path->address, &used);
    if (problem != NULL)
        return problem;
    path->is_ascii   = text_is_ascii(span_first(text, used));
    path->parameters = span_skip(text, used);
    if (path->parameters.len > 0 && path->parameters.at[0] != ' ')
        return "no space behind the address";
    return NULL;
}

static const struct server_no needs_utf8 = {553, "5.6.7", "a non-ASCII address needs SMTPUTF8"};
static const struct server_no rset_first = {503, "5.5.1", "a BDAT failed, say RSET first"};

struct server_no server_check_mail(const struct smtp_server *s, struct span args)
{
    static const struct server_no hello_first = {503, "5.5.1", "say EHLO first"};
    static const struct server_no nested      = {503, "5.5.1", "a transaction is open already"};
    static const struct server_no auth_first  = {530, "5.7.0", "authentication required"};
    static const struct server_no tls_first   = {530, "5.7.0", "say STARTTLS first"};
    (void)args;
    if (s->phase == SMTP_SERVER_GREETING)
        return hello_first;
    if (s->config->needs_auth && !s->is_authenticated)
        return s->is_secured ? auth_first : tls_first;
    if (s->needs_rset)
        return rset_first;
    return s->phase == SMTP_SERVER_IDLE ? fine : nested;
}

static struct server_no parse_mail(struct smtp_server *s, struct span args)
{
    struct path path;
    const char *problem = parse_path(args, "FROM:", ADDRESS_NULL_ALLOWED, &path);
    if (problem != NULL)
        return (struct server_no){501, "5.1.7", problem};
    struct server_no no = take_parameters(s, mail_parameters, path.parameters);
    if (no.code != 0)
        return no;
    if (!path.is_ascii && !s->mail.is_utf8)
        return needs_utf8;
    if (s->mail.verp[0] != '\0' && path.address.len == 0)
        return bad_value("XVERP needs a sender");
    s->mail.sender = path.address;
    return fine;
}

enum smtp_server_phase server_run_mail(struct smtp_server *s, struct span args)
{
    s->mail             = (struct smtp_server_mail){0};
    struct server_no no = parse_mail(s, args);
    if (no.code != 0)
        return server_refuse(s, no);
    s->event = SMTP_EVENT_MAIL;
    return s->phase;
}

struct server_no server_check_rcpt(const struct smtp_server *s, struct span args)
{
    static const struct server_no mail_first = {503, "5.5.1", "say MAIL first"};
    static const struct server_no too_late   = {503, "5.5.1", "the content has begun"};
    static const struct server_no too_many   = {452, "4.5.3", "too many recipients"};
    (void)args;
    if (s->needs_rset)
        return rset_first;
    if (s->phase == SMTP_SERVER_BDAT)
        return too_late;
    if (s->phase != SMTP_SERVER_MAIL && s->phase != SMTP_SERVER_RCPT)
        return mail_first;
    return s->rcpt_tries < s->config->rcpts_max ? fine : too_many;
}

/* RFC 5321 4.5.1: postmaster without a domain is ours. */
static bool complete_postmaster(const struct smtp_server *s, struct address *address)
{
    struct address parsed;
    struct buf text = {0};
    if (address->local_len < address->len)
        return true;
    buf_printf(&text, "%s@%s", address->text, s->config->hostname);
    bool is_good = address_parse(buf_span(&text), false, &parsed) == NULL;
    buf_release(&text);
    if (is_good)
        *address = parsed;
    return is_good;
}

static struct server_no parse_rcpt(struct smtp_server *s, struct span args)
{
    struct path path;
    const char *problem = parse_path(args, "TO:", ADDRESS_POSTMASTER_ALLOWED, &path);
    if (problem != NULL)
        return (struct server_no){501, "5.1.3", problem};
    if (!path.is_ascii && !s->mail.is_utf8)
        return needs_utf8;
    if (!complete_postmaster(s, &path.address))
        return (struct server_no){501, "5.1.3", "no domain"};
    s->rcpt.address = path.address;
    return take_parameters(s, rcpt_parameters, path.parameters);
}

enum smtp_server_phase server_run_rcpt(struct smtp_server *s, struct span args)
{
    s->rcpt_tries++;
    s->rcpt             = (struct smtp_server_rcpt){0};
    struct server_no no = parse_rcpt(s, args);
    if (no.code == 0)
        s->event = SMTP_EVENT_RCPT;
    else
        server_reply(s, no.code, no.enhanced, no.text); /* uncounted: see errors_max */
    return s->phase;
}
