/* SPDX-License-Identifier: MIT */
/* One pass: what is quoted or a comment is stepped over as a whole, and what remains is cut at the
 * characters that mean something in a list. */
#include "mta/mail/addresses.h"
#include <string.h>

enum { COMMENT_DEPTH_MAX = 32 };

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Behind the quoted string that begins at 'at'; one without an end goes to the end. */
static size_t skip_quoted(struct span s, size_t at)
{
    for (at++; at < s.len && s.at[at] != '"'; at++)
        if (s.at[at] == '\\')
            at++;
    return at < s.len ? at + 1 : s.len;
}

/* The same for a comment, which may hold others. */
static size_t skip_comment(struct span s, size_t at)
{
    int depth = 0;
    for (; at < s.len; at++) {
        if (s.at[at] == '\\')
            at++;
        else if (s.at[at] == '(' && ++depth > COMMENT_DEPTH_MAX)
            return s.len;
        else if (s.at[at] == ')' && --depth == 0)
            return at + 1;
    }
    return s.len;
}

/* The index of the next of 'stops' that is neither quoted nor in a comment. */
static size_t find_stop(struct span s, size_t at, const char *stops)
{
    while (at < s.len && memchr(stops, s.at[at], strlen(stops)) == NULL) {
        if (s.at[at] == '"')
            at = skip_quoted(s, at);
        else if (s.at[at] == '(')
            at = skip_comment(s, at);
        else if (s.at[at] == '[') /* a literal holds colons */
            at += span_find(span_skip(s, at), ']') + 1;
        else
            at++;
    }
    return at < s.len ? at : s.len;
}

/* Copies an addr-spec without the white space and comments that may stand between its parts. */
static size_t strip(struct span spec, char *into, size_t cap)
{
    size_t len = 0;
    for (size_t at = 0; at < spec.len;) {
        size_t end = at + 1;
        if (is_space(spec.at[at])) {
            at = end;
            continue;
        }
        if (spec.at[at] == '(') {
            at = skip_comment(spec, at);
            continue;
        }
        if (spec.at[at] == '"')
            end = skip_quoted(spec, at);
        if (end - at > cap - len)
            return cap; /* too long to be one */
        memcpy(into + len, spec.at + at, end - at);
        len += end - at;
        at = end;
    }
    return len;
}

static void read_spec(struct span spec, struct mailbox_entry *entry)
{
    char text[ADDRESS_BYTES_MAX + 2];
    size_t len = strip(spec, text, sizeof text);
    if (len > 0 && text[0] == '@') { /* a source route (RFC 5322 4.4) */
        struct span rest = span_make(text, len);
        size_t colon     = span_find(rest, ':');
        rest             = span_skip(rest, colon + 1);
        entry->error     = address_parse(rest, true, &entry->address);
    } else {
        entry->error = address_parse(span_make(text, len), true, &entry->address);
    }
    if (entry->error != NULL)
        entry->address = (struct address){0};
}

static bool is_blank(struct span s)
{
    char kept[1];
    return strip(s, kept, sizeof kept) == 0;
}

/* One member of the list, without what separates it. */
static void read_mailbox(struct span member, struct mailbox_entry *entry)
{
    size_t open = find_stop(member, 0, "<");
    *entry      = (struct mailbox_entry){
             .name = {"", 0}
    };
    if (open == member.len) {
        read_spec(member, entry);
        return;
    }
    struct span inner = span_skip(member, open + 1);
    size_t close      = find_stop(inner, 0, ">");
    entry->name       = span_trim(span_first(member, open));
    if (close == inner.len || !is_blank(span_skip(inner, close + 1)))
        entry->error = "no '>' at its end";
    else
        read_spec(span_first(inner, close), entry);
}

/* The end of the member that begins at the front of the list: a separator outside '<...>'. */
static size_t member_end(struct span list)
{
    size_t at = find_stop(list, 0, ",;:<");
    if (at < list.len && list.at[at] == '<')
        at = find_stop(list, find_stop(list, at, ">"), ",;");
    return at;
}

bool addresses_next(struct span *list, struct mailbox_entry *entry)
{
    while (list->len > 0) {
        size_t end         = member_end(*list);
        struct span member = span_first(*list, end);
        bool is_group_name = end < list->len && list->at[end] == ':';
        *list              = span_skip(*list, end + 1);
        if (is_group_name || is_blank(member))
            continue;
        read_mailbox(member, entry);
        return true;
    }
    return false;
}

bool addresses_single(struct span list, struct mailbox_entry *entry)
{
    struct mailbox_entry other;
    return addresses_next(&list, entry) && entry->error == NULL && !addresses_next(&list, &other);
}
