/* SPDX-License-Identifier: MIT */
/*
 * Connections and the protocol.  A client is read only while no answer to it is under way, so
 * neither buffer can grow without bound: the input holds one request line, the output one slice of
 * a listing above CONTROL_OUTPUT_BYTES.  A client is freed only in control_turn().
 */
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/control/inside.h"
#include "mta/sys/loop.h"
#include "mta/sys/net.h"
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

/* --- its life --- */

struct control *control_open(const struct control_world *world, const char *path, struct buf *error)
{
    struct net_address address = {.family = NET_UNIX};
    size_t len                 = strlen(path);
    if (len == 0 || len >= sizeof address.path) {
        buf_printf(error, "control: %s: the path of a socket has 1 to %zu bytes", path,
                   sizeof address.path - 1);
        return NULL;
    }
    memcpy(address.path, path, len + 1);
    struct control *c = mem_new(sizeof *c);
    c->kind           = CONTROL_KIND;
    c->world          = *world;
    c->listener       = net_listen(world->loop, &address, c, error);
    if (c->listener == NULL) {
        mem_free(c);
        return NULL;
    }
    c->shards = mem_new_array(world->shard_count, sizeof(struct shard *));
    for (unsigned i = 0; i < world->shard_count; i++)
        c->shards[i] = world->shards[i];
    c->world.shards = c->shards;
    return c;
}

static void free_client(struct control_client *client)
{
    list_remove(&client->link);
    client->control->client_count--;
    net_close(client->conn);
    buf_release(&client->input);
    buf_release(&client->output);
    buf_release(&client->text);
    mem_free(client);
}

void control_close(struct control *c)
{
    struct list *node;
    while ((node = list_first(&c->clients)) != NULL)
        free_client(CONTAINER_OF(node, struct control_client, link));
    net_listener_close(c->listener);
    mem_free(c->shards);
    mem_free(c);
}

void control_set_config(struct control *c, const struct config *config)
{
    c->world.config = config;
}

/* --- answers --- */

static void put_line(struct buf *output, struct span line)
{
    if (line.len > 0 && line.at[0] == '.')
        buf_put_byte(output, '.');
    buf_put(output, line);
    buf_put_byte(output, '\n');
}

void client_say(struct control_client *client)
{
    struct span rest = buf_span(&client->text), line;
    while (span_cut(&rest, '\n', &line))
        put_line(&client->output, line);
    buf_clear(&client->text);
}

void client_end(struct control_client *client, int code)
{
    client_say(client);
    buf_printf(&client->output, ".%d\n", code);
    client->walk.go_on = NULL;
}

static bool is_answering(const struct control_client *client)
{
    return client->walk.go_on != NULL || client->wants_reload || client->output.len > 0;
}

/* --- the wire --- */

static void kill_client(struct control_client *client)
{
    client->is_dead = true;
    net_watch(client->conn, 0);
}

static void watch(struct control_client *client)
{
    unsigned ready = client->output.len > 0 ? NET_WRITABLE : 0;
    if (!is_answering(client) && !client->has_finished)
        ready |= NET_READABLE;
    net_watch(client->conn, ready);
}

static void write_out(struct control_client *client)
{
    size_t wrote       = 0;
    enum status status = OK;
    struct buf *output = &client->output;
    const uint64_t now = loop_now_ms(client->control->world.loop);
    while (status == OK && output->len > 0) {
        struct span part = buf_span(output);
        status           = net_write(client->conn, &part, 1, &wrote);
        if (status != OK)
            break;
        buf_drop(output, wrote);
        client->active_ms = now;
    }
    if (status != OK && status != AGAIN)
        kill_client(client);
}

static void read_in(struct control_client *client)
{
    char bytes[CONTROL_REQUEST_BYTES_MAX];
    size_t got;
    while (client->input.len <= CONTROL_REQUEST_BYTES_MAX) {
        enum status status = net_read(client->conn, bytes, sizeof bytes, &got);
        if (status == AGAIN)
            return;
        if (status != OK) {
            client->has_finished = true;
            if (status != END)
                kill_client(client);
            return;
        }
        buf_put(&client->input, span_make(bytes, got));
        client->active_ms = loop_now_ms(client->control->world.loop);
    }
}

/* The connection ends after these words. */
static void refuse(struct control_client *client, const char *words, int code)
{
    buf_put_text(&client->text, words);
    client_end(client, code);
    client->has_finished = true;
    buf_clear(&client->input);
}

