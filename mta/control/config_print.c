/* SPDX-License-Identifier: MIT */
/* The option table turned outward: what is in force, the manual's list of keys, and the JSON
 * schema. */
#include "mta/control/option.h"
#include "mta/mail/escape.h"
#include "mta/smtp/ext.h"
#include <inttypes.h>
#include <string.h>

struct printer {
    struct buf *into;
    bool as_json;
};

static void put_row(struct printer *p, const char *key, const char *value)
{
    if (p->as_json) {
        buf_put_text(p->into, "{\"key\":");
        escape_json(span_of(key), p->into);
        buf_put_text(p->into, ",\"value\":");
        escape_json(span_of(value), p->into);
        buf_put_text(p->into, "}\n");
    } else {
        buf_printf(p->into, "%s: ", key);
        escape_text(span_of(value), 4096, p->into);
        buf_put_byte(p->into, '\n');
    }
}

static void print_options(struct printer *p, const struct config *config, bool only_changed)
{
    for (size_t i = 0; config_options[i].path != NULL; i++) {
        const struct option *o = &config_options[i];
        const char *value      = config->given[i] != NULL ? config->given[i] : o->fallback;
        bool is_changed        = strcmp(value, o->fallback) != 0;
        if (strcmp(o->path, "hostname") == 0)
            value = config->hostname;
        if (is_changed || !only_changed)
            put_row(p, o->path, value);
    }
}

static void print_listeners(struct printer *p, const struct config *config)
{
    static const char *const tls[] = {"none", "starttls", "implicit"};
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *l = &config->listeners[i];
        char text[NET_ENDPOINT_TEXT_BYTES];
        struct buf value = {0};
        buf_printf(&value, "%s role=relay tls=%s", net_endpoint_text(&l->address, text),
                   tls[l->tls]);
        put_row(p, "listen", buf_text(&value));
        buf_release(&value);
    }
}

static void put_patterns(struct buf *value, const char *name, const char *const *patterns)
{
    for (size_t i = 0; patterns[i] != NULL; i++)
        buf_printf(value, " %s=%s", name, patterns[i]);
}

static void put_ignored(struct buf *value, unsigned ignored)
{
    for (unsigned i = 0; i < SMTP_EXT_COUNT; i++)
        if ((ignored >> i & 1) != 0)
            buf_printf(value, " ignore_ehlo=%s", smtp_ext_keyword((enum smtp_ext_index)i));
}

static void print_sites(struct printer *p, const struct config *config)
{
    static const char *const tls[] = {"none", "opportunistic", "required"};
    for (size_t i = 0; i < config->policy.rule_count; i++) {
        const struct site_rule *rule = &config->rules[i];
        const struct site_limits *l  = &rule->limits;
        struct buf key = {0}, value = {0};
        buf_printf(&key, "sites.%s", rule->name);
        buf_printf(
            &value,
            "connections=%u messages_per_connection=%u recipients_per_transaction=%u rate=%" PRIu64
            "/h idle=%" PRIu64 "ms tls=%s%s%s",
            l->connections, l->messages_per_connection, l->recipients_per_transaction,
            l->rate_per_hour, l->idle_ms, tls[l->tls], rule->shared ? " shared" : "",
            l->pipeline_messages ? "" : " pipeline_messages=false");
        if (!l->bdat)
            buf_put_text(&value, " bdat=false");
        else if (l->bdat_window > 1)
            buf_printf(&value, " bdat_window=%u", l->bdat_window);
        put_ignored(&value, l->ignore_ehlo);
        put_patterns(&value, "match_mx", rule->match_mx);
        put_patterns(&value, "match_domain", rule->match_domain);
        put_row(p, buf_text(&key), buf_text(&value));
        buf_release(&key);
        buf_release(&value);
    }
}

/* Passwords are not shown. */
static void print_routes(struct printer *p, const struct config *config)
{
    for (size_t i = 0; i < config->route_count; i++) {
        const struct config_route *route = &config->routes[i];
        struct buf value                 = {0};
        buf_printf(&value, "%s to %s%s%s", route->domain, route->to,
                   route->target.user != NULL ? " as " : "",
                   route->target.user != NULL ? route->target.user : "");
        put_row(p, "routes", buf_text(&value));
        buf_release(&value);
    }
}

static void print_dkim(struct printer *p, const struct config *config)
{
    static const char *const algorithms[DKIM_ALGORITHMS] = {"rsa-sha256", "ed25519-sha256"};
    for (size_t i = 0; i < config->dkim_count; i++) {
        const struct dkim_identity *identity = &config->dkim[i];
        struct buf value                     = {0};
        buf_printf(&value, "%s selector %s, %s", identity->domain, identity->selector,
                   algorithms[dkim_key_algorithm(identity->key)]);
        put_row(p, "dkim", buf_text(&value));
        buf_release(&value);
    }
}

