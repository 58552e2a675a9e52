/* SPDX-License-Identifier: MIT */
/* The keys that are lists of structures: listen, sites, routes.  Each structure has a table of
 * options of its own. */
#include "mta/base/fault.h"
#include "mta/control/option.h"
#include "mta/control/value.h"
#include "mta/mail/domain.h"
#include "mta/smtp/ext.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

void config_read_by_table(struct config_reader *r, const struct yaml_node *map, const char *prefix,
                          const struct option *options, void *base)
{
    for (const struct yaml_node *node = map->first; node != NULL; node = node->next) {
        const struct option *o = options;
        while (o->path != NULL && strcmp(o->path + strlen(prefix), node->key) != 0)
            o++;
        if (o->path != NULL)
            option_read(r, o, node, base);
        else
            option_unknown(r, node, prefix, options, NULL);
    }
}

bool config_is_kind(struct config_reader *r, const struct yaml_node *node, enum yaml_kind kind,
                    const char *what)
{
    bool is_item = node->key == NULL;
    if (node->kind == kind)
        return true;
    yaml_complain(r->file, is_item ? node->line : node->key_line,
                  is_item ? node->column : node->key_column, "%s", what);
    return false;
}

/* --- listen --- */

static const char *set_endpoint(struct config_reader *r, const struct option *o, struct span text,
                                void *into)
{
    (void)r, (void)o;
    return net_endpoint_parse(text, into) == OK
               ? NULL
               : "an address and port like 127.0.0.1:25, or unix:/path";
}

static const char *set_role(struct config_reader *r, const struct option *o, struct span text,
                            void *into)
{
    static const char *const words[] = {
        [ROLE_RELAY] = "relay", [ROLE_SUBMISSION] = "submission", [ROLE_INBOUND] = "inbound"};
    (void)r, (void)o;
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (span_is(text, words[i])) {
            *(enum config_role *)into = (enum config_role)i;
            return NULL;
        }
    }
    return "relay, submission or inbound";
}

static const char *set_listen_tls(struct config_reader *r, const struct option *o, struct span text,
                                  void *into)
{
    static const char *const words[] = {"none", "starttls", "implicit"};
    (void)r, (void)o;
    for (unsigned i = 0; i < 3; i++) {
        if (span_is(text, words[i])) {
            *(enum config_listen_tls *)into = (enum config_listen_tls)i;
            return NULL;
        }
    }
    return "none, starttls or implicit";
}

/* A row a key, its help below it. */
/* clang-format off */
const struct option listen_options[] = {
    {"listen.address", set_endpoint, offsetof(struct config_listener, address),
     "", false, true, 0, 0,
     "Where to listen: address:port, [address]:port, or unix:/path."},
    {"listen.role", set_role, offsetof(struct config_listener, role), "relay", false, true, 0, 0,
     "relay: mail from the networks of relay_from, no authentication; submission: mail of users "
     "who log in (users); inbound: from anywhere, only for addresses of ours and routes with "
     "inbound."},
    {"listen.tls", set_listen_tls, offsetof(struct config_listener, tls),
     "none", false, true, 0, 0,
     "none, starttls or implicit; a submission listener needs one of the last two."},
    {NULL, NULL, 0, NULL, false, false, 0, 0, NULL},
};
/* clang-format on */

void config_read_listen(struct config_reader *r, const struct yaml_node *list)
{
    struct config *c = r->config;
    if (!config_is_kind(r, list, YAML_LIST,
                        "listen must be a list, like [{address: \"127.0.0.1:25\", role: relay}]"))
        return;
    for (const struct yaml_node *item = list->first; item != NULL; item = item->next) {
        if (!config_is_kind(r, item, YAML_MAP, "an item of listen has keys: address, role, tls"))
            continue;
        if (c->listener_count == CONFIG_LISTENERS_MAX) {
            yaml_complain(r->file, item->line, item->column, "more than %d listeners",
                          CONFIG_LISTENERS_MAX);
            return;
        }
        struct config_listener *l = &c->listeners[c->listener_count++];
        *l                        = (struct config_listener){.role = ROLE_RELAY};
        config_read_by_table(r, item, "listen.", listen_options, l);
        if (l->address.family == NET_NONE)
            yaml_complain(r->file, item->line, item->column, "a listener needs an address");
        if (l->role == ROLE_SUBMISSION && l->tls == LISTEN_TLS_NONE)
            yaml_complain(
                r->file, item->line, item->column,
                "a submission listener needs tls: starttls or implicit, because passwords "
                "must not travel in clear");
    }
}

