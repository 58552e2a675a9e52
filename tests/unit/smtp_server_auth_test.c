/* SPDX-License-Identifier: MIT */
/* What transcripts cannot say of AUTH: lengths, what comes in one piece, what is left in memory. */
#include "check.h"
#include "mta/base/rng.h"
#include "tests/fuzz/smtp_host.h"
#include <stdio.h>

static const struct smtp_server_config config = {
    .hostname          = "mx.example",
    .offer             = (1U << SMTP_EXT_COUNT) - 1,
    .message_bytes_max = 1000,
    .rcpts_max         = 10,
    .errors_max        = 10,
    .junk_max          = 50,
    .auth              = "PLAIN LOGIN SCRAM-SHA-256",
    .needs_auth        = true,
};

static void begin(struct host *h)
{
    host_init(h, &config);
    h->server.is_secured = true;
    host_hear(h, span_of("EHLO x\r\n"), SIZE_MAX, true);
    buf_clear(&h->out);
}

static bool said(struct host *h, const char *text)
{
    return span_find_text(buf_span(&h->out), span_of(text)) < h->out.len;
}

/* Feeds without answering; what is left was not taken. */
static size_t feed(struct smtp_server *s, struct span text)
{
    size_t taken = 0, now = 1;
    while (taken < text.len && now > 0) {
        now = smtp_server_feed(s, span_skip(text, taken));
        taken += now;
    }
    return text.len - taken;
}

static void put_letters(struct buf *line, size_t count)
{
    while (count-- > 0)
        buf_put_byte(line, 'A');
}

static void a_response_may_have_twelve_thousand_octets(void **state)
{
    static struct host h;
    static const size_t chunks[] = {1, 7, 512, 2047, 2048, 2049, 20000};
    (void)state;
    for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
        enum { FITS = SMTP_SERVER_AUTH_BYTES_MAX - 4 };
        struct buf line = {0};
        begin(&h);
        h.answers_well = true; /* a challenge, each time */
        host_hear(&h, span_of("AUTH SCRAM-SHA-256\r\n"), SIZE_MAX, true);
        assert_true(said(&h, "334 YQ==\r\n"));
        put_letters(&line, FITS);
        buf_put_text(&line, "\r\n");
        host_hear(&h, buf_span(&line), chunks[i], true);
        assert_true(smtp_server_in_auth(&h.server));
        assert_int_equal(h.server.long_line.cap, 0);
        buf_clear(&line);
        put_letters(&line, FITS + 4);
        buf_put_text(&line, "\r\n");
        host_hear(&h, buf_span(&line), chunks[i], true);
        assert_true(said(&h, "500 5.5.6 line too long\r\n"));
        assert_false(smtp_server_in_auth(&h.server));
        host_hear(&h, span_of("NOOP\r\n"), SIZE_MAX, true);
        assert_true(said(&h, "250 2.0.0 ok\r\n"));
        buf_release(&line);
        host_release(&h);
    }
}

static void a_long_initial_response_is_taken_whole(void **state)
{
    static struct host h;
    struct buf line = {0};
    (void)state;
    begin(&h);
    buf_put_text(&line, "AUTH PLAIN ");
    put_letters(&line, 8000);
    buf_put_text(&line, "\r\n");
    assert_int_equal(feed(&h.server, buf_span(&line)), 0);
    assert_int_equal(smtp_server_event(&h.server), SMTP_EVENT_AUTH);
    assert_int_equal(h.server.auth.response.len, 8000);
    smtp_server_answer(&h.server, 535, "5.7.8", "no");
    host_release(&h);
    begin(&h);
    buf_clear(&line);
    buf_put_text(&line, "AUTH PLAIN ");
    put_letters(&line, 13000);
    buf_put_text(&line, "\r\n");
    host_hear(&h, buf_span(&line), 100, true);
    assert_true(said(&h, "500 "));
    assert_int_equal(smtp_server_event(&h.server), SMTP_EVENT_NONE);
    host_release(&h);
    buf_release(&line);
}

static void other_lines_do_not_grow(void **state)
{
    static struct host h;
    struct buf line = {0};
    (void)state;
    begin(&h);
    buf_put_text(&line, "AUTHOR ");
    put_letters(&line, 100000);
    host_hear(&h, buf_span(&line), 1000, true);
    assert_int_equal(h.server.long_line.cap, 0);
    host_hear(&h, span_of("\r\n"), SIZE_MAX, true);
    assert_true(said(&h, "500 5.5.2 line too long\r\n"));
    host_release(&h);
    begin(&h);
    h.server.is_secured = false; /* in clear nobody may either */
    line.at[4]          = ' ';
    host_hear(&h, buf_span(&line), 1000, true);
    assert_int_equal(h.server.long_line.cap, 0);
    host_release(&h);
    buf_release(&line);
}

