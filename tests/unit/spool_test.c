/* SPDX-License-Identifier: MIT */
#include "tests/unit/spool_fixture.h"

static void power_cycle(enum fake_survival how)
{
    fake_power_on(how, 1);
}

static void a_committed_message_is_found_again(void **state)
{
    (void)state;
    struct spool_config config = small_config();
    struct spool_recovered found;
    uint64_t now = 1000;
    fake_reset();
    struct spool *s = open_spool(&config);
    assert_non_null(s);
    assert_int_equal(put_message(s, 7, 100000, 3, &now), OK);
    spool_close(s);
    power_cycle(FAKE_DROP);
    s = open_spool(&config);
    assert_true(spool_take_recovered(s, &found));
    assert_int_equal(found.entry.id, 7);
    assert_string_equal(found.entry.envelope.sender, "list-bounces@example.net");
    assert_int_equal(found.rcpt_count, 3);
    assert_string_equal(found.rcpts[2].envelope.address, "rcpt2.7@example.org");
    assert_true(content_is(found.content, 7, 100000));
    content_release(found.content);
    assert_false(spool_take_recovered(s, &found));
    spool_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_committed_message_is_found_again)};
    return RUN(tests);
}
