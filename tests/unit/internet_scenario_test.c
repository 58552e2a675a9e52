/* SPDX-License-Identifier: MIT */
/* A scenario becomes the world it describes, or an error that says where. */
#include "bench/generate.h"
#include "bench/scenario.h"
#include "mta/base/mem.h"
#include "tests/unit/check.h"
#include <string.h>

struct fixture {
    struct world world;
    struct scenario scenario;
    struct buf error;
};

static int set_up(void **state)
{
    struct fixture *f = mem_new(sizeof *f);
    world_init(&f->world);
    scenario_init(&f->scenario, &f->world, 7);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    scenario_release(&f->scenario);
    world_release(&f->world);
    buf_release(&f->error);
    mem_free(f);
    return 0;
}

static void read_well(struct fixture *f, const char *text)
{
    if (!scenario_read(&f->scenario, span_of(text), &f->error))
        fail_msg("%s", buf_text(&f->error));
}

static struct host *host(struct fixture *f, const char *name)
{
    return world_find_host(&f->world, span_of(name));
}

static struct domain *domain(struct fixture *f, const char *name)
{
    return world_find_domain(&f->world, span_of(name));
}

static void words_end_at_blanks_outside_quotes(void **state)
{
    (void)state;
    struct span line = span_of("  a \"b c\" d=\"e f\"g\t\"\" "), word;
    char scratch[64];
    static const char *const wanted[] = {"a", "b c", "d=e fg", ""};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        assert_true(scenario_word(&line, scratch, &word));
        assert_true(span_is(word, wanted[i]));
    }
    assert_false(scenario_word(&line, scratch, &word));
}

static void a_domain_without_mx_has_a_host_of_its_own(void **state)
{
    struct fixture *f = *state;
    read_well(f,
              "# nothing\n\ndomain A.Test. latency=20ms greylist=1s\ndomain b.test dns=implicit\n");
    assert_int_equal(domain(f, "a.test")->mx_count, 1);
    assert_true(span_is(domain(f, "a.test")->mx[0].name, "mx.a.test"));
    assert_int_equal(host(f, "mx.a.test")->p.latency_ms, 20);
    assert_true(domain(f, "a.test")->p.greylists);
    assert_true(world_serves(&f->world, domain(f, "a.test"), host(f, "mx.a.test")));
    assert_int_equal(domain(f, "b.test")->mx_count, 0);
    assert_true(world_serves(&f->world, domain(f, "b.test"), host(f, "b.test")));
    assert_false(world_serves(&f->world, domain(f, "b.test"), host(f, "mx.a.test")));
}

static void hosts_can_be_reached_through_aliases(void **state)
{
    struct fixture *f = *state;
    read_well(f, "host h.test 127.0.1.1,::1\nalias mx.test h.test\nalias l.test l.test\n"
                 "domain d.test mx=5:mx.test,l.test\n");
    assert_true(world_serves(&f->world, domain(f, "d.test"), host(f, "h.test")));
    assert_int_equal(domain(f, "d.test")->mx[0].preference, 5);
    assert_int_equal(host(f, "h.test")->address_count, 2);
}

static void a_host_can_be_described_again(void **state)
{
    struct fixture *f = *state;
    read_well(f, "domain a.test\nhost mx.a.test latency=5ms\nhost mx.a.test 127.9.9.9 no-dsn\n");
    assert_int_equal(host(f, "mx.a.test")->p.latency_ms, 5);
    assert_true(host(f, "mx.a.test")->p.no_dsn);
    assert_int_equal(host(f, "mx.a.test")->address_count, 1);
    assert_int_equal(host(f, "mx.a.test")->addresses[0].ip[1], 9);
}

static void personalities_add_up(void **state)
{
    struct fixture *f = *state;
    read_well(f, "personality odd no-dsn \"at-mail=451 4.3.0 not now\" times=2\n"
                 "domain a.test odd tarpit tarpit=5ms\n");
    const struct personality *p = &host(f, "mx.a.test")->p;
    assert_true(p->no_dsn);
    assert_int_equal(p->at[STAGE_MAIL].act, ACT_REPLY);
    assert_string_equal(p->at[STAGE_MAIL].text, "451 4.3.0 not now");
    assert_int_equal(p->times, 2);
    assert_int_equal(p->tarpit_ms, 5);
}

