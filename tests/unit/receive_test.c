/* SPDX-License-Identifier: MIT */
/*
 * Clients of a network of memory talk to receive; the test plays the loop and the disk.  A turn is
 * what the engine does: accepted, ready, commits, receive_turn().
 */
#include "mta/mail/msgid.h"
#include "mta/receive/inside.h"
#include "tests/unit/receive_fixture.h"
#include "tests/unit/tls_fixture.h"

enum { CLIENTS_MAX = 64, ROOMY = 1 << 22, MINUTE_MS = 60000, TIMEOUT_MS = 5 * MINUTE_MS };

/* --- the network --- */

struct net_listener {
    void *owner;
    struct net_address address;
    bool is_closed;
};

struct net_conn {
    void *owner;
    struct net_address peer, local;
    unsigned uid, watching;
    struct buf in, out;  /* to the server, from it */
    size_t out_capacity; /* what the client's window takes */
    size_t read_bytes;   /* in all */
    bool client_has_ended, is_cut, is_closed;
    struct tls_engine *tls; /* the client's; NULL: plain */
    struct buf heard;       /* what the client has understood */
};

static struct net_listener listeners[3];
static size_t listener_count;
static struct net_conn clients[CLIENTS_MAX];
static size_t client_count;
static struct fixture_world world;
static struct receive *receive;
static struct receive_settings settings;
static struct fixture certificates;
static struct tls_context *client_context;
static uint64_t next_turn_ms;

struct net_listener *net_listen(struct loop *loop, const struct net_address *address, void *owner,
                                struct buf *error)
{
    (void)loop;
    if (address->port == 1) {
        buf_put_text(error, "port 1 is taken");
        return NULL;
    }
    struct net_listener *l = &listeners[listener_count++];
    *l                     = (struct net_listener){.owner = owner, .address = *address};
    return l;
}

void net_listener_close(struct net_listener *l)
{
    assert_false(l->is_closed);
    l->is_closed = true;
}

void *net_listener_owner(const struct net_listener *l)
{
    return l->owner;
}

const struct net_address *net_listener_address(const struct net_listener *l)
{
    return &l->address;
}

void *net_owner(const struct net_conn *conn)
{
    return conn->owner;
}

void net_set_owner(struct net_conn *conn, void *owner)
{
    conn->owner = owner;
}

const struct net_address *net_peer(const struct net_conn *conn)
{
    return &conn->peer;
}

const struct net_address *net_local(const struct net_conn *conn)
{
    return &conn->local;
}

bool net_peer_user(const struct net_conn *conn, unsigned *uid)
{
    *uid = conn->uid;
    return conn->peer.family == NET_UNIX;
}

void net_watch(struct net_conn *conn, unsigned ready)
{
    assert_false(conn->is_closed);
    conn->watching = ready;
}

void net_close(struct net_conn *conn)
{
    assert_false(conn->is_closed);
    conn->is_closed = true;
    conn->watching  = 0;
}

enum status net_read(struct net_conn *conn, void *into, size_t cap, size_t *got)
{
    assert_false(conn->is_closed);
    if (conn->is_cut)
        return IO_ERROR;
    if (conn->in.len == 0)
        return conn->client_has_ended ? END : AGAIN;
    *got = conn->in.len < cap ? conn->in.len : cap;
    memcpy(into, conn->in.at, *got);
    buf_drop(&conn->in, *got);
    conn->read_bytes += *got;
    return OK;
}

enum status net_write(struct net_conn *conn, const struct span *parts, size_t count, size_t *wrote)
{
    assert_false(conn->is_closed);
    *wrote = 0;
    if (conn->is_cut)
        return IO_ERROR;
    for (size_t i = 0; i < count; i++) {
        struct span now = span_first(parts[i], conn->out_capacity - conn->out.len);
        buf_put(&conn->out, now);
        *wrote += now.len;
    }
    return *wrote > 0 ? OK : AGAIN;
}

static unsigned readiness(const struct net_conn *conn)
{
    bool can_read  = conn->in.len > 0 || conn->client_has_ended || conn->is_cut;
    bool can_write = conn->out.len < conn->out_capacity || conn->is_cut;
    return ((can_read ? NET_READABLE : 0U) | (can_write ? NET_WRITABLE : 0U)) & conn->watching;
}

/* --- turns --- */

static void take_commits(void)
{
    struct intake_done done;
    while (intake_take_done(world.intake, &done, fixture_now_ms, FIXTURE_WALL_MS))
        if (done.owner != NULL)
            receive_on_done(receive, &done);
}

/* Whether anybody was ready. */
static bool turn(void)
{
    bool any = false;
    for (size_t i = 0; i < client_count; i++) {
        unsigned ready = readiness(&clients[i]);
        if (ready == 0)
            continue;
        any = true;
        receive_on_ready(receive, net_owner(&clients[i]), ready, fixture_now_ms, FIXTURE_WALL_MS);
    }
    take_commits();
    next_turn_ms = receive_turn(receive, fixture_now_ms, FIXTURE_WALL_MS);
    return any || next_turn_ms <= fixture_now_ms;
}

/* What the client's side of TLS makes of it. */
static void understand(struct net_conn *c)
{
    char text[8192];
    size_t got;
    if (c->tls == NULL) {
        buf_put(&c->heard, buf_span(&c->out));
        buf_clear(&c->out);
        return;
    }
    (void)tls_engine_feed(c->tls, buf_span(&c->out));
    buf_clear(&c->out);
    while (tls_engine_read(c->tls, text, sizeof text, &got) == OK)
        buf_put(&c->heard, span_make(text, got));
    struct span cipher = tls_engine_output(c->tls);
    buf_put(&c->in, cipher);
    tls_engine_sent(c->tls, cipher.len);
}

