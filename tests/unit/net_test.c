/* SPDX-License-Identifier: MIT */
/*
 * A world is one loop with a listener and the two ends of a connection.  Its turn only collects
 * what was noted; reach() runs turns until a condition holds, and the test asserts in between.
 */
#include "mta/base/buf.h"
#include "mta/base/mem.h"
#include "mta/sys/clock.h"
#include "mta/sys/loop.h"
#include "mta/sys/net.h"
#include "tests/unit/check.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { PATIENCE_MS = 10000, MANY = 300, BIG_BYTES = 1 << 16 };

struct world {
    struct loop *loop;
    struct net_listener *listener;
    struct net_conn *client, *server;
    unsigned client_ready, server_ready;
    struct net_conn *many[MANY];
    unsigned accepted, accepted_in_turn_max, turns;
    unsigned heard_first; /* conns without an owner that became readable */
    bool (*is_reached)(struct world *w);
    uint64_t deadline_ms;
    bool has_timed_out;
};

static void note_ready(struct world *w)
{
    struct net_conn *conn;
    unsigned ready;
    while ((conn = net_take_ready(w->loop, &ready)) != NULL) {
        if (conn == w->client)
            w->client_ready |= ready;
        if (conn == w->server)
            w->server_ready |= ready;
        if ((ready & NET_READABLE) && net_owner(conn) == NULL) {
            net_set_owner(conn, w);
            w->heard_first++;
        }
    }
}

static void note_accepted(struct world *w)
{
    struct net_listener *on;
    struct net_conn *conn;
    unsigned count = 0;
    while ((conn = net_take_accepted(w->loop, &on)) != NULL) {
        if (on == w->listener && w->accepted < MANY)
            w->many[w->accepted++] = conn;
        else
            net_close(conn);
        count++;
    }
    if (count > w->accepted_in_turn_max)
        w->accepted_in_turn_max = count;
    w->server = w->many[0];
}

static uint64_t turn(void *owner, uint64_t now_ms)
{
    struct world *w = owner;
    w->turns++;
    note_accepted(w);
    note_ready(w);
    w->has_timed_out = now_ms >= w->deadline_ms;
    if (w->has_timed_out || w->is_reached(w))
        loop_stop(w->loop);
    return w->deadline_ms;
}

/* Runs until it is reached; fails after 'patience_ms'. */
static bool reaches(struct world *w, bool (*is_reached)(struct world *w), uint64_t patience_ms)
{
    w->is_reached  = is_reached;
    w->deadline_ms = clock_now_ms() + patience_ms;
    loop_run(w->loop);
    return !w->has_timed_out;
}

static void reach(struct world *w, bool (*is_reached)(struct world *w))
{
    assert_true(reaches(w, is_reached, PATIENCE_MS));
}

static bool is_connected(struct world *w)
{
    return w->server != NULL && net_connect_result(w->client) != AGAIN;
}

static bool has_ended_connecting(struct world *w)
{
    return w->client_ready & NET_WRITABLE;
}

static bool server_is_readable(struct world *w)
{
    return w->server_ready & NET_READABLE;
}

static bool client_is_writable(struct world *w)
{
    return w->client_ready & NET_WRITABLE;
}

static bool client_is_readable(struct world *w)
{
    return w->client_ready & NET_READABLE;
}

static bool all_are_readable(struct world *w)
{
    return w->heard_first == MANY;
}

static bool never(struct world *w)
{
    (void)w;
    return false;
}

static struct net_address endpoint(const char *text)
{
    struct net_address address;
    assert_int_equal(net_endpoint_parse(span_of(text), &address), OK);
    return address;
}

static void open_world(struct world *w, const char *listen_on)
{
    struct buf error           = {0};
    struct net_address address = endpoint(listen_on);
    *w                         = (struct world){0};
    w->loop                    = loop_open(turn, w);
    w->listener                = net_listen(w->loop, &address, w, &error);
    assert_non_null(w->listener);
    buf_release(&error);
}

