/* SPDX-License-Identifier: MIT */
/* Addresses stand in one buffer and are named by offsets, since the buffer moves while it grows. */
#include "bench/mx_transaction.h"
#include "bench/json.h"
#include "mta/base/mem.h"
#include <string.h>

enum { RCPTS_AT_FIRST = 16, US_PER_MS = 1000 };

void mx_transaction_init(struct mx_transaction *t)
{
    memset(t, 0, sizeof *t);
}

void mx_transaction_release(struct mx_transaction *t)
{
    buf_release(&t->text);
    mem_free(t->rcpts);
}

void mx_transaction_reset(struct mx_transaction *t)
{
    t->is_open = false;
    t->count   = 0;
    buf_clear(&t->text);
}

void mx_transaction_open(struct mx_transaction *t, struct span sender, struct span params)
{
    mx_transaction_reset(t);
    t->is_open        = true;
    t->is_8bit        = false;
    t->is_utf8        = false;
    t->declared_bytes = 0;
    t->sender_len     = sender.len;
    t->params_len     = params.len;
    buf_put(&t->text, sender);
    buf_put(&t->text, params);
}

/* The domain in lower case, so that one mailbox has one name in the ledger. */
static void put_address(struct buf *text, struct span address)
{
    size_t start = text->len;
    buf_put(text, address);
    for (size_t i = text->len; i > start && text->at[i - 1] != '@'; i--)
        text->at[i - 1] = ascii_lower(text->at[i - 1]);
}

void mx_transaction_add(struct mx_transaction *t, struct span address, struct span params,
                        struct domain *domain)
{
    if (t->count == t->cap) {
        t->cap   = t->cap == 0 ? RCPTS_AT_FIRST : 2 * t->cap;
        t->rcpts = mem_resize(t->rcpts, t->cap * sizeof t->rcpts[0]);
    }
    t->rcpts[t->count++] = (struct mx_rcpt){.at         = t->text.len,
                                            .len        = address.len,
                                            .params     = t->text.len + address.len,
                                            .params_len = params.len,
                                            .domain     = domain};
    put_address(&t->text, address);
    buf_put(&t->text, params);
}

struct span mx_transaction_sender(const struct mx_transaction *t)
{
    return span_first(buf_span(&t->text), t->sender_len);
}

struct span mx_transaction_rcpt(const struct mx_transaction *t, size_t n)
{
    return span_make(t->text.at + t->rcpts[n].at, t->rcpts[n].len);
}

bool mx_transaction_stores(const struct mx_transaction *t, const struct host *host)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->rcpts[i].domain != NULL && t->rcpts[i].domain->p.store)
            return true;
    return host->p.store;
}

static struct span id_of(const struct mx_body *body)
{
    struct span id = mx_body_field(body, "X-Mailrace-Id");
    return span_first(id.len > 0 ? id : mx_body_field(body, "Message-ID"), LEDGER_ID_BYTES_MAX);
}

static unsigned digit_of(char c)
{
    c = ascii_lower(c);
    return ascii_is_digit(c)      ? (unsigned)(c - '0')
           : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                  : 16;
}

/* The sender may have said what the body must hash to. */
static bool is_unchanged(const struct mx_body *body, const uint8_t sha256[LEDGER_SHA256_BYTES])
{
    struct span wanted = mx_body_field(body, "X-Mailrace-Sha256");
    if (wanted.len == 0 || !body->hash)
        return true;
    if (wanted.len != 2 * LEDGER_SHA256_BYTES)
        return false;
    for (size_t i = 0; i < LEDGER_SHA256_BYTES; i++)
        if ((digit_of(wanted.at[2 * i]) << 4 | digit_of(wanted.at[2 * i + 1])) != sha256[i])
            return false;
    return true;
}

