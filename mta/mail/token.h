/* SPDX-License-Identifier: MIT */
/*
 * Token: what names a member of a list to us and to nobody else: in a return path, a one-click URL,
 * a leave address.  It can be neither forged nor guessed, tells neither the address nor the number
 * of the member, and stays the same from post to post, because greylisting keys on the sender
 * (mailman.md 5).
 *
 * 32 characters of lower-case base32 (RFC 4648 6), 20 bytes: a tag, the first 10 of
 * HMAC-SHA256(key, 'm' purpose list member), and list (4) and member (6 bytes, both big-endian)
 * under the first 10 of HMAC-SHA256(key, 'e' tag).  The tag is initial vector and proof in one (the
 * construction of RFC 5297), so what is made up passes once in 2^80 tries.
 *
 * One thread for each struct tokens.
 */
#pragma once
#include "mta/base/span.h"
#include <stdbool.h>

enum {
    TOKEN_KEY_BYTES   = 32,
    TOKEN_CHARS       = 32,
    TOKEN_MEMBER_BITS = 48,
};

/* What it is good for; one made for one purpose opens for no other. */
enum token_purpose {
    TOKEN_BOUNCE  = 'b', /* the return path */
    TOKEN_LEAVE   = 'u', /* one-click unsubscribing, and the leave address */
    TOKEN_CONFIRM = 'c', /* a sign-up, or a change, that waits for its owner's word */
};

struct token_subject {
    uint32_t list;
    uint64_t member; /* below 2^TOKEN_MEMBER_BITS */
};

struct tokens;

/* The key is copied. */
struct tokens *tokens_new(const unsigned char key[TOKEN_KEY_BYTES]);
void tokens_free(struct tokens *tokens); /* NULL is fine */

/* 'into' becomes TOKEN_CHARS characters and a NUL. */
void token_make(struct tokens *tokens, enum token_purpose purpose,
                const struct token_subject *subject, char into[TOKEN_CHARS + 1]);
/* Upper case is read as well: some mail systems change the case of a local part.  false: none of
 * ours, or for another purpose. */
bool token_open(struct tokens *tokens, enum token_purpose purpose, struct span text,
                struct token_subject *subject);