/* security.md A4: whoever speaks on before the answer may be saying somebody else's words. */
static void what_comes_behind_auth_is_never_run(void **state)
{
    static const char *const behind[] = {
        "AUTH PLAIN AGFubgBzZWNyZXQ=\r\nMAIL FROM:<evil@y.example>\r\n",
        "AUTH LOGIN\r\nYW5u\r\nc2VjcmV0\r\n",
        "AUTH LOGIN\r\nM",
        "AUTH SCRAM-SHA-256\r\n*\r\n",
    };
    static struct host h;
    (void)state;
    for (size_t i = 0; i < sizeof behind / sizeof behind[0]; i++) {
        begin(&h);
        assert_int_equal(feed(&h.server, span_of(behind[i])), 0);
        assert_int_equal(smtp_server_event(&h.server), SMTP_EVENT_CLOSE);
        host_write(&h);
        assert_true(said(&h, "554 5.5.0 you must wait for the reply\r\n"));
        assert_int_equal(h.mails, 0);
        host_release(&h);
    }
}

static void what_comes_before_the_verdict_was_read_is_never_run(void **state)
{
    static struct host h;
    (void)state;
    begin(&h);
    assert_int_equal(feed(&h.server, span_of("AUTH PLAIN AGFubgBzZWNyZXQ=\r\n")), 0);
    assert_int_equal(feed(&h.server, span_of("MAIL FROM:<evil@y.example>\r\n")), 28);
    smtp_server_answer(&h.server, 235, "2.7.0", "welcome");
    assert_int_equal(feed(&h.server, span_of("MAIL FROM:<evil@y.example>\r\n")), 0);
    host_write(&h);
    assert_true(said(&h, "235 2.7.0 welcome\r\n554 5.5.0"));
    assert_int_equal(smtp_server_event(&h.server), SMTP_EVENT_CLOSE);
    host_release(&h);
}

static bool holds(const void *bytes, size_t len, const char *text)
{
    return span_find_text(span_make(bytes, len), span_of(text)) < len;
}

static void a_secret_does_not_stay_in_the_lines(void **state)
{
    static struct host h;
    (void)state;
    begin(&h);
    assert_int_equal(feed(&h.server, span_of("AUTH PLAIN AGFubgBzZWNyZXQ=\r\n")), 0);
    assert_true(holds(&h.server, sizeof h.server, "AGFubgBzZWNyZXQ="));
    smtp_server_answer(&h.server, 535, "5.7.8", "no");
    assert_false(holds(&h.server, sizeof h.server, "AGFubgBzZWNyZXQ="));
    host_write(&h);
    assert_int_equal(feed(&h.server, span_of("AUTH LOGIN\r\n")), 0);
    smtp_server_challenge(&h.server, "UGFzc3dvcmQ6");
    host_write(&h);
    assert_int_equal(feed(&h.server, span_of("c2VjcmV0\r\n")), 0);
    smtp_server_challenge(&h.server, "");
    assert_false(holds(&h.server, sizeof h.server, "c2VjcmV0"));
    host_write(&h);
    assert_int_equal(feed(&h.server, span_of("c2Vj*\r\n")), 0);
    assert_false(holds(&h.server, sizeof h.server, "c2Vj*"));
    host_release(&h);
}

static void no_client_sends_mail_without_it(void **state)
{
    static const char *const words[] = {
        "EHLO x\r\n",
        "HELO x\r\n",
        "AUTH PLAIN\r\n",
        "AUTH LOGIN YW5u\r\n",
        "AUTH XYZZY\r\n",
        "AUTH PLAIN ?\r\n",
        "YW5u\r\n",
        "\r\n",
        "YW5\r\n",
        "MAIL FROM:<s@y.example>\r\n",
        "RCPT TO:<a@x.example>\r\n",
        "BDAT 4 LAST\r\nhi\r\n",
        "RSET\r\n",
        "STARTTLS\r\n",
    };
    static struct host h;
    struct rng rng;
    unsigned mails = 0;
    (void)state;
    rng_seed(&rng, 3);
    for (int run = 0; run < 5000; run++) {
        host_init(&h, &config);
        h.config.errors_max = h.config.junk_max = 1000;
        h.server.is_secured                     = rng_below(&rng, 4) != 0;
        for (uint64_t n = rng_below(&rng, 150); n > 0; n--)
            host_hear(&h, span_of(words[rng_below(&rng, sizeof words / sizeof words[0])]), SIZE_MAX,
                      true); /* which must() see that it is authenticated */
        mails += h.mails;
        host_release(&h);
    }
    assert_true(mails > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_response_may_have_twelve_thousand_octets),
        cmocka_unit_test(a_long_initial_response_is_taken_whole),
        cmocka_unit_test(other_lines_do_not_grow),
        cmocka_unit_test(what_comes_behind_auth_is_never_run),
        cmocka_unit_test(what_comes_before_the_verdict_was_read_is_never_run),
        cmocka_unit_test(a_secret_does_not_stay_in_the_lines),
        cmocka_unit_test(no_client_sends_mail_without_it),
    };
    return RUN(tests);
}
