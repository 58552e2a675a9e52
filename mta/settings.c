/* SPDX-License-Identifier: MIT */
#include "mta/settings.h"
#include "mta/base/mem.h"
#include <string.h>

enum {
    SEGMENT_BYTES     = 32 << 20,
    BACKLOG_BYTES     = 16 << 20,
    OUTCOME_DELAY_MS  = 100,
    OUTCOMES_MAX      = 1000,
    DNS_CACHE_ENTRIES = 100000
};

static void cut_policy(struct settings *s, unsigned shards)
{
    s->policy        = s->config->policy;
    s->policy.shards = shards;
}

static void cut_router(struct settings *s)
{
    const struct config *c = s->config;
    s->routes              = mem_new_array(c->route_count, sizeof *s->routes);
    for (size_t i = 0; i < c->route_count; i++)
        s->routes[i] = (struct router_route){c->routes[i].domain, c->routes[i].target};
    s->router = (struct router_settings){
        .routes = s->routes, .route_count = c->route_count, .port = c->delivery_port};
}

static void cut_inbound(struct settings *s)
{
    const struct config *c     = s->config;
    s->inbound_domains         = mem_new_array(c->route_count, sizeof *s->inbound_domains);
    s->receive.inbound_domains = s->inbound_domains;
    for (size_t i = 0; i < c->route_count; i++)
        if (c->routes[i].target.is_inbound)
            s->inbound_domains[s->receive.inbound_domain_count++] = c->routes[i].domain;
}

static void cut_receive(struct settings *s)
{
    const struct config *c = s->config;
    s->intake              = (struct intake_settings){.hostname         = c->hostname,
                                                      .expire_ms        = c->policy.retry.expire_ms,
                                                      .memory_bytes_max = c->memory_bytes_max,
                                                      .join_ms          = c->join_ms};
    s->receive             = (struct receive_settings){
                    .hostname               = c->hostname,
                    .message_bytes_max      = c->message_bytes_max,
                    .recipients_max         = c->recipients_per_message,
                    .connections_max        = c->connections,
                    .connections_per_client = c->connections_per_client,
                    .command_timeout_ms     = c->command_timeout_ms,
                    .relay_from_count       = c->relay_from_count,
                    .certificate            = c->tls_certificate,
                    .key                    = c->tls_key,
                    .users                  = c->users,
                    .usage                  = c->usage,
                    .submission             = {c->user_messages, c->user_recipients, c->adds_sender},
                    .hides_client           = c->hides_client,
    };
    cut_inbound(s);
    memcpy(s->receive.relay_from, c->relay_from, c->relay_from_count * sizeof c->relay_from[0]);
}

static void cut_dns(struct settings *s)
{
    const struct config *c = s->config;
    s->dns                 = (struct dns_config){
                        .resolver          = {.servers      = c->dns_servers,
                                              .server_count = c->dns_server_count,
                                              .timeout_ms   = (unsigned)c->dns_timeout_ms,
                                              .tries        = c->dns_tries},
                        .hostname          = c->hostname,
                        .cache_entries_max = DNS_CACHE_ENTRIES,
    };
}

struct settings *settings_new(struct config *config, unsigned shards)
{
    struct settings *s = mem_new(sizeof *s);
    s->config          = config;
    s->reports         = (struct reports_settings){.hostname     = config->hostname,
                                                   .full_allowed = config->report_full_allowed,
                                                   .bytes_max    = config->report_bytes_max};
    s->spool           = (struct spool_config){.directory         = config->spool,
                                               .segment_bytes     = SEGMENT_BYTES,
                                               .min_free_percent  = config->min_free_percent,
                                               .min_free_bytes    = config->min_free_bytes,
                                               .outcome_delay_ms  = OUTCOME_DELAY_MS,
                                               .outcome_count_max = OUTCOMES_MAX,
                                               .backlog_bytes_max = BACKLOG_BYTES};
    cut_policy(s, shards);
    cut_router(s);
    cut_receive(s);
    cut_dns(s);
    return s;
}

void settings_free(struct settings *s)
{
    mem_free(s->routes);
    mem_free(s->inbound_domains);
    config_free(s->config);
    mem_free(s);
}
