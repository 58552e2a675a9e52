/* SPDX-License-Identifier: MIT */
/*
 * A session's life and its events.  It never frees itself: session_bury() puts it into the shard's
 * graves, once.
 */
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/deliver/pool.h"
#include "mta/deliver/session_inside.h"

#define TO(state) (1u << (state))
static const unsigned may_follow[SESSION_STATES] = {
    [SESSION_LOOKING_UP] = TO(SESSION_LOOKING_UP) | TO(SESSION_CONNECTING) | TO(SESSION_DEAD),
    [SESSION_CONNECTING] =
        TO(SESSION_TALKING) | TO(SESSION_CONNECTING) | TO(SESSION_LOOKING_UP) | TO(SESSION_DEAD),
    [SESSION_TALKING] = TO(SESSION_IDLE) | TO(SESSION_QUITTING) | TO(SESSION_CONNECTING) |
                        TO(SESSION_LOOKING_UP) | TO(SESSION_DEAD),
    [SESSION_IDLE]     = TO(SESSION_TALKING) | TO(SESSION_QUITTING) | TO(SESSION_DEAD),
    [SESSION_QUITTING] = TO(SESSION_DEAD),
};

void session_enter(struct session *s, enum session_state next)
{
    must(may_follow[s->state] & TO(next));
    s->state = next;
}

struct session *session_of(void *data)
{
    struct session *s = data;
    must(s != NULL && s->kind == SESSION_KIND);
    return s;
}

void session_set_deadline(struct session *s, uint64_t in_ms)
{
    heap_set(&s->shard->deadlines, &s->deadline, s->shard->now_ms + in_ms);
}

/* --- the end of things --- */

void session_disconnect(struct session *s)
{
    if (s->is_connected)
        wire_release(&s->wire);
    s->is_connected = false;
    session_drop_attempts(s);
}

/* The job goes home with what is known; what is not decided goes back to the queue as it was. */
void session_give_home(struct session *s, struct job *job)
{
    job->host   = arena_text(&job->texts, span_of(s->host));
    job->ip     = arena_text(&job->texts, span_of(s->ip));
    job->source = arena_text(&job->texts, span_of(s->source));
    job->tls    = arena_text(&job->texts, span_of(s->tls_text));
    list_push(&s->shard->done, &job->link);
    if (job->site_verdict == JOB_SITE_BUSY || job->site_verdict == JOB_SITE_UNREACHABLE) {
        s->found_trouble = true;
        pool_send_home(s->pool);
    }
}

/* The one place where a session dies; freed at the end of the turn. */
void session_bury(struct session *s)
{
    if (s->state == SESSION_DEAD)
        return;
    if (s->state == SESSION_IDLE)
        atomic_fetch_sub(&s->shard->stats.idle, 1);
    session_enter(s, SESSION_DEAD);
    must(s->carried_count == 0);
    if (s->job != NULL)
        session_give_home(s, s->job);
    s->job = NULL;
    session_disconnect(s);
    heap_remove(&s->shard->deadlines, &s->deadline);
    pool_forget(s);
    list_move(&s->shard->graves, &s->grave);
    atomic_fetch_sub(&s->shard->stats.sessions, 1);
}

void session_free(struct session *s)
{
    must(s->state == SESSION_DEAD && !s->awaits_dns);
    list_remove(&s->in_shard);
    list_remove(&s->grave);
    for (size_t i = 0; i < SMTP_FLIGHT_MAX; i++) {
        letter_release(&s->carried[i].letter);
        buf_release(&s->carried[i].sender);
        mem_free(s->carried[i].rcpts);
    }
    s->kind = 0;
    mem_free(s);
}

void session_cut(struct session *s)
{
    if (s->state == SESSION_DEAD)
        return;
    if (s->carried_count > 0) {
        smtp_client_lost(&s->smtp);
        session_take_results(s);
        session_finish_jobs(s);
    }
    session_bury(s);
}

/* --- events --- */

void session_lost(struct session *s)
{
    smtp_client_lost(&s->smtp);
    session_pump(s);
}

/* The client core stands behind the wire: it is neither dialled nor given up. */
bool session_is_talking(const struct session *s)
{
    return s->state == SESSION_TALKING || s->state == SESSION_IDLE || s->state == SESSION_QUITTING;
}

/* Feeds what came, in the portions that the core takes between results. */
static void feed(struct session *s, struct span bytes)
{
    s->heard_ms = s->shard->now_ms;
    while (bytes.len > 0 && session_is_talking(s)) {
        size_t taken = smtp_client_feed(&s->smtp, bytes);
        bytes        = span_skip(bytes, taken);
        session_pump(s);
        if (taken == 0 && !(smtp_client_wants(&s->smtp) & SMTP_WANT_READ))
            break;
    }
}

static void read_all(struct session *s)
{
    while (session_is_talking(s)) {
        size_t got         = 0;
        enum status status = wire_read(&s->wire, s->shard->heard, sizeof s->shard->heard, &got);
        if (status == AGAIN)
            return;
        if (status == OK)
            feed(s, span_make(s->shard->heard, got));
        else
            session_lost(s);
    }
}

static void on_handshake(struct session *s)
{
    if (wire_tls(&s->wire) == WIRE_TLS_FAILED) {
        session_tls_failed(s);
        return;
    }
    if (wire_tls(&s->wire) != WIRE_SECURE)
        return;
    session_note_handshake(s);
    if (!s->config.is_secured)
        smtp_client_secured(&s->smtp);
    session_pump(s);
}

void session_on_ready(struct session *s, unsigned ready)
{
    if (s->state == SESSION_CONNECTING) {
        session_on_connecting(s);
        return;
    }
    bool was_handshaking = wire_tls(&s->wire) == WIRE_HANDSHAKING;
    enum status status   = wire_pump(&s->wire, ready);
    if (was_handshaking)
        on_handshake(s);
    if (!session_is_talking(s) || wire_tls(&s->wire) == WIRE_HANDSHAKING)
        return;
    read_all(s);
    session_keep_tickets(s);
    if (session_is_talking(s) && status != OK)
        session_lost(s);
    else if (s->state == SESSION_TALKING)
        session_pump(s); /* the wire may have room for more of the body */
}

static void on_time_out(struct session *s)
{
    unsigned char status[3] = {4, 4, 1};
    if (wire_tls(&s->wire) == WIRE_HANDSHAKING)
        session_dial_failed(s, DIAL_UNREACHABLE, 0, status, "TLS handshake", span_of("timed out"));
    else {
        if (smtp_client_awaits_chunk(&s->smtp))
            session_note_trouble(s, PEER_NO_BDAT);
        session_lost(s);
    }
}

void session_on_deadline(struct session *s)
{
    switch (s->state) {
    case SESSION_IDLE:
        session_quit(s);
        break;
    case SESSION_QUITTING:
        session_bury(s);
        break;
    case SESSION_CONNECTING:
        session_on_connecting(s);
        break;
    case SESSION_TALKING:
        on_time_out(s);
        break;
    case SESSION_LOOKING_UP:
    case SESSION_DEAD:
    case SESSION_STATES:
        break;
    }
}
