/* SPDX-License-Identifier: MIT */
/*
 * The envelope and the commit; intake_content.c has what is between.  A mail lives until its commit
 * has ended, even if its owner has gone: until then it is in 'committing'.
 */
#include "mta/base/fault.h"
#include "mta/base/list.h"
#include "mta/base/mem.h"
#include "mta/mail/address.h"
#include "mta/mail/escape.h"
#include "mta/mail/msgid.h"
#include "mta/receive/intake_inside.h"
#include "mta/sys/clock.h"
#include <stdio.h>
#include <string.h>

enum { INTAKE_FLOW_BYTES = ADDRESS_BYTES_MAX + 1 };

struct seen {
    struct table_node by_address;
    char text[];
};

struct intake *intake_new(struct spool *spool, struct queue *queue, struct event_log *log,
                          const struct intake_settings *settings)
{
    struct intake *intake = mem_new(sizeof *intake);
    *intake = (struct intake){.spool = spool, .queue = queue, .log = log, .settings = settings};
    clock_random(&intake->seed, sizeof intake->seed);
    intake->digest = digest_new();
    posts_init(&intake->posts, spool, queue, intake->seed);
    return intake;
}

static void mail_free(struct intake_mail *mail);

/* Commits on their way end without us: what reaches the disk is found at the next start. */
void intake_free(struct intake *intake)
{
    struct list *node;
    while ((node = list_first(&intake->committing)) != NULL) {
        struct intake_mail *mail = CONTAINER_OF(node, struct intake_mail, in_committing);
        draft_set_owner(mail->draft, NULL);
        mail_free(mail);
    }
    posts_release(&intake->posts);
    while ((node = list_first(&intake->growing)) != NULL)
        growth_free(CONTAINER_OF(node, struct growth, link));
    digest_free(intake->digest);
    mem_free(intake);
}

void intake_set_settings(struct intake *intake, const struct intake_settings *settings)
{
    intake->settings = settings;
}

uint64_t intake_turn(struct intake *intake, uint64_t now_ms)
{
    intake->now_ms   = now_ms;
    uint64_t next_ms = posts_turn(&intake->posts, intake->settings->join_ms, now_ms);
    uint64_t grow_ms = intake_end_growth(intake);
    return grow_ms < next_ms ? grow_ms : next_ms;
}

void intake_stop(struct intake *intake)
{
    intake->is_stopping = true;
    posts_close_all(&intake->posts, intake->now_ms);
}

void intake_note_id(struct intake *intake, uint64_t id)
{
    if (id > intake->last_id)
        intake->last_id = id;
}

const char *intake_refusal(const struct intake *intake)
{
    if (!spool_has_room(intake->spool))
        return spool_refusal(intake->spool);
    return queue_memory_bytes(intake->queue) + spool_memory_bytes(intake->spool) >
                   intake->settings->memory_bytes_max
               ? "the queue holds all it may (limits.memory)"
               : NULL;
}

/* --- the envelope --- */

struct intake_mail *intake_open(struct intake *intake, const struct envelope *envelope)
{
    struct intake_mail *mail = mem_new(sizeof *mail);
    mail->intake             = intake;
    mail->message            = message_new(0, envelope);
    mail->asks_utf8          = envelope->needs_utf8;
    mail->is_8bit_asked      = envelope->is_8bit;
    mail->cursor             = SPOOL_CURSOR_DONE;
    table_init(&mail->seen, intake->seed);
    header_scan_init(&mail->scan);
    return mail;
}

void intake_set_user(struct intake_mail *mail, const char *user)
{
    must(mail->user == NULL && mail->draft == NULL);
    mail->user = *user == '\0' ? NULL : mem_text(user);
}

/* The same mailbox: the local part as it is, the domain without case. */
static bool is_new(struct intake_mail *mail, struct span address)
{
    struct span domain = address_domain(address);
    struct seen *seen  = arena_new(&mail->seen_arena, sizeof *seen + address.len);
    size_t local       = address.len - domain.len;
    memcpy(seen->text, address.at, local);
    for (size_t i = local; i < address.len; i++)
        seen->text[i] = ascii_lower(address.at[i]);
    struct span key = span_make(seen->text, address.len);
    if (table_find(&mail->seen, key) != NULL)
        return false;
    table_insert(&mail->seen, &seen->by_address, key);
    return true;
}

