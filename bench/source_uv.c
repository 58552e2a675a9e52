/* SPDX-License-Identifier: MIT */
/*
 * A number of connections take parcels from one plan until it is empty.  A connection that breaks
 * is not replaced by another try of the same parcel: its recipients count as unanswered, because a
 * source that hides losses measures nothing.
 */
#include "bench/source_uv.h"
#include "bench/options.h"
#include "bench/source_mail.h"
#include "bench/source_session.h"
#include "mta/base/list.h"
#include "mta/base/mem.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <time.h>
#include <uv.h>

enum {
    READ_BYTES         = 65536,
    WATCH_MS           = 500,
    CONNECTIONS_MAX    = 20000,
    TIMEOUT_DEFAULT_MS = 120000,
    BYTES_DEFAULT      = 4096,
    RECIPIENTS_DEFAULT = 1000,
    DOMAINS_DEFAULT    = 100,
    PER_TRANSACTION    = 500,
    FILE_READ_BYTES    = 65536,
    DATE_BYTES         = 64,
    HOST_BYTES         = 64
};

struct source_options {
    const char *to, *sender, *helo, *id, *list, *order, *rcpt_file, *user, *prefix, *suffix;
    uint64_t recipients, domains, per_transaction, connections, bytes, seed, timeout_ms;
    bool uniform, personalised, pipelining, connection_per_message, help;
};

struct source {
    const struct source_options *options;
    struct source_plan plan;
    struct source_mail_config mail_config;
    struct source_mail mail;
    struct source_session_config session_config;
    struct source_report report;
    struct buf post; /* the list post, shared by all transactions */
    size_t next_parcel;
    struct sockaddr_storage to;
    uv_loop_t loop;
    uv_timer_t watch;
    struct list conns;
    char input[READ_BYTES];
};

struct source_conn {
    struct list in_source;
    struct source *source;
    uv_tcp_t tcp;
    uv_connect_t connecting;
    uv_write_t writing;
    struct buf sending; /* of the write under way */
    struct buf mail;    /* its personalised message */
    struct source_session session;
    uint64_t heard_ms;
    size_t sent; /* messages */
    bool is_writing, is_over;
};

static void conn_open(struct source *source);
static void pump(struct source_conn *c);

static uint64_t now_us(void)
{
    return uv_hrtime() / 1000;
}

