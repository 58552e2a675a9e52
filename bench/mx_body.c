/* SPDX-License-Identifier: MIT */
/*
 * A state a byte where lines begin and end, and whole runs in between: 'from' is where the bytes
 * begin that have not been handed on, and only a dot that is taken off, or the end of what was fed,
 * makes a cut.
 */
#include "bench/mx_body.h"
#include <openssl/evp.h>
#include <string.h>

/* Where a step is in what was fed; 'from' is where the bytes begin that were not taken yet. */
struct cursor {
    const char *from, *at, *end;
};

void mx_body_init(struct mx_body *b)
{
    memset(b, 0, sizeof *b);
}

void mx_body_release(struct mx_body *b)
{
    buf_release(&b->header);
    buf_release(&b->whole);
    EVP_MD_CTX_free(b->digest);
}

void mx_body_begin(struct mx_body *b, bool keep, bool hash)
{
    buf_clear(&b->header);
    buf_clear(&b->whole);
    b->state      = MX_BODY_LINE_START;
    b->violations = 0;
    b->in_header  = true;
    b->keep       = keep;
    b->hash       = hash;
    b->has_8bit   = false;
    b->line_bytes = 0;
    b->bytes      = 0;
    if (!hash)
        return;
    bool is_new = b->digest == NULL;
    if (is_new)
        b->digest = EVP_MD_CTX_new();
    EVP_DigestInit_ex(b->digest, is_new ? EVP_sha256() : NULL, NULL); /* looked up once */
}

static void note(struct mx_body *b, enum violation violation)
{
    b->violations |= 1u << violation;
}

/* Where the header section ends in b->header, behind its empty line; 0: not yet. */
static size_t header_end(const struct mx_body *b, size_t search_from)
{
    struct span all = buf_span(&b->header);
    if (span_starts(all, span_of("\r\n")))
        return 2;
    struct span rest = span_skip(all, search_from);
    size_t at        = span_find_text(rest, span_of("\r\n\r\n"));
    return at < rest.len ? search_from + at + 4 : 0;
}

static void take_header(struct mx_body *b, struct span bytes)
{
    size_t before = b->header.len;
    buf_put(&b->header, bytes);
    size_t end = header_end(b, before < 3 ? 0 : before - 3);
    if (end == 0 && b->header.len < MX_BODY_HEADER_BYTES_MAX)
        return;
    b->in_header = false;
    if (end == 0)
        return;
    if (b->hash)
        EVP_DigestUpdate(b->digest, b->header.at + end, b->header.len - end);
    b->header.len = end;
}

/* Content without stuffing goes where it must. */
static void take(struct mx_body *b, const char *from, const char *to)
{
    size_t len = (size_t)(to - from);
    if (len == 0)
        return;
    b->bytes += len;
    if (b->keep)
        buf_put(&b->whole, span_make(from, len));
    if (b->in_header)
        take_header(b, span_make(from, len));
    else if (b->hash)
        EVP_DigestUpdate(b->digest, from, len);
}

enum { WORD_BYTES = sizeof(uint64_t) };

static const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;

/* Not 0 if one of its bytes is. */
static uint64_t zero_in(uint64_t word)
{
    return (word - ones) & ~word & highs;
}

/* A piece of a line without CR and LF at its end. */
struct findings {
    uint64_t has_8bit, has_nul, has_cr; /* not 0: it has */
};

static struct findings look_at(struct span run)
{
    struct findings found = {0};
    uint64_t word;
    size_t i = 0;
    for (; i + WORD_BYTES <= run.len; i += WORD_BYTES) {
        memcpy(&word, run.at + i, WORD_BYTES);
        found.has_8bit |= word & highs;
        found.has_nul |= zero_in(word);
        found.has_cr |= zero_in(word ^ ones * '\r');
    }
    for (; i < run.len; i++) {
        found.has_8bit |= (uint8_t)run.at[i] & highs;
        found.has_nul |= run.at[i] == '\0';
        found.has_cr |= run.at[i] == '\r';
    }
    return found;
}

/* A piece of a line without CR and LF. */
static void inspect(struct mx_body *b, struct span run)
{
    struct findings found = look_at(run);
    b->has_8bit |= found.has_8bit != 0;
    if (found.has_nul != 0)
        note(b, VIOLATION_nul);
    b->line_bytes += run.len;
}

static void end_line(struct mx_body *b)
{
    if (b->line_bytes + 2 > MX_BODY_LINE_BYTES_MAX)
        note(b, VIOLATION_line_too_long);
    b->line_bytes = 0;
}

/* The bytes of 'rest' before the next CR or LF. */
static size_t run_length(struct span rest)
{
    size_t cr = span_find(rest, '\r');
    size_t lf = span_find(span_first(rest, cr), '\n');
    return lf;
}

/* The rest of a line as it should be, with CRLF at its end; false: it is not, or not all of it is
 * there. */
