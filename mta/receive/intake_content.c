/* SPDX-License-Identifier: MIT */
/*
 * The content of a mail on its way in.
 *
 * The header section is held back until it is complete (at most HEADER_BYTES_MAX), because what is
 * missing goes on top of it.  A mail that may join a post is held longer, up to INTAKE_HELD_BYTES;
 * what is beyond that is compared with the post's own content as it comes, and kept nowhere,
 * because it is there already.  If it turns out to differ, it is written from there.
 */
#include "mta/base/bytes.h"
#include "mta/base/fault.h"
#include "mta/mail/date.h"
#include "mta/mail/escape.h"
#include "mta/mail/msgid.h"
#include "mta/receive/intake_inside.h"
#include <stdio.h>
#include <string.h>

enum { COMPARE_BYTES = 64 << 10 };

/* --- what every mail must have --- */

/* Ours counts like one that came, if it is not too long. */
static void keep_message_id(struct intake_mail *mail, struct span in_brackets)
{
    struct span id = span_first(span_skip(in_brackets, 1), in_brackets.len - 2);
    if (id.len < sizeof mail->scan.message_id) {
        memcpy(mail->scan.message_id, id.at, id.len);
        mail->scan.message_id[id.len] = '\0';
    }
}

/* What this one lacks (RFC 5322 3.6); never in our own, and not when a part of the header went out
 * already. */
static void write_missing(struct intake_mail *mail, struct buf *into)
{
    char id[MSGID_TEXT_BYTES], date[DATE_TEXT_BYTES], message_id[512];
    bool is_whole = mail->scan.is_over || mail->held.len < HEADER_BYTES_MAX;
    if (mail->is_ours || !is_whole)
        return;
    if (!mail->scan.has_date)
        header_write(into, "Date", span_of(date_rfc5322(mail->wall_ms, date)));
    if (!mail->scan.has_message_id) {
        (void)snprintf(message_id, sizeof message_id, "<%s@%s>", msgid_text(mail->message->id, id),
                       mail->intake->settings->hostname);
        header_write(into, "Message-ID", span_of(message_id));
        keep_message_id(mail, span_of(message_id));
    }
    if (mail->scan.is_malformed && mail->scan.field_count == 0)
        buf_put_text(into, "\r\n"); /* it has no header at all: what came is the body */
}

static void count_held(struct intake_mail *mail)
{
    mail->intake->held_bytes += mail->held.len - mail->held_bytes;
    mail->held_bytes = mail->held.len;
}

static void drop_held(struct intake_mail *mail)
{
    buf_release(&mail->held);
    count_held(mail);
}

void intake_release_content(struct intake_mail *mail)
{
    if (mail->same != NULL)
        content_release(mail->same);
    mail->same = NULL;
    buf_release(&mail->trace);
    drop_held(mail);
}

/* --- which mail is the same --- */

static void add_text(struct digest *digest, const char *text)
{
    digest_add(digest, span_make(text, strlen(text) + 1));
}

/* Whose it is, how it must be delivered, and where it came from, because the trace field of the
 * first stands for all. */
static void add_envelope(struct digest *digest, const struct intake_mail *mail)
{
    const struct envelope *envelope = &mail->message->envelope;
    const char options[]            = {(char)envelope->ret, mail->is_8bit_asked, mail->asks_utf8,
                                       (char)envelope->merge};
    char list_id[sizeof envelope->list_id];
    bytes_put32(list_id, envelope->list_id);
    add_text(digest, envelope->sender);
    add_text(digest, envelope->envid);
    add_text(digest, envelope->verp);
    digest_add(digest, span_make(options, sizeof options));
    digest_add(digest, span_make(list_id, sizeof list_id));
    add_text(digest, mail->user == NULL ? "" : mail->user);
    add_text(digest, mail->ip);
    add_text(digest, mail->protocol);
    add_text(digest, mail->tls);
}

/* Of the whole content, or of the first INTAKE_HELD_BYTES of a longer one. */
static void make_key(struct intake_mail *mail)
{
    struct digest *digest = mail->intake->digest;
    const char is_long    = mail->held.len > INTAKE_HELD_BYTES;
    digest_begin(digest);
    add_envelope(digest, mail);
    digest_add(digest, span_make(&is_long, 1));
    digest_add(digest, span_first(buf_span(&mail->held), INTAKE_HELD_BYTES));
    digest_end(digest, mail->key.bytes);
    mail->has_key = true;
}

/* The same bytes without a Message-ID are two mails that look alike. */
static bool may_join(const struct intake_mail *mail)
{
    const struct intake *intake = mail->intake;
    return intake->settings->join_ms > 0 && !intake->is_stopping && !mail->is_ours &&
           mail->scan.is_over && mail->scan.has_message_id && !mail->scan.is_malformed &&
           mail->scan.received_count < HEADER_RECEIVED_MAX &&
           intake->held_bytes <= INTAKE_HELD_BYTES_MAX;
}

