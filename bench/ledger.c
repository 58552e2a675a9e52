/* SPDX-License-Identifier: MIT */
/*
 * Receipts live in blocks, so that they have a number by which a slow reader can walk them while
 * more arrive; letters and refusals are found by key only.
 */
#include "bench/ledger.h"
#include "bench/json.h"
#include "mta/base/mem.h"
#include <stdio.h>
#include <string.h>

enum { BLOCK_RECEIPTS = 4096, REFUSALS_STEP = 1024, US_PER_MS = 1000, ID_SEED = 10 };

#define VIOLATION_NAME(name) #name,
static const char *const violation_names[] = {VIOLATIONS(VIOLATION_NAME)};
#undef VIOLATION_NAME

void ledger_init(struct ledger *l, bool is_quiet)
{
    memset(l, 0, sizeof *l);
    l->is_quiet = is_quiet;
    latency_init(&l->latency);
    counts_init(&l->receipts);
    counts_init(&l->contents);
    table_init(&l->ids, ID_SEED);
    table_init(&l->refusals, 13);
}

void ledger_release(struct ledger *l)
{
    for (size_t i = 0; !l->is_quiet && i * BLOCK_RECEIPTS < l->receipt_count; i++)
        mem_free(l->receipt_blocks[i]);
    mem_free(l->receipt_blocks);
    latency_release(&l->latency);
    table_release(&l->ids);
    counts_release(&l->receipts);
    counts_release(&l->contents);
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

static struct known_id *known_id(struct ledger *l, struct span id)
{
    struct table_node *node = table_find(&l->ids, id);
    if (node != NULL)
        return CONTAINER_OF(node, struct known_id, by_id);
    struct known_id *known = arena_new(&l->arena, sizeof *known);
    table_insert(&l->ids, &known->by_id, span_make(arena_text(&l->arena, id), id.len));
    return known;
}

static bool is_letter(const struct letter *letter, const uint8_t sha256[LEDGER_SHA256_BYTES])
{
    return memcmp(letter->sha256, sha256, LEDGER_SHA256_BYTES) == 0;
}

static struct letter *quiet_letter(struct ledger *l, struct span id)
{
    l->quiet.id_hash = span_hash(id, ID_SEED);
    ++*counts_at(&l->contents, l->quiet.id_hash);
    l->letter_count = l->contents.count;
    return &l->quiet;
}

const struct letter *ledger_letter(struct ledger *l, struct span id,
                                   const uint8_t sha256[LEDGER_SHA256_BYTES])
{
    if (l->is_quiet)
        return quiet_letter(l, id);
    if (l->last != NULL && is_letter(l->last, sha256) && span_equals(l->last->id, id))
        return l->last;
    struct known_id *known = known_id(l, id);
    struct letter *letter  = known->letters;
    while (letter != NULL && !is_letter(letter, sha256))
        letter = letter->next;
    if (letter == NULL) {
        letter          = arena_new(&l->arena, sizeof *letter);
        letter->id      = known->by_id.key;
        letter->id_hash = span_hash(id, ID_SEED);
        letter->next    = known->letters;
        memcpy(letter->sha256, sha256, LEDGER_SHA256_BYTES);
        known->letters = letter;
        l->letter_count++;
    }
    l->last = letter;
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

static struct receipt *receipt_at(const struct ledger *l, size_t n)
{
    return &l->receipt_blocks[n / BLOCK_RECEIPTS][n % BLOCK_RECEIPTS];
}

const struct receipt *ledger_receipt(const struct ledger *l, size_t n)
{
    return receipt_at(l, n);
}

void ledger_receive(struct ledger *l, const struct letter *letter, struct span rcpt, bool is_tls,
                    uint64_t wall_us)
{
    uint32_t *number = counts_at(&l->receipts, span_hash(rcpt, letter->id_hash));
    bool is_new      = *number == 0;
    l->duplicates += !is_new;
    if (l->is_quiet) {
        ++*number;
        l->receipt_count = l->receipts.count;
        return;
    }
    struct receipt *receipt = is_new ? new_receipt(l) : receipt_at(l, *number - 1);
    if (is_new) {
        *number           = (uint32_t)l->receipt_count;
        receipt->rcpt     = span_make(arena_text(&l->arena, rcpt), rcpt.len);
        receipt->first_us = wall_us;
    } else {
        l->changed_ids += receipt->letter != letter;
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
        table_insert(&l->refusals, &refusal->by_rcpt,
                     span_make(arena_text(&l->arena, rcpt), rcpt.len));
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
    json_number(out, "contents", l->letter_count);
    json_number(out, "changed_contents", l->changed_ids);
    json_number(out, "refused_addresses", l->refusal_count);
    json_number(out, "first_ms", l->latency.all.first_us / US_PER_MS);
    json_number(out, "last_ms", l->latency.all.last_us / US_PER_MS);
    latency_json(&l->latency.all, out);
    tally_json(&l->total, out);
    violations_json(l, out);
}
