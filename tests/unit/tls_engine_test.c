/* SPDX-License-Identifier: MIT */
/* Two engines that meet in memory, and one that meets a foreign peer. */
#include "tests/unit/tls_fixture.h"

enum { CHUNK_BYTES_ANY = 1 << 20, CHUNK_BYTES_MAX = 300, BIG_BYTES = 300000 };

static struct fixture fixture;

/* A client and a server, not yet introduced. */
struct couple {
    struct tls_context *client_context, *server_context;
    struct tls_engine *client, *server;
};

static void meet(struct couple *c, enum tls_level level, const struct fixture_pair *pair,
                 const char *name)
{
    c->client_context = fixture_client(&fixture, level);
    c->server_context = fixture_server(pair, "submission");
    c->client         = tls_engine_client(c->client_context, name, NULL);
    c->server         = tls_engine_server(c->server_context);
    assert_non_null(c->client);
    assert_non_null(c->server);
}

/* Contexts first: engines live on without their makers. */
static void part(struct couple *c)
{
    tls_context_release(c->client_context);
    tls_context_release(c->server_context);
    tls_engine_free(c->client);
    tls_engine_free(c->server);
}

static void meet_again(struct couple *c, const char *name, struct tls_session *session)
{
    tls_engine_free(c->client);
    tls_engine_free(c->server);
    c->client = tls_engine_client(c->client_context, name, session);
    c->server = tls_engine_server(c->server_context);
    fixture_talk(c->client, c->server, CHUNK_BYTES_ANY);
}

static void assert_hears(struct tls_engine *e, const char *text)
{
    char bytes[256];
    size_t got = 0;
    assert_int_equal(OK, tls_engine_read(e, bytes, sizeof bytes, &got));
    assert_int_equal(strlen(text), got);
    assert_memory_equal(text, bytes, got);
    assert_int_equal(AGAIN, tls_engine_read(e, bytes, sizeof bytes, &got));
}

static void assert_says(const struct tls_engine *e, const char *words)
{
    if (strstr(tls_engine_error(e), words) == NULL)
        fail_msg("'%s' does not say '%s'", tls_engine_error(e), words);
}

static void assert_talks(struct tls_engine *a, struct tls_engine *b)
{
    assert_int_equal(OK, tls_engine_write(a, span_of("EHLO me.example\r\n")));
    fixture_talk(a, b, CHUNK_BYTES_ANY);
    assert_hears(b, "EHLO me.example\r\n");
    assert_int_equal(OK, tls_engine_write(b, span_of("250 hello\r\n")));
    fixture_talk(a, b, CHUNK_BYTES_ANY);
    assert_hears(a, "250 hello\r\n");
}

static void a_handshake_succeeds_at_every_chunk_size(void **state)
{
    (void)state;
    for (size_t chunk = 1; chunk <= CHUNK_BYTES_MAX; chunk += chunk < 40 ? 1 : 37) {
        struct couple c;
        meet(&c, TLS_REQUIRED, &fixture.good, "mx.example");
        fixture_talk(c.client, c.server, chunk);
        assert_int_equal(TLS_SECURE, tls_engine_state(c.client));
        assert_int_equal(TLS_SECURE, tls_engine_state(c.server));
        assert_true(tls_engine_is_verified(c.client));
        assert_false(tls_engine_was_resumed(c.client));
        assert_string_equal("TLSv1.3", tls_engine_version(c.client));
        assert_string_equal(tls_engine_cipher(c.client), tls_engine_cipher(c.server));
        assert_talks(c.client, c.server);
        part(&c);
    }
}

static void big_data_goes_both_ways(void **state)
{
    (void)state;
    struct couple c;
    static char sent[BIG_BYTES], got_bytes[BIG_BYTES];
    for (size_t i = 0; i < sizeof sent; i++)
        sent[i] = (char)(i * 7 + i / 251);
    meet(&c, TLS_OPPORTUNISTIC, &fixture.rsa, "mx.example");
    fixture_talk(c.client, c.server, CHUNK_BYTES_ANY);

    struct tls_engine *ends[] = {c.client, c.server};
    for (size_t way = 0; way < 2; way++) {
        struct tls_engine *from = ends[way], *to = ends[1 - way];
        assert_int_equal(OK, tls_engine_write(from, span_make(sent, sizeof sent)));
        size_t total = 0, got = 0;
        memset(got_bytes, 0, sizeof got_bytes);
        while (tls_engine_output(from).len > 0) {
            struct span piece = span_first(tls_engine_output(from), 1000 + total % 977);
            assert_int_equal(TLS_SECURE, tls_engine_feed(to, piece));
            tls_engine_sent(from, piece.len);
            while (tls_engine_read(to, got_bytes + total, 1 + total % 5000, &got) == OK)
                total += got;
        }
        assert_int_equal(sizeof sent, total);
        assert_memory_equal(sent, got_bytes, sizeof sent);
    }
    part(&c);
}

