/* SPDX-License-Identifier: MIT */
/*
 * List: a ring of nodes that live inside the things they link, named by role
 * (struct list in_site).  The head is a node too.  A node in no list is linked to itself, so
 * removing it twice does nothing; a zeroed node counts as in no list.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev;
};

/* The struct that holds 'node' as its 'member'. */
#define CONTAINER_OF(node, type, member) ((type *)((char *)(node)-offsetof(type, member)))

/* for (struct list *n = list_first(h); n != NULL; n = list_next(h, n)): nothing may be removed
 * meanwhile */

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_is_empty(const struct list *head)
{
    return head->next == head || head->next == NULL;
}

static inline bool list_is_linked(const struct list *node)
{
    return node->next != NULL && node->next != node;
}

static inline void list_remove(struct list *node)
{
    if (node->next != NULL) {
        node->next->prev = node->prev;
        node->prev->next = node->next;
    }
    list_init(node);
}

/* Puts 'node' last; it must be in no list. */
static inline void list_push(struct list *head, struct list *node)
{
    if (head->next == NULL)
        list_init(head);
    node->prev       = head->prev;
    node->next       = head;
    head->prev->next = node;
    head->prev       = node;
}

static inline void list_push_front(struct list *head, struct list *node)
{
    if (head->next == NULL)
        list_init(head);
    list_push(head->next, node);
}

/* From wherever it is to the end of 'head'. */
static inline void list_move(struct list *head, struct list *node)
{
    list_remove(node);
    list_push(head, node);
}

static inline struct list *list_first(const struct list *head)
{
    return list_is_empty(head) ? NULL : head->next;
}

static inline struct list *list_next(const struct list *head, const struct list *node)
{
    return node->next == head ? NULL : node->next;
}

static inline struct list *list_last(const struct list *head)
{
    return list_is_empty(head) ? NULL : head->prev;
}

static inline struct list *list_before(const struct list *head, const struct list *node)
{
    return node->prev == head ? NULL : node->prev;
}

/* The first, no longer linked; NULL when empty. */
static inline struct list *list_take(struct list *head)
{
    struct list *node = list_first(head);
    if (node != NULL)
        list_remove(node);
    return node;
}

/* All of 'from' to the end of 'to'; 'from' is empty afterwards. */
static inline void list_splice(struct list *to, struct list *from)
{
    if (list_is_empty(from))
        return;
    if (to->next == NULL)
        list_init(to);
    from->next->prev = to->prev;
    from->prev->next = to;
    to->prev->next   = from->next;
    to->prev         = from->prev;
    list_init(from);
}
