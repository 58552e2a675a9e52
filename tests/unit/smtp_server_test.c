/* SPDX-License-Identifier: MIT */
#include "check.h"
#include "mta/base/rng.h"
#include "mta/smtp/server.h"
#include "tests/fuzz/smtp_host.h"
#include <stdio.h>
#include <string.h>

static const struct smtp_server_config lenient = {
    .hostname          = "mx.example",
    .offer             = (1U << SMTP_EXT_COUNT) - 1,
    .message_bytes_max = 100000,
    .rcpts_max         = 100000,
    .errors_max        = 10,
    .junk_max          = 50,
};

static struct smtp_server_config strict(void)
{
    struct smtp_server_config config = lenient;
    config.refuses_bare              = true;
    return config;
}

static void say(struct host *h, const char *text)
{
    host_hear(h, span_of(text), SIZE_MAX, true);
}

/* How often 'needle' is in what was said to the client. */
static unsigned said(struct host *h, const char *needle)
{
    struct span out = buf_span(&h->out), text = span_of(needle);
    unsigned count = 0;
    for (size_t at; (at = span_find_text(out, text)) < out.len; count++)
        out = span_skip(out, at + text.len);
    return count;
}

static const char envelope[] = "EHLO x\r\nMAIL FROM:<s@y.example>\r\nRCPT TO:<a@x.example>\r\n";

/* security.md 1.1 */
static const struct span endings[] = {
    SPAN("\n.\n"),       SPAN("\r.\r"),       SPAN("\r.\n"),       SPAN("\n.\r"),
    SPAN("\n.\r\n"),     SPAN("\r\n.\n"),     SPAN("\r.\r\n"),     SPAN("\r\n.\r"),
    SPAN("\r\n\0.\r\n"), SPAN("\r\n.\0\r\n"), SPAN("\r\n.\r\r\n"), SPAN("\r\r\n.\r\r\n"),
};

static void smuggle(const struct smtp_server_config *config, struct span ending, size_t chunk)
{
    static const char behind[] =
        "MAIL FROM:<evil@y.example>\r\nRCPT TO:<b@x.example>\r\nDATA\r\nevil\r\n.\r\n";
    static struct host h;
    struct buf content = {0};
    buf_put_text(&content, "hi");
    buf_put(&content, ending);
    buf_put_text(&content, behind);
    host_init(&h, config);
    h.answers_well = true;
    say(&h, envelope);
    say(&h, "DATA\r\n");
    host_hear(&h, buf_span(&content), chunk, false);
    assert_int_equal(h.mails, 1);
    assert_int_equal(h.ends, config->refuses_bare ? 0 : 1);
    assert_int_equal(said(&h, "550 5.6.0"), config->refuses_bare ? 1 : 0);
    say(&h, "QUIT\r\n");
    assert_int_equal(said(&h, "221 "), 1);
    host_release(&h);
    buf_release(&content);
}

static void no_ending_but_the_right_one_ends_content(void **state)
{
    struct smtp_server_config config = strict();
    (void)state;
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        for (size_t chunk = 1; chunk < 100; chunk++) {
            smuggle(&lenient, endings[i], chunk);
            smuggle(&config, endings[i], chunk);
        }
}

static void the_right_ending_makes_two_messages(void **state)
{
    static struct host h;
    (void)state;
    host_init(&h, &lenient);
    h.answers_well = true;
    say(&h, envelope);
    say(&h, "DATA\r\n");
    host_hear(&h,
              span_of("hi\r\n.\r\nMAIL FROM:<t@y.example>\r\nRCPT TO:<b@x.example>\r\nDATA\r\n"),
              SIZE_MAX, false);
    host_hear(&h, span_of("two\r\n.\r\n"), SIZE_MAX, false);
    assert_int_equal(h.ends, 2);
    host_release(&h);
}

