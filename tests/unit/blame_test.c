/* SPDX-License-Identifier: MIT */
#include "mta/mail/blame.h"
#include "tests/unit/check.h"

/* Replies as large hosts give them. */
static const struct {
    unsigned code;
    unsigned char enhanced[3];
    const char *text;
    enum blame blame;
} replies[] = {
    {550, {5, 1, 1},   "The email account that you tried to reach does not exist.", BLAME_RECIPIENT},
    {550, {5, 2, 1},   "The email account that you tried to reach is inactive.",    BLAME_RECIPIENT},
    {550,
     {5, 2, 1},
     "The user you are trying to contact is receiving mail at a rate that",         BLAME_NOBODY   },
    {450, {4, 2, 1},   "too quickly",                                               BLAME_NOBODY   },
    {452, {4, 2, 2},   "The recipient's inbox is out of storage space",             BLAME_NOBODY   },
    {552, {5, 2, 2},   "Mailbox full",                                              BLAME_NOBODY   },
    {550, {5, 7, 28},  "Our system has detected an unusual rate of mail",           BLAME_SENDER   },
    {421, {4, 7, 28},  "unusual rate",                                              BLAME_NOBODY   },
    {421, {5, 7, 32},  "From not aligned",                                          BLAME_NOBODY   },
    {550, {5, 7, 1},   "likely unsolicited mail",                                   BLAME_SENDER   },
    {550, {5, 7, 26},  "This mail is unauthenticated",                              BLAME_SENDER   },
    {554,
     {0, 0, 0},
     "delivery error: dd This user doesn't have a yahoo.com account",               BLAME_RECIPIENT},
    {553,
     {5, 7, 1},
     "[BL21] Connections will not be accepted, because the ip is in "
     "Spamhaus's list",                                                             BLAME_SENDER   },
    {550, {5, 4, 1},   "Recipient address rejected: Access denied.",                BLAME_RECIPIENT},
    {550, {5, 1, 10},  "RESOLVER.ADR.RecipientNotFound",                            BLAME_RECIPIENT},
    {550, {5, 7, 250}, "Access denied, sending domain does not meet the level",     BLAME_SENDER   },
    {550, {0, 0, 0},   "Requested action not taken: mailbox unavailable",           BLAME_RECIPIENT},
    {550, {0, 0, 0},   "<a@b.example>",                                             BLAME_RECIPIENT},
    {550, {0, 0, 0},   "Mail from 192.0.2.1 blocked using bl.example",              BLAME_SENDER   },
    {554, {0, 0, 0},   "Transaction failed",                                        BLAME_SENDER   },
    {552, {5, 3, 4},   "Message size exceeds",                                      BLAME_SENDER   },
    {550, {5, 6, 0},   "bad content",                                               BLAME_SENDER   },
    {0,   {5, 1, 1},   "",                                                          BLAME_RECIPIENT},
    {0,   {5, 0, 0},   "smtp; 550 no such user here",                               BLAME_RECIPIENT},
    {0,   {5, 0, 0},   "",                                                          BLAME_SENDER   },
    {0,   {4, 4, 7},   "",                                                          BLAME_NOBODY   },
    {0,   {5, 4, 7},   "delivery time expired",                                     BLAME_NOBODY   },
    {0,   {0, 0, 0},   "user unknown",                                              BLAME_NOBODY   },
    {550, {5, 1, 8},   "sender's domain does not exist",                            BLAME_SENDER   },
};

static void each_reply_blames_whom_it_should(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        enum blame found = blame_of(replies[i].code, replies[i].enhanced, span_of(replies[i].text));
        if (found != replies[i].blame)
            fail_msg("%u %s: %s, not %s", replies[i].code, replies[i].text, blame_text(found),
                     blame_text(replies[i].blame));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_reply_blames_whom_it_should),
    };
    return RUN(tests);
}
