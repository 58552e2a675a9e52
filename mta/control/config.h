/* SPDX-License-Identifier: MIT */
/*
 * Config: the YAML file as values.  One table of keys drives parsing, defaults, 'mailrace config',
 * the man page and the JSON schema; a snapshot never changes after it was read.
 */
#pragma once
#include "mta/base/arena.h"
#include "mta/deliver/settings.h"
#include "mta/mail/dkim.h"
#include "mta/mail/event.h"
#include "mta/queue/job.h"
#include "mta/receive/quota.h"

enum {
    CONFIG_LISTENERS_MAX = 32,
    CONFIG_PREFIXES_MAX  = 64,
    CONFIG_SERVERS_MAX   = 8,
    CONFIG_ROUTES_MAX    = 1024,
    CONFIG_OPTIONS_MAX   = 64,
    CONFIG_DKIM_MAX      = 256,
};

enum config_role { ROLE_RELAY, ROLE_SUBMISSION, ROLE_INBOUND };
enum config_listen_tls { LISTEN_TLS_NONE, LISTEN_TLS_STARTTLS, LISTEN_TLS_IMPLICIT };

struct config_listener {
    struct net_address address;
    enum config_role role;
    enum config_listen_tls tls;
};

struct config_route {
    const char *domain;        /* domain_matches() pattern */
    struct site_target target; /* hosts, port, LMTP, TLS, AUTH */
    const char *to;            /* as written */
};

struct config {
    struct arena arena; /* all texts */
    const char *file;
    const char *hostname, *spool, *control;
    enum event_format log_format;
    enum event_level log_level;

    struct config_listener listeners[CONFIG_LISTENERS_MAX];
    size_t listener_count;
    struct net_prefix relay_from[CONFIG_PREFIXES_MAX];
    size_t relay_from_count;
    const char *tls_certificate, *tls_key; /* NULL: no STARTTLS */

    const char *users; /* the file */
    const char *usage; /* what users have sent: the file */
    bool hides_client, adds_sender;
    struct quota_limits user_messages, user_recipients;

    uint64_t message_bytes_max;
    unsigned recipients_per_message, connections, connections_per_client;
    unsigned min_free_percent;
    uint64_t
        min_free_bytes; /* limits.min_free_space as a percentage or as a size: the other one is 0 */
    uint64_t memory_bytes_max;
    uint64_t join_ms;
    uint64_t command_timeout_ms;

    const char *dns_servers[CONFIG_SERVERS_MAX];
    size_t dns_server_count;
    uint64_t dns_timeout_ms;
    unsigned dns_tries;

    unsigned delivery_threads; /* as given; 0: one per core, at most 8 */
    uint16_t delivery_port;
    unsigned delivery_sessions;      /* delivery.connections: on the wire at once, over all sites */
    struct deliver_settings deliver; /* hostname, timeouts, sources, allow_loopback */

    struct queue_policy policy; /* rules, retry, jobs_max; shards is main's */
    struct site_rule rules[SITE_RULES_MAX];
    struct config_route routes[CONFIG_ROUTES_MAX];
    size_t route_count;
    struct dkim_identity dkim[CONFIG_DKIM_MAX];
    size_t dkim_count;

    const char *given[CONFIG_OPTIONS_MAX]; /* what stands in the file for each row of the option
                                              table; NULL: its default */

    const char *lists_database;
    const char *lists_base_url; /* without a slash at its end; NULL: no pages */

    bool report_full_allowed;  /* reports.return: full | headers: whether RET=FULL is honoured */
    uint64_t report_bytes_max; /* reports.size: larger messages come back as headers only */
};

/*
 * Reads and checks the whole file.  NULL when it has an error: all of them are in 'errors', each
 * with file:line:column, the line, a caret and a suggestion.  Warnings too come in 'errors' beside
 * a snapshot.  mem_free it through config_free().
 */
struct config *config_read(const char *file, struct buf *errors);
void config_free(struct config *config);
/* What needs a restart and differs: names, comma-separated; "" when nothing does. */
void config_restart_keys(const struct config *old, const struct config *fresh, struct buf *names);

/* What is in force, a key a line; 'only_changed': what differs from the defaults. */
void config_print(const struct config *config, bool only_changed, bool as_json, struct buf *into);
/* The list of keys for mailrace.yaml(5), in mdoc; and a JSON schema of the file. */
void config_print_man(struct buf *into);
void config_print_schema(struct buf *into);
