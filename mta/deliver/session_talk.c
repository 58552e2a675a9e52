/* SPDX-License-Identifier: MIT */
/*
 * Carrying jobs: every event ends in session_pump(), which moves the client core on as far as it
 * goes, then looks where it stands: finished with the job, idle, or over.
 */
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/deliver/pool.h"
#include "mta/deliver/session_inside.h"
#include "mta/deliver/settle.h"
#include <stdio.h>

enum { SESSION_QUIT_MS = 5000, SESSION_DIALS_MAX = 3 };

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
    smtp_client_init(&s->smtp, &s->config);
    s->messages = 0;
    session_enter(s, SESSION_TALKING);
    wire_want_read(&s->wire, true);
    if (target->is_tls_implicit)
        session_start_tls(s);
}

/* Hands the job to the client core. */
static void send_job(struct session *s)
{
    struct job *job = s->job;
    if (s->rcpt_cap < job->rcpt_count) {
        s->rcpts    = mem_resize(s->rcpts, job->rcpt_count * sizeof *s->rcpts);
        s->rcpt_cap = job->rcpt_count;
    }
    for (size_t i = 0; i < job->rcpt_count; i++)
        s->rcpts[i] = job->rcpts[i].envelope;
    s->smtp_job = (struct smtp_job){
        .envelope   = *job->envelope,
        .rcpts      = s->rcpts,
        .rcpt_count = job->rcpt_count,
        .size_bytes = job->content_bytes,
    };
    render_init(&s->render, job->content);
    s->job_is_sent   = true;
    s->job_had_reply = s->job_may_move = false;
    s->messages++;
    smtp_client_send(&s->smtp, &s->smtp_job);
}

/*
 * On a connection that was used before, the peer may have gone in the meantime: nothing of the job
 * was answered (a RSET in front of it is not of it), or MAIL with 421, so another connection may
 * take it, and it counts as no attempt.
 */
static bool may_move(const struct session *s, const struct smtp_result *result)
{
    bool is_first   = result->stage == SMTP_MAIL || result->stage == SMTP_RSET;
    bool is_lost    = result->cause == SMTP_CAUSE_LOST;
    bool is_refused = result->cause == SMTP_CAUSE_REPLY && result->reply->code == 421;
    return s->messages > 1 && !s->job_had_reply && is_first && (is_lost || is_refused) &&
           s->job->dials < SESSION_DIALS_MAX;
}

static void take_results(struct session *s)
{
    struct smtp_result result;
    while (smtp_client_result(&s->smtp, &result)) {
        if (s->job_may_move || may_move(s, &result)) {
            s->job_may_move = true;
            continue;
        }
        s->job_had_reply = s->job_had_reply || result.cause == SMTP_CAUSE_REPLY;
        settle_result(s->job, &result, s->host);
    }
}

/* The content cannot be sent.  A smuggling line end is for ever; a disk that cannot be read may
 * come back. */
static void abandon_body(struct session *s, enum status status)
{
    static const unsigned char bad_content[3] = {5, 6, 0}, bad_disk[3] = {4, 3, 0};
    bool is_bad = status == BAD_INPUT;
    job_settle_rest(s->job, is_bad ? JOB_FAILED : JOB_DEFERRED, 0, is_bad ? bad_content : bad_disk,
                    span_of(is_bad ? "the message holds a bare CR, LF or a NUL and cannot be sent"
                                   : "the stored message cannot be read"),
                    "");
    smtp_client_abandon(&s->smtp);
    struct smtp_result ignored;
    while (smtp_client_result(&s->smtp, &ignored))
        continue; /* the verdict stands already */
}

static void give_body(struct session *s)
{
    struct shard *shard = s->shard;
    bool is_last        = false;
    must(!smtp_client_is_chunk(&s->smtp));
    buf_clear(&shard->stuffed);
    enum status status = render_next(&s->render, shard->scratch, &shard->stuffed, &is_last);
    if (status != OK)
        abandon_body(s, status);
    else {
        shard->piece = buf_span(&shard->stuffed);
        smtp_client_body(&s->smtp, &shard->piece, 1, is_last);
    }
}

/* All the client has to say goes out as one group, which the wire takes whole. */
static bool write_output(struct session *s)
{
    struct span parts[SMTP_OUTPUT_PARTS];
    size_t bytes = 0, count = smtp_client_output(&s->smtp, parts, SMTP_OUTPUT_PARTS);
    if (wire_write(&s->wire, parts, count) != OK)
        return false;
    for (size_t i = 0; i < count; i++)
        bytes += parts[i].len;
    smtp_client_wrote(&s->smtp, bytes);
    return true;
}

static void move_on(struct session *s);

/* Lets the core go as far as it can without another byte from the peer. */
void session_pump(struct session *s)
{
    for (;;) {
        unsigned wants = smtp_client_wants(&s->smtp);
        if (wants & SMTP_WANT_RESULT)
            take_results(s);
        else if (wants & SMTP_WANT_WRITE) {
            if (!write_output(s))
                smtp_client_lost(&s->smtp);
        } else if (wants & SMTP_WANT_BODY && wire_pending(&s->wire) < SESSION_PENDING_BYTES_MAX)
            give_body(s);
        else
            break;
    }
    move_on(s);
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
                      [SMTP_TIMER_IDLE]        = settings->command_ms,
    };
    return by_timer[smtp_client_timer(&s->smtp)];
}

bool session_may_carry_more(const struct session *s)
{
    unsigned max = s->pool->limits.messages_per_connection;
    if (s->smtp.mail_max > 0 && s->smtp.mail_max < max)
        max = s->smtp.mail_max;
    return s->messages < max && !s->shard->is_draining;
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

/* The client core is idle: the job, if there was one, is done. */
static void become_idle(struct session *s)
{
    if (s->job != NULL && !s->job_is_sent) {
        send_job(s);
        session_pump(s);
        return;
    }
    if (s->job != NULL)
        session_remember_host(s);
    session_give_job_home(s);
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
    if (s->job != NULL && !s->job_is_sent) {
        session_host_failed(s);
        return;
    }
    if (s->job != NULL && s->job_may_move) {
        struct job *job = s->job;
        s->job          = NULL;
        pool_put_back(s->pool, job);
    }
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
    must(s->state == SESSION_IDLE && s->job == NULL);
    s->job = job;
    atomic_fetch_add(&s->shard->stats.reuses, 1);
    session_enter(s, SESSION_TALKING);
    session_pump(s);
}