static void a_wrong_value_changes_nothing(void **state)
{
    struct fixture *f                = *state;
    struct personality p             = {.latency_ms = 3};
    static const char *const wrong[] = {"latency=soon", "latency", "dead=maybe", "starttls=perhaps",
                                        "at-mail=why",  "at-mail", "what=1",     "unknown=200%"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        buf_clear(&f->error);
        assert_false(personality_set(&p, &f->world.arena, span_of(wrong[i]), &f->error));
        assert_true(f->error.len > 0);
    }
    assert_int_equal(p.latency_ms, 3);
    assert_int_equal(p.set, 0);
}

static void errors_name_their_line(void **state)
{
    struct fixture *f                = *state;
    static const char *const wrong[] = {"nonsense x",
                                        "domain",
                                        "domain .",
                                        "domain x mx=h.test dead",
                                        "domain x mx=99999:h.test",
                                        "host h",
                                        "host h 127.0.0.256",
                                        "host h ::1,::2,::3,::4,::5",
                                        "alias a",
                                        "generate x",
                                        "generate 5 colour=red",
                                        "generate 5 mix=nobody:5%",
                                        "generate 5 operators=0"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct buf text = {0};
        buf_printf(&text, "# one\n%s\n", wrong[i]);
        buf_clear(&f->error);
        if (scenario_read(&f->scenario, buf_span(&text), &f->error))
            fail_msg("'%s' was taken", wrong[i]);
        assert_true(span_starts(buf_span(&f->error), span_of("line 2: ")));
        buf_release(&text);
    }
}

static void generated_shares_are_exact(void **state)
{
    struct fixture *f = *state;
    size_t dead = 0, hosted = 0;
    read_well(f,
              "generate 1000 prefix=x suffix=.org hosted=30% operators=4 mix=dead:5%,accept:1%\n");
    assert_int_equal(f->world.domain_count, 1000);
    assert_int_equal(f->world.host_count, 700 + 4 * GENERATE_OPERATOR_HOSTS);
    struct list *all = &f->world.all_domains;
    for (struct list *n = list_first(all); n != NULL; n = list_next(all, n)) {
        dead += span_is(domain_of(n)->kind, "dead");
        hosted += domain_of(n)->mx_count == GENERATE_OPERATOR_HOSTS;
    }
    assert_int_equal(dead, 50);
    assert_int_equal(hosted, 300);
    assert_non_null(domain(f, "x0.org"));
    assert_non_null(domain(f, "x999.org"));
}

static void generated_hosts_have_addresses_of_their_own(void **state)
{
    struct fixture *f = *state;
    read_well(f, "generate 600\n");
    struct table seen;
    table_init(&seen, 0);
    struct list *all       = &f->world.all_hosts;
    struct table_node *ips = mem_new_array(600, sizeof *ips);
    size_t count           = 0;
    for (struct list *n = list_first(all); n != NULL; n = list_next(all, n)) {
        struct span ip = span_make((const char *)host_of(n)->addresses[0].ip, 4);
        assert_null(table_find(&seen, ip));
        assert_true(ip.at[3] != 0 && (uint8_t)ip.at[3] != 255 && ip.at[0] == 127);
        table_insert(&seen, &ips[count++], ip);
    }
    assert_int_equal(count, 600);
    table_release(&seen);
    mem_free(ips);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(words_end_at_blanks_outside_quotes),
        TEST(a_domain_without_mx_has_a_host_of_its_own),
        TEST(hosts_can_be_reached_through_aliases),
        TEST(a_host_can_be_described_again),
        TEST(personalities_add_up),
        TEST(a_wrong_value_changes_nothing),
        TEST(errors_name_their_line),
        TEST(generated_shares_are_exact),
        TEST(generated_hosts_have_addresses_of_their_own),
    };
    return RUN(tests);
}
