/* SPDX-License-Identifier: MIT */
/*
 * Two wires that meet in a network of memory: pipes that take and give as few bytes at once as the
 * test says, so that writes come back short and reads come in torn.
 */
#include "mta/base/mem.h"
#include "mta/wire/wire.h"
#include "tests/unit/tls_fixture.h"

enum { ROOMY = 1 << 22, BIG_BYTES = 200000, TURNS_MAX = 1000000 };

struct pipe {
    struct buf bytes;
    size_t capacity, read_max;
    bool is_finished; /* the writer is gone: END behind the last byte */
    bool is_cut;      /* both directions fail */
};

/* One end; the fake behind net.h. */
struct net_conn {
    struct pipe *in, *out;
    unsigned watching, watch_calls, write_calls, read_calls;
    bool is_closed;
};

enum status net_read(struct net_conn *conn, void *into, size_t cap, size_t *got)
{
    struct pipe *in = conn->in;
    conn->read_calls++;
    if (in->is_cut)
        return IO_ERROR;
    if (in->bytes.len == 0)
        return in->is_finished ? END : AGAIN;
    struct span now = span_first(span_first(buf_span(&in->bytes), in->read_max), cap);
    memcpy(into, now.at, now.len);
    buf_drop(&in->bytes, now.len);
    *got = now.len;
    return OK;
}

enum status net_write(struct net_conn *conn, const struct span *parts, size_t count, size_t *wrote)
{
    struct pipe *out = conn->out;
    conn->write_calls++;
    *wrote = 0;
    assert_true(count > 0);
    if (out->is_cut)
        return IO_ERROR;
    for (size_t i = 0; i < count; i++) {
        struct span now = span_first(parts[i], out->capacity - out->bytes.len);
        buf_put(&out->bytes, now);
        *wrote += now.len;
    }
    return *wrote > 0 ? OK : AGAIN;
}

void net_watch(struct net_conn *conn, unsigned ready)
{
    assert_true(conn->watching != ready || conn->watch_calls == 0);
    conn->watching = ready;
    conn->watch_calls++;
}

void net_close(struct net_conn *conn)
{
    conn->is_closed        = true;
    conn->out->is_finished = true;
}

struct world {
    struct pipe there, back;
    struct net_conn near_conn, far_conn;
    struct wire near, far;
    struct tls_context *client, *server;
};

static struct fixture fixture;

static void world_init(struct world *w, size_t capacity, size_t read_max)
{
    *w = (struct world){
        .there = {.capacity = capacity, .read_max = read_max},
        .back  = {.capacity = capacity, .read_max = read_max},
    };
    w->near_conn = (struct net_conn){.in = &w->back, .out = &w->there};
    w->far_conn  = (struct net_conn){.in = &w->there, .out = &w->back};
    wire_init(&w->near, &w->near_conn);
    wire_init(&w->far, &w->far_conn);
    wire_want_read(&w->near, true);
    wire_want_read(&w->far, true);
}

static void world_release(struct world *w)
{
    wire_release(&w->near);
    wire_release(&w->far);
    assert_true(w->near_conn.is_closed && w->far_conn.is_closed);
    buf_release(&w->there.bytes);
    buf_release(&w->back.bytes);
    tls_context_release(w->client);
    tls_context_release(w->server);
}

static unsigned readiness(const struct net_conn *conn)
{
    bool can_read  = conn->in->bytes.len > 0 || conn->in->is_finished || conn->in->is_cut;
    bool can_write = conn->out->bytes.len < conn->out->capacity || conn->out->is_cut;
    return ((can_read ? NET_READABLE : 0U) | (can_write ? NET_WRITABLE : 0U)) & conn->watching;
}

/* What the loop does for one conn; whether it was ready. */
static bool turn(struct wire *wire, const struct net_conn *conn, enum status *status)
{
    unsigned ready = readiness(conn);
    if (ready == 0)
        return false;
    *status = wire_pump(wire, ready);
    return true;
}

