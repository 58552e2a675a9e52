/* SPDX-License-Identifier: MIT */
#include "mta/deliver/peers.h"
#include "tests/unit/check.h"

static const struct span name = SPAN("mx.example[192.0.2.1]:25");

static void nobody_is_distrusted_unmet(void **state)
{
    (void)state;
    for (unsigned trouble = 0; trouble < PEER_TROUBLES; trouble++)
        assert_true(peer_may(NULL, (enum peer_trouble)trouble, 0));
}

static void one_stumble_may_be_chance(void **state)
{
    (void)state;
    struct peers peers = {0};
    peers_init(&peers, 1);
    struct peer *peer = peers_meet(&peers, name);
    peer_note(peer, PEER_STUMBLED, 1000);
    assert_true(peer_may(peer, PEER_STUMBLED, 1000));
    peer_note(peer, PEER_WALKS, 1001); /* then it went well */
    peer_note(peer, PEER_STUMBLED, 1002);
    assert_true(peer_may(peer, PEER_STUMBLED, 1002));
    peer_note(peer, PEER_STUMBLED, 1003);
    assert_false(peer_may(peer, PEER_STUMBLED, 1003));
    assert_true(peer_may(peer, PEER_OUT_OF_STEP, 1003)); /* each trouble for itself */
    assert_true(peer_may(peer, PEER_NO_BDAT, 1003));
    peers_release(&peers);
}

static void distrust_ends_after_a_day(void **state)
{
    (void)state;
    struct peers peers = {0};
    peers_init(&peers, 1);
    struct peer *peer = peers_meet(&peers, name);
    peer_note(peer, PEER_NO_BDAT, 1000); /* once is enough */
    assert_false(peer_may(peer, PEER_NO_BDAT, 1000 + PEER_DISTRUST_MS - 1));
    assert_true(peer_may(peer, PEER_NO_BDAT, 1000 + PEER_DISTRUST_MS));
    for (unsigned i = 0; i < PEER_STUMBLES_MAX; i++)
        peer_note(peer, PEER_OUT_OF_STEP, 2000);
    assert_false(peer_may(peer, PEER_OUT_OF_STEP, 2000));
    assert_ptr_equal(peers_find(&peers, name), peer);
    peers_release(&peers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_distrusted_unmet),
        cmocka_unit_test(one_stumble_may_be_chance),
        cmocka_unit_test(distrust_ends_after_a_day),
    };
    return RUN(tests);
}