static bool take_line(struct mx_body *b, struct cursor *c, struct span rest)
{
    size_t lf = span_find(rest, '\n');
    if (lf == 0 || lf == rest.len || rest.at[lf - 1] != '\r')
        return false;
    struct span line      = span_first(rest, lf - 1);
    struct findings found = look_at(line);
    if ((found.has_cr | found.has_nul) != 0)
        return false;
    b->has_8bit |= found.has_8bit != 0;
    b->line_bytes += line.len;
    end_line(b);
    b->state = MX_BODY_LINE_START;
    c->at += lf + 1;
    return true;
}

/* In the middle of a line. */
static void step_text(struct mx_body *b, struct cursor *c)
{
    struct span rest = span_make(c->at, (size_t)(c->end - c->at));
    if (take_line(b, c, rest))
        return;
    size_t run = run_length(rest);
    inspect(b, span_first(rest, run));
    c->at += run;
    if (run == rest.len)
        return;
    if (*c->at++ == '\r') {
        b->state = MX_BODY_CR;
        return;
    }
    note(b, VIOLATION_bare_lf); /* and only CRLF begins a line at which a dot counts */
    end_line(b);
}

static void step_cr(struct mx_body *b, struct cursor *c)
{
    if (*c->at == '\n') {
        c->at++;
        end_line(b);
        b->state = MX_BODY_LINE_START;
        return;
    }
    note(b, VIOLATION_bare_cr);
    b->state = MX_BODY_TEXT;
}

/* A dot here is not part of the content. */
static void step_line_start(struct mx_body *b, struct cursor *c)
{
    b->state = MX_BODY_TEXT;
    if (*c->at != '.')
        return;
    take(b, c->from, c->at);
    c->from  = ++c->at;
    b->state = MX_BODY_DOT;
}

static void step_dot(struct mx_body *b, struct cursor *c)
{
    if (*c->at == '\r') {
        c->at++;
        b->state = MX_BODY_DOT_CR; /* held back: it may be the end */
        return;
    }
    if (*c->at != '.')
        note(b, VIOLATION_dot_not_stuffed);
    b->state = MX_BODY_TEXT;
}

static void step_dot_cr(struct mx_body *b, struct cursor *c)
{
    if (*c->at == '\n') {
        c->at++;
        c->from  = c->at;
        b->state = MX_BODY_ENDED;
        return;
    }
    note(b, VIOLATION_dot_not_stuffed);
    note(b, VIOLATION_bare_cr);
    take(b, "\r", "\r" + 1);
    c->from  = c->at;
    b->state = MX_BODY_TEXT;
}

typedef void step_fn(struct mx_body *b, struct cursor *c);

static step_fn *const steps[MX_BODY_ENDED] = {
    [MX_BODY_LINE_START] = step_line_start,
    [MX_BODY_DOT]        = step_dot,
    [MX_BODY_DOT_CR]     = step_dot_cr,
    [MX_BODY_TEXT]       = step_text,
    [MX_BODY_CR]         = step_cr,
};

size_t mx_body_feed(struct mx_body *b, struct span bytes)
{
    struct cursor c = {bytes.at, bytes.at, bytes.at + bytes.len};
    while (c.at < c.end && b->state != MX_BODY_ENDED)
        steps[b->state](b, &c);
    if (b->state != MX_BODY_DOT && b->state != MX_BODY_DOT_CR)
        take(b, c.from, c.at);
    return (size_t)(c.at - bytes.at);
}

void mx_body_feed_chunk(struct mx_body *b, struct span bytes)
{
    struct cursor c = {bytes.at, bytes.at, bytes.at + bytes.len};
    while (c.at < c.end) {
        if (b->state == MX_BODY_LINE_START)
            b->state = MX_BODY_TEXT; /* dots mean nothing here */
        steps[b->state](b, &c);
    }
    take(b, c.from, c.at);
}

void mx_body_end(struct mx_body *b, uint8_t sha256[LEDGER_SHA256_BYTES])
{
    memset(sha256, 0, LEDGER_SHA256_BYTES);
    if (b->hash)
        EVP_DigestFinal_ex(b->digest, sha256, NULL);
}

struct span mx_body_field(const struct mx_body *b, const char *name)
{
    struct span rest = buf_span(&b->header), line;
    while (span_cut(&rest, '\n', &line)) {
        size_t colon = span_find(line, ':');
        if (colon == line.len || !span_is_nocase(span_trim(span_first(line, colon)), name))
            continue;
        struct span value = span_trim(span_skip(line, colon + 1));
        if (value.len == 0 && rest.len > 0 && (rest.at[0] == ' ' || rest.at[0] == '\t'))
            value = span_trim(span_first(rest, span_find(rest, '\n'))); /* folded at once */
        return value;
    }
    return span_make("", 0);
}
