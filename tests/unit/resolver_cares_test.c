/* SPDX-License-Identifier: MIT */
/*
 * Name servers on loopback, each a thread with one UDP and one TCP socket on the same port, and a
 * loop that asks them.  What a server does depends on its manner, then on the first label of the
 * name asked for.
 */
#include "dns/packet.h"
#include "dns/resolver.h"
#include "mta/base/mem.h"
#include "mta/sys/clock.h"
#include "mta/sys/loop.h"
#include "tests/unit/check.h"
#include "tests/unit/dns_fixture.h"
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A busy machine must not look like a silent server, where none is silent. */
enum { QUICK_MS = 300, SLOW_MS = 8000 };
enum { PATIENCE_MS = 20000, ANSWERS_MAX = 2000, QUERY_BYTES = 512 };

enum manner {
    GOOD,    /* "big": too big for UDP; "medium": not; "fail", "gone", "silent"; else an address */
    FAILING, /* SERVFAIL to all */
    REFUSING,
    SILENT,
    PLAIN, /* FORMERR without OPT to all that has an OPT */
    LYING, /* first an answer with a wrong id, then one to another question, then the right one */
};

struct server {
    enum manner manner;
    int udp, tcp, stop[2];
    char address[32];
    pthread_t thread;
    atomic_uint udp_count, tcp_count;
    atomic_uint opt_count; /* questions with an OPT record */
    atomic_uint bad_count; /* questions that are not as we write them */
    atomic_uint last_port; /* where the last came from, by UDP */
    atomic_uint port_changes;
};

static void fill(struct buf *answer, const char *name, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        dns_ip(answer, name, 60, "192.0.2.1");
}

static void read_name(const uint8_t *query, char *name)
{
    size_t len = 0;
    for (const uint8_t *at = query + 12; *at != 0; at += 1 + *at) {
        if (len > 0)
            name[len++] = '.';
        memcpy(name + len, at + 1, *at);
        len += *at;
    }
    name[len] = '\0';
}

static void check_query(struct server *s, const uint8_t *query, size_t len)
{
    static const uint8_t opt[] = {0, 0, DNS_OPT, 0x04, 0xd0, 0, 0, 0, 0, 0, 0};
    bool has_opt               = bytes_get16(query + 10) == 1;
    bool is_good = query[2] == 0x01 && query[3] == 0x20 && bytes_get16(query + 4) == 1;
    if (has_opt)
        is_good = is_good && memcmp(query + len - sizeof opt, opt, sizeof opt) == 0;
    else
        is_good = is_good && bytes_get16(query + len - 2) == 1; /* ends with the class */
    s->opt_count += has_opt;
    s->bad_count += !is_good;
}

/* Writes the answer; false: none. */
static bool answer_to(struct server *s, const uint8_t *query, size_t len, bool is_udp,
                      struct buf *answer)
{
    char name[256];
    check_query(s, query, len);
    read_name(query, name);
    bool has_opt   = bytes_get16(query + 10) == 1;
    unsigned rcode = DNS_NOERROR;
    if (s->manner == SILENT || (s->manner == GOOD && strncmp(name, "silent", 6) == 0))
        return false;
    if (s->manner == FAILING || strncmp(name, "fail", 4) == 0)
        rcode = DNS_SERVFAIL;
    else if (s->manner == REFUSING)
        rcode = DNS_REFUSED;
    else if (s->manner == PLAIN && has_opt)
        rcode = DNS_FORMERR;
    else if (strncmp(name, "gone", 4) == 0)
        rcode = DNS_NXDOMAIN;
    dns_begin(answer, name, DNS_A, rcode);
    memcpy(answer->at, query, 2);
    if (rcode == DNS_NOERROR && strncmp(name, "big", 3) == 0 && is_udp)
        answer->at[2] = (char)(answer->at[2] | 2);
    else if (rcode == DNS_NOERROR)
        fill(answer, name,
             strncmp(name, "big", 3) == 0      ? 300
             : strncmp(name, "medium", 6) == 0 ? 30
                                               : 1);
    if (s->manner != PLAIN && has_opt)
        dns_record(answer, DNS_ADDITIONAL, "", DNS_OPT, 0, span_of(""));
    return true;
}

