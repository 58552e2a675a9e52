/* SPDX-License-Identifier: MIT */
#include "mta/mail/msgid.h"
#include "tests/unit/receive_fixture.h"
#include <stdio.h>

static struct fixture_world world;

static int set_up(void **state)
{
    (void)state;
    fixture_world_init(&world);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_world_release(&world);
    return 0;
}

static const struct header_trace trace = {
    .helo = "client.test", .client_ip = "192.0.2.9", .protocol = "ESMTP"};

static struct intake_mail *opened(const char *sender)
{
    struct envelope envelope = {.sender = sender, .envid = ""};
    return intake_open(world.intake, &envelope);
}

static void add_rcpt(struct intake_mail *mail, const char *address)
{
    struct envelope_rcpt rcpt = {.address = address, .orcpt = ""};
    intake_rcpt(mail, &rcpt);
}

static struct intake_mail *begun(const char *sender, const struct header_trace *from)
{
    struct intake_mail *mail = opened(sender);
    add_rcpt(mail, "user@a.example");
    assert_int_equal(intake_begin(mail, from, FIXTURE_WALL_MS), OK);
    return mail;
}

static void commit(struct intake_mail *mail)
{
    intake_commit(mail, NULL, FIXTURE_WALL_MS);
    fixture_sync(&world, OK);
}

static struct message *taken(void)
{
    struct intake_done done;
    assert_true(intake_take_done(world.intake, &done, fixture_now_ms, FIXTURE_WALL_MS));
    assert_int_equal(done.status, OK);
    struct message *m = queue_find(world.queue, done.id);
    assert_non_null(m);
    assert_int_equal(m->rcpt_count, done.rcpt_count);
    return m;
}

/* A whole mail to one recipient, in pieces of 'piece' bytes. */
static struct message *sent_in_pieces(const char *sender, const char *content, size_t piece)
{
    struct intake_mail *mail = begun(sender, &trace);
    struct span rest         = span_of(content);
    while (rest.len > 0) {
        assert_int_equal(intake_write(mail, span_first(rest, piece)), OK);
        rest = span_skip(rest, piece);
    }
    commit(mail);
    return taken();
}

static struct message *sent(const char *sender, const char *content)
{
    return sent_in_pieces(sender, content, SIZE_MAX);
}

/* What stands behind our own fields. */
static const char *behind(const char *content, const char *field)
{
    const char *at = strstr(content, field);
    assert_non_null(at);
    return strstr(at, "\r\n") + 2;
}

/* --- the content --- */

static const char complete[] = "From: s@x.test\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\n"
                               "Message-ID: <1@x.test>\r\n\r\nhello\r\n";

static void a_complete_mail_gets_a_received_field_and_keeps_its_bytes(void **state)
{
    (void)state;
    struct message *m = sent("s@x.test", complete);
    char id[MSGID_TEXT_BYTES], by[100];
    const char *content = fixture_content(m);
    (void)snprintf(by, sizeof by, "by relay.test with ESMTP id %s for <user@a.example>; Tue,",
                   msgid_text(m->id, id));
    assert_int_equal(strncmp(content, "Received: from client.test ([192.0.2.9])", 40), 0);
    assert_true(fixture_holds(m, by));
    assert_string_equal(behind(content, "10:49:27 +0000"), complete);
    assert_true(fixture_logged(&world, "\"message_id\":\"1@x.test\""));
    assert_int_equal(content_bytes(m->content), strlen(content));
}

static void what_is_missing_is_added_on_top(void **state)
{
    (void)state;
    char wanted[200], logged[100], id[MSGID_TEXT_BYTES];
    struct message *m = sent("s@x.test", "Subject: x\r\n\r\nhello\r\n");
    (void)snprintf(wanted, sizeof wanted,
                   "Date: Tue, 24 Nov 2026 10:49:27 +0000\r\nMessage-ID: <%s@relay.test>\r\n"
                   "Subject: x\r\n\r\nhello\r\n",
                   msgid_text(m->id, id));
    assert_string_equal(strstr(fixture_content(m), "Date:"), wanted);
    (void)snprintf(logged, sizeof logged, "\"message_id\":\"%s@relay.test\"", id);
    assert_true(fixture_logged(&world, logged));
}

