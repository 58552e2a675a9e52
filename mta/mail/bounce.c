/* SPDX-License-Identifier: MIT */
#include "mta/mail/bounce.h"
#include "mta/mail/addresses.h"
#include "mta/mail/escape.h"
#include "mta/mail/header.h"
#include "mta/mail/mime.h"
#include "mta/mail/xtext.h"
#include <string.h>

const char *bounce_kind_text(enum bounce_kind kind)
{
    static const char *const texts[BOUNCE_KINDS] = {"none", "report", "complaint", "answer"};
    return texts[kind];
}

/* --- codes --- */

/* "5.1.1" at the front; its length, or 0. */
static size_t read_enhanced(struct span s, unsigned char enhanced[3])
{
    size_t at = 0;
    for (int i = 0; i < 3; i++) {
        unsigned value = 0;
        size_t digits  = 0;
        if (i > 0 && (at >= s.len || s.at[at++] != '.'))
            return 0;
        for (; at < s.len && ascii_is_digit(s.at[at]) && digits < 3; at++, digits++)
            value = value * 10 + (unsigned)(s.at[at] - '0');
        if (digits == 0 || (i == 0 && value != 2 && value != 4 && value != 5))
            return 0;
        enhanced[i] = (unsigned char)(value < 255 ? value : 255);
    }
    return at < s.len && (ascii_is_digit(s.at[at]) || s.at[at] == '.') ? 0 : at;
}

static bool is_boundary(struct span s, size_t at)
{
    return at == 0 || (!ascii_is_alnum(s.at[at - 1]) && s.at[at - 1] != '.');
}

/* "550" by itself, as a reply begins. */
static bool read_code(struct span s, size_t at, unsigned *code)
{
    uint64_t number;
    if ((s.at[at] != '4' && s.at[at] != '5') ||
        !span_to_number(span_first(span_skip(s, at), 3), 599, &number) || number < 400)
        return false;
    char next = at + 3 < s.len ? s.at[at + 3] : ' ';
    *code     = (unsigned)number;
    return !ascii_is_alnum(next) && next != '.';
}

bool bounce_find_codes(struct span text, unsigned *code, unsigned char enhanced[3])
{
    bool has_code = false, has_enhanced = false;
    *code = 0;
    memset(enhanced, 0, 3);
    for (size_t at = 0; at < text.len && !(has_code && has_enhanced); at++) {
        unsigned char found[3];
        if (!ascii_is_digit(text.at[at]) || !is_boundary(text, at))
            continue;
        if (!has_enhanced && read_enhanced(span_skip(text, at), found) > 0) {
            memcpy(enhanced, found, sizeof found);
            has_enhanced = true;
        } else if (!has_code && text.len - at >= 3) {
            has_code = read_code(text, at, code);
        }
    }
    if (!has_code)
        *code = 0;
    return has_code || has_enhanced;
}

/* --- recipients --- */

static struct bounce_rcpt *add_rcpt(struct bounce *bounce)
{
    if (bounce->count == BOUNCE_RCPTS_MAX)
        return NULL;
    struct bounce_rcpt *rcpt = &bounce->rcpts[bounce->count++];
    *rcpt                    = (struct bounce_rcpt){.action = BOUNCE_FAILED};
    return rcpt;
}

static void set_text(struct bounce_rcpt *rcpt, struct span said)
{
    struct buf text = {0};
    escape_ascii(span_trim(said), BOUNCE_TEXT_BYTES_MAX, &text);
    span_copy_text(buf_span(&text), rcpt->text, sizeof rcpt->text);
    buf_release(&text);
}

static void set_address(struct bounce_rcpt *rcpt, struct span text)
{
    struct mailbox_entry entry;
    if (addresses_single(text, &entry))
        span_copy_text(span_of(entry.address.text), rcpt->address, sizeof rcpt->address);
}

static void judge(struct bounce_rcpt *rcpt, struct span said)
{
    unsigned code;
    unsigned char enhanced[3];
    if (bounce_find_codes(said, &code, enhanced)) {
        rcpt->code = code;
        if (rcpt->enhanced[0] == 0 || (rcpt->enhanced[1] == 0 && enhanced[0] != 0))
            memcpy(rcpt->enhanced, enhanced, sizeof enhanced);
    }
    /* A failed recipient has failed, whatever the last reply was: it may have been tried for days.
     */
    rcpt->blame = blame_of(rcpt->code, rcpt->enhanced, said);
}