void intake_rcpt(struct intake_mail *mail, const struct envelope_rcpt *rcpt)
{
    if (is_new(mail, span_of(rcpt->address)))
        message_add_rcpt(mail->message, rcpt);
}

uint32_t intake_rcpt_count(const struct intake_mail *mail)
{
    return mail->message->rcpt_count;
}

static void forget_seen(struct intake_mail *mail)
{
    table_release(&mail->seen);
    arena_release(&mail->seen_arena);
}

/* --- the content --- */

static void write_trace(struct intake_mail *mail, const struct header_trace *from)
{
    char id[MSGID_TEXT_BYTES];
    const struct message *m   = mail->message;
    struct header_trace trace = *from;
    trace.id                  = msgid_text(m->id, id);
    trace.by                  = mail->intake->settings->hostname;
    trace.rcpt                = m->rcpt_count == 1 ? message_rcpt(m, 0)->address : NULL;
    trace.wall_ms             = mail->wall_ms;
    header_write_received(&mail->trace, &trace);
    (void)snprintf(mail->ip, sizeof mail->ip, "%s", from->client_ip);
    (void)snprintf(mail->protocol, sizeof mail->protocol, "%s", from->protocol);
    (void)snprintf(mail->tls, sizeof mail->tls, "%s", from->tls == NULL ? "" : from->tls);
}

enum status intake_begin(struct intake_mail *mail, const struct header_trace *trace,
                         uint64_t wall_ms)
{
    struct intake *intake = mail->intake;
    must(mail->draft == NULL && mail->message->rcpt_count > 0);
    forget_seen(mail);
    mail->wall_ms     = wall_ms;
    mail->is_ours     = trace == NULL;
    intake->last_id   = msgid_next(intake->last_id, wall_ms);
    mail->message->id = intake->last_id;
    mail->draft       = draft_open(intake->spool);
    if (mail->draft == NULL)
        return spool_is_broken(intake->spool) ? IO_ERROR : NO_SPACE;
    if (trace != NULL)
        write_trace(mail, trace);
    return OK;
}

bool intake_should_wait(const struct intake_mail *mail)
{
    return mail->draft != NULL && draft_should_wait(mail->draft);
}

bool intake_is_looping(const struct intake_mail *mail)
{
    return mail->scan.received_count >= HEADER_RECEIVED_MAX;
}

uint64_t intake_id(const struct intake_mail *mail)
{
    return mail->message->id;
}

const char *intake_sender(const struct intake_mail *mail)
{
    return mail->message->envelope.sender;
}

void intake_note(struct intake_mail *mail, bool is_8bit, bool saw_bare)
{
    struct envelope *envelope = &mail->message->envelope;
    envelope->is_8bit         = envelope->is_8bit || is_8bit;
    mail->saw_bare            = saw_bare;
}

void intake_ends(struct intake_mail *mail, const struct spool_end *ends, size_t count)
{
    must(mail->ends == NULL);
    mail->ends      = mem_new_array(count, sizeof *ends);
    mail->end_count = count;
    memcpy(mail->ends, ends, count * sizeof *ends);
}

/* --- the commit --- */

/* Whose mail it is: the list's that the header names, else the user's, else the sender's. */
static void set_flow(struct intake_mail *mail)
{
    char flow[INTAKE_FLOW_BYTES];
    const char *sender = mail->user != NULL ? mail->user : mail->message->envelope.sender;
    if (mail->scan.list_id[0] != '\0')
        (void)snprintf(flow, sizeof flow, "%s", mail->scan.list_id);
    else
        (void)snprintf(flow, sizeof flow, "%s", *sender == '\0' ? "<>" : sender);
    for (char *c = flow; *c != '\0'; c++)
        *c = ascii_lower(*c);
    message_set_flow(mail->message, span_of(flow));
}