static void the_cut_does_not_matter(void **state)
{
    (void)state;
    const char *content = "Subject: x\r\nX-A: b\r\n c\r\n\r\nhello\r\n.\r\nworld\r\n";
    for (size_t piece = 1; piece < strlen(content); piece++) {
        struct message *m = sent_in_pieces("s@x.test", content, piece);
        assert_string_equal(behind(fixture_content(m), "Message-ID:"), content);
    }
}

static void a_mail_without_a_header_is_all_body(void **state)
{
    (void)state;
    struct message *m = sent("s@x.test", "just words\r\nFrom: nobody\r\n");
    assert_string_equal(behind(fixture_content(m), "Message-ID:"),
                        "\r\njust words\r\nFrom: nobody\r\n");
}

static void white_space_at_the_start_does_not_become_part_of_our_field(void **state)
{
    (void)state;
    struct message *m = sent("s@x.test", " by evil.test\r\nSubject: x\r\n\r\n");
    assert_string_equal(behind(fixture_content(m), "Message-ID:"),
                        "\r\n by evil.test\r\nSubject: x\r\n\r\n");
}

static void an_empty_mail_has_our_fields(void **state)
{
    (void)state;
    struct message *m = sent("s@x.test", "");
    assert_string_equal(behind(fixture_content(m), "Message-ID:"), "");
}

static void a_header_without_an_end_still_counts(void **state)
{
    (void)state;
    struct message *m = sent("s@x.test", "Subject: x\r\nList-Id: <l.x.test>\r\n");
    assert_string_equal(behind(fixture_content(m), "Message-ID:"),
                        "Subject: x\r\nList-Id: <l.x.test>\r\n");
    assert_string_equal(message_flow(m), "l.x.test");
}

static void our_own_mail_stays_as_it_is(void **state)
{
    (void)state;
    struct intake_mail *mail = begun("", NULL);
    assert_int_equal(intake_write(mail, span_of("Subject: x\r\n\r\nhello\r\n")), OK);
    commit(mail);
    struct message *m = taken();
    assert_string_equal(fixture_content(m), "Subject: x\r\n\r\nhello\r\n");
    assert_true(m->is_report);
}

/* Fields of 100 bytes, up to 'bytes' in all. */
static void put_fields(struct buf *into, size_t bytes)
{
    while (into->len < bytes)
        buf_printf(into, "X-Filler-%08zu: %080d\r\n", into->len, 7);
}

static void an_endless_header_is_not_gathered_for_ever(void **state)
{
    (void)state;
    enum { PIECE = 5000 };
    struct buf text = {0};
    put_fields(&text, 3U * HEADER_BYTES_MAX);
    struct intake_mail *mail = begun("s@x.test", &trace);
    for (size_t at = 0; at < text.len; at += PIECE)
        assert_int_equal(intake_write(mail, span_first(span_skip(buf_span(&text), at), PIECE)), OK);
    commit(mail);
    assert_true(world.spool.largest_write < HEADER_BYTES_MAX + 2 * PIECE);
    struct message *m   = taken();
    const char *content = fixture_content(m);
    assert_string_equal(behind(content, "10:49:27 +0000"), buf_text(&text));
    buf_release(&text);
}

static void a_header_that_ends_in_the_piece_that_is_too_much_is_known(void **state)
{
    (void)state;
    struct buf text = {0};
    put_fields(&text, HEADER_BYTES_MAX - 1000);
    struct intake_mail *mail = begun("s@x.test", &trace);
    assert_int_equal(intake_write(mail, buf_span(&text)), OK);
    buf_clear(&text);
    buf_put_text(&text, "Subject: x\r\n\r\n");
    put_fields(&text, 5000);
    assert_int_equal(intake_write(mail, buf_span(&text)), OK);
    commit(mail);
    assert_non_null(strstr(fixture_content(taken()), "\r\nDate: "));
    buf_release(&text);
}

static void a_hundred_received_fields_are_a_loop(void **state)
{
    (void)state;
    struct buf text = {0};
    for (int i = 0; i < HEADER_RECEIVED_MAX - 1; i++)
        buf_put_text(&text, "Received: from a by b; now\r\n");
    struct intake_mail *mail = begun("s@x.test", &trace);
    assert_int_equal(intake_write(mail, buf_span(&text)), OK);
    assert_false(intake_is_looping(mail));
    assert_int_equal(intake_write(mail, span_of("Received: from a by b; now\r\n\r\n")), OK);
    assert_true(intake_is_looping(mail));
    intake_abort(mail);
    buf_release(&text);
}

/* --- the envelope --- */

