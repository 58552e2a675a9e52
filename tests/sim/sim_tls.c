/* SPDX-License-Identifier: MIT */
/*
 * TLS is off in the simulated world: OpenSSL keeps memory of its own that no crash could take, and
 * reading the system's certificates for every start would cost more than the rest of a seed.  The
 * real one is tested in tests/unit, tests/golden and tests/e2e.
 */
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/tls/context_inside.h"

void tls_global_init(void)
{
}

struct tls_context *tls_context_hold(struct tls_context *context)
{
    context->holders++;
    return context;
}

void tls_context_release(struct tls_context *context)
{
    if (context == NULL)
        return;
    must(context->holders > 0);
    if (--context->holders == 0)
        mem_free(context);
}

struct tls_context *tls_context_client(enum tls_level level, const char *ca_file, struct buf *error)
{
    (void)ca_file, (void)error;
    struct tls_context *context = mem_new(sizeof *context);
    context->level              = level;
    context->holders            = 1;
    return context;
}

struct tls_context *tls_context_server(const char *certificate, const char *key,
                                       const char *listener, struct buf *error)
{
    (void)certificate, (void)key, (void)listener, (void)error;
    must(false); /* no certificate is configured here */
    return NULL;
}
