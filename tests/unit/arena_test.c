/* SPDX-License-Identifier: MIT */
#include "mta/base/arena.h"
#include "mta/base/rng.h"
#include "tests/unit/check.h"
#include <stdalign.h>
#include <string.h>

enum { THINGS = 3000, LARGE_BYTES = 200000 };

static void things_are_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    struct arena a = {0};
    struct rng rng;
    unsigned char *things[THINGS];
    size_t bytes[THINGS];
    rng_seed(&rng, 1);
    for (int i = 0; i < THINGS; i++) {
        bytes[i]  = rng_below(&rng, 300);
        things[i] = arena_new(&a, bytes[i]);
        assert_int_equal((uintptr_t)things[i] % alignof(max_align_t), 0);
        for (size_t k = 0; k < bytes[i]; k++)
            assert_int_equal(things[i][k], 0);
        memset(things[i], i % 255 + 1, bytes[i]);
        if (i % 3 == 0)
            assert_string_equal(arena_text(&a, span_of("odd")), "odd"); /* unaligns the next */
    }
    for (int i = 0; i < THINGS; i++)
        for (size_t k = 0; k < bytes[i]; k++)
            assert_int_equal(things[i][k], i % 255 + 1);
    arena_release(&a);
}

static void texts_are_copies_with_an_end(void **state)
{
    (void)state;
    struct arena a;
    char source[] = "text";
    arena_init(&a);
    const char *copy  = arena_text(&a, span_make(source, 3));
    const char *none  = arena_text(&a, (struct span){NULL, 0});
    const char *bytes = arena_text(&a, span_make("a\0b", 3));
    source[0]         = 'n';
    assert_string_equal(copy, "tex");
    assert_string_equal(none, "");
    assert_memory_equal(bytes, "a\0b", 4);
    arena_release(&a);
}

static void something_large_has_room(void **state)
{
    (void)state;
    struct arena a = {0};
    (void)arena_new(&a, 1);
    char *large = arena_new(&a, LARGE_BYTES);
    memset(large, 1, LARGE_BYTES);
    char *next = arena_new(&a, 100);
    memset(next, 2, 100);
    assert_int_equal(large[LARGE_BYTES - 1], 1);
    arena_release(&a);
}

static void it_costs_little_and_says_how_much(void **state)
{
    (void)state;
    struct arena a = {0};
    assert_int_equal(a.bytes, 0);
    (void)arena_new(&a, 1);
    assert_true(a.bytes > 0 && a.bytes < 1024);
    for (int i = 0; i < THINGS; i++)
        (void)arena_new(&a, 64);
    assert_true(a.bytes >= THINGS * 64 && a.bytes < THINGS * 64 * 2);
    arena_release(&a);
    assert_int_equal(a.bytes, 0);
    (void)arena_new(&a, 1); /* usable again */
    arena_release(&a);
}

static void a_reset_arena_keeps_one_block_and_no_byte(void **state)
{
    (void)state;
    struct arena a = {0};
    arena_reset(&a); /* nothing to keep */
    for (size_t i = 0; i < 100; i++)
        (void)arena_text(&a, span_of("some words that fill more than a block after a while"));
    arena_reset(&a);
    size_t bytes = a.bytes;
    assert_true(bytes > 0);
    const unsigned char *zeroed = arena_new(&a, 400);
    for (size_t i = 0; i < 400; i++)
        assert_int_equal(zeroed[i], 0);
    assert_int_equal(a.bytes, bytes);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(things_are_zeroed_aligned_and_apart),
        cmocka_unit_test(texts_are_copies_with_an_end),
        cmocka_unit_test(something_large_has_room),
        cmocka_unit_test(it_costs_little_and_says_how_much),
        cmocka_unit_test(a_reset_arena_keeps_one_block_and_no_byte),
    };
    return RUN(tests);
}
