/* SPDX-License-Identifier: MIT */
#include "mta/base/mem.h"
#include "mta/base/rng.h"
#include "mta/base/table.h"
#include "tests/unit/check.h"
#include <string.h>

enum { THINGS = 3000, STEPS = 300000, KEY_BYTES = 16 };

struct thing {
    struct table_node by_name;
    char name[KEY_BYTES];
    bool is_in, is_seen;
};

static struct thing *things_new(void)
{
    struct thing *things = mem_new_array(THINGS, sizeof *things);
    for (int i = 0; i < THINGS; i++)
        (void)snprintf(things[i].name, KEY_BYTES, "name%d", i);
    return things;
}

static struct span key_of(const struct thing *thing)
{
    return span_of(thing->name);
}

static void walk(const struct table *t, struct thing *things)
{
    struct table_node *node;
    size_t at = 0, seen = 0;
    for (int i = 0; i < THINGS; i++)
        things[i].is_seen = false;
    while ((node = table_each(t, &at)) != NULL) {
        struct thing *thing = (struct thing *)node;
        assert_true(thing->is_in && !thing->is_seen);
        thing->is_seen = true;
        seen++;
    }
    assert_int_equal(seen, t->count);
}

static void random_steps_agree_with_the_reference(void **state)
{
    (void)state;
    struct thing *things = things_new();
    struct table t;
    struct rng rng;
    size_t count = 0;
    rng_seed(&rng, 5);
    table_init(&t, 77);
    assert_null(table_find(&t, span_of("name1")));
    for (int step = 0; step < STEPS; step++) {
        struct thing *thing = &things[rng_below(&rng, THINGS)];
        if (thing->is_in)
            table_remove(&t, &thing->by_name);
        else
            table_insert(&t, &thing->by_name, key_of(thing));
        thing->is_in = !thing->is_in;
        count += thing->is_in ? 1 : (size_t)-1;
        assert_int_equal(t.count, count);
        const struct thing *other = &things[rng_below(&rng, THINGS)];
        assert_ptr_equal(table_find(&t, key_of(other)), other->is_in ? &other->by_name : NULL);
        if (step % 50000 == 0)
            walk(&t, things);
    }
    walk(&t, things);
    table_release(&t);
    assert_null(table_find(&t, span_of("name1")));
    mem_free(things);
}

static void coming_and_going_does_not_make_it_grow(void **state)
{
    (void)state;
    struct thing *things = things_new();
    struct table t;
    table_init(&t, 1);
    for (int round = 0; round < 100; round++)
        for (int i = 0; i < THINGS; i++) {
            table_insert(&t, &things[i].by_name, key_of(&things[i]));
            if (i >= 5)
                table_remove(&t, &things[i - 5].by_name);
            if (i == THINGS - 1)
                for (int k = i - 4; k <= i; k++)
                    table_remove(&t, &things[k].by_name);
        }
    assert_int_equal(t.count, 0);
    assert_true(t.bytes <= 512);
    table_release(&t);
    mem_free(things);
}

static void memory_goes_with_the_things(void **state)
{
    (void)state;
    struct thing *things = things_new();
    struct table t;
    table_init(&t, 9);
    for (int i = 0; i < THINGS; i++)
        table_insert(&t, &things[i].by_name, key_of(&things[i]));
    assert_in_range(t.bytes, 9 * THINGS, 14 * THINGS);
    size_t full = t.bytes;
    for (int i = THINGS / 20; i < THINGS; i++)
        table_remove(&t, &things[i].by_name);
    assert_in_range(t.bytes, 1, full / 4);
    for (int i = 0; i < THINGS / 20; i++)
        table_remove(&t, &things[i].by_name);
    assert_in_range(t.bytes, 0, 512);
    table_release(&t);
    assert_int_equal(t.bytes, 0);
    mem_free(things);
}

