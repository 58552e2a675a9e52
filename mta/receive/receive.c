/* SPDX-License-Identifier: MIT */
/*
 * Who may come in, and when connections are looked at.  Connections and listeners stand in one list
 * each for all their life; a dead connection is freed at the end of receive_turn() and nowhere else
 * (but in receive_close()), so whatever still names it in this turn finds it.
 */
#include "mta/receive/receive.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/receive/inside.h"
#include "mta/sys/clock.h"
#include "mta/sys/loop.h"
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

/* How long to wait for a disk that lags, if nothing else happens. */
enum { RECEIVE_RECHECK_MS = 50 };

struct receive *receive_open(struct loop *loop, struct intake *intake, struct event_log *log,
                             const struct receive_settings *settings)
{
    struct receive *r = mem_new(sizeof *r);
    uint64_t seed;
    r->loop     = loop;
    r->intake   = intake;
    r->log      = log;
    r->settings = settings;
    r->hostname = mem_text(settings->hostname);
    r->now_ms   = loop_now_ms(loop);
    r->wall_ms  = loop_wall_ms(loop);
    clock_random(&seed, sizeof seed);
    clients_init(&r->clients, seed);
    return r;
}

/* --- listeners --- */

static void listener_close(struct receive_listener *l)
{
    if (l->listener != NULL)
        net_listener_close(l->listener);
    l->listener = NULL;
}

static void listener_free(struct receive_listener *l)
{
    listener_close(l);
    list_remove(&l->in_receive);
    if (l->context != NULL)
        tls_context_release(l->context);
    l->kind = 0;
    mem_free(l);
}

/* A certificate is read for each listener, so that a session of one is none at another (security.md
 * A10). */
static bool load_context(struct receive_listener *l, const struct receive_settings *settings,
                         struct buf *error)
{
    if (l->tls == RECEIVE_TLS_NONE)
        return true;
    if (settings->certificate == NULL || settings->key == NULL) {
        buf_printf(error, "listener %s needs a certificate: set tls.certificate and tls.key",
                   l->name);
        return false;
    }
    l->fresh = tls_context_server(settings->certificate, settings->key, l->name, error);
    return l->fresh != NULL;
}

static void use_fresh(struct receive_listener *l, bool is_good)
{
    struct tls_context *gone = is_good ? l->context : l->fresh;
    if (is_good)
        l->context = l->fresh;
    l->fresh = NULL;
    if (gone != NULL)
        tls_context_release(gone);
}

static void warn(struct receive *r, const struct buf *sentence)
{
    event_begin(r->log, EVENT_WARNED, r->wall_ms);
    event_text(r->log, "text", span_trim(buf_span(sentence)));
    event_end(r->log);
}

/* Reads the file of 'settings'; NULL with sentences in 'error'. */
static struct users *read_users(struct receive *r, const struct receive_settings *settings,
                                struct buf *error)
{
    struct buf said     = {0};
    struct users *users = porter_read_users(settings->users, &said);
    if (users == NULL)
        buf_put(error, buf_span(&said));
    else if (said.len > 0)
        warn(r, &said);
    buf_release(&said);
    return users;
}

/* The first submission listener needs one. */
static bool need_porter(struct receive *r, const struct receive_listener *l, struct buf *error)
{
    if (l->role != RECEIVE_SUBMISSION || r->porter != NULL)
        return true;
    struct users *users = read_users(r, r->settings, error);
    if (users == NULL)
        return false;
    r->porter = porter_open(r->loop, r->settings->usage);
    porter_set_users(r->porter, users);
    return true;
}

enum status receive_listen(struct receive *r, const struct net_address *address,
                           enum receive_role role, enum receive_tls tls, struct buf *error)
{
    struct receive_listener *l = mem_new(sizeof *l);
    char text[NET_ENDPOINT_TEXT_BYTES];
    l->kind        = RECEIVE_KIND;
    l->is_listener = true;
    l->role        = role;
    l->tls         = tls;
    (void)snprintf(l->name, sizeof l->name, "%s", net_endpoint_text(address, text));
    list_push(&r->listeners, &l->in_receive);
    if (load_context(l, r->settings, error) && need_porter(r, l, error)) {
        use_fresh(l, true);
        l->listener = net_listen(r->loop, address, l, error);
    }
    if (l->listener != NULL)
        return OK;
    listener_free(l);
    return BAD_INPUT;
}

const struct net_address *receive_listener_address(const struct receive *r, size_t n)
{
    struct list *node = list_first(&r->listeners);
    while (n-- > 0 && node != NULL)
        node = list_next(&r->listeners, node);
    struct receive_listener *l =
        node == NULL ? NULL : CONTAINER_OF(node, struct receive_listener, in_receive);
    return l == NULL || l->listener == NULL ? NULL : net_listener_address(l->listener);
}

/* All certificates, and the users, are read before the first is replaced: a bad one changes
 * nothing. */