static void shake_hands(struct world *w)
{
    enum status near = OK, far = OK;
    for (unsigned i = 0; i < TURNS_MAX && near == OK && far == OK; i++) {
        if (wire_tls(&w->near) == WIRE_SECURE && wire_tls(&w->far) == WIRE_SECURE)
            return;
        bool any = turn(&w->near, &w->near_conn, &near);
        any      = turn(&w->far, &w->far_conn, &far) || any;
        assert_true(any); /* else both wait for ever */
    }
}

static void start_tls(struct world *w, enum tls_level level, const struct fixture_pair *pair)
{
    w->client = fixture_client(&fixture, level);
    w->server = fixture_server(pair, "submission");
    wire_start_tls(&w->far, tls_engine_server(w->server));
    wire_start_tls(&w->near, tls_engine_client(w->client, "mx.example", NULL));
    shake_hands(w);
}

static enum status say(struct wire *wire, const char *text)
{
    struct span part = span_of(text);
    return wire_write(wire, &part, 1);
}

/* Reads until there is nothing left; with tiny reads the wire says AGAIN in between. */
static void assert_hears(struct wire *wire, const char *text)
{
    char bytes[256];
    size_t total = 0, got = 0;
    enum status status;
    do {
        status = wire_read(wire, bytes + total, sizeof bytes - total, &got);
        total += got;
    } while (status == OK || (status == AGAIN && wire->conn->in->bytes.len > 0));
    assert_int_equal(strlen(text), total);
    assert_memory_equal(text, bytes, total);
}

/* Writes a lot at one end, with a mark, and reads it at the other; checks every byte. */
static void stream(struct world *w, struct wire *from, struct wire *to, size_t mark)
{
    static char sent[BIG_BYTES], heard[BIG_BYTES];
    size_t given = 0, total = 0, got = 0;
    enum status status = OK;

    for (size_t i = 0; i < sizeof sent; i++)
        sent[i] = (char)(i * 31 + i / 257);
    for (unsigned i = 0; i < TURNS_MAX && total < sizeof sent; i++) {
        while (given < sizeof sent && wire_pending(from) <= mark) {
            struct span rest    = span_make(sent + given, sizeof sent - given);
            struct span parts[] = {span_first(rest, 10), span_first(span_skip(rest, 10), 3000)};
            assert_int_equal(OK, wire_write(from, parts, 2));
            given += parts[0].len + parts[1].len;
        }
        assert_true(wire_pending(from) <= mark + 4000);
        (void)turn(&w->near, &w->near_conn, &status);
        assert_int_equal(OK, status);
        (void)turn(&w->far, &w->far_conn, &status);
        assert_int_equal(OK, status);
        while (wire_read(to, heard + total, 777, &got) == OK)
            total += got;
    }
    assert_int_equal(sizeof sent, total);
    assert_memory_equal(sent, heard, sizeof sent);
    assert_int_equal(0, wire_pending(from));
}

static void plain_lines_go_both_ways(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, ROOMY, ROOMY);
    assert_int_equal(WIRE_PLAIN, wire_tls(&w.near));
    assert_int_equal(OK, say(&w.far, "220 mx.example\r\n"));
    assert_hears(&w.near, "220 mx.example\r\n");
    assert_int_equal(OK, say(&w.near, "QUIT\r\n"));
    assert_hears(&w.far, "QUIT\r\n");
    world_release(&w);
}

static void a_group_is_one_write(void **state)
{
    (void)state;
    struct world w;
    struct span parts[] = {SPAN("MAIL FROM:<a@x>\r\n"), SPAN(""), SPAN("RCPT TO:<b@y>\r\n"),
                           SPAN("DATA\r\n")};
    world_init(&w, ROOMY, ROOMY);
    assert_int_equal(OK, wire_write(&w.near, parts, 4));
    assert_int_equal(1, w.near_conn.write_calls);
    assert_hears(&w.far, "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n");

    start_tls(&w, TLS_REQUIRED, &fixture.good);
    w.near_conn.write_calls = 0;
    assert_int_equal(OK, wire_write(&w.near, parts, 4));
    assert_int_equal(1, w.near_conn.write_calls);
    assert_true(w.there.bytes.len < 38 + 30); /* one record, not three */
    assert_hears(&w.far, "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n");
    world_release(&w);
}

