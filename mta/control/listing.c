/* SPDX-License-Identifier: MIT */
#include "mta/control/listing.h"
#include "mta/control/original.h"
#include "mta/mail/escape.h"
#include "mta/mail/fields.h"
#include "mta/mail/msgid.h"
#include "mta/mail/sender.h"

enum {
    REPLY_BYTES_MAX = 60,
    CELL_BYTES_MAX  = 120,
    TO_WIDTH        = 32,
    STATUS_WIDTH    = 9,
    SITE_WIDTH      = 32
};

/* --- cells --- */

static size_t characters(struct span text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += ((unsigned char)text.at[i] & 0xc0) != 0x80; /* not a continuation byte of UTF-8 */
    return count;
}

void listing_cell(struct buf *into, const char *text, size_t width)
{
    size_t start = into->len;
    escape_text(span_of(text), CELL_BYTES_MAX, into);
    size_t used = characters(span_skip(buf_span(into), start));
    do
        buf_put_byte(into, ' ');
    while (++used < width + 2);
}

void listing_reply(const struct attempt *attempt, size_t max, struct buf *into)
{
    if (attempt == NULL) {
        buf_put_text(into, "not tried yet");
        return;
    }
    if (attempt->code != 0)
        buf_printf(into, "%u ", attempt->code);
    if (attempt->enhanced[0] != 0)
        buf_printf(into, "%u.%u.%u ", attempt->enhanced[0], attempt->enhanced[1],
                   attempt->enhanced[2]);
    escape_text(span_of(attempt->text), max, into);
}

/* --- recipients --- */

static void put_last(const struct attempt *last, struct buf *into)
{
    field_key(into, "last");
    if (last == NULL) {
        buf_put_text(into, "null");
        return;
    }
    buf_put_byte(into, '{');
    field_number(into, "code", last->code);
    field_status(into, "enhanced", last->enhanced);
    field_text(into, "text", last->text);
    field_text(into, "mx", last->mx);
    field_time(into, "time", last->wall_ms);
    buf_put_byte(into, '}');
}

static const struct attempt *last_of(const struct queue_row *row)
{
    return row->rcpt->last == NULL ? NULL : &row->rcpt->last->attempt;
}

static void put_sender(const struct queue_row *row, const struct moment *at, struct buf *into)
{
    struct envelope_rcpt rcpt = recipient_envelope(row->rcpt);
    struct buf sender         = {0};
    (void)sender_write(&row->message->envelope, &rcpt, at->tokens, &sender);
    field_text(into, "from", buf_text(&sender));
    buf_release(&sender);
}

static void put_rcpt(const struct queue_row *row, const struct moment *at, struct buf *into)
{
    buf_put_byte(into, '{');
    field_id(into, "id", row->message->id);
    put_sender(row, at, into);
    field_text(into, "to", row->rcpt->address);
    field_text(into, "site", row->site);
    field_text(into, "status", row->status);
    field_number(into, "attempts", row->rcpt->attempts);
    field_time(into, "next", row->next_in_ms == 0 ? 0 : at->wall_ms + row->next_in_ms);
    put_last(last_of(row), into);
}

void listing_rcpt_json(const struct queue_row *row, const struct moment *at, struct buf *into)
{
    put_rcpt(row, at, into);
    buf_put_text(into, "}\n");
}

void listing_shown_json(const struct queue_row *row, const struct moment *at, struct buf *into)
{
    put_rcpt(row, at, into);
    field_number(into, "size", original_bytes(row->message));
    field_time(into, "arrival", row->message->arrival_wall_ms);
    field_time(into, "expire", at->wall_ms + message_expires_in_ms(row->message, at->now_ms));
    field_text(into, "flow", message_flow(row->message));
    buf_put_text(into, "}\n");
}

void listing_rcpt_head(struct buf *into)
{
    listing_cell(into, "ID", MSGID_TEXT_BYTES - 1);
    listing_cell(into, "STATUS", STATUS_WIDTH);
    buf_put_text(into, "TRIES  NEXT     ");
    listing_cell(into, "TO", TO_WIDTH);
    buf_put_text(into, "LAST REPLY\n");
}

void listing_rcpt_line(const struct queue_row *row, struct buf *into)
{
    char id[MSGID_TEXT_BYTES], next[WORDS_BYTES];
    listing_cell(into, msgid_text(row->message->id, id), MSGID_TEXT_BYTES - 1);
    listing_cell(into, row->status, STATUS_WIDTH);
    buf_printf(into, "%5u  %-7s  ", row->rcpt->attempts,
               row->next_in_ms == 0 ? "-" : words_duration(row->next_in_ms, next));
    listing_cell(into, row->rcpt->address, TO_WIDTH);
    listing_reply(last_of(row), REPLY_BYTES_MAX, into);
    buf_put_byte(into, '\n');
}

/* --- sites --- */

void listing_site_json(const struct site_row *row, const struct moment *at, struct buf *into)
{
    buf_put_byte(into, '{');
    field_text(into, "site", row->name);
    field_text(into, "key", row->key);
    field_text(into, "operator", row->operator_name);
    field_text(into, "state", row->state);
    field_number(into, "domains", row->domains);
    field_number(into, "ready", row->ready);
    field_number(into, "deferred", row->deferred);
    field_number(into, "busy", row->busy);
    field_number(into, "jobs", row->jobs);
    field_number(into, "window", row->window);
    field_number(into, "connections", row->limits.connections);
    field_number(into, "failures", row->failures);
    field_time(into, "next", row->next_in_ms == 0 ? 0 : at->wall_ms + row->next_in_ms);
    field_number(into, "delivered", row->delivered);
    field_number(into, "deferred_total", row->deferred_total);
    field_number(into, "failed", row->failed);
    put_last(row->last_failure, into);
    buf_put_text(into, "}\n");
}

void listing_site_head(struct buf *into)
{
    listing_cell(into, "SITE", SITE_WIDTH);
    listing_cell(into, "STATE", STATUS_WIDTH);
    buf_put_text(into, "  READY DEFERRED    BUSY  JOBS/MAX  DELIVERED    FAILED  NEXT\n");
}

void listing_site_line(const struct site_row *row, struct buf *into)
{
    char next[WORDS_BYTES];
    listing_cell(into, row->name, SITE_WIDTH);
    listing_cell(into, row->state, STATUS_WIDTH);
    buf_printf(into, "%7zu %8zu %7zu %5u/%-4u %9llu %9llu  %s\n", row->ready, row->deferred,
               row->busy, row->jobs, row->window, (unsigned long long)row->delivered,
               (unsigned long long)row->failed,
               row->next_in_ms == 0 ? "-" : words_duration(row->next_in_ms, next));
}
