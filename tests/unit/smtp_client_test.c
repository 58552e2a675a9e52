/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "mta/base/buf.h"
#include "mta/base/rng.h"
#include "mta/smtp/client.h"
#include "tests/fuzz/smtp_peer.h"
#include "tests/unit/smtp_output.h"
#include <string.h>

static const struct smtp_client_config plain = {.helo = "me.example"};
static const struct span dot                 = SPAN(".\r\n");
static const struct smtp_client_config lmtp  = {.helo = "me.example", .is_lmtp = true};

static void all_that_a_small_session_costs(void **state)
{
    (void)state;
    assert_true(sizeof(struct smtp_client) < 9216);
}

/* Two jobs of four recipients: some refused, some taken. */
static const char *const pipelined[] = {
    "220 hi\r\n", "250-x\r\n",      "250 PIPELINING\r\n", "250 ok\r\n",
    "250 ok\r\n", "550 no\r\n",     "250 ok\r\n",         "452 4.5.3 full\r\n",
    "354 go\r\n", "250 queued\r\n", "250 ok\r\n",         "550 no\r\n",
    "550 no\r\n", "550 no\r\n",     "550 no\r\n",         "554 nobody\r\n",
};
static const char *const one_by_one[] = {
    "220 hi\r\n", "250 x\r\n",  "250 ok\r\n", "550 no\r\n", "250 ok\r\n",
    "250 ok\r\n", "250 ok\r\n", "354 go\r\n", "451 no\r\n", "450 later\r\n",
};
static const char *const mailbox_by_mailbox[] = {
    "220 hi\r\n", "250-x\r\n",  "250 PIPELINING\r\n", "250 ok\r\n", "250 ok\r\n", "550 no\r\n",
    "250 ok\r\n", "250 ok\r\n", "354 go\r\n",         "250 ok\r\n", "452 no\r\n", "250 ok\r\n",
};

static void cut_everywhere(const struct smtp_client_config *config, const char *const *lines,
                           size_t count)
{
    static struct peer p;
    struct buf script = {0};
    for (size_t i = 0; i < count; i++)
        buf_put_text(&script, lines[i]);
    for (size_t cut = 0; cut <= script.len; cut++) {
        peer_init(&p, config, 4);
        peer_hear(&p, span_first(buf_span(&script), cut), 3, true);
        peer_hang_up(&p); /* asserts that each recipient was told once */
    }
    buf_release(&script);
}

static void whatever_the_cut_each_recipient_is_told_once(void **state)
{
    (void)state;
    cut_everywhere(&plain, pipelined, sizeof pipelined / sizeof pipelined[0]);
    cut_everywhere(&plain, one_by_one, sizeof one_by_one / sizeof one_by_one[0]);
    cut_everywhere(&lmtp, mailbox_by_mailbox,
                   sizeof mailbox_by_mailbox / sizeof mailbox_by_mailbox[0]);
}

static void a_full_run_counts_each_outcome(void **state)
{
    static struct peer p;
    (void)state;
    peer_init(&p, &plain, 4);
    for (size_t i = 0; i < sizeof pipelined / sizeof pipelined[0]; i++)
        peer_hear(&p, span_of(pipelined[i]), SIZE_MAX, true);
    assert_int_equal(p.delivered, 2);
    assert_int_equal(p.refused, 5);
    assert_int_equal(p.jobs_sent, 2);
    peer_hang_up(&p);
}

/* Mostly what is due, else anything from the list. */
static const char *some_reply(const struct smtp_client *c, struct rng *rng,
                              const char *const *replies, size_t count)
{
    if (rng_one_in(rng, 4))
        return replies[rng_below(rng, count)];
    bool is_data = c->owed_count > 0 && c->owed[c->owed_head].verb == SMTP_DATA;
    return is_data ? "354 go\r\n" : "250 ok\r\n";
}

