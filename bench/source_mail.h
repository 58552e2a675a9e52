/* SPDX-License-Identifier: MIT */
/*
 * Source mail: the messages that the source sends.  A list post is one message for all; a
 * personalised one names its recipient and has an id of its own.  Each carries X-Mailrace-Id, by
 * which the simulated Internet counts it, X-Mailrace-Sent, from which it takes how long the mail
 * was on its way, and X-Mailrace-Sha256, by which it sees whether the body has changed.
 *
 * Everything that messages have in common is rendered, stuffed and hashed once, so that a message
 * costs little more than its copy.
 */
#pragma once
#include "mta/base/buf.h"

struct source_mail_config {
    const char *id, *list, *date; /* 'date': the header's value */
    uint64_t bytes;               /* of the whole message, about */
};

enum source_mail_piece {
    SOURCE_MAIL_FRONT,   /* until the recipient */
    SOURCE_MAIL_SUBJECT, /* and so on, until the next thing that differs */
    SOURCE_MAIL_DATE,
    SOURCE_MAIL_BACK,
    SOURCE_MAIL_PIECES
};

struct source_mail {
    const struct source_mail_config *config;
    struct buf filler, stuffed; /* the part of the body that is always the same; as DATA takes it */
    struct buf header[SOURCE_MAIL_PIECES];
    void *digest, *scratch; /* EVP_MD_CTX: of the filler; for the rest */
    char sha256[65];        /* of the last body, in hex */
};

/* Which message, in which form. */
struct source_letter {
    struct span rcpt; /* empty: the list post */
    size_t number;    /* of the personalised message */
    uint64_t sent_us; /* since 1970 */
    bool is_chunk;    /* as BDAT takes it; else as DATA does, final dot included */
};

void source_mail_init(struct source_mail *mail, const struct source_mail_config *config);
void source_mail_release(struct source_mail *mail);

/* Writes the message into 'out'; returns its size without dot-stuffing. */
size_t source_mail_compose(struct source_mail *mail, const struct source_letter *letter,
                           struct buf *out);
