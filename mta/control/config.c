/* SPDX-License-Identifier: MIT */
#include "mta/control/config.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/control/option.h"
#include "mta/control/value.h"
#include "mta/mail/domain.h"
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- values of their own kind --- */

static const char *set_format(struct config_reader *r, const struct option *o, struct span text,
                              void *into)
{
    (void)r, (void)o;
    if (!span_is(text, "json") && !span_is(text, "text"))
        return "json or text";
    *(enum event_format *)into = span_is(text, "json") ? EVENT_JSON : EVENT_PLAIN;
    return NULL;
}

static const char *set_level(struct config_reader *r, const struct option *o, struct span text,
                             void *into)
{
#define LEVEL_WORD(id, word) word,
    static const char *const words[] = {EVENT_LEVELS(LEVEL_WORD)};
#undef LEVEL_WORD
    (void)r, (void)o;
    for (unsigned i = 0; i < LEVEL_COUNT; i++) {
        if (span_is(text, words[i])) {
            *(enum event_level *)into = (enum event_level)i;
            return NULL;
        }
    }
    return "error, warning, info or debug";
}

static const char *set_space(struct config_reader *r, const struct option *o, struct span text,
                             void *into)
{
    struct config *c = r->config;
    (void)o, (void)into;
    c->min_free_percent = 0;
    c->min_free_bytes   = 0;
    if (value_percent(text, 100, &c->min_free_percent) || value_size(text, &c->min_free_bytes))
        return NULL;
    return "a percentage like 5%, or a size like 500M";
}

static const char *set_return(struct config_reader *r, const struct option *o, struct span text,
                              void *into)
{
    (void)r, (void)o;
    if (!span_is(text, "headers") && !span_is(text, "full"))
        return "headers or full";
    *(bool *)into = span_is(text, "full");
    return NULL;
}

static const char *set_base_url(struct config_reader *r, const struct option *o, struct span text,
                                void *into)
{
    static const struct span https = SPAN("https://"), http = SPAN("http://");
    static const char wanted[] = "an address like https://lists.example.org";
    (void)o;
    if (!span_starts(text, https) && !span_starts(text, http))
        return wanted;
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] <= ' ' || text.at[i] >= 0x7f || strchr("<>\"?#,", text.at[i]) != NULL)
            return wanted;
    while (text.at[text.len - 1] == '/')
        text.len--;
    if (span_find(text, '/') + 2 >= text.len)
        return wanted;
    *(const char **)into = arena_text(&r->config->arena, text);
    return NULL;
}

static const char *set_prefixes(struct config_reader *r, const struct option *o, struct span text,
                                void *into)
{
    struct config *c = r->config;
    (void)o, (void)into;
    if (text.at == NULL) {
        c->relay_from_count = 0;
        return NULL;
    }
    if (c->relay_from_count == CONFIG_PREFIXES_MAX)
        return "one of at most 64";
    if (net_prefix_parse(text, &c->relay_from[c->relay_from_count]) != OK)
        return "a network like 192.0.2.0/24 or 2001:db8::/32";
    c->relay_from_count++;
    return NULL;
}

static const char *set_servers(struct config_reader *r, const struct option *o, struct span text,
                               void *into)
{
    struct config *c = r->config;
    struct net_address address;
    (void)o, (void)into;
    if (text.at == NULL) {
        c->dns_server_count = 0;
        return NULL;
    }
    if (c->dns_server_count == CONFIG_SERVERS_MAX)
        return "one of at most 8";
    if (net_endpoint_parse(text, &address) != OK && net_address_parse(text, &address) != OK)
        return "an address like 127.0.0.1:53";
    c->dns_servers[c->dns_server_count++] = arena_text(&c->arena, text);
    return NULL;
}

static const char *set_sources(struct config_reader *r, const struct option *o, struct span text,
                               void *into)
{
    struct deliver_settings *d = &r->config->deliver;
    (void)o, (void)into;
    if (text.at == NULL) {
        d->source_count = 0;
        return NULL;
    }
    if (d->source_count == DELIVER_SOURCES_MAX)
        return "one of at most 16";
    if (net_address_parse(text, &d->sources[d->source_count]) != OK)
        return "an address of this machine";
    d->source_count++;
    return NULL;
}

