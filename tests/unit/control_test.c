/* SPDX-License-Identifier: MIT */
/* The control server on a real loop and a real socket; the client is this very thread, a few bytes
 * a turn. */
#include "mta/base/fault.h"
#include "mta/control/inside.h"
#include "mta/mail/msgid.h"
#include "mta/sys/clock.h"
#include "mta/sys/loop.h"
#include "mta/sys/net.h"
#include "tests/unit/queue_fixture.h"
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000, PIECE_BYTES = 4096, ROW_BYTES_MAX = 1024 };

struct world {
    struct fixture f;
    struct loop *loop;
    struct control *control;
    char folder[32], path[64];
    int client;
    struct buf answer;
    uint64_t started_ms;
    size_t answers_wanted, turns;
    size_t deaf_turns;             /* so many in which it does not read */
    bool has_ended, has_timed_out; /* the server closed; nobody did anything for long */
    unsigned reloads;
};

static size_t count_of(const struct world *w, const char *needle)
{
    struct span rest = buf_span(&w->answer), wanted = span_of(needle);
    size_t count = 0, at;
    while ((at = span_find_text(rest, wanted)) < rest.len) {
        count++;
        rest = span_skip(rest, at + wanted.len);
    }
    return count;
}

/* How many answers are complete. */
static size_t ends_of(const struct world *w)
{
    struct span rest = buf_span(&w->answer), line;
    size_t count     = 0;
    while (span_cut(&rest, '\n', &line))
        count += line.len > 1 && line.at[0] == '.' && ascii_is_digit(line.at[1]);
    return count;
}

static void read_answer(struct world *w)
{
    char piece[PIECE_BYTES];
    ssize_t n;
    while ((n = recv(w->client, piece, sizeof piece, MSG_DONTWAIT)) > 0) {
        buf_put(&w->answer, span_make(piece, (size_t)n));
    }
    w->has_ended = w->has_ended || n == 0;
}

static void serve(struct world *w)
{
    struct net_listener *listener;
    struct net_conn *conn;
    unsigned ready;
    while ((conn = net_take_accepted(w->loop, &listener)) != NULL)
        control_on_accepted(w->control, conn);
    while ((conn = net_take_ready(w->loop, &ready)) != NULL)
        control_on_ready(net_owner(conn), ready);
    (void)control_turn(w->control, w->f.now_ms, fixture_wall(&w->f));
    if (control_take_order(w->control) == CONTROL_RELOAD) {
        w->reloads++;
        control_order_done(w->control, w->reloads == 1,
                           w->reloads == 1 ? "" : "./x.yaml:1:1: bad\n");
    }
    fixture_facts(&w->f);
}

static uint64_t turn(void *owner, uint64_t now_ms)
{
    struct world *w = owner;
    w->turns++;
    serve(w);
    bool is_deaf = w->deaf_turns > 0 && --w->deaf_turns > 0;
    if (is_deaf)
        return now_ms + 1;
    if (w->answers_wanted > 0)
        read_answer(w);
    w->has_timed_out = now_ms > w->started_ms + PATIENCE_MS;
    if (ends_of(w) >= w->answers_wanted || w->has_ended || w->has_timed_out)
        loop_stop(w->loop);
    return now_ms + 1;
}

static void connect_client(struct world *w)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", w->path);
    w->client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(w->client, (struct sockaddr *)&address, sizeof address), 0);
}

static void open_world(struct world *w)
{
    struct buf error = {0};
    *w               = (struct world){.folder = "/tmp/control_test.XXXXXX"};
    must(mkdtemp(w->folder) != NULL);
    (void)snprintf(w->path, sizeof w->path, "%s/control", w->folder);
    fixture_start(&w->f);
    w->loop                    = loop_open(turn, w);
    struct control_world world = {.loop = w->loop, .queue = w->f.q};
    w->control                 = control_open(&world, w->path, &error);
    assert_non_null(w->control);
    buf_release(&error);
    connect_client(w);
}

static void close_world(struct world *w)
{
    if (w->client >= 0)
        (void)close(w->client);
    control_close(w->control);
    loop_close(w->loop);
    fixture_close(&w->f);
    buf_release(&w->answer);
    (void)unlink(w->path);
    (void)rmdir(w->folder);
}

static void say(struct world *w, const char *bytes)
{
    assert_int_equal(send(w->client, bytes, strlen(bytes), MSG_NOSIGNAL), strlen(bytes));
}

static void run(struct world *w, size_t answers)
{
    w->answers_wanted = answers;
    w->started_ms     = clock_now_ms();
    loop_run(w->loop);
    assert_false(w->has_timed_out);
}

/* The loop turns, and the client does not read. */
static void run_deaf(struct world *w, size_t turns)
{
    w->deaf_turns = turns;
    run(w, 0);
}

