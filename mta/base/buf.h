/* SPDX-License-Identifier: MIT */
/*
 * Buf: owned, growing bytes.  A zeroed buf is an empty one.  Spans into it hold until the next call
 * that changes it.
 */
#pragma once
#include "mta/base/span.h"

struct buf {
    char *at;
    size_t len, cap;
};

void buf_init(struct buf *b);
void buf_release(struct buf *b); /* and it is empty again */

void buf_clear(struct buf *b); /* keeps the memory */
/* Makes room for 'more' bytes behind the end and returns where they go; set len when they are
 * there. */
char *buf_reserve(struct buf *b, size_t more);
void buf_put(struct buf *b, struct span bytes);
void buf_put_text(struct buf *b, const char *text);
void buf_put_byte(struct buf *b, char byte);
/* In decimal; buf_printf() takes ten times as long. */
void buf_put_number(struct buf *b, uint64_t number);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Drops the first n bytes. */
void buf_drop(struct buf *b, size_t n);
struct span buf_span(const struct buf *b);
/* The text with a NUL behind it (not counted in len). */
const char *buf_text(struct buf *b);
