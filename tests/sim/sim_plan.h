/* SPDX-License-Identifier: MIT */
/*
 * Plan: what a seed's world is made of, decided before it begins: names, hosts and their manners,
 * mail to be sent, faults.  It is the truth that the oracle knows and the product must find out.
 */
#pragma once
#include "mta/sys/net.h"

enum {
    PLAN_HOSTS_MAX     = 24,
    PLAN_SITES_MAX     = 8,
    PLAN_SITE_HOSTS    = 3,
    PLAN_DOMAINS_MAX   = 20,
    PLAN_MAILS_MAX     = 60,
    PLAN_RCPTS_MAX     = 600,
    PLAN_SOURCES_MAX   = 4,
    PLAN_CRASHES_MAX   = 5,
    PLAN_NAME_BYTES    = 40,
    PLAN_LISTEN_PORT   = 2500,
    PLAN_MX_PORT       = 25,
    PLAN_SEGMENT_BYTES = 256 << 10,
};

/* How a host behaves.  "One in n": 0 is never. */
struct host_manner {
    const char *name;
    uint64_t greylist_ms;         /* an unknown recipient is told 450 until then */
    unsigned messages_max;        /* 421 after that many in one connection; 0: no limit */
    unsigned connections_max;     /* 421 to further ones; 0: no limit */
    unsigned rcpts_max;           /* 452 to further ones of a transaction; 0: no limit */
    uint64_t think_ms_max;        /* before each reply */
    unsigned drops_before_dot;    /* the connection goes in the middle of the body, one in n */
    unsigned drops_after_dot;     /* the mail is taken, and the reply never comes, one in n */
    unsigned silent_after_dot;    /* the same, but the connection stays, one in n */
    unsigned silent_at_greeting;  /* one in n connections is never greeted */
    unsigned refuses_content;     /* 451 to the dot, one in n */
    unsigned refuses_mail;        /* 451 to MAIL, one in n */
    unsigned refuses_connections; /* one in n */
    bool is_plain;                /* HELO only, no pipelining */
    bool lacks_pipelining, lacks_dsn, takes_8bit;
};

struct plan_host {
    char name[PLAN_NAME_BYTES];
    struct net_address address;
    const struct host_manner *manner;
    unsigned site;
    uint64_t dead_from_ms, dead_until_ms; /* nobody answers */
    bool dead_is_silent;                  /* no refusal either: the dialler must time out */
};

struct plan_site {
    unsigned hosts[PLAN_SITE_HOSTS], host_count;
    unsigned preference[PLAN_SITE_HOSTS];
    bool is_dead; /* for ever: its mail expires */
};

enum domain_kind {
    DOMAIN_MX,
    DOMAIN_IMPLICIT, /* no MX: the address of the domain itself */
    DOMAIN_MISSING,  /* NXDOMAIN */
    DOMAIN_NULL_MX,
};

struct plan_domain {
    char name[PLAN_NAME_BYTES];
    enum domain_kind kind;
    unsigned site;
};

enum rcpt_kind { RCPT_GOOD, RCPT_UNKNOWN /* 550 */, RCPT_FULL /* 450 until full_until_ms */ };

struct plan_rcpt {
    unsigned domain, mail;
    enum rcpt_kind kind;
    uint64_t full_until_ms;
};

struct plan_mail {
    unsigned first_rcpt, rcpt_count;
    unsigned source;
    uint64_t start_ms;
    size_t body_bytes;
    bool is_from_nobody;  /* null sender: no report */
    bool wants_no_report; /* NOTIFY=NEVER */
};

/* A list manager, or an application. */
struct plan_source {
    unsigned rcpts_per_transaction;
    bool pipelines;
    bool keeps_connection; /* for the next transaction */
    unsigned gives_up;     /* goes away in the middle of the body, one in n */
};

enum crash_kind {
    CRASH_KILL,  /* the process: what was written is in the page cache */
    CRASH_POWER, /* the machine: unsynced writes are lost in part or whole */
    CRASH_STOP,  /* no crash: SIGTERM, and a new start */
};

struct plan_crash {
    enum crash_kind kind;
    uint64_t at_ms;
    unsigned operations; /* then so many more of disk and net, so that it may fall inside a turn */
    bool only_at_disk;   /* so many of disk alone: likelier between a write and its sync */
    uint64_t away_ms;    /* until the next start */
};

struct plan_faults {
    unsigned torn;                            /* 0 whole pieces .. 3 single bytes */
    uint64_t net_ms_min, net_ms_max;          /* one way */
    unsigned reset_permille, freeze_permille; /* of connections */
    uint64_t disk_ms_max;                     /* a piece of the disk thread's work */
    unsigned disk_error_permille;             /* of writes and syncs */
    uint64_t disk_bytes;
    unsigned dns_fail_permille, dns_silent_permille;
    uint64_t dns_ms_max;
    unsigned stall_permille; /* of turns, which come late then */
};

struct sim_plan {
    struct plan_host hosts[PLAN_HOSTS_MAX];
    struct plan_site sites[PLAN_SITES_MAX];
    struct plan_domain domains[PLAN_DOMAINS_MAX]; /* [0]: where the senders live */
    struct plan_rcpt rcpts[PLAN_RCPTS_MAX];
    struct plan_mail mails[PLAN_MAILS_MAX];
    struct plan_source sources[PLAN_SOURCES_MAX];
    struct plan_crash crashes[PLAN_CRASHES_MAX];
    struct plan_faults faults;
    unsigned host_count, site_count, domain_count, rcpt_count, mail_count, source_count,
        crash_count;

    /* the product's configuration */
    unsigned shards, connections, messages_per_connection, recipients_per_transaction;
    uint64_t rate_per_hour, idle_ms, expire_ms, join_ms, linger_ms;

    uint64_t calm_ms; /* from then on no fault is begun, and only dead sites stay dead */
};

/* From the world's chance. */
struct sim_plan *plan_new(void);
bool plan_host_is_dead(const struct plan_host *host, uint64_t now_ms);
bool plan_is_calm(void);

/* "r17@d3.example" and back; UINT_MAX when it is none of ours. */
void plan_rcpt_address(unsigned rcpt, char into[PLAN_NAME_BYTES * 2]);
unsigned plan_rcpt_of(struct span address);
/* "" for nobody. */
void plan_sender_address(unsigned mail, char into[PLAN_NAME_BYTES * 2]);
/* The whole mail, in wire form without dot-stuffing. */
struct buf;
void plan_mail_text(unsigned mail, struct buf *into);
/* The mail that a text with trace fields before it is; UINT_MAX when not every byte is right. */
unsigned plan_mail_of(struct span text);
