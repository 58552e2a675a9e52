/* SPDX-License-Identifier: MIT */
/* What can be asked: one row a verb.  A verb either answers at once (client_end), starts a listing
 * (walk.c), or leaves an order for the engine. */
#include "mta/control/inside.h"
#include "mta/control/story.h"
#include "mta/mail/domain.h"
#include "mta/mail/escape.h"
#include "mta/mail/msgid.h"
#include "mta/receive/receive.h"
#include <inttypes.h>
#include <sysexits.h>

enum { QUOTE_BYTES_MAX = 80 };

typedef void verb_fn(struct control_client *client, const struct control_request *request,
                     const struct moment *at);

struct verb {
    const char *name;
    size_t words_min, words_max;
    verb_fn *run;
    const char *usage;
};

static void refuse(struct control_client *client, const char *sentence)
{
    buf_printf(&client->text, "%s\n", sentence);
    client_end(client, EX_USAGE);
}

/* --- looking --- */

static void run_status(struct control_client *client, const struct control_request *request,
                       const struct moment *at)
{
    if (request->as_json)
        overview_json(&client->control->world, at->wall_ms, &client->text);
    else
        overview_text(&client->control->world, at->wall_ms, &client->text);
    client_end(client, EX_OK);
}

/* Answers when it is not good. */
static bool read_selector(struct control_client *client, const struct control_request *request,
                          struct selector *selector)
{
    struct buf error = {0};
    bool is_good     = true;
    selector_init(selector);
    for (size_t i = 0; is_good && i < request->count; i++)
        is_good = selector_add(selector, request->words[i], &error);
    if (!is_good) {
        escape_text(buf_span(&error), CONTROL_REQUEST_BYTES_MAX, &client->text);
        refuse(client, "");
    }
    buf_release(&error);
    return is_good;
}

static void run_queue(struct control_client *client, const struct control_request *request,
                      const struct moment *at)
{
    (void)at;
    struct selector selector;
    if (read_selector(client, request, &selector))
        walk_rcpts(client, &selector, FORM_QUEUE, request->as_json);
}

/* Answers when it is none. */
static bool read_id(struct control_client *client, struct span word, uint64_t *id)
{
    if (msgid_parse(word, id) && *id != 0)
        return true;
    buf_put_text(&client->text, "'");
    escape_text(word, QUOTE_BYTES_MAX, &client->text);
    refuse(client, "' is no message id; ids look like 01J8Z3K4M5N6P");
    return false;
}

static void run_show(struct control_client *client, const struct control_request *request,
                     const struct moment *at)
{
    (void)at;
    struct selector selector;
    selector_init(&selector);
    if (read_id(client, request->words[0], &selector.id))
        walk_rcpts(client, &selector, FORM_SHOW, request->as_json);
}

static void run_watch(struct control_client *client, const struct control_request *request,
                      const struct moment *at)
{
    (void)at;
    uint64_t id;
    if (!read_id(client, request->words[0], &id))
        return;
    const struct message *m = queue_find(client->control->world.queue, id);
    char text[MSGID_TEXT_BYTES];
    if (m != NULL)
        overview_progress(m, &client->text);
    else
        buf_printf(&client->text, "there is no message %s in the queue\n", msgid_text(id, text));
    client_end(client, m == NULL ? EX_DATAERR : EX_OK);
}

static void run_version(struct control_client *client, const struct control_request *request,
                        const struct moment *at)
{
    (void)request, (void)at;
    buf_put_text(&client->text, "mailraced " MAILRACE_VERSION "\n");
    client_end(client, EX_OK);
}

/* --- sites --- */

static void run_sites(struct control_client *client, const struct control_request *request,
                      const struct moment *at)
{
    (void)at;
    walk_sites(client, request->as_json);
}

static bool site_is(const struct site_row *row, struct span name)
{
    if (span_is_nocase(name, row->name) || span_is(name, row->key))
        return true;
    for (size_t i = 0; i < row->target->host_count; i++)
        if (span_is_nocase(name, row->target->hosts[i].name))
            return true;
    return false;
}

static void put_site(struct control_client *client, const struct site_row *row, bool as_json,
                     const struct moment *at)
{
    if (as_json)
        listing_site_json(row, at, &client->text);
    else
        story_site(row, at, &client->text);
}

static size_t put_sites_called(struct control_client *client, struct span name, bool as_json,
                               const struct moment *at)
{
    struct site_row row;
    size_t found = 0;
    for (size_t cursor = 0;
         queue_each_site(client->control->world.queue, &cursor, at->now_ms, &row);) {
        if (!site_is(&row, name))
            continue;
        if (found++ > 0 && !as_json)
            buf_put_byte(&client->text, '\n');
        put_site(client, &row, as_json, at);
    }
    return found;
}

static bool put_site_of_domain(struct control_client *client, struct span name, bool as_json,
                               const struct moment *at)
{
    char domain[DOMAIN_BYTES_MAX + 1];
    struct site_row row;
    if (domain_canonical(name, domain))
        name = span_of(domain);
    if (!queue_site_of(client->control->world.queue, name, at->now_ms, &row))
        return false;
    put_site(client, &row, as_json, at);
    return true;
}

static void run_site(struct control_client *client, const struct control_request *request,
                     const struct moment *at)
{
    struct span name = request->words[0];
    if (put_sites_called(client, name, request->as_json, at) > 0 ||
        put_site_of_domain(client, name, request->as_json, at)) {
        client_end(client, EX_OK);
        return;
    }
    buf_put_text(&client->text, "no site is called '");
    escape_text(name, QUOTE_BYTES_MAX, &client->text);
    buf_put_text(&client->text, "', and no mail went to a domain of that name lately; 'mailrace "
                                "sites' lists those known\n");
    client_end(client, EX_DATAERR);
}