static void connect_world(struct world *w)
{
    w->client = net_dial(w->loop, net_listener_address(w->listener), NULL, w);
    reach(w, is_connected);
    assert_int_equal(net_connect_result(w->client), OK);
    net_watch(w->client, 0);
    w->client_ready = w->server_ready = 0;
}

static void close_world(struct world *w)
{
    if (w->client != NULL)
        net_close(w->client);
    for (unsigned i = 0; i < w->accepted; i++)
        if (w->many[i] != NULL)
            net_close(w->many[i]);
    if (w->listener != NULL)
        net_listener_close(w->listener);
    loop_close(w->loop);
}

static void send_text(struct net_conn *conn, const char *text)
{
    struct span part = span_of(text);
    size_t wrote;
    assert_int_equal(net_write(conn, &part, 1, &wrote), OK);
    assert_int_equal(wrote, part.len);
}

static void expect_text(struct net_conn *conn, const char *text)
{
    char bytes[256];
    size_t got;
    assert_int_equal(net_read(conn, bytes, sizeof bytes, &got), OK);
    assert_true(span_is(span_make(bytes, got), text));
}

/* One question, one answer. */
static void talk(const char *listen_on)
{
    struct world w;
    open_world(&w, listen_on);
    connect_world(&w);
    assert_ptr_equal(net_owner(w.client), &w);
    assert_null(net_owner(w.server));
    net_set_owner(w.server, &talk);
    assert_ptr_equal(net_owner(w.server), &talk);
    assert_ptr_equal(net_listener_owner(w.listener), &w);
    assert_true(net_address_equals(net_peer(w.client), net_listener_address(w.listener)));
    assert_int_equal(net_local(w.server)->port, net_listener_address(w.listener)->port);
    assert_int_equal(net_peer(w.server)->port, net_local(w.client)->port);

    send_text(w.client, "EHLO you\r\n");
    reach(&w, server_is_readable);
    expect_text(w.server, "EHLO you\r\n");
    struct span parts[] = {
        SPAN("250 "), {"", 0},
         SPAN("me"), SPAN("\r\n")
    };
    size_t wrote;
    assert_int_equal(net_write(w.server, parts, 4, &wrote), OK);
    assert_int_equal(wrote, 8);
    net_watch(w.client, NET_READABLE);
    reach(&w, client_is_readable);
    expect_text(w.client, "250 me\r\n");
    close_world(&w);
}

static void ipv4_peers_talk(void **state)
{
    (void)state;
    talk("127.0.0.1:0");
}

static bool has_ipv6(void)
{
    int fd                  = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool has                = fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof any) == 0;
    if (fd >= 0)
        (void)close(fd);
    return has;
}

static void ipv6_peers_talk(void **state)
{
    (void)state;
    if (has_ipv6())
        talk("[::1]:0");
}

/* "unix:/tmp/net_test.XXXXXX/socket" */
static void make_unix_endpoint(char text[64])
{
    char folder[] = "/tmp/net_test.XXXXXX";
    assert_non_null(mkdtemp(folder));
    (void)snprintf(text, 64, "unix:%s/socket", folder);
}

static void remove_unix_endpoint(const char *text)
{
    char folder[64];
    (void)unlink(text + strlen("unix:"));
    (void)snprintf(folder, sizeof folder, "%s", text + strlen("unix:"));
    *strrchr(folder, '/') = '\0';
    assert_int_equal(rmdir(folder), 0);
}

static void unix_peers_talk_and_the_path_goes(void **state)
{
    (void)state;
    char text[64];
    make_unix_endpoint(text);
    talk(text);
    assert_int_not_equal(access(text + strlen("unix:"), F_OK), 0);
    remove_unix_endpoint(text);
}

