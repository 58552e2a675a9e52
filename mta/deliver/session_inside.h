/* SPDX-License-Identifier: MIT */
/* What the parts of a session share; private to session*.c.  session.c: its life; session_dial.c:
 * reaching a host; session_connect.c: connecting to one of its addresses; session_tls.c: securing
 * it; session_peer.c: what is remembered of it; session_talk.c: the dialogue; session_jobs.c: the
 * jobs. */
#pragma once
#include "mta/deliver/session.h"
#include "mta/deliver/world.h"

/* session.c */
void session_enter(struct session *s, enum session_state next);
void session_set_deadline(struct session *s, uint64_t in_ms);
void session_disconnect(struct session *s);
void session_give_home(struct session *s, struct job *job);
/* The one place where a session dies; freed at the end of the turn.  Twice is fine. */
void session_bury(struct session *s);

/* session_dial.c: the next host or address, or the end of all of them. */
void session_dial_on(struct session *s);
/* This one did not work: 'words' for the sender, with what was said; then the next. */
void session_dial_failed(struct session *s, enum dial_failure failure, unsigned code,
                         const unsigned char enhanced[3], const char *words, struct span said);
void session_host_failed(struct session *s);
/* The same, and whoever calls goes on. */
void session_note_failure(struct session *s, enum dial_failure failure, unsigned code,
                          const unsigned char enhanced[3], const char *words, struct span said);

/* session_connect.c: to this address of the dialer's host, and to others of it where it takes long.
 */
void session_connect(struct session *s, const struct net_address *address);
/* Something came of an attempt, or its time is over. */
void session_on_connecting(struct session *s);
void session_drop_attempts(struct session *s);

/* session_tls.c */
enum policy_tls session_tls_policy(const struct session *s);
enum smtp_client_tls session_tls_wish(struct session *s);
void session_start_tls(struct session *s);
void session_note_handshake(struct session *s);
void session_tls_failed(struct session *s);

/* session_peer.c */
struct peer *session_meet_peer(struct session *s);
/* NULL: never met. */
const struct peer *session_find_peer(struct session *s);
/* Something was read: if tickets came with it, the next connections have them. */
void session_keep_tickets(struct session *s);
/* What the host at the address in hand has said it can is kept; and what it said the last time is
 * what we expect until then. */
void session_note_greeting(struct session *s);
void session_expect_greeting(struct session *s);
/* The address in hand did not take the connection, or another one was faster. */
void session_note_slow(struct session *s);
/* Such addresses of the dialer's host come behind the others. */
void session_put_slow_last(struct session *s);
/* A job is done on this connection: what helps the next one is kept. */
void session_remember_host(struct session *s);
/* How much of the protocol this host is trusted with. */
void session_trust(struct session *s);
void session_note_trouble(struct session *s, enum peer_trouble trouble);

/* session_jobs.c */
/* Hands the job to the client core. */
void session_send_job(struct session *s);
void session_take_results(struct session *s);
/* Those that are out of flight go home. */
void session_finish_jobs(struct session *s);
void session_give_body(struct session *s);

/* session_talk.c: connected; the client core begins. */
void session_begin_to_talk(struct session *s);
/* Lets the core go as far as it can without another byte from the peer, and looks where it stands.
 */
void session_pump(struct session *s);
/* The client core stands behind the wire: it is neither dialled nor given up. */
bool session_is_talking(const struct session *s);
void session_lost(struct session *s);