static const char *set_intervals(struct config_reader *r, const struct option *o, struct span text,
                                 void *into)
{
    struct retry_policy *retry = &r->config->policy.retry;
    (void)o, (void)into;
    if (text.at == NULL) {
        retry->interval_count = 0;
        return NULL;
    }
    if (retry->interval_count == RETRY_INTERVALS_MAX)
        return "one of at most 32";
    if (!value_duration(text, &retry->intervals_ms[retry->interval_count]) ||
        retry->intervals_ms[retry->interval_count] == 0)
        return "a duration like 5m";
    retry->interval_count++;
    return NULL;
}

/* Items add up: one for the hour, one for the day. */
static const char *set_limits(struct config_reader *r, const struct option *o, struct span text,
                              void *into)
{
    struct quota_limits more, *limits = into;
    (void)r, (void)o;
    if (text.at == NULL) {
        *limits = (struct quota_limits){0};
        return NULL;
    }
    if (!quota_limits_parse(text, &more))
        return "like 100/h or 1000/d, or none";
    limits->hour = more.hour > 0 ? more.hour : limits->hour;
    limits->day  = more.day > 0 ? more.day : limits->day;
    return NULL;
}

/* --- the table --- */

#define AT(member) offsetof(struct config, member)
enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, MINIMUM_MESSAGE = 1024 };
#define DAYS(n) ((uint64_t)(n)*24 * HOUR)