static void a_unix_peer_is_known_and_others_are_kept_out(void **state)
{
    (void)state;
    struct world w;
    char text[64];
    unsigned uid = 12345;
    struct stat made;
    make_unix_endpoint(text);
    open_world(&w, text);
    assert_int_equal(stat(text + strlen("unix:"), &made), 0);
    assert_int_equal(made.st_mode & 0777, 0600);
    connect_world(&w);
    assert_true(net_peer_user(w.server, &uid));
    assert_int_equal(uid, getuid());
    close_world(&w);
    open_world(&w, "127.0.0.1:0");
    connect_world(&w);
    assert_false(net_peer_user(w.server, &uid));
    close_world(&w);
    remove_unix_endpoint(text);
}

static void an_abandoned_unix_socket_is_replaced_a_living_one_not(void **state)
{
    (void)state;
    struct world w;
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct buf error        = {0};
    char text[64];
    make_unix_endpoint(text);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    (void)snprintf(name.sun_path, sizeof name.sun_path, "%s", text + strlen("unix:"));
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    (void)close(fd);

    open_world(&w, text);
    struct net_address address = endpoint(text);
    assert_null(net_listen(w.loop, &address, NULL, &error));
    assert_true(span_find_text(buf_span(&error), span_of("another process")) < error.len);
    close_world(&w);
    buf_release(&error);
    remove_unix_endpoint(text);
}

static void a_plain_file_is_never_replaced_by_a_socket(void **state)
{
    (void)state;
    struct world w;
    struct buf error = {0};
    char text[64];
    make_unix_endpoint(text);
    FILE *file = fopen(text + strlen("unix:"), "w");
    assert_non_null(file);
    (void)fclose(file);
    w                          = (struct world){.loop = loop_open(turn, &w)};
    struct net_address address = endpoint(text);
    assert_null(net_listen(w.loop, &address, NULL, &error));
    assert_true(span_find_text(buf_span(&error), span_of("in the way")) < error.len);
    assert_int_equal(access(text + strlen("unix:"), F_OK), 0);
    loop_close(w.loop);
    buf_release(&error);
    remove_unix_endpoint(text);
}

static void a_listener_in_the_way_is_named(void **state)
{
    (void)state;
    struct world w;
    struct buf error = {0};
    open_world(&w, "127.0.0.1:0");
    assert_null(net_listen(w.loop, net_listener_address(w.listener), NULL, &error));
    assert_true(span_starts(buf_span(&error), span_of("cannot listen on 127.0.0.1:")));
    close_world(&w);
    buf_release(&error);
}

static void an_inherited_listener_is_taken_over(void **state)
{
    (void)state;
    struct world w          = {0};
    struct buf error        = {0};
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd                  = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    w.loop = loop_open(turn, &w);
    assert_null(net_listen_fd(w.loop, fd, NULL, &error));
    assert_true(error.len > 0);
    assert_int_equal(listen(fd, 5), 0);
    w.listener = net_listen_fd(w.loop, fd, NULL, &error);
    assert_non_null(w.listener);
    connect_world(&w);
    close_world(&w);
    buf_release(&error);
}

static void a_refused_connection_says_so(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, "127.0.0.1:0");
    struct net_address gone = *net_listener_address(w.listener);
    net_listener_close(w.listener);
    w.listener = NULL;
    w.client   = net_dial(w.loop, &gone, NULL, &w);
    reach(&w, has_ended_connecting);
    assert_int_equal(net_connect_result(w.client), REFUSED);
    close_world(&w);
}

static void a_missing_unix_socket_refuses(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, "127.0.0.1:0");
    struct net_address nowhere = endpoint("unix:/nonexistent/socket");
    w.client                   = net_dial(w.loop, &nowhere, NULL, &w);
    reach(&w, has_ended_connecting);
    assert_int_equal(net_connect_result(w.client), REFUSED);
    close_world(&w);
}