static void no_server_can_make_it_lie(void **state)
{
    static const char *const replies[] = {
        "220 hi\r\n",  "250 ok\r\n",         "250 ok\r\n",
        "250 ok\r\n",  "250 ok\r\n",         "354 go\r\n",
        "550 no\r\n",  "450 later\r\n",      "452 full\r\n",
        "250-x\r\n",   "250 PIPELINING\r\n", "421 bye\r\n",
        "garbage\r\n", "334 eA==\r\n",       "250-LIMITS RCPTMAX=2 MAILMAX=1\r\n",
    };
    static struct peer p;
    struct rng rng;
    size_t delivered = 0, in_doubt = 0;
    (void)state;
    rng_seed(&rng, 7);
    for (int run = 0; run < 20000; run++) {
        size_t kinds = sizeof replies / sizeof replies[0] - rng_below(&rng, 6);
        peer_init(&p, rng_one_in(&rng, 4) ? &lmtp : &plain, 1 + (unsigned)rng_below(&rng, 8));
        peer_hear(&p, span_of("220 hi\r\n250-x\r\n250 PIPELINING\r\n"), SIZE_MAX, true);
        for (uint64_t n = rng_below(&rng, 30); n > 0; n--)
            peer_hear(&p, span_of(some_reply(&p.client, &rng, replies, kinds)),
                      1 + rng_below(&rng, 9), true);
        peer_hang_up(&p);
        delivered += p.delivered;
        in_doubt += p.in_doubt;
    }
    assert_true(delivered > 1000);
    assert_true(in_doubt > 100);
}

enum { LONG_ADDRESS_BYTES = 500 };

/* A thousand long addresses do not fit the output buffer; still all of them go out, pipelined. */
static void a_full_envelope_drains(void **state)
{
    static struct envelope_rcpt rcpts[SMTP_JOB_RCPT_MAX];
    static char address[LONG_ADDRESS_BYTES + 1];
    static struct smtp_client c;
    struct smtp_result r;
    size_t total = 0, delivered = 0, used = 0;
    (void)state;
    memset(address, 'a', LONG_ADDRESS_BYTES);
    for (size_t i = 0; i < SMTP_JOB_RCPT_MAX; i++)
        rcpts[i] = (struct envelope_rcpt){.address = address, .orcpt = address, .notify = 14};
    struct smtp_job job = {
        .envelope   = {.sender = address, .envid = ""},
        .rcpts      = rcpts,
        .rcpt_count = SMTP_JOB_RCPT_MAX
    };

    smtp_client_init(&c, &plain);
    smtp_client_feed(&c, span_of("220 x\r\n"));
    smtp_client_wrote(&c, smtp_output_first(&c).len);
    smtp_client_feed(&c, span_of("250-x\r\n250-DSN\r\n250 PIPELINING\r\n"));
    smtp_client_send(&c, &job);
    while (smtp_output_first(&c).len > 0) {
        size_t n = smtp_output_first(&c).len;
        n        = 1 + used++ % n;
        total += n;
        smtp_client_wrote(&c, n);
    }
    assert_true(total > (size_t)SMTP_JOB_RCPT_MAX * 2 * LONG_ADDRESS_BYTES);
    for (size_t i = 0; i < 1 + SMTP_JOB_RCPT_MAX; i++)
        smtp_client_feed(&c, span_of("250 x\r\n"));
    smtp_client_feed(&c, span_of("354 x\r\n"));
    smtp_client_body(&c, &dot, 1, true);
    smtp_client_wrote(&c, 3);
    smtp_client_feed(&c, span_of("250 x\r\n"));
    while (smtp_client_result(&c, &r))
        delivered += r.reply->code == 250;
    assert_int_equal(delivered, SMTP_JOB_RCPT_MAX);
}

static void a_result_carries_the_text_of_its_reply(void **state)
{
    static struct peer p;
    struct smtp_result r;
    (void)state;
    peer_init(&p, &plain, 2);
    peer_hear(&p, span_of("220 hi\r\n250-x\r\n250 PIPELINING\r\n250 ok\r\n"), SIZE_MAX, true);
    struct span rest = span_of("550 5.1.1 first\r\n550 5.1.2 second\r\n");
    size_t taken     = smtp_client_feed(&p.client, rest);
    assert_true(taken < rest.len); /* nothing is taken before the result is */
    assert_int_equal(smtp_client_feed(&p.client, span_skip(rest, taken)), 0);
    assert_true(smtp_client_result(&p.client, &r));
    assert_true(span_is(smtp_reply_text(r.reply), "first"));
    smtp_client_feed(&p.client, span_skip(rest, taken));
    assert_true(smtp_client_result(&p.client, &r));
    assert_true(span_is(smtp_reply_text(r.reply), "second"));
    assert_int_equal(r.rcpt, 1);
}