/* --- sites --- */

static const char *add_pattern(struct config_reader *r, struct span text, const char **patterns)
{
    char name[DOMAIN_BYTES_MAX + 1];
    size_t n             = 0;
    bool is_wild         = span_starts(text, span_of("*."));
    struct span to_check = is_wild ? span_skip(text, 2) : text;
    while (n + 1 < SITE_PATTERNS_MAX && patterns[n] != NULL)
        n++;
    if (n + 1 >= SITE_PATTERNS_MAX)
        return "one of at most 31";
    if (!span_is(text, "*") && !domain_canonical(to_check, name))
        return "a name or a pattern like *.example.org";
    struct buf pattern = {0};
    buf_put_text(&pattern, is_wild ? "*." : "");
    buf_put_text(&pattern, span_is(text, "*") ? "*" : name);
    patterns[n] = arena_text(&r->config->arena, buf_span(&pattern));
    buf_release(&pattern);
    return NULL;
}

static const char *set_patterns(struct config_reader *r, const struct option *o, struct span text,
                                void *into)
{
    (void)o;
    if (text.at != NULL)
        return add_pattern(r, text, into);
    memset(into, 0, SITE_PATTERNS_MAX * sizeof(const char *));
    return NULL;
}

/* A name of mta/smtp/ext.h, whatever its case. */
static const char *set_ignored(struct config_reader *r, const struct option *o, struct span text,
                               void *into)
{
    (void)r, (void)o;
    unsigned *ignored = into;
    if (text.at == NULL) {
        *ignored = 0;
        return NULL;
    }
    unsigned bit = smtp_ext_bit(text);
    *ignored |= bit;
    return bit != 0 ? NULL : "not an EHLO keyword that is used, like PIPELINING or CHUNKING";
}

#define LIMIT(member) offsetof(struct site_rule, limits.member)
/* A row a key, its help below it. */
/* clang-format off */
const struct option site_options[] = {
    {"sites.match_mx", set_patterns, offsetof(struct site_rule, match_mx), "", true, false, 0, 0,
     "Names of MX hosts, as patterns: *.example.org. The first entry that matches wins."},
    {"sites.match_domain", set_patterns, offsetof(struct site_rule, match_domain),
     "", true, false, 0, 0,
     "Recipient domains, as patterns."},
    {"sites.shared", option_bool, offsetof(struct site_rule, shared), "false", false, false, 0, 0,
     "Whether the limits are for all sites of this entry together."},
    {"sites.connections", option_count, LIMIT(connections), "20", false, false, 1, 10000,
     "Connections at the same time."},
    {"sites.messages_per_connection", option_count, LIMIT(messages_per_connection),
     "0", false, false, 0, 1000000,
     "Then the connection is closed. 0: what suits the host: 100, or 10 where the greeting names "
     "Exim, which lets what comes behind wait for its next queue run."},
    {"sites.recipients_per_transaction", option_count, LIMIT(recipients_per_transaction),
     "100", false, false, 1, 1000,
     "Recipients of one domain that go together."},
    {"sites.rate", option_rate, LIMIT(rate_per_hour), "100/s", false, false, 0, 0,
     "Transactions; none: no limit."},
    {"sites.idle", option_duration, LIMIT(idle_ms), "10s", false, false, 0, 3600000,
     "How long a connection rests before it is closed."},
    {"sites.tls", option_tls, LIMIT(tls), "opportunistic", false, false, 0, 0,
     "none, opportunistic, or required: TLS with a certificate that verifies, or the mail "
     "waits."},
    {"sites.pipeline_messages", option_bool, LIMIT(pipeline_messages), "true", false, false, 0, 0,
     "Whether the next envelope goes out behind the message before, without waiting for its reply "
     "(RFC 2920), where PIPELINING is offered. A host that stumbles over it twice in a row is "
     "served one by one for a day."},
    {"sites.bdat", option_bool, LIMIT(bdat), "true", false, false, 0, 0,
     "Whether BDAT (RFC 3030) is used where CHUNKING is offered: a message costs one round trip "
     "then, also on a connection that has rested. A host that does not know it after all, or "
     "never answers, gets DATA for a day."},
    {"sites.bdat_window", option_count, LIMIT(bdat_window), "1", false, false, 1, 4,
     "Messages that may be on their way with BDAT before the first is answered. All of them are "
     "in doubt when the connection is lost."},
    {"sites.ignore_ehlo", set_ignored, LIMIT(ignore_ehlo), "", true, false, 0, 0,
     "Keywords of the reply to EHLO that are taken as not offered, like [PIPELINING, CHUNKING]."},
    {NULL, NULL, 0, NULL, false, false, 0, 0, NULL},
};
/* clang-format on */

