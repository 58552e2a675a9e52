/* SPDX-License-Identifier: MIT */
/* Settings: how this machine delivers.  A snapshot: made by main from the configuration, never
 * changed, replaced as a whole on reload. */
#pragma once
#include "mta/sys/net.h"

enum { DELIVER_SOURCES_MAX = 16 };

struct deliver_settings {
    const char *hostname; /* for EHLO */
    uint64_t connect_ms, greeting_ms, command_ms, data_ms, block_ms, end_of_data_ms;
    struct net_address sources[DELIVER_SOURCES_MAX];
    size_t source_count;
    bool allow_loopback; /* an MX may point at this machine or a private net: tests only */
    const char *ca_file; /* NULL: the system's trust store */
};