static uint64_t wall_ms(void)
{
    uv_timeval64_t now;
    (void)uv_gettimeofday(&now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_usec / 1000;
}

static void on_closed(uv_handle_t *handle)
{
    struct source_conn *c = handle->data;
    struct source *source = c->source;
    list_remove(&c->in_source);
    source_session_release(&c->session);
    buf_release(&c->sending);
    buf_release(&c->mail);
    mem_free(c);
    if (source->next_parcel < source->plan.parcel_count &&
        (source->options->connection_per_message || list_is_empty(&source->conns)) &&
        source->report.lost == 0)
        conn_open(source);
    if (list_is_empty(&source->conns))
        uv_close((uv_handle_t *)&source->watch, NULL);
}

static void conn_close(struct source_conn *c, const char *why)
{
    if (c->is_over)
        return;
    c->is_over = true;
    source_session_lost(&c->session, why);
    uv_close((uv_handle_t *)&c->tcp, on_closed);
}

static void on_written(uv_write_t *request, int status)
{
    struct source_conn *c = CONTAINER_OF(request, struct source_conn, writing);
    c->is_writing         = false;
    buf_clear(&c->sending);
    if (status < 0)
        conn_close(c, uv_strerror(status));
    else
        pump(c);
}

/* One write at a time; what comes up meanwhile waits in the session. */
static void write_output(struct source_conn *c)
{
    struct buf *out = &c->session.out;
    if (c->is_writing || c->is_over || out->len == 0)
        return;
    uv_buf_t bytes = uv_buf_init(out->at, (unsigned)out->len);
    int wrote      = uv_try_write((uv_stream_t *)&c->tcp, &bytes, 1);
    if (wrote < 0 && wrote != UV_EAGAIN) {
        conn_close(c, uv_strerror(wrote));
        return;
    }
    buf_drop(out, wrote > 0 ? (size_t)wrote : 0);
    if (out->len == 0)
        return;
    struct buf spare = c->sending;
    c->sending       = *out;
    *out             = spare;
    bytes            = uv_buf_init(c->sending.at, (unsigned)c->sending.len);
    c->is_writing    = true;
    if (uv_write(&c->writing, (uv_stream_t *)&c->tcp, &bytes, 1, on_written) != 0)
        conn_close(c, "cannot write");
}

static struct span mail_for(struct source_conn *c, const struct source_parcel *parcel)
{
    struct source *source = c->source;
    if (!source->options->personalised)
        return buf_span(&source->post);
    (void)source_mail_compose(&source->mail, source->plan.rcpts[parcel->first], parcel->first,
                              &c->mail);
    return buf_span(&c->mail);
}

static void next_transaction(struct source_conn *c)
{
    struct source *source = c->source;
    bool is_enough        = source->options->connection_per_message && c->sent > 0;
    if (is_enough || source->next_parcel == source->plan.parcel_count) {
        source_session_quit(&c->session);
        return;
    }
    const struct source_parcel *parcel = &source->plan.parcels[source->next_parcel++];
    if (source->report.begun_us == 0) {
        source->report.begun_us      = now_us();
        source->report.begun_wall_ms = wall_ms();
    }
    c->sent++;
    source_session_send(&c->session, *parcel, mail_for(c, parcel), now_us());
}

static void pump(struct source_conn *c)
{
    if (!c->is_over && c->session.phase == SOURCE_IDLE)
        next_transaction(c);
    write_output(c);
    if (c->session.phase == SOURCE_DONE)
        conn_close(c, "");
}

static void give_input(uv_handle_t *handle, size_t wanted, uv_buf_t *into)
{
    (void)wanted;
    struct source_conn *c = handle->data;
    *into                 = uv_buf_init(c->source->input, sizeof c->source->input);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *bytes)
{
    struct source_conn *c = stream->data;
    if (got < 0) {
        conn_close(c, got == UV_EOF ? "the server closed the connection" : uv_strerror((int)got));
        return;
    }
    c->heard_ms = uv_now(stream->loop);
    source_session_feed(&c->session, span_make(bytes->base, (size_t)got), now_us());
    pump(c);
}

static void on_connected(uv_connect_t *request, int status)
{
    struct source_conn *c = CONTAINER_OF(request, struct source_conn, connecting);
    if (status == 0)
        status = uv_read_start((uv_stream_t *)&c->tcp, give_input, on_read);
    if (status != 0) {
        conn_close(c, uv_strerror(status));
        return;
    }
    (void)uv_tcp_nodelay(&c->tcp, 1);
    c->source->report.connections++;
}

static void conn_open(struct source *source)
{
    struct source_conn *c = mem_new(sizeof *c);
    c->source             = source;
    c->heard_ms           = uv_now(&source->loop);
    source_session_init(&c->session, &source->session_config, &source->plan, &source->report);
    uv_tcp_init(&source->loop, &c->tcp);
    c->tcp.data = c;
    list_push(&source->conns, &c->in_source);
    int status =
        uv_tcp_connect(&c->connecting, &c->tcp, (struct sockaddr *)&source->to, on_connected);
    if (status != 0)
        conn_close(c, uv_strerror(status));
}

/* Closing does not unlink at once, so the walk is safe. */
static void on_watch(uv_timer_t *timer)
{
    struct source *source = timer->data;
    for (struct list *n = list_first(&source->conns); n != NULL; n = list_next(&source->conns, n)) {
        struct source_conn *c = CONTAINER_OF(n, struct source_conn, in_source);
        if (uv_now(timer->loop) - c->heard_ms > source->options->timeout_ms)
            conn_close(c, "no reply in time");
    }
}

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

static bool make_plan(struct source *source, struct buf *list, struct buf *error)
{
    const struct source_options *o   = source->options;
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
    source_plan_init(&source->plan, &config);
    source->report.recipients = source->plan.rcpt_count;
    return true;
}

static void run(struct source *source)
{
    const struct source_options *o = source->options;
    uint64_t connections           = o->connections < CONNECTIONS_MAX ? o->connections : 1;
    if (!o->personalised)
        (void)source_mail_compose(&source->mail, span_make("", 0), 0, &source->post);
    (void)signal(SIGPIPE, SIG_IGN);
    uv_timer_init(&source->loop, &source->watch);
    source->watch.data = source;
    uv_timer_start(&source->watch, on_watch, WATCH_MS, WATCH_MS);
    for (uint64_t i = 0; i < connections && i < source->plan.parcel_count; i++)
        conn_open(source);
    if (list_is_empty(&source->conns))
        uv_close((uv_handle_t *)&source->watch, NULL);
    (void)uv_run(&source->loop, UV_RUN_DEFAULT);
    source->report.ended_wall_ms =
        source->report.begun_wall_ms + (source->report.ended_us - source->report.begun_us) / 1000;
}

static int report(struct source *source)
{
    struct buf out = {0};
    source_report_json(&source->report, source->options->id,
                       source->options->personalised ? "" : source->mail.sha256, &out);
    printf("%s", buf_text(&out));
    buf_release(&out);
    return source->report.accepted == source->report.recipients ? EX_OK : 1;
}

static int hand_over(const struct source_options *o)
{
    struct source *source = mem_new(sizeof *source);
    struct buf list = {0}, error = {0};
    char date[DATE_BYTES];
    struct tm utc;
    time_t now = (time_t)(wall_ms() / 1000);
    (void)strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S +0000", gmtime_r(&now, &utc));
    source->options        = o;
    source->mail_config    = (struct source_mail_config){o->id, o->list, date, o->bytes};
    source->session_config = (struct source_session_config){o->helo, o->sender, o->pipelining};
    list_init(&source->conns);
    uv_loop_init(&source->loop);
    source_mail_init(&source->mail, &source->mail_config);

    int status = EX_USAGE;
    if (!parse_endpoint(o->to, &source->to))
        buf_printf(&error, "--to needs ADDRESS:PORT, not '%s'", o->to == NULL ? "" : o->to);
    else if (make_plan(source, &list, &error)) {
        run(source);
        status = report(source);
    }
    if (error.len > 0)
        (void)fprintf(stderr, "mailrace-bench: %s\n", buf_text(&error));
    (void)uv_loop_close(&source->loop);
    source_mail_release(&source->mail);
    source_plan_release(&source->plan);
    source_report_release(&source->report);
    buf_release(&source->post);
    buf_release(&list);
    buf_release(&error);
    mem_free(source);
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
                                      .timeout_ms      = TIMEOUT_DEFAULT_MS};
    const struct option_row rows[] = {
        {"to",                     OPTION_TEXT,     &o.to,                     "ADDRESS:PORT", "the server (needed)"                        },
        {"recipients",             OPTION_NUMBER,   &o.recipients,             "N",            "default 1000"                               },
        {"domains",                OPTION_NUMBER,   &o.domains,                "N",            "default 100"                                },
        {"uniform",                OPTION_FLAG,     &o.uniform,                NULL,           "as many in each; default: Zipf"             },
        {"rcpt-file",              OPTION_TEXT,     &o.rcpt_file,              "FILE",         "addresses, one a line"                      },
        {"user",                   OPTION_TEXT,     &o.user,                   "TEXT",         "local parts begin so, default user"         },
        {"prefix",                 OPTION_TEXT,     &o.prefix,                 "TEXT",         "domains begin so, default d"                },
        {"suffix",                 OPTION_TEXT,     &o.suffix,                 "TEXT",         "and end so, default .example"               },
        {"order",                  OPTION_TEXT,     &o.order,                  "ORDER",        "shuffled, sorted, given or mailman"         },
        {"seed",                   OPTION_NUMBER,   &o.seed,                   "N",            "of the shuffle"                             },
        {"per-transaction",        OPTION_NUMBER,   &o.per_transaction,        "N",            "default 500; 0: all in one"                 },
        {"personalised",           OPTION_FLAG,     &o.personalised,           NULL,           "a message for each recipient"               },
        {"connections",            OPTION_NUMBER,   &o.connections,            "N",            "default 1"                                  },
        {"connection-per-message", OPTION_FLAG,     &o.connection_per_message, NULL,
         "a new one for each transaction"                                                                                                   },
        {"pipelining",             OPTION_FLAG,     &o.pipelining,             NULL,           "where the server offers it"                 },
        {"size",                   OPTION_SIZE,     &o.bytes,                  "BYTES",        "of a message, default 4k"                   },
        {"sender",                 OPTION_TEXT,     &o.sender,                 "ADDRESS",      "the envelope's"                             },
        {"helo",                   OPTION_TEXT,     &o.helo,                   "NAME",         "the name in EHLO"                           },
        {"list",                   OPTION_TEXT,     &o.list,                   "NAME",         "in the header, default race"                },
        {"id",                     OPTION_TEXT,     &o.id,                     "TEXT",         "message id, or its first part; default post"},
        {"timeout",                OPTION_DURATION, &o.timeout_ms,             "TIME",         "without any reply, default 2m"              },
        {"help",                   OPTION_FLAG,     &o.help,                   NULL,           "this text"                                  },
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