static void judge(const struct mx_transaction *t, const struct mx_body *body, struct span id,
                  const uint8_t *sha256, const struct mx_delivery *d)
{
    for (unsigned v = 0; v < VIOLATION_COUNT; v++)
        if (body->violations & 1u << v)
            ledger_violation(d->ledger, (enum violation)v, d->host, id);
    if (body->has_8bit && !t->is_8bit && !t->is_utf8)
        ledger_violation(d->ledger, VIOLATION_eight_bit, d->host, id);
    if (t->declared_bytes > 0 && body->bytes > t->declared_bytes + t->declared_bytes / 10 + 1024)
        ledger_violation(d->ledger, VIOLATION_size_understated, d->host, id);
    if (id.len == 0)
        ledger_violation(d->ledger, VIOLATION_no_id, d->host, mx_transaction_sender(t));
    if (!is_unchanged(body, sha256))
        ledger_violation(d->ledger, VIOLATION_content_changed, d->host, id);
}

static void json_rcpts(const struct mx_transaction *t, struct buf *out)
{
    json_key(out, "rcpts");
    buf_put_byte(out, '[');
    for (size_t i = 0; i < t->count; i++) {
        json_comma(out);
        buf_put_byte(out, '{');
        json_text(out, "address", mx_transaction_rcpt(t, i));
        json_text(out, "params",
                  span_make(t->text.at + t->rcpts[i].params, t->rcpts[i].params_len));
        buf_put_byte(out, '}');
    }
    buf_put_byte(out, ']');
}

static void store(const struct mx_transaction *t, const struct mx_body *body, struct span id,
                  const struct mx_delivery *d, struct list *letters)
{
    struct stored *stored = mem_new(sizeof *stored);
    struct buf *out       = &stored->json;
    buf_put_byte(out, '{');
    json_text(out, "id", id);
    json_text(out, "from", mx_transaction_sender(t));
    json_text(out, "params", span_make(t->text.at + t->sender_len, t->params_len));
    json_rcpts(t, out);
    json_text(out, "host", d->host->by_name.key);
    json_text(out, "helo", d->helo);
    json_text(out, "tls", span_of(d->tls == NULL ? "none" : d->tls));
    json_number(out, "time_ms", d->wall_us / US_PER_MS);
    json_text(out, "raw", buf_span(&body->whole));
    buf_put_text(out, "}\n");
    list_push(letters, &stored->in_owner);
}

static void count_content(struct tally *tally, uint64_t bytes)
{
    tally->messages++;
    tally->bytes += bytes;
}

/* A domain counts a content once, however many of its recipients shared it. */
static bool is_first_for(struct domain *domain, const struct mx_delivery *d)
{
    bool is_first            = domain->last_transaction != d->ledger->total.messages;
    domain->last_transaction = d->ledger->total.messages;
    return is_first;
}

static void record_domain(const struct mx_transaction *t, struct domain *domain,
                          const struct mx_body *body, struct span id, const struct mx_delivery *d)
{
    domain->tally.recipients++;
    if (!is_first_for(domain, d))
        return;
    domain->tally.transactions++;
    count_content(&domain->tally, body->bytes);
    if (domain->p.store)
        store(t, body, id, d, &domain->letters);
}

void mx_transaction_record(const struct mx_transaction *t, struct mx_body *body,
                           const struct mx_delivery *d)
{
    uint8_t sha256[LEDGER_SHA256_BYTES];
    mx_body_end(body, sha256);
    struct span id              = id_of(body);
    const struct letter *letter = ledger_letter(d->ledger, id, sha256);
    count_content(&d->ledger->total, body->bytes);
    count_content(&d->host->tally, body->bytes);
    judge(t, body, id, sha256, d);
    size_t taken = 0;
    for (size_t i = 0; i < t->count; i++) {
        if (t->rcpts[i].refused)
            continue;
        taken++;
        ledger_receive(d->ledger, letter, mx_transaction_rcpt(t, i), d->tls != NULL, d->wall_us);
        d->ledger->total.recipients++;
        d->host->tally.recipients++;
        if (t->rcpts[i].domain != NULL)
            record_domain(t, t->rcpts[i].domain, body, id, d);
    }
    latency_note(&d->ledger->latency, id, mx_body_field(body, "X-Mailrace-Sent"), taken,
                 d->wall_us);
    if (d->host->p.store)
        store(t, body, id, d, &d->host->letters);
}
