/* SPDX-License-Identifier: MIT */
/*
 * The parts are written first and the boundary is chosen last, when it is known what must not hold
 * it.  A report in ASCII form is ASCII throughout, whatever a peer said, but for the original that
 * it carries.
 *
 * Readers insist on more than the RFCs do: flufl.bounce, which Mailman uses, takes
 * Original-Recipient for the member when it is there and stumbles over any type but rfc822 in front
 * of an rfc822 Final-Recipient; so only an ORCPT that it can use is passed on.
 */
#include "mta/mail/dsn.h"
#include "mta/base/fault.h"
#include "mta/mail/date.h"
#include "mta/mail/escape.h"
#include "mta/mail/header.h"
#include "mta/mail/xtext.h"
#include <stdio.h>
#include <string.h>

enum {
    BOUNDARY_BYTES   = 40,
    TEXT_COLUMNS     = 72,
    WORD_BYTES_MAX   = 600, /* an address, with room */
    REPLY_BYTES_MAX  = 600,
    STATUS_BYTES_MAX = 16,
};

struct report {
    const struct dsn *dsn;
    const struct dsn_rcpt *rcpts;
    size_t count;
    struct buf text, status; /* the first two parts, without their headers */
    struct span original;    /* the third */
};

/* What each action is called, and how the report tells it. */
static const struct wording {
    const char *action, *status, *subject, *opening, *closing;
} wordings[] = {
    [DSN_FAILED]    = {"failed",    "5.0.0", "Delivery failed: ", "was not able to pass it on to:",
                       "Nothing more will be tried here. If you write to the administrators about it, "
                          "please give the number"                                              },
    [DSN_DELAYED]   = {"delayed",   "4.0.0",
                       "Delivery delayed: ",                      "has not been able yet to pass it on to:",
                       "It keeps trying, and you need not send the message again. Its number is"},
    [DSN_DELIVERED] = {"delivered", "2.0.0", "Delivery report: ", "has passed it on to:",
                       "You asked for this report when you sent the message. Its number is"     },
    [DSN_RELAYED]   = {"relayed",   "2.0.0", "Delivery report: ", "has passed it on to:",
                       "You asked for this report when you sent the message. Its number is"     },
};

