/* SPDX-License-Identifier: MIT */
/* The key is scheduled once; each MAC starts from a copy of that state. */
#include "mta/mail/token.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

enum {
    MAC_BYTES     = 32,
    TAG_BYTES     = 10,
    LIST_BYTES    = 4,
    SUBJECT_BYTES = 10,
    TOKEN_BYTES   = TAG_BYTES + SUBJECT_BYTES,
    BASE32_BITS   = 5,
};
_Static_assert(TOKEN_BYTES * 8 == TOKEN_CHARS * BASE32_BITS, "no padding");

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

struct tokens {
    EVP_MAC *hmac;
    EVP_MAC_CTX *keyed;
};

struct tokens *tokens_new(const unsigned char key[TOKEN_KEY_BYTES])
{
    char digest[]         = "SHA256";
    OSSL_PARAM params[]   = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                             OSSL_PARAM_construct_end()};
    struct tokens *tokens = mem_new(sizeof *tokens);
    tokens->hmac          = EVP_MAC_fetch(NULL, "HMAC", NULL);
    must(tokens->hmac != NULL);
    tokens->keyed = EVP_MAC_CTX_new(tokens->hmac);
    must(tokens->keyed != NULL && EVP_MAC_init(tokens->keyed, key, TOKEN_KEY_BYTES, params) == 1);
    return tokens;
}

void tokens_free(struct tokens *tokens)
{
    if (tokens == NULL)
        return;
    EVP_MAC_CTX_free(tokens->keyed);
    EVP_MAC_free(tokens->hmac);
    mem_free(tokens);
}

static void mac(struct tokens *tokens, const unsigned char *bytes, size_t len,
                unsigned char into[MAC_BYTES])
{
    size_t written       = 0;
    EVP_MAC_CTX *running = EVP_MAC_CTX_dup(tokens->keyed);
    must(running != NULL && EVP_MAC_update(running, bytes, len) == 1 &&
         EVP_MAC_final(running, into, &written, MAC_BYTES) == 1 && written == MAC_BYTES);
    EVP_MAC_CTX_free(running);
}

static void make_tag(struct tokens *tokens, enum token_purpose purpose,
                     const unsigned char subject[SUBJECT_BYTES], unsigned char into[MAC_BYTES])
{
    unsigned char text[2 + SUBJECT_BYTES] = {'m', (unsigned char)purpose};
    memcpy(text + 2, subject, SUBJECT_BYTES);
    mac(tokens, text, sizeof text, into);
}

/* The same again takes it off. */
static void cover(struct tokens *tokens, const unsigned char tag[TAG_BYTES],
                  unsigned char subject[SUBJECT_BYTES])
{
    unsigned char text[1 + TAG_BYTES] = {'e'}, pad[MAC_BYTES];
    memcpy(text + 1, tag, TAG_BYTES);
    mac(tokens, text, sizeof text, pad);
    for (int i = 0; i < SUBJECT_BYTES; i++)
        subject[i] ^= pad[i];
}

static void write_subject(const struct token_subject *subject, unsigned char into[SUBJECT_BYTES])
{
    must(subject->member >> TOKEN_MEMBER_BITS == 0);
    for (int i = 0; i < LIST_BYTES; i++)
        into[i] = (unsigned char)(subject->list >> (8 * (LIST_BYTES - 1 - i)));
    for (int i = LIST_BYTES; i < SUBJECT_BYTES; i++)
        into[i] = (unsigned char)(subject->member >> (8 * (SUBJECT_BYTES - 1 - i)));
}

static void read_subject(const unsigned char from[SUBJECT_BYTES], struct token_subject *subject)
{
    *subject = (struct token_subject){0};
    for (int i = 0; i < LIST_BYTES; i++)
        subject->list = subject->list << 8 | from[i];
    for (int i = LIST_BYTES; i < SUBJECT_BYTES; i++)
        subject->member = subject->member << 8 | from[i];
}

static void base32_write(const unsigned char bytes[TOKEN_BYTES], char into[TOKEN_CHARS + 1])
{
    for (size_t i = 0; i < TOKEN_CHARS; i++) {
        size_t bit    = i * BASE32_BITS;
        unsigned pair = (unsigned)bytes[bit / 8] << 8;
        if (bit / 8 + 1 < TOKEN_BYTES)
            pair |= bytes[bit / 8 + 1];
        into[i] = alphabet[pair >> (16 - BASE32_BITS - bit % 8) & 31];
    }
    into[TOKEN_CHARS] = '\0';
}

static int base32_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        c = (char)(c - 'A' + 'a');
    const char *at = c == '\0' ? NULL : strchr(alphabet, c);
    return at == NULL ? -1 : (int)(at - alphabet);
}

static bool base32_read(struct span text, unsigned char into[TOKEN_BYTES])
{
    uint64_t bits  = 0;
    unsigned count = 0;
    if (text.len != TOKEN_CHARS)
        return false;
    for (size_t i = 0; i < TOKEN_CHARS; i++) {
        int digit = base32_digit(text.at[i]);
        if (digit < 0)
            return false;
        bits = bits << BASE32_BITS | (unsigned)digit;
        if ((count += BASE32_BITS) >= 8)
            *into++ = (unsigned char)(bits >> (count -= 8));
    }
    return true;
}

void token_make(struct tokens *tokens, enum token_purpose purpose,
                const struct token_subject *subject, char into[TOKEN_CHARS + 1])
{
    unsigned char bytes[TOKEN_BYTES], tag[MAC_BYTES];
    write_subject(subject, bytes + TAG_BYTES);
    make_tag(tokens, purpose, bytes + TAG_BYTES, tag);
    memcpy(bytes, tag, TAG_BYTES);
    cover(tokens, bytes, bytes + TAG_BYTES);
    base32_write(bytes, into);
}

bool token_open(struct tokens *tokens, enum token_purpose purpose, struct span text,
                struct token_subject *subject)
{
    unsigned char bytes[TOKEN_BYTES], tag[MAC_BYTES];
    if (!base32_read(text, bytes))
        return false;
    cover(tokens, bytes, bytes + TAG_BYTES);
    make_tag(tokens, purpose, bytes + TAG_BYTES, tag);
    if (CRYPTO_memcmp(tag, bytes, TAG_BYTES) != 0)
        return false;
    read_subject(bytes + TAG_BYTES, subject);
    return true;
}
