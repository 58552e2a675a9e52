/* SPDX-License-Identifier: MIT */
/* A compiled message is a row of pieces: literal bytes, then perhaps a hole. */
#include "mta/mail/merge.h"
#include "mta/base/arena.h"
#include "mta/base/mem.h"
#include "mta/mail/header.h"
#include "mta/mail/merge_parts.h"
#include "mta/mail/mime.h"

struct piece {
    struct span literal;
    struct hole *hole; /* NULL: none */
};

struct merge {
    struct buf content;
    struct arena arena; /* holes and their texts */
    struct piece *pieces;
    size_t count, cap;
    size_t body_at; /* the first piece of the body */
    size_t header_bytes;
    size_t holes;
};

/* Where the compiler stands. */
struct compiler {
    struct merge *merge;
    size_t at; /* of the content: what is before it is in pieces */
};

/* --- holes --- */

static bool is_name_byte(char c)
{
    return ascii_is_alnum(c) || c == '_' || c == '-' || c == '.';
}

/* The text between the braces: "name" or "name|fallback". */
static bool read_hole(struct span inside, struct hole *hole)
{
    size_t bar     = span_find(inside, '|');
    hole->name     = span_trim(span_first(inside, bar));
    hole->fallback = span_skip(inside, bar + 1);
    if (hole->name.len == 0 || hole->name.len > MERGE_NAME_BYTES_MAX ||
        hole->fallback.len > MERGE_DEFAULT_BYTES_MAX)
        return false;
    for (size_t i = 0; i < hole->name.len; i++)
        if (!is_name_byte(hole->name.at[i]))
            return false;
    return true;
}

/*
 * A hole at the front of 'text'; its length, or 0.  In quoted-printable a soft line break may stand
 * anywhere, also between the braces: what is read is the decoded form.
 */
static size_t parse_hole(struct span text, const struct hole *like, struct buf *inside,
                         struct hole *hole)
{
    enum { HOLE_BYTES_MAX = 4 + 3 * (MERGE_NAME_BYTES_MAX + MERGE_DEFAULT_BYTES_MAX) };
    struct span window = span_first(text, HOLE_BYTES_MAX);
    size_t close       = span_find_text(window, span_of("}}"));
    size_t bytes       = close + 2;
    if (like->is_quoted_printable) { /* "}=CRLF}" closes as well */
        size_t soft = span_find_text(window, span_of("}=\r\n}"));
        bytes       = soft < close ? soft + 5 : bytes;
        close       = soft < close ? soft : close;
    }
    if (close == window.len)
        return 0;
    struct span raw = span_first(window, close);
    buf_clear(inside);
    mime_decode(like->is_quoted_printable ? MIME_QUOTED_PRINTABLE : MIME_PLAIN, raw, inside);
    size_t open = span_find_text(buf_span(inside), span_of("{{"));
    *hole       = *like;
    if (open != 0 || span_find(buf_span(inside), '\n') < inside->len ||
        !read_hole(span_skip(buf_span(inside), 2), hole))
        return 0;
    return bytes;
}

/* --- the row --- */

static void add_piece(struct compiler *c, size_t to, struct hole *hole)
{
    struct merge *m = c->merge;
    if (m->count == m->cap) {
        m->cap    = m->cap == 0 ? 16 : m->cap * 2;
        m->pieces = mem_resize(m->pieces, m->cap * sizeof *m->pieces);
    }
    struct span literal   = span_first(span_skip(buf_span(&m->content), c->at), to - c->at);
    m->pieces[m->count++] = (struct piece){literal, hole};
    c->at                 = to;
}

static struct hole *keep_hole(struct merge *m, const struct hole *hole)
{
    struct hole *kept = arena_new(&m->arena, sizeof *kept);
    *kept             = *hole;
    kept->name        = span_of(arena_text(&m->arena, hole->name));
    kept->fallback    = span_of(arena_text(&m->arena, hole->fallback));
    m->holes++;
    return kept;
}

