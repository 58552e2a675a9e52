/* SPDX-License-Identifier: MIT */
/*
 * Addresses as text and as sets.  Pure: no socket, no look-up.  What is private decides whom we
 * refuse to dial, so an address that hides an IPv4 one (mapped, NAT64, 6to4) is judged by that.
 */
#include "mta/sys/net.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum { IPV4_BITS = 32, IPV6_BITS = 128, MAPPED_BITS = 96, PORT_MAX = 65535 };

enum status net_address_parse(struct span text, struct net_address *address)
{
    char copy[INET6_ADDRSTRLEN];
    struct net_address parsed = {0};
    bool is_bracketed         = text.len > 2 && text.at[0] == '[' && text.at[text.len - 1] == ']';
    if (is_bracketed)
        text = span_make(text.at + 1, text.len - 2);
    if (text.len == 0 || text.len >= sizeof copy || span_find(text, '\0') < text.len)
        return BAD_INPUT;
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';

    if (!is_bracketed && inet_pton(AF_INET, copy, parsed.ip) == 1)
        parsed.family = NET_IPV4;
    else if (inet_pton(AF_INET6, copy, parsed.ip) == 1)
        parsed.family = NET_IPV6;
    else
        return BAD_INPUT;
    *address = parsed;
    return OK;
}

static enum status path_parse(struct span path, struct net_address *address)
{
    if (path.len == 0 || path.len >= NET_UNIX_PATH_BYTES || span_find(path, '\0') < path.len)
        return BAD_INPUT;
    *address = (struct net_address){.family = NET_UNIX};
    memcpy(address->path, path.at, path.len);
    return OK;
}

enum status net_endpoint_parse(struct span text, struct net_address *address)
{
    static const struct span scheme = SPAN("unix:");
    if (span_starts(text, scheme))
        return path_parse(span_skip(text, scheme.len), address);

    size_t colon = text.len;
    while (colon > 0 && text.at[colon - 1] != ':')
        colon--;
    uint64_t port;
    struct net_address parsed;
    if (colon == 0 || !span_to_number(span_skip(text, colon), PORT_MAX, &port) ||
        net_address_parse(span_first(text, colon - 1), &parsed) != OK)
        return BAD_INPUT;
    if (parsed.family == NET_IPV6 && text.at[0] != '[')
        return BAD_INPUT; /* "::1:25": nobody can tell where the port begins */
    parsed.port = (uint16_t)port;
    *address    = parsed;
    return OK;
}

/* Whether the first 'bits' of both are the same. */
static bool bits_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    if (memcmp(a, b, whole) != 0)
        return false;
    return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

/* Whether all bits behind the first 'bits' are zero. */
static bool rest_is_zero(const struct net_address *address, unsigned bits, unsigned all)
{
    for (unsigned i = bits; i < all; i++)
        if (address->ip[i / 8] & 0x80 >> i % 8)
            return false;
    return true;
}

enum status net_prefix_parse(struct span text, struct net_prefix *prefix)
{
    struct net_prefix parsed = {0};
    size_t slash             = span_find(text, '/');
    if (net_address_parse(span_first(text, slash), &parsed.address) != OK)
        return BAD_INPUT;
    unsigned all  = parsed.address.family == NET_IPV4 ? IPV4_BITS : IPV6_BITS;
    uint64_t bits = all;
    if (slash < text.len && !span_to_number(span_skip(text, slash + 1), all, &bits))
        return BAD_INPUT;
    parsed.bits = (unsigned)bits;
    if (!rest_is_zero(&parsed.address, parsed.bits, all))
        return BAD_INPUT;
    *prefix = parsed;
    return OK;
}

const char *net_address_text(const struct net_address *address, char into[NET_ADDRESS_TEXT_BYTES])
{
    int family = address->family == NET_IPV4 ? AF_INET : AF_INET6;
    into[0]    = '\0';
    if (address->family == NET_UNIX)
        (void)snprintf(into, NET_ADDRESS_TEXT_BYTES, "%.*s", NET_ADDRESS_TEXT_BYTES - 1,
                       address->path);
    else if (address->family != NET_NONE)
        (void)inet_ntop(family, address->ip, into, NET_ADDRESS_TEXT_BYTES);
    return into;
}

