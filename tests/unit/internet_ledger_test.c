/* SPDX-License-Identifier: MIT */
/* The ledger counts each recipient of each message, and forgets nothing. */
#include "bench/greylist.h"
#include "bench/ledger.h"
#include "tests/unit/check.h"
#include <stdio.h>
#include <string.h>

static const uint8_t one_body[LEDGER_SHA256_BYTES]   = {1};
static const uint8_t other_body[LEDGER_SHA256_BYTES] = {2};

static void receive(struct ledger *l, const char *id, const uint8_t *sha256, const char *rcpt,
                    uint64_t now_us)
{
    ledger_receive(l, ledger_letter(l, span_of(id), sha256), span_of(rcpt), false, now_us);
}

static void a_second_receipt_is_a_duplicate(void **state)
{
    (void)state;
    struct ledger l;
    ledger_init(&l, false);
    receive(&l, "id1", one_body, "a@x", 10);
    receive(&l, "id1", one_body, "b@x", 20);
    receive(&l, "id2", one_body, "a@x", 30);
    assert_int_equal(l.duplicates, 0);
    receive(&l, "id1", one_body, "a@x", 40);
    assert_int_equal(l.duplicates, 1);
    assert_int_equal(l.receipt_count, 3);
    const struct receipt *first = ledger_receipt(&l, 0);
    assert_int_equal(first->count, 2);
    assert_int_equal(first->first_us, 10);
    assert_int_equal(first->last_us, 40);
    assert_int_equal(l.changed_ids, 0);
    ledger_release(&l);
}

static void the_same_id_with_another_body_is_still_the_same_message(void **state)
{
    (void)state;
    struct ledger l;
    ledger_init(&l, false);
    receive(&l, "id", one_body, "a@x", 1);
    receive(&l, "id", other_body, "a@x", 2);
    assert_int_equal(l.receipt_count, 1);
    assert_int_equal(l.duplicates, 1);
    assert_int_equal(l.changed_ids, 1);
    ledger_release(&l);
}

static void ids_and_recipients_do_not_run_together(void **state)
{
    (void)state;
    struct ledger l;
    ledger_init(&l, false);
    receive(&l, "a", one_body, "bc@x", 1);
    receive(&l, "ab", one_body, "c@x", 1);
    receive(&l, "", one_body, "abc@x", 1);
    assert_int_equal(l.receipt_count, 3);
    assert_int_equal(l.duplicates, 0);
    ledger_release(&l);
}

static void many_receipts_keep_their_order(void **state)
{
    (void)state;
    enum { MANY = 10000 };
    struct ledger l;
    char rcpt[32];
    ledger_init(&l, false);
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(rcpt, sizeof rcpt, "user%d@x", i);
        receive(&l, "id", one_body, rcpt, 1);
    }
    assert_int_equal(l.receipt_count, MANY);
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(rcpt, sizeof rcpt, "user%d@x", i);
        assert_true(span_is(ledger_receipt(&l, (size_t)i)->rcpt, rcpt));
    }
    ledger_release(&l);
}

static void refusals_are_kept_by_address(void **state)
{
    (void)state;
    struct ledger l;
    struct buf json = {0};
    ledger_init(&l, false);
    ledger_refuse(&l, span_of("a@x"), span_of("450 later"));
    ledger_refuse(&l, span_of("a@x"), span_of("550 never"));
    ledger_refuse(&l, span_of("b@x"), span_of("550 never"));
    assert_int_equal(l.refusal_count, 2);
    ledger_refusal_json(ledger_refusal(&l, 0), &json);
    assert_string_equal(
        buf_text(&json),
        "{\"rcpt\":\"a@x\",\"rejected\":1,\"deferred\":1,\"last\":\"550 never\"}\n");
    buf_release(&json);
    ledger_release(&l);
}

static void the_first_example_of_a_violation_is_kept(void **state)
{
    (void)state;
    struct ledger l;
    struct buf json = {0};
    ledger_init(&l, false);
    ledger_violation(&l, VIOLATION_nul, NULL, span_of("first\r\n"));
    ledger_violation(&l, VIOLATION_nul, NULL, span_of("second"));
    assert_int_equal(ledger_violations(&l), 2);
    ledger_json(&l, &json);
    assert_non_null(strstr(buf_text(&json), "\"nul\":{\"count\":2,\"first\":\"-: first\"}"));
    buf_release(&json);
    ledger_release(&l);
}

