/* SPDX-License-Identifier: MIT */
/* The algorithm is looked up once, and one context serves all: that costs more than 1 KiB does. */
#include "mta/mail/digest.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include <openssl/evp.h>

struct digest {
    EVP_MD *sha256;
    EVP_MD_CTX *context;
};

struct digest *digest_new(void)
{
    struct digest *digest = mem_new(sizeof *digest);
    digest->sha256        = EVP_MD_fetch(NULL, "SHA256", NULL);
    digest->context       = EVP_MD_CTX_new();
    must(digest->sha256 != NULL && digest->context != NULL);
    return digest;
}

void digest_free(struct digest *digest)
{
    if (digest == NULL)
        return;
    EVP_MD_CTX_free(digest->context);
    EVP_MD_free(digest->sha256);
    mem_free(digest);
}

void digest_begin(struct digest *digest)
{
    must(EVP_DigestInit_ex2(digest->context, digest->sha256, NULL) == 1);
}

void digest_add(struct digest *digest, struct span bytes)
{
    must(EVP_DigestUpdate(digest->context, bytes.at, bytes.len) == 1);
}

void digest_end(struct digest *digest, unsigned char into[DIGEST_BYTES])
{
    unsigned len = DIGEST_BYTES;
    must(EVP_DigestFinal_ex(digest->context, into, &len) == 1 && len == DIGEST_BYTES);
}
