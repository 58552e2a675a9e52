/* SPDX-License-Identifier: MIT */
#include "mta/deliver/bodies.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/deliver/render.h"
#include "mta/mail/merge.h"

static struct body *body_at(struct list *node)
{
    return node == NULL ? NULL : CONTAINER_OF(node, struct body, by_age);
}

void bodies_init(struct bodies *bodies, uint64_t seed)
{
    *bodies = (struct bodies){0};
    table_init(&bodies->by_key, seed);
    list_init(&bodies->by_age);
}

static void free_unused(struct body *body)
{
    if (body->refs > 0 || body->is_kept)
        return;
    buf_release(&body->bytes);
    merge_free(body->merge);
    mem_free(body);
}

static void forget(struct bodies *bodies, struct body *body)
{
    table_remove(&bodies->by_key, &body->by_key);
    list_remove(&body->by_age);
    bodies->bytes -= body->cost;
    body->is_kept = false;
    free_unused(body);
}

void bodies_release(struct bodies *bodies)
{
    struct body *body;
    while ((body = body_at(list_first(&bodies->by_age))) != NULL) {
        must(body->refs == 0);
        forget(bodies, body);
    }
    table_release(&bodies->by_key);
}

static enum status render_all(struct body *body, const struct content *content, uint64_t skip,
                              char *scratch)
{
    struct render render;
    bool is_last       = false;
    enum status status = OK;
    render_init(&render, content, skip, (body->key.kind & BODY_CHUNK) != 0);
    while (status == OK && !is_last)
        status = render_next(&render, scratch, &body->bytes, &is_last);
    return status;
}

static struct span key_span(const struct body_key *key)
{
    return span_make((const char *)key, sizeof *key);
}

struct body *body_new(const struct body_key *key)
{
    struct body *body = mem_new(sizeof *body);
    body->key         = *key;
    body->refs        = 1;
    return body;
}

void bodies_keep(struct bodies *bodies, struct body *body, uint64_t now_ms)
{
    body->is_kept = true;
    body->used_ms = now_ms;
    body->cost    = body->bytes.cap + (body->merge == NULL ? 0 : merge_memory(body->merge));
    bodies->bytes += body->cost;
    table_insert(&bodies->by_key, &body->by_key, key_span(&body->key));
    list_push(&bodies->by_age, &body->by_age);
    while (bodies->bytes > BODIES_BYTES_MAX) /* also this one, which its holder still has */
        forget(bodies, body_at(list_first(&bodies->by_age)));
}

struct body *bodies_find(struct bodies *bodies, const struct body_key *key, uint64_t now_ms)
{
    struct table_node *node = table_find(&bodies->by_key, key_span(key));
    if (node == NULL)
        return NULL;
    struct body *body = CONTAINER_OF(node, struct body, by_key);
    body->refs++;
    body->used_ms = now_ms;
    list_move(&bodies->by_age, &body->by_age);
    return body;
}

enum status bodies_take(struct bodies *bodies, const struct content *content,
                        const struct body_key *key, uint64_t skip, char *scratch, uint64_t now_ms,
                        struct body **body)
{
    *body = bodies_find(bodies, key, now_ms);
    if (*body != NULL)
        return OK;
    struct body *made  = body_new(key);
    enum status status = render_all(made, content, skip, scratch);
    if (status != OK) {
        body_give(made);
        return status;
    }
    bodies_keep(bodies, made, now_ms);
    *body = made;
    return OK;
}

void body_give(struct body *body)
{
    if (body == NULL)
        return;
    must(body->refs > 0);
    body->refs--;
    free_unused(body);
}

uint64_t bodies_turn(struct bodies *bodies, uint64_t now_ms)
{
    struct body *body;
    while ((body = body_at(list_first(&bodies->by_age))) != NULL &&
           body->used_ms + BODY_IDLE_MS <= now_ms)
        forget(bodies, body);
    return body == NULL ? UINT64_MAX : body->used_ms + BODY_IDLE_MS;
}
