/* SPDX-License-Identifier: MIT */
#include "tests/sim/sim_plan.h"
#include "mta/base/buf.h"
#include "tests/sim/sim_mem.h"
#include "tests/sim/sim_world.h"
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, LONG_BODY_BYTES = 30000 };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- manners --- */

static const struct host_manner accepts = {.name = "accepts", .takes_8bit = true};
static const struct host_manner quick   = {.name = "quick", .think_ms_max = 5};
static const struct host_manner plain   = {.name = "plain", .is_plain = true, .think_ms_max = 50};
static const struct host_manner no_pipelining = {
    .name = "no pipelining", .lacks_pipelining = true, .lacks_dsn = true};
static const struct host_manner greylists       = {.name = "greylists", .greylist_ms = 4 * MINUTE};
static const struct host_manner tires           = {.name = "421 after some", .messages_max = 3};
static const struct host_manner few_connections = {.name = "few connections", .connections_max = 2};
static const struct host_manner few_recipients  = {.name = "few recipients", .rcpts_max = 4};
static const struct host_manner slow            = {.name = "slow", .think_ms_max = 20 * SECOND};
static const struct host_manner drops_before_the_dot = {.name             = "drops before the dot",
                                                        .drops_before_dot = 4};
static const struct host_manner drops_after_the_dot  = {.name            = "drops after the dot",
                                                        .drops_after_dot = 6};
static const struct host_manner silent_after_the_dot = {.name             = "silent after the dot",
                                                        .silent_after_dot = 8};
static const struct host_manner silent               = {.name = "silent", .silent_at_greeting = 3};
static const struct host_manner moody                = {
                   .name = "moody", .refuses_content = 4, .refuses_mail = 5, .refuses_connections = 4};

static const struct host_manner *const manners[] = {&accepts,
                                                    &quick,
                                                    &plain,
                                                    &no_pipelining,
                                                    &greylists,
                                                    &tires,
                                                    &few_connections,
                                                    &few_recipients,
                                                    &slow,
                                                    &drops_before_the_dot,
                                                    &drops_after_the_dot,
                                                    &silent_after_the_dot,
                                                    &silent,
                                                    &moody};

static bool coin(void)
{
    return sim_below(2) == 0;
}

/* --- hosts, sites, domains --- */

static void add_host(struct sim_plan *p, struct plan_site *site, unsigned index)
{
    struct plan_host *host = &p->hosts[p->host_count];
    (void)snprintf(host->name, sizeof host->name, "mx%u.s%u.example", site->host_count, index);
    host->address = (struct net_address){
        .family = NET_IPV4,
        .port   = PLAN_MX_PORT,
        .ip     = {203, 0, 113, (uint8_t)(1 + p->host_count)}
    };
    host->site   = index;
    host->manner = index == 0 ? &accepts : manners[sim_below(COUNT(manners))];
    if (index != 0 && coin()) {
        host->dead_from_ms   = sim_below(2 * HOUR);
        host->dead_until_ms  = host->dead_from_ms + sim_below(HOUR);
        host->dead_is_silent = coin();
    }
    site->preference[site->host_count] = (unsigned)sim_below(3) * 10;
    site->hosts[site->host_count++]    = p->host_count++;
}

/* The first site takes the reports, so it never misbehaves for ever. */
static void make_sites(struct sim_plan *p)
{
    p->site_count = (unsigned)sim_between(3, PLAN_SITES_MAX);
    for (unsigned i = 0; i < p->site_count; i++) {
        struct plan_site *site = &p->sites[i];
        unsigned hosts         = (unsigned)sim_between(1, PLAN_SITE_HOSTS);
        while (site->host_count < hosts)
            add_host(p, site, i);
        site->is_dead = i > 1 && sim_below(10) == 0;
    }
    for (unsigned i = 0; i < p->host_count; i++)
        if (p->sites[p->hosts[i].site].is_dead) {
            p->hosts[i].dead_from_ms  = 0;
            p->hosts[i].dead_until_ms = UINT64_MAX;
        }
}

static enum domain_kind draw_kind(void)
{
    static const enum domain_kind rare[] = {DOMAIN_IMPLICIT, DOMAIN_MISSING, DOMAIN_NULL_MX};
    return sim_below(6) == 0 ? rare[sim_below(COUNT(rare))] : DOMAIN_MX;
}

static void make_domains(struct sim_plan *p)
{
    p->domain_count = (unsigned)sim_between(p->site_count, PLAN_DOMAINS_MAX);
    for (unsigned i = 0; i < p->domain_count; i++) {
        struct plan_domain *domain = &p->domains[i];
        (void)snprintf(domain->name, sizeof domain->name, "d%u.example", i);
        domain->kind = i < p->site_count ? DOMAIN_MX : draw_kind();
        domain->site = i < p->site_count ? i : (unsigned)sim_below(p->site_count);
    }
}

