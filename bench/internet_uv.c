/* SPDX-License-Identifier: MIT */
/*
 * Wires the parts: options, world, servers, the line that tells the caller where everything is, the
 * loop, and the way back down.
 */
#include "bench/internet_uv.h"
#include "bench/control_uv.h"
#include "bench/json.h"
#include "bench/options.h"
#include "mta/base/mem.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>
#include <uv.h>

enum { DOMAINS_DEFAULT = 100, FILE_BYTES = 65536 };

struct internet_options {
    const char *scenario, *mix, *hosted, *prefix, *suffix, *control, *ca;
    uint64_t domains, operators, seed, dns_port, smtp_port, lmtp_port;
    bool no_hash, quiet_ledger, die_with_parent, help;
};

static const char always[] = "host lmtp.test 127.0.0.2 lmtp relay\n"
                             "host relay.test 127.0.0.3 relay\n";

void internet_stop(struct internet *internet)
{
    uv_stop(internet->loop);
}

bool internet_refresh(struct internet *internet, struct host *host, struct buf *error)
{
    return mx_server_refresh(internet->mx, host, error);
}

static bool read_file(const char *path, struct buf *into, struct buf *error)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    if (file == NULL) {
        buf_printf(error, "cannot read '%s'", path);
        return false;
    }
    size_t got;
    while ((got = fread(buf_reserve(into, FILE_BYTES), 1, FILE_BYTES, file)) > 0)
        into->len += got;
    if (file != stdin)
        (void)fclose(file);
    return true;
}

static void option_word(struct buf *line, const char *key, const char *value)
{
    if (value != NULL)
        buf_printf(line, " %s=%s", key, value);
}

/* The options that describe a world are a line of the scenario language. */
static void generate_line(const struct internet_options *o, struct buf *text)
{
    bool is_default = o->domains == 0 && o->scenario == NULL;
    if (o->domains == 0 && !is_default)
        return;
    buf_printf(text, "generate %llu",
               (unsigned long long)(is_default ? DOMAINS_DEFAULT : o->domains));
    option_word(text, "prefix", o->prefix);
    option_word(text, "suffix", o->suffix);
    option_word(text, "hosted", o->hosted);
    if (o->operators > 0)
        buf_printf(text, " operators=%llu", (unsigned long long)o->operators);
    option_word(text, "mix", o->mix);
    buf_put_byte(text, '\n');
}

static bool make_world(struct internet *internet, const struct internet_options *o,
                       struct buf *error)
{
    struct buf file = {0}, line = {0};
    generate_line(o, &line);
    bool ok = scenario_read(&internet->scenario, span_of(always), error) &&
              (o->scenario == NULL || (read_file(o->scenario, &file, error) &&
                                       scenario_read(&internet->scenario, buf_span(&file), error)));
    if (ok && !scenario_read(&internet->scenario, buf_span(&line), error)) {
        buf_printf(error, " (of '%s')", buf_text(&line));
        ok = false;
    }
    buf_release(&file);
    buf_release(&line);
    return ok;
}

static void init(struct internet *internet, uv_loop_t *loop, const struct internet_options *o)
{
    memset(internet, 0, sizeof *internet);
    internet->loop = loop;
    world_init(&internet->world);
    scenario_init(&internet->scenario, &internet->world, o->seed);
    ledger_init(&internet->ledger, o->quiet_ledger);
    greylist_init(&internet->common.greylist);
    internet->common.world   = &internet->world;
    internet->common.ledger  = &internet->ledger;
    internet->common.no_hash = o->no_hash;
    internet->ports          = (struct mx_ports){(unsigned)o->smtp_port, (unsigned)o->lmtp_port};
}

static bool open_all(struct internet *internet, const struct internet_options *o, struct buf *error)
{
    if (!make_world(internet, o, error))
        return false;
    internet->tls = internet_tls_new(o->ca, error);
    if (internet->tls == NULL)
        return false;
    internet->dns = dns_server_open(internet->loop, &internet->world, (unsigned)o->dns_port, error);
    if (internet->dns == NULL)
        return false;
    internet->mx =
        mx_server_open(internet->loop, &internet->common, internet->tls, &internet->ports, error);
    if (internet->mx == NULL)
        return false;
    if (o->control != NULL)
        internet->control = control_open(internet, o->control, error);
    return o->control == NULL || internet->control != NULL;
}

static void free_letters(struct list *letters)
{
    struct list *node;
    while ((node = list_take(letters)) != NULL) {
        struct stored *stored = CONTAINER_OF(node, struct stored, in_owner);
        buf_release(&stored->json);
        mem_free(stored);
    }
}

static void free_world(struct internet *internet)
{
    struct world *w = &internet->world;
    for (struct list *n = list_first(&w->all_hosts); n != NULL; n = list_next(&w->all_hosts, n)) {
        internet_tls_forget_host(host_of(n));
        free_letters(&host_of(n)->letters);
    }
    for (struct list *n = list_first(&w->all_domains); n != NULL; n = list_next(&w->all_domains, n))
        free_letters(&domain_of(n)->letters);
    world_release(w);
}

