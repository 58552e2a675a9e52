/* SPDX-License-Identifier: MIT */
/* Not the real one, whose memory would outlive a crash: as good against bytes that nobody has
 * chosen.
 */
#include "mta/base/mem.h"
#include "mta/mail/digest.h"
#include <string.h>

enum { LANES = DIGEST_BYTES / sizeof(uint64_t) };

struct digest {
    uint64_t lanes[LANES], bytes;
};

struct digest *digest_new(void)
{
    return mem_new(sizeof(struct digest));
}

void digest_free(struct digest *digest)
{
    mem_free(digest);
}

void digest_begin(struct digest *digest)
{
    *digest = (struct digest){0};
}

/* Byte by byte, so that the pieces make no difference. */
void digest_add(struct digest *digest, struct span bytes)
{
    static const uint64_t prime = 0x100000001b3ULL;
    for (size_t i = 0; i < bytes.len; i++) {
        uint64_t *lane = &digest->lanes[digest->bytes++ % LANES];
        *lane          = (*lane ^ (unsigned char)bytes.at[i] ^ digest->bytes) * prime;
    }
}

void digest_end(struct digest *digest, unsigned char into[DIGEST_BYTES])
{
    memcpy(into, digest->lanes, DIGEST_BYTES);
}
