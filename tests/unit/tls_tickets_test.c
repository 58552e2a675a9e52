/* SPDX-License-Identifier: MIT */
/* Which ticket is shown next, and when none is. */
#include "mta/tls/tickets.h"
#include "tests/unit/tls_fixture.h"

static struct fixture fixture;

struct shop {
    struct tls_context *client, *server;
    struct tls_tickets tickets;
};

static void open_shop(struct shop *shop)
{
    *shop        = (struct shop){0};
    shop->client = fixture_client(&fixture, TLS_OPPORTUNISTIC);
    shop->server = fixture_server(&fixture.good, "s");
}

static void close_shop(struct shop *shop)
{
    tls_tickets_forget(&shop->tickets);
    tls_context_release(shop->client);
    tls_context_release(shop->server);
}

/* One connection; what it leaves is kept.  Whether it was resumed. */
static bool meet(struct shop *shop, struct tls_session *resume, bool keeps, uint64_t now_ms)
{
    struct tls_session *fresh;
    struct tls_engine *c = tls_engine_client(shop->client, "mx.example", resume);
    struct tls_engine *s = tls_engine_server(shop->server);
    fixture_talk(c, s, SIZE_MAX);
    bool was_resumed = tls_engine_was_resumed(c);
    while ((fresh = tls_engine_take_session(c)) != NULL) {
        if (keeps)
            tls_tickets_put(&shop->tickets, fresh, now_ms);
        else
            tls_session_free(fresh);
    }
    tls_engine_free(c);
    tls_engine_free(s);
    return was_resumed;
}

static void fill(struct shop *shop, unsigned count, uint64_t now_ms)
{
    for (unsigned i = 0; i < count; i++)
        assert_false(meet(shop, NULL, true, now_ms));
}

static void a_ticket_is_shown_again_when_there_is_no_other(void **state)
{
    (void)state;
    struct shop shop;
    open_shop(&shop);
    assert_null(tls_tickets_show(&shop.tickets, 0));
    fill(&shop, 1, 0);
    for (int i = 0; i < 3; i++)
        assert_true(meet(&shop, tls_tickets_show(&shop.tickets, 0), false, 0));
    assert_int_equal(shop.tickets.count, 1);
    close_shop(&shop);
}

/* Two at a time, before either has left a ticket. */
static void connections_side_by_side_resume_too(void **state)
{
    (void)state;
    struct shop shop;
    open_shop(&shop);
    fill(&shop, 1, 0);
    struct tls_session *a = tls_tickets_show(&shop.tickets, 0);
    struct tls_session *b = tls_tickets_show(&shop.tickets, 0);
    assert_true(meet(&shop, a, true, 0));
    assert_true(meet(&shop, b, true, 0));
    close_shop(&shop);
}

static void those_not_shown_come_first(void **state)
{
    (void)state;
    struct shop shop;
    open_shop(&shop);
    fill(&shop, 3, 0);
    for (unsigned shown = 1; shown <= 3; shown++) {
        unsigned count = 0;
        tls_session_free(tls_tickets_show(&shop.tickets, 0));
        for (unsigned i = 0; i < shop.tickets.count; i++)
            count += shop.tickets.at[i].was_shown;
        assert_int_equal(count, shown);
    }
    assert_true(shop.tickets.at[0].was_shown);
    close_shop(&shop);
}

static void the_oldest_goes_a_shown_one_first(void **state)
{
    (void)state;
    struct shop shop;
    open_shop(&shop);
    fill(&shop, TLS_TICKETS_MAX, 0);
    const struct tls_session *newest = shop.tickets.at[TLS_TICKETS_MAX - 1].session;
    const struct tls_session *oldest = shop.tickets.at[0].session;
    tls_session_free(tls_tickets_show(&shop.tickets, 0)); /* the newest */
    fill(&shop, 1, 0);
    assert_int_equal(shop.tickets.count, TLS_TICKETS_MAX);
    assert_ptr_equal(shop.tickets.at[0].session, oldest);
    for (unsigned i = 0; i < TLS_TICKETS_MAX; i++)
        assert_ptr_not_equal(shop.tickets.at[i].session, newest);
    fill(&shop, 1, 0);
    assert_int_equal(shop.tickets.count, TLS_TICKETS_MAX);
    assert_ptr_not_equal(shop.tickets.at[0].session, oldest);
    close_shop(&shop);
}

static void a_ticket_serves_for_an_hour(void **state)
{
    (void)state;
    struct shop shop;
    open_shop(&shop);
    fill(&shop, 1, 1000);
    fill(&shop, 1, 2000);
    tls_session_free(tls_tickets_show(&shop.tickets, 1000 + TLS_TICKET_MS));
    assert_int_equal(shop.tickets.count, 1);
    assert_null(tls_tickets_show(&shop.tickets, 2000 + TLS_TICKET_MS));
    assert_int_equal(shop.tickets.count, 0);
    close_shop(&shop);
}

/* A server with another key: a full handshake, and what was shown is not shown again. */
static void what_was_refused_is_not_shown_again(void **state)
{
    (void)state;
    struct shop shop;
    open_shop(&shop);
    fill(&shop, 2, 0);
    tls_context_release(shop.server);
    shop.server = fixture_server(&fixture.good, "another");
    assert_false(meet(&shop, tls_tickets_show(&shop.tickets, 0), false, 0));
    tls_tickets_refused(&shop.tickets);
    assert_int_equal(shop.tickets.count, 1);
    assert_false(shop.tickets.at[0].was_shown);
    assert_false(meet(&shop, tls_tickets_show(&shop.tickets, 0), true, 0));
    tls_tickets_refused(&shop.tickets);
    assert_true(meet(&shop, tls_tickets_show(&shop.tickets, 0), false, 0));
    close_shop(&shop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ticket_is_shown_again_when_there_is_no_other),
        cmocka_unit_test(connections_side_by_side_resume_too),
        cmocka_unit_test(those_not_shown_come_first),
        cmocka_unit_test(the_oldest_goes_a_shown_one_first),
        cmocka_unit_test(a_ticket_serves_for_an_hour),
        cmocka_unit_test(what_was_refused_is_not_shown_again),
    };
    fixture_init(&fixture);
    int failed = RUN(tests);
    fixture_release(&fixture);
    return failed;
}