/* --- mail --- */

static void add_rcpt(struct sim_plan *p, unsigned mail)
{
    struct plan_rcpt *rcpt = &p->rcpts[p->rcpt_count++];
    rcpt->mail             = mail;
    rcpt->domain           = (unsigned)sim_below(p->domain_count);
    rcpt->kind = sim_below(12) == 0 ? RCPT_UNKNOWN : sim_below(12) == 0 ? RCPT_FULL : RCPT_GOOD;
    rcpt->full_until_ms = sim_below(3 * HOUR);
}

static unsigned draw_rcpt_count(void)
{
    switch (sim_below(4)) {
    case 0:
        return (unsigned)sim_between(20, 80);
    case 1:
        return (unsigned)sim_between(2, 20);
    default:
        return 1;
    }
}

static void add_mail(struct sim_plan *p, unsigned index)
{
    struct plan_mail *mail = &p->mails[index];
    mail->source           = (unsigned)sim_below(p->source_count);
    mail->first_rcpt       = p->rcpt_count;
    mail->start_ms         = coin() ? sim_below(MINUTE) : sim_below(2 * HOUR);
    mail->body_bytes       = sim_below(20) == 0 ? sim_below(40000) : sim_below(1500);
    mail->is_from_nobody   = sim_below(12) == 0;
    mail->wants_no_report  = sim_below(12) == 0;
    for (unsigned left = draw_rcpt_count(); left > 0 && p->rcpt_count < PLAN_RCPTS_MAX; left--)
        add_rcpt(p, index);
    mail->rcpt_count = p->rcpt_count - mail->first_rcpt;
}

static void make_mail(struct sim_plan *p)
{
    static const unsigned chunks[] = {1, 10, 10, 50};
    p->source_count                = (unsigned)sim_between(1, PLAN_SOURCES_MAX);
    for (unsigned i = 0; i < p->source_count; i++)
        p->sources[i] = (struct plan_source){
            .rcpts_per_transaction = chunks[sim_below(COUNT(chunks))],
            .pipelines             = coin(),
            .keeps_connection      = coin(),
            .gives_up              = sim_below(3) == 0 ? 10 : 0,
        };
    unsigned wanted = (unsigned)sim_between(3, PLAN_MAILS_MAX);
    while (p->mail_count < wanted && p->rcpt_count < PLAN_RCPTS_MAX)
        add_mail(p, p->mail_count++);
}

/* --- faults --- */

static void make_faults(struct sim_plan *p)
{
    struct plan_faults *f  = &p->faults;
    f->torn                = (unsigned)sim_below(4);
    f->net_ms_min          = sim_below(20);
    f->net_ms_max          = f->net_ms_min + sim_below(coin() ? 10 : 400);
    f->reset_permille      = coin() ? (unsigned)sim_below(100) : 0;
    f->freeze_permille     = sim_below(4) == 0 ? (unsigned)sim_below(40) : 0;
    f->disk_ms_max         = coin() ? 3 : sim_below(200);
    f->disk_error_permille = sim_below(4) == 0 ? (unsigned)sim_between(1, 20) : 0;
    f->disk_bytes          = 64 << 20;
    f->dns_fail_permille   = coin() ? (unsigned)sim_below(200) : 0;
    f->dns_silent_permille = coin() ? (unsigned)sim_below(100) : 0;
    f->dns_ms_max          = sim_below(300);
    f->stall_permille      = (unsigned)sim_below(20);
}

static void draw_crash(struct plan_crash *crash)
{
    static const enum crash_kind kinds[] = {CRASH_POWER, CRASH_POWER, CRASH_KILL, CRASH_STOP};
    *crash                               = (struct plan_crash){
                                      .kind         = kinds[sim_below(COUNT(kinds))],
                                      .at_ms        = sim_below(3) > 0 ? sim_below(2 * MINUTE) : sim_below(3 * HOUR),
                                      .operations   = sim_below(4) == 0 ? 0 : (unsigned)sim_between(1, 30),
                                      .only_at_disk = sim_below(3) > 0,
                                      .away_ms      = coin() ? sim_below(5 * SECOND) : sim_below(2 * MINUTE),
    };
}

static void make_crashes(struct sim_plan *p)
{
    p->crash_count = (unsigned)sim_below(PLAN_CRASHES_MAX + 1);
    for (unsigned i = 0; i < p->crash_count; i++)
        draw_crash(&p->crashes[i]);
}

