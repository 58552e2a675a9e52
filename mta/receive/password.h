/* SPDX-License-Identifier: MIT */
/*
 * Password: what is kept of one instead of it: a hash for who says it (yescrypt by crypt_r), and a
 * verifier for who proves to know it (SCRAM-SHA-256, RFC 7677).  Neither can be made from the
 * other.
 *
 * Texts go through SASLprep first (RFC 4013), so that one password typed on two keyboards is one.
 * Any thread.
 */
#pragma once
#include "mta/base/buf.h"

enum {
    PASSWORD_BYTES_MAX       = 1024,
    PASSWORD_HASH_BYTES      = 384,   /* with its NUL: CRYPT_OUTPUT_SIZE */
    PASSWORD_GENERATED_BYTES = 24,    /* four groups of five, and a NUL */
    SCRAM_ITERATIONS         = 65536, /* of new verifiers; the client's work, once a login */
    SCRAM_ITERATIONS_MIN     = 4096,  /* RFC 7677 4 */
    SCRAM_ITERATIONS_MAX     = 10000000,
    SCRAM_SALT_BYTES         = 16,
    SCRAM_SALT_TEXT_BYTES    = 89, /* base64 of at most 64 bytes, and a NUL */
    SCRAM_KEY_BYTES          = 32,
    SCRAM_KEY_TEXT_BYTES     = 45,
};

struct scram {
    unsigned iterations; /* 0: there is none */
    char salt[SCRAM_SALT_TEXT_BYTES], stored_key[SCRAM_KEY_TEXT_BYTES],
        server_key[SCRAM_KEY_TEXT_BYTES]; /* base64 */
};

/* SASLprep; 'is_new': it will be stored, so no code point may be unassigned.  NULL when good, else
 * why not. */
const char *password_prepare(const char *text, bool is_new, struct buf *into);

/* These take prepared text.  They block: 50 ms and 16 MiB for a hash. */
void password_hash(const char *password, char into[PASSWORD_HASH_BYTES]);
bool password_matches(const char *password, const char *hash);
void password_scram(const char *password, struct scram *into);
void password_scram_of(const char *password, struct span salt, unsigned iterations,
                       struct scram *into);
/* A hash that takes as long and that no password has. */
const char *password_no_hash(void);

/* A hash of a method that crypt(3) knows. */
bool password_hash_is_good(const char *hash);
/* What a user that does not exist is told: the same each time for the same name and key, so that
 * nobody sees that he does not (RFC 5802 5.1 has no word for it). */
void scram_of_nobody(struct span name, struct span key, unsigned iterations, struct scram *into);

/* "SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey" (RFC 5803's form). */
bool scram_parse(struct span text, struct scram *into);
void scram_put(const struct scram *scram, struct buf *into);

/* 100 bits, easy to read out: no letter that looks like another. */
void password_generate(char into[PASSWORD_GENERATED_BYTES]);
/* The compiler must not see that nobody reads it any more. */
void password_wipe(void *bytes, size_t len);