static void a_source_that_is_not_ours_fails_the_dial(void **state)
{
    (void)state;
    struct world w;
    struct net_address source;
    size_t wrote, got;
    char byte;
    open_world(&w, "127.0.0.1:0");
    assert_int_equal(net_address_parse(span_of("192.0.2.77"), &source), OK);
    w.client = net_dial(w.loop, net_listener_address(w.listener), &source, &w);
    reach(&w, has_ended_connecting);
    assert_int_equal(net_connect_result(w.client), IO_ERROR);
    close_world(&w);

    open_world(&w, "127.0.0.1:0");
    assert_int_equal(net_address_parse(span_of("::1"), &source), OK);
    w.client = net_dial(w.loop, net_listener_address(w.listener), &source, &w);
    reach(&w, has_ended_connecting);
    assert_int_not_equal(net_connect_result(w.client), OK);
    struct span part = SPAN("x");
    assert_int_equal(net_read(w.client, &byte, 1, &got), IO_ERROR);
    (void)net_write(w.client, &part, 1, &wrote);
    close_world(&w);
}

static void the_source_address_is_used(void **state)
{
    (void)state;
    struct world w;
    struct net_address source;
    open_world(&w, "127.0.0.1:0");
    assert_int_equal(net_address_parse(span_of("127.0.0.9"), &source), OK);
    w.client = net_dial(w.loop, net_listener_address(w.listener), &source, &w);
    reach(&w, is_connected);
    assert_int_equal(net_connect_result(w.client), OK);
    assert_true(net_address_equals(net_peer(w.server), &source));
    assert_true(net_address_equals(net_local(w.client), &source));
    close_world(&w);
}

static void no_descriptors_are_a_limit(void **state)
{
    (void)state;
    struct world w;
    struct rlimit before, tight;
    open_world(&w, "127.0.0.1:0");
    int next = dup(0);
    (void)close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    tight          = before;
    tight.rlim_cur = (rlim_t)next;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    w.client = net_dial(w.loop, net_listener_address(w.listener), NULL, &w);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    reach(&w, has_ended_connecting);
    assert_int_equal(net_connect_result(w.client), LIMIT);
    close_world(&w);
}

static void accepting_rests_while_descriptors_are_short(void **state)
{
    (void)state;
    struct world w;
    struct rlimit before, tight;
    open_world(&w, "127.0.0.1:0");
    w.client = net_dial(w.loop, net_listener_address(w.listener), NULL, &w);
    int next = dup(0);
    (void)close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    tight          = before;
    tight.rlim_cur = (rlim_t)next;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    bool ended = reaches(&w, has_ended_connecting, PATIENCE_MS);
    net_watch(w.client, 0);
    w.turns        = 0;
    bool came      = reaches(&w, is_connected, 350);
    unsigned turns = w.turns;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(ended);
    assert_false(came);
    assert_true(turns < 6);  /* it did not spin */
    reach(&w, is_connected); /* and it heals */
    close_world(&w);
}

static void a_peer_that_closes_is_the_end(void **state)
{
    (void)state;
    struct world w;
    char byte;
    size_t got;
    open_world(&w, "127.0.0.1:0");
    connect_world(&w);
    send_text(w.client, "QUIT");
    net_close(w.client);
    w.client = NULL;
    reach(&w, server_is_readable);
    expect_text(w.server, "QUIT");
    enum status status = net_read(w.server, &byte, 1, &got);
    if (status == AGAIN) {
        w.server_ready = 0;
        reach(&w, server_is_readable);
        status = net_read(w.server, &byte, 1, &got);
    }
    assert_int_equal(status, END);
    assert_int_equal(net_read(w.server, &byte, 1, &got), END);
    close_world(&w);
}

static void the_last_words_arrive_although_bytes_were_unread(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, "127.0.0.1:0");
    connect_world(&w);
    send_text(w.client, "noise that nobody reads");
    reach(&w, server_is_readable);
    send_text(w.server, "554 go away\r\n");
    net_close(w.server);
    w.many[0] = NULL;
    net_watch(w.client, NET_READABLE);
    reach(&w, client_is_readable);
    expect_text(w.client, "554 go away\r\n");
    close_world(&w);
}

