/* SPDX-License-Identifier: MIT */
#include "mta/control/cli.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

enum { READ_BYTES = 16384, SHORT_ANSWER_BYTES = 65536, EXIT_CODE_MAX = 255, LINE_BYTES = 1024 };

/* --- the connection --- */

static const char *remedy_for(int error)
{
    if (error == EACCES || error == EPERM)
        return "run it as root or as the user of mailraced";
    return "is mailraced running, with this configuration?  Start it, or name its file with -c";
}

static int refuse_open(struct cli *cli, int error)
{
    fprintf(stderr, "mailrace: cannot reach the server at %s: %s\nmailrace: %s\n", cli->socket_path,
            strerror(error), remedy_for(error));
    cli_close(cli);
    return error == EACCES || error == EPERM ? EX_NOPERM : EX_UNAVAILABLE;
}

int cli_try(struct cli *cli, const char *socket_path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    *cli                       = (struct cli){.socket_path = socket_path, .fd = -1};
    if (strlen(socket_path) >= sizeof address.sun_path)
        return ENAMETOOLONG;
    strcpy(address.sun_path, socket_path);
    cli->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_open =
        cli->fd >= 0 && connect(cli->fd, (struct sockaddr *)&address, sizeof address) == 0;
    return is_open ? 0 : errno;
}

int cli_open(struct cli *cli, const char *socket_path)
{
    int error = cli_try(cli, socket_path);
    return error == 0 ? EX_OK : refuse_open(cli, error);
}

void cli_close(struct cli *cli)
{
    if (cli->fd >= 0)
        (void)close(cli->fd);
    cli->fd = -1;
    buf_release(&cli->unread);
}

#define DEFAULT_SOCKET "/run/mailrace/control.sock"

/* What stands behind "control:", without a comment and quotes. */
static struct span plain_value(struct span rest)
{
    struct span value = span_trim(rest);
    value             = span_trim(span_first(value, span_find_text(value, span_of(" #"))));
    if (value.len >= 2 && (value.at[0] == '"' || value.at[0] == '\'') &&
        value.at[value.len - 1] == value.at[0])
        value = span_first(span_skip(value, 1), value.len - 2);
    return value;
}

bool cli_find_socket(const char *config_file, struct buf *path)
{
    static const struct span key = SPAN("control:");
    char line[LINE_BYTES];
    FILE *file = fopen(config_file, "re");
    if (file == NULL)
        return false;
    while (path->len == 0 && fgets(line, sizeof line, file) != NULL)
        if (span_starts(span_of(line), key))
            buf_put(path, plain_value(span_skip(span_of(line), key.len)));
    (void)fclose(file);
    if (path->len == 0)
        buf_put_text(path, DEFAULT_SOCKET);
    return true;
}

static bool send_line(struct cli *cli, const char *request)
{
    struct buf line = {0};
    size_t done     = 0;
    buf_printf(&line, "%s\n", request);
    while (done < line.len) {
        ssize_t n = send(cli->fd, line.at + done, line.len - done, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            break;
        done += n > 0 ? (size_t)n : 0;
    }
    bool is_sent = done == line.len;
    buf_release(&line);
    return is_sent;
}

static bool read_more(struct cli *cli)
{
    for (;;) {
        char *room = buf_reserve(&cli->unread, READ_BYTES);
        ssize_t n  = recv(cli->fd, room, READ_BYTES, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n > 0)
            cli->unread.len += (size_t)n;
        return n > 0;
    }
}

/* --- answers --- */

enum took { TOOK_ALL, TOOK_END, TOOK_NONSENSE };

/* A line of the answer; TOOK_END: it was the last one. */
static enum took take_line(struct span line, struct buf *answer, int *code)
{
    if (line.len == 0 || line.at[0] != '.' || (line.len > 1 && line.at[1] == '.')) {
        buf_put(answer, span_skip(line, line.len > 0 && line.at[0] == '.'));
        buf_put_byte(answer, '\n');
        return TOOK_ALL;
    }
    uint64_t number;
    if (!span_to_number(span_skip(line, 1), EXIT_CODE_MAX, &number))
        return TOOK_NONSENSE;
    *code = (int)number;
    return TOOK_END;
}

/* All complete lines that are here. */
static enum took take_lines(struct cli *cli, struct buf *answer, int *code)
{
    struct span unread = buf_span(&cli->unread);
    enum took took     = TOOK_ALL;
    size_t used        = 0, len;
    while (took == TOOK_ALL &&
           (len = span_find(span_skip(unread, used), '\n')) < unread.len - used) {
        took = take_line(span_first(span_skip(unread, used), len), answer, code);
        used += len + 1;
    }
    buf_drop(&cli->unread, used);
    return took;
}

static void flush(struct buf *answer, FILE *to)
{
    (void)fwrite(answer->at, 1, answer->len, to);
    buf_clear(answer);
}

/* 'to' NULL: the answer is kept; else it is written there whenever it is long. */
static int ask(struct cli *cli, const char *request, struct buf *answer, FILE *to)
{
    int code       = EX_UNAVAILABLE;
    enum took took = TOOK_NONSENSE;
    /* A server that refuses at once may close before it has read: its words still count. */
    (void)send_line(cli, request);
    while (read_more(cli)) {
        took = take_lines(cli, answer, &code);
        if (took != TOOK_ALL)
            break;
        if (to != NULL && answer->len > SHORT_ANSWER_BYTES)
            flush(answer, to);
    }
    if (took != TOOK_END)
        fprintf(stderr, "mailrace: the server at %s %s\n", cli->socket_path,
                took == TOOK_ALL ? "closed the connection in the middle of its answer"
                                 : "gave no answer: has it just been stopped?");
    return took == TOOK_END ? code : EX_UNAVAILABLE;
}

int cli_ask(struct cli *cli, const char *request, struct buf *answer)
{
    return ask(cli, request, answer, NULL);
}

int cli_pass(struct cli *cli, const char *request)
{
    struct buf answer = {0};
    int code          = ask(cli, request, &answer, stdout);
    if (answer.len > 0)
        flush(&answer, code == EX_OK ? stdout : stderr);
    buf_release(&answer);
    bool is_written = fflush(stdout) == 0 && !ferror(stdout);
    return code == EX_OK && !is_written ? EX_IOERR : code;
}

/* --- rows --- */

/* What stands behind "key": in the row; empty without it. */
static struct span value_of(struct span row, const char *key)
{
    struct buf quoted = {0};
    buf_printf(&quoted, "\"%s\":", key);
    struct span rest = span_skip(row, span_find_text(row, buf_span(&quoted)));
    rest             = span_skip(rest, quoted.len);
    buf_release(&quoted);
    return rest;
}

uint64_t cli_number(struct span row, const char *key)
{
    struct span rest = value_of(row, key);
    uint64_t number  = 0;
    size_t len       = 0;
    while (len < rest.len && ascii_is_digit(rest.at[len]))
        len++;
    (void)span_to_number(span_first(rest, len), UINT64_MAX, &number);
    return number;
}

struct span cli_text(struct span row, const char *key)
{
    struct span rest = value_of(row, key);
    if (rest.len == 0 || rest.at[0] != '"')
        return (struct span){0};
    rest = span_skip(rest, 1);
    return span_first(rest, span_find(rest, '"'));
}