/* --- RFC 3464 --- */

/* "rfc822; a@b.example", or in its xtext form. */
static struct span value_behind_type(struct span field)
{
    size_t semicolon = span_find(field, ';');
    return span_trim(semicolon < field.len ? span_skip(field, semicolon + 1) : field);
}

static enum bounce_action action_of(struct span field)
{
    struct span action = span_trim(field);
    if (span_starts_nocase(action, span_of("fail")) || span_starts_nocase(action, span_of("error")))
        return BOUNCE_FAILED;
    return span_starts_nocase(action, span_of("delay")) ? BOUNCE_DELAYED : BOUNCE_GONE_ON;
}

static void read_group(struct span group, struct bounce *bounce)
{
    struct span original = header_find(group, "Original-Recipient");
    struct span final    = header_find(group, "Final-Recipient");
    struct span said     = header_find(group, "Diagnostic-Code");
    struct span status   = header_find(group, "Status");
    struct bounce_rcpt *rcpt;
    if ((original.at == NULL && final.at == NULL) || (rcpt = add_rcpt(bounce)) == NULL)
        return;
    set_address(rcpt, value_behind_type(original.at != NULL ? original : final));
    if (rcpt->address[0] == '\0' && final.at != NULL)
        set_address(rcpt, value_behind_type(final));
    struct span action = header_find(group, "Action");
    rcpt->action       = action.at == NULL ? BOUNCE_FAILED : action_of(action);
    if (status.at != NULL)
        (void)read_enhanced(span_trim(status), rcpt->enhanced);
    set_text(rcpt, said.at == NULL ? (struct span){"", 0} : value_behind_type(said));
    judge(rcpt, span_of(rcpt->text));
}

/* Groups of fields with empty lines between them: the first is of the message. */
static void read_status(struct span body, struct bounce *bounce)
{
    while (body.len > 0) {
        size_t end        = span_find_text(body, span_of("\r\n\r\n"));
        struct span group = span_first(body, end + 2);
        read_group(group, bounce);
        body = span_skip(body, end + 4);
        while (span_starts(body, span_of("\r\n")))
            body = span_skip(body, 2);
    }
}

/* --- RFC 5965 --- */

static void read_feedback(struct span body, struct bounce *bounce)
{
    struct span type   = header_find(body, "Feedback-Type");
    struct span remote = header_find(body, "Original-Rcpt-To");
    bounce->kind       = BOUNCE_COMPLAINT;
    if (type.at == NULL || !mime_value(type, bounce->feedback, sizeof bounce->feedback))
        memcpy(bounce->feedback, "other", sizeof "other");
    struct bounce_rcpt *rcpt = remote.at == NULL ? NULL : add_rcpt(bounce);
    if (rcpt != NULL)
        set_address(rcpt, remote);
}

/* --- those that are written for people --- */

static bool is_from_daemon(struct span header)
{
    static const char *const names[] = {"mailer-daemon", "postmaster", "mail delivery",
                                        "mail-daemon",   "maildaemon", "<>"};
    struct span from = header_find(header, "From"), path = header_find(header, "Return-Path");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (from.at != NULL && span_has_nocase(from, names[i]))
            return true;
    return path.at != NULL && span_is(span_trim(path), "<>");
}

static bool has_bounce_subject(struct span header)
{
    static const char *const words[] = {
        "undeliver",       "delivery fail",         "failure notice",
        "returned mail",   "delivery status",       "mail delivery",
        "non remis",       "unzustellbar",          "delivery problem",
        "delivery report", "could not be delivered"};
    struct span subject = header_find(header, "Subject");
    for (size_t i = 0; subject.at != NULL && i < sizeof words / sizeof words[0]; i++)
        if (span_has_nocase(subject, words[i]))
            return true;
    return false;
}

/* Where the returned message begins, so that nothing is read out of it. */
static struct span before_original(struct span body)
{
    static const char *const marks[] = {
        "--- Below this line is a copy", "------ This is a copy of", "----- Original message",
        "----- Unsent message",          "\r\nReceived: ",           "\r\nReturn-Path: "};
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        body = span_first(body, span_find_text(body, span_of(marks[i])));
    return body;
}

static bool is_around(char c)
{
    return strchr(" \t\r\n<>()\"',:;", c) != NULL;
}