static void send_lies(const struct server *s, const struct buf *answer,
                      const struct sockaddr_in *to)
{
    struct buf lie = {0};
    buf_put(&lie, buf_span(answer));
    lie.at[0] ^= 0x55;
    (void)sendto(s->udp, lie.at, lie.len, 0, (const struct sockaddr *)to, sizeof *to);
    lie.at[0] ^= 0x55;
    lie.at[13] = 'q';
    (void)sendto(s->udp, lie.at, lie.len, 0, (const struct sockaddr *)to, sizeof *to);
    buf_release(&lie);
}

static void serve_udp(struct server *s)
{
    uint8_t query[QUERY_BYTES];
    struct sockaddr_in from;
    socklen_t from_bytes = sizeof from;
    struct buf answer    = {0};
    ssize_t len = recvfrom(s->udp, query, sizeof query, 0, (struct sockaddr *)&from, &from_bytes);
    s->udp_count++;
    s->port_changes += s->last_port != from.sin_port;
    s->last_port = from.sin_port;
    if (len > 12 && answer_to(s, query, (size_t)len, true, &answer)) {
        if (s->manner == LYING)
            send_lies(s, &answer, &from);
        (void)sendto(s->udp, answer.at, answer.len, 0, (struct sockaddr *)&from, from_bytes);
    }
    buf_release(&answer);
}

static void serve_tcp(struct server *s)
{
    uint8_t length[2], query[QUERY_BYTES];
    struct buf answer = {0};
    int fd            = accept(s->tcp, NULL, NULL);
    if (fd >= 0 && recv(fd, length, 2, MSG_WAITALL) == 2) {
        size_t len = bytes_get16(length);
        s->tcp_count++;
        if (len <= sizeof query && recv(fd, query, len, MSG_WAITALL) == (ssize_t)len &&
            answer_to(s, query, len, false, &answer)) {
            bytes_put16(length, (uint16_t)answer.len);
            (void)send(fd, length, 2, MSG_NOSIGNAL);
            (void)send(fd, answer.at, answer.len, MSG_NOSIGNAL);
        }
    }
    buf_release(&answer);
    if (fd >= 0)
        (void)close(fd);
}

static void *serve(void *data)
{
    struct server *s = data;
    for (;;) {
        struct pollfd fds[] = {
            {s->udp,     POLLIN, 0},
            {s->tcp,     POLLIN, 0},
            {s->stop[0], POLLIN, 0}
        };
        (void)poll(fds, 3, -1);
        if (fds[2].revents != 0)
            return NULL;
        if (fds[0].revents != 0)
            serve_udp(s);
        if (fds[1].revents != 0)
            serve_tcp(s);
    }
}

/* A TCP and a UDP socket on one port. */
static bool bind_both(struct server *s, struct sockaddr_in *address)
{
    socklen_t bytes          = sizeof *address;
    *address                 = (struct sockaddr_in){.sin_family = AF_INET};
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->udp                   = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    s->tcp                   = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(s->tcp, (struct sockaddr *)address, bytes) == 0 &&
        getsockname(s->tcp, (struct sockaddr *)address, &bytes) == 0 && listen(s->tcp, 8) == 0 &&
        bind(s->udp, (struct sockaddr *)address, bytes) == 0)
        return true;
    (void)close(s->udp);
    (void)close(s->tcp);
    return false;
}