static void a_recipient_given_twice_counts_once(void **state)
{
    (void)state;
    struct intake_mail *mail = opened("s@x.test");
    add_rcpt(mail, "User@A.example");
    add_rcpt(mail, "User@a.EXAMPLE");
    assert_int_equal(intake_rcpt_count(mail), 1);
    add_rcpt(mail, "user@a.example"); /* another mailbox: RFC 5321 2.4 */
    add_rcpt(mail, "\"User\"@a.example");
    assert_int_equal(intake_rcpt_count(mail), 3);
    intake_abort(mail);
}

static void only_one_recipient_is_named_in_the_trace(void **state)
{
    (void)state;
    struct intake_mail *mail = opened("s@x.test");
    add_rcpt(mail, "u1@a.example");
    add_rcpt(mail, "u2@a.example");
    assert_int_equal(intake_begin(mail, &trace, FIXTURE_WALL_MS), OK);
    assert_int_equal(intake_write(mail, span_of(complete)), OK);
    commit(mail);
    struct message *m = taken();
    assert_null(strstr(fixture_content(m), "u1@a.example"));
    assert_string_equal(m->rcpts[1].address, "u2@a.example");
}

static void fifty_thousand_recipients_are_taken(void **state)
{
    (void)state;
    enum { COUNT = 50000 };
    char address[64];
    struct intake_mail *mail = opened("s@x.test");
    for (unsigned i = 0; i < 2U * COUNT; i++) {
        (void)snprintf(address, sizeof address, "user%u@d%u.example", i % COUNT, i % 100);
        add_rcpt(mail, address);
    }
    assert_int_equal(intake_rcpt_count(mail), COUNT);
    assert_int_equal(intake_begin(mail, &trace, FIXTURE_WALL_MS), OK);
    commit(mail);
    assert_int_equal(world.spool.rcpt_count, COUNT);
    assert_int_equal(taken()->rcpt_count, COUNT);
}

static void the_flow_is_the_list_else_the_sender(void **state)
{
    (void)state;
    assert_string_equal(message_flow(sent("A@X.test", "List-Id: Us <Dev.X.Test>\r\n\r\n")),
                        "dev.x.test");
    assert_string_equal(message_flow(sent("List-Bounces@X.test", "Subject: x\r\n\r\n")),
                        "list-bounces@x.test");
    assert_string_equal(message_flow(sent("", "Subject: x\r\n\r\n")), "<>");
}

static bool needs_utf8(bool is_asked, const char *sender, const char *content)
{
    struct envelope envelope = {.sender = sender, .envid = "", .needs_utf8 = is_asked};
    struct intake_mail *mail = intake_open(world.intake, &envelope);
    add_rcpt(mail, "user@a.example");
    assert_int_equal(intake_begin(mail, &trace, FIXTURE_WALL_MS), OK);
    assert_int_equal(intake_write(mail, span_of(content)), OK);
    commit(mail);
    struct message *m = taken();
    assert_int_equal(m->envelope.needs_utf8, world.spool.entry.envelope.needs_utf8);
    return m->envelope.needs_utf8;
}

static void smtputf8_is_needed_only_where_there_is_utf8(void **state)
{
    (void)state;
    assert_false(needs_utf8(true, "s@x.test", "Subject: x\r\n\r\nbody \xc3\xbc\r\n"));
    assert_true(needs_utf8(true, "s@x.test", "Subject: \xc3\xbc\r\n\r\nbody\r\n"));
    assert_true(needs_utf8(true, "\xc3\xbc@x.test", "Subject: x\r\n\r\nbody\r\n"));
    assert_false(needs_utf8(false, "s@x.test", "Subject: \xc3\xbc\r\n\r\nbody\r\n"));
}

static void ids_grow_and_never_fall_below_one_that_was_found(void **state)
{
    (void)state;
    uint64_t first = sent("s@x.test", complete)->id;
    intake_note_id(world.intake, first + (1ULL << 30)); /* of a clock that was ahead */
    uint64_t second = sent("s@x.test", complete)->id;
    assert_true(second > first + (1ULL << 30));
    intake_note_id(world.intake, first);
    assert_true(sent("s@x.test", complete)->id > second);
}

/* --- room --- */

static void no_room_and_no_memory_refuse(void **state)
{
    (void)state;
    assert_null(intake_refusal(world.intake));
    world.spool.has_no_room = true;
    assert_string_equal(intake_refusal(world.intake), "the disk is full");
    world.spool.has_no_room         = false;
    struct intake_settings settings = world.settings;
    settings.memory_bytes_max       = 1;
    intake_set_settings(world.intake, &settings);
    assert_non_null(strstr(intake_refusal(world.intake), "limits.memory"));
}

