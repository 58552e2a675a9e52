/* SPDX-License-Identifier: MIT */
/* Settings: how this machine delivers.  A snapshot: made by main from the configuration, never
 * changed, replaced as a whole on reload. */
#pragma once
#include "mta/sys/net.h"

enum { DELIVER_SOURCES_MAX = 16 };

struct dkim_identity;

struct deliver_settings {
    const char *hostname; /* for EHLO */
    uint64_t connect_ms, greeting_ms, command_ms, data_ms, block_ms, end_of_data_ms;
    struct net_address sources[DELIVER_SOURCES_MAX];
    size_t source_count;
    bool allow_loopback; /* an MX may point at this machine or a private net: tests only */
    const struct dkim_identity *dkim; /* keys are the snapshot's: each shard signs with copies */
    size_t dkim_count;
    const unsigned char *token_key; /* TOKEN_KEY_BYTES, of the lists; NULL: there are none */
    const char *unsubscribe_url;    /* what a leave token is put behind; "" none */
    const char *ca_file;            /* NULL: the system's trust store */
};
