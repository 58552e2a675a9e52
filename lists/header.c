/* SPDX-License-Identifier: MIT */
#include "lists/header.h"
#include "mta/mail/escape.h"
#include "mta/mail/header.h"
#include "mta/mail/words.h"
#include <stdio.h>

enum { SUBJECT_BYTES_MAX = 900 /* what Gmail takes is 998 */ };

/* What is done to this one, decided once. */
struct plan {
    const struct mlist *list;
    const struct offer *offer;
    const struct footer *footer;
    struct span local, domain; /* of the list */
    bool munges_from, sets_reply, adds_prefix, sets_to;
    bool breaks_signature;
};

/* --- what is left out --- */

static const char *const dropped[] = {
    "Errors-To",
    "Return-Path",
    "Bcc",
    "Resent-Bcc",
    "Precedence",
    "Delivered-To",
    "Envelope-To",
    "X-Original-To",
    "Authentication-Results", /* somebody else's, and ours would be believed */
    "Approved",
    "X-Approved",
    "Return-Receipt-To",
    "Disposition-Notification-To",
    "X-Confirm-Reading-To",
    "X-Original-From",
    NULL};
static const char *const signatures[] = {
    "DKIM-Signature",        "DomainKey-Signature",        "ARC-Seal",
    "ARC-Message-Signature", "ARC-Authentication-Results", NULL};
static const char *const of_the_body[] = {"MIME-Version", "Content-Length", "Lines", NULL};

static bool is_one_of(struct span name, const char *const *names)
{
    for (; *names != NULL; names++)
        if (span_is_nocase(name, *names))
            return true;
    return false;
}

/* Dropped for good, or written anew. */
static bool is_left_out(const struct plan *plan, struct span name)
{
    if (span_starts_nocase(name, span_of("List-")) || is_one_of(name, dropped))
        return true;
    if (plan->breaks_signature && is_one_of(name, signatures))
        return true;
    if (plan->footer->wraps && (footer_moves(name) || is_one_of(name, of_the_body)))
        return true;
    if (plan->munges_from && span_is_nocase(name, "Sender"))
        return true;
    return plan->sets_reply && span_is_nocase(name, "Reply-To");
}

/* --- what is written anew --- */

static void put_address(const struct plan *plan, const char *part, struct buf *into)
{
    buf_put(into, plan->local);
    buf_put_text(into, part);
    buf_put_byte(into, '@');
    buf_put(into, plan->domain);
}

/* A value on one line: a fold is the blank that it begins with. */
static void put_unfolded(struct span value, struct buf *into)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.at[i] != '\r' && value.at[i] != '\n')
            buf_put_byte(into, value.at[i] == '\t' ? ' ' : value.at[i]);
}

/* The name of the author as people read it, else the local part. */
static void put_author_name(const struct offer *offer, struct buf *into)
{
    struct buf plain = {0}, quoted = {0};
    struct span name = span_trim(offer->author.name);
    if (name.len >= 2 && name.at[0] == '"' && name.at[name.len - 1] == '"') {
        for (size_t i = 1; i + 1 < name.len; i++)
            if (name.at[i] != '\\' || name.at[i - 1] == '\\')
                buf_put_byte(&quoted, name.at[i]);
        name = buf_span(&quoted);
    }
    words_decode(name, &plain);
    if (span_trim(buf_span(&plain)).len == 0)
        buf_put(&plain, address_local(span_of(offer->author.address.text)));
    escape_text(span_trim(buf_span(&plain)), PERSON_NAME_BYTES_MAX, into);
    buf_release(&plain);
    buf_release(&quoted);
}

/* What people call the list. */
static struct span title_of(const struct plan *plan)
{
    return plan->list->title[0] == '\0' ? plan->local : span_of(plan->list->title);
}