/* Until nothing moves any more; the clock and the disk stand still. */
static void run(void)
{
    enum { TURNS_MAX = 10000 };
    bool any = true;
    for (unsigned i = 0; any; i++) {
        assert_true(i < TURNS_MAX); /* else it spins */
        any = turn();
        for (size_t c = 0; c < client_count; c++)
            understand(&clients[c]);
    }
}

static void pass(uint64_t ms)
{
    fixture_now_ms += ms;
    run();
}

static void sync_disk(enum status status)
{
    fixture_sync(&world, status);
    run();
}

/* --- clients --- */

static struct net_address address_of(const char *text)
{
    struct net_address address;
    if (*text == '/')
        return (struct net_address){.family = NET_UNIX};
    assert_int_equal(net_address_parse(span_of(text), &address), OK);
    return address;
}

static struct net_conn *dial_from(const char *from)
{
    assert_true(client_count < CLIENTS_MAX);
    struct net_conn *c = &clients[client_count++];
    *c = (struct net_conn){.peer = address_of(from), .out_capacity = ROOMY, .uid = geteuid()};
    return c;
}

static struct net_conn *connect_from(const char *from, size_t listener)
{
    struct net_conn *c = dial_from(from);
    c->watching        = NET_READABLE;
    receive_on_accepted(receive, c, &listeners[listener], fixture_now_ms, FIXTURE_WALL_MS);
    run();
    return c;
}

static struct net_conn *connect_here(void)
{
    return connect_from("127.0.0.1", 0);
}

static void put(struct net_conn *c, struct span text)
{
    if (c->tls == NULL) {
        buf_put(&c->in, text);
        return;
    }
    assert_int_equal(tls_engine_write(c->tls, text), OK);
    understand(c);
}

static void say(struct net_conn *c, const char *text)
{
    put(c, span_of(text));
    run();
}

/* What was heard since the last time is exactly this; "..." at the end stands for anything. */
static void expect(struct net_conn *c, const char *wanted)
{
    size_t len       = strlen(wanted);
    const char *said = buf_text(&c->heard);
    bool is_open     = len >= 3 && strcmp(wanted + len - 3, "...") == 0;
    if (is_open ? strncmp(said, wanted, len - 3) != 0 : strcmp(said, wanted) != 0)
        fail_msg("heard \"%s\", not \"%s\"", said, wanted);
    buf_clear(&c->heard);
}

/* The codes of complete replies since the last time, as "250 354". */
static void expect_codes(struct net_conn *c, const char *wanted)
{
    struct buf codes = {0};
    struct span line, said = buf_span(&c->heard);
    while (span_cut(&said, '\n', &line))
        if (line.len > 4 && line.at[3] == ' ')
            buf_printf(&codes, "%s%.3s", codes.len > 0 ? " " : "", line.at);
    if (strcmp(buf_text(&codes), wanted) != 0)
        fail_msg("codes \"%s\", not \"%s\": %s", buf_text(&codes), wanted, buf_text(&c->heard));
    buf_clear(&c->heard);
    buf_release(&codes);
}

static struct net_conn *greeted(void)
{
    struct net_conn *c = connect_here();
    say(c, "EHLO client.test\r\n");
    expect_codes(c, "220 250");
    return c;
}

/* Up to the 354. */
static struct net_conn *in_content(void)
{
    struct net_conn *c = greeted();
    say(c, "MAIL FROM:<s@x.test>\r\nRCPT TO:<u@a.example>\r\nDATA\r\n");
    expect_codes(c, "250 250 354");
    return c;
}

static struct message *only_message(void)
{
    size_t cursor = 0;
    assert_int_equal(fixture_messages(&world), 1);
    return queue_each_message(world.queue, &cursor);
}

static size_t connection_count(void)
{
    struct receive_stats stats;
    receive_stats(receive, &stats);
    return stats.connections;
}

/* --- the world --- */

static void listen_on(uint16_t port, enum receive_tls tls)
{
    struct buf error           = {0};
    struct net_address address = address_of("127.0.0.1");
    address.port               = port;
    assert_int_equal(receive_listen(receive, &address, RECEIVE_RELAY, tls, &error), OK);
    buf_release(&error);
}

static int set_up(void **state)
{
    (void)state;
    fixture_world_init(&world);
    listener_count = client_count = 0;
    settings                      = (struct receive_settings){.hostname               = "relay.test",
                                                              .message_bytes_max      = 40U << 20,
                                                              .recipients_max         = 50000,
                                                              .connections_max        = 20,
                                                              .connections_per_client = 3,
                                                              .command_timeout_ms     = TIMEOUT_MS,
                                                              .relay_from_count       = 2,
                                                              .certificate = certificates.good.certificate_path,
                                                              .key         = certificates.good.key_path};
    assert_int_equal(net_prefix_parse(span_of("127.0.0.0/8"), &settings.relay_from[0]), OK);
    assert_int_equal(net_prefix_parse(span_of("192.0.2.0/24"), &settings.relay_from[1]), OK);
    receive = receive_open(NULL, world.intake, &world.log, &settings);
    listen_on(2525, RECEIVE_TLS_NONE);
    listen_on(2587, RECEIVE_TLS_STARTTLS);
    listen_on(2465, RECEIVE_TLS_IMPLICIT);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    receive_close(receive);
    fixture_sync(&world, OK);
    struct intake_done done;
    while (intake_take_done(world.intake, &done, fixture_now_ms, FIXTURE_WALL_MS))
        assert_null(done.owner);
    fixture_world_release(&world);
    for (size_t i = 0; i < client_count; i++) {
        assert_true(clients[i].is_closed);
        tls_engine_free(clients[i].tls);
        buf_release(&clients[i].in);
        buf_release(&clients[i].out);
        buf_release(&clients[i].heard);
    }
    return 0;
}

