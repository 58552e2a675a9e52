/* SPDX-License-Identifier: MIT */
/* The progress of one message: a bar on a terminal, else a line whenever something has changed. */
#include "mta/control/cli.h"
#include <poll.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

enum { POLL_MS = 200, BAR_WIDTH = 40 };

struct progress {
    uint64_t rcpts, delivered, otherwise, held, waiting, busy;
};

static struct progress progress_of(struct span row)
{
    return (struct progress){
        .rcpts     = cli_number(row, "rcpts"),
        .delivered = cli_number(row, "delivered"),
        .otherwise = cli_number(row, "ended_otherwise"),
        .held      = cli_number(row, "held"),
        .waiting   = cli_number(row, "waiting"),
        .busy      = cli_number(row, "busy"),
    };
}

static bool is_same(const struct progress *a, const struct progress *b)
{
    return a->rcpts == b->rcpts && a->delivered == b->delivered && a->otherwise == b->otherwise &&
           a->held == b->held && a->waiting == b->waiting && a->busy == b->busy;
}

static void put_counts(const struct progress *p)
{
    printf("%llu of %llu delivered", (unsigned long long)p->delivered,
           (unsigned long long)p->rcpts);
    if (p->otherwise > 0)
        printf(", %llu ended otherwise", (unsigned long long)p->otherwise);
    if (p->held > 0)
        printf(", %llu held", (unsigned long long)p->held);
    printf(", %llu waiting, %llu of them being sent", (unsigned long long)p->waiting,
           (unsigned long long)p->busy);
}

static void draw_bar(const struct progress *p)
{
    uint64_t ended = p->delivered + p->otherwise;
    unsigned full  = p->rcpts == 0 ? 0 : (unsigned)(ended * BAR_WIDTH / p->rcpts);
    printf("\r[");
    for (unsigned i = 0; i < BAR_WIDTH; i++)
        putchar(i < full ? '#' : '.');
    printf("] ");
    put_counts(p);
    printf("\033[K");
}

static void draw(const struct progress *p, const struct progress *before, bool is_terminal)
{
    if (is_terminal) {
        draw_bar(p);
    } else if (!is_same(p, before)) {
        put_counts(p);
        putchar('\n');
    }
    (void)fflush(stdout);
}

/* What the last look did not see, only the log knows. */
static void tell_end(const char *id, const struct progress *last, bool is_terminal)
{
    printf("%s%s: all %llu recipients have ended", is_terminal ? "\n" : "", id,
           (unsigned long long)last->rcpts);
    if (last->waiting + last->held > 0)
        printf("; when seen last, %llu of them had been delivered and %llu were still to come; the "
               "log tells each",
               (unsigned long long)last->delivered,
               (unsigned long long)(last->waiting + last->held));
    else
        printf(": %llu delivered, %llu otherwise", (unsigned long long)last->delivered,
               (unsigned long long)last->otherwise);
    printf("\n");
}

/* For programs: the server's own row whenever something has changed. */
static void put_row(struct span row, const struct progress *now, const struct progress *before)
{
    if (!is_same(now, before)) {
        (void)fwrite(row.at, 1, row.len, stdout);
        (void)fflush(stdout);
    }
}

static int watch(struct cli *cli, const char *id, bool as_json)
{
    struct buf request = {0}, answer = {0};
    struct progress last = {0};
    bool is_terminal = isatty(STDOUT_FILENO) && !as_json, was_seen = false;
    int code;
    buf_printf(&request, "watch %s", id);
    while ((code = cli_ask(cli, buf_text(&request), &answer)) == EX_OK) {
        struct progress now = progress_of(buf_span(&answer));
        if (as_json)
            put_row(buf_span(&answer), &now, &last);
        else
            draw(&now, &last, is_terminal);
        last     = now;
        was_seen = true;
        buf_clear(&answer);
        (void)poll(NULL, 0, POLL_MS);
    }
    if (was_seen && code == EX_DATAERR) {
        if (as_json)
            printf("{\"id\":\"%s\",\"rcpts\":%llu,\"ended\":true}\n", id,
                   (unsigned long long)last.rcpts);
        else
            tell_end(id, &last, is_terminal);
        code = EX_OK;
    } else if (answer.len > 0) {
        fprintf(stderr, "%smailrace: %s", is_terminal && was_seen ? "\n" : "", buf_text(&answer));
    }
    buf_release(&request);
    buf_release(&answer);
    return code;
}

int cli_watch(struct cli *cli, const char *id)
{
    return watch(cli, id, false);
}

int cli_watch_json(struct cli *cli, const char *id)
{
    return watch(cli, id, true);
}
