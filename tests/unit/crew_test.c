/* SPDX-License-Identifier: MIT */
#include "mta/sys/clock.h"
#include "mta/sys/crew.h"
#include "mta/sys/loop.h"
#include "tests/unit/check.h"
#include <stdatomic.h>
#include <unistd.h>

enum { PIECES = 200, HANDS = 3, PATIENCE_MS = 20000, NAP_US = 500 };

struct world {
    struct loop *loop;
    struct crew *crew;
    atomic_uint at_once, most_at_once, ran;
    unsigned came, wanted;
    uint64_t deadline_ms;
};

struct piece {
    struct work work;
    struct world *world;
    bool is_done;
};

static void run_piece(struct work *work)
{
    struct piece *piece = CONTAINER_OF(work, struct piece, work);
    unsigned now        = atomic_fetch_add(&piece->world->at_once, 1) + 1;
    unsigned most       = atomic_load(&piece->world->most_at_once);
    while (now > most && !atomic_compare_exchange_weak(&piece->world->most_at_once, &most, now))
        continue;
    (void)usleep(NAP_US);
    piece->is_done = true;
    atomic_fetch_sub(&piece->world->at_once, 1);
    atomic_fetch_add(&piece->world->ran, 1);
}

static uint64_t turn(void *owner, uint64_t now_ms)
{
    struct world *w = owner;
    struct work *work;
    while ((work = crew_take(w->crew)) != NULL)
        w->came += CONTAINER_OF(work, struct piece, work)->is_done;
    if (w->came >= w->wanted || now_ms >= w->deadline_ms)
        loop_stop(w->loop);
    return w->deadline_ms;
}

static void open_world(struct world *w, unsigned hands)
{
    *w             = (struct world){0};
    w->loop        = loop_open(turn, w);
    w->crew        = crew_open(w->loop, hands);
    w->deadline_ms = clock_now_ms() + PATIENCE_MS;
}

static void give(struct world *w, struct piece *pieces, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        pieces[i] = (struct piece){.work = {.run = run_piece}, .world = w};
        crew_give(w->crew, &pieces[i].work);
    }
}

static void everything_comes_back_done(void **state)
{
    static struct piece pieces[PIECES];
    struct world w;
    (void)state;
    open_world(&w, HANDS);
    give(&w, pieces, PIECES);
    assert_int_equal(crew_load(w.crew), PIECES);
    w.wanted = PIECES;
    loop_run(w.loop);
    assert_int_equal(w.came, PIECES);
    assert_int_equal(crew_load(w.crew), 0);
    assert_in_range(atomic_load(&w.most_at_once), 1, HANDS);
    crew_close(w.crew);
    loop_close(w.loop);
}

static void a_crew_works_again_after_a_rest(void **state)
{
    static struct piece pieces[4];
    struct world w;
    (void)state;
    open_world(&w, 0);
    for (unsigned round = 1; round <= 3; round++) {
        give(&w, pieces, 4);
        w.wanted = 4 * round;
        loop_run(w.loop);
        assert_int_equal(w.came, 4 * round);
    }
    assert_in_range(atomic_load(&w.most_at_once), 1, CREW_HANDS_MAX);
    crew_close(w.crew);
    loop_close(w.loop);
}

static void closing_waits_for_what_is_under_way_and_drops_the_rest(void **state)
{
    static struct piece pieces[PIECES];
    struct world w;
    (void)state;
    open_world(&w, HANDS);
    give(&w, pieces, PIECES);
    crew_close(w.crew);
    unsigned ran = atomic_load(&w.ran);
    assert_int_equal(ran, HANDS);
    assert_int_equal(atomic_load(&w.at_once), 0);
    for (unsigned i = 0; i < PIECES; i++)
        assert_false(list_is_linked(&pieces[i].work.link));
    loop_close(w.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_comes_back_done),
        cmocka_unit_test(a_crew_works_again_after_a_rest),
        cmocka_unit_test(closing_waits_for_what_is_under_way_and_drops_the_rest),
    };
    return RUN(tests);
}