static void read_rule(struct config_reader *r, const struct yaml_node *node, struct site_rule *rule)
{
    bool is_default = strcmp(node->key, "default") == 0;
    config_read_by_table(r, node, "sites.", site_options, rule);
    bool matches = rule->match_mx[0] != NULL || rule->match_domain[0] != NULL;
    if (!is_default && !matches)
        yaml_complain(r->file, node->key_line, node->key_column,
                      "site '%s' matches nothing: give it match_mx or match_domain", node->key);
    if (is_default && matches)
        yaml_complain(r->file, node->key_line, node->key_column,
                      "'default' is the base of all sites and matches what is left");
}

/* 'default' first, wherever it stands: the others begin as copies of it. */
void config_read_sites(struct config_reader *r, const struct yaml_node *map)
{
    struct config *c = r->config;
    if (!config_is_kind(r, map, YAML_MAP,
                        "sites holds entries by name, like default: {connections: 20}"))
        return;
    for (int pass = 0; pass < 2; pass++) {
        for (const struct yaml_node *node = map->first; node != NULL; node = node->next) {
            bool is_default = strcmp(node->key, "default") == 0;
            if (is_default != (pass == 0))
                continue;
            if (!config_is_kind(r, node, YAML_MAP,
                                "a site has keys like connections, rate, match_mx"))
                continue;
            if (!is_default && c->policy.rule_count == SITE_RULES_MAX) {
                yaml_complain(r->file, node->key_line, node->key_column, "more than %d sites",
                              SITE_RULES_MAX);
                return;
            }
            struct site_rule *rule = is_default ? &c->rules[0] : &c->rules[c->policy.rule_count++];
            if (!is_default)
                *rule = (struct site_rule){.limits = c->rules[0].limits};
            rule->name = node->key;
            read_rule(r, node, rule);
        }
    }
}

/* --- routes --- */

struct scheme {
    const char *prefix;
    uint16_t port; /* 0: must be given */
    bool is_lmtp, is_tls_implicit;
};

static const struct scheme schemes[] = {
    {"smtp://",  25,  false, false},
    {"smtps://", 465, false, true },
    {"lmtp://",  0,   true,  false}
};

/* "host", "host:port", "[address]:port" */
static bool split_host(struct span text, struct span *host, uint16_t *port)
{
    uint64_t number;
    size_t end = text.len > 0 && *text.at == '[' ? span_find(text, ']') + 1 : span_find(text, ':');
    if (text.len == 0 || end > text.len)
        return false;
    *host            = span_first(text, end);
    struct span rest = span_skip(text, end);
    if (*host->at == '[')
        *host = span_first(span_skip(*host, 1), host->len - 2);
    if (rest.len == 0)
        return host->len > 0;
    if (*rest.at != ':' || !span_to_number(span_skip(rest, 1), UINT16_MAX, &number) || number == 0)
        return false;
    *port = (uint16_t)number;
    return host->len > 0;
}

static const char *fill_target(struct config_reader *r, const struct scheme *scheme,
                               struct span rest, struct config_route *route)
{
    struct arena *arena    = &r->config->arena;
    struct site_host *host = arena_new(arena, sizeof *host);
    struct net_address address;
    char name[DOMAIN_BYTES_MAX + 1];
    struct span text;
    host->port = scheme->port;
    if (!split_host(rest, &text, &host->port) || host->port == 0)
        return "like smtp://mail.example.org:25, smtps://[192.0.2.7] or lmtp://127.0.0.1:8024";
    if (span_starts_nocase(text, span_of("ipv6:")))
        text = span_skip(text, 5);
    if (net_address_parse(text, &address) != OK && !domain_canonical(text, name))
        return "a host name or an address";
    host->name                    = arena_text(arena, text);
    route->target.hosts           = host;
    route->target.host_count      = 1;
    route->target.is_lmtp         = scheme->is_lmtp;
    route->target.is_tls_implicit = scheme->is_tls_implicit;
    return NULL;
}

static const char *set_to(struct config_reader *r, const struct option *o, struct span text,
                          void *into)
{
    struct config_route *route = into; /* the structure itself: offset 0 */
    (void)o;
    route->to          = arena_text(&r->config->arena, text);
    route->target.key  = route->to;
    route->target.name = route->to;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (span_starts(text, span_of(schemes[i].prefix)))
            return fill_target(r, &schemes[i], span_skip(text, strlen(schemes[i].prefix)), route);
    return "smtp://..., smtps://... or lmtp://...";
}

