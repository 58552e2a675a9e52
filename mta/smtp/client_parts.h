/* SPDX-License-Identifier: MIT */
/*
 * What the files of the SMTP client share; nobody else includes it.
 *
 *     client.c              the machine: phases, owed replies, feeding, wants
 *     client_command.c      commands into the output
 *     client_hello.c        greeting, EHLO, HELO, STARTTLS
 *     client_auth.c         AUTH
 *     client_flight.c       the transactions in flight, and what is in front of whom
 *     client_transaction.c  MAIL to the end of data
 *     client_output.c       commands and bodies as one stream
 *     client_result.c       who is told what
 */
#pragma once
#include "mta/smtp/client.h"

/* What a reply means: returns the phase that follows, so no branch can forget to say where it goes.
 * Handlers only see codes that fit their verb. */
typedef enum smtp_phase client_reply_fn(struct smtp_client *c, const struct smtp_reply *reply);

/* client.c */
/* The session ends here.  While both sides are still in step QUIT is said, else the phase is DONE.
 */
enum smtp_phase client_fail(struct smtp_client *c, enum smtp_cause cause, enum smtp_verb stage,
                            const struct smtp_reply *reply);
/* QUIT, whose reply is not awaited. */
enum smtp_phase client_leave(struct smtp_client *c);
/* The peer broke the protocol in its reply to 'stage': undecided recipients are told so. */
enum smtp_phase client_break(struct smtp_client *c, enum smtp_verb stage);
void client_enter(struct smtp_client *c, enum smtp_phase next);
/* Writes what the peer and our buffer allow. */
void client_pump(struct smtp_client *c);

/* client_flight.c */
struct smtp_transaction *client_oldest(struct smtp_client *c);
struct smtp_transaction *client_newest(struct smtp_client *c);
void client_step(struct smtp_transaction *t, enum smtp_step next);
/* Whether another transaction may be sent behind those in flight. */
bool client_takes_next(const struct smtp_client *c);
/* Lets transactions go that are over and told, and begins to tell the next. */
void client_retire(struct smtp_client *c);
/* The oldest is not delivered, or it cannot be known: what a lost connection means for it. */
enum smtp_cause client_cause_if_lost(const struct smtp_transaction *t);
/* The session ends: all behind the oldest are told so in their turn. */
void client_doom_all_behind(struct smtp_client *c);

/* client_output.c */
bool client_has_room(const struct smtp_client *c);
bool client_has_output(const struct smtp_client *c);
/* Bytes that no reply is owed for by themselves. */
void client_put(struct smtp_client *c, struct span bytes);
void client_want_body(struct smtp_client *c);
void client_drop_output(struct smtp_client *c);
void client_pump_body(struct smtp_client *c);

/* client_command.c */
void client_owe(struct smtp_client *c, enum smtp_verb verb, unsigned count);
/* The verb of the reply that is due next; 'otherwise' when none is. */
enum smtp_verb client_owed_verb(const struct smtp_client *c, enum smtp_verb otherwise);
void client_owed_pop(struct smtp_client *c);
/* One line, without its CRLF, and the reply it is owed. */
void client_command(struct smtp_client *c, enum smtp_verb verb, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void client_command_mail(struct smtp_client *c);
void client_command_rcpt(struct smtp_client *c, const struct envelope_rcpt *rcpt);

/* client_hello.c */
client_reply_fn client_after_banner, client_after_ehlo, client_after_helo, client_after_starttls;
/* Says EHLO, or LHLO, forgetting what was offered before. */
void client_say_hello(struct smtp_client *c);
/* A line of the reply to EHLO. */
void client_hello_line(struct smtp_client *c, struct span line);

/* client_auth.c */
client_reply_fn client_after_auth;
void client_auth_offer(struct smtp_client *c, struct span mechanisms);
enum smtp_phase client_auth_start(struct smtp_client *c);

/* client_transaction.c */
client_reply_fn client_after_mail, client_after_rcpt, client_after_data, client_after_dot;
client_reply_fn client_after_rset;
void client_pump_envelope(struct smtp_client *c);
/* LMTP: the reply is the next accepted recipient's own. */
void client_tell_next_accepted(struct smtp_client *c);

/* client_result.c */
bool rcpt_set_has(const struct smtp_rcpt_set *set, size_t rcpt);
void rcpt_set_add(struct smtp_rcpt_set *set, size_t rcpt);
bool client_has_result(const struct smtp_client *c);
/* The open recipients of [first, end) are decided. */
void client_tell(struct smtp_client *c, size_t first, size_t end, enum smtp_cause cause,
                 enum smtp_verb stage);
/* All that are open are decided. */
void client_settle(struct smtp_client *c, enum smtp_cause cause, enum smtp_verb stage);
