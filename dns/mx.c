/* SPDX-License-Identifier: MIT */
/*
 * A look-up has up to three wants (MX, A, AAAA); when no want is open any more it either opens the
 * next ones (no MX: the domain's own addresses) or is done.  Only its facts are kept then; the
 * result is worked out when it is taken, so that a hundred thousand finished look-ups stay small.
 */
#include "dns/mx.h"
#include "dns/asker.h"
#include "mta/base/bytes.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { LITERAL_TTL_MS = 86400 * 1000, MX_PREFERENCE_BYTES = 2, NO_PREFERENCE = UINT16_MAX + 1 };

enum name_kind { NAME_HOST, NAME_LITERAL, NAME_BAD };
enum want { WANT_MX, WANT_A, WANT_AAAA, WANT_COUNT };

struct lookup {
    struct list in_dns; /* pending, or done with MX or addresses */
    void *tag;
    bool is_mx;
    enum name_kind kind;
    struct net_address literal;
    unsigned open; /* wants without a fact yet */
    struct dns_want wants[WANT_COUNT];
    char name[];
};

struct dns {
    struct resolver *resolver;
    struct asker *asker;
    char hostname[MX_NAME_BYTES]; /* "": not given */
    uint64_t now_ms;
    struct list pending, mx_done, addresses_done;
    struct mx_result mx;
    struct address_result addresses;
};

struct verdict {
    const char *enhanced, *text;
};

static const struct verdict verdicts[DNS_VERDICT_COUNT] = {
#define VERDICT(id, enhanced, text) [DNS_##id] = {enhanced, text},
    DNS_VERDICTS(VERDICT)
#undef VERDICT
};

const char *dns_verdict_text(enum dns_verdict verdict)
{
    return verdicts[verdict].text;
}

const char *dns_verdict_enhanced(enum dns_verdict verdict)
{
    return verdicts[verdict].enhanced;
}

bool dns_verdict_is_temporary(enum dns_verdict verdict)
{
    return verdicts[verdict].enhanced[0] == '4';
}

/*
 * Names.  A host name is letters, digits, hyphens and underscores, and its last label is not all
 * digits: that would be an IPv4 address or look like one (RFC 3696 2).
 */

static bool label_is_host(struct span label)
{
    for (size_t i = 0; i < label.len; i++)
        if (!ascii_is_alnum(label.at[i]) && label.at[i] != '-' && label.at[i] != '_')
            return false;
    return label.len >= 1 && label.len <= 63;
}

static bool is_all_digits(struct span label)
{
    for (size_t i = 0; i < label.len; i++)
        if (!ascii_is_digit(label.at[i]))
            return false;
    return true;
}

/* Lower case, without one dot at the end; false: no host name. */
static bool clean_host(struct span name, char into[MX_NAME_BYTES])
{
    struct span label = SPAN(""), rest;
    if (name.len > 0 && name.at[name.len - 1] == '.')
        name.len--;
    if (name.len == 0 || name.len > DNS_NAME_BYTES_MAX - 2 || name.at[name.len - 1] == '.')
        return false;
    rest = name;
    while (span_cut(&rest, '.', &label))
        if (!label_is_host(label))
            return false;
    for (size_t i = 0; i < name.len; i++)
        into[i] = ascii_lower(name.at[i]);
    into[name.len] = '\0';
    return !is_all_digits(label);
}

/* "[192.0.2.1]", "[IPv6:2001:db8::1]"; "[2001:db8::1]" is understood too. */
static bool parse_literal(struct span text, struct net_address *address)
{
    static const struct span tag = SPAN("IPv6:");
    if (text.len < 2 || text.at[0] != '[' || text.at[text.len - 1] != ']')
        return false;
    struct span inner = span_make(text.at + 1, text.len - 2);
    bool is_tagged    = span_starts_nocase(inner, tag);
    if (is_tagged)
        inner = span_skip(inner, tag.len);
    if (inner.len == 0 || inner.at[0] == '[' || net_address_parse(inner, address) != OK)
        return false;
    return !is_tagged || address->family == NET_IPV6;
}

/* As it stands behind the @ of an address. */
static void write_literal(const struct net_address *address, char into[MX_NAME_BYTES])
{
    char ip[NET_ADDRESS_TEXT_BYTES];
    const char *tag = address->family == NET_IPV6 ? "IPv6:" : "";
    (void)snprintf(into, MX_NAME_BYTES, "[%s%s]", tag, net_address_text(address, ip));
}

static enum name_kind classify(struct span name, char into[MX_NAME_BYTES],
                               struct net_address *literal)
{
    if (clean_host(name, into))
        return NAME_HOST;
    into[0] = '\0';
    if (!parse_literal(name, literal))
        return NAME_BAD;
    write_literal(literal, into);
    return NAME_LITERAL;
}

