/* SPDX-License-Identifier: MIT */
#include "lists/offer.h"
#include "mta/mail/escape.h"
#include "mta/mail/header.h"

/* What stands in the first <>; false: nothing does. */
static bool angle_text(struct span value, struct span *inside)
{
    size_t open = span_find(value, '<');
    *inside     = span_skip(value, open + 1);
    size_t end  = span_find(*inside, '>');
    if (open == value.len || end == inside->len)
        return false;
    *inside = span_trim(span_first(*inside, end));
    return true;
}

/* "dogs.lists.example.org", of the address with a dot for the '@'. */
static bool is_list_id(struct span id, const char *address)
{
    struct span own = span_of(address);
    size_t at       = span_find(own, '@');
    return id.len == own.len && span_equals_nocase(span_first(id, at), span_first(own, at)) &&
           id.at[at] == '.' && span_equals_nocase(span_skip(id, at + 1), span_skip(own, at + 1));
}

/* Our own marks: X-Loop survives other lists, which drop the List-Id before theirs. */
static bool is_own_mark(const struct header_field *field, const struct mlist *list)
{
    struct span inside;
    if (span_is_nocase(field->name, "X-Loop"))
        return span_equals_nocase(span_trim(field->value), span_of(list->address));
    return span_is_nocase(field->name, "List-Id") && angle_text(field->value, &inside) &&
           is_list_id(inside, list->address);
}

/* The word before blanks, ';' and '('. */
static struct span first_word(struct span value)
{
    size_t len = 0;
    value      = span_trim(value);
    while (len < value.len && strchr(" \t\r\n;(", value.at[len]) == NULL)
        len++;
    return span_first(value, len);
}

static void read_submitted(struct offer *o, struct span value)
{
    struct span word = first_word(value);
    if (word.len == 0 || span_is_nocase(word, "no"))
        return;
    o->is_automatic = true;
    o->is_answer    = o->is_answer || !span_is_nocase(word, "auto-generated");
}

/* What those said that came before RFC 3834. */
static void read_precedence(struct offer *o, struct span value)
{
    struct span word = first_word(value);
    if (span_is_nocase(word, "auto_reply") || span_is_nocase(word, "junk"))
        o->is_automatic = o->is_answer = true;
}

static void read_from(struct offer *o, struct span value, unsigned count)
{
    o->has_author = count == 1 && addresses_single(value, &o->author);
}

static void read_message_id(struct offer *o, struct span value)
{
    struct span id;
    if (angle_text(value, &id) && id.len < sizeof o->message_id && utf8_is_printable(id))
        span_copy_text(id, o->message_id, sizeof o->message_id);
}

void offer_read(struct offer *o, struct span header, const struct mlist *list)
{
    struct header_field field;
    unsigned received = 0, from_count = 0;
    *o = (struct offer){.header = header};
    for (struct span rest = header; header_next(&rest, &field);) {
        o->is_loop = o->is_loop || is_own_mark(&field, list);
        if (span_is_nocase(field.name, "From"))
            read_from(o, field.value, ++from_count);
        else if (span_is_nocase(field.name, "Subject") && o->subject.len == 0)
            o->subject = span_trim(field.value);
        else if (span_is_nocase(field.name, "Message-ID") && o->message_id[0] == '\0')
            read_message_id(o, field.value);
        else if (span_is_nocase(field.name, "Auto-Submitted"))
            read_submitted(o, field.value);
        else if (span_is_nocase(field.name, "Precedence"))
            read_precedence(o, field.value);
        else if (span_is_nocase(field.name, "Received"))
            received++;
    }
    o->is_loop = o->is_loop || received >= HEADER_RECEIVED_MAX;
}