static void server_start(struct server *s, enum manner manner)
{
    struct sockaddr_in address;
    int tries = 0;
    *s        = (struct server){.manner = manner};
    while (!bind_both(s, &address))
        assert_true(++tries < 100);
    (void)snprintf(s->address, sizeof s->address, "127.0.0.1:%u", ntohs(address.sin_port));
    assert_int_equal(pipe(s->stop), 0);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_stop(struct server *s)
{
    assert_int_equal(write(s->stop[1], "x", 1), 1);
    (void)pthread_join(s->thread, NULL);
    (void)close(s->udp);
    (void)close(s->tcp);
    (void)close(s->stop[0]);
    (void)close(s->stop[1]);
}

/* A loop that asks and collects. */

struct answer {
    void *tag;
    enum status status;
    unsigned rcode, records;
    bool is_truncated;
};

struct world {
    struct loop *loop;
    struct resolver *resolver;
    struct answer answers[ANSWERS_MAX];
    size_t count, wanted;
    uint64_t deadline_ms;
};

static void collect(struct world *w, const struct resolver_answer *from)
{
    struct answer *answer = &w->answers[w->count++];
    struct dns_answer parsed;
    struct dns_record record;
    *answer = (struct answer){.tag = from->tag, .status = from->status};
    if (from->status != OK)
        return;
    assert_int_equal(dns_answer_parse(&parsed, from->packet), OK);
    answer->rcode        = parsed.rcode;
    answer->is_truncated = parsed.is_truncated;
    while (dns_answer_next(&parsed, &record) == OK)
        answer->records++;
}

static uint64_t turn(void *owner, uint64_t now_ms)
{
    struct world *w = owner;
    struct resolver_answer answer;
    while (w->resolver != NULL && resolver_take(w->resolver, &answer))
        collect(w, &answer);
    if (w->count >= w->wanted || now_ms >= w->deadline_ms)
        loop_stop(w->loop);
    return w->deadline_ms;
}

static void world_open(struct world *w, const char *const *servers, size_t count,
                       unsigned timeout_ms)
{
    struct resolver_config config = {servers, count, timeout_ms, 2};
    struct buf error              = {0};
    *w                            = (struct world){0};
    w->loop                       = loop_open(turn, w);
    w->resolver                   = resolver_open(w->loop, &config, &error);
    assert_non_null(w->resolver);
}

static void world_close(struct world *w)
{
    resolver_close(w->resolver);
    loop_close(w->loop);
}

/* Runs until so many answers are there in all. */
static void reach(struct world *w, size_t wanted)
{
    w->wanted      = wanted;
    w->deadline_ms = clock_now_ms() + PATIENCE_MS;
    loop_run(w->loop);
    assert_int_equal(w->count, wanted);
}

static const struct answer *ask(struct world *w, const char *name)
{
    resolver_ask(w->resolver, span_of(name), DNS_A, w);
    reach(w, w->count + 1);
    assert_ptr_equal(w->answers[w->count - 1].tag, w);
    return &w->answers[w->count - 1];
}

static void a_question_gets_its_answer(void **state)
{
    (void)state;
    struct server s;
    struct world w;
    server_start(&s, GOOD);
    world_open(&w, (const char *const[]){s.address}, 1, SLOW_MS);
    const struct answer *answer = ask(&w, "d.example");
    assert_int_equal(answer->status, OK);
    assert_int_equal(answer->rcode, DNS_NOERROR);
    assert_int_equal(answer->records, 1);
    assert_int_equal(ask(&w, "gone.example")->rcode, DNS_NXDOMAIN);
    world_close(&w);
    server_stop(&s);
    assert_int_equal(s.udp_count, 2);
    assert_int_equal(s.tcp_count, 0);
    assert_int_equal(s.opt_count, 2);
    assert_int_equal(s.bad_count, 0);
}

static void a_thousand_questions_get_theirs(void **state)
{
    (void)state;
    struct server s;
    struct world w;
    static char tags[1000];
    char name[32];
    server_start(&s, GOOD);
    world_open(&w, (const char *const[]){s.address}, 1, SLOW_MS);
    for (size_t i = 0; i < 1000; i += 100) {
        for (size_t j = i; j < i + 100; j++) {
            (void)snprintf(name, sizeof name, "d%zu.example", j);
            resolver_ask(w.resolver, span_of(name), DNS_A, &tags[j]);
        }
        reach(&w, i + 100);
    }
    for (size_t i = 0; i < 1000; i++) {
        char *tag = w.answers[i].tag;
        assert_int_equal(w.answers[i].status, OK);
        assert_int_equal(*tag, 0);
        *tag = 1;
    }
    world_close(&w);
    server_stop(&s);
}

/* Lets time pass. */
static void rest(struct world *w, unsigned ms)
{
    w->wanted      = w->count + 1;
    w->deadline_ms = clock_now_ms() + ms;
    loop_run(w->loop);
}

static void a_burst_comes_from_one_port(void **state)
{
    (void)state;
    enum { QUESTIONS = 200 };
    struct server s;
    struct world w;
    server_start(&s, GOOD);
    world_open(&w, (const char *const[]){s.address}, 1, SLOW_MS);
    for (int i = 0; i < QUESTIONS; i++)
        assert_int_equal(ask(&w, "d.example")->status, OK);
    world_close(&w);
    server_stop(&s);
    assert_true(s.port_changes < QUESTIONS / 10);
}

static void after_a_pause_the_port_is_another(void **state)
{
    (void)state;
    struct server s;
    struct world w;
    server_start(&s, GOOD);
    world_open(&w, (const char *const[]){s.address}, 1, SLOW_MS);
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(ask(&w, "d.example")->status, OK);
        assert_int_equal(s.port_changes, i);
        rest(&w, 500);
    }
    world_close(&w);
    server_stop(&s);
}