static void a_reset_is_an_error_and_is_noted(void **state)
{
    (void)state;
    struct world w;
    struct span part        = SPAN("x");
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    char byte;
    size_t got, wrote;
    open_world(&w, "127.0.0.1:0");
    name.sin_port = htons(net_listener_address(w.listener)->port);
    int fd        = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof name), 0);
    w.client = net_dial(w.loop, net_listener_address(w.listener), NULL, &w);
    reach(&w, is_connected);
    struct linger hard = {.l_onoff = 1};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
    (void)close(fd);
    reach(&w, server_is_readable);
    assert_int_equal(net_read(w.server, &byte, 1, &got), IO_ERROR);
    assert_int_equal(net_write(w.server, &part, 1, &wrote), IO_ERROR);
    close_world(&w);
}

static void readiness_lasts_until_it_is_used(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, "127.0.0.1:0");
    connect_world(&w);
    send_text(w.client, "ab");
    for (int i = 0; i < 3; i++) {
        w.server_ready = 0;
        reach(&w, server_is_readable);
    }
    char byte;
    size_t got;
    assert_int_equal(net_read(w.server, &byte, 1, &got), OK);
    w.server_ready = 0;
    reach(&w, server_is_readable);
    assert_int_equal(net_read(w.server, &byte, 1, &got), OK);
    assert_int_equal(net_read(w.server, &byte, 1, &got), AGAIN);
    w.server_ready = 0;
    assert_false(reaches(&w, server_is_readable, 50));
    send_text(w.client, "c");
    reach(&w, server_is_readable);
    assert_int_equal(net_read(w.server, &byte, 1, &got), OK);
    assert_int_equal(byte, 'c');
    close_world(&w);
}

static void a_full_socket_says_again_and_then_writable(void **state)
{
    (void)state;
    struct world w;
    char *bytes = mem_new(BIG_BYTES);
    size_t sent = 0, received = 0, n;
    struct span part = {bytes, BIG_BYTES};
    open_world(&w, "127.0.0.1:0");
    connect_world(&w);
    net_watch(w.server, 0);
    for (int i = 0; i < BIG_BYTES; i++)
        bytes[i] = (char)(i % 251);
    while (net_write(w.client, &part, 1, &n) == OK)
        sent += n;
    net_watch(w.client, NET_WRITABLE);
    assert_false(reaches(&w, client_is_writable, 50));
    while (received < sent) {
        while (net_read(w.server, bytes, BIG_BYTES, &n) == OK)
            received += n;
        if (received < sent) {
            net_watch(w.server, NET_READABLE);
            w.server_ready = 0;
            reach(&w, server_is_readable);
        }
    }
    assert_int_equal(received, sent);
    reach(&w, client_is_writable);
    assert_int_equal(net_write(w.client, &part, 1, &n), OK);
    mem_free(bytes);
    close_world(&w);
}

static void watching_nothing_does_not_spin(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, "127.0.0.1:0");
    connect_world(&w);
    reaches(&w, never, 20);
    w.server_ready = 0;
    net_watch(w.server, 0);
    net_watch(w.client, 0);
    send_text(w.client, "unasked");
    w.turns = 0;
    assert_false(reaches(&w, never, 100));
    assert_true(w.turns <= 4);
    assert_int_equal(w.server_ready, 0);
    net_watch(w.server, NET_READABLE);
    reach(&w, server_is_readable);
    expect_text(w.server, "unasked");
    close_world(&w);
}

static void a_writable_conn_that_is_not_watched_does_not_spin(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, "127.0.0.1:0");
    connect_world(&w);
    net_watch(w.client, NET_WRITABLE);
    reach(&w, client_is_writable);
    net_watch(w.client, NET_READABLE);
    w.turns = 0;
    assert_false(reaches(&w, client_is_readable, 100));
    assert_true(w.turns <= 4);
    close_world(&w);
}

static bool all_are_accepted(struct world *w)
{
    return w->accepted == MANY;
}

