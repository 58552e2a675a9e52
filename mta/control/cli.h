/* SPDX-License-Identifier: MIT */
/*
 * Cli: the operator's end of the control socket (control.h tells the protocol).  A program of its
 * own that does one thing and exits, so its sockets block.
 */
#pragma once
#include "mta/base/buf.h"

struct cli {
    const char *socket_path;
    int fd;            /* < 0: not connected */
    struct buf unread; /* behind the answer taken last */
};

/* EX_OK, or the exit code, with cause and remedy on stderr. */
int cli_open(struct cli *cli, const char *socket_path);
/* The same without a word: 0 or errno.  cli_close() it in either case. */
int cli_try(struct cli *cli, const char *socket_path);
void cli_close(struct cli *cli);

/*
 * The socket that a configuration names although it has errors elsewhere: an operator must reach
 * the server in just that hour.  Only 'control: PATH' on a line of its own is understood; without
 * it the default.  false when the file cannot be read.
 */
bool cli_find_socket(const char *config_file, struct buf *path);

/* Asks, and appends the lines of the answer; returns its exit code.  EX_UNAVAILABLE with a sentence
 * on stderr when the server went away. */
int cli_ask(struct cli *cli, const char *request, struct buf *answer);
/* Asks and prints: to stdout as it comes when all is well, a short refusal to stderr. */
int cli_pass(struct cli *cli, const char *request);

/* A number or text out of a row that the server made: 0 or "" without the key.  No text in a row
 * can look like a key, because its quotes are escaped. */
uint64_t cli_number(struct span row, const char *key);
struct span cli_text(struct span row, const char *key);

/* cli_watch.c: the progress of one message until it has ended; returns the exit code. */
int cli_watch(struct cli *cli, const char *id);
/* The same as JSON lines: a row whenever something has changed. */
int cli_watch_json(struct cli *cli, const char *id);
/* cli_top.c: the server, live, until q. */
int cli_top(struct cli *cli);
