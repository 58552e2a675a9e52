/* SPDX-License-Identifier: MIT */
/*
 * What the files of the SMTP server share; nobody else includes it.
 *
 *     server.c           the machine: phases, feeding, events, answers
 *     server_command.c   a line becomes a command: the rows
 *     server_auth.c      AUTH and the lines of its exchange
 *     server_envelope.c  MAIL and RCPT
 *     server_content.c   DATA, BDAT, and content that is swallowed
 */
#pragma once
#include "mta/smtp/server.h"

/* A refusal; code 0: none. */
struct server_no {
    int code;
    const char *enhanced, *text;
};

/* What a command does: returns the phase that follows. */
typedef enum smtp_server_phase server_run_fn(struct smtp_server *s, struct span args);
/* Only looks: why the command cannot be run now. */
typedef struct server_no server_check_fn(const struct smtp_server *s, struct span args);

/* server.c */
void server_enter(struct smtp_server *s, enum smtp_server_phase next);
/* Where a command that ends a transaction leads. */
enum smtp_server_phase server_home(const struct smtp_server *s);
void server_put(struct smtp_server *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void server_reply(struct smtp_server *s, int code, const char *enhanced, const char *text);
/* Refuses a command, and counts it. Returns the phase that follows. */
enum smtp_server_phase server_refuse(struct smtp_server *s, struct server_no no);
/* Says it and ends the session. */
enum smtp_server_phase server_close(struct smtp_server *s, int code, const char *enhanced,
                                    const char *text);
/* Forgets the transaction; the driver is told if it has one open. */
void server_void(struct smtp_server *s);
void server_reset(struct smtp_server *s);
void server_say_goodbye_if_due(struct smtp_server *s);

/* server_command.c */
size_t server_line_feed(struct smtp_server *s, struct span bytes);
void server_forget_line(struct smtp_server *s, bool is_secret);

/* server_auth.c */
server_check_fn server_check_auth;
server_run_fn server_run_auth;
/* The line, or as much of it as there is, is of an exchange: it may be long, and hold a secret. */
bool server_is_of_auth(const struct smtp_server *s, struct span line);
/* A line of the exchange; 'is_long': it was cut. */
enum smtp_server_phase server_response(struct smtp_server *s, struct span line, bool is_long);
/* The exchange is over: the phase that follows. */
enum smtp_server_phase server_after_auth(struct smtp_server *s, bool is_authenticated);
/* What may be a password stays nowhere. */
void server_wipe(void *bytes, size_t len);

/* server_envelope.c */
server_check_fn server_check_mail, server_check_rcpt;
server_run_fn server_run_mail, server_run_rcpt;

/* server_content.c */
server_check_fn server_check_data;
server_run_fn server_run_data, server_run_bdat;
size_t server_content_feed(struct smtp_server *s, struct span bytes);
/* The piece at hand was the last. */
void server_content_over(struct smtp_server *s);
