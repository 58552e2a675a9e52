/* SPDX-License-Identifier: MIT */
#include "mta/control/story.h"
#include "mta/control/original.h"
#include "mta/mail/date.h"
#include "mta/mail/escape.h"
#include "mta/mail/fields.h"
#include "mta/mail/msgid.h"
#include "mta/mail/sender.h"
#include <string.h>

enum { TEXT_BYTES_MAX = 400 };

static void put_text(struct buf *into, const char *text)
{
    escape_text(span_of(text), TEXT_BYTES_MAX, into);
}

static void put_line(struct buf *into, const char *name, const char *text)
{
    if (text[0] == '\0')
        return;
    buf_printf(into, "  %-10s ", name);
    put_text(into, text);
    buf_put_byte(into, '\n');
}

static void put_time(struct buf *into, const char *name, uint64_t wall_ms)
{
    char date[DATE_TEXT_BYTES];
    buf_printf(into, "  %-10s %s", name, date_rfc3339(wall_ms, date));
}

/* --- a message --- */

static void put_message_id(struct buf *into, const struct message *m)
{
    char message_id[ORIGINAL_ID_BYTES];
    struct buf header = {0};
    original_read_header(m, &header);
    original_message_id(buf_span(&header), message_id);
    put_line(into, "message-id", message_id);
    buf_release(&header);
}

void story_message(const struct message *m, const struct moment *at, struct buf *into)
{
    char id[MSGID_TEXT_BYTES], words[WORDS_BYTES];
    uint64_t age  = at->wall_ms > m->arrival_wall_ms ? at->wall_ms - m->arrival_wall_ms : 0;
    uint64_t left = message_expires_in_ms(m, at->now_ms);
    buf_printf(into, "Message %s%s\n", msgid_text(m->id, id),
               m->is_report ? ", a delivery report of our own" : "");
    put_line(into, "from", m->envelope.sender[0] == '\0' ? "<>" : m->envelope.sender);
    put_line(into, "flow", message_flow(m));
    put_message_id(into, m);
    put_line(into, "size", words_size(original_bytes(m), words));
    put_time(into, "arrived", m->arrival_wall_ms);
    buf_printf(into, " (%s ago)\n", age == 0 ? "0s" : words_duration(age, words));
    put_time(into, "expires", at->wall_ms + left);
    buf_printf(into, " (%s%s)\n", left == 0 ? "" : "in ", words_duration(left, words));
    buf_printf(into, "  %-10s %u, %u of them not ended\n", "recipients", m->rcpt_count, m->live);
}

/* --- a recipient --- */

static const struct {
    const char *status, *why;
} reasons[] = {
    {"routing",   "waits for DNS to say which hosts take its mail"         },
    {"waiting",   "waits for its turn"                                     },
    {"sending",   "is being sent at this moment"                           },
    {"deferred",  "waits for the next try"                                 },
    {"held",      "held by an operator until 'mailrace release'"           },
    {"failed",    "failed; the sender is told, if the sender wants to know"},
    {"delivered", "delivered"                                              },
};

static const char *reason_of(const struct queue_row *row)
{
    switch ((enum rcpt_state)row->rcpt->state) {
    case RCPT_ENDED:
        return row->rcpt->last == NULL ? "ended" : outcome_text(row->rcpt->last->attempt.outcome);
    case RCPT_WAITING:
    case RCPT_HELD:
    case RCPT_OWES_FAILURE:
    case RCPT_OWES_SUCCESS:
    case RCPT_STATE_COUNT:
        break;
    }
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (strcmp(reasons[i].status, row->status) == 0)
            return reasons[i].why;
    return row->status;
}

static void put_reply(const struct attempt *last, struct buf *into)
{
    char date[DATE_TEXT_BYTES];
    buf_printf(into, "    %s", date_rfc3339(last->wall_ms, date));
    if (last->mx[0] != '\0') {
        buf_put_byte(into, ' ');
        put_text(into, last->mx);
    }
    buf_put_text(into, ": ");
    listing_reply(last, TEXT_BYTES_MAX, into);
    buf_put_byte(into, '\n');
}

/* Where it is not the message's. */
static void put_sender(const struct queue_row *row, const struct moment *at, struct buf *into)
{
    struct envelope_rcpt rcpt = recipient_envelope(row->rcpt);
    struct buf sender         = {0};
    if (sender_write(&row->message->envelope, &rcpt, at->tokens, &sender) == SENDER_MADE) {
        buf_put_text(into, "    from ");
        put_text(into, buf_text(&sender));
        buf_put_byte(into, '\n');
    }
    buf_release(&sender);
}

