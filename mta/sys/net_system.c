/* SPDX-License-Identifier: MIT */
#include "mta/sys/net_system.h"
#include <arpa/inet.h>
#include <string.h>

socklen_t net_to_system(const struct net_address *address, union net_system_address *out)
{
    memset(out, 0, sizeof *out);
    switch (address->family) {
    case NET_IPV4:
        out->ipv4.sin_family = AF_INET;
        out->ipv4.sin_port   = htons(address->port);
        memcpy(&out->ipv4.sin_addr, address->ip, sizeof out->ipv4.sin_addr);
        return sizeof out->ipv4;
    case NET_IPV6:
        out->ipv6.sin6_family = AF_INET6;
        out->ipv6.sin6_port   = htons(address->port);
        memcpy(&out->ipv6.sin6_addr, address->ip, sizeof out->ipv6.sin6_addr);
        return sizeof out->ipv6;
    case NET_UNIX:
        out->path.sun_family = AF_UNIX;
        memcpy(out->path.sun_path, address->path, sizeof out->path.sun_path);
        return sizeof out->path;
    case NET_NONE:
        break;
    }
    return 0;
}

void net_from_system(const union net_system_address *in, struct net_address *address)
{
    *address = (struct net_address){0};
    switch (in->any.sa_family) {
    case AF_INET:
        address->family = NET_IPV4;
        address->port   = ntohs(in->ipv4.sin_port);
        memcpy(address->ip, &in->ipv4.sin_addr, sizeof in->ipv4.sin_addr);
        break;
    case AF_INET6:
        address->family = NET_IPV6;
        address->port   = ntohs(in->ipv6.sin6_port);
        memcpy(address->ip, &in->ipv6.sin6_addr, sizeof in->ipv6.sin6_addr);
        break;
    case AF_UNIX:
        address->family = NET_UNIX;
        memcpy(address->path, in->path.sun_path, sizeof address->path - 1);
        break;
    default:
        break;
    }
}

void net_system_local(int fd, struct net_address *local)
{
    union net_system_address name = {0};
    socklen_t bytes               = sizeof name;
    if (getsockname(fd, &name.any, &bytes) == 0)
        net_from_system(&name, local);
}

void net_system_set(int fd, int level, int option)
{
    int on = 1;
    (void)setsockopt(fd, level, option, &on, sizeof on); /* nothing breaks without it */
}

int net_system_socket(enum net_family family)
{
    int domain = family == NET_IPV4 ? AF_INET : family == NET_IPV6 ? AF_INET6 : AF_UNIX;
    return socket(domain, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}
