/* SPDX-License-Identifier: MIT */
/* The server, live: what 'mailrace status' says and the busiest sites, drawn anew every second
 * until q or Ctrl-C; once, without a terminal. */
#include "mta/base/mem.h"
#include "mta/control/cli.h"
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

enum { REFRESH_MS = 1000, LINES_DEFAULT = 24, LINES_BESIDE_SITES = 12, SITES_MIN = 5 };

struct busy_site {
    struct span row;
    uint64_t waits;
};

static int compare_busy(const void *a, const void *b)
{
    const struct busy_site *left = a, *right = b;
    return (left->waits < right->waits) - (left->waits > right->waits);
}

static size_t count_lines(struct span text)
{
    size_t count = 0;
    struct span line;
    while (span_cut(&text, '\n', &line))
        count++;
    return count;
}

static void put_site(const struct busy_site *site, struct buf *into)
{
    struct span name = cli_text(site->row, "site"), state = cli_text(site->row, "state");
    buf_printf(into, "%-32.*s  %-9.*s %7llu %8llu %7llu %5llu/%-4llu %9llu\n", (int)name.len,
               name.at, (int)state.len, state.at,
               (unsigned long long)cli_number(site->row, "ready"),
               (unsigned long long)cli_number(site->row, "deferred"),
               (unsigned long long)cli_number(site->row, "busy"),
               (unsigned long long)cli_number(site->row, "jobs"),
               (unsigned long long)cli_number(site->row, "window"),
               (unsigned long long)cli_number(site->row, "delivered"));
}

static void put_busiest(struct span rows, size_t max, struct buf *into)
{
    size_t count = 0, room = count_lines(rows);
    struct busy_site *sites = mem_new_array(room + 1, sizeof *sites);
    struct span row;
    while (span_cut(&rows, '\n', &row) && count < room) {
        uint64_t waits =
            cli_number(row, "ready") + cli_number(row, "deferred") + cli_number(row, "busy");
        sites[count++] = (struct busy_site){.row = row, .waits = waits};
    }
    qsort(sites, count, sizeof *sites, compare_busy);
    buf_printf(into, "\n%-32s  %-9s %7s %8s %7s %10s %9s\n", "SITE", "STATE", "READY", "DEFERRED",
               "BUSY", "JOBS/MAX", "DELIVERED");
    for (size_t i = 0; i < count && i < max; i++)
        put_site(&sites[i], into);
    mem_free(sites);
}

static size_t sites_that_fit(void)
{
    struct winsize size = {0};
    unsigned lines      = LINES_DEFAULT;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0)
        lines = size.ws_row;
    return lines > LINES_BESIDE_SITES + SITES_MIN ? lines - LINES_BESIDE_SITES : SITES_MIN;
}

static int draw(struct cli *cli, bool is_terminal)
{
    struct buf screen = {0}, rows = {0};
    if (is_terminal)
        buf_put_text(&screen, "\033[H\033[J");
    int code = cli_ask(cli, "status", &screen);
    if (code == EX_OK)
        code = cli_ask(cli, "sites --json", &rows);
    if (code == EX_OK) {
        put_busiest(buf_span(&rows), sites_that_fit(), &screen);
        if (is_terminal)
            buf_put_text(&screen, "\nq: leave");
    }
    (void)fwrite(screen.at, 1, screen.len, code == EX_OK ? stdout : stderr);
    (void)fflush(stdout);
    buf_release(&screen);
    buf_release(&rows);
    return code;
}

/* Waits a second; true when a key says it is enough. */
static bool wants_to_leave(void)
{
    enum { CTRL_C = 3, CTRL_D = 4, ESCAPE = 27 };
    struct pollfd keys = {.fd = STDIN_FILENO, .events = POLLIN};
    if (poll(&keys, 1, REFRESH_MS) <= 0)
        return false;
    char key;
    if (read(STDIN_FILENO, &key, 1) != 1)
        return true;
    return key == 'q' || key == 'Q' || key == CTRL_C || key == CTRL_D || key == ESCAPE;
}

int cli_top(struct cli *cli)
{
    struct termios before, raw;
    if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &before) != 0)
        return draw(cli, false);
    raw = before;
    raw.c_lflag &=
        ~(tcflag_t)(ICANON | ECHO | ISIG); /* Ctrl-C is a key: the terminal is put back */
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    printf("\033[?1049h\033[?25l"); /* the other screen, no cursor */
    int code;
    do
        code = draw(cli, true);
    while (code == EX_OK && !wants_to_leave());
    printf("\033[?25h\033[?1049l");
    (void)fflush(stdout);
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
    return code;
}
