/* SPDX-License-Identifier: MIT */
/* Fields: the parts that rows of listings are made of: members of a JSON object, and quantities in
 * the words of people. */
#pragma once
#include "mta/base/buf.h"

/* Members; the comma is put where one is needed.  An object is begun with '{' by the caller. */
void field_key(struct buf *into, const char *key);
void field_text(struct buf *into, const char *key, const char *text); /* NULL: null */
void field_id(struct buf *into, const char *key, uint64_t message_id);
void field_number(struct buf *into, const char *key, uint64_t number);
void field_bool(struct buf *into, const char *key, bool value);
/* RFC 3339; 0: null. */
void field_time(struct buf *into, const char *key, uint64_t wall_ms);
/* "5.1.1"; "" for 0.0.0. */
void field_status(struct buf *into, const char *key, const unsigned char status[3]);

enum { WORDS_BYTES = 32 };
/* "now", "45s", "12m", "3h 20m", "4d 2h" */
const char *words_duration(uint64_t ms, char into[WORDS_BYTES]);
/* "512 B", "3.2 kB", "1.4 MB" */
const char *words_size(uint64_t bytes, char into[WORDS_BYTES]);