/* --- conversations --- */

static void a_mail_is_answered_when_the_disk_has_it(void **state)
{
    (void)state;
    char wanted[64], id[MSGID_TEXT_BYTES];
    struct net_conn *c = connect_here();
    expect(c, "220 relay.test ESMTP\r\n");
    say(c, "ehlo client.test\r\n");
    expect(c, "250-relay.test\r\n...");
    say(c, "mail FROM:<s@x.test> size=30\r\n");
    expect(c, "250 2.1.0 sender ok\r\n");
    say(c, "rcpt TO:<u@a.example>\r\n");
    expect(c, "250 2.1.5 recipient ok\r\n");
    say(c, "data\r\n");
    expect(c, "354 end data with <CR><LF>.<CR><LF>\r\n");
    say(c, "Subject: x\r\n\r\nhi\r\n..\r\n.\r\n");
    expect(c, "");
    assert_int_equal(fixture_messages(&world), 0);
    sync_disk(OK);
    struct message *m = only_message();
    (void)snprintf(wanted, sizeof wanted, "250 2.0.0 Ok: queued as %s\r\n", msgid_text(m->id, id));
    expect(c, wanted);
    assert_int_equal(strncmp(fixture_content(m), "Received: from client.test ([127.0.0.1])", 40),
                     0);
    assert_non_null(strstr(fixture_content(m), "\r\n\r\nhi\r\n.\r\n"));
    assert_string_equal(m->envelope.sender, "s@x.test");
    assert_string_equal(m->rcpts[0].address, "u@a.example");
    say(c, "QUIT\r\n");
    expect(c, "221 2.0.0 bye\r\n");
    assert_true(c->is_closed);
    assert_int_equal(connection_count(), 0);
}

/* --- mail for ourselves --- */

static struct sink_query asked;
static char asked_rcpt[ADDRESS_BYTES_MAX + 1], asked_sender[64];

static enum sink_verdict ask(void *owner, const struct sink_query *query,
                             struct sink_answer *answer)
{
    must(owner == &asked);
    asked = *query;
    (void)snprintf(asked_rcpt, sizeof asked_rcpt, "%s", query->rcpt->text);
    (void)snprintf(asked_sender, sizeof asked_sender, "%s", query->sender);
    switch (query->rcpt->text[0]) {
    case 't':
        answer->data = "user=ann";
        return SINK_TAKE;
    case 'r':
        return SINK_REFUSE;
    case 'p':
        *answer = (struct sink_answer){553, "5.7.2", "you may not post here", NULL};
        return SINK_REFUSE;
    case 'd':
        return SINK_DEFER;
    default:
        return SINK_NOT_MINE;
    }
}

static const struct sink sink = {.owner = &asked, .ask = ask};

static void a_sink_is_asked_for_each_recipient(void **state)
{
    (void)state;
    settings.sink      = &sink;
    struct net_conn *c = greeted();
    say(c, "MAIL FROM:<s@x.test>\r\nRCPT TO:<take@l.test>\r\nRCPT TO:<refuse@l.test>\r\n"
           "RCPT TO:<post@l.test>\r\nRCPT TO:<defer@l.test>\r\nRCPT TO:<u@a.example>\r\n");
    expect(c, "250 2.1.0 sender ok\r\n"
              "250 2.1.5 recipient ok\r\n"
              "550 5.1.1 no such address here\r\n"
              "553 5.7.2 you may not post here\r\n"
              "450 4.3.0 not now, try again later\r\n"
              "250 2.1.5 recipient ok\r\n");
    assert_string_equal(asked_rcpt, "u@a.example");
    assert_string_equal(asked_sender, "s@x.test");
    assert_int_equal(asked.role, RECEIVE_RELAY);
    assert_true(asked.is_trusted);
    say(c, "DATA\r\n");
    say(c, "hi\r\n.\r\n");
    sync_disk(OK);
    expect_codes(c, "354 250");
    struct message *m = only_message();
    assert_int_equal(m->rcpt_count, 2);
    assert_true(m->rcpts[0].is_local);
    assert_string_equal(recipient_envelope(&m->rcpts[0]).data, "user=ann");
    assert_false(m->rcpts[1].is_local);
    assert_string_equal(recipient_envelope(&m->rcpts[1]).data, "");
    assert_true(fixture_logged(&world, "\"to\":\"post@l.test\",\"code\":553"));
}

static void xverp_goes_with_the_message(void **state)
{
    (void)state;
    struct net_conn *c = connect_here();
    say(c, "EHLO client.test\r\n");
    assert_non_null(strstr(buf_text(&c->heard), "250 XVERP\r\n"));
    expect_codes(c, "220 250");
    say(c, "MAIL FROM:<s@x.test> XVERP=-=\r\nRCPT TO:<u@a.example>\r\n"
           "RCPT TO:<v@b.example>\r\nDATA\r\n");
    say(c, "hi\r\n.\r\n");
    sync_disk(OK);
    expect_codes(c, "250 250 250 354 250");
    struct message *m = only_message();
    assert_string_equal(m->envelope.verp, "-=");
    assert_string_equal(m->envelope.sender, "s@x.test");
    assert_int_equal(m->rcpt_count, 2);
    assert_string_equal(world.spool.entry.envelope.verp, "-=");
}

static void pipelined_commands_are_answered_in_order(void **state)
{
    (void)state;
    struct net_conn *c = in_content();
    say(c, "hi\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<bad\r\nRCPT TO:<u@b.example>\r\nDATA\r\n");
    expect(c, ""); /* nothing behind the dot is looked at */
    sync_disk(OK);
    expect_codes(c, "250 250 501 250 354");
    say(c, "hi\r\n.\r\nQUIT\r\n");
    sync_disk(OK);
    expect_codes(c, "250 221");
    assert_int_equal(fixture_messages(&world), 2);
    assert_true(fixture_logged(&world, "\"code\":501"));
}

