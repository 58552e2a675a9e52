/* SPDX-License-Identifier: MIT */
/*
 * Every event ends in pump(), which moves the client core on as far as it goes, then looks where it
 * stands: finished with the job, idle, or over.  A session never frees itself: session_bury() puts
 * it into the shard's graves, once.
 */
#include "mta/deliver/session.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/deliver/pool.h"
#include "mta/deliver/settle.h"
#include "mta/deliver/world.h"
#include "mta/spool/spool.h"
#include <stdio.h>
#include <string.h>

enum { SESSION_QUIT_MS = 5000, SESSION_HANDSHAKE_MS = 60000, SESSION_DIALS_MAX = 3 };

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

static void enter(struct session *s, enum session_state next)
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

static void set_deadline(struct session *s, uint64_t in_ms)
{
    heap_set(&s->shard->deadlines, &s->deadline, s->shard->now_ms + in_ms);
}

/* --- the end of things --- */

static void disconnect(struct session *s)
{
    if (s->is_connected)
        wire_release(&s->wire);
    s->is_connected = false;
}

/* The job goes home with what is known; what is not decided goes back to the queue as it was. */
static void give_job_home(struct session *s)
{
    struct job *job = s->job;
    s->job          = NULL;
    s->job_is_sent  = false;
    if (job == NULL)
        return;
    job->host   = arena_text(&job->texts, span_of(s->host));
    job->ip     = arena_text(&job->texts, span_of(s->ip));
    job->source = arena_text(&job->texts, span_of(s->source));
    job->tls    = arena_text(&job->texts, span_of(s->tls_text));
    list_push(&s->shard->done, &job->link);
}

/* The one place where a session dies; freed at the end of the turn. */
static void session_bury(struct session *s)
{
    if (s->state == SESSION_DEAD)
        return;
    if (s->state == SESSION_IDLE)
        atomic_fetch_sub(&s->shard->stats.idle, 1);
    enter(s, SESSION_DEAD);
    give_job_home(s);
    disconnect(s);
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
    mem_free(s->rcpts);
    s->kind = 0;
    mem_free(s);
}

void session_cut(struct session *s)
{
    if (s->state == SESSION_DEAD)
        return;
    if (s->job_is_sent) {
        struct smtp_result result;
        smtp_client_lost(&s->smtp);
        while (smtp_client_result(&s->smtp, &result))
            settle_result(s->job, &result, s->host);
    }
    session_bury(s);
}

/* --- dialling --- */

static void dial_on(struct session *s);

static const struct net_address *source_for(const struct session *s, const struct net_address *to)
{
    const struct deliver_settings *settings = s->shard->settings;
    const struct net_address *fit[DELIVER_SOURCES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < settings->source_count; i++)
        if (settings->sources[i].family == to->family)
            fit[count++] = &settings->sources[i];
    return count == 0 ? NULL : fit[rng_below(&s->shard->rng, count)];
}

static void connect_to(struct session *s, const struct net_address *address)
{
    char ip[NET_ADDRESS_TEXT_BYTES];
    (void)snprintf(s->host, sizeof s->host, "%s", dialer_host(&s->dialer));
    (void)snprintf(s->ip, sizeof s->ip, "%s", net_address_text(address, ip));
    (void)snprintf(s->tls_text, sizeof s->tls_text, "none");
    s->port = address->port;
    wire_init(&s->wire, net_dial(s->shard->loop, address, source_for(s, address), s));
    s->is_connected = true;
    atomic_fetch_add(&s->shard->stats.dials, 1);
    set_deadline(s, s->shard->settings->connect_ms);
    enter(s, SESSION_CONNECTING);
}

/* Every host was tried: the failures together decide. */
static void give_up(struct session *s)
{
    dialer_settle(&s->dialer, s->job);
    session_bury(s);
}

static void dial_on(struct session *s)
{
    struct net_address address;
    disconnect(s);
    switch (dialer_next(&s->dialer, &address)) {
    case DIAL_LOOKUP:
        if (s->state != SESSION_LOOKING_UP)
            enter(s, SESSION_LOOKING_UP);
        heap_remove(&s->shard->deadlines, &s->deadline); /* the resolver has its own */
        s->awaits_dns = true;
        dns_lookup_addresses(s->shard->dns, span_of(dialer_host(&s->dialer)), s);
        break;
    case DIAL_CONNECT:
        connect_to(s, &address);
        break;
    case DIAL_EXHAUSTED:
        give_up(s);
        break;
    }
}