/* The first address in a line of prose; false: none. */
static bool find_address(struct span line, struct bounce_rcpt *rcpt)
{
    for (size_t at = 0; (at += span_find(span_skip(line, at), '@')) < line.len; at++) {
        size_t from = at, to = at;
        while (from > 0 && !is_around(line.at[from - 1]))
            from--;
        while (to < line.len && !is_around(line.at[to]))
            to++;
        while (to > from && line.at[to - 1] == '.')
            to--;
        set_address(rcpt, span_first(span_skip(line, from), to - from));
        if (rcpt->address[0] != '\0')
            return true;
    }
    return false;
}

static void read_for_people(struct span header, struct span body, struct bounce *bounce)
{
    struct span failed       = header_find(header, "X-Failed-Recipients");
    struct bounce_rcpt *rcpt = add_rcpt(bounce);
    struct span text = before_original(body), rest = text, line;
    if (failed.at != NULL)
        set_address(rcpt, failed);
    while (rcpt->address[0] == '\0' && span_cut(&rest, '\n', &line))
        (void)find_address(line, rcpt);
    set_text(rcpt, rest.len > 0 ? rest : text);
    judge(rcpt, span_first(text, 4096));
    if (rcpt->code == 0 && rcpt->enhanced[0] == 0) { /* no number at all: words must do */
        static const unsigned char permanent[3] = {5, 0, 0};
        bool is_delay                           = span_has_nocase(text, "will keep trying") ||
                        span_has_nocase(text, "will be retried") ||
                        span_has_nocase(text, "delayed");
        rcpt->action = is_delay ? BOUNCE_DELAYED : BOUNCE_FAILED;
        rcpt->blame  = is_delay ? BLAME_NOBODY : blame_of(0, permanent, span_first(text, 4096));
    }
}

/* --- answers of machines --- */

static bool is_answer(struct span header)
{
    static const char *const subjects[] = {"out of office", "out of the office", "automatic reply",
                                           "autoreply",     "auto-reply",        "vacation",
                                           "abwesend"};
    static const char *const fields[]   = {"X-Autoreply", "X-Autorespond", "X-Auto-Response-From"};
    struct span submitted               = header_find(header, "Auto-Submitted");
    struct span subject                 = header_find(header, "Subject");
    char word[40];
    if (submitted.at != NULL && mime_value(submitted, word, sizeof word) && strcmp(word, "no") != 0)
        return true;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (header_find(header, fields[i]).at != NULL)
            return true;
    for (size_t i = 0; subject.at != NULL && i < sizeof subjects / sizeof subjects[0]; i++)
        if (span_has_nocase(subject, subjects[i]))
            return true;
    return false;
}

/* --- all --- */

static void read_parts(struct span message, struct bounce *bounce)
{
    struct mime_walk walk;
    struct mime_part part;
    struct buf plain = {0};
    mime_begin(&walk, message);
    while (mime_next(&walk, &part)) {
        bool is_status   = span_ends_nocase(span_of(part.type), span_of("delivery-status"));
        bool is_feedback = span_ends_nocase(span_of(part.type), span_of("feedback-report"));
        if (part.is_multipart || (!is_status && !is_feedback))
            continue;
        buf_clear(&plain);
        mime_decode(part.encoding, part.body, &plain);
        if (is_feedback) {
            read_feedback(buf_span(&plain), bounce);
        } else {
            bounce->kind = BOUNCE_REPORT;
            read_status(buf_span(&plain), bounce);
        }
    }
    buf_release(&plain);
}

void bounce_read(struct span message, bool has_null_sender, struct bounce *bounce)
{
    message             = span_first(message, BOUNCE_BYTES_MAX);
    size_t header_bytes = header_section_bytes(message);
    struct span header  = span_first(message, header_bytes);
    struct span body    = span_skip(message, header_bytes);
    memset(bounce, 0, sizeof *bounce);
    read_parts(message, bounce);
    if (bounce->kind == BOUNCE_REPORT && bounce->count == 0)
        read_for_people(header, body, bounce);
    if (bounce->kind != BOUNCE_NONE)
        return;
    if (header_find(header, "X-Failed-Recipients").at == NULL &&
        !(is_from_daemon(header) && has_bounce_subject(header))) {
        if (is_answer(header))
            bounce->kind = BOUNCE_ANSWER;
        if (bounce->kind != BOUNCE_NONE || !has_null_sender)
            return;
    }
    bounce->kind = BOUNCE_REPORT;
    read_for_people(header, body, bounce);
}
