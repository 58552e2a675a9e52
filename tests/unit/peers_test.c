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

static bool hears(struct peer *peer, bool was_secured, uint64_t now_ms)
{
    const struct peer_greeting greeting = {.extensions = 3, .was_secured = was_secured};
    return peer_hear(peer, &greeting, now_ms);
}

static void lost_tls_is_told_once(void **state)
{
    (void)state;
    struct peers peers = {0};
    peers_init(&peers, 1);
    struct peer *peer = peers_meet(&peers, name);
    assert_false(hears(peer, false, 1000)); /* it never had any */
    assert_false(hears(peer, true, 1001));
    assert_false(hears(peer, true, 1002));
    assert_true(hears(peer, false, 1003));
    assert_false(hears(peer, false, 1004));
    assert_false(hears(peer, true, 1005)); /* it is back */
    assert_true(hears(peer, false, 1006));
    assert_int_equal(peer->greeting.extensions, 3);
    peers_release(&peers);
}

static void a_greeting_is_kept_for_a_day(void **state)
{
    (void)state;
    struct peers peers = {0};
    peers_init(&peers, 1);
    struct peer *peer = peers_meet(&peers, name);
    assert_false(hears(peer, true, 1000));
    assert_int_equal(peer->greeting.until_ms, 1000 + PEER_GREETING_MS);
    assert_false(hears(peer, false, 1000 + PEER_GREETING_MS));
    peers_release(&peers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_distrusted_unmet),   cmocka_unit_test(one_stumble_may_be_chance),
        cmocka_unit_test(distrust_ends_after_a_day),    cmocka_unit_test(lost_tls_is_told_once),
        cmocka_unit_test(a_greeting_is_kept_for_a_day),
    };
    return RUN(tests);
}