static void bytes_may_come_one_by_one(void **state)
{
    (void)state;
    struct net_conn *c  = connect_here();
    const char *steps[] = {"EHLO c\r\n", "MAIL FROM:<s@x.test>\r\n", "RCPT TO:<u@a.example>\r\n",
                           "DATA\r\n", "hi\r\n.\r\n"};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        for (const char *at = steps[i]; *at != '\0'; at++) {
            put(c, span_make(at, 1));
            run();
        }
    sync_disk(OK);
    expect_codes(c, "220 250 250 250 354 250");
    assert_int_equal(only_message()->rcpt_count, 1);
}

static void chunks_make_one_message(void **state)
{
    (void)state;
    struct net_conn *c = greeted();
    say(c, "MAIL FROM:<s@x.test>\r\nRCPT TO:<u@a.example>\r\nBDAT 5\r\n\r\n.\r\nBDAT 4 "
           "LAST\r\nhi\r\n");
    sync_disk(OK);
    expect_codes(c, "250 250 250 250");
    assert_non_null(strstr(fixture_content(only_message()), "\r\n\r\n.\r\nhi\r\n"));
}

static void many_recipients_in_one_write_are_taken(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    struct buf text    = {0};
    struct net_conn *c = greeted();
    buf_put_text(&text, "MAIL FROM:<s@x.test>\r\n");
    for (int i = 0; i < COUNT; i++)
        buf_printf(&text, "RCPT TO:<u%d@a.example>\r\n", i);
    buf_put_text(&text, "DATA\r\n");
    put(c, buf_span(&text));
    run();
    assert_non_null(strstr(buf_text(&c->heard), "\r\n354 "));
    say(c, ".\r\n");
    sync_disk(OK);
    assert_int_equal(only_message()->rcpt_count, COUNT);
    buf_release(&text);
}

static void surplus_recipients_get_452(void **state)
{
    (void)state;
    settings.recipients_max = 2;
    struct net_conn *c      = greeted();
    say(c, "MAIL FROM:<s@x.test>\r\nRCPT TO:<u1@a.example>\r\nRCPT TO:<u2@a.example>\r\n"
           "RCPT TO:<u3@a.example>\r\nDATA\r\n");
    expect_codes(c, "250 250 250 452 354");
    say(c, ".\r\n");
    sync_disk(OK);
    assert_int_equal(only_message()->rcpt_count, 2);
}

static void a_message_that_is_too_large_gets_552_and_the_client_stays(void **state)
{
    (void)state;
    settings.message_bytes_max = 1000;
    struct net_conn *c         = greeted();
    say(c, "MAIL FROM:<s@x.test> SIZE=2000\r\n");
    expect_codes(c, "552");
    say(c, "MAIL FROM:<s@x.test>\r\nRCPT TO:<u@a.example>\r\nDATA\r\n");
    for (int i = 0; i < 100; i++)
        put(c, span_of("0123456789abcdef\r\n"));
    say(c, ".\r\n");
    expect_codes(c, "250 250 354 552");
    assert_int_equal(world.spool.drafts, 0);
    assert_true(fixture_logged(&world, "\"from\":\"s@x.test\",\"code\":552"));
    say(c, "NOOP\r\n");
    expect_codes(c, "250");
}

static void a_loop_is_refused(void **state)
{
    (void)state;
    struct net_conn *c = in_content();
    for (int i = 0; i < HEADER_RECEIVED_MAX; i++)
        put(c, span_of("Received: from a by b; now\r\n"));
    say(c, "\r\n.\r\n");
    expect(c, "554 5.4.6 ...");
    assert_int_equal(world.spool.drafts, 0);
}

static void bare_line_ends_are_made_whole_and_said_in_the_log(void **state)
{
    (void)state;
    struct net_conn *c = in_content();
    say(c, "Subject: x\r\n\r\nhi\n.\nMAIL FROM:<evil@x.test>\r\n.\r\n");
    sync_disk(OK);
    expect_codes(c, "250");
    assert_non_null(
        strstr(fixture_content(only_message()), "hi\r\n.\r\nMAIL FROM:<evil@x.test>\r\n"));
    assert_true(fixture_logged(&world, "\"normalised\""));
}

