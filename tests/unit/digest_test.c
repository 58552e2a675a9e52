/* SPDX-License-Identifier: MIT */
#include "mta/mail/digest.h"
#include "tests/unit/check.h"
#include <string.h>

/* FIPS 180-2, appendix B.1. */
static const unsigned char of_abc[DIGEST_BYTES] = {
    0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
    0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};

static void pieces_make_no_difference(void **state)
{
    (void)state;
    static const char *const pieces[][3] = {
        {"abc", "",   ""  },
        {"a",   "",   "bc"},
        {"",    "ab", "c" }
    };
    unsigned char found[DIGEST_BYTES];
    struct digest *digest = digest_new();
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        digest_begin(digest);
        digest_add(digest, span_of("forgotten"));
        digest_begin(digest);
        for (int j = 0; j < 3; j++)
            digest_add(digest, span_of(pieces[i][j]));
        digest_end(digest, found);
        assert_memory_equal(found, of_abc, sizeof found);
    }
    digest_free(digest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_make_no_difference),
    };
    return RUN(tests);
}