static bool is_white(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The rest of its word on both sides, which an encoded word would have to hold as well. */
static void take_word(const struct compiler *c, struct span all, size_t first, size_t start,
                      size_t end, size_t limit, struct hole *hole)
{
    size_t from = start, to = end;
    first = first > c->at ? first : c->at;
    while (from > first && !is_white(all.at[from - 1]))
        from--;
    while (to < limit && !is_white(all.at[to]) &&
           !(all.at[to] == '{' && to + 1 < limit && all.at[to + 1] == '{'))
        to++;
    hole->is_glued = from == c->at && from > 0 && !is_white(all.at[from - 1]);
    hole->prefix   = span_first(span_skip(all, from), start - from);
    hole->suffix   = span_first(span_skip(all, end), to - end);
    if (span_find_text(hole->prefix, span_of("=?")) < hole->prefix.len)
        hole->prefix = span_make(all.at + start, 0);
    if (span_find_text(hole->suffix, span_of("=?")) < hole->suffix.len)
        hole->suffix = span_make(all.at + end, 0);
}

/* Finds the holes in content[from, to), all of which stand where 'like' says. */
static void compile(struct compiler *c, size_t from, size_t to, const struct hole *like)
{
    struct merge *m    = c->merge;
    struct span all    = buf_span(&m->content);
    struct buf inside  = {0};
    const size_t first = from;
    while (from < to && m->holes < MERGE_HOLES_MAX) {
        struct span rest = span_first(span_skip(all, from), to - from);
        size_t start     = from + span_find_text(rest, span_of("{"));
        struct hole hole;
        if (start >= to)
            break;
        rest         = span_first(span_skip(all, start), to - start);
        size_t bytes = parse_hole(rest, like, &inside, &hole);
        from         = start + (bytes == 0 ? 1 : bytes);
        if (bytes == 0)
            continue;
        if (like->place == MERGE_IN_WORDS)
            take_word(c, all, first, start, from, to, &hole);
        add_piece(c, start - hole.prefix.len, keep_hole(m, &hole));
        from += hole.suffix.len;
        c->at = from;
    }
    buf_release(&inside);
}

/* --- what is looked into --- */

static bool is_one_of(struct span name, const char *const *names)
{
    for (; *names != NULL; names++)
        if (span_is_nocase(name, *names))
            return true;
    return false;
}

static void compile_field(struct compiler *c, const struct header_field *field,
                          enum envelope_merge scope)
{
    static const char *const untouched[] = {
        "Received", "Return-Path", "DKIM-Signature", "Authentication-Results", "Message-ID", NULL};
    static const char *const addresses[] = {"From", "To", "Cc", "Reply-To", "Sender", NULL};
    struct span name                     = span_trim(field->name);
    bool is_ours                         = span_starts_nocase(name, span_of("List-"));
    struct hole like                     = {.place = is_ours                      ? MERGE_IN_URL
                                                     : is_one_of(name, addresses) ? MERGE_IN_PHRASE
                                                                                  : MERGE_IN_WORDS};
    size_t from                          = (size_t)(field->value.at - c->merge->content.at);
    if (is_ours || (scope == MERGE_ALL && !is_one_of(name, untouched)))
        compile(c, from, from + field->value.len, &like);
}

/* Whether the part can carry UTF-8. */
static bool carries_utf8(const struct mime_part *part)
{
    struct span type = header_find(part->header, "Content-Type");
    char charset[32];
    return type.at != NULL && mime_parameter(type, "charset", charset, sizeof charset) &&
           span_is_nocase(span_of(charset), "utf-8");
}

static void compile_part(struct compiler *c, const struct mime_part *part)
{
    bool is_html     = span_is(span_of(part->type), "text/html");
    struct hole like = {
        .place               = is_html ? MERGE_IN_HTML : MERGE_IN_TEXT,
        .is_quoted_printable = part->encoding == MIME_QUOTED_PRINTABLE,
        .is_ascii_only       = !carries_utf8(part),
    };
    size_t from  = (size_t)(part->body.at - c->merge->content.at);
    bool is_text = span_starts(span_of(part->type), span_of("text/"));
    if (is_text && (part->encoding == MIME_PLAIN || like.is_quoted_printable))
        compile(c, from, from + part->body.len, &like);
}

static void compile_body(struct compiler *c)
{
    struct mime_walk walk;
    struct mime_part part;
    mime_begin(&walk, buf_span(&c->merge->content));
    while (mime_next(&walk, &part))
        if (part.body.len > 0)
            compile_part(c, &part);
}

struct merge *merge_new(struct span content, enum envelope_merge scope)
{
    struct merge *m   = mem_new(sizeof *m);
    struct compiler c = {.merge = m};
    struct header_field field;
    buf_put(&m->content, content);
    struct span header = buf_span(&m->content);
    header             = header_alone(span_first(header, header_section_bytes(header)));
    m->header_bytes    = header.len;
    while (header_next(&header, &field))
        compile_field(&c, &field, scope);
    add_piece(&c, m->header_bytes, NULL);
    m->body_at = m->count;
    if (scope == MERGE_ALL)
        compile_body(&c);
    add_piece(&c, m->content.len, NULL);
    return m;
}

void merge_free(struct merge *merge)
{
    if (merge == NULL)
        return;
    buf_release(&merge->content);
    arena_release(&merge->arena);
    mem_free(merge->pieces);
    mem_free(merge);
}

size_t merge_memory(const struct merge *merge)
{
    return sizeof *merge + merge->content.cap + merge->arena.bytes +
           merge->cap * sizeof *merge->pieces;
}

bool merge_has_one_body(const struct merge *merge)
{
    return merge->count == merge->body_at + 1;
}

size_t merge_header_bytes(const struct merge *merge)
{
    return merge->header_bytes;
}

/* --- for one recipient --- */

void merge_header(const struct merge *merge, const struct merge_values *values, struct buf *into)
{
    for (size_t i = 0; i < merge->body_at; i++) {
        buf_put(into, merge->pieces[i].literal);
        if (merge->pieces[i].hole != NULL)
            merge_fill(merge->pieces[i].hole, values, into);
    }
}

/* Pieces count double: the literal, then the hole. */
bool merge_body_next(const struct merge *merge, const struct merge_values *values, size_t *at,
                     struct buf *scratch, struct span *bytes)
{
    size_t piece = merge->body_at + *at / 2;
    if (piece >= merge->count)
        return false;
    if ((*at)++ % 2 == 0) {
        *bytes = merge->pieces[piece].literal;
        return true;
    }
    buf_clear(scratch);
    if (merge->pieces[piece].hole != NULL)
        merge_fill(merge->pieces[piece].hole, values, scratch);
    *bytes = buf_span(scratch);
    return true;
}

void merge_text(struct span pattern, const struct merge_values *values, struct buf *into)
{
    static const struct hole like = {.place = MERGE_IN_URL};
    struct buf inside             = {0};
    while (pattern.len > 0) {
        struct hole hole;
        size_t start = span_find_text(pattern, span_of("{{"));
        buf_put(into, span_first(pattern, start));
        pattern      = span_skip(pattern, start);
        size_t bytes = pattern.len == 0 ? 0 : parse_hole(pattern, &like, &inside, &hole);
        if (bytes > 0)
            merge_fill(&hole, values, into);
        else
            buf_put(into, span_first(pattern, 1));
        pattern = span_skip(pattern, bytes > 0 ? bytes : 1);
    }
    buf_release(&inside);
}
