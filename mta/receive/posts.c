/* SPDX-License-Identifier: MIT */
#include "mta/receive/posts.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"

void posts_init(struct posts *posts, struct spool *spool, struct queue *queue, uint64_t seed)
{
    *posts = (struct posts){.spool = spool, .queue = queue, .seed = seed};
    table_init(&posts->by_key, seed);
    list_init(&posts->recent);
}

static struct post *post_at(struct list *node)
{
    return node == NULL ? NULL : CONTAINER_OF(node, struct post, in_recent);
}

static struct span key_of(const struct post_key *key)
{
    return span_make((const char *)key->bytes, sizeof key->bytes);
}

static void hide(struct posts *posts, struct post *post)
{
    if (!post->is_closing)
        table_remove(&posts->by_key, &post->by_key);
    post->is_closing = true;
}

static void forget(struct posts *posts, struct post *post)
{
    hide(posts, post);
    list_remove(&post->in_recent);
    posts->count--;
    posts->bytes -= prints_memory(&post->prints);
    prints_release(&post->prints);
    if (post->content != NULL)
        content_release(post->content);
    mem_free(post);
}

void posts_release(struct posts *posts)
{
    struct list *first;
    while ((first = list_first(&posts->recent)) != NULL)
        forget(posts, post_at(first));
    table_release(&posts->by_key);
}

/* What is on its way holds it open a little longer. */
static void close_post(struct posts *posts, struct post *post, uint64_t now_ms)
{
    hide(posts, post);
    if (post->pending > 0)
        return;
    if (post->message != NULL) {
        spool_close_message(posts->spool, post->id);
        queue_close_message(posts->queue, post->message, now_ms);
    }
    forget(posts, post);
}

struct post *posts_find(struct posts *posts, const struct post_key *key, uint64_t now_ms)
{
    struct table_node *node = table_find(&posts->by_key, key_of(key));
    if (node == NULL)
        return NULL;
    struct post *post = CONTAINER_OF(node, struct post, by_key);
    if (now_ms - post->opened_ms <= POST_AGE_MAX_MS)
        return post;
    close_post(posts, post, now_ms);
    return NULL;
}

static bool is_too_much(const struct posts *posts)
{
    return posts->count >= POSTS_MAX || posts->bytes > POSTS_BYTES_MAX;
}

/* Those on their way are the disk's to end, and few. */
static void make_room(struct posts *posts, uint64_t now_ms)
{
    struct list *next;
    for (struct list *n = list_first(&posts->recent); n != NULL && is_too_much(posts); n = next) {
        next = list_next(&posts->recent, n);
        if (post_at(n)->pending == 0)
            close_post(posts, post_at(n), now_ms);
    }
}

struct post *posts_open(struct posts *posts, const struct post_key *key, uint64_t id,
                        uint64_t now_ms)
{
    struct post *older = posts_find(posts, key, now_ms);
    if (older != NULL)
        close_post(posts, older, now_ms);
    make_room(posts, now_ms);
    struct post *post = mem_new(sizeof *post);
    post->key         = *key;
    post->id          = id;
    post->opened_ms = post->used_ms = now_ms;
    table_insert(&posts->by_key, &post->by_key, key_of(&post->key));
    list_push(&posts->recent, &post->in_recent);
    posts->count++;
    return post;
}

static bool holds_any(const struct posts *posts, const struct post *post,
                      const struct message *joins)
{
    for (uint32_t i = 0; i < joins->rcpt_count; i++) {
        struct span address = span_of(message_rcpt(joins, i)->address);
        if (prints_hold(&post->prints, print_of(address, posts->seed)))
            return true;
    }
    return false;
}

bool post_take(struct posts *posts, struct post *post, const struct message *joins)
{
    if (post->prints.count + joins->rcpt_count > POST_RCPTS_MAX || holds_any(posts, post, joins))
        return false;
    posts->bytes -= prints_memory(&post->prints);
    for (uint32_t i = 0; i < joins->rcpt_count; i++)
        prints_add(&post->prints, print_of(span_of(message_rcpt(joins, i)->address), posts->seed));
    posts->bytes += prints_memory(&post->prints);
    post->pending++;
    return true;
}

void post_end(struct posts *posts, struct post *post, enum status status, uint64_t now_ms)
{
    must(post->pending > 0);
    post->pending--;
    post->used_ms = now_ms;
    list_move(&posts->recent, &post->in_recent);
    if (status != OK || post->is_closing)
        close_post(posts, post, now_ms);
}

uint64_t posts_turn(struct posts *posts, uint64_t join_ms, uint64_t now_ms)
{
    struct list *next;
    for (struct list *n = list_first(&posts->recent); n != NULL; n = next) {
        struct post *post = post_at(n);
        next              = list_next(&posts->recent, n);
        if (post->used_ms + join_ms > now_ms)
            return post->used_ms + join_ms;
        if (post->pending == 0)
            close_post(posts, post, now_ms);
    }
    return UINT64_MAX; /* what is on its way comes back */
}

void posts_close_all(struct posts *posts, uint64_t now_ms)
{
    struct list *next;
    for (struct list *n = list_first(&posts->recent); n != NULL; n = next) {
        next = list_next(&posts->recent, n);
        close_post(posts, post_at(n), now_ms);
    }
}