/* Someone who asks on and on must not stay where others could find out. */
static void the_port_changes_while_questions_go_on(void **state)
{
    (void)state;
    struct server s;
    struct world w;
    server_start(&s, GOOD);
    world_open(&w, (const char *const[]){s.address}, 1, SLOW_MS);
    uint64_t end_ms = clock_now_ms() + PATIENCE_MS;
    while (s.port_changes < 3 && clock_now_ms() < end_ms && w.count < ANSWERS_MAX) {
        assert_int_equal(ask(&w, "d.example")->status, OK);
        rest(&w, 10);
    }
    assert_true(s.port_changes >= 3);
    world_close(&w);
    server_stop(&s);
}

static void a_silent_question_does_not_keep_others(void **state)
{
    (void)state;
    struct server s;
    struct world w;
    server_start(&s, GOOD);
    world_open(&w, (const char *const[]){s.address}, 1, SLOW_MS);
    resolver_ask(w.resolver, span_of("silent.example"), DNS_A, NULL);
    for (int i = 0; i < 10; i++)
        assert_int_equal(ask(&w, "d.example")->status, OK);
    world_close(&w);
    server_stop(&s);
}

static void a_big_answer_comes_by_tcp(void **state)
{
    (void)state;
    struct server s;
    struct world w;
    server_start(&s, GOOD);
    world_open(&w, (const char *const[]){s.address}, 1, SLOW_MS);
    const struct answer *answer = ask(&w, "big.example");
    assert_int_equal(answer->status, OK);
    assert_false(answer->is_truncated);
    assert_int_equal(answer->records, DNS_RECORDS_MAX);
    world_close(&w);
    server_stop(&s);
    assert_int_equal(s.udp_count, 1);
    assert_int_equal(s.tcp_count, 1);
}

static void a_thousand_bytes_come_by_udp(void **state)
{
    (void)state;
    struct server s;
    struct world w;
    server_start(&s, GOOD);
    world_open(&w, (const char *const[]){s.address}, 1, SLOW_MS);
    assert_int_equal(ask(&w, "medium.example")->records, 30);
    world_close(&w);
    server_stop(&s);
    assert_int_equal(s.tcp_count, 0);
}

static void a_silent_server_times_out(void **state)
{
    (void)state;
    struct server s;
    struct world w;
    server_start(&s, SILENT);
    world_open(&w, (const char *const[]){s.address}, 1, QUICK_MS);
    uint64_t start_ms = clock_now_ms();
    assert_int_equal(ask(&w, "d.example")->status, TIMED_OUT);
    assert_true(clock_now_ms() - start_ms >= QUICK_MS);
    world_close(&w);
    server_stop(&s);
    assert_int_equal(s.udp_count, 2);
}

