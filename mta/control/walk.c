/* SPDX-License-Identifier: MIT */
/*
 * Long listings, a slice a turn.  Between slices the queue changes: a message that has gone simply
 * ends its rows, and one that moved in the table may be missed or come twice; a listing is a view,
 * not an account.
 */
#include "mta/control/inside.h"
#include "mta/control/story.h"
#include "mta/mail/msgid.h"
#include <sysexits.h>

static const struct message *next_message(struct control_client *client)
{
    struct control_walk *w    = &client->walk;
    const struct queue *queue = client->control->world.queue;
    if (w->message_id != 0) {
        const struct message *m = queue_find(queue, w->message_id);
        if (m != NULL && w->rcpt < m->rcpt_count)
            return m;
    }
    const struct message *m = NULL;
    if (w->selector.id == 0)
        m = queue_each_message(queue, &w->cursor);
    else if (w->message_id == 0)
        m = queue_find(queue, w->selector.id);
    w->message_id = m == NULL ? 0 : m->id;
    w->rcpt       = 0;
    return m;
}

static void put_head(struct control_client *client, const struct message *m,
                     const struct moment *at)
{
    struct control_walk *w = &client->walk;
    if (w->as_json)
        return;
    if (w->form == FORM_QUEUE && w->rows == 0)
        listing_rcpt_head(&client->text);
    else if (w->form == FORM_SHOW && w->rcpt == 0)
        story_message(m, at, &client->text);
}

static void put_row(struct control_client *client, const struct message *m, uint32_t rcpt,
                    const struct moment *at)
{
    struct control_walk *w = &client->walk;
    struct queue_row row;
    queue_describe(client->control->world.queue, m, rcpt, at->now_ms, &row);
    put_head(client, m, at);
    w->rows++;
    if (w->form == FORM_SHOW) {
        if (w->as_json)
            listing_shown_json(&row, at, &client->text);
        else
            story_rcpt(&row, at, &client->text);
    } else if (w->as_json) {
        listing_rcpt_json(&row, at, &client->text);
    } else {
        listing_rcpt_line(&row, &client->text);
    }
}

static bool is_wanted(const struct control_client *client, const struct message *m, uint32_t rcpt,
                      const struct moment *at)
{
    const struct control_walk *w = &client->walk;
    if (w->form == FORM_SHOW)
        return rcpt < m->rcpt_count;
    return rcpt < m->rcpt_count && message_rcpt(m, rcpt)->state != RCPT_ENDED &&
           queue_matches(client->control->world.queue, &w->selector, m, rcpt, at->now_ms,
                         at->wall_ms);
}

static void end_rcpts(struct control_client *client)
{
    struct control_walk *w = &client->walk;
    char id[MSGID_TEXT_BYTES];
    int code = EX_OK;
    if (w->form == FORM_SHOW && w->rows == 0) {
        buf_printf(&client->text,
                   "there is no message %s in the queue; the log tells how it ended\n",
                   msgid_text(w->selector.id, id));
        code = EX_DATAERR;
    } else if (w->form == FORM_QUEUE && !w->as_json) {
        buf_printf(&client->text, "%llu recipient%s\n", (unsigned long long)w->rows,
                   w->rows == 1 ? "" : "s");
    }
    client_end(client, code);
}

static bool walk_some_rcpts(struct control_client *client, const struct moment *at)
{
    unsigned seen = 0;
    while (seen < CONTROL_SLICE_RCPTS &&
           client->text.len + client->output.len < CONTROL_OUTPUT_BYTES) {
        const struct message *m = next_message(client);
        if (m == NULL) {
            end_rcpts(client);
            return true;
        }
        uint32_t rcpt = client->walk.rcpt;
        if (is_wanted(client, m, rcpt, at))
            put_row(client, m, rcpt, at);
        client->walk.rcpt = rcpt + 1;
        seen++;
    }
    return false;
}

void walk_rcpts(struct control_client *client, const struct selector *selector, enum rcpt_form form,
                bool as_json)
{
    client->walk = (struct control_walk){
        .go_on = walk_some_rcpts, .selector = *selector, .form = form, .as_json = as_json};
}

/* --- sites --- */

static bool walk_some_sites(struct control_client *client, const struct moment *at)
{
    struct control_walk *w = &client->walk;
    struct site_row row;
    while (client->text.len + client->output.len < CONTROL_OUTPUT_BYTES) {
        if (!queue_each_site(client->control->world.queue, &w->cursor, at->now_ms, &row)) {
            if (!w->as_json && w->rows == 0)
                buf_put_text(&client->text, "no sites are known yet\n");
            client_end(client, EX_OK);
            return true;
        }
        if (!w->as_json && w->rows == 0)
            listing_site_head(&client->text);
        w->rows++;
        if (w->as_json)
            listing_site_json(&row, at, &client->text);
        else
            listing_site_line(&row, &client->text);
    }
    return false;
}

void walk_sites(struct control_client *client, bool as_json)
{
    client->walk = (struct control_walk){.go_on = walk_some_sites, .as_json = as_json};
}
