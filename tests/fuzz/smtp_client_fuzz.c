/* SPDX-License-Identifier: MIT */
/* A server that says anything: the first bytes choose the session, the rest is what it says. */
#include "smtp_peer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct peer p;
    if (size < 3)
        return 0;
    struct smtp_client_config config = {
        .helo       = "me.example",
        .is_lmtp    = (data[0] & 1) != 0,
        .is_secured = (data[0] & 2) != 0,
        .tls        = (data[0] & 4) != 0 ? SMTP_TLS_OFFERED : SMTP_TLS_NEVER,
        .user       = (data[0] & 8) != 0 ? "user" : NULL,
        .password   = "password",
    };
    peer_init(&p, &config, 1 + data[1] % PEER_RCPTS_MAX);
    peer_hear(&p, span_make((const char *)data + 3, size - 3), 1U + data[2], (data[0] & 16) != 0);
    peer_hang_up(&p);
    return 0;
}
