/* SPDX-License-Identifier: MIT */
/* The command line of the source: from options to a plan, a message and a run, and to the report.
 */
#include "bench/source_uv.h"
#include "bench/options.h"
#include "bench/source_run_uv.h"
#include "mta/base/mem.h"
#include "mta/sys/clock.h"
#include "mta/tls/context.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

enum {
    CONNECTIONS_MAX    = 20000,
    TIMEOUT_DEFAULT_MS = 120000,
    BYTES_DEFAULT      = 4096,
    RECIPIENTS_DEFAULT = 1000,
    DOMAINS_DEFAULT    = 100,
    PER_TRANSACTION    = 500,
    FILE_READ_BYTES    = 65536,
    DATE_BYTES         = 64,
    HOST_BYTES         = 64,
    BURST_PAUSE_MS     = 1000,
    US_PER_MS          = 1000
};

struct source_options {
    const char *to, *sender, *helo, *id, *list, *order, *rcpt_file, *user, *prefix, *suffix, *auth;
    uint64_t recipients, domains, per_transaction, connections, bytes, seed, timeout_ms;
    uint64_t messages, time_ms, interval_ns, burst, burst_pause_ms;
    bool uniform, personalised, pipelining, chunking, starttls, connection_per_message, help;
};

/* "127.0.0.1:2525", "[::1]:2525" */
static bool parse_endpoint(const char *text, struct sockaddr_storage *into)
{
    char host[HOST_BYTES];
    const char *colon = text == NULL ? NULL : strrchr(text, ':');
    uint64_t port;
    if (colon == NULL || (size_t)(colon - text) >= sizeof host ||
        !span_to_number(span_of(colon + 1), 65535, &port))
        return false;
    struct span name = span_make(text, (size_t)(colon - text));
    if (name.len > 2 && name.at[0] == '[')
        name = span_make(name.at + 1, name.len - 2);
    memcpy(host, name.at, name.len);
    host[name.len] = '\0';
    if (strcmp(host, "localhost") == 0)
        (void)snprintf(host, sizeof host, "127.0.0.1");
    return uv_ip4_addr(host, (int)port, (struct sockaddr_in *)into) == 0 ||
           uv_ip6_addr(host, (int)port, (struct sockaddr_in6 *)into) == 0;
}

static bool read_list(const char *path, struct buf *into)
{
    FILE *file = fopen(path, "r");
    size_t got;
    if (file == NULL)
        return false;
    while ((got = fread(buf_reserve(into, FILE_READ_BYTES), 1, FILE_READ_BYTES, file)) > 0)
        into->len += got;
    return fclose(file) == 0;
}

static bool make_plan(const struct source_options *o, struct buf *list, struct source_plan *plan,
                      struct buf *error)
{
    struct source_plan_config config = {.recipients      = o->recipients,
                                        .domains         = o->domains > 0 ? o->domains : 1,
                                        .per_transaction = o->personalised ? 1 : o->per_transaction,
                                        .seed            = o->seed,
                                        .zipf            = !o->uniform,
                                        .user            = o->user,
                                        .prefix          = o->prefix,
                                        .suffix          = o->suffix};
    if (!source_order_named(span_of(o->order), &config.order)) {
        buf_printf(error, "'%s' is no order", o->order);
        return false;
    }
    if (o->rcpt_file != NULL && (!read_list(o->rcpt_file, list) || list->len == 0)) {
        buf_printf(error, "cannot read addresses from '%s'", o->rcpt_file);
        return false;
    }
    config.list = buf_span(list);
    source_plan_init(plan, &config);
    return true;
}

static struct source_session_config session_config(const struct source_options *o)
{
    struct span password = span_of(o->auth), user = {0};
    (void)span_cut(&password, ':', &user);
    return (struct source_session_config){.helo             = o->helo,
                                          .sender           = o->sender,
                                          .wants_pipelining = o->pipelining,
                                          .wants_chunking   = o->chunking,
                                          .wants_tls        = o->starttls,
                                          .user             = user,
                                          .password         = password};
}