static void nothing_to_write_does_not_bother_the_socket(void **state)
{
    (void)state;
    struct world w;
    struct span parts[] = {SPAN(""), SPAN("")};
    world_init(&w, ROOMY, ROOMY);
    assert_int_equal(OK, wire_write(&w.near, parts, 2));
    assert_int_equal(OK, wire_write(&w.near, NULL, 0));
    assert_int_equal(0, w.near_conn.write_calls);
    world_release(&w);
}

static void what_the_socket_does_not_take_waits_and_is_watched(void **state)
{
    (void)state;
    struct world w;
    struct span parts[] = {SPAN("0123456"), SPAN("789abc"), SPAN("def")};
    world_init(&w, 10, ROOMY);
    assert_int_equal(OK, wire_write(&w.near, parts, 3));
    assert_int_equal(6, wire_pending(&w.near));
    assert_int_equal(NET_READABLE | NET_WRITABLE, w.near_conn.watching);
    assert_int_equal(OK, say(&w.near, "gh")); /* behind it, and the full socket is left alone */
    assert_int_equal(1, w.near_conn.write_calls);
    assert_int_equal(8, wire_pending(&w.near));

    assert_hears(&w.far, "0123456789");
    assert_int_equal(OK, wire_pump(&w.near, NET_WRITABLE));
    assert_int_equal(0, wire_pending(&w.near));
    assert_int_equal(NET_READABLE, w.near_conn.watching);
    assert_hears(&w.far, "abcdefgh");
    world_release(&w);
}

static void a_full_socket_is_left_alone_under_tls_too(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, ROOMY, ROOMY);
    start_tls(&w, TLS_REQUIRED, &fixture.good);
    w.there.capacity        = w.there.bytes.len + 10;
    w.near_conn.write_calls = 0;
    assert_int_equal(OK, say(&w.near, "MAIL FROM:<>\r\n"));
    assert_int_equal(OK, say(&w.near, "RCPT TO:<b@y>\r\n"));
    assert_int_equal(1, w.near_conn.write_calls);
    assert_int_equal(NET_READABLE | NET_WRITABLE, w.near_conn.watching);
    w.there.capacity = ROOMY;
    assert_int_equal(OK, wire_pump(&w.near, NET_WRITABLE));
    assert_hears(&w.far, "MAIL FROM:<>\r\nRCPT TO:<b@y>\r\n");
    world_release(&w);
}

static void much_goes_through_narrow_pipes(void **state)
{
    (void)state;
    const size_t capacities[] = {7, 100, 5000, ROOMY};
    for (size_t i = 0; i < 4; i++)
        for (int secure = 0; secure < 2; secure++) {
            struct world w;
            world_init(&w, capacities[i], i % 2 == 0 ? ROOMY : 64);
            if (secure)
                start_tls(&w, TLS_REQUIRED, &fixture.good);
            stream(&w, &w.near, &w.far, 8000);
            stream(&w, &w.far, &w.near, 0);
            world_release(&w);
        }
}

static void the_watch_changes_only_when_it_must(void **state)
{
    (void)state;
    struct world w;
    char bytes[64];
    size_t got;
    world_init(&w, ROOMY, ROOMY);
    assert_int_equal(1, w.near_conn.watch_calls);
    for (int i = 0; i < 5; i++) { /* net_watch() above refuses what is watched already */
        wire_want_read(&w.near, true);
        assert_int_equal(OK, say(&w.far, "250 ok\r\n"));
        assert_int_equal(OK, wire_pump(&w.near, NET_READABLE));
        assert_int_equal(OK, wire_read(&w.near, bytes, sizeof bytes, &got));
        assert_int_equal(AGAIN, wire_read(&w.near, bytes, sizeof bytes, &got));
    }
    assert_int_equal(1, w.near_conn.watch_calls);
    wire_want_read(&w.near, false);
    assert_int_equal(0, w.near_conn.watching);
    world_release(&w);
}