static void the_timer_follows_the_dialogue(void **state)
{
    static struct smtp_client c;
    struct envelope_rcpt rcpt = {.address = "a@x.example", .orcpt = ""};
    struct smtp_job job       = {
              .envelope = {.sender = "", .envid = ""},
                .rcpts = &rcpt, .rcpt_count = 1
    };
    (void)state;
    smtp_client_init(&c, &plain);
    assert_int_equal(smtp_client_timer(&c), SMTP_TIMER_GREETING);
    smtp_client_feed(&c, span_of("220 x\r\n"));
    assert_int_equal(smtp_client_timer(&c), SMTP_TIMER_COMMAND);
    smtp_client_wrote(&c, smtp_output_first(&c).len);
    smtp_client_feed(&c, span_of("250-x\r\n250 PIPELINING\r\n"));
    assert_int_equal(smtp_client_timer(&c), SMTP_TIMER_IDLE);
    smtp_client_send(&c, &job);
    smtp_client_wrote(&c, smtp_output_first(&c).len);
    assert_int_equal(smtp_client_timer(&c), SMTP_TIMER_COMMAND);
    smtp_client_feed(&c, span_of("250 x\r\n250 x\r\n"));
    assert_int_equal(smtp_client_timer(&c), SMTP_TIMER_DATA);
    smtp_client_feed(&c, span_of("354 x\r\n"));
    assert_int_equal(smtp_client_timer(&c), SMTP_TIMER_BLOCK);
    smtp_client_body(&c, &dot, 1, true);
    smtp_client_wrote(&c, 3);
    assert_int_equal(smtp_client_timer(&c), SMTP_TIMER_END_OF_DATA);
}

/* It may have arrived, so it is not given up before a body that was announced by DATA would be. */
static void a_chunk_is_waited_for_like_any_body(void **state)
{
    static struct smtp_client c;
    static const struct span chunk   = SPAN("hi\r\n");
    struct smtp_client_config config = {.helo = "me.example", .chunk_window = 1};
    struct envelope_rcpt rcpt        = {.address = "a@x.example", .orcpt = ""};
    struct smtp_job job              = {
                     .envelope = {.sender = "", .envid = ""},
                       .rcpts = &rcpt, .rcpt_count = 1, .size_bytes = 4
    };
    (void)state;
    smtp_client_init(&c, &config);
    smtp_client_feed(&c, span_of("220 x\r\n"));
    smtp_client_wrote(&c, smtp_output_first(&c).len);
    smtp_client_feed(&c, span_of("250-x\r\n250-CHUNKING\r\n250 PIPELINING\r\n"));
    smtp_client_send(&c, &job);
    assert_false(smtp_client_awaits_chunk(&c));
    smtp_client_body(&c, &chunk, 1, true);
    smtp_client_wrote(&c, strlen("MAIL FROM:<>\r\nRCPT TO:<a@x.example>\r\nBDAT 4 LAST\r\nhi\r\n"));
    assert_true(smtp_client_awaits_chunk(&c));
    assert_int_equal(smtp_client_timer(&c), SMTP_TIMER_COMMAND);
    smtp_client_feed(&c, span_of("250 x\r\n250 x\r\n"));
    assert_int_equal(smtp_client_timer(&c), SMTP_TIMER_END_OF_DATA);
    assert_true(smtp_client_awaits_chunk(&c));
    smtp_client_feed(&c, span_of("250 x\r\n"));
    assert_false(smtp_client_awaits_chunk(&c));
}