static void make_limits(struct sim_plan *p)
{
    static const unsigned connections[] = {1, 2, 5, 20}, messages[] = {1, 3, 100},
                          rcpts[]    = {1, 5, 100};
    static const uint64_t joins_ms[] = {0, SECOND, 5 * SECOND, 10 * MINUTE, 5 * SECOND};
    p->shards                        = (unsigned)sim_between(1, 3);
    p->connections                   = connections[sim_below(COUNT(connections))];
    p->messages_per_connection       = messages[sim_below(COUNT(messages))];
    p->recipients_per_transaction    = rcpts[sim_below(COUNT(rcpts))];
    p->rate_per_hour                 = coin() ? 0 : sim_between(200, 5000);
    uint64_t seconds                 = sim_below(20);
    p->idle_ms                       = seconds * SECOND + SECOND;
    p->expire_ms                     = sim_between(8, 48) * HOUR;
    p->calm_ms                       = 3 * HOUR;
    p->join_ms                       = joins_ms[seconds % COUNT(joins_ms)];
    p->linger_ms                     = seconds % 3 == 0 ? 0 : 100;
}

struct sim_plan *plan_new(void)
{
    struct sim_plan *p = world_new(sizeof *p);
    make_sites(p);
    make_domains(p);
    make_mail(p);
    make_faults(p);
    make_crashes(p);
    make_limits(p);
    return p;
}

bool plan_host_is_dead(const struct plan_host *host, uint64_t now_ms)
{
    return host->dead_from_ms <= now_ms && now_ms < host->dead_until_ms;
}

bool plan_is_calm(void)
{
    return sim()->now_ms >= sim()->plan->calm_ms;
}

/* --- texts --- */

void plan_rcpt_address(unsigned rcpt, char into[PLAN_NAME_BYTES * 2])
{
    const struct sim_plan *p = sim()->plan;
    (void)snprintf(into, (size_t)PLAN_NAME_BYTES * 2, "r%u@%s", rcpt,
                   p->domains[p->rcpts[rcpt].domain].name);
}

unsigned plan_rcpt_of(struct span address)
{
    char text[PLAN_NAME_BYTES * 2];
    uint64_t number;
    struct span local = span_first(address, span_find(address, '@'));
    if (local.len < 2 || local.at[0] != 'r' ||
        !span_to_number(span_skip(local, 1), sim()->plan->rcpt_count - 1, &number))
        return UINT_MAX;
    plan_rcpt_address((unsigned)number, text);
    return span_is(address, text) ? (unsigned)number : UINT_MAX;
}

void plan_sender_address(unsigned mail, char into[PLAN_NAME_BYTES * 2])
{
    const struct sim_plan *p = sim()->plan;
    into[0]                  = '\0';
    if (!p->mails[mail].is_from_nobody)
        (void)snprintf(into, (size_t)PLAN_NAME_BYTES * 2, "list%u-bounces@%s",
                       p->mails[mail].source, p->domains[0].name);
}

/* Lines that tempt: dots at their beginning, empty ones, long ones. */
static void put_line(struct buf *into, unsigned number)
{
    static const char *const starts[] = {"", ".", "..", "From here on ", ".\t", "line "};
    buf_put_text(into, starts[number % COUNT(starts)]);
    for (unsigned i = 0; i < number * 7 % 70; i++)
        buf_put_byte(into, (char)('a' + (number + i) % 26));
    buf_put_text(into, "\r\n");
}

void plan_mail_text(unsigned mail, struct buf *into)
{
    buf_printf(into,
               "From: <list@d0.example>\r\nTo: <members@d0.example>\r\n"
               "Subject: post %u\r\nDate: Wed, 01 Jan 2025 00:00:00 +0000\r\n"
               "Message-ID: <m%u@d0.example>\r\n\r\n",
               mail, mail);
    size_t end = into->len + sim()->plan->mails[mail].body_bytes;
    if (sim()->plan->mails[mail].body_bytes > LONG_BODY_BYTES)
        end += LONG_BODY_BYTES * 10; /* more than the intake holds back */
    for (unsigned line = mail; into->len < end; line++)
        put_line(into, line);
}

unsigned plan_mail_of(struct span text)
{
    static const struct span mark = SPAN("\r\nMessage-ID: <m");
    struct buf expected           = {0};
    struct span rest              = span_skip(text, span_find_text(text, mark) + mark.len);
    uint64_t mail;
    if (!span_to_number(span_first(rest, span_find(rest, '@')), sim()->plan->mail_count - 1, &mail))
        return UINT_MAX;
    plan_mail_text((unsigned)mail, &expected);
    bool is_whole = text.len > expected.len &&
                    span_equals(span_skip(text, text.len - expected.len), buf_span(&expected));
    buf_release(&expected);
    return is_whole ? (unsigned)mail : UINT_MAX;
}