static void no_draft_is_no_space_and_a_broken_disk_an_error(void **state)
{
    (void)state;
    struct intake_mail *mail = opened("s@x.test");
    add_rcpt(mail, "user@a.example");
    world.spool.has_no_room = true;
    assert_int_equal(intake_begin(mail, &trace, FIXTURE_WALL_MS), NO_SPACE);
    intake_abort(mail);
    mail = opened("s@x.test");
    add_rcpt(mail, "user@a.example");
    world.spool.is_broken = true;
    assert_int_equal(intake_begin(mail, &trace, FIXTURE_WALL_MS), IO_ERROR);
    intake_abort(mail);
}

static void a_write_that_fails_is_told_and_can_be_aborted(void **state)
{
    (void)state;
    struct intake_mail *mail = begun("s@x.test", &trace);
    world.spool.write_status = NO_SPACE;
    assert_int_equal(intake_write(mail, span_of("Subject: x\r\n\r\nbody\r\n")), NO_SPACE);
    intake_abort(mail);
    assert_int_equal(world.spool.drafts, 0);
}

static void a_header_that_cannot_be_written_fails_the_commit(void **state)
{
    (void)state;
    struct intake_done done;
    struct intake_mail *mail = begun("s@x.test", &trace);
    world.spool.write_status = IO_ERROR;
    assert_int_equal(intake_write(mail, span_of("Subject: x\r\n")), OK); /* held back */
    commit(mail);
    assert_true(intake_take_done(world.intake, &done, fixture_now_ms, FIXTURE_WALL_MS));
    assert_int_equal(done.status, IO_ERROR);
    assert_int_equal(fixture_messages(&world), 0);
}

static void a_disk_that_lags_is_waited_for_only_once_there_is_a_draft(void **state)
{
    (void)state;
    struct intake_mail *mail = opened("s@x.test");
    world.spool.lags         = true;
    assert_false(intake_should_wait(mail));
    add_rcpt(mail, "user@a.example");
    assert_int_equal(intake_begin(mail, &trace, FIXTURE_WALL_MS), OK);
    assert_true(intake_should_wait(mail));
    intake_abort(mail);
}

/* --- the commit --- */

static void nothing_is_queued_before_the_disk_has_it(void **state)
{
    (void)state;
    struct intake_done done;
    int owner;
    struct intake_mail *mail = begun("s@x.test", &trace);
    assert_int_equal(intake_write(mail, span_of(complete)), OK);
    intake_commit(mail, &owner, FIXTURE_WALL_MS);
    assert_false(intake_take_done(world.intake, &done, fixture_now_ms, FIXTURE_WALL_MS));
    assert_int_equal(fixture_messages(&world), 0);
    assert_false(fixture_logged(&world, "\"accepted\""));
    fixture_sync(&world, OK);
    assert_true(intake_take_done(world.intake, &done, fixture_now_ms, FIXTURE_WALL_MS));
    assert_ptr_equal(done.owner, &owner);
    assert_int_equal(fixture_messages(&world), 1);
    assert_true(fixture_logged(&world, "\"accepted\""));
    assert_true(world.spool.entry.arrival_wall_ms == FIXTURE_WALL_MS);
    assert_true(world.spool.entry.expire_wall_ms == FIXTURE_WALL_MS + FIXTURE_EXPIRE_MS);
}

static void a_failed_commit_leaves_no_trace(void **state)
{
    (void)state;
    struct intake_done done;
    int owner;
    struct intake_mail *mail = begun("s@x.test", &trace);
    assert_int_equal(intake_write(mail, span_of(complete)), OK);
    intake_commit(mail, &owner, FIXTURE_WALL_MS);
    fixture_sync(&world, IO_ERROR);
    assert_true(intake_take_done(world.intake, &done, fixture_now_ms, FIXTURE_WALL_MS));
    assert_int_equal(done.status, IO_ERROR);
    assert_ptr_equal(done.owner, &owner);
    assert_int_equal(fixture_messages(&world), 0);
    assert_false(fixture_logged(&world, "\"accepted\""));
}

