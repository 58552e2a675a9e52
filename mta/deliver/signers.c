/* SPDX-License-Identifier: MIT */
#include "mta/deliver/signers.h"
#include "mta/base/mem.h"

void signers_open(struct signers *signers, const struct dkim_identity *identities, size_t count)
{
    *signers            = (struct signers){.count = count, .digest = digest_new()};
    signers->identities = mem_new_array(count, sizeof *identities);
    for (size_t i = 0; i < count; i++) {
        signers->identities[i]     = identities[i];
        signers->identities[i].key = dkim_key_copy(identities[i].key);
    }
}

void signers_release(struct signers *signers)
{
    for (size_t i = 0; i < signers->count; i++)
        dkim_key_free(signers->identities[i].key);
    mem_free(signers->identities);
    digest_free(signers->digest);
    buf_release(&signers->text);
    *signers = (struct signers){0};
}

/* NULL: nobody signs for it. */
static const char *nearest(const struct signers *signers, struct span from_domain)
{
    const char *found = NULL;
    for (size_t i = 0; i < signers->count; i++) {
        const char *domain = signers->identities[i].domain;
        if (dkim_signs_for(domain, from_domain) &&
            (found == NULL || span_of(domain).len > span_of(found).len))
            found = domain;
    }
    return found;
}

void signers_sign(struct signers *signers, struct span header,
                  const unsigned char body_hash[DIGEST_BYTES], uint64_t wall_ms, struct buf *into)
{
    char text[256];
    struct span from_domain = dkim_from_domain(header, text);
    const char *domain      = from_domain.at == NULL ? NULL : nearest(signers, from_domain);
    for (size_t i = 0; domain != NULL && i < signers->count; i++)
        if (span_is_nocase(span_of(domain), signers->identities[i].domain))
            dkim_sign(&signers->identities[i], header, body_hash, wall_ms, signers->digest,
                      &signers->text, into);
}
