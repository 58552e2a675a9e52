/* SPDX-License-Identifier: MIT */
/* A client that says anything: waiting after each line the cut must not matter; and all at once. */
#include "smtp_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct host whole, cut, blast;
    if (size < 2)
        return 0;
    struct span bytes                = span_make((const char *)data + 2, size - 2);
    struct smtp_server_config config = {
        .hostname          = "mx.example",
        .offer             = (1U << SMTP_EXT_COUNT) - 1,
        .message_bytes_max = 1000,
        .rcpts_max         = 10,
        .errors_max        = 10,
        .junk_max          = 10,
        .refuses_bare      = (data[0] & 1) != 0,
        .auth              = (data[0] & 2) != 0 ? "PLAIN LOGIN SCRAM-SHA-256" : NULL,
        .needs_auth        = (data[0] & 4) != 0,
    };
    host_init(&whole, &config);
    host_init(&cut, &config);
    host_init(&blast, &config);
    whole.server.is_secured = cut.server.is_secured = blast.server.is_secured = (data[0] & 8) != 0;
    host_hear(&whole, bytes, SIZE_MAX, true);
    host_hear(&cut, bytes, 1U + data[1] % 16, true);
    host_hear(&blast, bytes, 1U + data[1], false);
    must(span_equals(buf_span(&whole.log), buf_span(&cut.log)));
    must(span_equals(buf_span(&whole.out), buf_span(&cut.out)));
    host_release(&whole);
    host_release(&cut);
    host_release(&blast);
    return 0;
}