enum status receive_set_settings(struct receive *r, const struct receive_settings *settings,
                                 struct buf *error)
{
    struct list *all = &r->listeners;
    bool is_good     = true;
    for (struct list *n = list_first(all); n != NULL && is_good; n = list_next(all, n))
        is_good =
            load_context(CONTAINER_OF(n, struct receive_listener, in_receive), settings, error);
    struct users *users = is_good && r->porter != NULL ? read_users(r, settings, error) : NULL;
    is_good             = is_good && (users != NULL || r->porter == NULL);
    for (struct list *n = list_first(all); n != NULL; n = list_next(all, n))
        use_fresh(CONTAINER_OF(n, struct receive_listener, in_receive), is_good);
    if (!is_good)
        return BAD_INPUT;
    if (users != NULL)
        porter_set_users(r->porter, users);
    r->settings = settings;
    return OK;
}

/* --- clients --- */

static bool may_relay(const struct receive *r, struct net_conn *conn)
{
    const struct net_address *peer = net_peer(conn);
    unsigned uid;
    if (peer->family == NET_UNIX)
        return net_peer_user(conn, &uid) && (uid == 0 || uid == geteuid());
    for (size_t i = 0; i < r->settings->relay_from_count; i++)
        if (net_prefix_holds(&r->settings->relay_from[i], peer))
            return true;
    return false;
}

static bool is_loopback(const struct net_address *peer)
{
    static const struct net_prefix own = {
        .address = {.family = NET_IPV4, .ip = {127}},
          .bits = 8
    };
    static const struct net_prefix own6 = {
        .address = {.family = NET_IPV6, .ip = {[15] = 1}},
          .bits = 128
    };
    return peer->family == NET_UNIX || net_prefix_holds(&own, peer) ||
           net_prefix_holds(&own6, peer);
}

void receive_log_refused(struct receive *r, const char *ip, const char *user, const char *from,
                         const char *to, int code, const char *text)
{
    r->stats.refusals++;
    event_begin(r->log, EVENT_REFUSED, r->wall_ms);
    event_text(r->log, "ip", span_of(ip));
    event_text(r->log, "user", span_of(user));
    event_text(r->log, "from", span_of(from));
    event_text(r->log, "to", span_of(to));
    if (code != 0)
        event_number(r->log, "code", (uint64_t)code);
    event_text(r->log, "text", span_of(text));
    event_end(r->log);
}

/* Where TLS comes first nothing can be said before it, and a handshake is work for a stranger. */
static void turn_away(struct receive *r, struct net_conn *conn, const struct receive_listener *l,
                      int code, const char *text)
{
    char ip[NET_ADDRESS_TEXT_BYTES];
    r->stats.refused_connections++;
    if (l->tls != RECEIVE_TLS_IMPLICIT) {
        connection_turn_away(r, conn, code, text);
        return;
    }
    receive_log_refused(r, net_address_text(net_peer(conn), ip), "", "", "", code, text);
    net_close(conn);
}

static void serve(struct receive *r, struct net_conn *conn, const struct receive_listener *l)
{
    const struct net_address *peer = net_peer(conn);
    unsigned per_client            = r->settings->connections_per_client;
    if (r->is_draining) {
        turn_away(r, conn, l, 421, "4.3.2 going away, try again later");
        return;
    }
    bool is_trusted = may_relay(r, conn);
    if (l->role == RECEIVE_RELAY && !is_trusted) {
        turn_away(r, conn, l, 554, "5.7.1 you may not send mail through this host");
        return;
    }
    if (r->connection_count >= r->settings->connections_max) {
        turn_away(r, conn, l, 421, "4.3.2 too many connections, try again later");
        return;
    }
    /* The list manager of this machine may have as many as there are. */
    struct client *client =
        clients_enter(&r->clients, peer, is_loopback(peer) ? UINT_MAX : per_client);
    if (client == NULL) {
        turn_away(r, conn, l, 421, "4.7.0 too many connections from you, try again later");
        return;
    }
    r->stats.accepted_connections++;
    connection_open(r, conn, l, client, is_trusted);
}

static void set_now(struct receive *r, uint64_t now_ms, uint64_t wall_ms)
{
    r->now_ms  = now_ms;
    r->wall_ms = wall_ms;
}

void receive_on_accepted(struct receive *r, struct net_conn *conn, struct net_listener *listener,
                         uint64_t now_ms, uint64_t wall_ms)
{
    struct receive_listener *l = net_listener_owner(listener);
    must(l->kind == RECEIVE_KIND && l->is_listener);
    set_now(r, now_ms, wall_ms);
    serve(r, conn, l);
}

static struct connection *connection_of(void *owner)
{
    struct connection *c = owner;
    must(c->kind == RECEIVE_KIND && !c->is_listener);
    return c;
}

