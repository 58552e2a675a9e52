/* SPDX-License-Identifier: MIT */
/* The heap against a reference that looks at every key. */
#include "mta/base/heap.h"
#include "mta/base/mem.h"
#include "mta/base/rng.h"
#include "tests/unit/check.h"
#include <stddef.h>

enum { NODES = 200, STEPS = 60000, MANY = 200000 };

struct model {
    struct heap heap;
    struct heap_node nodes[NODES];
    bool is_in[NODES];
    uint64_t keys[NODES];
};

static bool smallest(const struct model *m, uint64_t *key)
{
    bool has_any = false;
    for (int i = 0; i < NODES; i++)
        if (m->is_in[i] && (!has_any || m->keys[i] < *key)) {
            *key    = m->keys[i];
            has_any = true;
        }
    return has_any;
}

static void check_first(const struct model *m)
{
    uint64_t key                  = 0;
    bool has_any                  = smallest(m, &key);
    const struct heap_node *first = heap_first(&m->heap);
    assert_int_equal(first != NULL, has_any);
    if (has_any)
        assert_true(first->key == key);
}

static void take_up_to(struct model *m, uint64_t limit)
{
    uint64_t key           = 0;
    bool is_due            = smallest(m, &key) && key <= limit;
    struct heap_node *node = heap_take(&m->heap, limit);
    assert_int_equal(node != NULL, is_due);
    if (node == NULL)
        return;
    ptrdiff_t i = node - m->nodes;
    assert_true(m->is_in[i] && m->keys[i] == key && node->key == key);
    m->is_in[i] = false;
}

static void one_step(struct model *m, struct rng *rng)
{
    size_t i     = rng_below(rng, NODES);
    uint64_t key = rng_one_in(rng, 50) ? UINT64_MAX : rng_below(rng, 100); /* many are equal */
    switch (rng_below(rng, 4)) {
    case 0:
        if (m->is_in[i])
            return;
        heap_push(&m->heap, &m->nodes[i], key);
        break;
    case 1:
        heap_set(&m->heap, &m->nodes[i], key);
        break;
    case 2:
        heap_remove(&m->heap, &m->nodes[i]);
        m->is_in[i] = false;
        return;
    default:
        take_up_to(m, key);
        return;
    }
    m->is_in[i] = true;
    m->keys[i]  = key;
}

static void random_steps_agree_with_the_reference(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct rng rng;
        struct model m = {0};
        rng_seed(&rng, seed);
        for (int step = 0; step < STEPS; step++) {
            one_step(&m, &rng);
            check_first(&m);
            size_t i = rng_below(&rng, NODES);
            assert_int_equal(heap_holds(&m.heap, &m.nodes[i]), m.is_in[i]);
        }
        while (heap_first(&m.heap) != NULL)
            take_up_to(&m, UINT64_MAX);
        check_first(&m);
    }
}

/* Shapes that would be deep: nothing recurses. */
static void many_leave_in_order(void **state)
{
    (void)state;
    struct heap_node *nodes = mem_new_array(MANY, sizeof *nodes);
    for (int shape = 0; shape < 3; shape++) {
        struct heap heap = {0};
        struct rng rng;
        uint64_t last = 0;
        rng_seed(&rng, 9);
        for (uint64_t i = 0; i < MANY; i++)
            heap_push(&heap, &nodes[i],
                      shape == 0   ? i
                      : shape == 1 ? MANY - i
                                   : rng_below(&rng, MANY));
        for (int i = 0; i < MANY; i++) {
            struct heap_node *node = heap_take(&heap, UINT64_MAX);
            assert_true(node != NULL && node->key >= last);
            last = node->key;
        }
        assert_null(heap_take(&heap, UINT64_MAX));
    }
    mem_free(nodes);
}

static void nothing_is_taken_before_it_is_due(void **state)
{
    (void)state;
    struct heap heap      = {0};
    struct heap_node node = {0};
    assert_false(heap_holds(&heap, &node));
    heap_remove(&heap, &node);
    heap_push(&heap, &node, 10);
    assert_null(heap_take(&heap, 9));
    assert_true(heap_holds(&heap, &node));
    assert_ptr_equal(heap_take(&heap, 10), &node);
    assert_false(heap_holds(&heap, &node));
    assert_null(heap_take(&heap, UINT64_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_steps_agree_with_the_reference),
        cmocka_unit_test(many_leave_in_order),
        cmocka_unit_test(nothing_is_taken_before_it_is_due),
    };
    return RUN(tests);
}
