/* SPDX-License-Identifier: MIT */
#include "mta/deliver/bodies.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/deliver/render.h"

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
    mem_free(body);
}

static void forget(struct bodies *bodies, struct body *body)
{
    table_remove(&bodies->by_key, &body->by_key);
    list_remove(&body->by_age);
    bodies->bytes -= body->bytes.cap;
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

static enum status render_all(struct body *body, const struct content *content, char *scratch)
{
    struct render render;
    bool is_last       = false;
    enum status status = OK;
    render_init(&render, content, body->key.is_chunk);
    while (status == OK && !is_last)
        status = render_next(&render, scratch, &body->bytes, &is_last);
    return status;
}

static struct span key_span(const struct body_key *key)
{
    return span_make((const char *)key, sizeof *key);
}

static void keep(struct bodies *bodies, struct body *body)
{
    body->is_kept = true;
    bodies->bytes += body->bytes.cap;
    table_insert(&bodies->by_key, &body->by_key, key_span(&body->key));
    list_push(&bodies->by_age, &body->by_age);
    while (bodies->bytes > BODIES_BYTES_MAX)
        forget(bodies, body_at(list_first(&bodies->by_age)));
}

static enum status make(struct bodies *bodies, const struct content *content,
                        const struct body_key *key, char *scratch, struct body **made)
{
    struct body *body  = mem_new(sizeof *body);
    body->key          = *key;
    enum status status = render_all(body, content, scratch);
    if (status != OK) {
        free_unused(body);
        return status;
    }
    body->refs = 1; /* it may be too much to keep, but not to send */
    keep(bodies, body);
    *made = body;
    return OK;
}

enum status bodies_take(struct bodies *bodies, const struct content *content,
                        const struct body_key *key, char *scratch, uint64_t now_ms,
                        struct body **body)
{
    struct table_node *node = table_find(&bodies->by_key, key_span(key));
    enum status status      = OK;
    *body                   = NULL;
    if (node != NULL) {
        *body = CONTAINER_OF(node, struct body, by_key);
        (*body)->refs++;
        list_move(&bodies->by_age, &(*body)->by_age);
    } else {
        status = make(bodies, content, key, scratch, body);
    }
    if (status == OK)
        (*body)->used_ms = now_ms;
    return status;
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