void receive_on_ready(struct receive *r, void *owner, unsigned ready, uint64_t now_ms,
                      uint64_t wall_ms)
{
    set_now(r, now_ms, wall_ms);
    connection_on_ready(connection_of(owner), ready);
}

void receive_on_done(struct receive *r, const struct intake_done *done)
{
    set_now(r, loop_now_ms(r->loop), loop_wall_ms(r->loop));
    connection_on_done(connection_of(done->owner), done);
}

/* --- the turn --- */

/* Passwords that were compared, and what else the porter has to do. */
static uint64_t turn_porter(struct receive *r)
{
    struct check_done done;
    struct buf warning = {0};
    if (r->porter == NULL)
        return LOOP_NEVER;
    while (checks_take(r->porter->checks, r->now_ms, &done))
        if (done.owner != NULL)
            guest_on_check(connection_of(done.owner), done.is_right);
    uint64_t next = porter_turn(r->porter, r->now_ms, r->wall_ms);
    if (porter_take_warning(r->porter, &warning))
        warn(r, &warning);
    buf_release(&warning);
    return next;
}

static void resume_waiting(struct receive *r)
{
    struct list waiting = {0}, *node;
    list_splice(&waiting, &r->waiting);
    while ((node = list_take(&waiting)) != NULL)
        connection_go_on(CONTAINER_OF(node, struct connection, in_waiting));
}

static void fire_deadlines(struct receive *r)
{
    struct heap_node *node;
    while ((node = heap_take(&r->deadlines, r->now_ms)) != NULL)
        connection_on_deadline(CONTAINER_OF(node, struct connection, deadline));
}

static void shut_idle(struct receive *r)
{
    for (struct list *n = list_first(&r->connections); n != NULL; n = list_next(&r->connections, n))
        connection_shut(CONTAINER_OF(n, struct connection, in_receive));
}

static void empty_graves(struct receive *r)
{
    struct list *node;
    while ((node = list_take(&r->graves)) != NULL)
        connection_free(CONTAINER_OF(node, struct connection, grave));
}

static uint64_t next_turn(const struct receive *r)
{
    const struct heap_node *first = heap_first(&r->deadlines);
    uint64_t next                 = first == NULL ? LOOP_NEVER : first->key;
    if (r->has_more)
        return r->now_ms;
    if (!list_is_empty(&r->waiting) && next > r->now_ms + RECEIVE_RECHECK_MS)
        next = r->now_ms + RECEIVE_RECHECK_MS;
    return next;
}

uint64_t receive_turn(struct receive *r, uint64_t now_ms, uint64_t wall_ms)
{
    set_now(r, now_ms, wall_ms);
    r->has_more      = false;
    uint64_t next_ms = turn_porter(r);
    resume_waiting(r);
    fire_deadlines(r);
    if (r->is_draining)
        shut_idle(r);
    empty_graves(r);
    return next_ms < next_turn(r) ? next_ms : next_turn(r);
}

void receive_drain(struct receive *r)
{
    r->is_draining = true;
    for (struct list *n = list_first(&r->listeners); n != NULL; n = list_next(&r->listeners, n))
        listener_close(CONTAINER_OF(n, struct receive_listener, in_receive));
    shut_idle(r);
}

bool receive_is_empty(const struct receive *r)
{
    return r->connection_count == 0;
}

void receive_stats(const struct receive *r, struct receive_stats *stats)
{
    *stats             = r->stats;
    stats->connections = r->connection_count;
    for (struct list *n = list_first(&r->connections); n != NULL; n = list_next(&r->connections, n))
        stats->in_transaction +=
            smtp_server_in_transaction(&CONTAINER_OF(n, struct connection, in_receive)->smtp);
}

void receive_close(struct receive *r)
{
    struct list *node;
    while ((node = list_first(&r->connections)) != NULL) {
        struct connection *c = CONTAINER_OF(node, struct connection, in_receive);
        connection_cut(c);
        connection_free(c);
    }
    while ((node = list_first(&r->listeners)) != NULL)
        listener_free(CONTAINER_OF(node, struct receive_listener, in_receive));
    clients_release(&r->clients);
    if (r->porter != NULL)
        porter_close(r->porter);
    mem_free(r->hostname);
    mem_free(r);
}

bool receive_each_usage(const struct receive *r, size_t *at, uint64_t wall_ms,
                        struct receive_usage *usage)
{
    struct table_node *node = r->porter == NULL ? NULL : table_each(&r->porter->quotas.by_name, at);
    if (node == NULL)
        return false;
    const struct quota_use *use = CONTAINER_OF(node, struct quota_use, by_name);
    *usage                      = (struct receive_usage){.user            = use->name,
                                                         .messages_hour   = quota_hour(&use->messages, wall_ms),
                                                         .messages_day    = quota_day(&use->messages, wall_ms),
                                                         .recipients_hour = quota_hour(&use->recipients, wall_ms),
                                                         .recipients_day  = quota_day(&use->recipients, wall_ms)};
    return true;
}
