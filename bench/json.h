/* SPDX-License-Identifier: MIT */
/*
 * Json: what the harness says, written straight into a buffer.  Bytes that are no UTF-8 come out as
 * the characters of the same number (Latin-1), so that a reader gets every byte of a message back
 * where the text is plain, and always gets valid JSON.
 */
#pragma once
#include "mta/base/buf.h"

/* "text", quoted and escaped. */
void json_string(struct buf *out, struct span text);
/* "name":  with a comma before it, unless an object or array has just been opened. */
void json_key(struct buf *out, const char *name);
void json_number(struct buf *out, const char *name, uint64_t value);
void json_text(struct buf *out, const char *name, struct span value);
void json_bool(struct buf *out, const char *name, bool value);
/* A comma, unless an object or array has just been opened or nothing is there. */
void json_comma(struct buf *out);