/* RFC 2920 3.1: the content first, then MAIL, RCPT, and DATA last, as one group. */
static void a_body_and_the_next_envelope_are_one_group(void **state)
{
    static struct smtp_client c;
    struct span parts[SMTP_OUTPUT_PARTS];
    struct envelope_rcpt rcpt = {.address = "a@x.example", .orcpt = ""};
    struct smtp_job job       = {
              .envelope = {.sender = "", .envid = ""},
                .rcpts = &rcpt, .rcpt_count = 1
    };
    (void)state;
    smtp_client_init(&c, &plain);
    smtp_client_feed(&c, span_of("220 x\r\n"));
    smtp_client_wrote(&c, smtp_output_first(&c).len);
    smtp_client_feed(&c, span_of("250-x\r\n250 PIPELINING\r\n"));
    smtp_client_send(&c, &job);
    smtp_client_wrote(&c, smtp_output_first(&c).len);
    smtp_client_feed(&c, span_of("250 x\r\n250 x\r\n354 x\r\n"));
    const struct span body[] = {SPAN("hi\r\n"), SPAN(""), SPAN(".\r\n")};
    smtp_client_body(&c, body, 3, true);
    assert_true((smtp_client_wants(&c) & SMTP_WANT_NEXT) != 0);
    smtp_client_send(&c, &job);
    assert_int_equal(smtp_client_output(&c, parts, SMTP_OUTPUT_PARTS), 3);
    assert_true(span_is(parts[0], "hi\r\n") && span_is(parts[1], ".\r\n"));
    assert_true(span_is(parts[2], "MAIL FROM:<>\r\nRCPT TO:<a@x.example>\r\nDATA\r\n"));
    assert_int_equal(smtp_client_timer(&c), SMTP_TIMER_BLOCK);
    smtp_client_wrote(&c, parts[0].len + parts[1].len);
    assert_int_equal(smtp_client_timer(&c), SMTP_TIMER_END_OF_DATA);
    smtp_client_wrote(&c, parts[2].len);
    assert_int_equal(smtp_client_output(&c, parts, SMTP_OUTPUT_PARTS), 0);
    smtp_client_feed(&c, span_of("250 x\r\n"));
    struct smtp_result r;
    assert_true(smtp_client_result(&c, &r));
    assert_int_equal(smtp_client_timer(&c), SMTP_TIMER_BEHIND);
}

static void credentials_that_are_too_long_are_no_fault(void **state)
{
    static char secret[SMTP_CREDENTIAL_BYTES_MAX + 2];
    static struct smtp_client c;
    memset(secret, 'x', sizeof secret - 1);
    struct smtp_client_config config = {
        .helo = "me.example", .is_secured = true, .user = "u", .password = secret};
    (void)state;
    smtp_client_init(&c, &config);
    smtp_client_feed(&c, span_of("220 x\r\n250-x\r\n250 AUTH PLAIN\r\n"));
    assert_int_equal(smtp_client_failure(&c)->cause, SMTP_CAUSE_POLICY);
    assert_int_equal(smtp_client_failure(&c)->stage, SMTP_AUTH);
}

static void a_long_credential_waits_for_the_challenge(void **state)
{
    static char secret[SMTP_CREDENTIAL_BYTES_MAX + 1];
    static struct smtp_client c;
    memset(secret, 'x', sizeof secret - 1);
    struct smtp_client_config config = {
        .helo = "me.example", .is_secured = true, .user = secret, .password = secret};
    (void)state;
    smtp_client_init(&c, &config);
    smtp_client_feed(&c, span_of("220 x\r\n"));
    smtp_client_wrote(&c, smtp_output_first(&c).len);
    smtp_client_feed(&c, span_of("250-x\r\n250 AUTH PLAIN\r\n"));
    assert_true(span_is(smtp_output_first(&c), "AUTH PLAIN\r\n"));
    smtp_client_wrote(&c, smtp_output_first(&c).len);
    smtp_client_feed(&c, span_of("334 \r\n"));
    assert_int_equal(smtp_output_first(&c).len, 684 + 2);
    smtp_client_wrote(&c, smtp_output_first(&c).len);
    smtp_client_feed(&c, span_of("235 ok\r\n"));
    assert_int_equal(c.phase, SMTP_PHASE_READY);
}

static void each_verb_has_a_name(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SMTP_VERB_COUNT; i++)
        assert_true(strlen(smtp_verb_text((enum smtp_verb)i)) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_a_small_session_costs),
        cmocka_unit_test(whatever_the_cut_each_recipient_is_told_once),
        cmocka_unit_test(a_full_run_counts_each_outcome),
        cmocka_unit_test(no_server_can_make_it_lie),
        cmocka_unit_test(a_full_envelope_drains),
        cmocka_unit_test(a_result_carries_the_text_of_its_reply),
        cmocka_unit_test(the_timer_follows_the_dialogue),
        cmocka_unit_test(a_chunk_is_waited_for_like_any_body),
        cmocka_unit_test(a_body_and_the_next_envelope_are_one_group),
        cmocka_unit_test(credentials_that_are_too_long_are_no_fault),
        cmocka_unit_test(a_long_credential_waits_for_the_challenge),
        cmocka_unit_test(each_verb_has_a_name),
    };
    return RUN(tests);
}
