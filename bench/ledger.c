/* SPDX-License-Identifier: MIT */
/*
 * Receipts live in blocks, so that they have a number by which a slow reader can walk them while
 * more arrive; letters and refusals are found by key only.
 */
#include "bench/ledger.h"
#include "bench/json.h"
#include "mta/base/bytes.h"
#include "mta/base/mem.h"
#include <stdio.h>
#include <string.h>

enum {
    BLOCK_RECEIPTS  = 4096,
    REFUSALS_STEP   = 1024,
    ID_NUMBER_BYTES = 4,
    US_PER_MS       = 1000,
    KEY_BYTES_MAX   = LEDGER_ID_BYTES_MAX + 1024
};

struct known_id {
    struct table_node by_id;
    uint32_t number;
};

#define VIOLATION_NAME(name) #name,
static const char *const violation_names[] = {VIOLATIONS(VIOLATION_NAME)};
#undef VIOLATION_NAME

void ledger_init(struct ledger *l)
{
    memset(l, 0, sizeof *l);
    latency_init(&l->latency);
    table_init(&l->ids, 10);
    table_init(&l->letters, 11);
    table_init(&l->receipts, 12);
    table_init(&l->refusals, 13);
}

void ledger_release(struct ledger *l)
{
    for (size_t i = 0; i * BLOCK_RECEIPTS < l->receipt_count; i++)
        mem_free(l->receipt_blocks[i]);
    mem_free(l->receipt_blocks);
    latency_release(&l->latency);
    table_release(&l->ids);
    table_release(&l->letters);
    table_release(&l->receipts);
    table_release(&l->refusals);
    mem_free(l->all_refusals);
    arena_release(&l->arena);
}

void ledger_violation(struct ledger *l, enum violation violation, const struct host *host,
                      struct span what)
{
    struct violation_count *v = &l->violations[violation];
    if (v->count++ > 0)
        return;
    struct span name = host == NULL ? span_of("-") : host->by_name.key;
    what             = span_trim(span_first(what, LEDGER_EXAMPLE_BYTES / 2));
    (void)snprintf(v->example, sizeof v->example, "%.*s: %.*s", (int)name.len, name.at,
                   (int)what.len, what.at);
}

uint64_t ledger_violations(const struct ledger *l)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < VIOLATION_COUNT; i++)
        sum += l->violations[i].count;
    return sum;
}

/* a then b, in 'into'; at least one of them has a fixed length. */
static struct span join(struct span a, struct span b, char into[KEY_BYTES_MAX])
{
    a = span_first(a, LEDGER_ID_BYTES_MAX);
    b = span_first(b, KEY_BYTES_MAX - LEDGER_ID_BYTES_MAX);
    memcpy(into, a.at, a.len);
    memcpy(into + a.len, b.at, b.len);
    return span_make(into, a.len + b.len);
}

static struct span keep(struct ledger *l, struct span key)
{
    return span_make(arena_text(&l->arena, key), key.len);
}

static uint32_t number_of_id(struct ledger *l, struct span id)
{
    struct table_node *node = table_find(&l->ids, id);
    if (node == NULL) {
        struct known_id *known = arena_new(&l->arena, sizeof *known);
        known->number          = (uint32_t)l->ids.count;
        table_insert(&l->ids, &known->by_id, id);
        return known->number;
    }
    return CONTAINER_OF(node, struct known_id, by_id)->number;
}

const struct letter *ledger_letter(struct ledger *l, struct span id,
                                   const uint8_t sha256[LEDGER_SHA256_BYTES])
{
    char joined[KEY_BYTES_MAX];
    struct span hash        = span_make((const char *)sha256, LEDGER_SHA256_BYTES);
    struct span key         = join(id, hash, joined);
    struct table_node *node = table_find(&l->letters, key);
    if (node != NULL)
        return CONTAINER_OF(node, struct letter, by_id_and_sha256);

    struct letter *letter = arena_new(&l->arena, sizeof *letter);
    key                   = keep(l, key);
    letter->id            = span_first(key, key.len - LEDGER_SHA256_BYTES);
    letter->id_number     = number_of_id(l, letter->id);
    memcpy(letter->sha256, sha256, LEDGER_SHA256_BYTES);
    table_insert(&l->letters, &letter->by_id_and_sha256, key);
    return letter;
}

static struct receipt *new_receipt(struct ledger *l)
{
    size_t block = l->receipt_count / BLOCK_RECEIPTS, at = l->receipt_count % BLOCK_RECEIPTS;
    if (at == 0) {
        l->receipt_blocks = mem_resize(l->receipt_blocks, (block + 1) * sizeof(struct receipt *));
        l->receipt_blocks[block] = mem_new_array(BLOCK_RECEIPTS, sizeof(struct receipt));
    }
    l->receipt_count++;
    return &l->receipt_blocks[block][at];
}

