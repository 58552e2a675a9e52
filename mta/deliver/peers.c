/* SPDX-License-Identifier: MIT */
#include "mta/deliver/peers.h"
#include "mta/base/mem.h"
#include <string.h>

void peers_init(struct peers *peers, uint64_t seed)
{
    table_init(&peers->by_name, seed);
    list_init(&peers->by_age);
}

static void forget(struct peers *peers, struct peer *peer)
{
    table_remove(&peers->by_name, &peer->by_name);
    list_remove(&peer->by_age);
    tls_tickets_forget(&peer->tickets);
    mem_free(peer);
}

void peers_release(struct peers *peers)
{
    struct list *node;
    while ((node = list_first(&peers->by_age)) != NULL)
        forget(peers, CONTAINER_OF(node, struct peer, by_age));
    table_release(&peers->by_name);
}

struct peer *peers_find(struct peers *peers, struct span name)
{
    struct table_node *node = table_find(&peers->by_name, name);
    return node == NULL ? NULL : CONTAINER_OF(node, struct peer, by_name);
}

struct peer *peers_meet(struct peers *peers, struct span name)
{
    struct peer *peer = peers_find(peers, name);
    if (peer != NULL) {
        list_move(&peers->by_age, &peer->by_age);
        return peer;
    }
    if (peers->by_name.count >= PEERS_MAX)
        forget(peers, CONTAINER_OF(list_first(&peers->by_age), struct peer, by_age));
    peer = mem_new(sizeof *peer + name.len + 1);
    memcpy(peer->name, name.at, name.len);
    table_insert(&peers->by_name, &peer->by_name, span_make(peer->name, name.len));
    list_push(&peers->by_age, &peer->by_age);
    return peer;
}

static void distrust(struct peer *peer, enum peer_trouble trouble, uint64_t now_ms)
{
    peer->distrusted_until_ms[trouble] = now_ms + PEER_DISTRUST_MS;
}

void peer_note(struct peer *peer, enum peer_trouble trouble, uint64_t now_ms)
{
    switch (trouble) {
    case PEER_STUMBLED:
        if (++peer->stumbles >= PEER_STUMBLES_MAX) {
            peer->stumbles = 0;
            distrust(peer, trouble, now_ms);
        }
        break;
    case PEER_OUT_OF_STEP:
        if (++peer->breaks >= PEER_STUMBLES_MAX) {
            peer->breaks = 0;
            distrust(peer, trouble, now_ms);
        }
        break;
    case PEER_NO_BDAT:
        distrust(peer, trouble, now_ms);
        break;
    case PEER_WALKS:
        peer->stumbles = 0;
        break;
    }
}

bool peer_hear(struct peer *peer, const struct peer_greeting *greeting, uint64_t now_ms)
{
    const struct peer_greeting *before = &peer->greeting;
    bool lost      = before->was_secured && !greeting->was_secured && now_ms < before->until_ms;
    peer->greeting = *greeting;
    peer->greeting.until_ms = now_ms + PEER_GREETING_MS;
    return lost;
}

bool peer_may(const struct peer *peer, enum peer_trouble trouble, uint64_t now_ms)
{
    return peer == NULL || now_ms >= peer->distrusted_until_ms[trouble];
}