static void lines_have_their_limits(void **state)
{
    static struct host h;
    static char line[5000];
    (void)state;
    host_init(&h, &lenient);
    (void)snprintf(line, sizeof line, "NOOP %0*d\r\n", SMTP_SERVER_LINE_BYTES_MAX - 7, 0);
    say(&h, line);
    assert_int_equal(said(&h, "250 2.0.0 ok"), 1);
    (void)snprintf(line, sizeof line, "NOOP %0*d\r\n", SMTP_SERVER_LINE_BYTES_MAX - 6, 0);
    say(&h, line);
    assert_int_equal(said(&h, "500 5.5.2 line too long"), 1);
    (void)snprintf(line, sizeof line, "NOOP %04000d\r\n", 0);
    say(&h, line);
    assert_int_equal(said(&h, "500 5.5.2 line too long"), 2);
    say(&h, "EHLO x\r\n");
    (void)snprintf(line, sizeof line, "MAIL FROM:<a@b.example> ENVID=%0*d\r\n", 1400, 0);
    say(&h, line);
    assert_int_equal(said(&h, "501 5.5.4 bad ENVID"), 1);
    (void)snprintf(line, sizeof line, "MAIL FROM:<a@b.example> ENVID=%0*d\r\n", 2048, 0);
    say(&h, line);
    assert_int_equal(said(&h, "500 5.5.2 line too long"), 3);
    say(&h, "NOOP\r\n");
    assert_int_equal(said(&h, "250 2.0.0 ok"), 2);
    host_release(&h);
}

static void a_line_without_end_costs_no_memory(void **state)
{
    static struct host h;
    (void)state;
    host_init(&h, &lenient);
    for (int i = 0; i < 10000; i++)
        host_hear(&h, span_of("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"), SIZE_MAX, true);
    say(&h, "\r\n");
    assert_int_equal(said(&h, "500 5.5.2 line too long"), 1);
    host_release(&h);
}

static void fifty_thousand_recipients_are_fine(void **state)
{
    static struct host h;
    char line[64];
    (void)state;
    host_init(&h, &lenient);
    h.answers_well = true;
    say(&h, envelope);
    for (int i = 1; i < 50000; i++) {
        (void)snprintf(line, sizeof line, "rcpt TO:<r%d@x.example>\r\n", i);
        say(&h, line);
    }
    assert_int_equal(h.server.rcpt_count, 50000);
    assert_int_equal(said(&h, "250 2.1.5"), 50000);
    host_release(&h);
}

static void tiny_chunks_have_a_limit(void **state)
{
    static struct host h;
    (void)state;
    host_init(&h, &lenient);
    h.answers_well = true;
    say(&h, envelope);
    for (int i = 0; i < SMTP_SERVER_CHUNKS_MAX; i++)
        say(&h, "BDAT 1\r\nx");
    assert_int_equal(said(&h, "250 2.0.0 1 octets received"), SMTP_SERVER_CHUNKS_MAX);
    say(&h, "BDAT 1\r\nx");
    assert_int_equal(said(&h, "554 5.5.0 too many chunks"), 1);
    say(&h, "BDAT 6 LAST\r\nQUIT\r\n");
    assert_int_equal(said(&h, "221"), 0);
    assert_int_equal(h.resets, 1);
    host_release(&h);
}

static void what_comes_behind_starttls_is_never_run(void **state)
{
    struct span injected = span_of("STARTTLS\r\nEHLO x\r\nMAIL FROM:<evil@y.example>\r\n");
    static struct smtp_server s;
    (void)state;
    for (size_t cut = 1; cut <= injected.len; cut++) {
        smtp_server_init(&s, &lenient);
        smtp_server_feed(&s, span_of("HELO x\r\n"));
        smtp_server_wrote(&s, smtp_server_output(&s).len);
        smtp_server_feed(&s, span_first(injected, cut));
        smtp_server_feed(&s, span_skip(injected, cut));
        assert_int_equal(smtp_server_event(&s), SMTP_EVENT_CLOSE);
        bool is_refused = span_starts(smtp_server_output(&s), span_of("554 5.5.0"));
        assert_true(is_refused || span_starts(smtp_server_output(&s), span_of("220 ")));
        assert_int_equal(span_find(smtp_server_output(&s), '\n') + 1, smtp_server_output(&s).len);
        smtp_server_release(&s);
    }
}

static void input_waits_while_output_is_full(void **state)
{
    static char noops[6 * 2000 + 1];
    struct smtp_server_config config = lenient;
    static struct smtp_server s;
    size_t taken = 0, rounds = 0;
    (void)state;
    for (int i = 0; i < 2000; i++)
        memcpy(noops + 6 * i, "NOOP\r\n", 6);
    config.junk_max = 5000;
    smtp_server_init(&s, &config);
    for (; taken < sizeof noops - 1; rounds++) {
        taken += smtp_server_feed(&s, span_make(noops + taken, sizeof noops - 1 - taken));
        assert_true(smtp_server_output(&s).len > 0);
        smtp_server_wrote(&s, smtp_server_output(&s).len);
    }
    assert_true(rounds > 5);
    smtp_server_release(&s);
}