static void dial_failed(struct session *s, enum dial_failure failure, unsigned code,
                        const unsigned char enhanced[3], const char *words, struct span said)
{
    char text[DIALER_TEXT_BYTES];
    (void)snprintf(text, sizeof text, "%s[%s]:%u: %s%s%.*s", s->host, s->ip, s->port, words,
                   said.len > 0 ? ": " : "", (int)said.len, said.at);
    atomic_fetch_add(&s->shard->stats.dial_failures, 1);
    dialer_failed(&s->dialer, failure, code, enhanced, code > 0 ? said : span_of(text));
    dial_on(s);
}

struct session *session_dial(struct pool *pool, struct job *job)
{
    struct session *s = mem_new(sizeof *s);
    s->kind           = SESSION_KIND;
    s->shard          = pool->shard;
    s->pool           = pool;
    s->job            = job;
    s->state          = SESSION_LOOKING_UP;
    (void)snprintf(s->tls_text, sizeof s->tls_text, "none");
    job->dials++;
    list_push(&pool->busy, &s->in_pool);
    list_push(&s->shard->sessions, &s->in_shard);
    atomic_fetch_add(&s->shard->stats.sessions, 1);
    dialer_init(&s->dialer, job->target, &s->shard->rng);
    dial_on(s);
    return s;
}

void session_on_addresses(struct session *s, const struct address_result *result)
{
    s->awaits_dns = false;
    if (s->state != SESSION_LOOKING_UP)
        return; /* it was cut off meanwhile */
    dialer_addresses(&s->dialer, result, s->shard->settings->allow_loopback);
    dial_on(s);
}

/* --- the host we talk to, as the shard remembers it --- */

static struct span peer_name(const struct session *s,
                             char into[MX_NAME_BYTES + NET_ADDRESS_TEXT_BYTES + 16])
{
    int len = snprintf(into, MX_NAME_BYTES + NET_ADDRESS_TEXT_BYTES + 16, "%s[%s]:%u", s->host,
                       s->ip, s->port);
    return span_make(into, (size_t)len);
}

static struct peer *meet_peer(struct session *s)
{
    char name[MX_NAME_BYTES + NET_ADDRESS_TEXT_BYTES + 16];
    return peers_meet(&s->shard->peers, peer_name(s, name));
}

static enum policy_tls tls_policy(const struct session *s)
{
    return s->job->target->is_mx ? s->job->limits.tls : s->job->target->tls;
}

/*
 * Clear text after TLS failed: only opportunistic, only for a message that has waited one back-off,
 * or while this host is known to work that way (security.md 4.6).
 */
static bool goes_plain(struct session *s)
{
    char name[MX_NAME_BYTES + NET_ADDRESS_TEXT_BYTES + 16];
    const struct peer *peer = peers_find(&s->shard->peers, peer_name(s, name));
    if (peer == NULL || !peer->tls_failed || s->job->target->user != NULL)
        return false;
    return s->job->attempts > 0 || s->shard->now_ms < peer->plain_until_ms;
}

static enum smtp_client_tls tls_wish(struct session *s)
{
    switch (tls_policy(s)) {
    case POLICY_TLS_NONE:
        return SMTP_TLS_NEVER;
    case POLICY_TLS_REQUIRED:
        return SMTP_TLS_REQUIRED;
    case POLICY_TLS_OPPORTUNISTIC:
        break;
    }
    if (!goes_plain(s))
        return SMTP_TLS_OFFERED;
    atomic_fetch_add(&s->shard->stats.plain_fallbacks, 1);
    return SMTP_TLS_NEVER;
}

static void start_tls(struct session *s)
{
    struct peer *peer = meet_peer(s);
    bool is_required  = tls_policy(s) == POLICY_TLS_REQUIRED;
    struct tls_context *context =
        is_required ? s->shard->tls_required : s->shard->tls_opportunistic;
    struct tls_session *resume = is_required ? NULL : peer->session;
    if (resume != NULL)
        peer->session = NULL;
    wire_start_tls(&s->wire, tls_engine_client(context, s->host, resume));
    set_deadline(s, SESSION_HANDSHAKE_MS);
}

static void note_handshake(struct session *s)
{
    struct peer *peer = meet_peer(s);
    peer->tls_failed  = false;
    (void)snprintf(s->tls_text, sizeof s->tls_text, "%s %s",
                   tls_policy(s) == POLICY_TLS_REQUIRED ? "pkix" : "opportunistic",
                   tls_engine_version(s->wire.tls));
    atomic_fetch_add(&s->shard->stats.tls_handshakes, 1);
    if (tls_engine_was_resumed(s->wire.tls))
        atomic_fetch_add(&s->shard->stats.tls_resumed, 1);
}

/* TLS 1.3 hands out tickets after the handshake: what came with this job is kept for the next
 * connection. */
