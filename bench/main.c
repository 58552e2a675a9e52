/* SPDX-License-Identifier: MIT */
/* mailrace-bench: an Internet to send mail to, and a source that hands it in.  Names the
 * subcommands and nothing else. */
#include "bench/disk_probe.h"
#include "bench/internet_uv.h"
#include "bench/source_uv.h"
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

struct subcommand {
    const char *name, *help;
    int (*run)(int argc, char **argv);
};

static const struct subcommand subcommands[] = {
    {"internet", "be DNS server and mail hosts, and count what arrives",     internet_main  },
    {"source",   "hand mail to an SMTP server, the way a list manager does", source_main    },
    {"disk",     "say what the disk alone can do",                           disk_probe_main},
};

static void usage(FILE *to)
{
    (void)fputs("usage: mailrace-bench SUBCOMMAND [options]\n", to);
    for (size_t i = 0; i < sizeof subcommands / sizeof subcommands[0]; i++)
        (void)fprintf(to, "  %-10s %s\n", subcommands[i].name, subcommands[i].help);
    (void)fputs("'mailrace-bench SUBCOMMAND --help' names the options; see mailrace-bench(1)\n",
                to);
}

int main(int argc, char **argv)
{
    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)) {
        usage(stdout);
        return EX_OK;
    }
    for (size_t i = 0; argc >= 2 && i < sizeof subcommands / sizeof subcommands[0]; i++)
        if (strcmp(argv[1], subcommands[i].name) == 0)
            return subcommands[i].run(argc - 2, argv + 2);
    usage(stderr);
    return EX_USAGE;
}