static void many_connections_come_in_bounded_batches(void **state)
{
    (void)state;
    struct world w;
    struct net_conn *clients[MANY];
    open_world(&w, "127.0.0.1:0");
    for (int i = 0; i < MANY; i++)
        clients[i] = net_dial(w.loop, net_listener_address(w.listener), NULL, NULL);
    reach(&w, all_are_accepted);
    assert_true(w.accepted_in_turn_max < MANY);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(net_connect_result(clients[i]), OK);
        send_text(clients[i], "hi");
    }
    reach(&w, all_are_readable);
    for (int i = 0; i < MANY; i++)
        expect_text(w.many[i], "hi");
    for (int i = 0; i < MANY; i++)
        net_close(clients[i]);
    close_world(&w);
}

static void a_conn_may_be_closed_with_something_noted(void **state)
{
    (void)state;
    struct world w;
    open_world(&w, "127.0.0.1:0");
    for (int i = 0; i < 3; i++)
        net_close(net_dial(w.loop, net_listener_address(w.listener), NULL, NULL));
    struct net_address nowhere = endpoint("unix:/nonexistent/socket");
    net_close(net_dial(w.loop, &nowhere, NULL, NULL));
    unsigned ready;
    assert_null(net_take_ready(w.loop, &ready));
    close_world(&w);
}

static void this_machine_knows_itself(void **state)
{
    (void)state;
    struct net_address address;
    assert_int_equal(net_address_parse(span_of("127.0.0.1"), &address), OK);
    assert_true(net_address_is_own(&address));
    assert_int_equal(net_address_parse(span_of("127.8.9.10"), &address), OK);
    assert_true(net_address_is_own(&address));
    assert_int_equal(net_address_parse(span_of("::ffff:127.0.0.1"), &address), OK);
    assert_true(net_address_is_own(&address));
    assert_int_equal(net_address_parse(span_of("192.0.2.1"), &address), OK);
    assert_false(net_address_is_own(&address));
    assert_int_equal(net_address_parse(span_of("2001:db8::1"), &address), OK);
    assert_false(net_address_is_own(&address));
    assert_int_equal(net_address_parse(span_of("::1"), &address), OK);
    if (has_ipv6())
        assert_true(net_address_is_own(&address));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ipv4_peers_talk),
        cmocka_unit_test(ipv6_peers_talk),
        cmocka_unit_test(unix_peers_talk_and_the_path_goes),
        cmocka_unit_test(a_unix_peer_is_known_and_others_are_kept_out),
        cmocka_unit_test(an_abandoned_unix_socket_is_replaced_a_living_one_not),
        cmocka_unit_test(a_plain_file_is_never_replaced_by_a_socket),
        cmocka_unit_test(a_listener_in_the_way_is_named),
        cmocka_unit_test(an_inherited_listener_is_taken_over),
        cmocka_unit_test(a_refused_connection_says_so),
        cmocka_unit_test(a_missing_unix_socket_refuses),
        cmocka_unit_test(a_source_that_is_not_ours_fails_the_dial),
        cmocka_unit_test(the_source_address_is_used),
        cmocka_unit_test(no_descriptors_are_a_limit),
        cmocka_unit_test(accepting_rests_while_descriptors_are_short),
        cmocka_unit_test(a_peer_that_closes_is_the_end),
        cmocka_unit_test(the_last_words_arrive_although_bytes_were_unread),
        cmocka_unit_test(a_reset_is_an_error_and_is_noted),
        cmocka_unit_test(readiness_lasts_until_it_is_used),
        cmocka_unit_test(a_full_socket_says_again_and_then_writable),
        cmocka_unit_test(watching_nothing_does_not_spin),
        cmocka_unit_test(a_writable_conn_that_is_not_watched_does_not_spin),
        cmocka_unit_test(many_connections_come_in_bounded_batches),
        cmocka_unit_test(a_conn_may_be_closed_with_something_noted),
        cmocka_unit_test(this_machine_knows_itself),
    };
    return RUN(tests);
}
