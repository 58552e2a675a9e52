/* SPDX-License-Identifier: MIT */
/*
 * What stands in 'text' at the end is the failure that tells the sender most: a reply beats
 * silence, and a later one beats an earlier one of the same weight.
 */
#include "mta/deliver/dialer.h"
#include "mta/base/fault.h"
#include "mta/mail/escape.h"
#include <stdio.h>
#include <string.h>

static void shuffle_equals(struct dialer *d, size_t from, size_t to, struct rng *rng)
{
    for (size_t i = to; i > from + 1; i--) {
        size_t j        = from + rng_below(rng, i - from);
        uint8_t swap    = d->order[i - 1];
        d->order[i - 1] = d->order[j];
        d->order[j]     = swap;
    }
}

void dialer_init(struct dialer *d, const struct site_target *target, struct rng *rng)
{
    must(target->host_count > 0 && target->host_count <= SITE_HOSTS_MAX);
    *d = (struct dialer){.target = target};
    for (size_t i = 0; i < target->host_count; i++)
        d->order[i] = (uint8_t)i;
    for (size_t from = 0, to; from < target->host_count; from = to) {
        to = from + 1;
        while (to < target->host_count &&
               target->hosts[to].preference == target->hosts[from].preference)
            to++;
        shuffle_equals(d, from, to, rng);
    }
}

static const struct site_host *host_now(const struct dialer *d)
{
    must(d->host_at < d->target->host_count);
    return &d->target->hosts[d->order[d->host_at]];
}

const char *dialer_host(const struct dialer *d)
{
    return host_now(d)->name;
}

uint16_t dialer_port(const struct dialer *d)
{
    return host_now(d)->port;
}

bool dialer_has_another(const struct dialer *d)
{
    return d->is_looked_up && d->address_at < d->address_count && d->tried < DIALER_ADDRESSES_MAX;
}

void dialer_put_last(struct dialer *d, const bool marks[MX_ADDRESSES_MAX])
{
    struct net_address ordered[MX_ADDRESSES_MAX];
    size_t count = d->address_at;
    for (unsigned mark = 0; mark < 2; mark++)
        for (size_t i = d->address_at; i < d->address_count; i++)
            if (marks[i] == mark)
                ordered[count++] = d->addresses[i];
    must(count == d->address_count);
    memcpy(d->addresses + d->address_at, ordered + d->address_at,
           (count - d->address_at) * sizeof ordered[0]);
}

static void next_host(struct dialer *d)
{
    d->host_at++;
    d->is_looked_up = false;
    d->address_at = d->address_count = 0;
}

enum dial_step dialer_next(struct dialer *d, struct net_address *address)
{
    while (d->host_at < d->target->host_count && d->tried < DIALER_ADDRESSES_MAX) {
        if (!d->is_looked_up)
            return DIAL_LOOKUP;
        if (d->address_at < d->address_count) {
            *address      = d->addresses[d->address_at++];
            address->port = host_now(d)->port;
            d->tried++;
            return DIAL_CONNECT;
        }
        next_host(d);
    }
    return DIAL_EXHAUSTED;
}

/* Keeps the words of the weightier failure: 'weight' is how many of this kind there were before,
 * and of the kinds below. */
static void keep_words(struct dialer *d, bool tells_more, unsigned code,
                       const unsigned char enhanced[3], const char *text)
{
    if (!tells_more && d->text[0] != '\0')
        return;
    d->code = code;
    memcpy(d->enhanced, enhanced, 3);
    (void)snprintf(d->mx, sizeof d->mx, "%s", dialer_host(d));
    (void)snprintf(d->text, sizeof d->text, "%s", text);
}

static void note_no_address(struct dialer *d, bool is_temporary, const unsigned char enhanced[3],
                            const char *why)
{
    char text[DIALER_TEXT_BYTES];
    (void)snprintf(text, sizeof text, "%.255s: %s", dialer_host(d), why);
    *(is_temporary ? &d->unreachable : &d->hopeless) += 1;
    keep_words(d, is_temporary && d->busy + d->refused == 0, 0, enhanced, text);
}

/* "5.4.4" as three numbers; the table of verdicts holds nothing else. */
static void parse_status(const char *text, unsigned char status[3])
{
    unsigned a = 0, b = 0, c = 0;
    must(sscanf(text, "%u.%u.%u", &a, &b, &c) == 3);
    status[0] = (unsigned char)a;
    status[1] = (unsigned char)b;
    status[2] = (unsigned char)c;
}

void dialer_addresses(struct dialer *d, const struct address_result *result, bool allow_private)
{
    unsigned char status[3];
    d->is_looked_up = true;
    if (result->verdict != DNS_FOUND) {
        parse_status(dns_verdict_enhanced(result->verdict), status);
        bool is_temporary = dns_verdict_is_temporary(result->verdict);
        if (!is_temporary)
            memcpy(status, (unsigned char[]){5, 4, 4}, 3);
        note_no_address(d, is_temporary, status, dns_verdict_text(result->verdict));
        return;
    }
    for (size_t i = 0; i < result->address_count; i++) {
        const struct net_address *address = &result->addresses[i];
        bool is_ours = net_address_is_private(address) || net_address_is_own(address);
        if (!d->target->is_mx || allow_private || !is_ours)
            d->addresses[d->address_count++] = *address;
    }
    if (d->address_count == 0) {
        memcpy(status, (unsigned char[]){5, 4, 6}, 3);
        note_no_address(
            d, false, status,
            "its address is this machine's or a private one, which we do not deliver to");
    }
}

void dialer_failed(struct dialer *d, enum dial_failure failure, unsigned code,
                   const unsigned char enhanced[3], struct span text)
{
    struct buf words = {0};
    bool is_reply    = failure != DIAL_UNREACHABLE;
    escape_text(text, DIALER_TEXT_BYTES - 1, &words);
    keep_words(d, is_reply || d->busy + d->refused == 0, code, enhanced, buf_text(&words));
    buf_release(&words);
    switch (failure) {
    case DIAL_UNREACHABLE:
        d->unreachable++;
        break;
    case DIAL_BUSY:
        d->busy++;
        break;
    case DIAL_REFUSED:
        d->refused++;
        break;
    }
}

void dialer_settle(const struct dialer *d, struct job *job)
{
    bool is_hopeless = d->unreachable + d->busy == 0;
    unsigned char enhanced[3];
    memcpy(enhanced, d->enhanced, 3);
    if (!is_hopeless && enhanced[0] == 5)
        enhanced[0] = 4; /* a host that refused for good, but others may come back */
    job_settle_rest(job, is_hopeless ? JOB_FAILED : JOB_DEFERRED,
                    is_hopeless || d->code < 500 ? d->code : 0, enhanced, span_of(d->text), d->mx);
    if (d->busy > 0)
        job->site_verdict = JOB_SITE_BUSY;
    else
        job->site_verdict = is_hopeless ? JOB_SITE_ANSWERED : JOB_SITE_UNREACHABLE;
}