/* The life of a look-up. */

static void want(struct dns *dns, struct lookup *l, enum want which)
{
    static const enum dns_type types[WANT_COUNT] = {DNS_MX, DNS_A, DNS_AAAA};
    l->wants[which] = (struct dns_want){.type = types[which], .owner = l};
    l->open++;
    asker_want(dns->asker, &l->wants[which], span_of(l->name));
}

static void want_addresses(struct dns *dns, struct lookup *l)
{
    want(dns, l, WANT_A);
    want(dns, l, WANT_AAAA);
}

static bool has_asked_addresses(const struct lookup *l)
{
    return l->wants[WANT_A].owner != NULL;
}

/* No want is open: what now? */
static void advance(struct dns *dns, struct lookup *l)
{
    const struct dns_fact *mx = l->wants[WANT_MX].fact;
    if (mx != NULL && mx->outcome == DNS_NO_DATA && !has_asked_addresses(l))
        want_addresses(dns, l);
    else
        list_move(l->is_mx ? &dns->mx_done : &dns->addresses_done, &l->in_dns);
}

static void settle(struct dns *dns)
{
    struct dns_want *done;
    while ((done = asker_take(dns->asker)) != NULL) {
        struct lookup *l = done->owner;
        must(l->open > 0);
        if (--l->open == 0)
            advance(dns, l);
    }
}

static void start(struct dns *dns, struct span name, bool is_mx, void *tag)
{
    char clean[MX_NAME_BYTES];
    struct net_address literal = {0};
    enum name_kind kind        = classify(name, clean, &literal);
    size_t bytes               = strlen(clean) + 1;
    struct lookup *l           = mem_new(sizeof *l + bytes);
    l->tag                     = tag;
    l->is_mx                   = is_mx;
    l->kind                    = kind;
    l->literal                 = literal;
    memcpy(l->name, clean, bytes);
    list_push(&dns->pending, &l->in_dns);
    if (kind != NAME_HOST)
        advance(dns, l);
    else if (is_mx)
        want(dns, l, WANT_MX);
    else
        want_addresses(dns, l);
    settle(dns);
}

void dns_lookup_mx(struct dns *dns, struct span domain, void *tag)
{
    start(dns, domain, true, tag);
}

void dns_lookup_addresses(struct dns *dns, struct span host, void *tag)
{
    start(dns, host, false, tag);
}

static void lookup_free(struct lookup *l)
{
    list_remove(&l->in_dns);
    for (size_t i = 0; i < WANT_COUNT; i++)
        asker_forget(&l->wants[i]);
    mem_free(l);
}

static struct lookup *first_of(const struct list *lookups)
{
    struct list *node = list_first(lookups);
    return node == NULL ? NULL : CONTAINER_OF(node, struct lookup, in_dns);
}

/* What facts mean. */

static enum dns_verdict verdict_of(const struct dns_fact *fact)
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
static enum dns_verdict addresses_verdict(const struct lookup *l)
{
    enum dns_verdict a    = verdict_of(l->wants[WANT_A].fact);
    enum dns_verdict aaaa = verdict_of(l->wants[WANT_AAAA].fact);
    if (a == DNS_FOUND || aaaa == DNS_FOUND)
        return DNS_FOUND;
    if (dns_verdict_is_temporary(a))
        return a;
    if (dns_verdict_is_temporary(aaaa))
        return aaaa;
    return a == aaaa ? a : DNS_NO_ADDRESS;
}