static void a_quiet_ledger_counts_the_same(void **state)
{
    (void)state;
    enum { MANY = 10000 };
    struct ledger l;
    char rcpt[32];
    ledger_init(&l, true);
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(rcpt, sizeof rcpt, "user%d@x", i);
        receive(&l, "id1", one_body, rcpt, 1);
        if (i % 10 == 0)
            receive(&l, "id2", one_body, rcpt, 1);
        if (i % 100 == 0)
            receive(&l, "id1", one_body, rcpt, 1);
    }
    assert_int_equal(l.receipt_count, MANY + MANY / 10);
    assert_int_equal(l.duplicates, MANY / 100);
    assert_int_equal(l.letter_count, 2);
    ledger_release(&l);
}

static void percentiles_are_exact_to_a_thirtieth(void **state)
{
    (void)state;
    static struct histogram h;
    assert_int_equal(histogram_percentile(&h, 50), 0);
    for (uint64_t i = 1; i <= 100000; i++)
        histogram_add(&h, i * 7);
    for (unsigned percent = 1; percent < 100; percent++) {
        uint64_t truth = 7 * (1 + 99999ull * percent / 100);
        assert_in_range(histogram_percentile(&h, percent), truth - truth / 32 - 1, truth);
    }
    assert_int_equal(histogram_percentile(&h, 100), 700000);
    histogram_add(&h, UINT64_MAX);
    histogram_add(&h, 0);
    assert_int_equal(h.max, UINT64_MAX);
}

static void mail_is_timed_in_groups_of_its_ids(void **state)
{
    (void)state;
    struct latency l;
    char id[16];
    latency_init(&l);
    latency_note(&l, span_of("urgent-1"), span_of("1000"), 1, 1010);
    latency_note(&l, span_of("urgent-22"), span_of("1000"), 1, 1020);
    latency_note(&l, span_of("post"), span_of("1000"), 500, 1060);
    latency_note(&l, span_of("-7"), span_of(""), 1, 1070); /* without a stamp */
    const struct latency_group *urgent = latency_find(&l, span_of("urgent"));
    assert_non_null(urgent);
    assert_int_equal(urgent->contents, 2);
    assert_int_equal(urgent->spread.max, 20);
    assert_int_equal(urgent->first_us, 1010);
    assert_int_equal(urgent->last_us, 1020);
    assert_int_equal(latency_find(&l, span_of("-7"))->spread.count, 0);
    assert_int_equal(l.all.recipients, 503);
    assert_int_equal(l.all.last_us, 1070);
    for (char c = 'a'; c <= 'z'; c++)
        for (char d = 'a'; d <= 'z'; d++) {
            (void)snprintf(id, sizeof id, "%c%c-1", c, d);
            latency_note(&l, span_of(id), span_of("1"), 1, 2000);
        }
    assert_int_equal(l.group_count, LATENCY_GROUPS_MAX);
    assert_true(latency_find(&l, span_of("(others)"))->contents > 600);
    latency_release(&l);
}

static void a_greylist_passes_after_its_time(void **state)
{
    (void)state;
    struct greylist g;
    greylist_init(&g);
    assert_false(greylist_passes(&g, span_of("k"), 100, 1000));
    assert_false(greylist_passes(&g, span_of("k"), 100, 1099));
    assert_true(greylist_passes(&g, span_of("k"), 100, 1100));
    assert_false(greylist_passes(&g, span_of("other"), 0, 1100));
    assert_true(greylist_passes(&g, span_of("other"), 0, 1100));
    greylist_release(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_receipt_is_a_duplicate),
        cmocka_unit_test(the_same_id_with_another_body_is_still_the_same_message),
        cmocka_unit_test(ids_and_recipients_do_not_run_together),
        cmocka_unit_test(many_receipts_keep_their_order),
        cmocka_unit_test(refusals_are_kept_by_address),
        cmocka_unit_test(the_first_example_of_a_violation_is_kept),
        cmocka_unit_test(a_quiet_ledger_counts_the_same),
        cmocka_unit_test(percentiles_are_exact_to_a_thirtieth),
        cmocka_unit_test(mail_is_timed_in_groups_of_its_ids),
        cmocka_unit_test(a_greylist_passes_after_its_time),
    };
    return RUN(tests);
}