static void keys_are_bytes_not_text(void **state)
{
    (void)state;
    struct table t;
    struct table_node a, b, c;
    table_init(&t, 3);
    table_insert(&t, &a, span_make("x\0a", 3));
    table_insert(&t, &b, span_make("x\0b", 3));
    table_insert(&t, &c, span_make("", 0));
    assert_ptr_equal(table_find(&t, span_make("x\0b", 3)), &b);
    assert_ptr_equal(table_find(&t, span_make("", 0)), &c);
    assert_null(table_find(&t, span_of("x")));
    assert_null(table_find(&t, span_make("x\0A", 3)));
    table_release(&t);
}

static void a_walk_may_remove_what_it_was_given(void **state)
{
    (void)state;
    struct thing *things = things_new();
    struct table t;
    struct table_node *node;
    size_t at = 0, seen = 0;
    table_init(&t, 4);
    for (int i = 0; i < THINGS; i++)
        table_insert(&t, &things[i].by_name, key_of(&things[i]));
    while ((node = table_each(&t, &at)) != NULL) {
        table_remove(&t, node);
        seen++;
    }
    assert_int_equal(seen, THINGS);
    assert_int_equal(t.count, 0);
    assert_null(table_find(&t, span_of("name7")));
    table_release(&t);
    mem_free(things);
}

enum { MANY = 50000 };

static void numbers_are_keys_too(void **state)
{
    (void)state;
    struct table_id *ids = mem_new_array(MANY, sizeof *ids);
    struct table t;
    table_init_by_id(&t, 8);
    for (uint64_t i = 0; i < MANY; i++) {
        ids[i].id = i << 20;
        table_insert_id(&t, &ids[i]);
    }
    for (uint64_t i = 0; i < MANY; i++)
        assert_ptr_equal(table_find_id(&t, i << 20), &ids[i]);
    assert_null(table_find_id(&t, 1));
    for (int i = 0; i < MANY; i += 2)
        table_remove_id(&t, &ids[i]);
    for (uint64_t i = 0; i < MANY; i++)
        assert_ptr_equal(table_find_id(&t, i << 20), i % 2 == 0 ? NULL : &ids[i]);
    table_release(&t);
    mem_free(ids);
}

/* A walk goes on over many turns, while the table changes in every way. */
static void a_walk_misses_nobody_who_stays(void **state)
{
    (void)state;
    struct table_id *ids = mem_new_array(MANY, sizeof *ids), *node;
    unsigned char *seen  = mem_new_array(MANY, 1);
    struct table t;
    struct rng rng;
    uint64_t last = 2000;
    size_t at     = 0;
    rng_seed(&rng, 21);
    table_init_by_id(&t, 10);
    for (uint64_t i = 0; i < MANY; i++)
        ids[i].id = i;
    for (uint64_t i = 0; i < last; i++)
        table_insert_id(&t, &ids[i]);
    for (uint64_t first = 1000; (node = table_each_id(&t, &at)) != NULL;) {
        seen[node->id]++;
        for (uint64_t more = rng_below(&rng, 60); more > 0 && last < MANY; more--)
            table_insert_id(&t, &ids[last++]);
        for (uint64_t fewer = rng_below(&rng, 40); fewer > 0 && first < last; fewer--)
            if (rng_below(&rng, 2) > 0)
                table_remove_id(&t, &ids[first++]);
    }
    for (uint64_t i = 0; i < 1000; i++)
        assert_in_range(seen[i], 1, 100);
    table_release(&t);
    mem_free(ids);
    mem_free(seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_steps_agree_with_the_reference),
        cmocka_unit_test(coming_and_going_does_not_make_it_grow),
        cmocka_unit_test(memory_goes_with_the_things),
        cmocka_unit_test(keys_are_bytes_not_text),
        cmocka_unit_test(numbers_are_keys_too),
        cmocka_unit_test(a_walk_misses_nobody_who_stays),
        cmocka_unit_test(a_walk_may_remove_what_it_was_given),
    };
    return RUN(tests);
}