static void resume_once(enum tls_level level)
{
    struct couple c;
    meet(&c, level, &fixture.good, "mx.example");
    fixture_talk(c.client, c.server, CHUNK_BYTES_ANY);
    for (int i = 0; i < 3; i++) { /* each session serves once and leaves another */
        struct tls_session *session = tls_engine_take_session(c.client);
        assert_non_null(session);
        assert_null(tls_engine_take_session(c.client));
        meet_again(&c, "mx.example", session);
        assert_true(tls_engine_was_resumed(c.client));
        assert_true(tls_engine_was_resumed(c.server));
        assert_true(tls_engine_is_verified(c.client));
        assert_talks(c.client, c.server);
    }
    part(&c);
}

static void a_session_is_resumed(void **state)
{
    (void)state;
    resume_once(TLS_OPPORTUNISTIC);
    resume_once(TLS_REQUIRED);
}

/* A foreign server sends two by default. */
static void each_ticket_is_told_once_the_newest_first(void **state)
{
    (void)state;
    struct foreign peer;
    struct tls_context *context = fixture_client(&fixture, TLS_OPPORTUNISTIC);
    struct tls_engine *e        = tls_engine_client(context, "mx.example", NULL);
    foreign_init(&peer, &fixture.good, TLS1_3_VERSION);
    SSL_CTX_set_num_tickets(peer.context, 3); /* of which two are kept */
    SSL_set_num_tickets(peer.ssl, 3);
    foreign_shake_hands(&peer, e);
    for (int i = 0; i < 2; i++) {
        struct tls_session *session = tls_engine_take_session(e);
        assert_non_null(session);
        tls_session_free(session);
    }
    assert_null(tls_engine_take_session(e));
    tls_engine_free(e);
    foreign_release(&peer);
    tls_context_release(context);
}

/* Not so where somebody judges it. */
static void nobody_looks_at_a_certificate_without_trust(void **state)
{
    (void)state;
    struct buf error = {0};
    for (enum tls_level level = TLS_OPPORTUNISTIC; level <= TLS_ENCRYPT; level++) {
        struct tls_context *client = tls_context_client(level, NULL, &error);
        struct tls_context *server = fixture_server(&fixture.expired, "s");
        struct tls_engine *c       = tls_engine_client(client, "mx.example", NULL);
        struct tls_engine *s       = tls_engine_server(server);
        fixture_talk(c, s, CHUNK_BYTES_ANY);
        bool judges = level == TLS_REQUIRED;
        assert_int_equal(judges ? TLS_FAILED : TLS_SECURE, tls_engine_state(c));
        assert_false(tls_engine_is_verified(c));
        assert_says(c, judges ? "does not verify" : "does not have to be");
        tls_engine_free(c);
        tls_engine_free(s);
        tls_context_release(client);
        tls_context_release(server);
    }
}

static void a_session_serves_the_same_name_only(void **state)
{
    (void)state;
    struct couple c;
    meet(&c, TLS_OPPORTUNISTIC, &fixture.good, "mx.example");
    fixture_talk(c.client, c.server, CHUNK_BYTES_ANY);
    meet_again(&c, "other.example", tls_engine_take_session(c.client));
    assert_int_equal(TLS_SECURE, tls_engine_state(c.client));
    assert_false(tls_engine_was_resumed(c.client));
    part(&c);
}

