/* SPDX-License-Identifier: MIT */
/*
 * Span: borrowed bytes.  A span is never freed and never ends in a NUL that anybody may rely on;
 * whoever hands one out says until when it holds.  Comparing without case folds ASCII letters only.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const char *at;
    size_t len;
};

/* A span of a string literal, usable as an initialiser. */
#define SPAN(literal)                                                                              \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

/* A span over a NUL-terminated string; NULL gives the empty span. */
static inline struct span span_of(const char *text)
{
    return text == NULL ? (struct span){"", 0} : (struct span){text, strlen(text)};
}
static inline struct span span_make(const char *at, size_t len)
{
    return (struct span){at, len};
}

bool span_equals(struct span a, struct span b);
bool span_equals_nocase(struct span a, struct span b);
bool span_is(struct span s, const char *text);
bool span_is_nocase(struct span s, const char *text);
bool span_starts(struct span s, struct span prefix);
bool span_starts_nocase(struct span s, struct span prefix);
bool span_ends_nocase(struct span s, struct span suffix);

/* < 0, 0, > 0 like memcmp; a prefix sorts before the longer one. */
int span_compare(struct span a, struct span b);

/* The index of the first 'byte', or s.len if there is none. */
static inline size_t span_find(struct span s, char byte)
{
    const char *at = s.len == 0 ? NULL : (const char *)memchr(s.at, byte, s.len);
    return at == NULL ? s.len : (size_t)(at - s.at);
}
/* The index of the first 'needle', or s.len if there is none. */
size_t span_find_text(struct span s, struct span needle);
/* Whether it stands anywhere, without case. */
bool span_has_nocase(struct span s, const char *text);

/* Without the first n bytes; n is clipped to the length. */
static inline struct span span_skip(struct span s, size_t n)
{
    n = n < s.len ? n : s.len;
    return n == 0 ? s : (struct span){s.at + n, s.len - n};
}
/* The first n bytes; n is clipped to the length. */
static inline struct span span_first(struct span s, size_t n)
{
    return (struct span){s.at, n < s.len ? n : s.len};
}
/* Without spaces, tabs, CR and LF at both ends. */
struct span span_trim(struct span s);

/*
 * Takes the part before the next 'byte' out of 's' and moves 's' behind it; without the byte, all
 * of it. false when 's' was empty (and nothing is left to take).
 */
bool span_cut(struct span *s, char byte, struct span *part);

/* Decimal digits only, the whole span, at most 'max'; false otherwise and *value is untouched. */
bool span_to_number(struct span s, uint64_t max, uint64_t *value);

enum { SPAN_NUMBER_BYTES = 20 };
/* In decimal; the span is in 'digits'. */
struct span span_of_number(uint64_t number, char digits[SPAN_NUMBER_BYTES]);
/* The text with a NUL behind it, cut to what 'cap' (> 0) bytes hold. */
void span_copy_text(struct span s, char *into, size_t cap);

/* A seeded hash for tables; not for disk, not for secrets. */
uint64_t span_hash(struct span s, uint64_t seed);
uint64_t span_hash_nocase(struct span s, uint64_t seed);

static inline char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static inline char ascii_upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static inline bool ascii_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool ascii_is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Of a hexadecimal digit in either case; -1: it is none. */
static inline int ascii_hex_value(char c)
{
    if (ascii_is_digit(c))
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static inline bool ascii_is_alnum(char c)
{
    return ascii_is_digit(c) || ascii_is_alpha(c);
}
