/* SPDX-License-Identifier: MIT */
/*
 * Manuscript: the content of a mail that a user submits, before it becomes ours (RFC 6409 8).  The
 * header is held until it is whole, judged once, and goes on without Bcc and Return-Path and with a
 * Sender where From does not say who sent it; the rest streams by.
 *
 *     manuscript_feed(piece) -> MORE ...
 *                        -> HEADER: manuscript->out, then manuscript->rest, then pieces as they
 * come
 *                        -> REFUSED: manuscript->refusal
 *     manuscript_end()       -> HEADER or REFUSED, if the header was not over yet
 *
 * Pure.
 */
#pragma once
#include "mta/mail/header.h"
#include "mta/receive/users.h"

enum { MANUSCRIPT_TEXT_BYTES = 200 };

struct manuscript_refusal {
    int code; /* 550 */
    char enhanced[12], text[MANUSCRIPT_TEXT_BYTES];
};

struct manuscript {
    struct header_scan scan;
    struct buf held;
    bool is_over;     /* the header went on: pieces are not held any more */
    struct buf out;   /* the header as it goes on */
    struct span rest; /* of what was held, behind it; until the next call */
    struct manuscript_refusal refusal;
};

void manuscript_init(struct manuscript *manuscript);
void manuscript_release(struct manuscript *manuscript);

enum manuscript_step { MANUSCRIPT_MORE, MANUSCRIPT_HEADER, MANUSCRIPT_REFUSED };
/* Canonical content, only while !is_over.  'adds_sender': as the configuration says. */
enum manuscript_step manuscript_feed(struct manuscript *manuscript, struct span piece,
                                     const struct user *user, bool adds_sender);
enum manuscript_step manuscript_end(struct manuscript *manuscript, const struct user *user,
                                    bool adds_sender);