static void plain_becomes_tls_at_every_chunk_size(void **state)
{
    (void)state;
    for (size_t chunk = 1; chunk < 4000; chunk += chunk < 24 ? 1 : chunk) {
        struct world w;
        world_init(&w, 3 * chunk, chunk);
        w.there.capacity = w.back.capacity = 64;
        assert_int_equal(OK, say(&w.near, "STARTTLS\r\n"));
        assert_hears(&w.far, "STARTTLS\r\n");
        assert_int_equal(OK, say(&w.far, "220 go ahead\r\n"));
        assert_hears(&w.near, "220 go ahead\r\n");
        w.there.capacity = w.back.capacity = 3 * chunk;
        start_tls(&w, TLS_REQUIRED, &fixture.good);
        assert_int_equal(WIRE_SECURE, wire_tls(&w.near));
        assert_true(tls_engine_is_verified(w.near.tls));
        w.there.capacity = w.back.capacity = ROOMY;
        assert_int_equal(OK, wire_pump(&w.near, NET_WRITABLE));
        assert_int_equal(OK, say(&w.near, "EHLO me.example\r\n"));
        assert_hears(&w.far, "EHLO me.example\r\n");
        assert_int_equal(OK, say(&w.far, "250 mx.example\r\n"));
        (void)wire_pump(&w.far, NET_WRITABLE);
        assert_hears(&w.near, "250 mx.example\r\n");
        world_release(&w);
    }
}

/* The reply to STARTTLS may still wait for the socket when TLS starts. */
static void what_was_pending_in_clear_goes_out_first(void **state)
{
    (void)state;
    struct world w;
    char bytes[64];
    size_t got;
    world_init(&w, 4, ROOMY);
    assert_int_equal(OK, say(&w.far, "220 go\r\n"));
    assert_int_equal(4, wire_pending(&w.far));
    w.server = fixture_server(&fixture.good, "submission");
    wire_start_tls(&w.far, tls_engine_server(w.server));
    assert_hears(&w.near, "220 ");
    assert_int_equal(OK, wire_pump(&w.far, NET_WRITABLE));
    assert_int_equal(OK, wire_read(&w.near, bytes, sizeof bytes, &got));
    assert_memory_equal("go\r\n", bytes, got);
    w.client = fixture_client(&fixture, TLS_REQUIRED);
    wire_start_tls(&w.near, tls_engine_client(w.client, "mx.example", NULL));
    shake_hands(&w);
    assert_int_equal(WIRE_SECURE, wire_tls(&w.near));
    world_release(&w);
}

static void the_handshake_goes_on_while_nobody_reads(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, ROOMY, ROOMY);
    wire_want_read(&w.near, false);
    wire_want_read(&w.far, false);
    start_tls(&w, TLS_REQUIRED, &fixture.good);
    assert_int_equal(WIRE_SECURE, wire_tls(&w.near));
    assert_int_equal(WIRE_SECURE, wire_tls(&w.far));
    (void)wire_pump(&w.near, NET_WRITABLE);
    assert_int_equal(0, w.near_conn.watching);
    world_release(&w);
}

static void bytes_behind_the_handshake_are_not_lost(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, ROOMY, ROOMY);
    w.client = fixture_client(&fixture, TLS_REQUIRED);
    w.server = fixture_server(&fixture.good, "submission");
    wire_start_tls(&w.far, tls_engine_server(w.server));
    wire_start_tls(&w.near, tls_engine_client(w.client, "mx.example", NULL));
    assert_int_equal(OK, wire_pump(&w.far, NET_READABLE));
    assert_int_equal(OK, wire_pump(&w.near, NET_READABLE));
    assert_int_equal(WIRE_SECURE, wire_tls(&w.near));
    assert_int_equal(OK, say(&w.near, "EHLO me.example\r\n")); /* in one read with Finished */
    assert_int_equal(OK, wire_pump(&w.far, NET_READABLE));
    assert_int_equal(WIRE_SECURE, wire_tls(&w.far));
    assert_int_equal(0, w.there.bytes.len);
    assert_hears(&w.far, "EHLO me.example\r\n");
    world_release(&w);
}