/* A row a key, its help below it. */
/* clang-format off */
const struct option config_options[] = {
    {"hostname", option_hostname, AT(hostname), "", false, true, 0, 0,
     "Name of this machine: in EHLO, Received and Message-ID. It should resolve to its "
     "address, and back. Default: the system's host name."},
    {"spool", option_text, AT(spool), "/var/spool/mailrace", false, true, 0, 0,
     "Directory of the queue; made if it is missing, and refused unless it is the daemon's "
     "alone (0700)."},
    {"control", option_text, AT(control), "/run/mailrace/control.sock", false, true, 0, 0,
     "Socket by which mailrace(1) finds the daemon."},
    {"log.format", set_format, AT(log_format), "json", false, false, 0, 0,
     "json: one object a line; text: key=value."},
    {"log.level", set_level, AT(log_level), "info", false, false, 0, 0,
     "error, warning, info or debug."},
    {"relay_from", set_prefixes, 0, "127.0.0.0/8 ::1/128", true, false, 0, 0,
     "Networks whose clients may relay. Others are turned away."},
    {"tls.certificate", option_path, AT(tls_certificate), "", false, false, 0, 0,
     "Certificate chain (PEM) for STARTTLS, relative to this file."},
    {"tls.key", option_path, AT(tls_key), "", false, false, 0, 0,
     "Its private key (PEM)."},
    {"users", option_path, AT(users), "/etc/mailrace/users", false, false, 0, 0,
     "Who may log in to submit mail; 'mailrace user' writes it. Must be closed to others (0600, "
     "or 0640)."},
    {"submission.max_messages", set_limits, AT(user_messages), "none", true, false, 0, 0,
     "Messages a user may send, like [100/h, 1000/d], unless he has limits of his own; none: any "
     "number."},
    {"submission.max_recipients", set_limits, AT(user_recipients), "none", true, false, 0, 0,
     "The same for recipients."},
    {"submission.add_sender", option_bool, AT(adds_sender), "true", false, false, 0, 0,
     "Whether a Sender field names the user where From names another address of his."},
    {"submission.hide_client", option_bool, AT(hides_client), "false", false, false, 0, 0,
     "Whether the client's name and address are left out of Received."},
    {"submission.usage", option_path, AT(usage), "/var/lib/mailrace/usage", false, true, 0, 0,
     "Where it is kept how much each user has sent, so that it survives a restart."},
    {"limits.message_size", option_size, AT(message_bytes_max),
     "40M", false, false, MINIMUM_MESSAGE, 0,
     "Largest message taken."},
    {"limits.recipients_per_message", option_count, AT(recipients_per_message),
     "50000", false, false, 1, 1000000,
     "Recipients of one transaction; more get 452."},
    {"limits.connections", option_count, AT(connections), "2000", false, false, 1, 100000,
     "Clients at the same time; more get 421."},
    {"limits.connections_per_client", option_count, AT(connections_per_client),
     "50", false, false, 1, 100000,
     "Of one IPv4 address or IPv6 /64; not for this machine itself."},
    {"limits.min_free_space", set_space, 0, "5%", false, false, 0, 0,
     "Below this much free space for the spool no new mail is taken (452); as a percentage or "
     "size."},
    {"limits.memory", option_size, AT(memory_bytes_max), "1G", false, false, 1 << 20, 0,
     "Memory for the queue; above it no new mail is taken (452)."},
    {"limits.join", option_duration, AT(join_ms), "5s", false, false, 0, 600000,
     "The same mail (sender, options, content) for others, so soon after the last, joins it; 0s: never."},
    {"limits.command_timeout", option_duration, AT(command_timeout_ms),
     "5m", false, false, SECOND, DAYS(1),
     "How long a client may be silent."},
    {"dns.servers", set_servers, 0, "", true, true, 0, 0,
     "Name servers, as address:port. Default: those of the system."},
    {"dns.timeout", option_duration, AT(dns_timeout_ms), "2s", false, true, 100, 60 * SECOND,
     "Of the first try at one server."},
    {"dns.tries", option_count, AT(dns_tries), "3", false, true, 1, 10,
     "At each server."},
    {"delivery.threads", option_count, AT(delivery_threads), "0", false, true, 0, 64,
     "Delivery threads; 0: one per core, at most 8; 1: the main thread delivers too."},
    {"delivery.port", option_port, AT(delivery_port), "25", false, false, 0, 0,
     "Port at which MX hosts are met."},
    {"delivery.connections", option_count, AT(delivery_sessions), "1000", false, false, 1, 100000,
     "Deliveries on the wire at the same time, over all sites."},
    {"delivery.linger", option_duration, AT(policy.linger_ms), "100ms", false, false, 0, 60000,
     "A list post waits so long after its last transaction for the rest of it; 0s: not at all."},
    {"delivery.sources", set_sources, 0, "", true, false, 0, 0,
     "Local addresses to send from, chosen in turn. Default: the system's choice."},
    {"delivery.timeouts.connect", option_duration, AT(deliver.connect_ms),
     "30s", false, false, 100, HOUR,
     "To connect to one address; at most 10s while the host has another. After 250ms the next "
     "address is tried beside it, where the limits leave a connection free."},
    {"delivery.timeouts.greeting", option_duration, AT(deliver.greeting_ms),
     "5m", false, false, 100, HOUR,
     "For the greeting."},
    {"delivery.timeouts.command", option_duration, AT(deliver.command_ms),
     "5m", false, false, 100, HOUR,
     "For the reply to a command."},
    {"delivery.timeouts.data", option_duration, AT(deliver.data_ms), "2m", false, false, 100, HOUR,
     "For the reply to DATA."},
    {"delivery.timeouts.block", option_duration, AT(deliver.block_ms),
     "3m", false, false, 100, HOUR,
     "For each block of a message to leave."},
    {"delivery.timeouts.end_of_data", option_duration, AT(deliver.end_of_data_ms),
     "10m", false, false, 100, HOUR,
     "For the reply to the end of data; after it the delivery is in doubt."},
    {"delivery.allow_loopback", option_bool, AT(deliver.allow_loopback),
     "false", false, false, 0, 0,
     "Whether an MX may point at this machine or a private network: for tests."},
    {"delivery.ca_file", option_path, AT(deliver.ca_file), "", false, true, 0, 0,
     "Trusted certificates (PEM) where TLS is required. Default: the system's."},
    {"retry.intervals", set_intervals, 0, "5m 15m 40m 80m 2h", true, false, 0, 0,
     "Waits between tries; the last one repeats."},
    {"retry.expire", option_duration, AT(policy.retry.expire_ms),
     "5d", false, false, 100, DAYS(60),
     "After this a message is given up and reported."},
    {"retry.jitter", option_percent, AT(policy.retry.jitter_percent), "20%", false, false, 0, 50,
     "Give or take, of each wait."},
    {"retry.in_doubt", option_duration, AT(policy.retry.in_doubt_ms),
     "5m", false, false, 100, DAYS(1),
     "Wait after an unanswered end of data."},
    {"reports.return", set_return, AT(report_full_allowed), "headers", false, false, 0, 0,
     "What comes back with a failure: headers, or full where the sender asked for it "
     "(RET=FULL)."},
    {"reports.size", option_size, AT(report_bytes_max), "50k", false, false, 0, 10 << 20,
     "Larger messages come back as headers only."},
    {"reports.delay", option_duration, AT(policy.retry.delay_report_ms),
     "4h", false, false, 0, DAYS(60),
     "When a delay is reported to senders who asked for it (NOTIFY=DELAY); 0s: never."},
    {"lists.database", option_path, AT(lists_database),
     "/var/lib/mailrace/lists.db", false, true, 0, 0,
     "The mailing lists and their members (SQLite). The first 'mailrace list create' makes it, in "
     "a directory that is there; without it there are no lists."},
    {"lists.base_url", set_base_url, AT(lists_base_url), "", false, false, 0, 0,
     "Where list members find the pages of this server, for one-click unsubscribing: like "
     "https://lists.example.org."},
    {NULL, NULL, 0, NULL, false, false, 0, 0, NULL},
};
/* clang-format on */

