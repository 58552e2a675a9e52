/* SPDX-License-Identifier: MIT */
/*
 * What a reader takes for the author must be the user's to use: all of From, and Sender.  A header
 * that two readers may understand in two ways (two From fields, a line that is no field) is
 * refused, not repaired.
 */
#include "mta/receive/manuscript.h"
#include "mta/base/fault.h"
#include "mta/mail/addresses.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void manuscript_init(struct manuscript *l)
{
    *l = (struct manuscript){0};
    header_scan_init(&l->scan);
}

void manuscript_release(struct manuscript *l)
{
    buf_release(&l->held);
    buf_release(&l->out);
    *l = (struct manuscript){0};
}

__attribute__((format(printf, 3, 4))) static bool refuse(struct manuscript *l, const char *enhanced,
                                                         const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(l->refusal.text, sizeof l->refusal.text, format, args);
    va_end(args);
    (void)snprintf(l->refusal.enhanced, sizeof l->refusal.enhanced, "%s", enhanced);
    l->refusal.code = 550;
    return false;
}

/* --- judging --- */

/* What judging has found. */
struct author {
    unsigned from_fields, sender_fields, mailboxes;
    bool is_own; /* the user's own address is in From */
};

static bool is_same(struct span address, const char *own)
{
    return own != NULL && span_equals_nocase(address, span_of(own));
}

/* Every mailbox of the field may be used by him. */
static bool judge_mailboxes(struct manuscript *l, const char *name, struct span value,
                            const struct user *user, struct author *author)
{
    struct mailbox_entry entry;
    unsigned count = 0;
    while (addresses_next(&value, &entry)) {
        struct span address = span_make(entry.address.text, entry.address.len);
        count++;
        if (entry.error != NULL)
            return refuse(l, "5.6.0", "the address in %s cannot be used: %s", name, entry.error);
        if (!user_may_send_as(user, address))
            return refuse(l, "5.7.1", "you may not send as <%.*s> (in %s)", (int)address.len,
                          address.at, name);
        author->is_own = author->is_own || is_same(address, user_own_address(user));
    }
    author->mailboxes = count;
    return count > 0 || refuse(l, "5.6.0", "there is no address in %s", name);
}

static bool judge_sender(struct manuscript *l, struct span value, const struct user *user)
{
    struct author ignored = {0};
    return judge_mailboxes(l, "Sender", value, user, &ignored) &&
           (ignored.mailboxes == 1 || refuse(l, "5.6.0", "Sender must be one address"));
}

static bool judge_field(struct manuscript *l, const struct header_field *field,
                        const struct user *user, struct author *author)
{
    if (span_is_nocase(field->name, "From"))
        return (++author->from_fields == 1 || refuse(l, "5.6.0", "there are two From fields")) &&
               judge_mailboxes(l, "From", field->value, user, author);
    if (span_is_nocase(field->name, "Sender"))
        return (++author->sender_fields == 1 ||
                refuse(l, "5.6.0", "there are two Sender fields")) &&
               judge_sender(l, field->value, user);
    return true;
}

static bool judge(struct manuscript *l, struct span header, const struct user *user,
                  struct author *author)
{
    struct header_field field;
    if (l->scan.is_malformed)
        return refuse(l, "5.6.0", "the header holds a line that is no field");
    while (header_next(&header, &field))
        if (!judge_field(l, &field, user, author))
            return false;
    return author->from_fields == 1 || refuse(l, "5.6.0", "there is no From field");
}

/* --- writing it anew --- */

static bool is_dropped(struct span name)
{
    static const char *const names[] = {"Bcc", "Resent-Bcc", "Return-Path"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (span_is_nocase(name, names[i]))
            return true;
    return false;
}

/* RFC 5322 3.6.2: several authors need a Sender; and RFC 6409 8.1 lets us name who has sent. */
static void put_sender(struct manuscript *l, const struct user *user, const struct author *author,
                       bool adds_sender)
{
    const char *own = user_own_address(user);
    bool is_needed  = author->mailboxes > 1 || (adds_sender && !author->is_own);
    if (author->sender_fields == 0 && own != NULL && is_needed)
        header_write(&l->out, "Sender", span_of(own));
}

static void rewrite(struct manuscript *l, struct span header)
{
    struct header_field field;
    struct span rest = header;
    for (const char *start = rest.at; header_next(&rest, &field); start = rest.at)
        if (!is_dropped(field.name))
            buf_put(&l->out, span_make(start, (size_t)(rest.at - start)));
    buf_put(&l->out, rest); /* the empty line */
}

/* 'bytes' of what is held are the header. */
static enum manuscript_step finish(struct manuscript *l, size_t bytes, const struct user *user,
                                   bool adds_sender)
{
    struct author author = {0};
    struct span header   = span_first(buf_span(&l->held), bytes);
    l->is_over           = true;
    if (!judge(l, header, user, &author))
        return MANUSCRIPT_REFUSED;
    put_sender(l, user, &author, adds_sender);
    rewrite(l, header);
    l->rest = span_skip(buf_span(&l->held), bytes);
    return MANUSCRIPT_HEADER;
}

enum manuscript_step manuscript_feed(struct manuscript *l, struct span piece,
                                     const struct user *user, bool adds_sender)
{
    must(!l->is_over);
    header_scan_feed(&l->scan, piece);
    buf_put(&l->held, piece);
    if (l->scan.is_over)
        return finish(l, (size_t)l->scan.bytes, user, adds_sender);
    if (l->held.len <= HEADER_BYTES_MAX && l->scan.field_count <= HEADER_FIELDS_MAX)
        return MANUSCRIPT_MORE;
    l->is_over = true;
    (void)refuse(l, "5.6.0", "the header is too large");
    return MANUSCRIPT_REFUSED;
}

enum manuscript_step manuscript_end(struct manuscript *l, const struct user *user, bool adds_sender)
{
    return l->is_over ? MANUSCRIPT_HEADER : finish(l, l->held.len, user, adds_sender);
}
