/* SPDX-License-Identifier: MIT */
/*
 * Internet tls: certificates made at the start (a CA of the day, a certificate for each host when
 * it is first needed) and TLS streams over memory, for servers only.  Session tickets work.
 */
#pragma once
#include "bench/world.h"

struct internet_tls;
struct tls_stream;

/* Writes the CA's certificate to 'ca_path' (PEM), unless that is NULL.  NULL: 'error' says why. */
struct internet_tls *internet_tls_new(const char *ca_path, struct buf *error);
void internet_tls_free(struct internet_tls *tls);
void internet_tls_forget_host(struct host *host); /* its certificate */

struct tls_stream *tls_stream_new(struct internet_tls *tls, struct host *host);
void tls_stream_free(struct tls_stream *stream);

/* Takes what the wire brought and appends what it says to 'plain'.  false: the stream has ended;
 * tls_stream_error() is not empty if it was broken. */
bool tls_stream_feed(struct tls_stream *stream, struct span wire, struct buf *plain);
/* Encrypts; the handshake must be done. */
void tls_stream_say(struct tls_stream *stream, struct span plain);
/* Says goodbye. */
void tls_stream_end(struct tls_stream *stream);
/* Appends what must go to the wire to 'wire'. */
void tls_stream_output(struct tls_stream *stream, struct buf *wire);

bool tls_stream_is_ready(const struct tls_stream *stream); /* the handshake is done */
const char *tls_stream_version(const struct tls_stream *stream);
bool tls_stream_is_resumed(const struct tls_stream *stream);
const char *tls_stream_error(const struct tls_stream *stream);
/* It was broken by an alert: the client wanted something else, such as another certificate. */
bool tls_stream_is_refused(const struct tls_stream *stream);