static void nobody_there_is_unreachable(void **state)
{
    (void)state;
    struct server s;
    struct world w;
    server_start(&s, GOOD);
    server_stop(&s); /* its port is free now */
    world_open(&w, (const char *const[]){s.address}, 1, QUICK_MS);
    assert_int_equal(ask(&w, "d.example")->status, UNREACHABLE);
    world_close(&w);
}

static void the_next_server_answers_for_one_that(enum manner manner, unsigned timeout_ms)
{
    struct server bad, good;
    struct world w;
    server_start(&bad, manner);
    server_start(&good, GOOD);
    world_open(&w, (const char *const[]){bad.address, good.address}, 2, timeout_ms);
    const struct answer *answer = ask(&w, "d.example");
    assert_int_equal(answer->status, OK);
    assert_int_equal(answer->rcode, DNS_NOERROR);
    assert_int_equal(answer->records, 1);
    world_close(&w);
    server_stop(&bad);
    server_stop(&good);
    assert_int_equal(bad.udp_count, 1);
    assert_true(good.udp_count >= 1);
}

static void the_next_server_answers_for_one_that_fails(void **state)
{
    (void)state;
    the_next_server_answers_for_one_that(FAILING, SLOW_MS);
}

static void the_next_server_answers_for_one_that_refuses(void **state)
{
    (void)state;
    the_next_server_answers_for_one_that(REFUSING, SLOW_MS);
}

static void the_next_server_answers_for_one_that_is_silent(void **state)
{
    (void)state;
    the_next_server_answers_for_one_that(SILENT, QUICK_MS);
}

static void a_failure_everywhere_is_the_answer(void **state)
{
    (void)state;
    struct server a, b;
    struct world w;
    server_start(&a, FAILING);
    server_start(&b, FAILING);
    world_open(&w, (const char *const[]){a.address, b.address}, 2, SLOW_MS);
    const struct answer *answer = ask(&w, "d.example");
    assert_int_equal(answer->status, OK);
    assert_int_equal(answer->rcode, DNS_SERVFAIL);
    world_close(&w);
    server_stop(&a);
    server_stop(&b);
    assert_int_equal(a.udp_count, 1);
    assert_int_equal(b.udp_count, 1);
}

static void a_single_server_that_fails_is_asked_twice(void **state)
{
    (void)state;
    struct server s;
    struct world w;
    server_start(&s, GOOD);
    world_open(&w, (const char *const[]){s.address}, 1, SLOW_MS);
    assert_int_equal(ask(&w, "fail.example")->rcode, DNS_SERVFAIL);
    world_close(&w);
    server_stop(&s);
    assert_int_equal(s.udp_count, 2);
}

static void a_dead_server_costs_its_time_out_once(void **state)
{
    (void)state;
    struct server dead, good;
    struct world w;
    server_start(&dead, SILENT);
    server_start(&good, GOOD);
    world_open(&w, (const char *const[]){dead.address, good.address}, 2, QUICK_MS);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(ask(&w, "d.example")->records, 1);
    world_close(&w);
    server_stop(&dead);
    server_stop(&good);
    assert_int_equal(dead.udp_count, 1);
    assert_true(good.udp_count >= 10);
}

static void a_server_without_edns_is_understood(void **state)
{
    (void)state;
    struct server s;
    struct world w;
    server_start(&s, PLAIN);
    world_open(&w, (const char *const[]){s.address}, 1, SLOW_MS);
    for (unsigned i = 0; i < 5; i++) {
        const struct answer *answer = ask(&w, "d.example");
        assert_int_equal(answer->status, OK);
        assert_int_equal(answer->rcode, DNS_NOERROR);
        assert_int_equal(answer->records, 1);
    }
    world_close(&w);
    server_stop(&s);
    assert_int_equal(s.bad_count, 0);
    assert_int_equal(s.opt_count, 2); /* c-ares learns from the first, we from the second */
}

static void two_servers_without_edns_are_understood(void **state)
{
    (void)state;
    struct server a, b;
    struct world w;
    server_start(&a, PLAIN);
    server_start(&b, PLAIN);
    world_open(&w, (const char *const[]){a.address, b.address}, 2, SLOW_MS);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(ask(&w, "d.example")->records, 1);
    world_close(&w);
    server_stop(&a);
    server_stop(&b);
    assert_int_equal(a.bad_count + b.bad_count, 0);
}

