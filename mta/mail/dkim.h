/* SPDX-License-Identifier: MIT */
/*
 * Dkim: signs a message as it leaves (RFC 6376; RFC 8463 for Ed25519), relaxed/relaxed.  The body
 * is hashed as it streams by, once where it is the same for many recipients; the header section is
 * signed once for each variant.
 *
 * Every field of the table in dkim.c that is there is signed, all of its instances; most are
 * oversigned (named once more than they occur), so that none can be added behind our back
 * (RFC 6376 8.15).
 */
#pragma once
#include "mta/base/buf.h"
#include "mta/mail/digest.h"

/* --- keys (dkim_key.c) --- */

enum dkim_algorithm { DKIM_RSA_SHA256, DKIM_ED25519_SHA256, DKIM_ALGORITHMS };

enum {
    DKIM_RSA_BITS_MIN        = 1024, /* RFC 8301 3.2: less must not be used */
    DKIM_RSA_BITS_DEFAULT    = 2048,
    DKIM_RSA_BITS_MAX        = 4096,
    DKIM_SIGNATURE_BYTES_MAX = DKIM_RSA_BITS_MAX / 8,
};

struct dkim_key;

/* A private key in PEM form.  NULL: it is none, or none that may sign; why is in 'error'. */
struct dkim_key *dkim_key_read(struct span pem, struct buf *error);
/* 'rsa_bits' is not looked at for Ed25519. */
struct dkim_key *dkim_key_generate(enum dkim_algorithm algorithm, unsigned rsa_bits);
/* The same key for another thread: each signs with its own. */
struct dkim_key *dkim_key_copy(const struct dkim_key *key);
void dkim_key_free(struct dkim_key *key); /* NULL is fine */

enum dkim_algorithm dkim_key_algorithm(const struct dkim_key *key);
unsigned dkim_key_bits(const struct dkim_key *key);
/* PEM (PKCS #8, not encrypted): a secret. */
void dkim_key_write(const struct dkim_key *key, struct buf *into);
/* What the DNS must say at SELECTOR._domainkey.DOMAIN: "v=DKIM1; k=rsa; p=..." */
void dkim_key_write_record(const struct dkim_key *key, struct buf *into);
/* Signs the SHA-256 of something; returns the length. */
size_t dkim_key_sign(struct dkim_key *key, const unsigned char hash[DIGEST_BYTES],
                     unsigned char into[DKIM_SIGNATURE_BYTES_MAX]);

/* --- canonical forms (dkim_canon.c) --- */

/* The relaxed form of a body (RFC 6376 3.4.4) on its way into a hash.  Pieces are cut anywhere. */
struct dkim_body {
    struct digest *digest; /* the caller's, in use until the end */
    size_t line_ends;      /* held back: they may be the last ones */
    bool has_space;        /* held back: it may stand at the end of a line */
    bool has_cr;
    bool has_any;
};

void dkim_body_begin(struct dkim_body *body, struct digest *digest);
void dkim_body_add(struct dkim_body *body, struct span piece);
void dkim_body_end(struct dkim_body *body, unsigned char hash[DIGEST_BYTES]);

/* The relaxed form of a field (RFC 6376 3.4.2) without a line end. */
void dkim_canonical_field(struct span name, struct span value, struct buf *into);

/* --- signing (dkim.c) --- */

/* Whose signature it is.  Texts are the owner's. */
struct dkim_identity {
    const char *domain, *selector; /* d= and s=, A-labels */
    struct dkim_key *key;          /* of the thread that signs */
};

/* Whether this domain signs for mail from 'from_domain': it is that, or above it. */
bool dkim_signs_for(const char *domain, struct span from_domain);
/* The domain of the From field, if it has exactly one mailbox: else at == NULL. 'into' holds what
 * is returned. */
struct span dkim_from_domain(struct span header, char into[256]);

/*
 * Appends a DKIM-Signature field for the message with that header section (canonical CRLF form, as
 * it is sent, without the empty line) and body hash.  It goes in front of the header.  'digest' is
 * used, and 'scratch' holds the signed text.
 */
void dkim_sign(const struct dkim_identity *identity, struct span header,
               const unsigned char body_hash[DIGEST_BYTES], uint64_t wall_ms, struct digest *digest,
               struct buf *scratch, struct buf *into);