static const char *set_domain(struct config_reader *r, const struct option *o, struct span text,
                              void *into)
{
    const char *patterns[SITE_PATTERNS_MAX] = {NULL};
    (void)o;
    const char *wanted = add_pattern(r, text, patterns);
    if (wanted == NULL)
        *(const char **)into = patterns[0];
    return wanted;
}

static const char *set_password(struct config_reader *r, const struct option *o, struct span text,
                                void *into)
{
    r->holds_password = true;
    return option_text(r, o, text, into);
}

/* The first line of a file that only we can read. */
static const char *set_password_file(struct config_reader *r, const struct option *o,
                                     struct span text, void *into)
{
    const char *path;
    char line[512] = "";
    (void)option_path(r, o, text, &path);
    FILE *file = fopen(path, "re");
    if (file == NULL || fgets(line, sizeof line, file) == NULL) {
        if (file != NULL)
            (void)fclose(file);
        return "a file with the password in its first line: it cannot be read";
    }
    (void)fclose(file);
    line[strcspn(line, "\r\n")] = '\0';
    *(const char **)into        = arena_text(&r->config->arena, span_of(line));
    return NULL;
}

/* A row a key, its help below it. */
/* clang-format off */
const struct option route_options[] = {
    {"routes.domain", set_domain, offsetof(struct config_route, domain), "", false, false, 0, 0,
     "Recipient domain, or a pattern: *.example.org, or * for all."},
    {"routes.to", set_to, 0, "", false, false, 0, 0,
     "smtp://host:port, smtps://host:port or lmtp://host:port; an address may stand in "
     "brackets."},
    {"routes.tls", option_tls, offsetof(struct config_route, target.tls),
     "opportunistic", false, false, 0, 0,
     "none, opportunistic or required."},
    {"routes.inbound", option_bool, offsetof(struct config_route, target.is_inbound),
     "false", false, false, 0, 0,
     "Whether listeners of role inbound take mail for this domain. What goes such a way is never signed: strangers may have sent it."},
    {"routes.user", option_text, offsetof(struct config_route, target.user),
     "", false, false, 0, 0,
     "To authenticate as; only under TLS, unless tls is none."},
    {"routes.password", set_password, offsetof(struct config_route, target.password),
     "", false, false, 0, 0,
     "Its password."},
    {"routes.password_file", set_password_file, offsetof(struct config_route, target.password),
     "", false, false, 0, 0,
     "A file with the password in its first line."},
    {NULL, NULL, 0, NULL, false, false, 0, 0, NULL},
};
/* clang-format on */

static void check_route(struct config_reader *r, const struct yaml_node *item,
                        struct config_route *route)
{
    if (route->domain == NULL || route->to == NULL)
        yaml_complain(r->file, item->line, item->column, "a route needs domain and to");
    if ((route->target.user == NULL) != (route->target.password == NULL))
        yaml_complain(r->file, item->line, item->column,
                      "user and password belong together: one of them is missing");
    if (route->to != NULL &&
        (route->target.user != NULL || route->target.tls != POLICY_TLS_OPPORTUNISTIC ||
         route->target.is_inbound)) {
        struct buf key = {0}; /* two ways to the same host are two sites */
        buf_printf(&key, "%s tls=%d user=%s inbound=%d", route->to, (int)route->target.tls,
                   route->target.user == NULL ? "" : route->target.user, route->target.is_inbound);
        route->target.key = arena_text(&r->config->arena, buf_span(&key));
        buf_release(&key);
    }
}

void config_read_routes(struct config_reader *r, const struct yaml_node *list)
{
    struct config *c = r->config;
    if (!config_is_kind(
            r, list, YAML_LIST,
            "routes must be a list, like [{domain: x.example, to: \"lmtp://127.0.0.1:8024\"}]"))
        return;
    for (const struct yaml_node *item = list->first; item != NULL; item = item->next) {
        if (!config_is_kind(r, item, YAML_MAP, "a route has keys: domain, to, tls, user, password"))
            continue;
        if (c->route_count == CONFIG_ROUTES_MAX) {
            yaml_complain(r->file, item->line, item->column, "more than %d routes",
                          CONFIG_ROUTES_MAX);
            return;
        }
        struct config_route *route = &c->routes[c->route_count++];
        *route                     = (struct config_route){.target.tls = POLICY_TLS_OPPORTUNISTIC};
        config_read_by_table(r, item, "routes.", route_options, route);
        check_route(r, item, route);
    }
}