void story_rcpt(const struct queue_row *row, const struct moment *at, struct buf *into)
{
    char words[WORDS_BYTES], date[DATE_TEXT_BYTES];
    buf_put_text(into, "\n  ");
    put_text(into, row->rcpt->address);
    buf_printf(into, "\n    %s", reason_of(row));
    if (row->next_in_ms > 0)
        buf_printf(into, ": in %s, at %s", words_duration(row->next_in_ms, words),
                   date_rfc3339(at->wall_ms + row->next_in_ms, date));
    if (row->site[0] != '\0') {
        buf_put_text(into, "\n    site ");
        put_text(into, row->site);
    }
    buf_put_byte(into, '\n');
    put_sender(row, at, into);
    buf_printf(into, "    tries: %u\n", row->rcpt->attempts);
    if (row->rcpt->last != NULL)
        put_reply(&row->rcpt->last->attempt, into);
}

/* --- a site --- */

static void put_hosts(const struct site_target *target, struct buf *into)
{
    for (size_t i = 0; i < target->host_count; i++) {
        const struct site_host *host = &target->hosts[i];
        buf_printf(into, "  %-10s ", i == 0 ? "hosts" : "");
        put_text(into, host->name);
        buf_printf(into, " port %u, preference %u\n", host->port, host->preference);
    }
}

static void put_limits(const struct site_limits *limits, struct buf *into)
{
    static const char *const tls[] = {[POLICY_TLS_NONE]          = "none",
                                      [POLICY_TLS_OPPORTUNISTIC] = "opportunistic",
                                      [POLICY_TLS_REQUIRED]      = "required"};
    char words[WORDS_BYTES];
    buf_printf(into, "  %-10s connections %u, ", "limits", limits->connections);
    if (limits->messages_per_connection > 0)
        buf_printf(into, "messages_per_connection %u, ", limits->messages_per_connection);
    buf_printf(into, "recipients_per_transaction %u,\n", limits->recipients_per_transaction);
    buf_printf(into, "  %-10s idle %s, tls %s, ", "", words_duration(limits->idle_ms, words),
               tls[limits->tls]);
    if (limits->rate_per_hour == 0)
        buf_put_text(into, "no rate limit\n");
    else
        buf_printf(into, "rate %llu/h\n", (unsigned long long)limits->rate_per_hour);
}

static const struct {
    const char *state, *meaning;
} states[] = {
    {"ready",     "it takes mail as fast as the limits allow"                           },
    {"idle",      "nothing waits for it"                                                },
    {"throttled", "more waits than connections or rate allow; it goes on by itself"     },
    {"backoff",   "it cannot be reached, and all its mail waits"                        },
    {"probing",   "one message is tried; when that gets through, all that waits follows"},
};

static void put_state(const struct site_row *row, struct buf *into)
{
    const char *meaning = "";
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        if (strcmp(states[i].state, row->state) == 0)
            meaning = states[i].meaning;
    buf_printf(into, "  %-10s %s: %s\n", "state", row->state, meaning);
}

static void put_next(const struct site_row *row, const struct moment *at, struct buf *into)
{
    char words[WORDS_BYTES], date[DATE_TEXT_BYTES];
    bool is_backoff = strcmp(row->state, "backoff") == 0;
    if (!is_backoff)
        return;
    buf_printf(into, "  %-10s ", "next");
    if (row->next_in_ms > 0)
        buf_printf(into, "one message is tried in %s, at %s",
                   words_duration(row->next_in_ms, words),
                   date_rfc3339(at->wall_ms + row->next_in_ms, date));
    else
        buf_put_text(into, "one message is tried now");
    buf_put_text(into, "; 'mailrace retry site=");
    put_text(into, row->name);
    buf_put_text(into, "' does it at once\n");
}

static void put_failure(const struct site_row *row, struct buf *into)
{
    if (row->last_failure == NULL)
        return;
    buf_printf(into, "  %-10s %u in a row; the last:\n", "failures", row->failures);
    put_reply(row->last_failure, into);
}

void story_site(const struct site_row *row, const struct moment *at, struct buf *into)
{
    buf_put_text(into, "Site ");
    put_text(into, row->name);
    buf_put_byte(into, '\n');
    put_line(into, "operator", row->operator_name);
    put_state(row, into);
    put_next(row, at, into);
    put_hosts(row->target, into);
    put_limits(&row->limits, into);
    buf_printf(into, "  %-10s %u of the %u jobs allowed now\n", "window", row->jobs, row->window);
    buf_printf(into, "  %-10s %zu ready, %zu deferred, %zu being sent, of %zu domains\n", "waits",
               row->ready, row->deferred, row->busy, row->domains);
    buf_printf(into, "  %-10s %llu delivered, %llu deferrals, %llu failed\n", "so far",
               (unsigned long long)row->delivered, (unsigned long long)row->deferred_total,
               (unsigned long long)row->failed);
    put_failure(row, into);
}