static uint64_t expiry(const struct dns *dns, const struct lookup *l)
{
    uint64_t expires_ms = UINT64_MAX;
    if (l->kind != NAME_HOST)
        return dns->now_ms + LITERAL_TTL_MS;
    for (size_t i = 0; i < WANT_COUNT; i++)
        if (l->wants[i].fact != NULL && l->wants[i].expires_ms < expires_ms)
            expires_ms = l->wants[i].expires_ms;
    return expires_ms;
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
    mx->is_host        = !mx->is_nobody && clean_host(target, mx->name);
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
static unsigned own_preference(const struct dns *dns, const struct dns_fact *fact)
{
    struct exchange mx;
    size_t at    = 0;
    unsigned own = NO_PREFERENCE;
    while (next_exchange(fact, &at, &mx))
        if (mx.is_host && mx.preference < own && strcmp(mx.name, dns->hostname) == 0)
            own = mx.preference;
    return own;
}

static enum dns_verdict pick_hosts(const struct dns *dns, const struct dns_fact *fact,
                                   struct mx_result *result)
{
    struct exchange mx;
    unsigned own         = own_preference(dns, fact);
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

static enum dns_verdict itself(const struct lookup *l, struct mx_result *result)
{
    result->is_implicit = true;
    result->host_count  = 1;
    memcpy(result->hosts[0].name, l->name, strlen(l->name) + 1);
    return DNS_FOUND;
}

static enum dns_verdict mx_verdict(const struct dns *dns, const struct lookup *l,
                                   struct mx_result *result)
{
    if (l->kind == NAME_BAD)
        return DNS_BAD_NAME;
    if (l->kind == NAME_LITERAL)
        return itself(l, result);
    const struct dns_fact *mx = l->wants[WANT_MX].fact;
    if (mx->outcome == DNS_RECORDS)
        return pick_hosts(dns, mx, result);
    if (mx->outcome != DNS_NO_DATA)
        return verdict_of(mx);
    enum dns_verdict verdict = addresses_verdict(l);
    if (verdict != DNS_FOUND)
        return verdict;
    return strcmp(l->name, dns->hostname) == 0 ? DNS_LOOP : itself(l, result);
}

const struct mx_result *dns_take_mx(struct dns *dns)
{
    struct lookup *l = first_of(&dns->mx_done);
    if (l == NULL)
        return NULL;
    dns->mx            = (struct mx_result){.tag = l->tag};
    dns->mx.verdict    = mx_verdict(dns, l, &dns->mx);
    dns->mx.expires_ms = expiry(dns, l);
    lookup_free(l);
    return &dns->mx;
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
static void alternate(const struct lookup *l, struct address_result *result)
{
    struct family families[2];
    collect(l->wants[WANT_AAAA].fact, NET_IPV6, &families[0]);
    collect(l->wants[WANT_A].fact, NET_IPV4, &families[1]);
    for (size_t i = 0; i < MX_ADDRESSES_MAX; i++)
        for (size_t j = 0; j < COUNT(families); j++)
            if (i < families[j].count && result->address_count < MX_ADDRESSES_MAX)
                result->addresses[result->address_count++] = families[j].addresses[i];
}

static enum dns_verdict fill_addresses(const struct lookup *l, struct address_result *result)
{
    if (l->kind == NAME_BAD)
        return DNS_BAD_NAME;
    if (l->kind == NAME_LITERAL) {
        result->addresses[result->address_count++] = l->literal;
        return DNS_FOUND;
    }
    alternate(l, result);
    return addresses_verdict(l);
}

const struct address_result *dns_take_addresses(struct dns *dns)
{
    struct lookup *l = first_of(&dns->addresses_done);
    if (l == NULL)
        return NULL;
    dns->addresses            = (struct address_result){.tag = l->tag};
    dns->addresses.verdict    = fill_addresses(l, &dns->addresses);
    dns->addresses.expires_ms = expiry(dns, l);
    lookup_free(l);
    return &dns->addresses;
}

/* The whole. */

struct dns *dns_open(struct loop *loop, const struct dns_config *config, struct buf *error)
{
    struct resolver *resolver = resolver_open(loop, &config->resolver, error);
    if (resolver == NULL)
        return NULL;
    struct dns *dns = mem_new(sizeof *dns);
    dns->resolver   = resolver;
    dns->asker      = asker_open(resolver, config->cache_entries_max, MX_INFLIGHT_MAX);
    if (config->hostname == NULL || !clean_host(span_of(config->hostname), dns->hostname))
        dns->hostname[0] = '\0';
    list_init(&dns->pending);
    list_init(&dns->mx_done);
    list_init(&dns->addresses_done);
    return dns;
}

void dns_close(struct dns *dns)
{
    struct list *lists[] = {&dns->pending, &dns->mx_done, &dns->addresses_done};
    struct lookup *l;
    resolver_close(dns->resolver);
    for (size_t i = 0; i < COUNT(lists); i++)
        while ((l = first_of(lists[i])) != NULL)
            lookup_free(l);
    asker_close(dns->asker);
    mem_free(dns);
}

uint64_t dns_turn(struct dns *dns, uint64_t now_ms)
{
    dns->now_ms = now_ms;
    asker_turn(dns->asker, now_ms);
    settle(dns);
    return UINT64_MAX; /* every open want waits for an answer, and that wakes the loop */
}

void dns_stats(const struct dns *dns, struct dns_stats *stats)
{
    struct asker_stats asked;
    asker_stats(dns->asker, &asked);
    *stats = (struct dns_stats){.questions  = asked.questions,
                                .cache_hits = asked.cache_hits,
                                .failures   = asked.failures,
                                .timeouts   = asked.timeouts,
                                .cached     = asked.cached,
                                .inflight   = asked.inflight};
}
