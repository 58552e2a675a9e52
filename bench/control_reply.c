/* SPDX-License-Identifier: MIT */
/* A command is a row: its word, how it begins, and how it goes on.  Cursors survive what happens in
 * between, because nothing is ever removed from the lists they walk. */
#include "bench/control_reply.h"
#include "bench/internet_uv.h"
#include "bench/json.h"
#include <stdio.h>
#include <string.h>

enum { PIECE_BYTES = 65536, LINE_BYTES_MAX = 4096 };

struct command {
    const char *name;
    bool (*begin)(struct control_reply *r, struct span rest, struct buf *error); /* may be NULL */
    control_more_fn *more;
};

static bool more_stats(struct control_reply *r, struct buf *out)
{
    struct internet *internet   = r->internet;
    const struct dns_tally *dns = dns_server_tally(internet->dns);
    buf_put_byte(out, '{');
    ledger_json(&internet->ledger, out);
    json_key(out, "dns");
    buf_put_byte(out, '{');
    json_number(out, "questions", dns->questions);
    json_number(out, "over_tcp", dns->over_tcp);
    json_number(out, "truncated", dns->truncated);
    json_number(out, "silent", dns->silent);
    json_number(out, "bad", dns->bad);
    buf_put_text(out, "}}\n");
    return false;
}

static void group_json(const struct latency_group *group, struct buf *out)
{
    buf_put_byte(out, '{');
    json_text(out, "prefix", span_of(group->name));
    json_number(out, "messages", group->contents);
    json_number(out, "recipients", group->recipients);
    latency_json(group, out);
    buf_put_text(out, "}\n");
}

static bool begin_latency(struct control_reply *r, struct span prefix, struct buf *error)
{
    const struct latency *latency = &r->internet->ledger.latency;
    (void)snprintf(r->argument, sizeof r->argument, "%.*s", (int)prefix.len, prefix.at);
    if (prefix.len == 0 || latency_find(latency, span_of(r->argument)) != NULL)
        return true;
    buf_printf(error, "no message id began with '%s-'", r->argument);
    return false;
}

static bool more_latency(struct control_reply *r, struct buf *out)
{
    const struct latency *latency = &r->internet->ledger.latency;
    for (size_t i = 0; i < latency->group_count; i++)
        if (r->argument[0] == '\0' || strcmp(r->argument, latency->groups[i]->name) == 0)
            group_json(latency->groups[i], out);
    return false;
}

/* ---- lists ---- */

static bool begin_hosts(struct control_reply *r, struct span rest, struct buf *error)
{
    (void)rest, (void)error;
    r->head = &r->internet->world.all_hosts;
    r->node = list_first(r->head);
    return true;
}

static bool begin_domains(struct control_reply *r, struct span rest, struct buf *error)
{
    (void)rest, (void)error;
    r->head = &r->internet->world.all_domains;
    r->node = list_first(r->head);
    return true;
}

static void host_json(const struct host *host, struct buf *out)
{
    buf_put_byte(out, '{');
    json_text(out, "name", host->by_name.key);
    json_bool(out, "alive", host->service != NULL);
    tally_json(&host->tally, out);
    buf_put_text(out, "}\n");
}

static void domain_json(const struct domain *domain, struct buf *out)
{
    buf_put_byte(out, '{');
    json_text(out, "name", domain->by_name.key);
    json_text(out, "personality", domain->kind.len > 0 ? domain->kind : span_of("-"));
    json_key(out, "mx");
    buf_put_byte(out, '[');
    for (size_t i = 0; i < domain->mx_count; i++) {
        json_comma(out);
        json_string(out, domain->mx[i].name);
    }
    buf_put_byte(out, ']');
    tally_json(&domain->tally, out);
    buf_put_text(out, "}\n");
}

static bool more_hosts(struct control_reply *r, struct buf *out)
{
    for (; r->node != NULL && out->len < PIECE_BYTES; r->node = list_next(r->head, r->node))
        host_json(host_of(r->node), out);
    return r->node != NULL;
}

static bool more_domains(struct control_reply *r, struct buf *out)
{
    for (; r->node != NULL && out->len < PIECE_BYTES; r->node = list_next(r->head, r->node))
        domain_json(domain_of(r->node), out);
    return r->node != NULL;
}

/* ---- receipts ---- */

static bool begin_recipients(struct control_reply *r, struct span rest, struct buf *error)
{
    if (r->internet->ledger.is_quiet) {
        buf_put_text(error, "a quiet ledger knows no names");
        return false;
    }
    if (rest.len > 0)
        (void)snprintf(r->argument, sizeof r->argument, "@%.*s", (int)rest.len, rest.at);
    return true;
}

