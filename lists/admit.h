/* SPDX-License-Identifier: MIT */
/*
 * Admit: who may post to a list, and what.  Asked twice: at RCPT, where only the envelope and the
 * login are known and the answer is a reply; and with the mail at hand, where it is a report, or
 * silence.
 *
 * Whoever has logged in is an owner by the name of the user; also by the addresses of envelope and
 * From, because the submission server lets each user write only as himself.  On the relay port the
 * network is trusted, so these addresses are believed; from the Internet they may be forged: that
 * is good enough for a member of a discussion, and never for an owner.  Pure.
 */
#pragma once
#include "lists/mlist.h"
#include "lists/offer.h"
#include "mta/receive/sink.h"

enum admit_verdict {
    ADMIT_YES,
    ADMIT_NO,     /* and whoever sent it is told, if we know him */
    ADMIT_SILENT, /* nobody is told: it would go round in circles */
};

struct admit_answer {
    enum admit_verdict verdict;
    const char *enhanced; /* of a reply with code 550 */
    const char *text;     /* why; a fragment */
};

/* Who is known of the one who sends. */
struct admit_sender {
    const char *address; /* of the envelope; "" the null sender */
    const char *user;    /* who has logged in; "" nobody */
    enum receive_role role;
};

/* 'may_be_member': the sender or the user is one, or it is not known here. */
struct admit_answer admit_envelope(const struct mlist *list, const struct admit_sender *sender,
                                   bool may_be_member);

struct admit_mail {
    const struct offer *offer;
    uint64_t bytes;
    bool author_is_member, sender_is_member, was_seen;
};
struct admit_answer admit_mail(const struct mlist *list, const struct admit_sender *sender,
                               const struct admit_mail *mail);
