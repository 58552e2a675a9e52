/* SPDX-License-Identifier: MIT */
/*
 * c-ares carries our own packets: it knows sockets, time-outs, the next server after a silent one,
 * and TCP.  We know what an answer is worth.  ARES_FLAG_NOCHECKRESP gives us every rcode, so a
 * server that fails is no dead server, but c-ares then asks nobody else.  Therefore:
 *
 *     one channel for each server, whose list begins with that server:  [a b c] [b c a] [c a b]
 *     ask on the preferred channel -> good answer: done
 *                                  -> refusal: ask on the next channel, until all were asked
 *                                     (a single server twice), then the refusal is the answer
 *
 * After a time-out the preference moves on, so that a dead first server costs its time-out once and
 * not for every name.
 *
 * A socket serves many questions, because making one costs more than asking; but not for long,
 * because whoever knows its port has half of what it takes to forge an answer.  So each channel has
 * two lines, and they take turns: one is hung up once all its questions are answered.
 *
 * Callbacks of c-ares only move a question to 'answered'; what follows happens in resolver_take().
 */
#include "dns/packet.h"
#include "dns/resolver.h"
#include "dns/servers_cares.h"
#include "mta/base/bytes.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/sys/clock.h"
#include "mta/sys/loop_uv.h"
#include "mta/sys/net.h"
#include <string.h>

enum {
    RESOLVER_TIMEOUT_MS  = 2000,
    RESOLVER_TRIES       = 4,
    RESOLVER_QUESTION_MS = 30000, /* in all; then there is no further try */
    RESOLVER_TICK_MS     = 100,   /* how exactly time-outs are kept */
    RESOLVER_LINE_MS     = 1000,  /* then the other line has its turn */
    RESOLVER_LINES       = 2,
    RESOLVER_ASKED_MIN   = 2,
    RESOLVER_OPT_BYTES   = 11, /* what dns_write_query() puts last */
    RESOLVER_ARCOUNT_AT  = 10, /* in the header */
};

/* c-ares with sockets of its own. */
struct line {
    struct channel *channel;
    ares_channel ares; /* NULL: not there yet */
    size_t asked;      /* questions without an answer */
};

struct channel {
    struct resolver *resolver;
    struct line lines[RESOLVER_LINES];
    size_t line; /* the one for the next question */
    uint64_t since_ms;
    bool is_plain; /* c-ares has dropped EDNS on it, and so do we */
};

struct resolver {
    struct loop *loop;
    uv_timer_t tick;
    size_t channel_count, preferred;
    struct channel channels[SERVERS_MAX];
    struct servers servers;
    struct list sockets, asked, answered;
    struct question *taken; /* holds the packet that resolver_take() gave */
    size_t handles;         /* not closed yet; the last one frees */
    bool is_closing;
};

/* A socket of c-ares, watched. */
struct socket {
    uv_poll_t poll;
    struct line *line;
    int fd;
    struct list in_resolver;
};

struct question {
    struct list in_resolver; /* asked, or answered */
    struct resolver *resolver;
    void *tag;
    uint64_t asked_ms;
    size_t channel; /* where it was asked last */
    struct line *line;
    unsigned asked;     /* how often */
    enum status status; /* of the last answer */
    struct buf query, packet;
};

/* Sockets and time: c-ares tells what it waits for, libuv tells when. */

static void handle_closed(struct resolver *r)
{
    if (--r->handles == 0 && r->is_closing)
        mem_free(r);
}

static void on_tick_closed(uv_handle_t *tick)
{
    handle_closed(tick->data);
}

static void on_socket_closed(uv_handle_t *poll)
{
    struct socket *s   = poll->data;
    struct resolver *r = s->line->channel->resolver;
    mem_free(s);
    handle_closed(r);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    const struct socket *s = poll->data;
    if (status < 0)
        events = UV_READABLE | UV_WRITABLE; /* the next read or write tells c-ares */
    ares_process_fd(s->line->ares, events & UV_READABLE ? s->fd : ARES_SOCKET_BAD,
                    events & UV_WRITABLE ? s->fd : ARES_SOCKET_BAD);
}

