/* SPDX-License-Identifier: MIT */
#include "mta/receive/clients.h"
#include "mta/base/fault.h"
#include "mta/base/list.h"
#include "mta/base/mem.h"
#include <string.h>

enum { KEY_BYTES = 9 };

struct client {
    struct table_node by_prefix;
    unsigned connections;
    char key[KEY_BYTES]; /* family, then 4 or 8 bytes of the address */
};

void clients_init(struct clients *clients, uint64_t seed)
{
    table_init(&clients->by_prefix, seed);
}

void clients_release(struct clients *clients)
{
    must(clients->by_prefix.count == 0);
    table_release(&clients->by_prefix);
}

static struct span key_of(const struct net_address *address, char key[KEY_BYTES])
{
    size_t bytes = address->family == NET_IPV6 ? 8 : address->family == NET_IPV4 ? 4 : 0;
    key[0]       = (char)address->family;
    memcpy(key + 1, address->ip, bytes);
    return span_make(key, 1 + bytes);
}

struct client *clients_enter(struct clients *clients, const struct net_address *address,
                             unsigned max)
{
    char key[KEY_BYTES];
    struct span name        = key_of(address, key);
    struct table_node *node = table_find(&clients->by_prefix, name);
    struct client *client   = node == NULL ? NULL : CONTAINER_OF(node, struct client, by_prefix);
    if (client == NULL) {
        client = mem_new(sizeof *client);
        memcpy(client->key, name.at, name.len);
        table_insert(&clients->by_prefix, &client->by_prefix, span_make(client->key, name.len));
    }
    if (client->connections >= max) {
        if (client->connections == 0)
            clients_leave(clients, client);
        return NULL;
    }
    client->connections++;
    return client;
}

void clients_leave(struct clients *clients, struct client *client)
{
    if (client->connections > 0 && --client->connections > 0)
        return;
    table_remove(&clients->by_prefix, &client->by_prefix);
    mem_free(client);
}