static void an_unverified_session_does_not_serve_a_required_level(void **state)
{
    (void)state;
    struct couple c;
    struct tls_context *strict = fixture_client(&fixture, TLS_REQUIRED);
    meet(&c, TLS_OPPORTUNISTIC, &fixture.selfsigned, "mx.example");
    fixture_talk(c.client, c.server, CHUNK_BYTES_ANY);
    struct tls_session *session = tls_engine_take_session(c.client);
    assert_non_null(session);

    tls_context_release(c.client_context);
    c.client_context = strict;
    meet_again(&c, "mx.example", session);
    assert_int_equal(TLS_FAILED, tls_engine_state(c.client));
    assert_null(tls_engine_take_session(c.client));
    part(&c);
}

static void a_session_outlives_its_engine_and_context(void **state)
{
    (void)state;
    struct couple c;
    meet(&c, TLS_OPPORTUNISTIC, &fixture.good, "mx.example");
    fixture_talk(c.client, c.server, CHUNK_BYTES_ANY);
    struct tls_session *session = tls_engine_take_session(c.client);
    part(&c);
    assert_non_null(session);
    tls_session_free(session);
}

static void a_ticket_of_another_listener_is_not_resumed(void **state)
{
    (void)state;
    struct couple c;
    struct tls_context *bounces = fixture_server(&fixture.good, "bounces");
    meet(&c, TLS_OPPORTUNISTIC, &fixture.good, "mx.example");
    fixture_talk(c.client, c.server, CHUNK_BYTES_ANY);
    struct tls_session *session = tls_engine_take_session(c.client);
    assert_non_null(session);

    tls_context_release(c.server_context);
    c.server_context = bounces;
    meet_again(&c, "mx.example", session);
    assert_int_equal(TLS_SECURE, tls_engine_state(c.client));
    assert_false(tls_engine_was_resumed(c.client));
    assert_false(tls_engine_was_resumed(c.server));
    part(&c);
}

static void certificates_are_judged_by_the_level(void **state)
{
    (void)state;
    const struct {
        const struct fixture_pair *pair;
        const char *name;
        bool verifies;
        const char *words;
    } cases[] = {
        {&fixture.good,        "mx.example",         true,  NULL                 },
        {&fixture.rsa,         "mx.example",         true,  NULL                 },
        {&fixture.good,        "192.0.2.1",          true,  NULL                 },
        {&fixture.wildcard,    "mx.wild.example",    true,  NULL                 },
        {&fixture.wildcard,    "mx.partial.example", false, "hostname mismatch"  },
        {&fixture.wildcard,    "a.mx.wild.example",  false, "hostname mismatch"  },
        {&fixture.good,        "192.0.2.2",          false, "IP address mismatch"},
        {&fixture.other,       "mx.example",         false, "hostname mismatch"  },
        {&fixture.named_in_cn, "mx.example",         false, "hostname mismatch"  },
        {&fixture.expired,     "mx.example",         false, "expired"            },
        {&fixture.selfsigned,  "mx.example",         false, "self-signed"        },
        {&fixture.good,        ".example",           false, "no name"            },
        {&fixture.good,        "",                   false, "no name"            },
        {&fixture.good,        NULL,                 false, "no name"            },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (enum tls_level level = TLS_OPPORTUNISTIC; level <= TLS_ENCRYPT; level++) {
            struct couple c;
            meet(&c, level, cases[i].pair, cases[i].name);
            fixture_talk(c.client, c.server, CHUNK_BYTES_ANY);
            bool works = level != TLS_REQUIRED || cases[i].verifies;
            assert_int_equal(works ? TLS_SECURE : TLS_FAILED, tls_engine_state(c.client));
            if (cases[i].verifies != tls_engine_is_verified(c.client))
                fail_msg("case %zu: %s", i, tls_engine_error(c.client));
            if (cases[i].words != NULL)
                assert_says(c.client, cases[i].words);
            assert_string_not_equal("", tls_engine_error(c.client));
            part(&c);
        }
}

static void a_server_hears_why_its_certificate_was_refused(void **state)
{
    (void)state;
    struct couple c;
    char byte;
    size_t got;
    meet(&c, TLS_REQUIRED, &fixture.expired, "mx.example");
    fixture_talk(c.client, c.server, CHUNK_BYTES_ANY);
    assert_int_equal(TLS_FAILED, tls_engine_state(c.server));
    assert_says(c.server, "the peer says: ");
    assert_says(c.server, "certificate expired");
    assert_int_equal(IO_ERROR, tls_engine_read(c.server, &byte, 1, &got));
    assert_int_equal(IO_ERROR, tls_engine_write(c.client, span_of("x")));
    part(&c);
}

static void close_notify_is_the_end(void **state)
{
    (void)state;
    struct couple c;
    char byte;
    size_t got;
    meet(&c, TLS_REQUIRED, &fixture.good, "mx.example");
    fixture_talk(c.client, c.server, CHUNK_BYTES_ANY);
    assert_int_equal(OK, tls_engine_write(c.client, span_of("QUIT\r\n")));
    tls_engine_close(c.client);
    assert_int_equal(CLOSED, tls_engine_write(c.client, span_of("MAIL")));
    fixture_talk(c.client, c.server, CHUNK_BYTES_ANY);

    assert_int_equal(TLS_SECURE, tls_engine_state(c.server)); /* there is something to read yet */
    char bytes[16];
    assert_int_equal(OK, tls_engine_read(c.server, bytes, sizeof bytes, &got));
    assert_int_equal(6, got);
    assert_int_equal(END, tls_engine_read(c.server, &byte, 1, &got));
    assert_int_equal(TLS_CLOSED, tls_engine_state(c.server));
    /* Clear text behind it is never looked at (A8). */
    assert_int_equal(TLS_CLOSED, tls_engine_feed(c.server, span_of("MAIL FROM:<>\r\n")));
    assert_int_equal(END, tls_engine_read(c.server, &byte, 1, &got));
    assert_int_equal(CLOSED, tls_engine_write(c.server, span_of("250 ok\r\n")));
    part(&c);
}

static void garbage_fails_with_words(void **state)
{
    (void)state;
    const char *const garbage[] = {"GET / HTTP/1.1\r\n\r\n", "EHLO me.example\r\n",
                                   "\x16\x03\x01\xff\xff garbage", "\x80\x01\x02\x03\x04\x05"};
    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
        struct couple c;
        meet(&c, TLS_OPPORTUNISTIC, &fixture.good, NULL);
        assert_int_equal(TLS_FAILED, tls_engine_feed(c.server, span_of(garbage[i])));
        assert_says(c.server, "TLS handshake failed: ");
        assert_int_equal(TLS_FAILED, tls_engine_feed(c.server, tls_engine_output(c.client)));
        part(&c);
    }
}