/* "Ann Lee via Dogs" <dogs@lists.example.org> */
static void write_from(const struct plan *plan, struct buf *into)
{
    struct buf name = {0}, value = {0};
    put_author_name(plan->offer, &name);
    buf_put_text(&name, " via ");
    buf_put(&name, title_of(plan));
    words_phrase(buf_span(&name), " ", &value);
    buf_put_text(&value, " <");
    put_address(plan, "", &value);
    buf_put_byte(&value, '>');
    header_write(into, "From", buf_span(&value));
    buf_clear(&value);
    put_unfolded(span_trim(header_find(plan->offer->header, "From")), &value);
    header_write(into, "X-Original-From", buf_span(&value));
    buf_release(&name);
    buf_release(&value);
}

/* Replies to the list, or to whoever the author has named, else to him. */
static void write_reply_to(const struct plan *plan, struct buf *into)
{
    struct buf value   = {0};
    struct span before = span_trim(header_find(plan->offer->header, "Reply-To"));
    if (plan->list->reply == MLIST_REPLY_LIST)
        put_address(plan, "", &value);
    else if (plan->list->reply == MLIST_REPLY_KEEP && before.len > 0)
        put_unfolded(before, &value);
    else
        buf_put_text(&value, plan->offer->author.address.text);
    header_write(into, "Reply-To", buf_span(&value));
    buf_release(&value);
}

static void write_subject(const struct plan *plan, struct buf *into)
{
    struct buf subject = {0}, value = {0};
    words_decode(span_first(plan->offer->subject, SUBJECT_BYTES_MAX), &subject);
    struct span prefix = span_of(plan->list->prefix);
    if (text_is_ascii(prefix))
        buf_put(&value, prefix);
    else
        words_encode(prefix, " ", &value);
    buf_put_byte(&value, ' ');
    if (text_is_ascii(buf_span(&subject)))
        buf_put(&value, buf_span(&subject));
    else
        words_encode(buf_span(&subject), " ", &value);
    header_write(into, "Subject", buf_span(&value));
    buf_release(&subject);
    buf_release(&value);
}

static void write_to(struct buf *into)
{
    buf_put_text(into, "To: {{name}} <{{address}}>\r\n");
}

/* --- what the list says --- */

static void write_list_id(const struct plan *plan, struct buf *into)
{
    struct buf value = {0};
    if (plan->list->title[0] != '\0') {
        words_phrase(span_of(plan->list->title), " ", &value);
        buf_put_byte(&value, ' ');
    }
    buf_put_byte(&value, '<');
    buf_put(&value, plan->local);
    buf_put_byte(&value, '.');
    buf_put(&value, plan->domain);
    buf_put_byte(&value, '>');
    header_write(into, "List-Id", buf_span(&value));
    buf_release(&value);
}

/* RFC 8058 wants an https URI; the address is for all who do not know it. */
static void write_unsubscribe(const struct plan *plan, const char *base_url, struct buf *into)
{
    struct buf value  = {0};
    bool is_one_click = base_url != NULL && span_starts(span_of(base_url), span_of("https://"));
    if (base_url != NULL && base_url[0] != '\0')
        buf_put_text(&value, "<{{unsubscribe_url}}>, ");
    buf_put_text(&value, "<mailto:");
    put_address(plan, "-leave+{{leave_token}}", &value);
    buf_put_byte(&value, '>');
    header_write(into, "List-Unsubscribe", buf_span(&value));
    if (is_one_click)
        header_write(into, "List-Unsubscribe-Post", span_of("List-Unsubscribe=One-Click"));
    buf_release(&value);
}

/* <mailto:dogs-PART@lists.example.org>, or a URL in its place. */
static void write_link(const struct plan *plan, const char *name, const char *part,
                       const char *behind, const char *url, struct buf *into)
{
    struct buf value = {0};
    buf_put_byte(&value, '<');
    if (url[0] != '\0') {
        buf_put_text(&value, url);
    } else {
        buf_put_text(&value, "mailto:");
        put_address(plan, part, &value);
        buf_put_text(&value, behind);
    }
    buf_put_byte(&value, '>');
    header_write(into, name, buf_span(&value));
    buf_release(&value);
}

