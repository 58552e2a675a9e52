/* SPDX-License-Identifier: MIT */
/*
 * A look-up has up to three wants (MX, A, AAAA); when no want is open any more it either opens the
 * next ones (no MX: the domain's own addresses) or is done.  Only its facts are kept then; the
 * result is worked out when it is taken, so that a hundred thousand finished look-ups stay small.
 */
#include "dns/mx.h"
#include "dns/asker.h"
#include "dns/choose.h"
#include "dns/name.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { LITERAL_TTL_MS = 86400 * 1000 };
_Static_assert((int)MX_NAME_BYTES == (int)DNS_NAME_BYTES_MAX + 1, "a name and its NUL");

enum want { WANT_MX, WANT_A, WANT_AAAA, WANT_COUNT };

struct lookup {
    struct list in_dns; /* pending, or done with MX or addresses */
    void *tag;
    bool is_mx;
    enum dns_name_kind kind;
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
    enum dns_name_kind kind    = dns_name_classify(name, clean, &literal);
    if (kind == DNS_NAME_BAD && !is_mx && net_address_parse(name, &literal) == OK)
        kind = DNS_NAME_LITERAL; /* where a route leads */
    size_t bytes     = strlen(clean) + 1;
    struct lookup *l = mem_new(sizeof *l + bytes);
    l->tag           = tag;
    l->is_mx         = is_mx;
    l->kind          = kind;
    l->literal       = literal;
    memcpy(l->name, clean, bytes);
    list_push(&dns->pending, &l->in_dns);
    if (kind != DNS_NAME_HOST)
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

/* What it came to. */

static uint64_t expiry(const struct dns *dns, const struct lookup *l)
{
    uint64_t expires_ms = UINT64_MAX;
    if (l->kind != DNS_NAME_HOST)
        return dns->now_ms + LITERAL_TTL_MS;
    for (size_t i = 0; i < WANT_COUNT; i++)
        if (l->wants[i].fact != NULL && l->wants[i].expires_ms < expires_ms)
            expires_ms = l->wants[i].expires_ms;
    return expires_ms;
}

static enum dns_verdict fill_addresses(const struct lookup *l, struct address_result *result)
{
    if (l->kind == DNS_NAME_BAD)
        return DNS_BAD_NAME;
    if (l->kind == DNS_NAME_LITERAL) {
        result->addresses[result->address_count++] = l->literal;
        return DNS_FOUND;
    }
    return dns_choose_addresses(l->wants[WANT_A].fact, l->wants[WANT_AAAA].fact, result);
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
    if (l->kind == DNS_NAME_BAD)
        return DNS_BAD_NAME;
    if (l->kind == DNS_NAME_LITERAL)
        return itself(l, result);
    const struct dns_fact *mx = l->wants[WANT_MX].fact;
    if (mx->outcome == DNS_RECORDS)
        return dns_choose_hosts(mx, dns->hostname, result);
    if (mx->outcome != DNS_NO_DATA)
        return dns_verdict_of(mx);
    struct address_result own = {0};
    enum dns_verdict verdict  = fill_addresses(l, &own);
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
    if (config->hostname == NULL || !dns_name_clean(span_of(config->hostname), dns->hostname))
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