static void a_refused_certificate_breaks_both_ends(void **state)
{
    (void)state;
    struct world w;
    char byte;
    size_t got;
    enum status status = OK;
    world_init(&w, ROOMY, ROOMY);
    start_tls(&w, TLS_REQUIRED, &fixture.expired);
    assert_int_equal(WIRE_TLS_FAILED, wire_tls(&w.near));
    assert_non_null(strstr(tls_engine_error(w.near.tls), "expired"));
    (void)turn(&w.far, &w.far_conn, &status);
    assert_int_equal(WIRE_TLS_FAILED, wire_tls(&w.far)); /* our alert got through */
    assert_non_null(strstr(tls_engine_error(w.far.tls), "the peer says: "));
    assert_int_equal(IO_ERROR, say(&w.near, "EHLO me.example\r\n"));

    /* Whatever comes now is not looked at. */
    buf_put_text(&w.back.bytes, "250 clear text\r\n");
    assert_int_equal(IO_ERROR, wire_read(&w.near, &byte, 1, &got));
    assert_int_equal(16, w.back.bytes.len);
    assert_int_equal(0, w.near_conn.watching);
    world_release(&w);
}

static void clear_text_where_tls_should_start_fails(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, ROOMY, ROOMY);
    buf_put_text(&w.there.bytes, "EHLO me.example\r\n");
    w.server = fixture_server(&fixture.good, "submission");
    wire_start_tls(&w.far, tls_engine_server(w.server));
    assert_int_equal(IO_ERROR, wire_pump(&w.far, NET_READABLE));
    assert_int_equal(WIRE_TLS_FAILED, wire_tls(&w.far));
    world_release(&w);
}

/* No call of the caller would have told, so the wire makes sure that it is pumped. */
static void a_failure_at_the_start_of_tls_is_told_by_the_next_pump(void **state)
{
    (void)state;
    for (int cut = 0; cut < 2; cut++) {
        struct world w;
        enum status status = OK;
        world_init(&w, ROOMY, ROOMY);
        w.there.is_cut = cut;
        w.client       = fixture_client(&fixture, TLS_REQUIRED);
        wire_start_tls(&w.near, tls_engine_client(w.client, cut ? "mx.example" : NULL, NULL));
        wire_want_read(&w.near, true);
        assert_true(turn(&w.near, &w.near_conn, &status));
        assert_int_equal(IO_ERROR, status);
        assert_int_equal(WIRE_TLS_FAILED, wire_tls(&w.near));
        assert_string_not_equal("", tls_engine_error(w.near.tls));
        world_release(&w);
    }
}

static void a_fin_during_the_handshake_is_a_tls_failure(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, ROOMY, ROOMY);
    w.client = fixture_client(&fixture, TLS_OPPORTUNISTIC);
    wire_start_tls(&w.near, tls_engine_client(w.client, "mx.example", NULL));
    w.back.is_finished = true;
    assert_int_equal(IO_ERROR, wire_pump(&w.near, NET_READABLE));
    assert_int_equal(WIRE_TLS_FAILED, wire_tls(&w.near));
    assert_non_null(strstr(tls_engine_error(w.near.tls), "did not end"));
    world_release(&w);
}

