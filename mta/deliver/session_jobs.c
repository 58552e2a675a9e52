/* SPDX-License-Identifier: MIT */
/*
 * The jobs a session carries: those in flight, in the order of the client core, which has a
 * transaction for each.  A job that comes out of flight goes home, or, when nothing of it was
 * answered on a connection that had been used before, back to the pool: another may take it.
 */
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/deliver/pool.h"
#include "mta/deliver/session_inside.h"
#include "mta/deliver/settle.h"
#include "mta/mail/sender.h"

enum { SESSION_DIALS_MAX = 3, SESSION_EXIM_MESSAGES = 10, SESSION_MESSAGES = 100 };

static struct carried *oldest(struct session *s)
{
    must(s->carried_count > 0);
    return &s->carried[s->carried_head];
}

/* The recipient's own. */
static void make_sender(struct session *s, struct carried *c)
{
    const struct envelope *e = c->job->envelope;
    if (!envelope_is_individual(e))
        return;
    must(c->job->rcpt_count == 1);
    buf_clear(&c->sender);
    if (sender_write(e, &c->rcpts[0], s->shard->tokens, &c->sender) == SENDER_KEPT)
        atomic_fetch_add(&s->shard->stats.kept_senders, 1);
    c->smtp.envelope.sender = buf_text(&c->sender);
}

void session_send_job(struct session *s)
{
    struct job *job = s->job;
    must(s->carried_count < SMTP_FLIGHT_MAX);
    struct carried *c = &s->carried[(s->carried_head + s->carried_count++) % SMTP_FLIGHT_MAX];
    s->job            = NULL;
    if (c->rcpt_cap < job->rcpt_count) {
        c->rcpts    = mem_resize(c->rcpts, job->rcpt_count * sizeof *c->rcpts);
        c->rcpt_cap = job->rcpt_count;
    }
    for (size_t i = 0; i < job->rcpt_count; i++)
        c->rcpts[i] = job->rcpts[i].envelope;
    c->letter_status = letter_open(&c->letter, s->shard, job);
    c->smtp          = (struct smtp_job){
                 .envelope   = *job->envelope,
                 .rcpts      = c->rcpts,
                 .rcpt_count = job->rcpt_count,
                 .size_bytes = c->letter.bytes,
    };
    c->job       = job;
    c->has_body  = false;
    c->is_first  = s->messages == 0;
    c->had_reply = c->may_move = false;
    make_sender(s, c);
    s->messages++;
    smtp_client_send(&s->smtp, &c->smtp);
}

/* --- results --- */

/* Bytes in front of it were lost: the reply is not to this command. */
static bool is_out_of_step(const struct smtp_result *result)
{
    return result->is_behind && result->stage == SMTP_MAIL && result->reply->code >= 500 &&
           result->reply->code <= 503;
}

/*
 * On a connection that was used before, the peer may have gone in the meantime: nothing of the job
 * was answered (a RSET in front of it is not of it), or MAIL with 421, so another connection may
 * take it, and it counts as no attempt.
 */
static bool may_move(const struct carried *c, const struct smtp_result *result)
{
    bool begins  = result->stage == SMTP_MAIL || result->stage == SMTP_RSET;
    bool is_lost = result->cause == SMTP_CAUSE_LOST;
    bool is_refused =
        result->cause == SMTP_CAUSE_REPLY && (result->reply->code == 421 || is_out_of_step(result));
    return !c->is_first && !c->had_reply && begins && (is_lost || is_refused) &&
           c->job->dials < SESSION_DIALS_MAX;
}

/* The connection broke behind a body with an envelope after it; the peer did not say why. */
static bool is_break(const struct session *s, const struct smtp_result *result)
{
    const struct smtp_failure *failure = smtp_client_failure(&s->smtp);
    return result->cause == SMTP_CAUSE_LOST && failure->cause != SMTP_CAUSE_REPLY &&
           !s->shard->is_draining;
}

/* What happened where one message meets the next decides whether this host is trusted with that. */
static void note_boundary(struct session *s, const struct smtp_result *result)
{
    bool is_refused = result->cause == SMTP_CAUSE_REPLY && is_out_of_step(result);
    if (result->cause == SMTP_CAUSE_NO_BDAT)
        session_note_trouble(s, PEER_NO_BDAT);
    else if (result->is_behind && (is_refused || is_break(s, result)))
        session_note_trouble(s, PEER_STUMBLED);
    else if (result->cause == SMTP_CAUSE_PROTOCOL)
        session_note_trouble(s, PEER_OUT_OF_STEP);
    else if (result->is_behind && result->cause == SMTP_CAUSE_REPLY && s->peer_stumbled)
        session_note_trouble(s, PEER_WALKS);
    s->is_out_of_step = s->is_out_of_step || is_refused;
}