static void describe(struct intake_mail *mail, struct spool_entry *entry)
{
    struct message *m   = mail->message;
    bool sender_is_utf8 = !text_is_ascii(span_of(m->envelope.sender));
    m->arrival_wall_ms  = mail->wall_ms;
    m->is_report        = mail->is_ours && m->envelope.sender[0] == '\0';
    m->envelope.needs_utf8 =
        mail->asks_utf8 && (mail->is_ours || mail->scan.has_8bit || sender_is_utf8);
    *entry =
        (struct spool_entry){.id              = m->id,
                             .arrival_wall_ms = m->arrival_wall_ms,
                             .expire_wall_ms  = mail->wall_ms + mail->intake->settings->expire_ms,
                             .envelope        = m->envelope,
                             .flow            = message_flow(m),
                             .message_id      = mail->scan.message_id,
                             .is_report       = m->is_report,
                             .is_open         = m->is_open,
                             .is_growing      = mail->growth != NULL,
                             .cursor          = mail->cursor};
}

/* Others may join it from now on, and do so behind it.  A list post to several is likely to have
 * more of them. */
static void open_post(struct intake_mail *mail)
{
    struct intake *intake = mail->intake;
    struct message *m     = mail->message;
    if (!mail->has_key || intake->is_stopping || mail->client_bytes > POST_CONTENT_MAX)
        return;
    mail->post               = posts_open(&intake->posts, &mail->key, m->id, intake->now_ms);
    mail->post->client_bytes = mail->client_bytes;
    mail->post->prefix_bytes = mail->prefix_bytes;
    must(post_take(&intake->posts, mail->post, m));
    m->is_open    = true;
    m->may_linger = mail->scan.list_id[0] != '\0' && m->rcpt_count > 1;
}

/* More of its list comes. */
static void open_growth(struct intake_mail *mail)
{
    struct message *m = mail->message;
    if (mail->cursor == SPOOL_CURSOR_DONE)
        return;
    mail->growth             = growth_new(&mail->intake->growing, m->id, mail->cursor);
    mail->growth->is_pending = true;
    m->is_open               = true;
    m->may_linger            = m->rcpt_count > 1;
}

static void commit_message(struct intake_mail *mail, const struct envelope_rcpt *rcpts)
{
    struct spool_entry entry;
    set_flow(mail);
    open_post(mail);
    open_growth(mail);
    describe(mail, &entry);
    draft_commit(mail->draft, &entry, rcpts, mail->message->rcpt_count, mail->ends,
                 mail->end_count);
}

static void commit_content(struct intake_mail *mail, const struct envelope_rcpt *rcpts)
{
    mail->post  = intake_end_content(mail);
    mail->joins = mail->post != NULL;
    if (mail->joins)
        draft_join(mail->draft, mail->post->id, rcpts, mail->message->rcpt_count);
    else
        commit_message(mail, rcpts);
}

void intake_commit(struct intake_mail *mail, void *owner, uint64_t wall_ms)
{
    struct message *m           = mail->message;
    struct envelope_rcpt *rcpts = mem_new_array(m->rcpt_count, sizeof *rcpts);
    for (uint32_t i = 0; i < m->rcpt_count; i++)
        rcpts[i] = recipient_envelope(message_rcpt(m, i));
    mail->wall_ms       = wall_ms;
    mail->owner         = owner;
    mail->is_committing = true;
    list_push(&mail->intake->committing, &mail->in_committing);
    draft_set_owner(mail->draft, mail);
    if (mail->is_slice)
        draft_grow(mail->draft, mail->growth->id, rcpts, m->rcpt_count, mail->cursor);
    else
        commit_content(mail, rcpts);
    mem_free(rcpts);
}

void intake_disown(struct intake_mail *mail)
{
    must(mail->is_committing);
    mail->owner = NULL;
}

static void mail_free(struct intake_mail *mail)
{
    list_remove(&mail->in_committing);
    forget_seen(mail);
    intake_release_content(mail);
    mem_free(mail->ends);
    mem_free(mail->user);
    if (mail->message != NULL)
        message_free(mail->message);
    mem_free(mail);
}