/* Its sockets go. */
static bool hang_up(struct line *line)
{
    const struct resolver *r = line->channel->resolver;
    return servers_give(&r->servers, (size_t)(line->channel - r->channels), line->ares);
}

static void keep_time(struct channel *channel)
{
    for (size_t i = 0; i < RESOLVER_LINES; i++)
        ares_process_fd(channel->lines[i].ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

/* Nobody asks any more: the next who does gets another port. */
static void rest(struct resolver *r)
{
    for (size_t i = 0; i < r->channel_count; i++)
        for (size_t j = 0; j < RESOLVER_LINES; j++)
            must(hang_up(&r->channels[i].lines[j]));
    (void)uv_timer_stop(&r->tick);
}

static void on_tick(uv_timer_t *tick)
{
    struct resolver *r = tick->data;
    for (size_t i = 0; i < r->channel_count; i++)
        keep_time(&r->channels[i]);
    if (!list_is_empty(&r->answered))
        uv_stop(&r->loop->uv); /* a turn is owed: the poll that follows a timer must not sleep */
    if (list_is_empty(&r->asked))
        rest(r);
}

static struct socket *socket_of(const struct resolver *r, int fd)
{
    for (struct list *n = list_first(&r->sockets); n != NULL; n = list_next(&r->sockets, n)) {
        struct socket *s = CONTAINER_OF(n, struct socket, in_resolver);
        if (s->fd == fd)
            return s;
    }
    return NULL;
}

static struct socket *socket_open(struct line *line, int fd)
{
    struct resolver *r = line->channel->resolver;
    struct socket *s   = mem_new(sizeof *s);
    s->line            = line;
    s->fd              = fd;
    must(uv_poll_init(&r->loop->uv, &s->poll, fd) == 0);
    s->poll.data = s;
    r->handles++;
    list_push(&r->sockets, &s->in_resolver);
    return s;
}

/* c-ares closes the descriptor right after it has said that it wants nothing more. */
static void on_socket_state(void *data, ares_socket_t fd, int readable, int writable)
{
    struct line *line  = data;
    struct resolver *r = line->channel->resolver;
    struct socket *s   = socket_of(r, fd);
    int events         = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);
    if (s == NULL && events != 0)
        s = socket_open(line, fd);
    if (s == NULL)
        return;
    loop_touch_uv(r->loop);
    if (events != 0) {
        must(uv_poll_start(&s->poll, events, on_poll) == 0);
        return;
    }
    list_remove(&s->in_resolver);
    (void)uv_poll_stop(&s->poll);
    uv_close((uv_handle_t *)&s->poll, on_socket_closed);
}

/* Questions. */

static void question_free(struct question *q)
{
    if (q == NULL)
        return;
    list_remove(&q->in_resolver);
    buf_release(&q->query);
    buf_release(&q->packet);
    mem_free(q);
}

static void note(struct question *q, enum status status)
{
    q->status = status;
    list_move(&q->resolver->answered, &q->in_resolver);
    loop_note(q->resolver->loop);
}

static enum status status_of(int ares_status)
{
    switch (ares_status) {
    case ARES_SUCCESS:
        return OK;
    case ARES_ETIMEOUT:
        return TIMED_OUT;
    case ARES_EDESTRUCTION:
    case ARES_ECANCELLED:
        return CLOSED;
    case ARES_EBADQUERY:
    case ARES_EBADNAME:
        return BAD_INPUT;
    default:
        return UNREACHABLE;
    }
}

static void on_answer(void *data, int ares_status, int timeouts, unsigned char *bytes, int len)
{
    struct question *q = data;
    struct resolver *r = q->resolver;
    q->line->asked--;
    buf_clear(&q->packet);
    if (ares_status == ARES_SUCCESS && len > 0)
        buf_put(&q->packet, span_make((const char *)bytes, (size_t)len));
    if (timeouts > 0 && q->channel == r->preferred)
        r->preferred = (r->preferred + 1) % r->channel_count;
    note(q, status_of(ares_status));
}

/*
 * On a FORMERR without OPT c-ares cuts the OPT record off the question, which must be the last
 * thing in it, asks again, and speaks no EDNS on that channel from then on.  The next such FORMERR
 * comes to us, so from there questions on that channel go without OPT.
 */
static size_t write_header(struct question *q, const struct channel *channel)
{
    uint16_t id;
    clock_random(&id, sizeof id); /* ares_send() takes the id as it stands in the packet */
    bytes_put16(q->query.at, id);
    bytes_put16(q->query.at + RESOLVER_ARCOUNT_AT, channel->is_plain ? 0 : 1);
    return q->query.len - (channel->is_plain ? RESOLVER_OPT_BYTES : 0);
}

static struct line *line_for(struct channel *channel)
{
    uint64_t now_ms  = clock_now_ms();
    size_t next      = (channel->line + 1) % RESOLVER_LINES;
    struct line *one = &channel->lines[next];
    if (now_ms - channel->since_ms >= RESOLVER_LINE_MS && one->asked == 0) {
        must(hang_up(one));
        channel->line     = next;
        channel->since_ms = now_ms;
    }
    return &channel->lines[channel->line];
}

static void send_on(struct question *q, size_t channel)
{
    struct resolver *r = q->resolver;
    size_t len         = write_header(q, &r->channels[channel]);
    q->channel         = channel;
    q->line            = line_for(&r->channels[channel]);
    q->asked++;
    q->line->asked++;
    list_move(&r->asked, &q->in_resolver);
    loop_touch_uv(r->loop);
    if (!uv_is_active((uv_handle_t *)&r->tick))
        (void)uv_timer_start(&r->tick, on_tick, RESOLVER_TICK_MS, RESOLVER_TICK_MS);
    ares_send(q->line->ares, (const unsigned char *)q->query.at, (int)len, on_answer, q);
}

void resolver_ask(struct resolver *r, struct span name, unsigned type, void *tag)
{
    struct question *q = mem_new(sizeof *q);
    q->resolver        = r;
    q->tag             = tag;
    q->asked_ms        = clock_now_ms();
    if (dns_write_query(&q->query, name, (enum dns_type)type, 0))
        send_on(q, r->preferred);
    else
        note(q, BAD_INPUT);
}

/* An rcode that speaks of the server rather than of the name. */
static bool is_refusal(const struct dns_answer *answer)
{
    return answer->rcode != DNS_NOERROR && answer->rcode != DNS_NXDOMAIN;
}

/* Whether the answer is not worth having, and another server is asked. */
static bool was_asked_again(struct question *q)
{
    struct resolver *r = q->resolver;
    unsigned most      = r->channel_count > 1 ? (unsigned)r->channel_count : RESOLVER_ASKED_MIN;
    struct dns_answer answer;
    if (q->status != OK || q->asked >= most || clock_now_ms() - q->asked_ms >= RESOLVER_QUESTION_MS)
        return false;
    if (dns_answer_parse(&answer, buf_span(&q->packet)) == OK) {
        if (!is_refusal(&answer))
            return false;
        if (answer.rcode == DNS_FORMERR && !answer.has_opt)
            r->channels[q->channel].is_plain = true;
    }
    send_on(q, (q->channel + 1) % r->channel_count);
    return true;
}

bool resolver_take(struct resolver *r, struct resolver_answer *answer)
{
    struct list *node;
    question_free(r->taken);
    r->taken = NULL;
    while ((node = list_take(&r->answered)) != NULL) {
        struct question *q = CONTAINER_OF(node, struct question, in_resolver);
        if (was_asked_again(q))
            continue;
        *answer = (struct resolver_answer){
            .tag = q->tag, .status = q->status, .packet = buf_span(&q->packet)};
        r->taken = q;
        return true;
    }
    return false;
}

/* Opening. */

/* The longest series of doubling time-outs over all servers that ends in time; at least one. */
static int tries_in_time(unsigned timeout_ms, unsigned tries, size_t server_count)
{
    unsigned fitting = 0;
    uint64_t all_ms = 0, round_ms = (uint64_t)timeout_ms * server_count;
    while (fitting < tries && all_ms + round_ms <= RESOLVER_QUESTION_MS) {
        all_ms += round_ms;
        round_ms *= 2;
        fitting++;
    }
    return fitting > 0 ? (int)fitting : 1;
}

static int line_options(struct line *line, const struct resolver_config *config,
                        size_t server_count, struct ares_options *options)
{
    unsigned timeout_ms = config->timeout_ms > 0 ? config->timeout_ms : RESOLVER_TIMEOUT_MS;
    unsigned tries      = config->tries > 0 ? config->tries : RESOLVER_TRIES;
    *options =
        (struct ares_options){.flags = ARES_FLAG_EDNS | ARES_FLAG_NOCHECKRESP | ARES_FLAG_NOSEARCH |
                                       ARES_FLAG_NOALIASES | ARES_FLAG_STAYOPEN,
                              .timeout            = (int)timeout_ms,
                              .tries              = tries_in_time(timeout_ms, tries, server_count),
                              .ednspsz            = DNS_UDP_BYTES,
                              .sock_state_cb      = on_socket_state,
                              .sock_state_cb_data = line};
    return ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ |
           ARES_OPT_SOCK_STATE_CB | ARES_OPT_NOROTATE;
}

static bool open_lines(struct channel *channel, const struct resolver_config *config)
{
    struct ares_options options;
    for (size_t i = 0; i < RESOLVER_LINES; i++) {
        struct line *line = &channel->lines[i];
        line->channel     = channel;
        int mask          = line_options(line, config, channel->resolver->servers.count, &options);
        if (ares_init_options(&line->ares, &options, mask) != ARES_SUCCESS) {
            line->ares = NULL;
            return false;
        }
        if (!hang_up(line))
            return false;
    }
    return true;
}

static bool open_channels(struct resolver *r, const struct resolver_config *config)
{
    for (size_t i = 0; i < r->servers.count; i++) {
        struct channel *channel = &r->channels[r->channel_count++];
        channel->resolver       = r;
        if (!open_lines(channel, config))
            return false;
    }
    return true;
}

static struct resolver *resolver_new(struct loop *loop)
{
    struct resolver *r = mem_new(sizeof *r);
    r->loop            = loop;
    list_init(&r->sockets);
    list_init(&r->asked);
    list_init(&r->answered);
    must(uv_timer_init(&loop->uv, &r->tick) == 0);
    r->tick.data = r;
    r->handles   = 1;
    return r;
}

struct resolver *resolver_open(struct loop *loop, const struct resolver_config *config,
                               struct buf *error)
{
    struct servers servers;
    if (!servers_parse(&servers, config, error))
        return NULL;
    must(ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS); /* counted by c-ares */
    struct resolver *r = resolver_new(loop);
    bool has_servers   = servers.count > 0 || servers_of_system(&servers);
    r->servers         = servers;
    if (has_servers && open_channels(r, config))
        return r;
    buf_put_text(error, "no name server can be used");
    resolver_close(r);
    return NULL;
}

/* Every question asked comes to on_answer(). */
static void close_lines(struct channel *channel)
{
    for (size_t i = 0; i < RESOLVER_LINES; i++)
        if (channel->lines[i].ares != NULL)
            ares_destroy(channel->lines[i].ares);
}

void resolver_close(struct resolver *r)
{
    struct list *node;
    r->is_closing = true;
    for (size_t i = 0; i < r->channel_count; i++)
        close_lines(&r->channels[i]);
    must(list_is_empty(&r->asked) && list_is_empty(&r->sockets));
    while ((node = list_take(&r->answered)) != NULL)
        question_free(CONTAINER_OF(node, struct question, in_resolver));
    question_free(r->taken);
    loop_touch_uv(r->loop);
    uv_close((uv_handle_t *)&r->tick, on_tick_closed);
    ares_library_cleanup();
}