/* For 'mailrace user list': what users have sent, always as JSON. */
static void run_usage(struct control_client *client, const struct control_request *request,
                      const struct moment *at)
{
    struct receive_usage usage;
    (void)request;
    for (size_t cursor = 0;
         receive_each_usage(client->control->world.receive, &cursor, at->wall_ms, &usage);) {
        buf_put_text(&client->text, "{\"user\":");
        escape_json(span_of(usage.user), &client->text);
        buf_printf(&client->text,
                   ",\"messages_hour\":%" PRIu32 ",\"messages_day\":%" PRIu32
                   ",\"recipients_hour\":%" PRIu32 ",\"recipients_day\":%" PRIu32 "}\n",
                   usage.messages_hour, usage.messages_day, usage.recipients_hour,
                   usage.recipients_day);
    }
    client_end(client, EX_OK);
}

/* --- changing --- */

static void change(struct control_client *client, const struct control_request *request,
                   const struct moment *at, enum queue_command command)
{
    static const char *const done[] = {[QUEUE_RETRY]   = "to be tried now",
                                       [QUEUE_HOLD]    = "held",
                                       [QUEUE_RELEASE] = "released",
                                       [QUEUE_CANCEL]  = "cancelled"};
    struct selector selector;
    if (!read_selector(client, request, &selector))
        return;
    if (selector.is_empty) {
        refuse(client, "which recipients?  Give a selector (id= to= domain= site= list= flow= "
                       "older= status=), or 'all'");
        return;
    }
    size_t count = queue_command(client->control->world.queue, command, &selector, request->dry_run,
                                 at->now_ms, at->wall_ms);
    if (request->as_json)
        buf_printf(&client->text, "{\"matched\":%zu,\"dry_run\":%s}\n", count,
                   request->dry_run ? "true" : "false");
    else
        buf_printf(&client->text, "%zu recipient%s %s%s\n", count, count == 1 ? "" : "s",
                   request->dry_run ? "would be " : "", done[command]);
    client_end(client, EX_OK);
}

static void run_retry(struct control_client *client, const struct control_request *request,
                      const struct moment *at)
{
    change(client, request, at, QUEUE_RETRY);
}

static void run_hold(struct control_client *client, const struct control_request *request,
                     const struct moment *at)
{
    change(client, request, at, QUEUE_HOLD);
}

static void run_release(struct control_client *client, const struct control_request *request,
                        const struct moment *at)
{
    change(client, request, at, QUEUE_RELEASE);
}

static void run_cancel(struct control_client *client, const struct control_request *request,
                       const struct moment *at)
{
    change(client, request, at, QUEUE_CANCEL);
}

static void run_reload(struct control_client *client, const struct control_request *request,
                       const struct moment *at)
{
    (void)request, (void)at;
    client->wants_reload = true; /* control_order_done() answers */
}

/* --- the table --- */

static const struct verb verbs[] = {
    {"status",  0, 0,                 run_status,  "status [--json]"                },
    {"queue",   0, CONTROL_WORDS_MAX, run_queue,   "queue [SELECTOR...] [--json]"   },
    {"show",    1, 1,                 run_show,    "show ID [--json]"               },
    {"sites",   0, 0,                 run_sites,   "sites [--json]"                 },
    {"site",    1, 1,                 run_site,    "site NAME [--json]"             },
    {"retry",   0, CONTROL_WORDS_MAX, run_retry,   "retry SELECTOR... [--dry-run]"  },
    {"hold",    0, CONTROL_WORDS_MAX, run_hold,    "hold SELECTOR... [--dry-run]"   },
    {"release", 0, CONTROL_WORDS_MAX, run_release, "release SELECTOR... [--dry-run]"},
    {"cancel",  0, CONTROL_WORDS_MAX, run_cancel,  "cancel SELECTOR... [--dry-run]" },
    {"reload",  0, 0,                 run_reload,  "reload"                         },
    {"usage",   0, 0,                 run_usage,   "user list"                      },
    {"watch",   1, 1,                 run_watch,   "watch ID"                       },
    {"version", 0, 0,                 run_version, "version"                        },
};

static const struct verb *find_verb(struct span name)
{
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (span_is(name, verbs[i].name))
            return &verbs[i];
    return NULL;
}

/* False when it has too many words. */
static bool split(struct span line, struct span *verb, struct control_request *request)
{
    struct span word;
    *verb = (struct span){0};
    while (span_cut(&line, ' ', &word)) {
        if (word.len == 0)
            continue;
        if (verb->len == 0)
            *verb = word;
        else if (span_is(word, "--json"))
            request->as_json = true;
        else if (span_is(word, "--dry-run"))
            request->dry_run = true;
        else if (request->count < CONTROL_WORDS_MAX)
            request->words[request->count++] = word;
        else
            return false;
    }
    return true;
}

void control_run(struct control_client *client, struct span line, const struct moment *at)
{
    struct control_request request = {0};
    struct span name;
    bool is_short           = split(line, &name, &request);
    const struct verb *verb = find_verb(name);
    if (verb == NULL) {
        buf_put_text(&client->text, "unknown request '");
        escape_text(name, QUOTE_BYTES_MAX, &client->text);
        refuse(client, "'");
    } else if (!is_short || request.count < verb->words_min || request.count > verb->words_max) {
        buf_put_text(&client->text, "usage: mailrace ");
        refuse(client, verb->usage);
    } else {
        verb->run(client, &request, at);
    }
}
