/* SPDX-License-Identifier: MIT */
/* What is held back, line ends and a space, is written only when something follows it. */
#include "mta/mail/dkim.h"

void dkim_body_begin(struct dkim_body *body, struct digest *digest)
{
    *body = (struct dkim_body){.digest = digest};
    digest_begin(digest);
}

static void add_line_ends(struct dkim_body *body)
{
    static const struct span line_ends = SPAN("\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n");
    while (body->line_ends > 0) {
        struct span some = span_first(line_ends, 2 * body->line_ends);
        digest_add(body->digest, some);
        body->line_ends -= some.len / 2;
    }
}

/* Bytes of a line that are neither space nor line end. */
static void add_text(struct dkim_body *body, struct span text)
{
    add_line_ends(body);
    if (body->has_space)
        digest_add(body->digest, span_of(" "));
    digest_add(body->digest, text);
    body->has_space = false;
    body->has_any   = true;
}

static void end_line(struct dkim_body *body)
{
    body->has_space = false;
    body->line_ends++;
}

/* How far a run goes that has no space to fold: single spaces between words go along with it. */
static size_t text_run(struct span s)
{
    size_t at = 0;
    while (at < s.len) {
        char c = s.at[at];
        if (c == '\r' || c == '\t')
            break;
        if (c == ' ' && (at + 1 == s.len || s.at[at + 1] == ' ' || s.at[at + 1] == '\t' ||
                         s.at[at + 1] == '\r'))
            break;
        at++;
    }
    return at;
}

static bool starts_with_text(struct span s)
{
    return s.at[0] != ' ' && s.at[0] != '\t' && s.at[0] != '\r';
}

/* A CR by itself is text: content in canonical form has none. */
static void add_cr(struct dkim_body *body)
{
    if (body->has_cr)
        add_text(body, span_of("\r"));
    body->has_cr = true;
}

void dkim_body_add(struct dkim_body *body, struct span piece)
{
    while (piece.len > 0) {
        size_t used = 1;
        if (body->has_cr && piece.at[0] == '\n') {
            end_line(body);
            body->has_cr = false;
        } else if (piece.at[0] == '\r') {
            add_cr(body);
        } else {
            if (body->has_cr)
                add_text(body, span_of("\r"));
            body->has_cr = false;
            if (starts_with_text(piece)) {
                used = text_run(piece);
                add_text(body, span_first(piece, used));
            } else {
                body->has_space = true;
            }
        }
        piece = span_skip(piece, used);
    }
}

void dkim_body_end(struct dkim_body *body, unsigned char hash[DIGEST_BYTES])
{
    if (body->has_cr)
        add_text(body, span_of("\r"));
    if (body->has_any) { /* empty lines at the end do not count, but the last line has an end */
        body->line_ends = 1;
        add_line_ends(body);
    }
    digest_end(body->digest, hash);
}

static bool is_fold(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

void dkim_canonical_field(struct span name, struct span value, struct buf *into)
{
    char *at = buf_reserve(into, name.len + 1 + value.len), *start = at;
    name  = span_trim(name);
    value = span_trim(value);
    for (size_t i = 0; i < name.len; i++)
        *at++ = ascii_lower(name.at[i]);
    *at++ = ':';
    for (size_t i = 0; i < value.len; i++) {
        if (!is_fold(value.at[i]))
            *at++ = value.at[i];
        else if (!is_fold(value.at[i - 1]))
            *at++ = ' ';
    }
    into->len += (size_t)(at - start);
}
