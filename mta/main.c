/* SPDX-License-Identifier: MIT */
/* mailraced: reads the configuration, opens the engine on the real world, and runs it until it is
 * told to stop. */
#include "mta/engine.h"
#include "mta/sys/clock.h"
#include "mta/tls/context.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define DEFAULT_CONFIG "/etc/mailrace/mailrace.yaml"

struct arguments {
    const char *config;
    bool only_checks, shows_version, shows_help;
};

static const char usage[] =
    "usage: mailraced [-c FILE] [--check]\n"
    "  -c FILE    the configuration (default: $MAILRACE_CONFIG, then " DEFAULT_CONFIG ")\n"
    "  --check    read the configuration, say every error in it, and exit 0 or 78\n"
    "  --version  say which version this is\n"
    "It runs in the foreground and logs to standard error.  SIGHUP: reload.  SIGTERM: finish and "
    "exit.\n"
    "See mailraced(8) and mailrace.yaml(5).\n";

static const char *default_config(void)
{
    const char *from_environment = getenv("MAILRACE_CONFIG");
    return from_environment != NULL && *from_environment != '\0' ? from_environment
                                                                 : DEFAULT_CONFIG;
}

static bool read_arguments(int argc, char **argv, struct arguments *arguments)
{
    static const struct option options[] = {
        {"config",  required_argument, NULL, 'c'},
        {"check",   no_argument,       NULL, 'k'},
        {"version", no_argument,       NULL, 'v'},
        {"help",    no_argument,       NULL, 'h'},
        {NULL,      0,                 NULL, 0  }
    };
    int option;
    arguments->config = default_config();
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            arguments->config = optarg;
            break;
        case 'k':
            arguments->only_checks = true;
            break;
        case 'v':
            arguments->shows_version = true;
            break;
        case 'h':
            arguments->shows_help = true;
            break;
        default:
            return false;
        }
    }
    return optind == argc;
}

static int say(const struct buf *text, int code)
{
    struct span words = buf_span(text);
    (void)fwrite(words.at, 1, words.len, stderr);
    if (words.len > 0 && words.at[words.len - 1] != '\n')
        (void)fputc('\n', stderr);
    return code;
}

static int serve(const struct config *config, const char *file)
{
    struct buf error = {0};
    uint64_t seed;
    tls_global_init();
    clock_random(&seed, sizeof seed);
    struct engine_options options = {.config         = config,
                                     .config_file    = file,
                                     .seed           = seed,
                                     .starts_threads = true,
                                     .log_fd         = STDERR_FILENO};
    struct engine *engine         = engine_open(&options, &error);
    if (engine == NULL) {
        buf_put_text(&error, "\nmailraced: not started\n");
        (void)say(&error, 0);
        buf_release(&error);
        return EX_UNAVAILABLE;
    }
    int code = engine_run(engine);
    engine_close(engine);
    buf_release(&error);
    return code;
}

static int check_or_serve(const struct arguments *arguments)
{
    struct buf errors     = {0};
    struct config *config = config_read(arguments->config, &errors);
    int code              = say(&errors, config == NULL ? EX_CONFIG : EX_OK);
    buf_release(&errors);
    if (config != NULL && !arguments->only_checks)
        return serve(config, arguments->config); /* which owns it from here on */
    if (config != NULL) {
        printf("%s: no errors\n", arguments->config);
        config_free(config);
    }
    return code;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {0};
    if (!read_arguments(argc, argv, &arguments)) {
        (void)fputs(usage, stderr);
        return EX_USAGE;
    }
    if (arguments.shows_help || arguments.shows_version) {
        (void)fputs(arguments.shows_help ? usage : "mailraced " MAILRACE_VERSION "\n", stdout);
        return EX_OK;
    }
    return check_or_serve(&arguments);
}
