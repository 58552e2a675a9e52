/* SPDX-License-Identifier: MIT */
/*
 * Signers: the DKIM keys of one shard, each a copy that only its thread uses, and what signing
 * needs beside them.  One thread.
 */
#pragma once
#include "mta/mail/dkim.h"

struct signers {
    struct dkim_identity *identities; /* texts are those of the settings */
    size_t count;
    struct digest *digest;
    struct buf text; /* what is signed */
};

/* Copies the keys. */
void signers_open(struct signers *signers, const struct dkim_identity *identities, size_t count);
void signers_release(struct signers *signers);

/*
 * Appends the signatures of the domain nearest to that of From, one for each of its keys; nothing
 * when no domain signs for it.  Arguments as in dkim_sign().
 */
void signers_sign(struct signers *signers, struct span header,
                  const unsigned char body_hash[DIGEST_BYTES], uint64_t wall_ms, struct buf *into);
