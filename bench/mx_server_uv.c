/* SPDX-License-Identifier: MIT */
/*
 * A host that listens has a service: one listener for each of its addresses.  A dead host has none,
 * so the system refuses for it; a black hole has one with a filter that drops every packet, so that
 * connecting never ends.
 */
#include "bench/mx_server_uv.h"
#include "bench/mx_conn_uv.h"
#include "mta/base/mem.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum { BACKLOG = 4096 };

struct mx_server {
    struct mx_conn_shared shared;
    uv_loop_t *loop;
    struct mx_ports ports;
    uint64_t started_ms;
    uv_timer_t resurrection; /* the next dead host that comes back */
};

struct service {
    struct mx_server *server;
    struct host *host;
    struct list conns;
    uv_tcp_t listeners[HOST_ADDRESSES_MAX];
    size_t count, open_handles;
    uint64_t blackholes; /* of the addresses, the first ones */
};

static void on_connection(uv_stream_t *listener, int status)
{
    struct service *service = listener->data;
    if (status == 0)
        mx_conn_accept(&service->server->shared, listener, service->host, &service->conns);
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct service *service = handle->data;
    if (--service->open_handles == 0)
        mem_free(service);
}

static void service_close(struct service *service)
{
    struct list *conn;
    while ((conn = list_first(&service->conns)) != NULL)
        mx_conn_close(conn);
    service->host->service = NULL;
    service->open_handles  = service->count;
    for (size_t i = 0; i < service->count; i++)
        uv_close((uv_handle_t *)&service->listeners[i], on_listener_closed);
    if (service->count == 0)
        mem_free(service);
}

static void socket_address(const struct host_address *address, unsigned port,
                           struct sockaddr_storage *into)
{
    memset(into, 0, sizeof *into);
    if (address->is_ipv6) {
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)into;
        v6->sin6_family         = AF_INET6;
        v6->sin6_port           = htons((uint16_t)port);
        memcpy(&v6->sin6_addr, address->ip, 16);
    } else {
        struct sockaddr_in *v4 = (struct sockaddr_in *)into;
        v4->sin_family         = AF_INET;
        v4->sin_port           = htons((uint16_t)port);
        memcpy(&v4->sin_addr, address->ip, 4);
    }
}

/* Drops every packet that comes for this listener: the black hole. */
static int swallow_all(uv_tcp_t *listener)
{
    struct sock_filter drop   = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = {.len = 1, .filter = &drop};
    uv_os_fd_t fd;
    int status = uv_fileno((uv_handle_t *)listener, &fd);
    if (status == 0 && setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0)
        status = uv_translate_sys_error(errno);
    return status;
}

static int listen_at(struct service *service, const struct host_address *address)
{
    struct sockaddr_storage where;
    struct mx_server *server = service->server;
    uv_tcp_t *listener       = &service->listeners[service->count++];
    unsigned port            = service->host->p.lmtp ? server->ports.lmtp : server->ports.smtp;
    socket_address(address, port, &where);
    uv_tcp_init(server->loop, listener);
    listener->data = service;
    int status     = uv_tcp_bind(listener, (struct sockaddr *)&where, 0);
    if (status == 0 && service->count <= service->blackholes)
        status = swallow_all(listener);
    if (status == 0)
        status = uv_listen((uv_stream_t *)listener, BACKLOG, on_connection);
    return status;
}

static uint64_t blackholes_of(const struct host *host)
{
    return host->p.blackhole ? HOST_ADDRESSES_MAX : host->p.blackholes;
}

static bool service_open(struct mx_server *server, struct host *host, struct buf *error)
{
    struct service *service = mem_new(sizeof *service);
    service->server         = server;
    service->host           = host;
    service->blackholes     = blackholes_of(host);
    list_init(&service->conns);
    host->service = service;
    int status    = 0;
    for (size_t i = 0; i < host->address_count && status == 0; i++)
        status = listen_at(service, &host->addresses[i]);
    if (status == 0)
        return true;
    buf_printf(error, "host '%.*s' cannot listen: %s", (int)host->by_name.key.len,
               host->by_name.key.at, uv_strerror(status));
    service_close(service);
    return false;
}

static uint64_t comes_back_ms(const struct mx_server *server, const struct host *host)
{
    return server->started_ms + host->p.dead_ms;
}

static bool should_live(const struct mx_server *server, const struct host *host)
{
    return !host->p.dead && uv_now(server->loop) >= comes_back_ms(server, host);
}

bool mx_server_refresh(struct mx_server *server, struct host *host, struct buf *error)
{
    struct service *service = host->service;
    bool lives              = should_live(server, host);
    if (service != NULL && (!lives || service->blackholes != blackholes_of(host))) {
        service_close(service);
        service = NULL;
    }
    return service != NULL || !lives || service_open(server, host, error);
}

static void on_resurrection(uv_timer_t *timer);

static void schedule_resurrection(struct mx_server *server)
{
    uint64_t now = uv_now(server->loop), next = UINT64_MAX;
    struct list *all = &server->shared.common->world->all_hosts;
    for (struct list *n = list_first(all); n != NULL; n = list_next(all, n)) {
        uint64_t at = comes_back_ms(server, host_of(n));
        if (at > now && at < next)
            next = at;
    }
    if (next != UINT64_MAX)
        (void)uv_timer_start(&server->resurrection, on_resurrection, next - now, 0);
}

static bool refresh_all(struct mx_server *server, struct buf *error)
{
    struct list *all = &server->shared.common->world->all_hosts;
    for (struct list *n = list_first(all); n != NULL; n = list_next(all, n))
        if (!mx_server_refresh(server, host_of(n), error))
            return false;
    schedule_resurrection(server);
    return true;
}

static void on_resurrection(uv_timer_t *timer)
{
    struct buf error = {0};
    (void)refresh_all(timer->data, &error);
    buf_release(&error);
}

/* A port that nobody has on any address; 0 if there is none. */
static unsigned free_port(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET};
    socklen_t length       = sizeof any;
    int fd                 = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return 0;
    bool ok = bind(fd, (struct sockaddr *)&any, sizeof any) == 0 &&
              getsockname(fd, (struct sockaddr *)&any, &length) == 0;
    close(fd);
    return ok ? ntohs(any.sin_port) : 0;
}

struct mx_server *mx_server_open(uv_loop_t *loop, struct mx_common *common,
                                 struct internet_tls *tls, struct mx_ports *ports,
                                 struct buf *error)
{
    struct mx_server *server = mem_new(sizeof *server);
    ports->smtp              = ports->smtp > 0 ? ports->smtp : free_port();
    ports->lmtp              = ports->lmtp > 0 ? ports->lmtp : free_port();
    server->shared.common    = common;
    server->shared.tls       = tls;
    server->loop             = loop;
    server->ports            = *ports;
    uv_update_time(loop);
    server->started_ms = uv_now(loop);
    uv_timer_init(loop, &server->resurrection);
    server->resurrection.data = server;
    if (refresh_all(server, error))
        return server;
    mx_server_close(server);
    return NULL;
}

static void on_server_closed(uv_handle_t *handle)
{
    mem_free(handle->data);
}

void mx_server_close(struct mx_server *server)
{
    struct list *all = &server->shared.common->world->all_hosts;
    for (struct list *n = list_first(all); n != NULL; n = list_next(all, n))
        if (host_of(n)->service != NULL)
            service_close(host_of(n)->service);
    uv_close((uv_handle_t *)&server->resurrection, on_server_closed);
}