/* Into a field or a text: ASCII, unless the whole report is UTF-8. */
static void put_clean(const struct dsn *dsn, struct span text, size_t max, struct buf *into)
{
    if (dsn->is_utf8)
        escape_text(text, max, into);
    else
        escape_ascii(text, max, into);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/*
 * Words from outside, broken into lines that begin with 'indent' spaces.  White space and line ends
 * are all one, so nothing that a peer sends can look like a new line of ours.
 */
static void put_lines(const struct dsn *dsn, struct span text, size_t indent, struct buf *into)
{
    static const char spaces[] = "                ";
    size_t column              = TEXT_COLUMNS;
    bool is_first              = true;
    must(indent < sizeof spaces);
    while ((text = span_trim(text)).len > 0) {
        size_t n = 0;
        while (n < text.len && n < WORD_BYTES_MAX && !is_blank(text.at[n]))
            n++;
        if (column + n >= TEXT_COLUMNS) {
            buf_put_text(into, is_first ? "" : "\r\n");
            buf_put(into, span_make(spaces, indent));
            column = indent;
        } else {
            buf_put_byte(into, ' ');
        }
        put_clean(dsn, span_first(text, n), WORD_BYTES_MAX, into);
        column += n + 1;
        text     = span_skip(text, n);
        is_first = false;
    }
    buf_put_text(into, "\r\n");
}

static const char *enhanced_text(const struct dsn_rcpt *rcpt, char into[STATUS_BYTES_MAX])
{
    if (rcpt->status[0] == 0)
        return wordings[rcpt->action].status;
    (void)snprintf(into, STATUS_BYTES_MAX, "%u.%u.%u", rcpt->status[0], rcpt->status[1],
                   rcpt->status[2]);
    return into;
}

/* "550 5.1.1 no such user": the reply as it came, but in one line. */
static void put_reply(const struct dsn_rcpt *rcpt, struct buf *into)
{
    char status[STATUS_BYTES_MAX];
    bool has_enhanced = rcpt->status[1] != 0 || rcpt->status[2] != 0;
    buf_printf(into, "%d %s%s", rcpt->code, has_enhanced ? enhanced_text(rcpt, status) : "",
               has_enhanced ? " " : "");
    struct span text = span_first(rcpt->text, REPLY_BYTES_MAX);
    for (size_t i = 0; i < text.len; i++)
        buf_put_byte(into, (char)(text.at[i] == '\n' ? ' ' : text.at[i]));
}

static void put_human_rcpt(const struct report *r, const struct dsn_rcpt *rcpt, struct buf *into)
{
    enum { INDENT = 4, INDENT_MORE = 8 };
    struct buf line = {0};
    put_lines(r->dsn, span_of(rcpt->address), INDENT, into);
    if (rcpt->code != 0) {
        buf_printf(&line,
                   "%s answered: ", rcpt->remote_mta[0] == '\0' ? "It was" : rcpt->remote_mta);
        put_reply(rcpt, &line);
    } else {
        buf_put(&line, rcpt->text);
    }
    if (line.len > 0)
        put_lines(r->dsn, buf_span(&line), INDENT_MORE, into);
    if (rcpt->action == DSN_RELAYED)
        put_lines(r->dsn, span_of("(passed to a mail server that sends no such reports)"),
                  INDENT_MORE, into);
    buf_release(&line);
}

static void put_date_line(struct buf *into, const char *before, uint64_t wall_ms)
{
    char date[DATE_TEXT_BYTES];
    if (wall_ms != 0)
        buf_printf(into, "%s%s", before, date_rfc5322(wall_ms, date));
}

static void write_text(struct report *r)
{
    const struct wording *w = &wordings[r->rcpts[0].action];
    struct buf line         = {0};
    buf_printf(&line, "The mail server %s took a message from you", r->dsn->reporting_mta);
    put_date_line(&line, " on ", r->dsn->arrival_wall_ms);
    buf_printf(&line, " and %s", w->opening);
    put_lines(r->dsn, buf_span(&line), 0, &r->text);
    buf_put_text(&r->text, "\r\n");
    for (size_t i = 0; i < r->count; i++)
        put_human_rcpt(r, &r->rcpts[i], &r->text);

    buf_clear(&line);
    buf_printf(&line, "%s %s.", w->closing, r->dsn->queue_id);
    if (r->rcpts[0].action == DSN_DELAYED) {
        put_date_line(&line, " The last attempt will be made before ",
                      r->rcpts[0].will_retry_until_wall_ms);
    }
    buf_put_text(&r->text, "\r\n");
    put_lines(r->dsn, buf_span(&line), 0, &r->text);
    buf_release(&line);
}

/* "Name: type;value", escaped for the form of the report. */
static void write_field(const struct report *r, const char *name, const char *type,
                        struct span value, struct buf *into)
{
    struct buf text = {0};
    buf_put_text(&text, type);
    put_clean(r->dsn, value, SIZE_MAX, &text);
    header_write(into, name, buf_span(&text));
    buf_release(&text);
}

static void write_date(const char *name, uint64_t wall_ms, struct buf *into)
{
    char date[DATE_TEXT_BYTES];
    if (wall_ms != 0)
        header_write(into, name, span_of(date_rfc5322(wall_ms, date)));
}

/* RFC 6533 3: an address in UTF-8 has its own type, and an ASCII form for ASCII reports. */
static void write_address(const struct report *r, const char *name, struct span address,
                          struct buf *into)
{
    struct buf encoded = {0};
    bool is_ascii      = text_is_ascii(address);
    if (!is_ascii && !r->dsn->is_utf8) {
        xtext_encode_utf8(address, &encoded);
        address = buf_span(&encoded);
    }
    write_field(r, name, is_ascii ? "rfc822;" : "utf-8;", address, into);
    buf_release(&encoded);
}

/* "type;xtext" as ORCPT carried it; dropped when it is malformed or when its reader would stumble.
 */
static void write_original_rcpt(const struct report *r, const struct dsn_rcpt *rcpt,
                                struct buf *into)
{
    struct span type, xtext = span_of(rcpt->orcpt);
    struct buf address = {0};
    if (!span_cut(&xtext, ';', &type))
        return;
    bool is_utf8  = span_is_nocase(type, "utf-8");
    bool is_good  = is_utf8                          ? xtext_decode_utf8(xtext, &address)
                    : span_is_nocase(type, "rfc822") ? xtext_decode(xtext, &address)
                                                     : false;
    bool is_ascii = text_is_ascii(buf_span(&address));
    if (is_good && address.len > 0 &&
        (is_ascii || (is_utf8 && !text_is_ascii(span_of(rcpt->address)))))
        write_address(r, "Original-Recipient", buf_span(&address), into);
    buf_release(&address);
}

static void write_rcpt_fields(const struct report *r, const struct dsn_rcpt *rcpt, struct buf *into)
{
    char status[STATUS_BYTES_MAX];
    buf_put_text(into, "\r\n");
    write_original_rcpt(r, rcpt, into);
    write_address(r, "Final-Recipient", span_of(rcpt->address), into);
    header_write(into, "Action", span_of(wordings[rcpt->action].action));
    header_write(into, "Status", span_of(enhanced_text(rcpt, status)));
    if (rcpt->remote_mta[0] != '\0')
        write_field(r, "Remote-MTA", "dns; ", span_of(rcpt->remote_mta), into);
    if (rcpt->code != 0) {
        struct buf reply = {0};
        put_reply(rcpt, &reply);
        write_field(r, "Diagnostic-Code", "smtp; ", buf_span(&reply), into);
        buf_release(&reply);
    }
    write_date("Last-Attempt-Date", rcpt->last_attempt_wall_ms, into);
    if (rcpt->action == DSN_DELAYED)
        write_date("Will-Retry-Until", rcpt->will_retry_until_wall_ms, into);
}

static void write_status(struct report *r)
{
    struct buf envid = {0};
    write_field(r, "Reporting-MTA", "dns; ", span_of(r->dsn->reporting_mta), &r->status);
    if (xtext_decode(span_of(r->dsn->envid), &envid) && envid.len > 0)
        write_field(r, "Original-Envelope-Id", "", buf_span(&envid), &r->status);
    write_date("Arrival-Date", r->dsn->arrival_wall_ms, &r->status);
    write_field(r, "X-Mailrace-Queue-ID", "", span_of(r->dsn->queue_id), &r->status);
    for (size_t i = 0; i < r->count; i++)
        write_rcpt_fields(r, &r->rcpts[i], &r->status);
    buf_release(&envid);
}

/* Without the empty line, when it is only the header section. */
static struct span original_of(const struct dsn *dsn)
{
    static const struct span empty_line = SPAN("\r\n\r\n");
    if (dsn->return_full)
        return dsn->original;
    struct span section = span_first(dsn->original, header_section_bytes(dsn->original));
    return span_first(section, section.len - (span_ends_nocase(section, empty_line) ? 2 : 0));
}

static bool holds(struct span text, const char *needle)
{
    return span_find_text(text, span_of(needle)) < text.len;
}

/* The same for the same report, and in none of its parts. */
static void choose_boundary(const struct report *r, char into[BOUNDARY_BYTES])
{
    uint64_t seed = 0;
    do
        (void)snprintf(into, BOUNDARY_BYTES, "=_report_%016llx",
                       (unsigned long long)span_hash(span_of(r->dsn->message_id), seed++));
    while (holds(buf_span(&r->text), into) || holds(buf_span(&r->status), into) ||
           holds(r->original, into));
}

static void write_subject(const struct report *r, struct buf *into)
{
    struct buf subject = {0};
    buf_put_text(&subject, r->rcpts[0].address);
    if (r->count > 1)
        buf_printf(&subject, " and %zu more", r->count - 1);
    write_field(r, "Subject", wordings[r->rcpts[0].action].subject, buf_span(&subject), into);
    buf_release(&subject);
}

static void write_id_field(const char *name, const char *id, struct buf *into)
{
    struct buf value = {0};
    buf_put_byte(&value, '<');
    escape_ascii(span_of(id), SIZE_MAX, &value);
    buf_put_byte(&value, '>');
    header_write(into, name, buf_span(&value));
    buf_release(&value);
}

static void write_header(const struct report *r, const char *boundary, struct buf *into)
{
    struct buf value = {0};
    bool is_8bit     = !text_is_ascii(r->original) || !text_is_ascii(buf_span(&r->text)) ||
                   !text_is_ascii(buf_span(&r->status));
    write_date("Date", r->dsn->now_wall_ms, into);
    buf_printf(&value, "Mail Delivery System <MAILER-DAEMON@%s>", r->dsn->reporting_mta);
    header_write(into, "From", buf_span(&value));
    header_write(into, "To", span_of(r->dsn->to));
    write_subject(r, into);
    write_id_field("Message-ID", r->dsn->message_id, into);
    if (r->dsn->original_message_id[0] != '\0') {
        write_id_field("In-Reply-To", r->dsn->original_message_id, into);
        write_id_field("References", r->dsn->original_message_id, into);
    }
    header_write(into, "Auto-Submitted", span_of("auto-replied"));
    header_write(into, "TLS-Required", span_of("No")); /* RFC 8689: not lost for its reasons */
    header_write(into, "MIME-Version", span_of("1.0"));
    buf_clear(&value);
    buf_printf(&value, "multipart/report; report-type=delivery-status; boundary=\"%s\"", boundary);
    header_write(into, "Content-Type", buf_span(&value));
    header_write(into, "Content-Transfer-Encoding", span_of(is_8bit ? "8bit" : "7bit"));
    buf_put_text(into, "\r\n");
    buf_release(&value);
}

static void write_part(struct buf *into, const char *boundary, const char *type, struct span body)
{
    buf_printf(into, "--%s\r\n", boundary);
    header_write(into, "Content-Type", span_of(type));
    header_write(into, "Content-Transfer-Encoding", span_of(text_is_ascii(body) ? "7bit" : "8bit"));
    buf_put_text(into, "\r\n");
    buf_put(into, body);
    buf_put_text(into, "\r\n"); /* belongs to the boundary that follows */
}

static const char *original_type(const struct dsn *dsn)
{
    if (dsn->return_full)
        return dsn->is_utf8 ? "message/global" : "message/rfc822";
    return dsn->is_utf8 ? "message/global-headers" : "text/rfc822-headers";
}

void dsn_write(struct buf *into, const struct dsn *dsn, const struct dsn_rcpt *rcpts, size_t count)
{
    must(count > 0 && dsn->to[0] != '\0');
    struct report r = {.dsn = dsn, .rcpts = rcpts, .count = count, .original = original_of(dsn)};
    char boundary[BOUNDARY_BYTES];
    write_text(&r);
    write_status(&r);
    choose_boundary(&r, boundary);

    bool is_ascii = text_is_ascii(buf_span(&r.text));
    write_header(&r, boundary, into);
    write_part(into, boundary,
               is_ascii ? "text/plain; charset=us-ascii" : "text/plain; charset=utf-8",
               buf_span(&r.text));
    write_part(into, boundary,
               dsn->is_utf8 ? "message/global-delivery-status" : "message/delivery-status",
               buf_span(&r.status));
    if (r.original.len > 0)
        write_part(into, boundary, original_type(dsn), r.original);
    buf_printf(into, "--%s--\r\n", boundary);
    buf_release(&r.text);
    buf_release(&r.status);
}
