/* SPDX-License-Identifier: MIT */
#include "mta/base/rng.h"
#include "tests/unit/check.h"

enum { DRAWS = 60000, SIDES = 6 };

static void a_seed_repeats_its_sequence(void **state)
{
    (void)state;
    struct rng a, b, c;
    rng_seed(&a, 42);
    rng_seed(&b, 42);
    rng_seed(&c, 43);
    bool differs = false;
    for (int i = 0; i < 100; i++) {
        uint64_t value = rng_next(&a);
        assert_true(value == rng_next(&b));
        differs = differs || value != rng_next(&c);
    }
    assert_true(differs);
}

/* The reference values of both published algorithms, so that seeds mean the same for ever. */
static void the_sequence_is_the_published_one(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 0);
    assert_true(rng.state[0] == 0xe220a8397b1dcdaf); /* splitmix64 from 0 */
    assert_true(rng.state[1] == 0x6e789e6aa1b965f4);
    assert_true(rng.state[2] == 0x06c45d188009454f);
    assert_true(rng.state[3] == 0xf88bb8a8724c81ec);
    rng = (struct rng){
        {1, 2, 3, 4}
    };
    assert_true(rng_next(&rng) == 11520); /* xoshiro256** from 1, 2, 3, 4 */
    assert_true(rng_next(&rng) == 0);
    assert_true(rng_next(&rng) == 1509978240);
    assert_true(rng_next(&rng) == 1215971899390074240);
}

static void draws_stay_below_their_bound_and_reach_all(void **state)
{
    (void)state;
    struct rng rng;
    unsigned seen[SIDES] = {0};
    rng_seed(&rng, 7);
    for (int i = 0; i < DRAWS; i++) {
        uint64_t side = rng_below(&rng, SIDES);
        assert_true(side < SIDES);
        seen[side]++;
    }
    for (int i = 0; i < SIDES; i++)
        assert_in_range(seen[i], DRAWS / SIDES - 500, DRAWS / SIDES + 500);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(rng_below(&rng, 1), 0);
        assert_true(rng_below(&rng, UINT64_MAX) < UINT64_MAX);
        assert_true(rng_below(&rng, (1ULL << 63) + 1) <= 1ULL << 63);
    }
}

static void once_in_n_is_about_that_often(void **state)
{
    (void)state;
    struct rng rng;
    unsigned hits = 0;
    rng_seed(&rng, 8);
    for (int i = 0; i < DRAWS; i++)
        hits += rng_one_in(&rng, 10);
    assert_in_range(hits, DRAWS / 10 - 500, DRAWS / 10 + 500);
    assert_true(rng_one_in(&rng, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_repeats_its_sequence),
        cmocka_unit_test(the_sequence_is_the_published_one),
        cmocka_unit_test(draws_stay_below_their_bound_and_reach_all),
        cmocka_unit_test(once_in_n_is_about_that_often),
    };
    return RUN(tests);
}
