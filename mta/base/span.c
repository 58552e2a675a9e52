/* SPDX-License-Identifier: MIT */
#include "mta/base/span.h"
#include <string.h>
#include <xxhash.h>

bool span_equals(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

bool span_equals_nocase(struct span a, struct span b)
{
    return a.len == b.len && span_starts_nocase(a, b);
}

bool span_is(struct span s, const char *text)
{
    return span_equals(s, span_of(text));
}

bool span_is_nocase(struct span s, const char *text)
{
    return span_equals_nocase(s, span_of(text));
}

bool span_starts(struct span s, struct span prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.at, prefix.at, prefix.len) == 0);
}

bool span_starts_nocase(struct span s, struct span prefix)
{
    if (s.len < prefix.len)
        return false;
    for (size_t i = 0; i < prefix.len; i++)
        if (ascii_lower(s.at[i]) != ascii_lower(prefix.at[i]))
            return false;
    return true;
}

bool span_ends_nocase(struct span s, struct span suffix)
{
    return s.len >= suffix.len && span_equals_nocase(span_skip(s, s.len - suffix.len), suffix);
}

int span_compare(struct span a, struct span b)
{
    size_t n  = a.len < b.len ? a.len : b.len;
    int order = n == 0 ? 0 : memcmp(a.at, b.at, n);
    if (order != 0)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

size_t span_find_text(struct span s, struct span needle)
{
    if (needle.len == 0)
        return 0;
    const char *at = s.len == 0 ? NULL : memmem(s.at, s.len, needle.at, needle.len);
    return at == NULL ? s.len : (size_t)(at - s.at);
}

bool span_has_nocase(struct span s, const char *text)
{
    struct span wanted = span_of(text);
    for (size_t i = 0; i + wanted.len <= s.len; i++)
        if (span_equals_nocase(span_make(s.at + i, wanted.len), wanted))
            return true;
    return false;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct span span_trim(struct span s)
{
    while (s.len > 0 && is_blank(s.at[s.len - 1]))
        s.len--;
    while (s.len > 0 && is_blank(*s.at))
        s = span_skip(s, 1);
    return s;
}

bool span_cut(struct span *s, char byte, struct span *part)
{
    if (s->len == 0)
        return false;
    size_t n = span_find(*s, byte);
    *part    = span_first(*s, n);
    *s       = span_skip(*s, n + 1);
    return true;
}

bool span_to_number(struct span s, uint64_t max, uint64_t *value)
{
    uint64_t number = 0;
    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned)(s.at[i] - '0');
        if (!ascii_is_digit(s.at[i]) || digit > max || number > (max - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *value = number;
    return true;
}

struct span span_of_number(uint64_t number, char digits[SPAN_NUMBER_BYTES])
{
    char *end = digits + SPAN_NUMBER_BYTES, *first = end;
    do
        *--first = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    return span_make(first, (size_t)(end - first));
}

void span_copy_text(struct span s, char *into, size_t cap)
{
    struct span kept = span_first(s, cap - 1);
    memcpy(into, kept.at, kept.len);
    into[kept.len] = '\0';
}

uint64_t span_hash(struct span s, uint64_t seed)
{
    return XXH3_64bits_withSeed(s.at, s.len, seed);
}

uint64_t span_hash_nocase(struct span s, uint64_t seed)
{
    char folded[256];
    uint64_t hash = seed;
    while (s.len > 0) {
        size_t n = s.len < sizeof folded ? s.len : sizeof folded;
        for (size_t i = 0; i < n; i++)
            folded[i] = ascii_lower(s.at[i]);
        hash = XXH3_64bits_withSeed(folded, n, hash);
        s    = span_skip(s, n);
    }
    return hash;
}
