/* SPDX-License-Identifier: MIT */
/*
 * Digest: the SHA-256 of bytes that come in pieces: what tells one content from another, also when
 * somebody chooses them.
 */
#pragma once
#include "mta/base/span.h"

enum { DIGEST_BYTES = 32 };

struct digest;

struct digest *digest_new(void);
void digest_free(struct digest *digest); /* NULL is fine */
/* Forgets what was added before. */
void digest_begin(struct digest *digest);
void digest_add(struct digest *digest, struct span bytes);
void digest_end(struct digest *digest, unsigned char into[DIGEST_BYTES]);