static bool make_run(const struct source_options *o, struct source_run_config *config,
                     struct buf *error)
{
    config->connections            = o->connections;
    config->timeout_ms             = o->timeout_ms;
    config->is_personalised        = o->personalised;
    config->connection_per_message = o->connection_per_message;
    if (o->connections == 0 || o->connections > CONNECTIONS_MAX)
        buf_printf(error, "--connections: 1 to %d", CONNECTIONS_MAX);
    else if (!parse_endpoint(o->to, &config->to))
        buf_printf(error, "--to needs ADDRESS:PORT, not '%s'", o->to == NULL ? "" : o->to);
    else if (o->auth != NULL && strchr(o->auth, ':') == NULL)
        buf_put_text(error, "--auth needs USER:PASSWORD");
    else if (o->starttls)
        config->tls = tls_context_client(TLS_ENCRYPT, NULL, error);
    return error->len == 0;
}

static int print_report(struct source_report *report, const struct source_options *o,
                        const struct source_mail *mail)
{
    struct buf out = {0};
    source_report_json(report, o->id, o->personalised ? "" : mail->sha256, &out);
    printf("%s", buf_text(&out));
    buf_release(&out);
    return report->accepted + report->unsent == report->recipients ? EX_OK : 1;
}

static int run(const struct source_options *o, const struct source_run_config *config,
               const struct source_plan *plan)
{
    char date[DATE_BYTES];
    struct tm utc;
    time_t now = (time_t)(clock_wall_ms() / 1000);
    (void)strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S +0000", gmtime_r(&now, &utc));
    const struct source_mail_config mail_config = {o->id, o->list, date, o->bytes};
    struct source_report report                 = {.recipients = plan->rcpt_count};
    struct source_mail mail;
    source_mail_init(&mail, &mail_config);
    source_run(config, plan, &mail, &report);
    int status = print_report(&report, o, &mail);
    source_mail_release(&mail);
    source_report_release(&report);
    return status;
}

static int hand_over(const struct source_options *o)
{
    const struct source_session_config session = session_config(o);
    const struct source_pace_config pace       = {.messages       = o->messages,
                                                  .time_us        = o->time_ms * US_PER_MS,
                                                  .interval_ns    = o->interval_ns,
                                                  .burst          = o->burst,
                                                  .burst_pause_us = o->burst_pause_ms * US_PER_MS};
    struct source_run_config config            = {.session = &session, .pace = &pace};
    struct source_plan plan                    = {0};
    struct buf list = {0}, error = {0};
    int status = EX_USAGE;
    (void)signal(SIGPIPE, SIG_IGN);
    tls_global_init();
    if (make_run(o, &config, &error) && make_plan(o, &list, &plan, &error))
        status = run(o, &config, &plan);
    else
        (void)fprintf(stderr, "mailrace-bench: %s\n", buf_text(&error));
    if (config.tls != NULL)
        tls_context_release(config.tls);
    source_plan_release(&plan);
    buf_release(&list);
    buf_release(&error);
    return status;
}