static void a_name_is_kept_fit_for_a_log(void **state)
{
    static struct host h;
    static char line[600] = "EHLO \x1b[2J%n\x80 x";
    (void)state;
    host_init(&h, &lenient);
    say(&h, line);
    say(&h, "\r\n");
    assert_string_equal(h.server.helo, "?[2J%n??x");
    memset(line + 5, 'n', 500);
    say(&h, line);
    say(&h, "\r\n");
    assert_int_equal(strlen(h.server.helo), SMTP_SERVER_NAME_BYTES - 1);
    host_release(&h);
}

static void an_answer_cannot_break_its_line(void **state)
{
    static struct smtp_server s;
    (void)state;
    smtp_server_init(&s, &lenient);
    smtp_server_feed(&s, span_of("HELO x\r\n"));
    smtp_server_wrote(&s, smtp_server_output(&s).len);
    smtp_server_feed(&s, span_of("MAIL FROM:<a@b.example>\r\n"));
    smtp_server_answer(&s, 550, "5.7.1", "no\r\n250 \xc3\xa4");
    assert_true(span_is(smtp_server_output(&s), "550 5.7.1 no??250 ??\r\n"));
    smtp_server_release(&s);
}

/* Random clients; the last word of each is a whole transaction, which must be seen as such. */
static void no_client_can_bring_it_out_of_step(void **state)
{
    static const char *const words[] = {
        "EHLO x\r\n",
        "HELO x\r\n",
        "MAIL FROM:<s@y.example>\r\n",
        "MAIL FROM:<s@y.example> SIZE=1 BODY=8BITMIME\r\n",
        "MAIL FROM:<s@y.example> XYZZY\r\n",
        "RCPT TO:<a@x.example>\r\n",
        "RCPT TO:<a@x.example>\r\n",
        "RCPT TO:a\r\n",
        "DATA\r\nhi\r\n.\r\n",
        "DATA\r\n.\r\n",
        "BDAT 4\r\nhi\r\n",
        "BDAT 4 LAST\r\nhi\r\n",
        "BDAT 0 LAST\r\n",
        "BDAT x\r\n",
        "RSET\r\n",
        "VRFY \xc3\xa4\r\n",
        "NOOP\r\n",
        "STARTTLS\r\n",
        "XYZZY\r\n",
        "\r\n",
    };
    static const char last[]         = "RSET\r\nEHLO x\r\nMAIL FROM:<last@y.example>\r\n"
                                       "RCPT TO:<last@x.example>\r\nBDAT 6 LAST\r\nlast\r\n";
    struct smtp_server_config config = lenient;
    static struct host h;
    struct rng rng;
    (void)state;
    rng_seed(&rng, 11);
    config.errors_max = config.junk_max = 1000;
    for (int run = 0; run < 3000; run++) {
        host_init(&h, &config);
        for (uint64_t n = rng_below(&rng, 40); n > 0; n--)
            say(&h, words[rng_below(&rng, sizeof words / sizeof words[0])]);
        say(&h, ".\r\n"); /* whatever it was, it is over */
        if (smtp_server_event(&h.server) != SMTP_EVENT_CLOSE) {
            unsigned ends  = h.ends;
            h.answers_well = true;
            say(&h, last);
            assert_int_equal(h.ends, ends + 1);
            assert_true(span_ends_nocase(buf_span(&h.log), span_of("content last\r\n")));
        }
        host_release(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_ending_but_the_right_one_ends_content),
        cmocka_unit_test(the_right_ending_makes_two_messages),
        cmocka_unit_test(lines_have_their_limits),
        cmocka_unit_test(a_line_without_end_costs_no_memory),
        cmocka_unit_test(fifty_thousand_recipients_are_fine),
        cmocka_unit_test(tiny_chunks_have_a_limit),
        cmocka_unit_test(what_comes_behind_starttls_is_never_run),
        cmocka_unit_test(input_waits_while_output_is_full),
        cmocka_unit_test(a_name_is_kept_fit_for_a_log),
        cmocka_unit_test(an_answer_cannot_break_its_line),
        cmocka_unit_test(no_client_can_bring_it_out_of_step),
    };
    return RUN(tests);
}