static void keep_tls_session(struct session *s)
{
    if (s->wire.tls == NULL || wire_tls(&s->wire) != WIRE_SECURE)
        return;
    struct tls_session *fresh = tls_engine_take_session(s->wire.tls);
    if (fresh == NULL)
        return;
    struct peer *peer = meet_peer(s);
    tls_session_free(peer->session);
    peer->session = fresh;
}

static void tls_failed(struct session *s)
{
    struct peer *peer       = meet_peer(s);
    peer->tls_failed        = true;
    peer->plain_until_ms    = 0;
    unsigned char status[3] = {4, 7, 5};
    atomic_fetch_add(&s->shard->stats.tls_failures, 1);
    dial_failed(s, DIAL_UNREACHABLE, 0, status, "TLS handshake failed",
                span_of(tls_engine_error(s->wire.tls)));
}

/* --- talking --- */

static void begin_to_talk(struct session *s)
{
    const struct site_target *target = s->job->target;
    char source[NET_ADDRESS_TEXT_BYTES];
    (void)snprintf(s->source, sizeof s->source, "%s",
                   net_address_text(net_local(s->wire.conn), source));
    s->config = (struct smtp_client_config){
        .helo          = s->shard->settings->hostname,
        .is_lmtp       = target->is_lmtp,
        .is_secured    = target->is_tls_implicit,
        .tls           = tls_wish(s),
        .user          = target->user,
        .password      = target->password,
        .auth_in_clear = target->user != NULL && tls_policy(s) == POLICY_TLS_NONE,
    };
    smtp_client_init(&s->smtp, &s->config);
    s->messages = 0;
    enter(s, SESSION_TALKING);
    wire_want_read(&s->wire, true);
    if (target->is_tls_implicit)
        start_tls(s);
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
 * was answered, or MAIL with 421, so another connection may take it, and it counts as no attempt.
 */
static bool may_move(const struct session *s, const struct smtp_result *result)
{
    bool is_lost    = result->cause == SMTP_CAUSE_LOST && result->stage == SMTP_MAIL;
    bool is_refused = result->cause == SMTP_CAUSE_REPLY && result->stage == SMTP_MAIL &&
                      result->reply->code == 421;
    return s->messages > 1 && !s->job_had_reply && (is_lost || is_refused) &&
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
    buf_clear(&shard->stuffed);
    enum status status = render_next(&s->render, shard->scratch, &shard->stuffed, &is_last);
    if (status != OK)
        abandon_body(s, status);
    else
        smtp_client_body(&s->smtp, buf_span(&shard->stuffed), is_last);
}

/* All the client has to say goes out as one group, which the wire takes whole. */
static bool write_output(struct session *s)
{
    struct span out = smtp_client_output(&s->smtp);
    if (wire_write(&s->wire, &out, 1) != OK)
        return false;
    smtp_client_wrote(&s->smtp, out.len);
    return true;
}

static void move_on(struct session *s);

/* Lets the core go as far as it can without another byte from the peer. */
static void pump(struct session *s)
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
    enter(s, SESSION_QUITTING);
    set_deadline(s, SESSION_QUIT_MS);
    smtp_client_quit(&s->smtp);
    pump(s);
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
        pump(s);
        return;
    }
    keep_tls_session(s);
    if (s->wire.tls == NULL && s->config.tls == SMTP_TLS_NEVER && s->job != NULL &&
        tls_policy(s) == POLICY_TLS_OPPORTUNISTIC)
        meet_peer(s)->plain_until_ms = s->shard->now_ms + PEER_PLAIN_MS;
    give_job_home(s);
    if (!session_may_carry_more(s)) {
        say_quit(s);
        return;
    }
    enter(s, SESSION_IDLE);
    set_deadline(s, s->pool->limits.idle_ms);
    pool_rest(s);
}

/* The host could not be greeted, or not secured as it must: what it said decides how the next host
 * is chosen. */
static void host_failed(struct session *s)
{
    const struct smtp_failure *failure = smtp_client_failure(&s->smtp);
    const struct smtp_reply *reply     = &failure->reply;
    unsigned char enhanced[3]          = {4, 4, 2};
    char words[128];
    if (failure->cause == SMTP_CAUSE_REPLY && reply->code != 0) {
        bool is_final = smtp_reply_class(reply) == 5 && failure->stage != SMTP_AUTH &&
                        failure->stage != SMTP_STARTTLS;
        smtp_reply_status(reply, enhanced);
        if (!is_final)
            enhanced[0] = 4; /* credentials and certificates are ours to mend: the mail waits */
        dial_failed(s, is_final ? DIAL_REFUSED : DIAL_BUSY, (unsigned)reply->code, enhanced,
                    "refused", smtp_reply_text(reply));
        return;
    }
    if (failure->cause == SMTP_CAUSE_PROTOCOL)
        memcpy(enhanced, (unsigned char[]){4, 5, 0}, 3);
    (void)snprintf(words, sizeof words, "%s (%s)",
                   failure->cause == SMTP_CAUSE_PROTOCOL ? "the host does not speak SMTP as we do"
                                                         : "connection lost",
                   smtp_verb_text(failure->stage));
    dial_failed(s, DIAL_UNREACHABLE, 0, enhanced, words, smtp_reply_text(reply));
}