static void write_list_fields(const struct plan *plan, const char *base_url, struct buf *into)
{
    const struct mlist *list = plan->list;
    write_list_id(plan, into);
    write_unsubscribe(plan, base_url, into);
    if (list->kind == MLIST_ANNOUNCE)
        header_write(into, "List-Post", span_of("NO"));
    else
        write_link(plan, "List-Post", "", "", "", into);
    write_link(plan, "List-Help", "-request", "?subject=help", list->help, into);
    write_link(plan, "List-Owner", "-owner", "", "", into);
    if (list->archive[0] != '\0')
        write_link(plan, "List-Archive", "", "", list->archive, into);
    header_write(into, "Precedence", span_of("list"));
    header_write(into, "X-Loop", span_of(list->address));
}

/* --- the whole --- */

void header_sender(const struct mlist *list, struct buf *into)
{
    buf_put(into, address_local(span_of(list->address)));
    buf_put_text(into, "-bounces+{{bounce_token}}@");
    buf_put(into, address_domain(span_of(list->address)));
}

/* The author's own domain is the list's: its mail aligns, whoever wrote it. */
static bool is_from_here(const struct plan *plan)
{
    struct span domain = address_domain(span_of(plan->offer->author.address.text));
    return span_equals_nocase(domain, plan->domain);
}

static bool has_prefix(const struct offer *offer, const char *prefix)
{
    struct buf subject = {0};
    words_decode(offer->subject, &subject);
    bool has_prefix = span_find_text(buf_span(&subject), span_of(prefix)) < subject.len;
    buf_release(&subject);
    return has_prefix;
}

static void make_plan(struct plan *plan, const struct mlist *list, const struct offer *offer,
                      const struct footer *footer)
{
    *plan                  = (struct plan){.list = list, .offer = offer, .footer = footer};
    plan->local            = address_local(span_of(list->address));
    plan->domain           = address_domain(span_of(list->address));
    plan->munges_from      = list->from == MLIST_FROM_LIST && !is_from_here(plan);
    plan->sets_reply       = plan->munges_from || list->reply != MLIST_REPLY_KEEP;
    plan->adds_prefix      = list->prefix[0] != '\0' && !has_prefix(offer, list->prefix);
    plan->sets_to          = list->to == MLIST_TO_MEMBER && list->merge != 0;
    bool changes_body      = footer->wraps || footer->close.len > 0 || list->merge != 0;
    plan->breaks_signature = plan->sets_reply || plan->adds_prefix || changes_body;
}

static void put_field(const struct header_field *field, struct buf *into)
{
    buf_put(into, field->name);
    buf_put_byte(into, ':');
    buf_put(into, field->value);
    buf_put_text(into, "\r\n");
}

/* A field of the mail that came, as it stood or in its new form. */
static void carry(const struct plan *plan, const struct header_field *field, bool *has_subject,
                  bool *has_to, struct buf *into)
{
    bool is_subject = span_is_nocase(field->name, "Subject");
    bool is_to      = span_is_nocase(field->name, "To");
    if (is_left_out(plan, field->name))
        return;
    if (is_subject && plan->adds_prefix && !*has_subject)
        write_subject(plan, into);
    else if (is_to && plan->sets_to && !*has_to)
        write_to(into);
    else if (span_is_nocase(field->name, "From") && plan->munges_from)
        write_from(plan, into);
    else if (!(is_subject && *has_subject) && !(is_to && *has_to && plan->sets_to))
        put_field(field, into);
    *has_subject = *has_subject || is_subject;
    *has_to      = *has_to || is_to;
}

void header_compose(const struct mlist *list, const struct offer *offer,
                    const struct footer *footer, const char *base_url, struct buf *into)
{
    struct plan plan;
    struct header_field field;
    bool has_subject = false, has_to = false;
    make_plan(&plan, list, offer, footer);
    for (struct span rest = offer->header; header_next(&rest, &field);)
        carry(&plan, &field, &has_subject, &has_to, into);
    if (!has_subject && plan.adds_prefix)
        write_subject(&plan, into);
    if (!has_to && plan.sets_to)
        write_to(into);
    if (plan.sets_reply)
        write_reply_to(&plan, into);
    write_list_fields(&plan, base_url, into);
    if (footer->wraps) {
        buf_put_text(into, "MIME-Version: 1.0\r\n");
        buf_put(into, buf_span(&footer->fields));
    }
    buf_put_text(into, "\r\n");
}
