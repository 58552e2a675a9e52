/* SPDX-License-Identifier: MIT */
/*
 * sim SEED            plays one world and says what came of it; -v before it: with its whole trace
 * sim --seeds N       plays the worlds of tests/sim/seeds.txt, which once broke, and 1 to N; the
 *                     first few twice, which must go the same way
 */
#include "tests/sim/sim_world.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TWICE = 3 };

/* When a sanitizer ends the program, the seed must be known too. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void on_death(void)
{
    if (sim() != NULL)
        (void)fprintf(stderr, "in seed %" PRIu64 ", step %" PRIu64 "\n", sim()->seed, sim()->steps);
}

static int play_one(uint64_t seed, bool is_verbose)
{
    uint64_t hash = world_play(seed, is_verbose);
    printf("seed %" PRIu64 ": every promise was kept (trace %016" PRIx64 ")\n", seed, hash);
    return EXIT_SUCCESS;
}

/* Lines of a seed and what it found. */
static uint64_t play_known(void)
{
    uint64_t seed, count = 0;
    FILE *file = fopen("tests/sim/seeds.txt", "r");
    if (file == NULL)
        return 0;
    for (; fscanf(file, "%" SCNu64 "%*[^\n]", &seed) == 1; count++)
        (void)world_play(seed, false);
    (void)fclose(file);
    return count;
}

static int play_many(uint64_t count)
{
    uint64_t differing = 0, known = play_known();
    for (uint64_t seed = 1; seed <= count; seed++) {
        uint64_t hash = world_play(seed, false);
        bool differs  = seed <= TWICE && world_play(seed, false) != hash;
        differing += differs;
        if (differs)
            printf("seed %" PRIu64 " does not go the same way twice\n", seed);
    }
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", known + count - differing, differing);
    return differing > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    bool is_verbose = argc == 3 && strcmp(argv[1], "-v") == 0;
    bool is_many    = argc == 3 && strcmp(argv[1], "--seeds") == 0;
    char *end       = NULL;
    uint64_t number = argc < 2 ? 0 : strtoull(argv[argc - 1], &end, 10);
    if (__sanitizer_set_death_callback != NULL)
        __sanitizer_set_death_callback(on_death);
    if (argc < 2 || argc > 3 || *end != '\0' || (argc == 3 && !is_many && !is_verbose)) {
        (void)fputs("usage: sim [-v] SEED | sim --seeds N\n", stderr);
        return EXIT_FAILURE;
    }
    return is_many ? play_many(number) : play_one(number, is_verbose);
}