void session_take_results(struct session *s)
{
    struct smtp_result result;
    while (smtp_client_result(&s->smtp, &result)) {
        struct carried *c = CONTAINER_OF(result.job, struct carried, smtp);
        if (result.rcpt == 0 || result.cause == SMTP_CAUSE_NO_BDAT)
            note_boundary(s, &result);
        if (c->may_move || may_move(c, &result)) {
            c->may_move = true;
            continue;
        }
        c->had_reply = c->had_reply || result.cause == SMTP_CAUSE_REPLY;
        if (!c->is_settled)
            settle_result(c->job, &result, s->host);
    }
}

static void give_back(struct session *s, struct job *job)
{
    if (s->found_trouble) {
        session_give_home(s, job); /* undecided: the queue knows more than we do by then */
        return;
    }
    job->dials++;
    atomic_fetch_add(&s->shard->stats.moves, 1);
    pool_put_back(s->pool, job);
}

static void finish_oldest(struct session *s)
{
    struct carried *c = oldest(s);
    struct job *job   = c->job;
    c->job            = NULL;
    c->is_settled     = false;
    body_give(c->body);
    letter_close(&c->letter);
    c->body         = NULL;
    s->carried_head = (s->carried_head + 1) % SMTP_FLIGHT_MAX;
    s->carried_count--;
    if (c->may_move)
        give_back(s, job);
    else
        session_give_home(s, job);
}

void session_finish_jobs(struct session *s)
{
    bool has_finished = s->carried_count > s->smtp.flight_count;
    while (s->carried_count > s->smtp.flight_count)
        finish_oldest(s);
    if (has_finished && s->smtp.phase != SMTP_PHASE_DONE)
        session_remember_host(s);
}

/* --- bodies --- */

/* The content cannot be sent.  A smuggling line end is for ever; a disk that cannot be read may
 * come back. */
static void abandon_body(struct session *s, struct carried *c, enum status status)
{
    static const unsigned char bad_content[3] = {5, 6, 0}, bad_disk[3] = {4, 3, 0};
    bool is_bad = status == BAD_INPUT;
    job_settle_rest(c->job, is_bad ? JOB_FAILED : JOB_DEFERRED, 0, is_bad ? bad_content : bad_disk,
                    span_of(is_bad ? "the message holds a bare CR, LF or a NUL and cannot be sent"
                                   : "the stored message cannot be read"),
                    "");
    c->is_settled = true; /* the verdict stands already */
    smtp_client_abandon(&s->smtp);
}

/* The peer was told how long a chunk is; what is stored must be that. */
static bool fits_chunk(const struct session *s, size_t bytes, bool is_last)
{
    uint64_t left = s->smtp.body.left;
    return !smtp_client_is_chunk(&s->smtp) || (bytes <= left && is_last == (bytes == left));
}

/* The next piece, read for this job alone, behind what stands in 'stuffed'. */
static enum status render_piece(struct session *s, struct carried *c, bool *is_last)
{
    struct shard *shard = s->shard;
    if (!c->has_body)
        render_init(&c->render, c->job->content, c->letter.skip, smtp_client_is_chunk(&s->smtp));
    c->has_body = true;
    return render_next(&c->render, shard->scratch, &shard->stuffed, is_last);
}

/* The next piece of what all jobs of the message send. */
static enum status take_piece(struct session *s, struct carried *c, struct span *piece,
                              bool *is_last)
{
    struct shard *shard       = s->shard;
    const struct body_key key = {c->job->message_id,
                                 (smtp_client_is_chunk(&s->smtp) ? BODY_CHUNK : BODY_DATA) |
                                     (c->letter.skip > 0 ? BODY_REST : 0)};
    enum status status        = OK;
    if (c->body == NULL) {
        c->body_at = 0;
        status = bodies_take(&shard->bodies, c->job->content, &key, c->letter.skip, shard->scratch,
                             shard->now_ms, &c->body);
    }
    if (status != OK)
        return status;
    struct span rest = span_skip(buf_span(&c->body->bytes), c->body_at);
    *piece           = span_first(rest, RENDER_PIECE_BYTES - shard->stuffed.len);
    *is_last         = piece->len == rest.len;
    c->body_at += piece->len;
    return OK;
}