static struct post *find_post(struct intake_mail *mail)
{
    struct intake *intake = mail->intake;
    return mail->has_key && !intake->is_stopping
               ? posts_find(&intake->posts, &mail->key, intake->now_ms)
               : NULL;
}

/* --- through --- */

static enum status put_same(struct intake_mail *mail)
{
    char bytes[COMPARE_BYTES];
    enum status status = OK;
    for (uint64_t at = 0; status == OK && at < mail->same_at;) {
        uint64_t left = mail->same_at - at;
        size_t got = 0, cap = left < sizeof bytes ? (size_t)left : sizeof bytes;
        status = content_read(mail->same, mail->prefix_bytes_of_same + at, bytes, cap, &got);
        if (status == OK)
            status = draft_write(mail->draft, span_make(bytes, got));
        at += got;
    }
    return status;
}

enum status intake_go_through(struct intake_mail *mail)
{
    enum status status = OK;
    if (mail->phase == INTAKE_THROUGH)
        return OK;
    write_missing(mail, &mail->trace);
    mail->prefix_bytes = mail->trace.len;
    if (mail->phase == INTAKE_HOLDING) {
        buf_put(&mail->trace, buf_span(&mail->held));
        status = draft_write(mail->draft, buf_span(&mail->trace));
    } else {
        status = draft_write(mail->draft, buf_span(&mail->trace));
        if (status == OK)
            status = put_same(mail);
        mail->has_failed = status != OK;
    }
    mail->phase = INTAKE_THROUGH;
    intake_release_content(mail);
    return status;
}

/* --- compared --- */

/* How many of the bytes are those of the post. */
static size_t count_same(struct intake_mail *mail, struct span content)
{
    char bytes[COMPARE_BYTES];
    size_t same = 0;
    while (same < content.len && mail->same_at + same < mail->same_bytes) {
        size_t got = 0, want = content.len - same;
        want               = want < sizeof bytes ? want : sizeof bytes;
        enum status status = content_read(
            mail->same, mail->prefix_bytes_of_same + mail->same_at + same, bytes, want, &got);
        if (status != OK || memcmp(bytes, content.at + same, got) != 0)
            break;
        same += got;
    }
    return same;
}

static enum status compare(struct intake_mail *mail, struct span content)
{
    size_t same = count_same(mail, content);
    mail->same_at += same;
    if (same == content.len)
        return OK;
    enum status status = intake_go_through(mail);
    return status == OK ? draft_write(mail->draft, span_skip(content, same)) : status;
}

/* It is too long to be held.  Its beginning is that of the post, if they have one key. */
static enum status end_holding(struct intake_mail *mail)
{
    make_key(mail);
    const struct post *post = find_post(mail);
    if (post == NULL || post->content == NULL)
        return intake_go_through(mail);
    struct buf held            = mail->held;
    mail->held                 = (struct buf){0};
    mail->phase                = INTAKE_SAME;
    mail->same                 = content_hold(post->content);
    mail->same_id              = post->id;
    mail->same_bytes           = post->client_bytes;
    mail->prefix_bytes_of_same = post->prefix_bytes;
    count_held(mail);
    enum status status = compare(mail, buf_span(&held));
    buf_release(&held);
    return status;
}

/* --- the way in --- */

static enum status hold(struct intake_mail *mail, struct span content)
{
    if (!mail->scan.is_over)
        header_scan_feed(&mail->scan, content);
    buf_put(&mail->held, content);
    count_held(mail);
    if (!mail->scan.is_over && mail->held.len < HEADER_BYTES_MAX)
        return OK;
    if (!may_join(mail))
        return intake_go_through(mail);
    return mail->held.len <= INTAKE_HELD_BYTES ? OK : end_holding(mail);
}

enum status intake_write(struct intake_mail *mail, struct span content)
{
    must(mail->draft != NULL && !mail->is_committing);
    mail->client_bytes += content.len;
    switch (mail->phase) {
    case INTAKE_HOLDING:
        return hold(mail, content);
    case INTAKE_SAME:
        return compare(mail, content);
    case INTAKE_THROUGH:
        break;
    }
    return mail->has_failed ? IO_ERROR : draft_write(mail->draft, content);
}

static bool is_same(const struct intake_mail *mail, const struct post *post)
{
    if (mail->phase == INTAKE_HOLDING)
        return post->client_bytes == mail->client_bytes;
    return post->id == mail->same_id && mail->same_at == mail->same_bytes;
}

struct post *intake_end_content(struct intake_mail *mail)
{
    if (mail->phase == INTAKE_HOLDING && may_join(mail))
        make_key(mail);
    if (mail->phase != INTAKE_THROUGH) {
        struct post *post = find_post(mail);
        if (post != NULL && is_same(mail, post) &&
            post_take(&mail->intake->posts, post, mail->message)) {
            intake_release_content(mail);
            return post;
        }
    }
    (void)intake_go_through(mail); /* an error comes back with the commit */
    return NULL;
}