int source_main(int argc, char **argv)
{
    struct source_options o        = {.sender          = "race-bounces@lists.example",
                                      .helo            = "source.lists.example",
                                      .id              = "post",
                                      .list            = "race",
                                      .order           = "shuffled",
                                      .user            = "user",
                                      .prefix          = "d",
                                      .suffix          = ".example",
                                      .recipients      = RECIPIENTS_DEFAULT,
                                      .domains         = DOMAINS_DEFAULT,
                                      .per_transaction = PER_TRANSACTION,
                                      .connections     = 1,
                                      .bytes           = BYTES_DEFAULT,
                                      .burst_pause_ms  = BURST_PAUSE_MS,
                                      .timeout_ms      = TIMEOUT_DEFAULT_MS};
    const struct option_row rows[] = {
        {"to",                     OPTION_TEXT,     &o.to,                     "ADDRESS:PORT",  "the server (needed)"                        },
        {"recipients",             OPTION_NUMBER,   &o.recipients,             "N",             "default 1000"                               },
        {"domains",                OPTION_NUMBER,   &o.domains,                "N",             "default 100"                                },
        {"uniform",                OPTION_FLAG,     &o.uniform,                NULL,            "as many in each; default: Zipf"             },
        {"rcpt-file",              OPTION_TEXT,     &o.rcpt_file,              "FILE",          "addresses, one a line"                      },
        {"user",                   OPTION_TEXT,     &o.user,                   "TEXT",          "local parts begin so, default user"         },
        {"prefix",                 OPTION_TEXT,     &o.prefix,                 "TEXT",          "domains begin so, default d"                },
        {"suffix",                 OPTION_TEXT,     &o.suffix,                 "TEXT",          "and end so, default .example"               },
        {"order",                  OPTION_TEXT,     &o.order,                  "ORDER",         "shuffled, sorted, given or mailman"         },
        {"seed",                   OPTION_NUMBER,   &o.seed,                   "N",             "of the shuffle"                             },
        {"per-transaction",        OPTION_NUMBER,   &o.per_transaction,        "N",             "default 500; 0: all in one"                 },
        {"personalised",           OPTION_FLAG,     &o.personalised,           NULL,            "a message for each recipient"               },
        {"connections",            OPTION_NUMBER,   &o.connections,            "N",             "default 1"                                  },
        {"connection-per-message", OPTION_FLAG,     &o.connection_per_message, NULL,
         "a new one for each transaction"                                                                                                    },
        {"pipelining",             OPTION_FLAG,     &o.pipelining,             NULL,            "where the server offers it"                 },
        {"chunking",               OPTION_FLAG,     &o.chunking,               NULL,            "BDAT, where the server offers it"           },
        {"starttls",               OPTION_FLAG,     &o.starttls,               NULL,            "encrypt, without verifying"                 },
        {"auth",                   OPTION_TEXT,     &o.auth,                   "USER:PASSWORD", "AUTH PLAIN, or LOGIN"                       },
        {"messages",               OPTION_NUMBER,   &o.messages,               "N",             "so many transactions at most"               },
        {"time",                   OPTION_DURATION, &o.time_ms,                "TIME",          "begin no transaction after that"            },
        {"rate",                   OPTION_RATE,     &o.interval_ns,            "N/s",           "steadily so many transactions"              },
        {"burst",                  OPTION_NUMBER,   &o.burst,                  "N",             "so many transactions, then a pause"         },
        {"burst-pause",            OPTION_DURATION, &o.burst_pause_ms,         "TIME",          "default 1s"                                 },
        {"size",                   OPTION_SIZE,     &o.bytes,                  "BYTES",         "of a message, default 4k"                   },
        {"sender",                 OPTION_TEXT,     &o.sender,                 "ADDRESS",       "the envelope's"                             },
        {"helo",                   OPTION_TEXT,     &o.helo,                   "NAME",          "the name in EHLO"                           },
        {"list",                   OPTION_TEXT,     &o.list,                   "NAME",          "in the header, default race"                },
        {"id",                     OPTION_TEXT,     &o.id,                     "TEXT",          "message id, or its first part; default post"},
        {"timeout",                OPTION_DURATION, &o.timeout_ms,             "TIME",          "without any reply, default 2m"              },
        {"help",                   OPTION_FLAG,     &o.help,                   NULL,            "this text"                                  },
    };
    size_t count    = sizeof rows / sizeof rows[0];
    struct buf text = {0};
    int status      = EX_OK;
    if (!options_parse(rows, count, argc, argv, &text)) {
        (void)fprintf(stderr, "mailrace-bench: %s\n", buf_text(&text));
        status = EX_USAGE;
    } else if (o.help) {
        options_usage(rows, count, "source", &text);
        printf("%s", buf_text(&text));
    } else {
        status = hand_over(&o);
    }
    buf_release(&text);
    return status;
}