static void close_notify_is_the_end_and_answered(void **state)
{
    (void)state;
    struct world w;
    char byte;
    size_t got;
    world_init(&w, ROOMY, ROOMY);
    start_tls(&w, TLS_REQUIRED, &fixture.good);
    assert_int_equal(OK, say(&w.near, "QUIT\r\n"));
    wire_release(&w.near);
    buf_put_text(&w.there.bytes, "MAIL FROM:<>\r\n"); /* A8: clear text on the same connection */
    w.far_conn.read_calls = 0;
    size_t before         = w.back.bytes.len;
    assert_hears(&w.far, "QUIT\r\n");
    unsigned reads = w.far_conn.read_calls;
    for (int i = 0; i < 3; i++)
        assert_int_equal(END, wire_read(&w.far, &byte, 1, &got));
    assert_int_equal(reads, w.far_conn.read_calls);
    assert_true(w.back.bytes.len > before); /* our close_notify */
    assert_int_equal(IO_ERROR, say(&w.far, "221 bye\r\n"));
    assert_int_equal(0, w.far_conn.watching);
    wire_init(&w.near, &w.near_conn);
    world_release(&w);
}

static void a_plain_end_leaves_the_other_way_open(void **state)
{
    (void)state;
    struct world w;
    char byte;
    size_t got;
    world_init(&w, ROOMY, ROOMY);
    assert_int_equal(OK, say(&w.near, "QUIT\r\n"));
    w.there.is_finished = true;
    assert_hears(&w.far, "QUIT\r\n");
    assert_int_equal(END, wire_read(&w.far, &byte, 1, &got));
    assert_int_equal(END, wire_read(&w.far, &byte, 1, &got));
    assert_int_equal(0, w.far_conn.watching); /* it would be noted again and again */
    assert_int_equal(OK, say(&w.far, "221 bye\r\n"));
    assert_hears(&w.near, "221 bye\r\n");
    world_release(&w);
}

static void a_tls_stream_cut_anywhere_is_an_error(void **state)
{
    (void)state;
    for (size_t keep = 0; keep <= 40; keep += 8) {
        struct world w;
        char bytes[64];
        size_t got;
        world_init(&w, ROOMY, ROOMY);
        start_tls(&w, TLS_OPPORTUNISTIC, &fixture.good);
        assert_int_equal(OK, say(&w.near, "DATA is not complete\r\n"));
        bool whole = keep >= w.there.bytes.len;
        if (!whole)
            w.there.bytes.len = keep;
        w.there.is_finished = true;
        enum status status  = wire_read(&w.far, bytes, sizeof bytes, &got);
        assert_int_equal(whole ? OK : IO_ERROR, status);
        assert_int_equal(IO_ERROR, wire_read(&w.far, bytes, sizeof bytes, &got));
        assert_int_equal(IO_ERROR, say(&w.far, "250 ok\r\n"));
        world_release(&w);
    }
}

static void a_broken_socket_drops_what_waits(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 10, ROOMY);
    assert_int_equal(OK, say(&w.near, "0123456789 and more"));
    assert_int_equal(9, wire_pending(&w.near));
    w.there.is_cut = true;
    assert_int_equal(IO_ERROR, wire_pump(&w.near, NET_WRITABLE));
    assert_int_equal(0, wire_pending(&w.near));
    assert_int_equal(IO_ERROR, say(&w.near, "x"));
    assert_int_equal(IO_ERROR, wire_pump(&w.near, NET_WRITABLE));
    assert_int_equal(2, w.near_conn.write_calls);
    world_release(&w);
}

/* "421 too busy", and the door slams while we write. */
static void last_words_can_be_read_behind_a_write_error(void **state)
{
    (void)state;
    for (int secure = 0; secure < 2; secure++) {
        struct world w;
        world_init(&w, ROOMY, ROOMY);
        if (secure)
            start_tls(&w, TLS_REQUIRED, &fixture.good);
        assert_int_equal(OK, say(&w.far, "421 too busy\r\n"));
        w.there.is_cut = true;
        assert_int_equal(IO_ERROR, say(&w.near, "MAIL FROM:<>\r\n"));
        assert_hears(&w.near, "421 too busy\r\n");
        world_release(&w);
    }
}