static void what_is_no_mail_client_leaves(void **state)
{
    (void)state;
    struct net_conn *c = connect_here();
    say(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_codes(c, "220 421");
    assert_true(c->is_closed);
}

/* --- the disk --- */

static void a_failed_commit_is_a_451(void **state)
{
    (void)state;
    struct net_conn *c = in_content();
    say(c, "hi\r\n.\r\n");
    sync_disk(IO_ERROR);
    expect(c, "451 4.3.0 ...");
    say(c, "MAIL FROM:<s@x.test>\r\nRCPT TO:<u@a.example>\r\nDATA\r\n");
    say(c, "hi\r\n.\r\n");
    sync_disk(NO_SPACE);
    expect_codes(c, "250 250 354 452");
    assert_int_equal(fixture_messages(&world), 0);
    assert_true(fixture_logged(&world, "\"from\":\"s@x.test\",\"code\":451"));
}

static void no_room_is_a_452_to_mail(void **state)
{
    (void)state;
    struct net_conn *c      = greeted();
    world.spool.has_no_room = true;
    say(c, "MAIL FROM:<s@x.test>\r\n");
    expect(c, "452 4.3.1 ...");
    world.spool.has_no_room = false;
    say(c, "MAIL FROM:<s@x.test>\r\n");
    expect_codes(c, "250");
}

static void content_that_cannot_be_kept_is_swallowed_to_its_end(void **state)
{
    (void)state;
    struct net_conn *c       = in_content();
    world.spool.write_status = NO_SPACE;
    say(c, "Subject: x\r\n\r\nhi\r\n");
    expect(c, "");
    assert_int_equal(world.spool.drafts, 0);
    say(c, "MAIL FROM:<evil@x.test>\r\n.\r\nNOOP\r\n");
    expect_codes(c, "452 250");
}

static void room_that_goes_between_mail_and_data_is_a_452(void **state)
{
    (void)state;
    struct net_conn *c      = in_content();
    world.spool.has_no_room = true;
    say(c, "hi\r\n.\r\n");
    expect_codes(c, "452");
}

/* Content until the server stops reading; how much it has read since. */
static size_t pour(struct net_conn *c, size_t bytes)
{
    struct buf text = {0};
    size_t before   = c->read_bytes;
    while (text.len < bytes)
        buf_put_text(&text, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\r\n");
    put(c, buf_span(&text));
    buf_release(&text);
    run();
    return c->read_bytes - before;
}

static void a_client_waits_for_a_disk_that_lags(void **state)
{
    (void)state;
    enum { LOT = 1 << 20 };
    struct net_conn *c = in_content();
    say(c, "Subject: x\r\n\r\n");
    world.spool.lags = true;
    assert_true(pour(c, LOT) <= RECEIVE_READ_BYTES);
    assert_int_equal(c->watching & NET_READABLE, 0);
    assert_true(next_turn_ms > fixture_now_ms && next_turn_ms < fixture_now_ms + 1000);
    pass(TIMEOUT_MS * 2); /* the disk's time is not the client's */
    assert_false(c->is_closed);
    world.spool.lags = false;
    say(c, ".\r\n");
    sync_disk(OK);
    expect_codes(c, "250");
    assert_true(content_bytes(only_message()->content) > LOT);
}

static void nothing_is_read_while_a_commit_is_awaited(void **state)
{
    (void)state;
    struct net_conn *c = in_content();
    say(c, "hi\r\n.\r\n");
    assert_int_equal(pour(c, 1 << 20), 0);
    pass(TIMEOUT_MS * 2);
    assert_false(c->is_closed);
    sync_disk(OK);
}

static void one_client_does_not_keep_a_turn_to_itself(void **state)
{
    (void)state;
    enum { LOT = 4 << 20 };
    struct buf text    = {0};
    struct net_conn *c = in_content();
    size_t before      = c->read_bytes;
    while (text.len < LOT)
        buf_put_text(&text, "0123456789abcdef\r\n");
    put(c, buf_span(&text));
    (void)turn();
    assert_true(c->read_bytes - before < LOT / 4);
    assert_true(next_turn_ms <= fixture_now_ms);
    run();
    assert_int_equal(c->in.len, 0);
    buf_release(&text);
}

static void who_does_not_read_replies_is_not_read(void **state)
{
    (void)state;
    enum { COUNT = 40000 };
    struct net_conn *c = greeted();
    c->out_capacity    = 0;
    put(c, span_of("MAIL FROM:<s@x.test>\r\n"));
    for (int i = 0; i < COUNT; i++)
        put(c, span_of("RCPT TO:<u@a.example>\r\n"));
    run();
    assert_true(c->in.len > 0);
    assert_int_equal(c->watching & NET_READABLE, 0);
    c->out_capacity = ROOMY;
    run();
    assert_int_equal(c->in.len, 0);
    assert_int_equal(c->heard.len, strlen("250 2.1.0 sender ok\r\n") +
                                       COUNT * strlen("250 2.1.5 recipient ok\r\n"));
}

/* --- clients that vanish --- */

static void a_client_that_goes_while_its_commit_runs_is_served_all_the_same(void **state)
{
    (void)state;
    struct net_conn *c = in_content();
    say(c, "hi\r\n.\r\n");
    c->is_cut = true;
    sync_disk(OK);
    assert_int_equal(fixture_messages(&world), 1);
    assert_true(c->is_closed);
    assert_int_equal(connection_count(), 0);
}

static void a_connection_cut_while_its_commit_runs_disowns_it(void **state)
{
    (void)state;
    struct net_conn *c = in_content();
    say(c, "hi\r\n.\r\n");
    receive_close(receive);
    assert_true(c->is_closed);
    receive = receive_open(NULL, world.intake, &world.log, &settings);
    sync_disk(OK);
    assert_int_equal(fixture_messages(&world), 1);
}

static void a_client_that_goes_before_leaves_nothing(void **state)
{
    (void)state;
    static const char *const steps[] = {"",
                                        "EHLO c\r\n",
                                        "MAIL FROM:<s@x.test>\r\n",
                                        "RCPT TO:<u@a.example>\r\n",
                                        "DATA\r\n",
                                        "Subject: x\r\n",
                                        "\r\nhalf"};
    for (size_t said = 0; said < sizeof steps / sizeof *steps; said++) {
        struct net_conn *c = connect_here();
        for (size_t i = 0; i <= said; i++)
            say(c, steps[i]);
        c->client_has_ended = said % 2 == 0;
        c->is_cut           = said % 2 != 0;
        run();
        assert_true(c->is_closed);
    }
    assert_int_equal(world.spool.drafts, 0);
    assert_int_equal(connection_count(), 0);
}

static void a_client_that_has_said_all_gets_its_answers(void **state)
{
    (void)state;
    struct net_conn *c = in_content();
    put(c, span_of("hi\r\n.\r\nQUIT\r\n"));
    c->client_has_ended = true;
    run();
    sync_disk(OK);
    expect_codes(c, "250 221");
    assert_true(c->is_closed);
}

static void a_client_that_has_said_all_may_read_its_answers_later(void **state)
{
    (void)state;
    struct net_conn *c = greeted();
    c->out_capacity    = 0;
    say(c, "NOOP\r\n");
    c->client_has_ended = true;
    run();
    assert_false(c->is_closed);
    c->out_capacity = ROOMY;
    run();
    expect_codes(c, "250");
    assert_true(c->is_closed);
}

/* --- who may come in --- */

static void strangers_are_turned_away(void **state)
{
    (void)state;
    struct net_conn *c = connect_from("198.51.100.7", 0);
    expect(c, "554 relay.test 5.7.1 ...");
    assert_true(c->is_closed);
    assert_true(fixture_logged(&world, "\"ip\":\"198.51.100.7\",\"code\":554"));
    c = connect_from("2001:db8::7", 0);
    expect_codes(c, "554");
    c = connect_from("198.51.100.7", 2); /* no handshake with a stranger */
    expect(c, "");
    assert_true(c->is_closed);
    assert_int_equal(connection_count(), 0);
}

static void a_client_has_so_many_connections(void **state)
{
    (void)state;
    struct net_conn *first = connect_from("192.0.2.1", 0);
    for (unsigned i = 1; i < settings.connections_per_client; i++)
        expect_codes(connect_from("192.0.2.1", 0), "220");
    expect_codes(connect_from("192.0.2.1", 0), "421");
    expect_codes(connect_from("192.0.2.2", 0), "220");
    say(first, "QUIT\r\n");
    expect_codes(connect_from("192.0.2.1", 0), "220");
}

static void the_list_manager_of_this_machine_may_have_all(void **state)
{
    (void)state;
    for (unsigned i = 0; i < settings.connections_max; i++)
        expect_codes(connect_here(), "220");
    expect(connect_here(), "421 relay.test 4.3.2 ...");
    say(&clients[0], "QUIT\r\n");
    expect_codes(connect_here(), "220");
}

static void a_socket_file_is_for_its_owner(void **state)
{
    (void)state;
    expect_codes(connect_from("/", 0), "220");
    struct net_conn *c = dial_from("/");
    c->uid             = geteuid() + 1;
    receive_on_accepted(receive, c, &listeners[0], fixture_now_ms, FIXTURE_WALL_MS);
    run();
    expect_codes(c, "554");
}

static void who_talks_before_the_greeting_is_sent_away(void **state)
{
    (void)state;
    struct net_conn *c = dial_from("127.0.0.1");
    put(c, span_of("EHLO c\r\nMAIL FROM:<s@x.test>\r\n"));
    receive_on_accepted(receive, c, &listeners[0], fixture_now_ms, FIXTURE_WALL_MS);
    run();
    expect(c, "554 relay.test 5.5.0 ...");
    assert_true(c->is_closed);
}

/* --- time --- */

static void silence_ends_a_connection(void **state)
{
    (void)state;
    struct net_conn *c = connect_here();
    buf_clear(&c->heard);
    assert_true(next_turn_ms == fixture_now_ms + TIMEOUT_MS);
    pass(TIMEOUT_MS - 1);
    assert_false(c->is_closed);
    pass(1);
    expect(c, "421 4.4.2 timed out, closing\r\n");
    assert_true(c->is_closed);
    assert_true(next_turn_ms == LOOP_NEVER);
}

static void a_byte_now_and_then_does_not_hold_a_place(void **state)
{
    (void)state;
    struct net_conn *c = greeted();
    for (int i = 0; i < 6; i++) {
        say(c, "N");
        pass(MINUTE_MS);
    }
    expect_codes(c, "421");
    assert_true(c->is_closed);
}

static void commands_that_keep_coming_hold_it(void **state)
{
    (void)state;
    struct net_conn *c = greeted();
    for (int i = 0; i < 10; i++) {
        say(c, "NOOP\r\n");
        pass(TIMEOUT_MS - 1);
    }
    assert_false(c->is_closed);
}

static void content_that_trickles_is_cut_off(void **state)
{
    (void)state;
    struct net_conn *c = in_content();
    for (int i = 0; i < 12; i++) { /* a good deal below 500 bytes a second */
        say(c, "a line of content\r\n");
        pass(MINUTE_MS);
    }
    expect(c, "421 4.4.2 timed out, closing\r\n");
    assert_true(c->is_closed);
    assert_int_equal(world.spool.drafts, 0);
}

static void content_at_a_slow_but_fair_rate_arrives(void **state)
{
    (void)state;
    enum { BYTES_A_MINUTE = 40000 };
    struct net_conn *c = in_content();
    for (int i = 0; i < 30; i++) {
        (void)pour(c, BYTES_A_MINUTE);
        pass(MINUTE_MS);
    }
    say(c, ".\r\n");
    sync_disk(OK);
    expect_codes(c, "250");
}

static void who_does_not_read_the_goodbye_is_cut(void **state)
{
    (void)state;
    struct net_conn *c = greeted();
    c->out_capacity    = 0;
    say(c, "QUIT\r\n");
    assert_false(c->is_closed);
    pass(MINUTE_MS);
    assert_true(c->is_closed);
}

/* --- TLS --- */

static void shake_hands(struct net_conn *c)
{
    c->tls = tls_engine_client(client_context, "mx.example", NULL);
    assert_non_null(c->tls);
    understand(c);
    run();
    assert_int_not_equal(tls_engine_state(c->tls), TLS_HANDSHAKING);
    assert_int_not_equal(tls_engine_state(c->tls), TLS_FAILED);
}

static struct net_conn *secured(void)
{
    struct net_conn *c = connect_from("127.0.0.1", 1);
    say(c, "EHLO client.test\r\n");
    assert_non_null(strstr(buf_text(&c->heard), "STARTTLS\r\n"));
    buf_clear(&c->heard);
    say(c, "STARTTLS\r\n");
    expect(c, "220 2.0.0 ready to start TLS\r\n");
    shake_hands(c);
    return c;
}

static void starttls_starts_anew_inside(void **state)
{
    (void)state;
    struct net_conn *c = secured();
    say(c, "MAIL FROM:<s@x.test>\r\n");
    expect_codes(c, "503"); /* EHLO is forgotten */
    say(c, "EHLO client.test\r\n");
    assert_null(strstr(buf_text(&c->heard), "STARTTLS"));
    buf_clear(&c->heard);
    say(c, "MAIL FROM:<s@x.test>\r\nRCPT TO:<u@a.example>\r\nDATA\r\n");
    say(c, "Subject: x\r\n\r\nhi\r\n.\r\n");
    sync_disk(OK);
    expect_codes(c, "250 250 354 250");
    assert_true(fixture_holds(only_message(), "with ESMTPS (TLSv1.3 with cipher TLS_"));
}

static void commands_in_clear_behind_starttls_are_not_taken_inside(void **state)
{
    (void)state;
    struct net_conn *c = connect_from("127.0.0.1", 1);
    say(c, "EHLO c\r\n");
    buf_clear(&c->heard);
    say(c, "STARTTLS\r\nEHLO evil\r\n");
    expect_codes(c, "554");
    assert_true(c->is_closed);
}

static void implicit_tls_greets_inside(void **state)
{
    (void)state;
    struct net_conn *c = connect_from("127.0.0.1", 2);
    expect(c, "");
    shake_hands(c);
    expect(c, "220 relay.test ESMTP\r\n");
    say(c, "EHLO client.test\r\n");
    say(c, "MAIL FROM:<s@x.test>\r\nRCPT TO:<u@a.example>\r\nDATA\r\n");
    say(c, "hi\r\n.\r\nQUIT\r\n");
    sync_disk(OK);
    expect_codes(c, "250 250 250 354 250 221");
    assert_true(c->is_closed);
}

/* The records are in the engine, and the socket has nothing to tell of any more. */
static void what_tls_holds_back_is_read_behind_the_commit(void **state)
{
    (void)state;
    static const int counts[] = {1, 8000};
    for (size_t n = 0; n < sizeof counts / sizeof *counts; n++) {
        struct net_conn *c = secured();
        say(c, "EHLO client.test\r\n");
        say(c, "MAIL FROM:<s@x.test>\r\nRCPT TO:<u@a.example>\r\nDATA\r\n");
        buf_clear(&c->heard);
        put(c, span_of("hi\r\n.\r\n"));
        put(c, span_of("MAIL FROM:<s@x.test>\r\n"));
        for (int i = 0; i < counts[n]; i++)
            put(c, span_of("RCPT TO:<u@a.example>\r\n"));
        put(c, span_of("DATA\r\n"));
        run();
        expect(c, "");
        sync_disk(OK);
        assert_non_null(strstr(buf_text(&c->heard), "\r\n354 "));
    }
}

static void plain_bytes_behind_the_end_of_tls_are_never_read(void **state)
{
    (void)state;
    struct net_conn *c = secured();
    say(c, "EHLO client.test\r\n");
    say(c, "MAIL FROM:<s@x.test>\r\nRCPT TO:<u@a.example>\r\nBDAT 1000\r\nabc");
    tls_engine_close(c->tls);
    understand(c);
    buf_put_text(&c->in, "x\r\nQUIT\r\n");
    run();
    assert_true(c->is_closed);
    assert_int_equal(world.spool.drafts, 0);
}

static void garbage_instead_of_a_handshake_ends_it(void **state)
{
    (void)state;
    struct net_conn *c = connect_from("127.0.0.1", 2);
    say(c, "EHLO this is no TLS\r\n");
    assert_true(c->is_closed);
    assert_true(fixture_logged(&world, "\"refused\""));
}

static void a_handshake_has_twenty_seconds(void **state)
{
    (void)state;
    struct net_conn *c = connect_from("127.0.0.1", 2);
    pass(19999);
    assert_false(c->is_closed);
    pass(1);
    assert_true(c->is_closed);
    expect(c, "");
}

/* --- the operator --- */

static void draining_ends_the_idle_and_waits_for_the_rest(void **state)
{
    (void)state;
    struct net_conn *idle = greeted(), *begun = greeted(), *busy = in_content(), *shaking;
    say(begun, "MAIL FROM:<s@x.test>\r\nRCPT TO:<u@a.example>\r\n");
    shaking = connect_from("127.0.0.1", 2);
    receive_drain(receive);
    run();
    assert_true(listeners[0].is_closed && listeners[1].is_closed && listeners[2].is_closed);
    expect(idle, "421 4.3.2 ...");
    assert_true(idle->is_closed);
    assert_false(shaking->is_closed);
    shake_hands(shaking);
    expect_codes(shaking, "220 421");
    assert_true(shaking->is_closed);
    say(busy, "hi\r\n.\r\n");
    expect_codes(begun, "250 250");
    say(begun, "DATA\r\n");
    say(begun, "hi\r\n.\r\n");
    assert_false(receive_is_empty(receive));
    sync_disk(OK);
    expect_codes(busy, "250 421");
    expect_codes(begun, "354 250 421");
    assert_true(receive_is_empty(receive));
}

static void starttls_is_possible_while_draining(void **state)
{
    (void)state;
    struct net_conn *c = connect_from("127.0.0.1", 1);
    say(c, "EHLO c\r\n");
    buf_clear(&c->heard);
    put(c, span_of("MAIL FROM:<s@x.test>\r\nSTARTTLS\r\n"));
    receive_drain(receive);
    run();
    assert_true(c->is_closed || c->heard.len > 0);
}

static void a_new_certificate_counts_and_a_bad_one_changes_nothing(void **state)
{
    (void)state;
    struct buf error              = {0};
    struct receive_settings fresh = settings;
    fresh.key                     = certificates.other.key_path; /* not of this certificate */
    assert_int_equal(receive_set_settings(receive, &fresh, &error), BAD_INPUT);
    assert_true(error.len > 0);
    fresh.certificate = fresh.key = NULL;
    buf_clear(&error);
    assert_int_equal(receive_set_settings(receive, &fresh, &error), BAD_INPUT);
    assert_non_null(strstr(buf_text(&error), "needs a certificate"));
    (void)secured();
    fresh             = settings;
    fresh.certificate = certificates.wildcard.certificate_path;
    fresh.key         = certificates.wildcard.key_path;
    assert_int_equal(receive_set_settings(receive, &fresh, &error), OK);
    (void)secured();
    buf_release(&error);
}

static void a_connection_outlives_the_settings_it_began_with(void **state)
{
    (void)state;
    struct buf error             = {0};
    char *name                   = mem_text("relay.test");
    struct receive_settings *old = mem_new(sizeof *old);
    *old                         = settings;
    old->hostname                = name;
    assert_int_equal(receive_set_settings(receive, old, &error), OK);
    struct net_conn *c = connect_here();
    assert_int_equal(receive_set_settings(receive, &settings, &error), OK);
    mem_free(name);
    mem_free(old);
    say(c, "EHLO c\r\n");
    expect_codes(c, "220 250");
    buf_release(&error);
}

static void a_listener_that_cannot_be_opened_says_why(void **state)
{
    (void)state;
    struct buf error           = {0};
    struct net_address address = address_of("127.0.0.1");
    address.port               = 1;
    assert_int_not_equal(receive_listen(receive, &address, RECEIVE_RELAY, RECEIVE_TLS_NONE, &error),
                         OK);
    assert_string_equal(buf_text(&error), "port 1 is taken");
    assert_null(receive_listener_address(receive, 3));
    assert_int_equal(receive_listener_address(receive, 2)->port, 2465);
    buf_release(&error);
}

static void an_idle_client_costs_little(void **state)
{
    (void)state;
    enum { IDLE_BYTES_MAX = 12 << 10 };
    struct net_conn *c = in_content();
    (void)pour(c, 1 << 20);
    say(c, ".\r\n");
    sync_disk(OK);
    const struct connection *k = net_owner(c);
    assert_true(sizeof *k + k->held.cap + k->smtp.piece.cap + k->wire.pending.cap < IDLE_BYTES_MAX);
}

static int set_up_all(void **state)
{
    (void)state;
    fixture_init(&certificates);
    client_context = fixture_client(&certificates, TLS_OPPORTUNISTIC);
    return 0;
}

static int tear_down_all(void **state)
{
    (void)state;
    tls_context_release(client_context);
    fixture_release(&certificates);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_mail_is_answered_when_the_disk_has_it),
        TEST(a_sink_is_asked_for_each_recipient),
        TEST(xverp_goes_with_the_message),
        TEST(pipelined_commands_are_answered_in_order),
        TEST(bytes_may_come_one_by_one),
        TEST(chunks_make_one_message),
        TEST(many_recipients_in_one_write_are_taken),
        TEST(surplus_recipients_get_452),
        TEST(a_message_that_is_too_large_gets_552_and_the_client_stays),
        TEST(a_loop_is_refused),
        TEST(bare_line_ends_are_made_whole_and_said_in_the_log),
        TEST(what_is_no_mail_client_leaves),
        TEST(a_failed_commit_is_a_451),
        TEST(no_room_is_a_452_to_mail),
        TEST(content_that_cannot_be_kept_is_swallowed_to_its_end),
        TEST(room_that_goes_between_mail_and_data_is_a_452),
        TEST(a_client_waits_for_a_disk_that_lags),
        TEST(nothing_is_read_while_a_commit_is_awaited),
        TEST(one_client_does_not_keep_a_turn_to_itself),
        TEST(who_does_not_read_replies_is_not_read),
        TEST(a_client_that_goes_while_its_commit_runs_is_served_all_the_same),
        TEST(a_connection_cut_while_its_commit_runs_disowns_it),
        TEST(a_client_that_goes_before_leaves_nothing),
        TEST(a_client_that_has_said_all_gets_its_answers),
        TEST(a_client_that_has_said_all_may_read_its_answers_later),
        TEST(strangers_are_turned_away),
        TEST(a_client_has_so_many_connections),
        TEST(the_list_manager_of_this_machine_may_have_all),
        TEST(a_socket_file_is_for_its_owner),
        TEST(who_talks_before_the_greeting_is_sent_away),
        TEST(silence_ends_a_connection),
        TEST(a_byte_now_and_then_does_not_hold_a_place),
        TEST(commands_that_keep_coming_hold_it),
        TEST(content_that_trickles_is_cut_off),
        TEST(content_at_a_slow_but_fair_rate_arrives),
        TEST(who_does_not_read_the_goodbye_is_cut),
        TEST(starttls_starts_anew_inside),
        TEST(commands_in_clear_behind_starttls_are_not_taken_inside),
        TEST(implicit_tls_greets_inside),
        TEST(what_tls_holds_back_is_read_behind_the_commit),
        TEST(plain_bytes_behind_the_end_of_tls_are_never_read),
        TEST(garbage_instead_of_a_handshake_ends_it),
        TEST(a_handshake_has_twenty_seconds),
        TEST(draining_ends_the_idle_and_waits_for_the_rest),
        TEST(starttls_is_possible_while_draining),
        TEST(a_new_certificate_counts_and_a_bad_one_changes_nothing),
        TEST(a_connection_outlives_the_settings_it_began_with),
        TEST(a_listener_that_cannot_be_opened_says_why),
        TEST(an_idle_client_costs_little),
    };
    int failed = cmocka_run_group_tests(tests, set_up_all, tear_down_all);
    return check_report(failed, sizeof tests / sizeof *tests);
}