void config_print(const struct config *config, bool only_changed, bool as_json, struct buf *into)
{
    struct printer p = {into, as_json};
    print_options(&p, config, only_changed);
    if (!only_changed || config->listener_count > 1)
        print_listeners(&p, config);
    if (!only_changed || config->policy.rule_count > 1)
        print_sites(&p, config);
    print_routes(&p, config);
    print_dkim(&p, config);
}

/* --- the manual --- */

/* A sentence a line, as mdoc wants it. */
static void put_sentences(struct buf *into, struct span text)
{
    static const struct span end = SPAN(". ");
    size_t at;
    while ((at = span_find_text(text, end)) < text.len) {
        buf_put(into, span_first(text, at + 1));
        buf_put_byte(into, '\n');
        text = span_skip(text, at + end.len);
    }
    buf_put(into, text);
    buf_put_byte(into, '\n');
}

static void put_item(struct buf *into, const struct option *o)
{
    buf_printf(into, ".It Cm %s", o->path);
    if (*o->fallback != '\0')
        buf_printf(into, " Pq default: %s", o->fallback);
    buf_put_byte(into, '\n');
    put_sentences(into, span_of(o->help));
    if (o->needs_restart)
        buf_put_text(into, "Needs a restart.\n");
}

void config_print_man(struct buf *into)
{
    const struct option *const tables[] = {config_options, listen_options, site_options,
                                           route_options, dkim_options};
    static const char *const titles[]   = {
          NULL, "Each item of\n.Cm listen\nhas these keys:",
          "Each entry of\n.Cm sites ,\nnamed by the operator, has these keys; what it leaves out it "
            "takes from\n.Cm default :",
          "Each item of\n.Cm routes\nhas these keys; the first that matches wins:",
          "Each item of\n.Cm dkim\nhas these keys:"};
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++) {
        if (titles[t] != NULL)
            buf_printf(into, ".Pp\n%s\n", titles[t]);
        buf_put_text(into, ".Bl -tag -width Ds\n");
        for (const struct option *o = tables[t]; o->path != NULL; o++)
            put_item(into, o);
        buf_put_text(into, ".El\n");
    }
}

/* --- the schema --- */

static void put_property(struct buf *into, const struct option *o, const char *name)
{
    escape_json(span_of(name), into);
    buf_put_text(into, o->is_list
                           ? ":{\"type\":\"array\",\"description\":"
                           : ":{\"type\":[\"string\",\"number\",\"boolean\"],\"description\":");
    escape_json(span_of(o->help), into);
    if (*o->fallback != '\0' && !o->is_list) {
        buf_put_text(into, ",\"default\":");
        escape_json(span_of(o->fallback), into);
    }
    buf_put_byte(into, '}');
}

static void put_object(struct buf *into, const struct option *options, const char *prefix);

/* The rows below 'prefix', sections as objects of their own. */
static void put_properties(struct buf *into, const struct option *options, const char *prefix)
{
    size_t skip          = strlen(prefix);
    struct span previous = {"", 0};
    for (const struct option *o = options; o->path != NULL; o++) {
        if (strncmp(o->path, prefix, skip) != 0)
            continue;
        struct span name = span_of(o->path + skip);
        size_t dot       = span_find(name, '.');
        bool is_section  = dot < name.len;
        name             = span_first(name, dot);
        if (span_equals(name, previous))
            continue;
        if (previous.len > 0)
            buf_put_byte(into, ',');
        previous = name;
        if (!is_section) {
            put_property(into, o, o->path + skip);
            continue;
        }
        struct buf section = {0};
        buf_put(&section, span_first(span_of(o->path), skip + dot + 1));
        escape_json(name, into);
        buf_put_byte(into, ':');
        put_object(into, options, buf_text(&section));
        buf_release(&section);
    }
}

static void put_object(struct buf *into, const struct option *options, const char *prefix)
{
    buf_put_text(into, "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{");
    put_properties(into, options, prefix);
    buf_put_text(into, "}}");
}

void config_print_schema(struct buf *into)
{
    buf_put_text(into, "{\"$schema\":\"http://json-schema.org/draft-07/"
                       "schema#\",\"title\":\"mailrace.yaml\",\"type\":\"object\","
                       "\"additionalProperties\":false,\"properties\":{");
    put_properties(into, config_options, "");
    buf_put_text(into, ",\"listen\":{\"type\":\"array\",\"items\":");
    put_object(into, listen_options, "listen.");
    buf_put_text(into, "},\"sites\":{\"type\":\"object\",\"additionalProperties\":");
    put_object(into, site_options, "sites.");
    buf_put_text(into, "},\"routes\":{\"type\":\"array\",\"items\":");
    put_object(into, route_options, "routes.");
    buf_put_text(into, "},\"dkim\":{\"type\":\"array\",\"items\":");
    put_object(into, dkim_options, "dkim.");
    buf_put_text(into, "}}}\n");
}
