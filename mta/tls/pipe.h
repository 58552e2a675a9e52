/* SPDX-License-Identifier: MIT */
/*
 * Pipe: the memory a TLS connection speaks through, as a BIO of OpenSSL: it reads cipher bytes from
 * 'in' and puts what it has to say into 'out'.  'out' always takes all; an empty 'in' means "not
 * now", never an end.  Only mta/tls includes this.
 */
#pragma once
#include "mta/base/buf.h"
#include <openssl/bio.h>

struct tls_pipe {
    struct buf in, out;
    size_t in_at, out_at; /* what is in front was taken already */
};

void tls_pipe_release(struct tls_pipe *pipe);

/* From the network; copied. */
void tls_pipe_feed(struct tls_pipe *pipe, struct span cipher);
/* For the network; holds until the pipe is written to or tls_pipe_sent(). */
struct span tls_pipe_output(const struct tls_pipe *pipe);
void tls_pipe_sent(struct tls_pipe *pipe, size_t n);

/* NULL if OpenSSL cannot.  BIO_meth_free() it after all its BIOs. */
BIO_METHOD *tls_pipe_method_new(void);
/* The pipe must outlive the BIO.  NULL if OpenSSL cannot. */
BIO *tls_pipe_bio(const BIO_METHOD *method, struct tls_pipe *pipe);