/* The client core has finished with this connection. */
static void be_over(struct session *s)
{
    if (s->job != NULL && !s->job_is_sent) {
        host_failed(s);
        return;
    }
    if (s->job != NULL && s->job_may_move) {
        struct job *job = s->job;
        s->job          = NULL;
        atomic_fetch_add(&s->shard->stats.reuses, 0);
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
        start_tls(s);
    else if (wants & SMTP_WANT_JOB && s->state == SESSION_TALKING)
        become_idle(s);
    else if (s->state == SESSION_TALKING && wire_tls(&s->wire) != WIRE_HANDSHAKING)
        set_deadline(s, timeout_ms(s));
}

void session_carry(struct session *s, struct job *job)
{
    must(s->state == SESSION_IDLE && s->job == NULL);
    s->job = job;
    atomic_fetch_add(&s->shard->stats.reuses, 1);
    enter(s, SESSION_TALKING);
    pump(s);
}

/* --- events --- */

static void lost(struct session *s)
{
    smtp_client_lost(&s->smtp);
    pump(s);
}

/* The client core stands behind the wire: it is neither dialled nor given up. */
static bool is_talking(const struct session *s)
{
    return s->state == SESSION_TALKING || s->state == SESSION_IDLE || s->state == SESSION_QUITTING;
}

/* Feeds what came, in the portions that the core takes between results. */
static void feed(struct session *s, struct span bytes)
{
    while (bytes.len > 0 && is_talking(s)) {
        size_t taken = smtp_client_feed(&s->smtp, bytes);
        bytes        = span_skip(bytes, taken);
        pump(s);
        if (taken == 0 && !(smtp_client_wants(&s->smtp) & SMTP_WANT_READ))
            break;
    }
}

static void read_all(struct session *s)
{
    while (is_talking(s)) {
        size_t got         = 0;
        enum status status = wire_read(&s->wire, s->shard->heard, sizeof s->shard->heard, &got);
        if (status == AGAIN)
            return;
        if (status == OK)
            feed(s, span_make(s->shard->heard, got));
        else
            lost(s);
    }
}

static void on_connected(struct session *s)
{
    unsigned char status[3] = {4, 4, 1};
    enum status result      = net_connect_result(s->wire.conn);
    if (result == AGAIN)
        return;
    if (result != OK) {
        dial_failed(s, DIAL_UNREACHABLE, 0, status, "cannot connect", span_of(status_text(result)));
        return;
    }
    begin_to_talk(s);
    pump(s);
}

static void on_handshake(struct session *s)
{
    if (wire_tls(&s->wire) == WIRE_TLS_FAILED) {
        tls_failed(s);
        return;
    }
    if (wire_tls(&s->wire) != WIRE_SECURE)
        return;
    note_handshake(s);
    if (!s->config.is_secured)
        smtp_client_secured(&s->smtp);
    pump(s);
}

void session_on_ready(struct session *s, unsigned ready)
{
    if (s->state == SESSION_CONNECTING) {
        on_connected(s);
        return;
    }
    bool was_handshaking = wire_tls(&s->wire) == WIRE_HANDSHAKING;
    enum status status   = wire_pump(&s->wire, ready);
    if (was_handshaking)
        on_handshake(s);
    if (!is_talking(s) || wire_tls(&s->wire) == WIRE_HANDSHAKING)
        return;
    read_all(s);
    if (is_talking(s) && status != OK)
        lost(s);
    else if (s->state == SESSION_TALKING)
        pump(s); /* the wire may have room for more of the body */
}

static void on_time_out(struct session *s)
{
    unsigned char status[3] = {4, 4, 1};
    if (s->state == SESSION_CONNECTING)
        dial_failed(s, DIAL_UNREACHABLE, 0, status, "cannot connect", span_of("timed out"));
    else if (wire_tls(&s->wire) == WIRE_HANDSHAKING)
        dial_failed(s, DIAL_UNREACHABLE, 0, status, "TLS handshake", span_of("timed out"));
    else
        lost(s);
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
    case SESSION_TALKING:
        on_time_out(s);
        break;
    case SESSION_LOOKING_UP:
    case SESSION_DEAD:
    case SESSION_STATES:
        break;
    }
}