/* What comes behind the front of the letter, which may stand in 'stuffed' already: one write. */
static enum status next_piece(struct session *s, struct carried *c, struct span *piece,
                              bool *is_last)
{
    struct buf *stuffed = &s->shard->stuffed;
    bool is_shared      = c->job->has_siblings && c->job->content_bytes <= BODY_BYTES_MAX;
    if (!is_shared) {
        enum status status = render_piece(s, c, is_last);
        *piece             = buf_span(stuffed);
        return status;
    }
    enum status status = take_piece(s, c, piece, is_last);
    if (status == OK && stuffed->len > 0) {
        buf_put(stuffed, *piece);
        *piece = buf_span(stuffed);
    }
    return status;
}

static enum status letter_piece(struct session *s, struct carried *c, struct span *piece,
                                bool *is_last)
{
    enum { FRONT_BYTES = RENDER_PIECE_BYTES / 2 }; /* so that some of the body goes with it */
    struct buf *stuffed = &s->shard->stuffed;
    enum status status  = c->letter_status;
    buf_clear(stuffed);
    if (status != OK)
        return status;
    bool has_front = letter_take_front(&c->letter, FRONT_BYTES, smtp_client_is_chunk(&s->smtp),
                                       stuffed, is_last, &status);
    if (status != OK)
        return status;
    if (has_front && (c->letter.is_whole || c->letter.front_at < c->letter.front.len)) {
        *piece = buf_span(stuffed);
        return OK;
    }
    return next_piece(s, c, piece, is_last);
}

void session_give_body(struct session *s)
{
    struct shard *shard = s->shard;
    struct carried *c   = CONTAINER_OF(smtp_client_body_job(&s->smtp), struct carried, smtp);
    bool is_last        = false;
    enum status status  = letter_piece(s, c, &shard->piece, &is_last);
    if (status == OK && !fits_chunk(s, shard->piece.len, is_last))
        status = CORRUPT;
    if (status != OK)
        abandon_body(s, c, status);
    else
        smtp_client_body(&s->smtp, &shard->piece, 1, is_last);
}

/* --- how much more --- */

/* 'mail_max' 0: the host names none. */
static unsigned most_messages(const struct session *s, bool says_exim, unsigned mail_max)
{
    unsigned max = s->pool->limits.messages_per_connection;
    if (max == 0)
        max = says_exim ? SESSION_EXIM_MESSAGES : SESSION_MESSAGES;
    return mail_max > 0 && mail_max < max ? mail_max : max;
}

static unsigned messages_max(const struct session *s)
{
    return most_messages(s, s->smtp.says_exim, s->smtp.mail_max);
}

bool session_may_carry_more(const struct session *s)
{
    return s->messages < messages_max(s) && !s->shard->is_draining && !pool_is_crowded(s->pool);
}

/* Heard of within the time in which a good host answers. */
static bool is_lively(const struct session *s)
{
    return s->shard->now_ms - s->heard_ms < POOL_PATIENCE_MS;
}

bool session_takes_next(const struct session *s)
{
    return s->state == SESSION_TALKING && s->job == NULL && is_lively(s) &&
           (smtp_client_wants(&s->smtp) & SMTP_WANT_NEXT) != 0 && session_may_carry_more(s);
}

/* It is dialled, or greeted, for its first job.  A second connection would not be ready before it,
 * and could resume no TLS session; so the next job rides behind the first. */
static bool is_on_its_way(const struct session *s)
{
    bool is_talking = s->state == SESSION_TALKING;
    return s->job != NULL && s->carried_count == 0 &&
           (is_talking || s->state == SESSION_LOOKING_UP || s->state == SESSION_CONNECTING);
}

/* As far as is known before it has greeted.  Without PIPELINING a message takes as long as a
 * connection. */
static bool can_take_two(const struct session *s)
{
    const struct peer_greeting *g = &s->expected;
    bool is_stranger              = g->until_ms == 0;
    return (is_stranger || (g->extensions & SMTP_EXT_PIPELINING) != 0) &&
           most_messages(s, g->says_exim, g->mail_max) > 1;
}

bool session_will_take_next(const struct session *s)
{
    if (is_on_its_way(s))
        return is_lively(s) && session_may_carry_more(s) && can_take_two(s);
    if (s->state != SESSION_TALKING || s->smtp.phase != SMTP_PHASE_READY || !is_lively(s) ||
        (s->smtp.offered & SMTP_EXT_PIPELINING) == 0 || s->config.is_one_by_one || s->job != NULL ||
        s->carried_count != 1 || !session_may_carry_more(s))
        return false;
    return s->carried[s->carried_head].job->content_bytes <= SESSION_SMALL_BYTES;
}