static void a_changed_byte_fails_the_connection(void **state)
{
    (void)state;
    for (size_t at = 0; at < 30; at++) {
        struct couple c;
        char record[256], byte;
        size_t got;
        meet(&c, TLS_REQUIRED, &fixture.good, "mx.example");
        fixture_talk(c.client, c.server, CHUNK_BYTES_ANY);
        assert_int_equal(OK, tls_engine_write(c.client, span_of("MAIL FROM:<>\r\n")));
        struct span out = tls_engine_output(c.client);
        assert_true(out.len > at && out.len < sizeof record);
        memcpy(record, out.at, out.len);
        record[at] ^= 1;
        (void)tls_engine_feed(c.server, span_make(record, out.len));
        enum status status = tls_engine_read(c.server, &byte, 1, &got);
        assert_true(status == IO_ERROR || (status == AGAIN && (at == 3 || at == 4))); /* length */
        part(&c);
    }
}

static void a_torn_record_gives_nothing(void **state)
{
    (void)state;
    struct couple c;
    char bytes[64];
    size_t got;
    meet(&c, TLS_REQUIRED, &fixture.good, "mx.example");
    fixture_talk(c.client, c.server, CHUNK_BYTES_ANY);
    assert_int_equal(OK, tls_engine_write(c.client, span_of("MAIL FROM:<>\r\n")));
    struct span out = tls_engine_output(c.client);
    for (size_t i = 0; i + 1 < out.len; i++) {
        assert_int_equal(TLS_SECURE, tls_engine_feed(c.server, span_make(out.at + i, 1)));
        assert_int_equal(AGAIN, tls_engine_read(c.server, bytes, sizeof bytes, &got));
    }
    (void)tls_engine_feed(c.server, span_make(out.at + out.len - 1, 1));
    assert_hears(c.server, "MAIL FROM:<>\r\n");
    part(&c);
}