static bool more_recipients(struct control_reply *r, struct buf *out)
{
    const struct ledger *ledger = &r->internet->ledger;
    struct span domain          = span_of(r->argument);
    for (; r->cursor < ledger->receipt_count && out->len < PIECE_BYTES; r->cursor++) {
        const struct receipt *receipt = ledger_receipt(ledger, r->cursor);
        if (span_ends_nocase(receipt->rcpt, domain))
            ledger_receipt_json(receipt, out);
    }
    return r->cursor < ledger->receipt_count;
}

static bool more_refusals(struct control_reply *r, struct buf *out)
{
    const struct ledger *ledger = &r->internet->ledger;
    for (; r->cursor < ledger->refusal_count && out->len < PIECE_BYTES; r->cursor++)
        ledger_refusal_json(ledger_refusal(ledger, r->cursor), out);
    return r->cursor < ledger->refusal_count;
}

/* ---- whole messages ---- */

static bool begin_messages(struct control_reply *r, struct span name, struct buf *error)
{
    struct domain *domain = world_find_domain(&r->internet->world, name);
    struct host *host     = world_find_host(&r->internet->world, name);
    if (domain == NULL && host == NULL) {
        buf_printf(error, "there is no '%.*s'", (int)name.len, name.at);
        return false;
    }
    r->head = domain != NULL ? &domain->letters : &host->letters;
    r->node = list_first(r->head);
    return true;
}

static bool more_messages(struct control_reply *r, struct buf *out)
{
    for (; r->node != NULL && out->len < PIECE_BYTES; r->node = list_next(r->head, r->node))
        buf_put(out, buf_span(&CONTAINER_OF(r->node, struct stored, in_owner)->json));
    return r->node != NULL;
}

/* ---- changes ---- */

static bool set_words(struct internet *internet, struct host *host, struct domain *domain,
                      struct span words, struct buf *error)
{
    char scratch[LINE_BYTES_MAX];
    struct span word;
    while (scenario_word(&words, scratch, &word)) {
        bool ok = domain != NULL ? scenario_apply_domain(&internet->scenario, domain, word, error)
                                 : scenario_apply_host(&internet->scenario, host, word, error);
        if (!ok)
            return false;
    }
    return domain != NULL || internet_refresh(internet, host, error);
}

static bool begin_set(struct control_reply *r, struct span rest, struct buf *error)
{
    struct span kind, name;
    struct host *host     = NULL;
    struct domain *domain = NULL;
    if (span_cut(&rest, ' ', &kind) && span_cut(&rest, ' ', &name)) {
        if (span_is(kind, "host"))
            host = world_find_host(&r->internet->world, name);
        else if (span_is(kind, "domain"))
            domain = world_find_domain(&r->internet->world, name);
    }
    if (host == NULL && domain == NULL) {
        buf_put_text(error, "set host|domain NAME KEY...: there is no such host or domain");
        return false;
    }
    return set_words(r->internet, host, domain, rest, error);
}

static bool begin_quit(struct control_reply *r, struct span rest, struct buf *error)
{
    (void)rest, (void)error;
    r->quits = true;
    return true;
}

static bool more_ok(struct control_reply *r, struct buf *out)
{
    (void)r;
    buf_put_text(out, "{\"ok\":true}\n");
    return false;
}

static bool more_error(struct control_reply *r, struct buf *out)
{
    buf_put_byte(out, '{');
    json_text(out, "error", span_of(r->argument));
    buf_put_text(out, "}\n");
    return false;
}

static const struct command commands[] = {
    {"stats",      NULL,             more_stats     },
    {"latency",    begin_latency,    more_latency   },
    {"hosts",      begin_hosts,      more_hosts     },
    {"domains",    begin_domains,    more_domains   },
    {"recipients", begin_recipients, more_recipients},
    {"refusals",   NULL,             more_refusals  },
    {"messages",   begin_messages,   more_messages  },
    {"set",        begin_set,        more_ok        },
    {"quit",       begin_quit,       more_ok        },
};

static const struct command *command_named(struct span name)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (span_is(name, commands[i].name))
            return &commands[i];
    return NULL;
}

void control_reply_begin(struct control_reply *reply, struct internet *internet, struct span line)
{
    *reply           = (struct control_reply){.internet = internet};
    struct span rest = span_trim(line), name;
    struct buf error = {0};
    if (!span_cut(&rest, ' ', &name))
        return;
    const struct command *command = command_named(name);
    if (command == NULL)
        buf_printf(&error, "unknown command '%.*s'", (int)name.len, name.at);
    else if (command->begin == NULL || command->begin(reply, span_trim(rest), &error))
        reply->more = command->more;
    if (reply->more == NULL) {
        (void)snprintf(reply->argument, sizeof reply->argument, "%s", buf_text(&error));
        reply->more = more_error;
    }
    buf_release(&error);
}

bool control_reply_more(struct control_reply *reply, struct buf *out)
{
    if (reply->more != NULL && reply->more(reply, out))
        return true;
    if (reply->more != NULL)
        buf_put_byte(out, '\n');
    return false;
}
