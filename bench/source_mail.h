/* SPDX-License-Identifier: MIT */
/*
 * Source mail: the messages that the source sends.  A list post is one message for all; a
 * personalised one greets its recipient and has an id of its own.  Each carries X-Mailrace-Id, by
 * which the simulated Internet counts it, and X-Mailrace-Sha256, by which it sees whether the body
 * has changed on the way.
 */
#pragma once
#include "mta/base/buf.h"

struct source_mail_config {
    const char *id, *list, *date; /* 'date': the header's value */
    uint64_t bytes;               /* of the whole message, about */
};

struct source_mail {
    const struct source_mail_config *config;
    struct buf filler;  /* the part of the body that is always the same */
    struct buf message; /* scratch */
    char sha256[65];    /* of the last body, in hex */
};

void source_mail_init(struct source_mail *mail, const struct source_mail_config *config);
void source_mail_release(struct source_mail *mail);

/*
 * Writes the message into 'out' as DATA takes it, final dot included.  'rcpt' empty: the list post;
 * else the n-th personalised message.  Returns its size without dot-stuffing.
 */
size_t source_mail_compose(struct source_mail *mail, struct span rcpt, size_t n, struct buf *out);