static void a_read_error_breaks_the_wire(void **state)
{
    (void)state;
    for (int secure = 0; secure < 2; secure++) {
        struct world w;
        char byte;
        size_t got;
        world_init(&w, ROOMY, ROOMY);
        if (secure)
            start_tls(&w, TLS_REQUIRED, &fixture.good);
        w.back.bytes.len = 0;
        w.back.is_cut    = true;
        assert_int_equal(IO_ERROR, wire_read(&w.near, &byte, 1, &got));
        assert_int_equal(IO_ERROR, wire_read(&w.near, &byte, 1, &got));
        assert_int_equal(IO_ERROR, say(&w.near, "x"));
        assert_int_equal(0, w.near_conn.watching);
        world_release(&w);
    }
}

/* What a peer sends for TLS alone does not keep the loop. */
static void a_pump_reads_a_bounded_number_of_times(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, ROOMY, ROOMY);
    w.client = fixture_client(&fixture, TLS_REQUIRED);
    w.server = fixture_server(&fixture.good, "submission");
    wire_start_tls(&w.far, tls_engine_server(w.server));
    wire_start_tls(&w.near, tls_engine_client(w.client, "mx.example", NULL));
    w.there.read_max = 1;
    assert_int_equal(OK, wire_pump(&w.far, NET_READABLE));
    assert_true(w.far_conn.read_calls < 50);
    assert_true(w.there.bytes.len > 100);
    assert_int_equal(WIRE_HANDSHAKING, wire_tls(&w.far));
    world_release(&w);
}

static void a_fresh_wire_leaves_the_watch_alone(void **state)
{
    (void)state;
    struct pipe in = {0}, out = {0};
    struct net_conn dialed = {.in = &in, .out = &out, .watching = NET_WRITABLE};
    struct wire wire;
    wire_init(&wire, &dialed);
    assert_int_equal(0, dialed.watch_calls);
    assert_int_equal(NET_WRITABLE, dialed.watching);
    wire_want_read(&wire, true);
    assert_int_equal(NET_READABLE, dialed.watching);
    wire_release(&wire);
    wire_release(&wire); /* and again */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_lines_go_both_ways),
        cmocka_unit_test(a_group_is_one_write),
        cmocka_unit_test(nothing_to_write_does_not_bother_the_socket),
        cmocka_unit_test(what_the_socket_does_not_take_waits_and_is_watched),
        cmocka_unit_test(a_full_socket_is_left_alone_under_tls_too),
        cmocka_unit_test(much_goes_through_narrow_pipes),
        cmocka_unit_test(the_watch_changes_only_when_it_must),
        cmocka_unit_test(plain_becomes_tls_at_every_chunk_size),
        cmocka_unit_test(what_was_pending_in_clear_goes_out_first),
        cmocka_unit_test(the_handshake_goes_on_while_nobody_reads),
        cmocka_unit_test(bytes_behind_the_handshake_are_not_lost),
        cmocka_unit_test(a_refused_certificate_breaks_both_ends),
        cmocka_unit_test(clear_text_where_tls_should_start_fails),
        cmocka_unit_test(a_failure_at_the_start_of_tls_is_told_by_the_next_pump),
        cmocka_unit_test(a_fin_during_the_handshake_is_a_tls_failure),
        cmocka_unit_test(close_notify_is_the_end_and_answered),
        cmocka_unit_test(a_plain_end_leaves_the_other_way_open),
        cmocka_unit_test(a_tls_stream_cut_anywhere_is_an_error),
        cmocka_unit_test(a_broken_socket_drops_what_waits),
        cmocka_unit_test(last_words_can_be_read_behind_a_write_error),
        cmocka_unit_test(a_read_error_breaks_the_wire),
        cmocka_unit_test(a_pump_reads_a_bounded_number_of_times),
        cmocka_unit_test(a_fresh_wire_leaves_the_watch_alone),
    };
    fixture_init(&fixture);
    int failed = RUN(tests);
    fixture_release(&fixture);
    return failed;
}
