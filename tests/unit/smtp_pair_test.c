/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "tests/fuzz/smtp_pair.h"

enum { SEEDS = 3000 };

/* Returns how many messages were in flight at once. */
static unsigned run(uint64_t seed, bool is_lossy)
{
    static struct pair p;
    pair_init(&p, (struct span){0}, seed, is_lossy);
    pair_run(&p);
    pair_release(&p);
    return p.most_in_flight;
}

static void client_and_server_agree(void **state)
{
    unsigned seen[SMTP_FLIGHT_MAX + 1] = {0};
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        seen[run(seed, false)]++;
    for (unsigned count = 1; count <= SMTP_FLIGHT_MAX; count++)
        assert_true(seen[count] > SEEDS / 100);
}

static void client_and_server_agree_when_the_connection_is_lost(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run(seed, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(client_and_server_agree),
        cmocka_unit_test(client_and_server_agree_when_the_connection_is_lost),
    };
    return RUN(tests);
}
