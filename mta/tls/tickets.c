/* SPDX-License-Identifier: MIT */
/* A handful of tickets in an array: the search is shorter than a list node. */
#include "mta/tls/tickets.h"
#include <string.h>

static void drop(struct tls_tickets *t, unsigned index)
{
    tls_session_free(t->at[index].session);
    t->count--;
    memmove(&t->at[index], &t->at[index + 1], (t->count - index) * sizeof t->at[0]);
}

static void drop_expired(struct tls_tickets *t, uint64_t now_ms)
{
    while (t->count > 0 && t->at[0].until_ms <= now_ms)
        drop(t, 0);
}

/* The oldest that was shown, or else the oldest. */
static unsigned least(const struct tls_tickets *t)
{
    for (unsigned i = 0; i < t->count; i++)
        if (t->at[i].was_shown)
            return i;
    return 0;
}

void tls_tickets_put(struct tls_tickets *t, struct tls_session *session, uint64_t now_ms)
{
    drop_expired(t, now_ms);
    if (t->count == TLS_TICKETS_MAX)
        drop(t, least(t));
    t->at[t->count++] = (struct tls_ticket){session, now_ms + TLS_TICKET_MS, false};
}

/* The newest that was not shown, or else the newest. */
static unsigned best(const struct tls_tickets *t)
{
    for (unsigned i = t->count; i > 0; i--)
        if (!t->at[i - 1].was_shown)
            return i - 1;
    return t->count - 1;
}

struct tls_session *tls_tickets_show(struct tls_tickets *t, uint64_t now_ms)
{
    drop_expired(t, now_ms);
    while (t->count > 0) {
        struct tls_ticket *ticket  = &t->at[best(t)];
        struct tls_session *shared = tls_session_share(ticket->session);
        ticket->was_shown          = true;
        if (shared != NULL)
            return shared;
        drop(t, (unsigned)(ticket - t->at));
    }
    return NULL;
}

void tls_tickets_refused(struct tls_tickets *t)
{
    for (unsigned i = t->count; i > 0; i--)
        if (t->at[i - 1].was_shown)
            drop(t, i - 1);
}

void tls_tickets_forget(struct tls_tickets *t)
{
    while (t->count > 0)
        drop(t, t->count - 1);
}