void intake_abort(struct intake_mail *mail)
{
    must(!mail->is_committing);
    if (mail->draft != NULL)
        draft_abort(mail->draft);
    if (mail->is_slice)
        mail->growth->is_pending = false;
    mail_free(mail);
}

/* 'm': the message that its recipients are in. */
static void log_accepted(struct intake *intake, const struct intake_mail *mail,
                         const struct message *m, uint64_t wall_ms)
{
    char id[MSGID_TEXT_BYTES];
    event_begin(intake->log, EVENT_ACCEPTED, wall_ms);
    event_text(intake->log, "id", span_of(msgid_text(m->id, id)));
    event_text(intake->log, "from", span_of(m->envelope.sender));
    event_number(intake->log, "rcpts", mail->message->rcpt_count);
    if (mail->joins || mail->is_slice)
        event_true(intake->log, "joined");
    event_number(intake->log, "size", content_bytes(m->content));
    event_text(intake->log, "flow", span_of(message_flow(m)));
    event_text(intake->log, "list", span_of(mail->scan.list_id));
    event_text(intake->log, "message_id", span_of(mail->scan.message_id));
    event_text(intake->log, "user", span_of(mail->user));
    event_text(intake->log, "ip", span_of(mail->ip));
    event_text(intake->log, "protocol", span_of(mail->protocol));
    event_text(intake->log, "tls", span_of(mail->tls));
    event_text(intake->log, "normalised", span_of(mail->saw_bare ? "bare CR, LF or NUL" : ""));
    event_end(intake->log);
}

/* Durable: the queue owns the message from here on. */
static void enqueue(struct intake *intake, struct intake_mail *mail, struct content *content,
                    uint64_t now_ms, uint64_t wall_ms)
{
    struct message *m = mail->message;
    m->content        = content;
    log_accepted(intake, mail, m, wall_ms);
    mail->message = NULL;
    if (mail->post != NULL) {
        mail->post->message = m;
        mail->post->content = content_hold(content);
    }
    if (mail->growth != NULL)
        mail->growth->message = m;
    queue_accept(intake->queue, m, intake->settings->expire_ms, NULL, now_ms);
}

static void append(struct intake *intake, const struct intake_mail *mail, uint64_t now_ms,
                   uint64_t wall_ms)
{
    struct message *m = mail->is_slice ? mail->growth->message : mail->post->message;
    must(m != NULL); /* the commit it joined has ended before, and well */
    if (mail->message->rcpt_count > 0)
        log_accepted(intake, mail, m, wall_ms);
    queue_append(intake->queue, m, mail->message, now_ms);
}

static uint64_t id_of(const struct intake_mail *mail)
{
    if (mail->is_slice)
        return mail->growth->id;
    return mail->joins ? mail->post->id : mail->message->id;
}

bool intake_take_done(struct intake *intake, struct intake_done *done, uint64_t now_ms,
                      uint64_t wall_ms)
{
    enum status status;
    struct content *content = NULL;
    struct draft *draft     = spool_take_committed(intake->spool, &status, &content);
    if (draft == NULL)
        return false;
    struct intake_mail *mail = draft_owner(draft);
    *done                    = (struct intake_done){.owner      = mail->owner,
                                                    .status     = status,
                                                    .id         = id_of(mail),
                                                    .rcpt_count = mail->message->rcpt_count,
                                                    .is_report  = mail->is_ours,
                                                    .cursor     = mail->cursor};
    intake->now_ms           = now_ms;
    if (status == OK && (mail->joins || mail->is_slice))
        append(intake, mail, now_ms, wall_ms);
    else if (status == OK)
        enqueue(intake, mail, content, now_ms, wall_ms);
    if (mail->post != NULL)
        post_end(&intake->posts, mail->post, status, now_ms);
    if (mail->growth != NULL)
        intake_grown(mail, status);
    draft_abort(draft);
    mail_free(mail);
    return true;
}