const char *net_endpoint_text(const struct net_address *address, char into[NET_ENDPOINT_TEXT_BYTES])
{
    char ip[NET_ADDRESS_TEXT_BYTES];
    unsigned port = address->port;
    (void)net_address_text(address, ip);
    if (address->family == NET_UNIX)
        (void)snprintf(into, NET_ENDPOINT_TEXT_BYTES, "unix:%s", address->path);
    else if (address->family == NET_IPV6)
        (void)snprintf(into, NET_ENDPOINT_TEXT_BYTES, "[%s]:%u", ip, port);
    else
        (void)snprintf(into, NET_ENDPOINT_TEXT_BYTES, "%s:%u", ip, port);
    return into;
}

/* IPv4 addresses inside IPv6 ones: where they begin. */
struct embedding {
    uint8_t ip[16];
    unsigned bits, at;
};

static const struct embedding mapped = {
    {[10] = 0xff, [11] = 0xff},
    MAPPED_BITS, 12
};
static const struct embedding tunneled[] = {
    {{0},                      96, 12}, /* IPv4-compatible, RFC 4291 2.5.5.1 */
    {{0x00, 0x64, 0xff, 0x9b}, 96, 12}, /* NAT64, RFC 6052 */
    {{0x20, 0x02},             16, 2 }, /* 6to4, RFC 3056 */
};

static bool is_embedded(const struct net_address *address, const struct embedding *how,
                        struct net_address *inner)
{
    if (address->family != NET_IPV6 || !bits_equal(address->ip, how->ip, how->bits))
        return false;
    struct net_address found = {.family = NET_IPV4, .port = address->port};
    memcpy(found.ip, address->ip + how->at, 4);
    *inner = found;
    return true;
}

struct net_address net_address_unmapped(const struct net_address *address)
{
    struct net_address inner;
    return is_embedded(address, &mapped, &inner) ? inner : *address;
}

bool net_prefix_holds(const struct net_prefix *prefix, const struct net_address *address)
{
    struct net_address net  = prefix->address;
    struct net_address host = net_address_unmapped(address);
    unsigned bits           = prefix->bits;
    if (net.family == NET_IPV6 && bits >= MAPPED_BITS && is_embedded(&net, &mapped, &net))
        bits -= MAPPED_BITS;
    if (net.family != NET_IPV4 && net.family != NET_IPV6)
        return false;
    return net.family == host.family && bits_equal(net.ip, host.ip, bits);
}

bool net_address_equals(const struct net_address *a, const struct net_address *b)
{
    if (a->family != b->family)
        return false;
    switch (a->family) {
    case NET_NONE:
        return true;
    case NET_IPV4:
        return bits_equal(a->ip, b->ip, IPV4_BITS);
    case NET_IPV6:
        return bits_equal(a->ip, b->ip, IPV6_BITS);
    case NET_UNIX:
        return strcmp(a->path, b->path) == 0;
    }
    return false;
}

struct private_net {
    uint8_t ip[16];
    unsigned bits;
};

static const struct private_net private_ipv4[] = {
    {{0},        8 }, /* "this network" */
    {{10},       8 },
    {{100, 64},  10}, /* between a provider and its customers, RFC 6598 */
    {{127},      8 },
    {{169, 254}, 16},
    {{172, 16},  12},
    {{192, 168}, 16},
    {{224},      4 }, /* multicast */
    {{240},      4 }, /* reserved, and broadcast */
};

static const struct private_net private_ipv6[] = {
    {{0},          128},
    {{[15] = 1},   128},
    {{0xfc},       7  },
    {{0xfe, 0x80}, 10 },
    {{0xfe, 0xc0}, 10 }, /* site-local, as it once was */
    {{0xff},       8  },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool is_in(const struct net_address *address, const struct private_net *nets, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (bits_equal(address->ip, nets[i].ip, nets[i].bits))
            return true;
    return false;
}

bool net_address_is_private(const struct net_address *address)
{
    struct net_address host = net_address_unmapped(address);
    if (host.family == NET_IPV4)
        return is_in(&host, private_ipv4, COUNT(private_ipv4));
    if (host.family != NET_IPV6)
        return true; /* nothing, or a path: never somebody else's machine */
    if (is_in(&host, private_ipv6, COUNT(private_ipv6)))
        return true;
    struct net_address inner;
    for (size_t i = 0; i < COUNT(tunneled); i++)
        if (is_embedded(&host, &tunneled[i], &inner))
            return is_in(&inner, private_ipv4, COUNT(private_ipv4));
    return false;
}
