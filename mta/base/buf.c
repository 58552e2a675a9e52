/* SPDX-License-Identifier: MIT */
#include "mta/base/buf.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { BUF_BYTES_MIN = 64 };

void buf_init(struct buf *b)
{
    *b = (struct buf){0};
}

void buf_release(struct buf *b)
{
    mem_free(b->at);
    buf_init(b);
}

void buf_clear(struct buf *b)
{
    b->len = 0;
}

char *buf_reserve(struct buf *b, size_t more)
{
    must(more < SIZE_MAX / 4 && b->len < SIZE_MAX / 4);
    if (b->cap - b->len < more) {
        size_t cap = b->cap < BUF_BYTES_MIN ? BUF_BYTES_MIN : b->cap;
        while (cap - b->len < more)
            cap *= 2;
        b->at  = mem_resize(b->at, cap);
        b->cap = cap;
    }
    return b->at + b->len;
}

void buf_put(struct buf *b, struct span bytes)
{
    if (bytes.len == 0)
        return;
    memcpy(buf_reserve(b, bytes.len), bytes.at, bytes.len);
    b->len += bytes.len;
}

void buf_put_text(struct buf *b, const char *text)
{
    buf_put(b, span_of(text));
}

void buf_put_byte(struct buf *b, char byte)
{
    *buf_reserve(b, 1) = byte;
    b->len++;
}

void buf_put_number(struct buf *b, uint64_t number)
{
    char digits[SPAN_NUMBER_BYTES];
    buf_put(b, span_of_number(number, digits));
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    must(len >= 0);
    char *at = buf_reserve(b, (size_t)len + 1);
    va_start(args, format);
    (void)vsnprintf(at, (size_t)len + 1, format, args);
    va_end(args);
    b->len += (size_t)len;
}

void buf_drop(struct buf *b, size_t n)
{
    must(n <= b->len);
    b->len -= n;
    if (b->len > 0)
        memmove(b->at, b->at + n, b->len);
}

struct span buf_span(const struct buf *b)
{
    return b->len == 0 ? (struct span){"", 0} : (struct span){b->at, b->len};
}

const char *buf_text(struct buf *b)
{
    *buf_reserve(b, 1) = '\0';
    return b->at;
}