static void run_requests(struct control_client *client, const struct moment *at)
{
    while (!client->is_dead && !is_answering(client)) {
        struct span input = buf_span(&client->input);
        size_t len        = span_find(input, '\n');
        if (len >= input.len) {
            if (input.len >= CONTROL_REQUEST_BYTES_MAX)
                refuse(client, "the request is too long\n", EX_USAGE);
            else
                break;
        } else {
            control_run(client, span_trim(span_first(input, len)), at);
            buf_drop(&client->input, len + 1);
        }
        write_out(client);
    }
}

/* --- events --- */

static bool is_permitted(const struct net_conn *conn)
{
    unsigned uid;
    return net_peer_user(conn, &uid) && (uid == 0 || uid == geteuid());
}

void control_on_accepted(struct control *c, struct net_conn *conn)
{
    struct control_client *client = mem_new(sizeof *client);
    *client                       = (struct control_client){
                              .kind      = CONTROL_KIND,
                              .control   = c,
                              .conn      = conn,
                              .active_ms = loop_now_ms(c->world.loop),
    };
    list_push(&c->clients, &client->link);
    c->client_count++;
    net_set_owner(conn, client);
    if (!is_permitted(conn))
        refuse(client, "not permitted: only root and the user of mailraced are\n", EX_NOPERM);
    else if (c->client_count > CONTROL_CLIENTS_MAX)
        refuse(client, "too many control connections at once\n", EX_TEMPFAIL);
    write_out(client);
    if (!client->is_dead)
        watch(client);
}

void control_on_ready(void *owner, unsigned ready)
{
    struct control_client *client = owner;
    must(client->kind == CONTROL_KIND);
    if (client->is_dead)
        return;
    if (ready & NET_READABLE)
        read_in(client);
    if (!client->is_dead && (ready & NET_WRITABLE))
        write_out(client);
}

/* --- the turn --- */

static void go_on(struct control_client *client, const struct moment *at)
{
    if (client->walk.go_on == NULL || client->output.len >= CONTROL_OUTPUT_BYTES)
        return;
    if (!client->walk.go_on(client, at))
        client_say(client);
    client->active_ms = at->now_ms;
    write_out(client);
}

static bool has_ended(const struct control_client *client, const struct moment *at)
{
    if (client->is_dead || (client->has_finished && !is_answering(client)))
        return true;
    return !client->wants_reload && at->now_ms >= client->active_ms + CONTROL_IDLE_MS;
}

/* Returns when it has to be looked at again, events aside. */
static uint64_t turn_client(struct control_client *client, const struct moment *at)
{
    if (!client->is_dead)
        go_on(client, at);
    run_requests(client, at);
    if (has_ended(client, at)) {
        free_client(client);
        return LOOP_NEVER;
    }
    watch(client);
    bool has_more = client->walk.go_on != NULL && client->output.len < CONTROL_OUTPUT_BYTES;
    if (has_more || client->wants_reload)
        return at->now_ms;
    return client->active_ms + CONTROL_IDLE_MS;
}

static struct tokens *tokens_of(const struct control *c)
{
    return c->world.tokens == NULL ? NULL : *c->world.tokens;
}

uint64_t control_turn(struct control *c, uint64_t now_ms, uint64_t wall_ms)
{
    struct moment at = {.now_ms = now_ms, .wall_ms = wall_ms, .tokens = tokens_of(c)};
    uint64_t next    = LOOP_NEVER;
    struct list *node, *following;
    for (node = list_first(&c->clients); node != NULL; node = following) {
        following     = list_next(&c->clients, node);
        uint64_t mine = turn_client(CONTAINER_OF(node, struct control_client, link), &at);
        if (mine < next)
            next = mine;
    }
    return next;
}

/* --- orders --- */

enum control_order control_take_order(struct control *c)
{
    enum control_order order = CONTROL_NOTHING;
    for (struct list *n = list_first(&c->clients); n != NULL; n = list_next(&c->clients, n)) {
        struct control_client *client = CONTAINER_OF(n, struct control_client, link);
        if (!client->wants_reload)
            continue;
        client->is_in_reload = true;
        order                = CONTROL_RELOAD;
    }
    return order;
}

void control_order_done(struct control *c, bool is_good, const char *text)
{
    for (struct list *n = list_first(&c->clients); n != NULL; n = list_next(&c->clients, n)) {
        struct control_client *client = CONTAINER_OF(n, struct control_client, link);
        if (!client->is_in_reload)
            continue;
        client->wants_reload = client->is_in_reload = false;
        buf_put_text(&client->text, is_good && text[0] == '\0' ? "reloaded\n" : text);
        client_end(client, is_good ? EX_OK : EX_CONFIG);
        write_out(client);
    }
}
