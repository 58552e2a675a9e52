/* SPDX-License-Identifier: MIT */
#include "dns/choose.h"
#include "dns/name.h"
#include "mta/base/bytes.h"
#include "mta/base/fault.h"
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { MX_PREFERENCE_BYTES = 2, NO_PREFERENCE = UINT16_MAX + 1 };

enum dns_verdict dns_verdict_of(const struct dns_fact *fact)
{
    switch (fact->outcome) {
    case DNS_RECORDS:
        return DNS_FOUND;
    case DNS_NO_DATA:
        return DNS_NO_ADDRESS;
    case DNS_NO_NAME:
        return DNS_NO_DOMAIN;
    case DNS_SILENT:
        return DNS_NO_ANSWER;
    case DNS_ALIAS:
    case DNS_FAILED:
        break;
    }
    return DNS_SERVER_FAILED;
}

/*
 * Both together: an address of either kind is enough; without one, a failure leaves open whether
 * there is one; a domain is missing only if both answers say so.
 */
static enum dns_verdict both(const struct dns_fact *a_fact, const struct dns_fact *aaaa_fact)
{
    enum dns_verdict a    = dns_verdict_of(a_fact);
    enum dns_verdict aaaa = dns_verdict_of(aaaa_fact);
    if (a == DNS_FOUND || aaaa == DNS_FOUND)
        return DNS_FOUND;
    if (dns_verdict_is_temporary(a))
        return a;
    if (dns_verdict_is_temporary(aaaa))
        return aaaa;
    return a == aaaa ? a : DNS_NO_ADDRESS;
}

/* One MX record, as far as it can be used. */
struct exchange {
    unsigned preference;
    bool is_nobody; /* "." or "localhost": RFC 7505, and what people write instead */
    bool is_host;
    char name[MX_NAME_BYTES];
};

static bool next_exchange(const struct dns_fact *fact, size_t *at, struct exchange *mx)
{
    struct span record;
    if (!dns_fact_next(fact, at, &record))
        return false;
    struct span target = span_skip(record, MX_PREFERENCE_BYTES);
    mx->preference     = bytes_get16(record.at);
    mx->is_nobody      = target.len == 0 || span_is(target, "localhost");
    mx->is_host        = !mx->is_nobody && dns_name_clean(target, mx->name);
    return true;
}

static bool sorts_before(const struct exchange *mx, const struct mx_host *host)
{
    if (mx->preference != host->preference)
        return mx->preference < host->preference;
    return strcmp(mx->name, host->name) < 0;
}

static void remove_host(struct mx_result *result, size_t at)
{
    result->host_count--;
    memmove(&result->hosts[at], &result->hosts[at + 1],
            (result->host_count - at) * sizeof result->hosts[0]);
}

/* Puts a host where it belongs; a full list loses its worst. */
static void insert_host(struct mx_result *result, const struct exchange *mx)
{
    size_t at = 0;
    while (at < result->host_count && !sorts_before(mx, &result->hosts[at]))
        at++;
    if (at == MX_HOSTS_MAX)
        return;
    if (result->host_count == MX_HOSTS_MAX)
        result->host_count--;
    memmove(&result->hosts[at + 1], &result->hosts[at],
            (result->host_count - at) * sizeof result->hosts[0]);
    result->host_count++;
    result->hosts[at].preference = (uint16_t)mx->preference;
    memcpy(result->hosts[at].name, mx->name, sizeof mx->name);
}

/* A host named twice counts with its better preference. */
static void add_host(struct mx_result *result, const struct exchange *mx)
{
    for (size_t i = 0; i < result->host_count; i++) {
        if (strcmp(result->hosts[i].name, mx->name) != 0)
            continue;
        if (result->hosts[i].preference <= mx->preference)
            return;
        remove_host(result, i);
        break;
    }
    insert_host(result, mx);
}

/* The preference at which we stand in the list ourselves, NO_PREFERENCE if we do not. */
static unsigned own_preference(const struct dns_fact *fact, const char *hostname)
{
    struct exchange mx;
    size_t at    = 0;
    unsigned own = NO_PREFERENCE;
    while (next_exchange(fact, &at, &mx))
        if (mx.is_host && mx.preference < own && strcmp(mx.name, hostname) == 0)
            own = mx.preference;
    return own;
}

enum dns_verdict dns_choose_hosts(const struct dns_fact *fact, const char *hostname,
                                  struct mx_result *result)
{
    struct exchange mx;
    unsigned own         = own_preference(fact, hostname);
    bool is_nobody_there = true;
    size_t at            = 0;
    while (next_exchange(fact, &at, &mx)) {
        is_nobody_there = is_nobody_there && mx.is_nobody;
        if (mx.is_host && mx.preference < own)
            add_host(result, &mx);
    }
    if (result->host_count > 0)
        return DNS_FOUND;
    if (own != NO_PREFERENCE)
        return DNS_LOOP;
    return is_nobody_there ? DNS_NULL_MX : DNS_NO_ADDRESS; /* never the domain's own address */
}

struct family {
    struct net_address addresses[MX_ADDRESSES_MAX];
    size_t count;
};

static bool has_address(const struct family *family, const struct net_address *address)
{
    for (size_t i = 0; i < family->count; i++)
        if (net_address_equals(&family->addresses[i], address))
            return true;
    return false;
}

static void collect(const struct dns_fact *fact, enum net_family kind, struct family *family)
{
    struct span record;
    size_t at     = 0;
    family->count = 0;
    if (fact->outcome != DNS_RECORDS)
        return;
    while (family->count < COUNT(family->addresses) && dns_fact_next(fact, &at, &record)) {
        struct net_address address = {.family = kind};
        must(record.len <= sizeof address.ip);
        memcpy(address.ip, record.at, record.len);
        if (!has_address(family, &address))
            family->addresses[family->count++] = address;
    }
}

/* IPv6 first, then in turn. */
static void alternate(const struct family families[2], struct address_result *result)
{
    for (size_t i = 0; i < MX_ADDRESSES_MAX; i++)
        for (size_t j = 0; j < 2; j++)
            if (i < families[j].count && result->address_count < MX_ADDRESSES_MAX)
                result->addresses[result->address_count++] = families[j].addresses[i];
}

enum dns_verdict dns_choose_addresses(const struct dns_fact *a, const struct dns_fact *aaaa,
                                      struct address_result *result)
{
    struct family families[2];
    collect(aaaa, NET_IPV6, &families[0]);
    collect(a, NET_IPV4, &families[1]);
    alternate(families, result);
    return both(a, aaaa);
}