/* --- reading --- */

static const char *const structured[] = {"listen", "sites", "routes", "dkim", NULL};

static size_t option_count_all(void)
{
    size_t n = 0;
    while (config_options[n].path != NULL)
        n++;
    must(n <= CONFIG_OPTIONS_MAX);
    return n;
}

static void write_given(const struct yaml_node *node, struct buf *into)
{
    if (node->kind == YAML_SCALAR) {
        buf_put_text(into, node->text);
        return;
    }
    for (const struct yaml_node *item = node->first; item != NULL; item = item->next)
        buf_printf(into, "%s%s", item == node->first ? "" : " ", item->text);
}

static void remember(struct config_reader *r, size_t row, const struct yaml_node *node)
{
    struct buf given = {0};
    write_given(node, &given);
    r->config->given[row] = arena_text(&r->config->arena, buf_span(&given));
    buf_release(&given);
}

static bool has_prefix(const char *path, const char *prefix)
{
    return strncmp(path, prefix, strlen(prefix)) == 0;
}

static void read_map(struct config_reader *r, const struct yaml_node *map, const char *prefix);

/* A section ("limits") or a key; false: neither. */
static bool read_known(struct config_reader *r, const struct yaml_node *node, const char *path)
{
    char section[96];
    (void)snprintf(section, sizeof section, "%s.", path);
    for (size_t i = 0; config_options[i].path != NULL; i++) {
        if (strcmp(config_options[i].path, path) == 0) {
            option_read(r, &config_options[i], node, r->config);
            remember(r, i, node);
            return true;
        }
        if (!has_prefix(config_options[i].path, section))
            continue;
        if (node->kind == YAML_MAP)
            read_map(r, node, section);
        else
            yaml_complain(r->file, node->key_line, node->key_column,
                          "'%s' holds keys of its own, like %s", path, config_options[i].path);
        return true;
    }
    return false;
}

static bool read_structured(struct config_reader *r, const struct yaml_node *node)
{
    static void (*const readers[])(struct config_reader *, const struct yaml_node *) = {
        config_read_listen, config_read_sites, config_read_routes, config_read_dkim};
    for (size_t i = 0; structured[i] != NULL; i++) {
        if (strcmp(node->key, structured[i]) == 0) {
            readers[i](r, node);
            return true;
        }
    }
    return false;
}

static void read_map(struct config_reader *r, const struct yaml_node *map, const char *prefix)
{
    char path[80];
    bool is_top = *prefix == '\0';
    for (const struct yaml_node *node = map->first; node != NULL; node = node->next) {
        (void)snprintf(path, sizeof path, "%.36s%.40s", prefix, node->key);
        if (!(is_top && read_structured(r, node)) && !read_known(r, node, path))
            option_unknown(r, node, prefix, config_options, is_top ? structured : NULL);
    }
}

/* --- defaults, and what only the whole can tell --- */