/* Closes what is open, lets the loop finish with it, and frees the rest. */
static void close_all(struct internet *internet)
{
    if (internet->control != NULL)
        control_close(internet->control);
    if (internet->mx != NULL)
        mx_server_close(internet->mx);
    if (internet->dns != NULL)
        dns_server_close(internet->dns);
    (void)uv_run(internet->loop, UV_RUN_DEFAULT);
    scenario_release(&internet->scenario);
    greylist_release(&internet->common.greylist);
    ledger_release(&internet->ledger);
    free_world(internet);
    if (internet->tls != NULL)
        internet_tls_free(internet->tls);
}

static void say_where(const struct internet *internet, const struct internet_options *o)
{
    struct buf line = {0}, dns = {0};
    buf_printf(&dns, "127.0.0.1:%u", dns_server_port(internet->dns));
    buf_put_byte(&line, '{');
    json_text(&line, "dns", buf_span(&dns));
    json_number(&line, "smtp_port", internet->ports.smtp);
    json_number(&line, "lmtp_port", internet->ports.lmtp);
    json_text(&line, "control", span_of(o->control == NULL ? "" : o->control));
    json_text(&line, "ca", span_of(o->ca == NULL ? "" : o->ca));
    json_number(&line, "domains", internet->world.domain_count);
    json_number(&line, "hosts", internet->world.host_count);
    json_number(&line, "pid", (uint64_t)getpid());
    buf_put_byte(&line, '}');
    printf("%s\n", buf_text(&line));
    (void)fflush(stdout);
    buf_release(&line);
    buf_release(&dns);
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    uv_stop(handle->loop);
}

/* Many hosts are many descriptors. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static void run(struct internet *internet, const struct internet_options *o)
{
    uv_signal_t signals[2];
    static const int numbers[2] = {SIGTERM, SIGINT};
    for (int i = 0; i < 2; i++) {
        uv_signal_init(internet->loop, &signals[i]);
        uv_signal_start(&signals[i], on_signal, numbers[i]);
    }
    say_where(internet, o);
    (void)uv_run(internet->loop, UV_RUN_DEFAULT);
    for (int i = 0; i < 2; i++)
        uv_close((uv_handle_t *)&signals[i], NULL);
    (void)uv_run(internet->loop, UV_RUN_NOWAIT);
}

static int serve(const struct internet_options *o)
{
    uv_loop_t loop;
    struct internet internet;
    struct buf error = {0};
    raise_descriptor_limit();
    (void)signal(SIGPIPE, SIG_IGN);
    if (o->die_with_parent)
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    uv_loop_init(&loop);
    init(&internet, &loop, o);
    bool ok = open_all(&internet, o, &error);
    if (ok)
        run(&internet, o);
    else
        (void)fprintf(stderr, "mailrace-bench: %s\n", buf_text(&error));
    close_all(&internet);
    (void)uv_loop_close(&loop);
    buf_release(&error);
    return ok ? EX_OK : EX_CONFIG;
}

int internet_main(int argc, char **argv)
{
    struct internet_options o      = {0};
    const struct option_row rows[] = {
        {"scenario",        OPTION_TEXT,   &o.scenario,        "FILE",           "describes the world, '-': stdin"    },
        {"domains",         OPTION_NUMBER, &o.domains,         "N",              "generate so many domains"           },
        {"mix",             OPTION_TEXT,   &o.mix,             "NAME:SHARE,...", "personalities of their hosts"       },
        {"hosted",          OPTION_TEXT,   &o.hosted,          "SHARE",          "of them at big operators"           },
        {"operators",       OPTION_NUMBER, &o.operators,       "N",              "so many big operators"              },
        {"prefix",          OPTION_TEXT,   &o.prefix,          "TEXT",           "before the number, default d"       },
        {"suffix",          OPTION_TEXT,   &o.suffix,          "TEXT",           "behind it, default .example"        },
        {"seed",            OPTION_NUMBER, &o.seed,            "N",              "which domain gets which personality"},
        {"dns-port",        OPTION_NUMBER, &o.dns_port,        "PORT",           "default: any free one"              },
        {"smtp-port",       OPTION_NUMBER, &o.smtp_port,       "PORT",           "default: any free one"              },
        {"lmtp-port",       OPTION_NUMBER, &o.lmtp_port,       "PORT",           "default: any free one"              },
        {"control",         OPTION_TEXT,   &o.control,         "PATH",           "the control socket"                 },
        {"ca",              OPTION_TEXT,   &o.ca,              "FILE",           "write the CA certificate there"     },
        {"no-hash",         OPTION_FLAG,   &o.no_hash,         NULL,             "do not hash contents"               },
        {"quiet-ledger",    OPTION_FLAG,   &o.quiet_ledger,    NULL,             "count recipients without names"     },
        {"die-with-parent", OPTION_FLAG,   &o.die_with_parent, NULL,             "end when the caller ends"           },
        {"help",            OPTION_FLAG,   &o.help,            NULL,             "this text"                          },
    };
    size_t count    = sizeof rows / sizeof rows[0];
    struct buf text = {0};
    int status      = EX_OK;
    if (!options_parse(rows, count, argc, argv, &text)) {
        (void)fprintf(stderr, "mailrace-bench: %s\n", buf_text(&text));
        status = EX_USAGE;
    } else if (o.help) {
        options_usage(rows, count, "internet", &text);
        printf("%s", buf_text(&text));
    } else {
        status = serve(&o);
    }
    buf_release(&text);
    return status;
}
