/* SPDX-License-Identifier: MIT */
/* Addresses and sockets as the operating system has them; for the bodies of net.h only. */
#pragma once
#include "mta/sys/net.h"
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

union net_system_address {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
    struct sockaddr_un path;
    struct sockaddr_storage storage;
};

/* How many bytes of 'out' count. */
socklen_t net_to_system(const struct net_address *address, union net_system_address *out);
/* NET_NONE for a family that is none of ours. */
void net_from_system(const union net_system_address *in, struct net_address *address);

/* A stream socket, non-blocking, closed on exec; -1 and errno. */
int net_system_socket(enum net_family family);
/* The address 'fd' is bound to; untouched when unknown. */
void net_system_local(int fd, struct net_address *local);
/* Turns an option on; no harm if the system has none. */
void net_system_set(int fd, int level, int option);