static void versions_are_limited_by_the_level(void **state)
{
    (void)state;
    const struct {
        int version;
        enum tls_level level;
        enum tls_state becomes;
    } cases[] = {
        {TLS1_VERSION,   TLS_OPPORTUNISTIC, TLS_SECURE},
        {TLS1_1_VERSION, TLS_OPPORTUNISTIC, TLS_SECURE},
        {TLS1_2_VERSION, TLS_OPPORTUNISTIC, TLS_SECURE},
        {TLS1_3_VERSION, TLS_OPPORTUNISTIC, TLS_SECURE},
        {TLS1_1_VERSION, TLS_ENCRYPT,       TLS_FAILED},
        {TLS1_2_VERSION, TLS_ENCRYPT,       TLS_SECURE},
        {TLS1_1_VERSION, TLS_REQUIRED,      TLS_FAILED},
        {TLS1_2_VERSION, TLS_REQUIRED,      TLS_SECURE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct foreign peer;
        struct tls_context *context = fixture_client(&fixture, cases[i].level);
        struct tls_engine *e        = tls_engine_client(context, "mx.example", NULL);
        foreign_init(&peer, &fixture.good, cases[i].version);
        foreign_shake_hands(&peer, e);
        assert_int_equal(cases[i].becomes, tls_engine_state(e));
        foreign_release(&peer);
        tls_engine_free(e);
        tls_context_release(context);
    }
}

static void a_server_wants_tls_1_2_at_least(void **state)
{
    (void)state;
    const int versions[] = {TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < 4; i++) {
        struct foreign peer;
        struct tls_context *context = fixture_server(&fixture.good, "submission");
        struct tls_engine *e        = tls_engine_server(context);
        foreign_init(&peer, NULL, versions[i]);
        foreign_shake_hands(&peer, e);
        assert_int_equal(versions[i] < TLS1_2_VERSION ? TLS_FAILED : TLS_SECURE,
                         tls_engine_state(e));
        if (versions[i] < TLS1_2_VERSION)
            assert_says(e, "unsupported protocol");
        foreign_release(&peer);
        tls_engine_free(e);
        tls_context_release(context);
    }
}

/* Takes a session over from one connection to a TLS 1.2 server to the next, twice. */
static void tls_1_2_resumes_again_and_again(void **state)
{
    (void)state;
    struct foreign peer;
    struct tls_context *context = fixture_client(&fixture, TLS_REQUIRED);
    struct tls_session *session = NULL;
    foreign_init(&peer, &fixture.good, TLS1_2_VERSION);
    assert_int_equal(1,
                     SSL_CTX_set_session_id_context(peer.context, (const unsigned char *)"x", 1));
    for (int round = 0; round < 3; round++) {
        SSL_free(peer.ssl);
        peer.ssl = SSL_new(peer.context);
        SSL_set_bio(peer.ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
        BIO_set_mem_eof_return(SSL_get_rbio(peer.ssl), -1);
        SSL_set_accept_state(peer.ssl);
        struct tls_engine *e = tls_engine_client(context, "mx.example", session);
        foreign_shake_hands(&peer, e);
        assert_int_equal(TLS_SECURE, tls_engine_state(e));
        assert_string_equal("TLSv1.2", tls_engine_version(e));
        assert_int_equal(round > 0, tls_engine_was_resumed(e));
        assert_true(tls_engine_is_verified(e));
        session = tls_engine_take_session(e);
        assert_non_null(session);
        assert_null(tls_engine_take_session(e));
        tls_engine_free(e);
    }
    tls_session_free(session);
    foreign_release(&peer);
    tls_context_release(context);
}

static void a_server_refuses_to_renegotiate(void **state)
{
    (void)state;
    struct foreign peer;
    char byte;
    struct tls_context *context = fixture_server(&fixture.good, "submission");
    struct tls_engine *e        = tls_engine_server(context);
    foreign_init(&peer, NULL, TLS1_2_VERSION);
    foreign_shake_hands(&peer, e);
    assert_int_equal(TLS_SECURE, tls_engine_state(e));

    assert_int_equal(1, SSL_renegotiate(peer.ssl));
    assert_true(SSL_do_handshake(peer.ssl) <= 0);
    (void)foreign_move(&peer, e); /* ClientHello, in its connection */
    (void)foreign_move(&peer, e); /* our answer */
    ERR_clear_error();
    assert_true(SSL_read(peer.ssl, &byte, 1) <= 0);
    assert_int_equal(SSL_R_NO_RENEGOTIATION, ERR_GET_REASON(ERR_peek_error()));
    foreign_release(&peer);
    tls_engine_free(e);
    tls_context_release(context);
}

static void a_client_refuses_to_renegotiate(void **state)
{
    (void)state;
    struct foreign peer;
    char byte;
    struct tls_context *context = fixture_client(&fixture, TLS_OPPORTUNISTIC);
    struct tls_engine *e        = tls_engine_client(context, "mx.example", NULL);
    foreign_init(&peer, &fixture.good, TLS1_2_VERSION);
    foreign_shake_hands(&peer, e);
    assert_int_equal(TLS_SECURE, tls_engine_state(e));

    assert_int_equal(1, SSL_renegotiate(peer.ssl));
    assert_int_equal(1, SSL_do_handshake(peer.ssl)); /* HelloRequest */
    (void)foreign_move(&peer, e);
    (void)foreign_move(&peer, e);
    ERR_clear_error();
    assert_true(SSL_read(peer.ssl, &byte, 1) <= 0);
    assert_int_equal(SSL_R_NO_RENEGOTIATION, ERR_GET_REASON(ERR_peek_error()));
    foreign_release(&peer);
    tls_engine_free(e);
    tls_context_release(context);
}

static void an_error_is_one_printable_line(void **state)
{
    (void)state;
    struct couple c;
    meet(&c, TLS_OPPORTUNISTIC, &fixture.good, "mx\r\n\x1b[31m\xc3\xa4.example");
    fixture_talk(c.client, c.server, CHUNK_BYTES_ANY);
    assert_false(tls_engine_is_verified(c.client));
    assert_says(c.client, "mx???[31m??.example");
    part(&c);
}

/* A peer that demands an answer of TLS itself again and again, and never reads any. */
static void a_flood_of_key_updates_ends_the_connection(void **state)
{
    (void)state;
    struct foreign peer;
    char bytes[256];
    struct tls_context *context = fixture_server(&fixture.good, "submission");
    struct tls_engine *e        = tls_engine_server(context);
    foreign_init(&peer, NULL, TLS1_3_VERSION);
    foreign_shake_hands(&peer, e);
    for (int i = 0; i < 10000 && tls_engine_state(e) == TLS_SECURE; i++) {
        assert_int_equal(1, SSL_key_update(peer.ssl, SSL_KEY_UPDATE_REQUESTED));
        assert_int_equal(1, SSL_do_handshake(peer.ssl));
        for (int n; (n = BIO_read(SSL_get_wbio(peer.ssl), bytes, sizeof bytes)) > 0;)
            (void)tls_engine_feed(e, span_make(bytes, (size_t)n));
    }
    assert_int_equal(TLS_FAILED, tls_engine_state(e));
    assert_says(e, "without end");
    assert_true(tls_engine_output(e).len < 100000);
    foreign_release(&peer);
    tls_engine_free(e);
    tls_context_release(context);
}

static void no_handshake_yet_is_said(void **state)
{
    (void)state;
    struct couple c;
    char byte;
    size_t got;
    meet(&c, TLS_OPPORTUNISTIC, &fixture.good, NULL);
    assert_int_equal(TLS_HANDSHAKING, tls_engine_state(c.client));
    assert_int_equal(AGAIN, tls_engine_read(c.client, &byte, 1, &got));
    assert_says(c.client, "did not end");
    assert_null(tls_engine_take_session(c.client));
    tls_engine_close(c.client); /* nothing to say good-bye to */
    part(&c);
}

static size_t bound(const struct tls_engine *e, enum tls_binding kind,
                    char into[TLS_BINDING_BYTES_MAX])
{
    memset(into, 0, TLS_BINDING_BYTES_MAX);
    return tls_engine_binding(e, kind, into);
}

static void both_ends_name_their_connection_the_same(void **state)
{
    (void)state;
    char client[TLS_BINDING_BYTES_MAX], server[TLS_BINDING_BYTES_MAX], last[TLS_BINDING_BYTES_MAX];
    struct couple c;
    meet(&c, TLS_REQUIRED, &fixture.good, "mx.example");
    assert_int_equal(0, bound(c.server, TLS_BINDING_EXPORTER, server)); /* no handshake yet */
    fixture_talk(c.client, c.server, CHUNK_BYTES_ANY);
    assert_int_equal(32, bound(c.server, TLS_BINDING_EXPORTER, server));
    assert_int_equal(32, bound(c.client, TLS_BINDING_EXPORTER, client));
    assert_memory_equal(client, server, sizeof client);
    assert_int_equal(0, bound(c.server, TLS_BINDING_UNIQUE, last)); /* RFC 9266 1: not in TLS 1.3 */
    memcpy(last, server, sizeof last);
    meet_again(&c, "mx.example", NULL);
    assert_int_equal(32, bound(c.server, TLS_BINDING_EXPORTER, server));
    assert_memory_not_equal(last, server, sizeof last);
    part(&c);
}

/* The client's Finished, and behind a resumed session the server's. */
static void tls_unique_is_the_first_finished(void **state)
{
    (void)state;
    char ours[TLS_BINDING_BYTES_MAX], theirs[TLS_BINDING_BYTES_MAX];
    struct tls_context *context = fixture_server(&fixture.good, "submission");
    SSL_SESSION *session        = NULL;
    for (int round = 0; round < 2; round++) {
        struct foreign peer;
        struct tls_engine *e = tls_engine_server(context);
        foreign_init(&peer, NULL, TLS1_2_VERSION);
        if (session != NULL)
            assert_int_equal(1, SSL_set_session(peer.ssl, session));
        foreign_shake_hands(&peer, e);
        assert_int_equal(round, SSL_session_reused(peer.ssl));
        size_t len = bound(e, TLS_BINDING_UNIQUE, ours);
        assert_int_equal(12, len);
        assert_int_equal(len, round == 0 ? SSL_get_finished(peer.ssl, theirs, sizeof theirs)
                                         : SSL_get_peer_finished(peer.ssl, theirs, sizeof theirs));
        assert_memory_equal(ours, theirs, len);
        assert_int_equal(32, bound(e, TLS_BINDING_EXPORTER, ours));
        SSL_SESSION_free(session);
        session = SSL_get1_session(peer.ssl);
        SSL_set_shutdown(peer.ssl, SSL_SENT_SHUTDOWN); /* else it would not be resumed */
        foreign_release(&peer);
        tls_engine_free(e);
    }
    SSL_SESSION_free(session);
    tls_context_release(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handshake_succeeds_at_every_chunk_size),
        cmocka_unit_test(big_data_goes_both_ways),
        cmocka_unit_test(a_session_is_resumed),
        cmocka_unit_test(each_ticket_is_told_once_the_newest_first),
        cmocka_unit_test(nobody_looks_at_a_certificate_without_trust),
        cmocka_unit_test(a_session_serves_the_same_name_only),
        cmocka_unit_test(an_unverified_session_does_not_serve_a_required_level),
        cmocka_unit_test(a_session_outlives_its_engine_and_context),
        cmocka_unit_test(a_ticket_of_another_listener_is_not_resumed),
        cmocka_unit_test(certificates_are_judged_by_the_level),
        cmocka_unit_test(a_server_hears_why_its_certificate_was_refused),
        cmocka_unit_test(close_notify_is_the_end),
        cmocka_unit_test(garbage_fails_with_words),
        cmocka_unit_test(a_changed_byte_fails_the_connection),
        cmocka_unit_test(a_torn_record_gives_nothing),
        cmocka_unit_test(versions_are_limited_by_the_level),
        cmocka_unit_test(a_server_wants_tls_1_2_at_least),
        cmocka_unit_test(tls_1_2_resumes_again_and_again),
        cmocka_unit_test(a_server_refuses_to_renegotiate),
        cmocka_unit_test(a_client_refuses_to_renegotiate),
        cmocka_unit_test(an_error_is_one_printable_line),
        cmocka_unit_test(a_flood_of_key_updates_ends_the_connection),
        cmocka_unit_test(no_handshake_yet_is_said),
        cmocka_unit_test(both_ends_name_their_connection_the_same),
        cmocka_unit_test(tls_unique_is_the_first_finished),
    };
    fixture_init(&fixture);
    int failed = RUN(tests);
    fixture_release(&fixture);
    return failed;
}