static void answers_to_other_questions_are_ignored(void **state)
{
    (void)state;
    struct server s;
    struct world w;
    server_start(&s, LYING);
    world_open(&w, (const char *const[]){s.address}, 1, SLOW_MS);
    const struct answer *answer = ask(&w, "d.example");
    assert_int_equal(answer->status, OK);
    assert_int_equal(answer->records, 1);
    world_close(&w);
    server_stop(&s);
    assert_int_equal(s.udp_count, 1);
}

static void what_is_no_name_is_bad_input(void **state)
{
    (void)state;
    struct server s;
    struct world w;
    server_start(&s, GOOD);
    world_open(&w, (const char *const[]){s.address}, 1, SLOW_MS);
    assert_int_equal(ask(&w, "a..example")->status, BAD_INPUT);
    world_close(&w);
    server_stop(&s);
    assert_int_equal(s.udp_count, 0);
}

static void closing_drops_open_questions(void **state)
{
    (void)state;
    struct server s;
    struct world w;
    server_start(&s, GOOD);
    world_open(&w, (const char *const[]){s.address}, 1, QUICK_MS);
    resolver_ask(w.resolver, span_of("d.example"), DNS_A, &w);
    reach(&w, 1);
    for (unsigned i = 0; i < 50; i++)
        resolver_ask(w.resolver, span_of("silent.example"), DNS_A, NULL);
    resolver_ask(w.resolver, span_of("a..b"), DNS_A, NULL);
    world_close(&w);
    server_stop(&s);
}

static void the_system_knows_servers_too(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, NULL, 0, SLOW_MS);
    world_close(&w);
}

static void servers_that_are_no_addresses_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *server, *error;
    } rows[] = {
        {"example.org:53",  "name server 'example.org:53' is not an IP address with a port" },
        {"127.0.0.1:99999", "name server '127.0.0.1:99999' is not an IP address with a port"},
        {"unix:/x",         "name server 'unix:/x' is not an IP address with a port"        },
    };
    struct world w = {0};
    w.loop         = loop_open(turn, &w);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct resolver_config config = {&rows[i].server, 1, 0, 0};
        struct buf error              = {0};
        assert_null(resolver_open(w.loop, &config, &error));
        assert_string_equal(buf_text(&error), rows[i].error);
        buf_release(&error);
    }
    loop_close(w.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_question_gets_its_answer),
        cmocka_unit_test(a_thousand_questions_get_theirs),
        cmocka_unit_test(a_burst_comes_from_one_port),
        cmocka_unit_test(after_a_pause_the_port_is_another),
        cmocka_unit_test(the_port_changes_while_questions_go_on),
        cmocka_unit_test(a_silent_question_does_not_keep_others),
        cmocka_unit_test(a_big_answer_comes_by_tcp),
        cmocka_unit_test(a_thousand_bytes_come_by_udp),
        cmocka_unit_test(a_silent_server_times_out),
        cmocka_unit_test(nobody_there_is_unreachable),
        cmocka_unit_test(the_next_server_answers_for_one_that_fails),
        cmocka_unit_test(the_next_server_answers_for_one_that_refuses),
        cmocka_unit_test(the_next_server_answers_for_one_that_is_silent),
        cmocka_unit_test(a_failure_everywhere_is_the_answer),
        cmocka_unit_test(a_single_server_that_fails_is_asked_twice),
        cmocka_unit_test(a_dead_server_costs_its_time_out_once),
        cmocka_unit_test(a_server_without_edns_is_understood),
        cmocka_unit_test(two_servers_without_edns_are_understood),
        cmocka_unit_test(answers_to_other_questions_are_ignored),
        cmocka_unit_test(what_is_no_name_is_bad_input),
        cmocka_unit_test(closing_drops_open_questions),
        cmocka_unit_test(the_system_knows_servers_too),
        cmocka_unit_test(servers_that_are_no_addresses_are_told),
    };
    return RUN(tests);
}