static void set_defaults(struct config_reader *r)
{
    static const struct site_limits base = {.connections                = 20,
                                            .messages_per_connection    = 0,
                                            .recipients_per_transaction = 100,
                                            .rate_per_hour              = 360000,
                                            .idle_ms                    = 10 * SECOND,
                                            .tls                        = POLICY_TLS_OPPORTUNISTIC,
                                            .pipeline_messages          = true,
                                            .bdat                       = true,
                                            .bdat_window                = 1};
    struct config *c                     = r->config;
    char hostname[256]                   = "";
    for (const struct option *o = config_options; o->path != NULL; o++)
        option_default(r, o, c);
    (void)gethostname(hostname, sizeof hostname - 1);
    c->hostname     = arena_text(&c->arena, span_of(*hostname == '\0' ? "localhost" : hostname));
    c->rules[0]     = (struct site_rule){.name = "default", .limits = base};
    c->policy.rules = c->rules;
    c->policy.rule_count = 1;
}

static void listen_by_default(struct config *c)
{
    if (c->listener_count > 0)
        return;
    must(net_endpoint_parse(span_of("127.0.0.1:25"), &c->listeners[0].address) == OK);
    c->listeners[0].tls = c->tls_certificate != NULL ? LISTEN_TLS_STARTTLS : LISTEN_TLS_NONE;
    c->listener_count   = 1;
}

static void check_whole(struct config_reader *r)
{
    struct config *c = r->config;
    if ((c->tls_certificate == NULL) != (c->tls_key == NULL))
        yaml_complain(r->file, 1, 1,
                      "tls.certificate and tls.key belong together: one of them is missing");
    for (size_t i = 0; i < c->listener_count; i++)
        if (c->listeners[i].tls != LISTEN_TLS_NONE && c->tls_certificate == NULL)
            yaml_complain(r->file, 1, 1, "a listener with tls needs tls.certificate and tls.key");
    if (c->policy.retry.interval_count == 0)
        yaml_complain(r->file, 1, 1, "retry.intervals must name at least one");
}

static void warn_of_readers(struct config_reader *r)
{
    struct stat about;
    if (r->holds_password && stat(r->file->name, &about) == 0 && (about.st_mode & S_IROTH) != 0)
        buf_printf(r->file->complaints,
                   "%s: warning: it holds a password, and everybody may read it: chmod 640\n",
                   r->file->name);
}

static void finish(struct config_reader *r)
{
    struct config *c      = r->config;
    c->deliver.hostname   = c->hostname;
    c->policy.jobs_max    = c->delivery_sessions;
    c->deliver.dkim       = c->dkim;
    c->deliver.dkim_count = c->dkim_count;
    listen_by_default(c);
    check_whole(r);
    warn_of_readers(r);
}

struct config *config_read(const char *file, struct buf *errors)
{
    struct config *c       = mem_new(sizeof *c);
    struct yaml_file yaml  = {.name = file, .arena = &c->arena, .complaints = errors};
    struct config_reader r = {.file = &yaml, .config = c};
    c->file                = arena_text(&c->arena, span_of(file));
    struct yaml_node *root = yaml_read(&yaml);
    must(option_count_all() > 0);
    if (root != NULL) {
        set_defaults(&r);
        read_map(&r, root, "");
        finish(&r);
    }
    yaml_file_release(&yaml);
    if (yaml.errors == 0)
        return c;
    config_free(c);
    return NULL;
}

void config_free(struct config *config)
{
    for (size_t i = 0; i < config->dkim_count; i++)
        dkim_key_free(config->dkim[i].key);
    arena_release(&config->arena);
    mem_free(config);
}

void config_restart_keys(const struct config *old, const struct config *fresh, struct buf *names)
{
    for (size_t i = 0; config_options[i].path != NULL; i++) {
        const struct option *o = &config_options[i];
        const char *before     = old->given[i] != NULL ? old->given[i] : o->fallback;
        const char *after      = fresh->given[i] != NULL ? fresh->given[i] : o->fallback;
        if (o->needs_restart && strcmp(before, after) != 0)
            buf_printf(names, "%s%s", names->len > 0 ? ", " : "", o->path);
    }
    bool is_same = old->listener_count == fresh->listener_count;
    for (size_t i = 0; is_same && i < old->listener_count; i++)
        is_same = old->listeners[i].tls == fresh->listeners[i].tls &&
                  old->listeners[i].address.port == fresh->listeners[i].address.port &&
                  net_address_equals(&old->listeners[i].address, &fresh->listeners[i].address);
    if (!is_same)
        buf_printf(names, "%slisten", names->len > 0 ? ", " : "");
}