const struct receipt *ledger_receipt(const struct ledger *l, size_t n)
{
    return &l->receipt_blocks[n / BLOCK_RECEIPTS][n % BLOCK_RECEIPTS];
}

void ledger_receive(struct ledger *l, const struct letter *letter, struct span rcpt, bool is_tls,
                    uint64_t wall_us)
{
    char number[ID_NUMBER_BYTES], joined[KEY_BYTES_MAX];
    bytes_put32(number, letter->id_number);
    struct span key         = join(span_make(number, sizeof number), rcpt, joined);
    struct table_node *node = table_find(&l->receipts, key);
    struct receipt *receipt;
    if (node != NULL) {
        receipt = CONTAINER_OF(node, struct receipt, by_id_and_rcpt);
        l->duplicates++;
        l->changed_ids += receipt->letter != letter;
    } else {
        receipt           = new_receipt(l);
        key               = keep(l, key);
        receipt->rcpt     = span_skip(key, ID_NUMBER_BYTES);
        receipt->first_us = wall_us;
        table_insert(&l->receipts, &receipt->by_id_and_rcpt, key);
    }
    receipt->letter  = letter;
    receipt->last_us = wall_us;
    receipt->is_tls  = is_tls;
    receipt->count++;
}

void ledger_refuse(struct ledger *l, struct span rcpt, struct span reply)
{
    struct table_node *node = table_find(&l->refusals, rcpt);
    struct refusal *refusal;
    if (node != NULL) {
        refusal = CONTAINER_OF(node, struct refusal, by_rcpt);
    } else {
        refusal = arena_new(&l->arena, sizeof *refusal);
        table_insert(&l->refusals, &refusal->by_rcpt, keep(l, rcpt));
        if (l->refusal_count % REFUSALS_STEP == 0)
            l->all_refusals = mem_resize(l->all_refusals, (l->refusal_count + REFUSALS_STEP) *
                                                              sizeof(struct refusal *));
        l->all_refusals[l->refusal_count++] = refusal;
    }
    refusal->rejected += reply.at[0] == '5';
    refusal->deferred += reply.at[0] == '4';
    if (refusal->last == NULL || !span_is(reply, refusal->last))
        refusal->last = arena_text(&l->arena, reply);
}

const struct refusal *ledger_refusal(const struct ledger *l, size_t n)
{
    return l->all_refusals[n];
}

static void json_sha256(struct buf *out, const uint8_t sha256[LEDGER_SHA256_BYTES])
{
    char hex[2 * LEDGER_SHA256_BYTES + 1];
    for (size_t i = 0; i < LEDGER_SHA256_BYTES; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", sha256[i]);
    json_text(out, "sha256", span_of(hex));
}

void ledger_receipt_json(const struct receipt *receipt, struct buf *out)
{
    buf_put_byte(out, '{');
    json_text(out, "rcpt", receipt->rcpt);
    json_text(out, "id", receipt->letter->id);
    json_number(out, "count", receipt->count);
    json_number(out, "first_ms", receipt->first_us / US_PER_MS);
    json_number(out, "last_ms", receipt->last_us / US_PER_MS);
    json_number(out, "first_us", receipt->first_us);
    json_bool(out, "tls", receipt->is_tls);
    json_sha256(out, receipt->letter->sha256);
    buf_put_text(out, "}\n");
}

void ledger_refusal_json(const struct refusal *refusal, struct buf *out)
{
    buf_put_byte(out, '{');
    json_text(out, "rcpt", refusal->by_rcpt.key);
    json_number(out, "rejected", refusal->rejected);
    json_number(out, "deferred", refusal->deferred);
    json_text(out, "last", span_of(refusal->last));
    buf_put_text(out, "}\n");
}

static void violations_json(const struct ledger *l, struct buf *out)
{
    json_number(out, "violation_count", ledger_violations(l));
    json_key(out, "violations");
    buf_put_byte(out, '{');
    for (size_t i = 0; i < VIOLATION_COUNT; i++) {
        if (l->violations[i].count == 0)
            continue;
        json_key(out, violation_names[i]);
        buf_put_byte(out, '{');
        json_number(out, "count", l->violations[i].count);
        json_text(out, "first", span_of(l->violations[i].example));
        buf_put_byte(out, '}');
    }
    buf_put_byte(out, '}');
}

void ledger_json(const struct ledger *l, struct buf *out)
{
    json_number(out, "receipts", l->receipt_count);
    json_number(out, "duplicates", l->duplicates);
    json_number(out, "contents", l->letters.count);
    json_number(out, "changed_contents", l->changed_ids);
    json_number(out, "refused_addresses", l->refusal_count);
    json_number(out, "first_ms", l->latency.all.first_us / US_PER_MS);
    json_number(out, "last_ms", l->latency.all.last_us / US_PER_MS);
    latency_json(&l->latency.all, out);
    tally_json(&l->total, out);
    violations_json(l, out);
}
