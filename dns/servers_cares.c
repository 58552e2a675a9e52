/* SPDX-License-Identifier: MIT */
#include "dns/servers_cares.h"
#include "mta/base/buf.h"
#include "mta/sys/net.h"
#include <string.h>

enum { SERVER_PORT = 53 };

static bool parse_server(const char *text, struct ares_addr_port_node *node)
{
    struct net_address address;
    struct span span = span_of(text);
    if (net_endpoint_parse(span, &address) != OK && net_address_parse(span, &address) != OK)
        return false;
    if (address.family != NET_IPV4 && address.family != NET_IPV6)
        return false;
    *node        = (struct ares_addr_port_node){.udp_port = address.port, .tcp_port = address.port};
    node->family = address.family == NET_IPV4 ? AF_INET : AF_INET6;
    if (address.port == 0)
        node->udp_port = node->tcp_port = SERVER_PORT;
    memcpy(&node->addr, address.ip, address.family == NET_IPV4 ? 4 : 16);
    return true;
}

bool servers_parse(struct servers *servers, const struct resolver_config *config, struct buf *error)
{
    *servers = (struct servers){0};
    if (config->server_count > SERVERS_MAX) {
        buf_printf(error, "more than %d name servers", SERVERS_MAX);
        return false;
    }
    for (; servers->count < config->server_count; servers->count++)
        if (!parse_server(config->servers[servers->count], &servers->nodes[servers->count])) {
            buf_printf(error, "name server '%s' is not an IP address with a port",
                       config->servers[servers->count]);
            return false;
        }
    return true;
}

/* The servers of resolv.conf, as c-ares has read it. */
bool servers_of_system(struct servers *servers)
{
    ares_channel ares;
    struct ares_addr_port_node *list = NULL;
    if (ares_init(&ares) != ARES_SUCCESS)
        return false;
    if (ares_get_servers_ports(ares, &list) == ARES_SUCCESS) {
        const struct ares_addr_port_node *node = list;
        for (; node != NULL && servers->count < SERVERS_MAX; node = node->next)
            servers->nodes[servers->count++] = *node;
        ares_free_data(list);
    }
    ares_destroy(ares);
    return servers->count > 0;
}

bool servers_give(const struct servers *servers, size_t first, ares_channel ares)
{
    struct ares_addr_port_node list[SERVERS_MAX];
    for (size_t i = 0; i < servers->count; i++) {
        list[i]      = servers->nodes[(first + i) % servers->count];
        list[i].next = i + 1 < servers->count ? &list[i + 1] : NULL;
    }
    return ares_set_servers_ports(ares, list) == ARES_SUCCESS;
}
