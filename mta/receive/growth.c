/* SPDX-License-Identifier: MIT */
#include "mta/receive/growth.h"
#include "mta/base/mem.h"

struct growth *growth_new(struct list *all, uint64_t id, uint64_t cursor)
{
    struct growth *growth = mem_new(sizeof *growth);
    growth->id            = id;
    growth->cursor        = cursor;
    list_push(all, &growth->link);
    return growth;
}

void growth_free(struct growth *growth)
{
    list_remove(&growth->link);
    mem_free(growth);
}

struct growth *growth_find(const struct list *all, uint64_t id)
{
    for (struct list *n = list_first(all); n != NULL; n = list_next(all, n)) {
        struct growth *growth = CONTAINER_OF(n, struct growth, link);
        if (growth->id == id)
            return growth;
    }
    return NULL;
}

bool growth_is_over(const struct growth *growth, uint64_t now_ms)
{
    return growth->message != NULL &&
           (message_expires_in_ms(growth->message, now_ms) == 0 || growth->message->is_cancelled);
}

uint32_t growth_room(const struct growth *growth, uint64_t now_ms)
{
    const struct message *m = growth->message;
    if (m == NULL || growth->is_pending || growth_is_over(growth, now_ms))
        return 0;
    uint32_t moving = m->live - m->owing - m->resting;
    bool is_patient = now_ms < growth->grown_ms + GROWTH_PATIENCE_MS;
    return moving >= GROWTH_MOVING_RCPTS_MAX && is_patient ? 0 : GROWTH_SLICE_RCPTS_MAX;
}