static void a_mail_whose_owner_has_gone_is_finished(void **state)
{
    (void)state;
    struct intake_done done;
    int owner;
    struct intake_mail *mail = begun("s@x.test", &trace);
    assert_int_equal(intake_write(mail, span_of(complete)), OK);
    intake_commit(mail, &owner, FIXTURE_WALL_MS);
    intake_disown(mail);
    fixture_sync(&world, OK);
    assert_true(intake_take_done(world.intake, &done, fixture_now_ms, FIXTURE_WALL_MS));
    assert_null(done.owner);
    assert_int_equal(fixture_messages(&world), 1);
}

static void a_report_ends_others_in_its_own_commit(void **state)
{
    (void)state;
    const struct spool_end ends[] = {
        {77, 0},
        {77, 3}
    };
    struct intake_mail *mail = begun("", NULL);
    assert_int_equal(intake_write(mail, span_of(complete)), OK);
    intake_ends(mail, ends, 2);
    commit(mail);
    assert_true(taken()->is_report);
    assert_int_equal(world.spool.end_count, 2);
    assert_int_equal(world.spool.first_end_id, 77);
    assert_true(world.spool.entry.is_report);
}

static void closing_down_forgets_commits_on_their_way(void **state)
{
    (void)state;
    struct intake_mail *mail = begun("s@x.test", &trace);
    assert_int_equal(intake_write(mail, span_of(complete)), OK);
    intake_commit(mail, NULL, FIXTURE_WALL_MS);
    intake_free(world.intake); /* no leak: the sanitizer looks */
    world.intake = intake_new(&world.spool, world.queue, &world.log, &world.settings);
    draft_abort(CONTAINER_OF(list_first(&world.spool.committing), struct draft, link));
}

static void the_log_says_what_was_accepted(void **state)
{
    (void)state;
    struct header_trace secure = trace;
    secure.tls                 = "TLSv1.3 with cipher X";
    struct intake_mail *mail   = begun("s@x.test", &secure);
    assert_int_equal(intake_write(mail, span_of("Message-ID: <9@x.test>\r\n\r\n")), OK);
    intake_note(mail, true, true);
    commit(mail);
    assert_true(taken()->envelope.is_8bit);
    static const char *const wanted[] = {"\"from\":\"s@x.test\"",
                                         "\"rcpts\":1",
                                         "\"flow\":\"s@x.test\"",
                                         "\"message_id\":\"9@x.test\"",
                                         "\"ip\":\"192.0.2.9\"",
                                         "\"normalised\":\"bare CR, LF or NUL\"",
                                         "\"size\":",
                                         "\"tls\":\"TLSv1.3 with cipher X\""};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (!fixture_logged(&world, wanted[i]))
            fail_msg("no %s in %s", wanted[i], buf_text(&world.log.pending));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_complete_mail_gets_a_received_field_and_keeps_its_bytes),
        TEST(what_is_missing_is_added_on_top),
        TEST(the_cut_does_not_matter),
        TEST(a_mail_without_a_header_is_all_body),
        TEST(white_space_at_the_start_does_not_become_part_of_our_field),
        TEST(an_empty_mail_has_our_fields),
        TEST(a_header_without_an_end_still_counts),
        TEST(our_own_mail_stays_as_it_is),
        TEST(an_endless_header_is_not_gathered_for_ever),
        TEST(a_header_that_ends_in_the_piece_that_is_too_much_is_known),
        TEST(a_hundred_received_fields_are_a_loop),
        TEST(a_recipient_given_twice_counts_once),
        TEST(only_one_recipient_is_named_in_the_trace),
        TEST(fifty_thousand_recipients_are_taken),
        TEST(the_flow_is_the_list_else_the_sender),
        TEST(smtputf8_is_needed_only_where_there_is_utf8),
        TEST(ids_grow_and_never_fall_below_one_that_was_found),
        TEST(no_room_and_no_memory_refuse),
        TEST(no_draft_is_no_space_and_a_broken_disk_an_error),
        TEST(a_write_that_fails_is_told_and_can_be_aborted),
        TEST(a_header_that_cannot_be_written_fails_the_commit),
        TEST(a_disk_that_lags_is_waited_for_only_once_there_is_a_draft),
        TEST(nothing_is_queued_before_the_disk_has_it),
        TEST(a_failed_commit_leaves_no_trace),
        TEST(a_mail_whose_owner_has_gone_is_finished),
        TEST(a_report_ends_others_in_its_own_commit),
        TEST(closing_down_forgets_commits_on_their_way),
        TEST(the_log_says_what_was_accepted),
    };
    return RUN(tests);
}
