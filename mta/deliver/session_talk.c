/* SPDX-License-Identifier: MIT */
/*
 * Carrying jobs: every event ends in session_pump(), which moves the client core on as far as it
 * goes, then looks where it stands: finished with the job, idle, or over.
 */
#include "mta/base/fault.h"
#include "mta/deliver/pool.h"
#include "mta/deliver/session_inside.h"
#include <stdio.h>

enum {
    SESSION_QUIT_MS      = 5000,
    SESSION_BEHIND_MS    = 30000, /* smtp.md 3.3: no reply for max(this, 20 round trips) */
    SESSION_BEHIND_TRIPS = 20,
};

void session_begin_to_talk(struct session *s)
{
    const struct site_target *target = s->job->target;
    char source[NET_ADDRESS_TEXT_BYTES];
    (void)snprintf(s->source, sizeof s->source, "%s",
                   net_address_text(net_local(s->wire.conn), source));
    s->config = (struct smtp_client_config){
        .helo          = s->shard->settings->hostname,
        .is_lmtp       = target->is_lmtp,
        .is_secured    = target->is_tls_implicit,
        .tls           = session_tls_wish(s),
        .user          = target->user,
        .password      = target->password,
        .auth_in_clear = target->user != NULL && session_tls_policy(s) == POLICY_TLS_NONE,
    };
    session_trust(s);
    smtp_client_init(&s->smtp, &s->config);
    s->messages = 0;
    s->heard_ms = s->shard->now_ms;
    session_enter(s, SESSION_TALKING);
    wire_want_read(&s->wire, true);
    if (target->is_tls_implicit)
        session_start_tls(s);
}

/* All the client has to say goes out as one group, which the wire takes whole. */
static bool write_output(struct session *s)
{
    struct span parts[SMTP_OUTPUT_PARTS];
    size_t bytes = 0, count = smtp_client_output(&s->smtp, parts, SMTP_OUTPUT_PARTS);
    atomic_fetch_add(&s->shard->stats.writes, 1);
    if (wire_write(&s->wire, parts, count) != OK)
        return false;
    for (size_t i = 0; i < count; i++)
        bytes += parts[i].len;
    smtp_client_wrote(&s->smtp, bytes);
    return true;
}

static void move_on(struct session *s);

/* A job that waits goes behind the body in hand, before that is written. */
static bool take_next(struct session *s)
{
    if (s->state != SESSION_TALKING || (s->job = pool_next_job(s)) == NULL)
        return false;
    atomic_fetch_add(&s->shard->stats.reuses, 1);
    session_send_job(s);
    return true;
}

/*
 * Lets the core go as far as it can without another byte from the peer.  What it has to say is
 * written last, so that as much as can goes out together.
 */
void session_pump(struct session *s)
{
    for (;;) {
        session_finish_jobs(s);
        unsigned wants = smtp_client_wants(&s->smtp);
        if (wants & SMTP_WANT_RESULT) {
            session_take_results(s);
            if (s->is_out_of_step)
                smtp_client_lost(&s->smtp);
        } else if (wants & SMTP_WANT_BODY && wire_pending(&s->wire) < SESSION_PENDING_BYTES_MAX)
            session_give_body(s);
        else if (wants & SMTP_WANT_NEXT && take_next(s))
            continue;
        else if (wants & SMTP_WANT_WRITE) {
            if (!write_output(s))
                smtp_client_lost(&s->smtp);
        } else
            break;
    }
    move_on(s);
}

/* A peer that lost what was sent ahead of a reply never answers it. */
static uint64_t behind_ms(const struct session *s)
{
    uint64_t trips_ms = SESSION_BEHIND_TRIPS * s->round_trip_ms;
    return trips_ms > SESSION_BEHIND_MS ? trips_ms : SESSION_BEHIND_MS;
}

static uint64_t timeout_ms(const struct session *s)
{
    const struct deliver_settings *settings = s->shard->settings;
    const uint64_t by_timer[]               = {
                      [SMTP_TIMER_GREETING]    = settings->greeting_ms,
                      [SMTP_TIMER_COMMAND]     = settings->command_ms,
                      [SMTP_TIMER_DATA]        = settings->data_ms,
                      [SMTP_TIMER_BLOCK]       = settings->block_ms,
                      [SMTP_TIMER_END_OF_DATA] = settings->end_of_data_ms,
                      [SMTP_TIMER_BEHIND]      = behind_ms(s),
                      [SMTP_TIMER_IDLE]        = settings->command_ms,
    };
    return by_timer[smtp_client_timer(&s->smtp)];
}

static void say_quit(struct session *s)
{
    pool_let_go(s);
    session_enter(s, SESSION_QUITTING);
    session_set_deadline(s, SESSION_QUIT_MS);
    smtp_client_quit(&s->smtp);
    session_pump(s);
}

void session_quit(struct session *s)
{
    must(s->state == SESSION_IDLE);
    say_quit(s);
}

/* The client core is idle: the jobs it had are done. */
static void become_idle(struct session *s)
{
    if (s->job != NULL) {
        if (s->messages == 0)
            session_note_greeting(s);
        session_send_job(s);
        pool_wake(s->pool); /* those that wait for it can be told how it takes the next */
        session_pump(s);
        return;
    }
    if (!session_may_carry_more(s)) {
        say_quit(s);
        return;
    }
    session_enter(s, SESSION_IDLE);
    session_set_deadline(s, s->pool->limits.idle_ms);
    pool_rest(s);
}

/* The client core has finished with this connection. */
static void be_over(struct session *s)
{
    if (s->job != NULL)
        session_host_failed(s);
    else
        session_bury(s);
}

static void move_on(struct session *s)
{
    unsigned wants = smtp_client_wants(&s->smtp);
    if (s->state == SESSION_DEAD)
        return;
    if (wants & SMTP_WANT_CLOSE)
        be_over(s);
    else if (wants & SMTP_WANT_TLS && wire_tls(&s->wire) == WIRE_PLAIN)
        session_start_tls(s);
    else if (wants & SMTP_WANT_JOB && s->state == SESSION_TALKING)
        become_idle(s);
    else if (s->state == SESSION_TALKING && wire_tls(&s->wire) != WIRE_HANDSHAKING)
        session_set_deadline(s, timeout_ms(s));
}

void session_carry(struct session *s, struct job *job)
{
    must(s->job == NULL && (s->state == SESSION_IDLE || session_takes_next(s)));
    s->job = job;
    atomic_fetch_add(&s->shard->stats.reuses, 1);
    if (s->state == SESSION_IDLE)
        session_enter(s, SESSION_TALKING);
    else
        session_send_job(s);
    s->heard_ms = s->shard->now_ms;
    session_pump(s);
}
