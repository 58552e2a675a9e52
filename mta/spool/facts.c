/* SPDX-License-Identifier: MIT */
#include "mta/spool/facts.h"
#include "mta/base/fault.h"

enum { FACTS_PAYLOAD_BYTES = 32 << 10 }; /* in one record; one outcome is far smaller */

void facts_init(struct facts *facts)
{
    *facts = (struct facts){.noted_oldest = SEGMENT_NO_ID, .placed_oldest = SEGMENT_NO_ID};
}

void facts_release(struct facts *facts)
{
    buf_release(&facts->noted);
    buf_release(&facts->placed);
}

static void keep_older(uint64_t *oldest, uint64_t segment)
{
    if (segment < *oldest)
        *oldest = segment;
}

void facts_note(struct facts *facts, uint64_t id, uint32_t rcpt, const struct payload_fate *fate,
                uint64_t about)
{
    payload_put_outcome(&facts->noted, id, rcpt, fate);
    keep_older(&facts->noted_oldest, about);
    facts->count++;
}

/* As many whole outcomes as go into one record. */
static size_t portion(struct span noted)
{
    struct reader r = {noted, false};
    struct payload_outcome outcome;
    size_t taken = 0;
    while (r.rest.len > 0) {
        must(payload_read_outcome(&r, &outcome));
        if (noted.len - r.rest.len > FACTS_PAYLOAD_BYTES)
            break;
        taken = noted.len - r.rest.len;
    }
    must(taken > 0);
    return taken;
}

enum status facts_place(struct facts *facts, struct log *log)
{
    size_t done        = 0;
    enum status status = OK;
    while (done < facts->noted.len) {
        struct place place;
        struct span rest         = span_skip(buf_span(&facts->noted), done);
        rest                     = span_first(rest, portion(rest));
        struct log_record record = {.type = RECORD_OUTCOMES, .rest = rest};
        status                   = log_put(log, &record, &place, NULL);
        if (status != OK)
            break;
        segment_pin(place.segment, facts->noted_oldest);
        buf_put(&facts->placed, rest);
        keep_older(&facts->placed_oldest, facts->noted_oldest);
        facts->placed_total += rest.len;
        done += rest.len;
    }
    buf_drop(&facts->noted, done);
    if (facts->noted.len == 0)
        facts->noted_oldest = SEGMENT_NO_ID;
    return status;
}

void facts_settle(struct facts *facts, uint64_t total)
{
    must(total >= facts->durable_total && total <= facts->placed_total);
    buf_drop(&facts->placed, (size_t)(total - facts->durable_total));
    facts->durable_total = total;
    if (facts->placed.len == 0)
        facts->placed_oldest = SEGMENT_NO_ID;
}

void facts_again(struct facts *facts)
{
    buf_put(&facts->placed, buf_span(&facts->noted));
    struct buf all = facts->placed;
    facts->placed  = facts->noted;
    facts->noted   = all;
    buf_clear(&facts->placed);
    keep_older(&facts->noted_oldest, facts->placed_oldest);
    facts->placed_oldest = SEGMENT_NO_ID;
    facts->placed_total  = facts->durable_total;
    facts->count++; /* so that they are synced, not only written */
}

bool facts_are_settled(const struct facts *facts)
{
    return facts->noted.len == 0 && facts->placed.len == 0;
}
