/* SPDX-License-Identifier: MIT */
/*
 * The fourth door: a made-up zone.  Answers are written as packets by hand, so that the product's
 * reader is tested by another writer than its own; failures come as the seed wills.
 */
#include "dns/packet.h"
#include "dns/resolver.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "tests/sim/sim_doors.h"
#include "tests/sim/sim_plan.h"
#include <stdio.h>
#include <string.h>

enum { SILENCE_MS = 8000, TTL_S_MAX = 3600, CLASS_INTERNET = 1, ANSWER_FLAGS = 0x8180 };

struct question {
    struct list in_resolver;
    struct resolver *resolver;
    void *tag;
    unsigned type;
    enum status status;
    struct buf packet;
    struct sim_event comes;
    char name[];
};

struct resolver {
    struct loop *loop;
    struct list asked, answered;
    struct question *taken; /* its packet holds until the next is taken */
};

/* --- packets --- */

static void put16(struct buf *into, unsigned value)
{
    buf_put_byte(into, (char)(value >> 8));
    buf_put_byte(into, (char)value);
}

static void put32(struct buf *into, uint32_t value)
{
    put16(into, value >> 16);
    put16(into, value & 0xffff);
}

static void put_name(struct buf *into, const char *name)
{
    struct span rest = span_of(name), label;
    while (span_cut(&rest, '.', &label)) {
        buf_put_byte(into, (char)label.len);
        buf_put(into, label);
    }
    buf_put_byte(into, 0);
}

static void begin_packet(struct question *q, enum dns_rcode rcode)
{
    buf_clear(&q->packet);
    put16(&q->packet, (unsigned)sim_below(0x10000));
    put16(&q->packet, ANSWER_FLAGS | (unsigned)rcode);
    put16(&q->packet, 1);
    put16(&q->packet, 0); /* answers: count_answer() */
    put16(&q->packet, 0);
    put16(&q->packet, 0);
    put_name(&q->packet, q->name);
    put16(&q->packet, q->type);
    put16(&q->packet, CLASS_INTERNET);
}

static void begin_record(struct question *q, size_t bytes)
{
    q->packet.at[7]++;
    put_name(&q->packet, q->name);
    put16(&q->packet, q->type);
    put16(&q->packet, CLASS_INTERNET);
    put32(&q->packet, (uint32_t)sim_below(TTL_S_MAX));
    put16(&q->packet, (unsigned)bytes);
}

static void put_mx(struct question *q, unsigned preference, const char *host)
{
    begin_record(q, 2 + strlen(host) + 2);
    put16(&q->packet, preference);
    put_name(&q->packet, host);
}

static void put_null_mx(struct question *q)
{
    begin_record(q, 2 + 1);
    put16(&q->packet, 0);
    buf_put_byte(&q->packet, 0);
}

static void put_a(struct question *q, const struct net_address *address)
{
    begin_record(q, 4);
    buf_put(&q->packet, span_make((const char *)address->ip, 4));
}

/* --- the zone --- */

static const struct plan_domain *domain_named(const char *name)
{
    const struct sim_plan *p = sim()->plan;
    for (unsigned i = 0; i < p->domain_count; i++)
        if (strcmp(p->domains[i].name, name) == 0)
            return &p->domains[i];
    return NULL;
}

static const struct plan_host *host_named(const char *name)
{
    const struct sim_plan *p = sim()->plan;
    for (unsigned i = 0; i < p->host_count; i++)
        if (strcmp(p->hosts[i].name, name) == 0)
            return &p->hosts[i];
    return NULL;
}

static void answer_mx(struct question *q, const struct plan_domain *domain)
{
    const struct sim_plan *p     = sim()->plan;
    const struct plan_site *site = &p->sites[domain->site];
    if (domain->kind == DOMAIN_NULL_MX)
        put_null_mx(q);
    for (unsigned i = 0; domain->kind == DOMAIN_MX && i < site->host_count; i++)
        put_mx(q, site->preference[i], p->hosts[site->hosts[i]].name);
}

static void answer_a(struct question *q, const struct plan_domain *domain)
{
    const struct sim_plan *p     = sim()->plan;
    const struct plan_host *host = host_named(q->name);
    if (host != NULL)
        put_a(q, &host->address);
    else if (domain->kind == DOMAIN_IMPLICIT)
        put_a(q, &p->hosts[p->sites[domain->site].hosts[0]].address);
}

static void answer(struct question *q)
{
    const struct plan_faults *f      = &sim()->plan->faults;
    const struct plan_domain *domain = domain_named(q->name);
    bool is_there =
        host_named(q->name) != NULL || (domain != NULL && domain->kind != DOMAIN_MISSING);
    bool fails = !plan_is_calm() && sim_chance(f->dns_fail_permille);
    begin_packet(q, fails ? DNS_SERVFAIL : is_there ? DNS_NOERROR : DNS_NXDOMAIN);
    if (fails || !is_there)
        return;
    if (q->type == DNS_MX && domain != NULL)
        answer_mx(q, domain);
    if (q->type == DNS_A)
        answer_a(q, domain);
}

/* --- the door --- */

static void on_answer(struct sim_event *event)
{
    struct question *q = CONTAINER_OF(event, struct question, comes);
    list_move(&q->resolver->answered, &q->in_resolver);
    loop_note(q->resolver->loop);
}

struct resolver *resolver_open(struct loop *loop, const struct resolver_config *config,
                               struct buf *error)
{
    (void)config, (void)error;
    struct resolver *resolver = mem_new(sizeof *resolver);
    resolver->loop            = loop;
    return resolver;
}

static void question_free(struct question *q)
{
    if (q == NULL)
        return;
    sim_cancel(&q->comes);
    list_remove(&q->in_resolver);
    buf_release(&q->packet);
    mem_free(q);
}

void resolver_close(struct resolver *resolver)
{
    struct list *link;
    list_splice(&resolver->answered, &resolver->asked);
    while ((link = list_first(&resolver->answered)) != NULL)
        question_free(CONTAINER_OF(link, struct question, in_resolver));
    question_free(resolver->taken);
    mem_free(resolver);
}

void resolver_ask(struct resolver *resolver, struct span name, unsigned type, void *tag)
{
    const struct plan_faults *f = &sim()->plan->faults;
    struct question *q          = mem_new(sizeof *q + name.len + 1);
    memcpy(q->name, name.at, name.len);
    q->resolver    = resolver;
    q->type        = type;
    q->tag         = tag;
    bool is_silent = !plan_is_calm() && sim_chance(f->dns_silent_permille);
    q->status      = is_silent ? TIMED_OUT : OK;
    if (!is_silent)
        answer(q);
    sim_event_init(&q->comes, on_answer, true);
    sim_after(&q->comes, is_silent ? SILENCE_MS : sim_below(f->dns_ms_max + 1));
    list_push(&resolver->asked, &q->in_resolver);
}

bool resolver_take(struct resolver *resolver, struct resolver_answer *into)
{
    struct list *link = list_take(&resolver->answered);
    question_free(resolver->taken);
    resolver->taken = link == NULL ? NULL : CONTAINER_OF(link, struct question, in_resolver);
    if (link == NULL)
        return false;
    *into = (struct resolver_answer){.tag    = resolver->taken->tag,
                                     .status = resolver->taken->status,
                                     .packet = buf_span(&resolver->taken->packet)};
    return true;
}
