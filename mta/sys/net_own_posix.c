/* SPDX-License-Identifier: MIT */
/*
 * This machine's own addresses.  Each thread remembers them for a minute: addresses come and go
 * with interfaces, and the question is asked for every address an MX resolves to.
 */
#include "mta/sys/clock.h"
#include "mta/sys/net_system.h"
#include <ifaddrs.h>
#include <string.h>

enum { OWN_ADDRESSES_MAX = 256, OWN_AGE_MS_MAX = 60000, OWN_IP_BYTES = 16 };

struct own_address {
    enum net_family family;
    uint8_t ip[OWN_IP_BYTES];
};

struct own_addresses {
    struct own_address known[OWN_ADDRESSES_MAX];
    unsigned count;
    bool is_asked, has_more; /* has_more: too many to remember, ask each time */
    uint64_t asked_ms;
};

static bool is_same(const struct own_address *own, const struct net_address *address)
{
    return own->family == address->family && memcmp(own->ip, address->ip, OWN_IP_BYTES) == 0;
}

static void remember(struct own_addresses *own, const struct net_address *address)
{
    if (own->count == OWN_ADDRESSES_MAX) {
        own->has_more = true;
        return;
    }
    struct own_address *next = &own->known[own->count++];
    next->family             = address->family;
    memcpy(next->ip, address->ip, OWN_IP_BYTES);
}

/* false: an interface without an IP address. */
static bool address_of(const struct ifaddrs *one, struct net_address *address)
{
    union net_system_address name = {0};
    if (one->ifa_addr == NULL)
        return false;
    if (one->ifa_addr->sa_family == AF_INET)
        memcpy(&name.ipv4, one->ifa_addr, sizeof name.ipv4);
    else if (one->ifa_addr->sa_family == AF_INET6)
        memcpy(&name.ipv6, one->ifa_addr, sizeof name.ipv6);
    else
        return false;
    net_from_system(&name, address);
    return true;
}

/* Fills 'own' anew; tells whether 'sought' was among them.  A failure keeps what was known. */
static bool ask(struct own_addresses *own, const struct net_address *sought, uint64_t now_ms)
{
    struct ifaddrs *all = NULL;
    bool is_found       = false;
    if (getifaddrs(&all) != 0)
        return false;
    own->count    = 0;
    own->has_more = false;
    own->is_asked = true;
    own->asked_ms = now_ms;
    for (const struct ifaddrs *one = all; one != NULL; one = one->ifa_next) {
        struct net_address address;
        if (!address_of(one, &address))
            continue;
        remember(own, &address);
        is_found = is_found || net_address_equals(&address, sought);
    }
    freeifaddrs(all);
    return is_found;
}

bool net_address_is_own(const struct net_address *address)
{
    static _Thread_local struct own_addresses own;
    static const struct net_prefix loopback = {
        {.family = NET_IPV4, .ip = {127}},
        8
    };
    struct net_address host = net_address_unmapped(address);
    if (net_prefix_holds(&loopback, &host))
        return true;
    uint64_t now_ms = clock_now_ms();
    if (!own.is_asked || own.has_more || now_ms - own.asked_ms >= OWN_AGE_MS_MAX)
        if (ask(&own, &host, now_ms))
            return true;
    for (unsigned i = 0; i < own.count; i++)
        if (is_same(&own.known[i], &host))
            return true;
    return false;
}
