/* SPDX-License-Identifier: MIT */
#include "mta/deliver/router.h"
#include "mta/base/fault.h"
#include "mta/base/list.h"
#include "mta/base/mem.h"
#include "mta/mail/domain.h"
#include "mta/sys/loop.h"
#include <stdio.h>
#include <string.h>

enum {
    ROUTE_STATIC_MS = 3600000
}; /* a configured route is looked at anew after this, and on reload */

struct router {
    struct dns *dns;
    struct queue *queue;
    const struct router_settings *settings;
    struct list asked;
};

/* A look-up under way: whose route it will be. */
struct asked {
    struct list link;
    char domain[DOMAIN_BYTES_MAX + 1];
};

struct router *router_open(struct loop *loop, struct queue *queue, const struct dns_config *dns,
                           const struct router_settings *settings, struct buf *error)
{
    struct router *router = mem_new(sizeof *router);
    router->queue         = queue;
    router->settings      = settings;
    router->dns           = dns_open(loop, dns, error);
    if (router->dns != NULL)
        return router;
    mem_free(router);
    return NULL;
}

void router_close(struct router *router)
{
    struct list *node;
    while ((node = list_take(&router->asked)) != NULL)
        mem_free(CONTAINER_OF(node, struct asked, link));
    dns_close(router->dns);
    mem_free(router);
}

void router_set_settings(struct router *router, const struct router_settings *settings)
{
    router->settings = settings;
}

const struct dns *router_dns(const struct router *router)
{
    return router->dns;
}

static const struct router_route *static_route(const struct router *router, const char *domain)
{
    for (size_t i = 0; i < router->settings->route_count; i++)
        if (domain_matches(span_of(router->settings->routes[i].domain), span_of(domain)))
            return &router->settings->routes[i];
    return NULL;
}

/* Ourselves: not even the operator's routes lead elsewhere. */
static void tell_local(struct router *router, uint64_t now_ms)
{
    struct queue_route route = {
        .is_found   = true,
        .target     = {.key = "local", .name = "local", .is_local = true},
        .expires_ms = now_ms + ROUTE_STATIC_MS
    };
    queue_route(router->queue, span_of(QUEUE_LOCAL_DOMAIN), &route, now_ms);
}

static void ask(struct router *router, const char *domain, uint64_t now_ms)
{
    if (strcmp(domain, QUEUE_LOCAL_DOMAIN) == 0) {
        tell_local(router, now_ms);
        return;
    }
    const struct router_route *fixed = static_route(router, domain);
    if (fixed != NULL) {
        struct queue_route route = {
            .is_found = true, .target = fixed->target, .expires_ms = now_ms + ROUTE_STATIC_MS};
        queue_route(router->queue, span_of(domain), &route, now_ms);
        return;
    }
    struct asked *asked = mem_new(sizeof *asked);
    (void)snprintf(asked->domain, sizeof asked->domain, "%s", domain);
    list_push(&router->asked, &asked->link);
    dns_lookup_mx(router->dns, span_of(domain), asked);
}

/* What makes two domains one site: the same hosts in the same order of preference. */
static void write_key(struct buf *key, const struct mx_result *mx)
{
    unsigned rank = 0;
    buf_put_text(key, "mx");
    for (size_t i = 0; i < mx->host_count; i++) {
        if (i > 0 && mx->hosts[i].preference != mx->hosts[i - 1].preference)
            rank++;
        buf_printf(key, " %u:%s", rank, mx->hosts[i].name);
    }
}

static void tell_found(struct router *router, const char *domain, const struct mx_result *mx,
                       uint64_t now_ms)
{
    struct site_host hosts[SITE_HOSTS_MAX];
    struct buf key = {0};
    size_t count   = mx->host_count < SITE_HOSTS_MAX ? mx->host_count : SITE_HOSTS_MAX;
    for (size_t i = 0; i < count; i++)
        hosts[i] =
            (struct site_host){mx->hosts[i].name, mx->hosts[i].preference, router->settings->port};
    write_key(&key, mx);
    struct queue_route route = {
        .is_found   = true,
        .expires_ms = mx->expires_ms,
        .target     = {.key        = buf_text(&key),
                       .name       = mx->hosts[0].name,
                       .hosts      = hosts,
                       .host_count = count,
                       .is_mx      = true,
                       .tls        = POLICY_TLS_OPPORTUNISTIC},
    };
    queue_route(router->queue, span_of(domain), &route, now_ms);
    buf_release(&key);
}

static void tell_missing(struct router *router, const char *domain, const struct mx_result *mx,
                         uint64_t now_ms)
{
    unsigned a = 0, b = 0, c = 0;
    must(sscanf(dns_verdict_enhanced(mx->verdict), "%u.%u.%u", &a, &b, &c) == 3);
    struct queue_route route = {
        .expires_ms   = mx->expires_ms,
        .is_permanent = !dns_verdict_is_temporary(mx->verdict),
        .enhanced     = {(unsigned char)a, (unsigned char)b, (unsigned char)c},
        .text         = dns_verdict_text(mx->verdict),
    };
    queue_route(router->queue, span_of(domain), &route, now_ms);
}

uint64_t router_turn(struct router *router, uint64_t now_ms)
{
    return dns_turn(router->dns, now_ms);
}

static void take_results(struct router *router, uint64_t now_ms)
{
    const struct mx_result *mx;
    while ((mx = dns_take_mx(router->dns)) != NULL) {
        struct asked *asked = mx->tag;
        if (mx->verdict == DNS_FOUND)
            tell_found(router, asked->domain, mx, now_ms);
        else
            tell_missing(router, asked->domain, mx, now_ms);
        list_remove(&asked->link);
        mem_free(asked);
    }
}

void router_pump(struct router *router, uint64_t now_ms)
{
    char domain[DOMAIN_BYTES_MAX + 1];
    take_results(router, now_ms);
    while (queue_next_unrouted(router->queue, domain))
        ask(router, domain, now_ms);
    take_results(router, now_ms);
}
