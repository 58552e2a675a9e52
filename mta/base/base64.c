/* SPDX-License-Identifier: MIT */
#include "mta/base/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

enum { GROUP_CHARS = 4, GROUP_BYTES = 3, CHAR_BITS = 6, NO_DIGIT = 64 };

void base64_put(struct buf *into, struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i += GROUP_BYTES) {
        unsigned group = 0;
        for (size_t k = 0; k < GROUP_BYTES; k++)
            group = group << 8 | (i + k < bytes.len ? (unsigned char)bytes.at[i + k] : 0U);
        for (size_t k = 0; k < GROUP_CHARS; k++)
            buf_put_byte(into,
                         i + k > bytes.len ? '=' : digits[group >> (18 - CHAR_BITS * k) & 63]);
    }
}

static unsigned value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (unsigned)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (unsigned)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0') + 52;
    return c == '+' ? 62 : c == '/' ? 63 : NO_DIGIT;
}

/* How many of the last group's characters are '='; more than two are not taken for that. */
static size_t padding_of(struct span text)
{
    size_t n = 0;
    while (n < 2 && n < text.len && text.at[text.len - 1 - n] == '=')
        n++;
    return n;
}

bool base64_is_good(struct span text)
{
    size_t padding = padding_of(text), count = text.len - padding;
    if (text.len % GROUP_CHARS != 0)
        return false;
    for (size_t i = 0; i < count; i++)
        if (value_of(text.at[i]) == NO_DIGIT)
            return false;
    unsigned unused = padding == 0 ? 0 : padding == 1 ? 3 : 15; /* bits of the last digit */
    return count == 0 ? padding == 0 : (value_of(text.at[count - 1]) & unused) == 0;
}

bool base64_take(struct span text, struct buf *into)
{
    size_t padding = padding_of(text);
    if (!base64_is_good(text))
        return false;
    for (size_t i = 0; i < text.len; i += GROUP_CHARS) {
        unsigned group = 0;
        for (size_t k = 0; k < GROUP_CHARS; k++) {
            unsigned value = value_of(text.at[i + k]);
            group          = group << CHAR_BITS | (value == NO_DIGIT ? 0 : value);
        }
        size_t bytes = i + GROUP_CHARS < text.len ? GROUP_BYTES : GROUP_BYTES - padding;
        for (size_t k = 0; k < bytes; k++)
            buf_put_byte(into, (char)(group >> (16 - 8 * k) & 255));
    }
    return true;
}