/* The last line of the answer, and what must stand before it. */
static void hears(struct world *w, const char *request, int code, const char *words)
{
    char end[16];
    (void)snprintf(end, sizeof end, ".%d\n", code);
    buf_clear(&w->answer);
    say(w, request);
    run(w, 1);
    size_t len = strlen(end);
    if (w->answer.len < len || strcmp(buf_text(&w->answer) + w->answer.len - len, end) != 0 ||
        strstr(buf_text(&w->answer), words) == NULL) {
        print_error("%s: wanted '%s' and %s, got:\n%s\n", request, words, end,
                    buf_text(&w->answer));
        fail();
    }
}

static struct message *mail_to(struct world *w, size_t rcpts)
{
    return fixture_post(&w->f, "news", "a.example", rcpts);
}

/* --- tests --- */

static void the_socket_is_ours_alone(void **state)
{
    (void)state;
    struct world w;
    struct stat about;
    open_world(&w);
    assert_int_equal(stat(w.path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    close_world(&w);
}

static void a_path_that_is_too_long_is_refused(void **state)
{
    (void)state;
    struct world w;
    struct buf error = {0};
    char path[NET_UNIX_PATH_BYTES + 10];
    open_world(&w);
    memset(path, 'x', sizeof path);
    path[0] = '/', path[sizeof path - 1] = '\0';
    struct control_world world = {.loop = w.loop, .queue = w.f.q};
    assert_null(control_open(&world, path, &error));
    assert_true(error.len > 0);
    buf_release(&error);
    close_world(&w);
}

static void wrong_requests_say_what_is_wrong(void **state)
{
    (void)state;
    struct world w;
    open_world(&w);
    hears(&w, "frobnicate\n", EX_USAGE, "unknown request 'frobnicate'");
    hears(&w, "\n", EX_USAGE, "unknown request");
    hears(&w, "show\n", EX_USAGE, "usage: mailrace show ID");
    hears(&w, "show x y\n", EX_USAGE, "usage: mailrace show ID");
    hears(&w, "show !!!\n", EX_USAGE, "no message id");
    hears(&w, "show 0000000000007\n", EX_DATAERR, "there is no message");
    hears(&w, "queue colour=red\n", EX_USAGE, "colour=red");
    hears(&w, "site nowhere.example\n", EX_DATAERR, "nowhere.example");
    hears(&w, "hold\n", EX_USAGE, "which recipients?");
    close_world(&w);
}

static void controls_in_a_request_do_not_come_back(void **state)
{
    (void)state;
    struct world w;
    open_world(&w);
    hears(&w, "\033[31m\n", EX_USAGE, "?[31m");
    hears(&w, "queue a\033=b\n", EX_USAGE, "a?=b");
    close_world(&w);
}

static void a_request_without_end_is_cut_off(void **state)
{
    (void)state;
    struct world w;
    char flood[6000];
    open_world(&w);
    memset(flood, 'a', sizeof flood);
    flood[sizeof flood - 1] = '\0';
    say(&w, flood);
    run(&w, 1);
    assert_int_equal(count_of(&w, "too long"), 1);
    run(&w, SIZE_MAX);
    assert_true(w.has_ended);
    close_world(&w);
}

static void requests_in_one_piece_are_answered_in_order(void **state)
{
    (void)state;
    struct world w;
    open_world(&w);
    say(&w, "version\nqueue\nshow\nversion\n");
    run(&w, 4);
    const char *text = buf_text(&w.answer);
    assert_int_equal(count_of(&w, "mailraced "), 2);
    assert_true(strstr(text, "0 recipients") < strstr(text, "usage: mailrace show"));
    close_world(&w);
}

static void a_request_may_come_byte_by_byte(void **state)
{
    (void)state;
    struct world w;
    open_world(&w);
    for (const char *c = "version"; *c != '\0'; c++) {
        say(&w, (char[]){*c, '\0'});
        run_deaf(&w, 3);
    }
    hears(&w, "\n", EX_OK, "mailraced ");
    close_world(&w);
}

static void a_long_listing_has_every_row_once(void **state)
{
    (void)state;
    enum { RCPTS = 30000 };
    struct world w;
    open_world(&w);
    (void)mail_to(&w, RCPTS);
    (void)mail_to(&w, RCPTS);
    say(&w, "queue --json\n");
    run(&w, 1);
    assert_int_equal(count_of(&w, "{\"id\":"), 2 * RCPTS);
    assert_int_equal(count_of(&w, "\"to\":\"user29999@a.example\""), 2);
    assert_int_equal(count_of(&w, "\"to\":\"user7@a.example\""), 2);
    assert_true(w.turns >= 2 * RCPTS / CONTROL_SLICE_RCPTS);
    close_world(&w);
}

/* The mailer's turn comes in between, also when no row is made. */
static void a_search_in_vain_is_done_in_slices(void **state)
{
    (void)state;
    enum { RCPTS = 30000 };
    struct world w;
    open_world(&w);
    (void)mail_to(&w, RCPTS);
    hears(&w, "queue to=nobody@a.example\n", EX_OK, "0 recipients");
    assert_true(w.turns >= RCPTS / CONTROL_SLICE_RCPTS);
    close_world(&w);
}

/* What cannot be sent is not made. */
static void a_listing_waits_for_a_client_that_does_not_read(void **state)
{
    (void)state;
    enum { RCPTS = 50000, TURNS = 200 };
    struct world w;
    open_world(&w);
    (void)mail_to(&w, RCPTS);
    say(&w, "queue --json\n");
    run_deaf(&w, TURNS);
    const struct control_client *client =
        CONTAINER_OF(list_first(&w.control->clients), struct control_client, link);
    assert_in_range(client->output.len, 1, CONTROL_OUTPUT_BYTES + ROW_BYTES_MAX);
    assert_non_null(client->walk.go_on);
    run(&w, 1);
    assert_int_equal(count_of(&w, "{\"id\":"), RCPTS);
    close_world(&w);
}

static void a_client_may_leave_in_the_middle(void **state)
{
    (void)state;
    struct world w;
    open_world(&w);
    (void)mail_to(&w, 50000);
    say(&w, "queue\n");
    run_deaf(&w, 50);
    assert_int_equal(w.control->client_count, 1);
    (void)close(w.client);
    run_deaf(&w, 50);
    assert_int_equal(w.control->client_count, 0);
    connect_client(&w);
    hears(&w, "version\n", EX_OK, "mailraced ");
    close_world(&w);
}

static void changes_are_counted_and_dry_runs_change_nothing(void **state)
{
    (void)state;
    struct world w;
    struct queue_stats stats;
    open_world(&w);
    (void)mail_to(&w, 3);
    hears(&w, "hold to=user1@a.example --dry-run\n", EX_OK, "1 recipient would be held");
    queue_stats(w.f.q, &stats);
    assert_int_equal(stats.held, 0);
    hears(&w, "hold to=user1@a.example\n", EX_OK, "1 recipient held");
    hears(&w, "queue status=held --json\n", EX_OK, "user1@a.example");
    hears(&w, "release all --json\n", EX_OK, "\"matched\":");
    hears(&w, "cancel domain=a.example\n", EX_OK, "3 recipients cancelled");
    assert_int_equal(w.f.outcomes[OUTCOME_CANCELLED], 3);
    hears(&w, "queue\n", EX_OK, "0 recipients");
    close_world(&w);
}

static void a_message_tells_its_story(void **state)
{
    (void)state;
    struct world w;
    char request[64], id[MSGID_TEXT_BYTES];
    open_world(&w);
    const struct message *m = mail_to(&w, 2);
    (void)snprintf(request, sizeof request, "show %s\n", msgid_text(m->id, id));
    hears(&w, request, EX_OK, "owner@sender.example");
    assert_int_equal(count_of(&w, "@a.example"), 2);
    (void)snprintf(request, sizeof request, "watch %s\n", id);
    hears(&w, request, EX_OK, "\"rcpts\":2");
    close_world(&w);
}

static void a_reload_is_answered_when_it_is_done(void **state)
{
    (void)state;
    struct world w;
    open_world(&w);
    hears(&w, "reload\n", EX_OK, "reloaded");
    hears(&w, "reload\n", EX_CONFIG, "../x.yaml:1:1: bad\n"); /* one dot more: it is no end */
    assert_int_equal(w.reloads, 2);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_socket_is_ours_alone),
        cmocka_unit_test(a_path_that_is_too_long_is_refused),
        cmocka_unit_test(wrong_requests_say_what_is_wrong),
        cmocka_unit_test(controls_in_a_request_do_not_come_back),
        cmocka_unit_test(a_request_without_end_is_cut_off),
        cmocka_unit_test(requests_in_one_piece_are_answered_in_order),
        cmocka_unit_test(a_request_may_come_byte_by_byte),
        cmocka_unit_test(a_long_listing_has_every_row_once),
        cmocka_unit_test(a_search_in_vain_is_done_in_slices),
        cmocka_unit_test(a_listing_waits_for_a_client_that_does_not_read),
        cmocka_unit_test(a_client_may_leave_in_the_middle),
        cmocka_unit_test(changes_are_counted_and_dry_runs_change_nothing),
        cmocka_unit_test(a_message_tells_its_story),
        cmocka_unit_test(a_reload_is_answered_when_it_is_done),
    };
    return RUN(tests);
}
