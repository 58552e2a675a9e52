/* SPDX-License-Identifier: MIT */
/* Posts that grow, slice by slice. */
#include "mta/base/fault.h"
#include "mta/receive/intake_inside.h"

void intake_set_cursor(struct intake_mail *mail, uint64_t cursor)
{
    must(!mail->is_committing);
    mail->cursor = cursor;
}

bool intake_is_growing(const struct intake *intake, uint64_t id)
{
    const struct growth *growth = growth_find(&intake->growing, id);
    return growth != NULL && !growth_is_over(growth, intake->now_ms);
}

uint32_t intake_slice_room(const struct intake *intake, uint64_t id)
{
    const struct growth *growth = growth_find(&intake->growing, id);
    if (growth == NULL || intake->is_stopping || intake_refusal(intake) != NULL)
        return 0;
    return growth_room(growth, intake->now_ms);
}

static struct intake_mail *open_slice(struct intake *intake, struct growth *growth)
{
    struct draft *draft = draft_open(intake->spool);
    if (draft == NULL)
        return NULL;
    struct intake_mail *mail = intake_open(intake, &growth->message->envelope);
    mail->draft              = draft;
    mail->growth             = growth;
    mail->is_slice           = true;
    mail->is_ours            = true;
    mail->cursor             = growth->cursor;
    growth->is_pending       = true;
    return mail;
}

struct intake_mail *intake_open_slice(struct intake *intake, uint64_t id)
{
    struct growth *growth = growth_find(&intake->growing, id);
    bool may_open         = growth != NULL && growth->message != NULL && !growth->is_pending &&
                    !growth_is_over(growth, intake->now_ms) && !intake->is_stopping;
    return may_open ? open_slice(intake, growth) : NULL;
}

/* --- how it went --- */

static void close_message(struct intake *intake, struct growth *growth)
{
    spool_close_message(intake->spool, growth->id);
    queue_close_message(intake->queue, growth->message, intake->now_ms);
}

void intake_grown(struct intake_mail *mail, enum status status)
{
    struct growth *growth = mail->growth;
    growth->is_pending    = false;
    if (status == OK) {
        growth->cursor   = mail->cursor;
        growth->grown_ms = mail->intake->now_ms;
    }
    if (growth->message == NULL) { /* it was not even begun */
        growth_free(growth);
    } else if (growth->cursor == SPOOL_CURSOR_DONE) {
        close_message(mail->intake, growth);
        growth_free(growth);
    }
}

/* --- what a start finds --- */

void intake_note_growing(struct intake *intake, struct message *m, uint64_t cursor)
{
    must(m != NULL && m->is_open && cursor != SPOOL_CURSOR_DONE);
    struct growth *growth = growth_new(&intake->growing, m->id, cursor);
    growth->message       = m;
    growth->is_found      = true;
}

bool intake_next_growing(struct intake *intake, struct intake_growing *growing)
{
    struct list *all = &intake->growing;
    for (struct list *n = list_first(all); n != NULL; n = list_next(all, n)) {
        struct growth *growth = CONTAINER_OF(n, struct growth, link);
        if (!growth->is_found)
            continue;
        growth->is_found = false;
        *growing         = (struct intake_growing){
                    .id = growth->id, .cursor = growth->cursor, .message = growth->message};
        return true;
    }
    return false;
}

/* --- the end --- */

static void end_one(struct intake *intake, struct growth *growth)
{
    struct intake_mail *mail = open_slice(intake, growth);
    if (mail == NULL)
        return; /* again in a while */
    intake_set_cursor(mail, SPOOL_CURSOR_DONE);
    intake_commit(mail, NULL, mail->wall_ms);
}

uint64_t intake_end_growth(struct intake *intake)
{
    struct list *all = &intake->growing;
    for (struct list *n = list_first(all); n != NULL; n = list_next(all, n)) {
        struct growth *growth = CONTAINER_OF(n, struct growth, link);
        if (!growth->is_pending && growth_is_over(growth, intake->now_ms) && !intake->is_stopping)
            end_one(intake, growth);
    }
    return list_is_empty(all) ? UINT64_MAX : intake->now_ms + GROWTH_CHECK_MS;
}
