/* SPDX-License-Identifier: MIT */
/* Three tables by name and two lists in order; nothing is ever taken out. */
#include "bench/world.h"
#include "mta/base/bytes.h"
#include <arpa/inet.h>
#include <string.h>

enum { FIRST_ADDRESS = 0x7f010001 /* 127.1.0.1 */ };

void world_init(struct world *w)
{
    memset(w, 0, sizeof *w);
    table_init(&w->hosts, 1);
    table_init(&w->domains, 2);
    table_init(&w->aliases, 3);
    w->next_address = FIRST_ADDRESS;
}

void world_release(struct world *w)
{
    table_release(&w->hosts);
    table_release(&w->domains);
    table_release(&w->aliases);
    arena_release(&w->arena);
}

/* Lower case into 'into'; false if it is too long or empty. */
static bool fold(struct span text, char into[WORLD_NAME_BYTES_MAX], struct span *name)
{
    if (text.len > 0 && text.at[text.len - 1] == '.')
        text.len--;
    if (text.len == 0 || text.len > WORLD_NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++)
        into[i] = ascii_lower(text.at[i]);
    *name = span_make(into, text.len);
    return true;
}

struct span world_name(struct world *w, struct span text)
{
    char folded[WORLD_NAME_BYTES_MAX];
    struct span name;
    if (!fold(text, folded, &name))
        return span_make("", 0);
    return span_make(arena_text(&w->arena, name), name.len);
}

static struct table_node *find(const struct table *t, struct span text)
{
    char folded[WORLD_NAME_BYTES_MAX];
    struct span name;
    return fold(text, folded, &name) ? table_find(t, name) : NULL;
}

struct host *world_find_host(const struct world *w, struct span name)
{
    struct table_node *node = find(&w->hosts, name);
    return node == NULL ? NULL : CONTAINER_OF(node, struct host, by_name);
}

struct domain *world_find_domain(const struct world *w, struct span name)
{
    struct table_node *node = find(&w->domains, name);
    return node == NULL ? NULL : CONTAINER_OF(node, struct domain, by_name);
}

struct alias *world_find_alias(const struct world *w, struct span name)
{
    struct table_node *node = find(&w->aliases, name);
    return node == NULL ? NULL : CONTAINER_OF(node, struct alias, by_name);
}

struct host *world_host(struct world *w, struct span name)
{
    struct host *host = world_find_host(w, name);
    if (host != NULL)
        return host;
    host = arena_new(&w->arena, sizeof *host);
    table_insert(&w->hosts, &host->by_name, world_name(w, name));
    list_push(&w->all_hosts, &host->in_world);
    w->host_count++;
    return host;
}

struct domain *world_domain(struct world *w, struct span name)
{
    struct domain *domain = world_find_domain(w, name);
    if (domain != NULL)
        return domain;
    domain = arena_new(&w->arena, sizeof *domain);
    table_insert(&w->domains, &domain->by_name, world_name(w, name));
    list_push(&w->all_domains, &domain->in_world);
    w->domain_count++;
    return domain;
}

struct alias *world_alias(struct world *w, struct span name)
{
    struct alias *alias = world_find_alias(w, name);
    if (alias != NULL)
        return alias;
    alias = arena_new(&w->arena, sizeof *alias);
    table_insert(&w->aliases, &alias->by_name, world_name(w, name));
    return alias;
}

bool world_add_address(struct host *host, struct span text)
{
    char copy[INET6_ADDRSTRLEN];
    if (text.len >= sizeof copy || host->address_count == HOST_ADDRESSES_MAX)
        return false;
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';

    struct host_address *address = &host->addresses[host->address_count];
    address->is_ipv6             = span_find(text, ':') < text.len;
    if (inet_pton(address->is_ipv6 ? AF_INET6 : AF_INET, copy, address->ip) != 1)
        return false;
    host->address_count++;
    return true;
}

void world_choose_address(struct world *w, struct host *host)
{
    bytes_put32(host->addresses[0].ip, w->next_address++);
    host->address_count = 1;
    if ((w->next_address & 0xff) == 0xff) /* no .255 and no .0: they look like broadcasts */
        w->next_address += 2;
}

bool world_add_mx(struct world *w, struct domain *domain, struct span host, unsigned preference)
{
    struct span name = world_name(w, host);
    if (name.len == 0 || domain->mx_count == DOMAIN_MX_MAX)
        return false;
    domain->mx[domain->mx_count++] = (struct domain_mx){name, preference};
    return true;
}

/* The host that 'name' means, behind any aliases. */
static const struct host *resolve(const struct world *w, struct span name)
{
    for (int hops = 0; hops <= WORLD_ALIAS_HOPS_MAX; hops++) {
        const struct alias *alias = world_find_alias(w, name);
        if (alias == NULL)
            return world_find_host(w, name);
        name = alias->target;
    }
    return NULL;
}

bool world_serves(const struct world *w, const struct domain *domain, const struct host *host)
{
    for (size_t i = 0; i < domain->mx_count; i++)
        if (span_equals(domain->mx[i].name, host->by_name.key) ||
            resolve(w, domain->mx[i].name) == host)
            return true;
    return domain->mx_count == 0 && resolve(w, domain->by_name.key) == host;
}
