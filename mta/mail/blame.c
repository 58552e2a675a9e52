/* SPDX-License-Identifier: MIT */
/* Rules in the order in which they count; the first that fits decides. Providers' words are facts
 * from their own pages and replies (providers.md 3). */
#include "mta/mail/blame.h"

enum { ANY = 255 };

struct rule {
    unsigned char subject, detail; /* of the enhanced code; ANY */
    const char *words;             /* in the text, without case; NULL: whatever it says */
    enum blame blame;
};

/* clang-format off */
static const struct rule rules[] = {
    /* what providers say with codes that mean something else elsewhere */
    {2,   1,   "at a rate",              BLAME_NOBODY   }, /* Gmail: a busy mailbox, not a dead one */
    {7,   1,   "user unknown",           BLAME_RECIPIENT},
    {7,   1,   "no such user",           BLAME_RECIPIENT},
    {4,   1,   "access denied",          BLAME_RECIPIENT}, /* Microsoft 365: unknown user */
    {1,   8,   NULL,                     BLAME_SENDER   }, /* bad sender's address */
    {1,   7,   NULL,                     BLAME_SENDER   },
    {7,   ANY, NULL,                     BLAME_SENDER   },
    {6,   ANY, NULL,                     BLAME_SENDER   },
    {3,   4,   NULL,                     BLAME_SENDER   }, /* too big */
    {2,   3,   NULL,                     BLAME_SENDER   },
    {2,   2,   NULL,                     BLAME_NOBODY   }, /* full */
    {4,   4,   NULL,                     BLAME_NOBODY   },
    {4,   7,   NULL,                     BLAME_NOBODY   }, /* expired */
    {5,   ANY, NULL,                     BLAME_SENDER   }, /* protocol */
    /* words that count whatever the code */
    {ANY, ANY, "spamhaus",               BLAME_SENDER   },
    {ANY, ANY, "blacklist",              BLAME_SENDER   },
    {ANY, ANY, "blocklist",              BLAME_SENDER   },
    {ANY, ANY, "block list",             BLAME_SENDER   },
    {ANY, ANY, "blocked using",          BLAME_SENDER   },
    {ANY, ANY, "reputation",             BLAME_SENDER   },
    {ANY, ANY, "unsolicited",            BLAME_SENDER   },
    {ANY, ANY, "spam",                   BLAME_SENDER   },
    {ANY, ANY, "virus",                  BLAME_SENDER   },
    {ANY, ANY, "dmarc",                  BLAME_SENDER   },
    {ANY, ANY, "dkim",                   BLAME_SENDER   },
    {ANY, ANY, " spf",                   BLAME_SENDER   },
    {ANY, ANY, "unauthenticated",        BLAME_SENDER   },
    {ANY, ANY, "authentication",         BLAME_SENDER   },
    {ANY, ANY, "reverse dns",            BLAME_SENDER   },
    {ANY, ANY, "relay",                  BLAME_SENDER   }, /* "relaying denied" */
    {ANY, ANY, "policy",                 BLAME_SENDER   },
    {ANY, ANY, "too many",               BLAME_SENDER   },
    {ANY, ANY, "message size",           BLAME_SENDER   },
    {ANY, ANY, "over quota",             BLAME_NOBODY   },
    {ANY, ANY, "quota exceeded",         BLAME_NOBODY   },
    {ANY, ANY, "mailbox full",           BLAME_NOBODY   },
    {ANY, ANY, "mailbox is full",        BLAME_NOBODY   },
    /* what the mailbox is */
    {1,   ANY, NULL,                     BLAME_RECIPIENT},
    {2,   ANY, NULL,                     BLAME_RECIPIENT}, /* disabled */
    {ANY, ANY, "no such user",           BLAME_RECIPIENT},
    {ANY, ANY, "no such mailbox",        BLAME_RECIPIENT},
    {ANY, ANY, "no mailbox",             BLAME_RECIPIENT},
    {ANY, ANY, "no account",             BLAME_RECIPIENT},
    {ANY, ANY, "user unknown",           BLAME_RECIPIENT},
    {ANY, ANY, "unknown user",           BLAME_RECIPIENT},
    {ANY, ANY, "unknown recipient",      BLAME_RECIPIENT},
    {ANY, ANY, "unknown address",        BLAME_RECIPIENT},
    {ANY, ANY, "user not found",         BLAME_RECIPIENT},
    {ANY, ANY, "mailbox not found",      BLAME_RECIPIENT},
    {ANY, ANY, "recipient not found",    BLAME_RECIPIENT},
    {ANY, ANY, "does not exist",         BLAME_RECIPIENT},
    {ANY, ANY, "doesn't exist",          BLAME_RECIPIENT},
    {ANY, ANY, "doesn't have",           BLAME_RECIPIENT}, /* "... a yahoo.com account" */
    {ANY, ANY, "mailbox unavailable",    BLAME_RECIPIENT},
    {ANY, ANY, "invalid recipient",      BLAME_RECIPIENT},
    {ANY, ANY, "invalid mailbox",        BLAME_RECIPIENT},
    {ANY, ANY, "invalid address",        BLAME_RECIPIENT},
    {ANY, ANY, "is disabled",            BLAME_RECIPIENT},
    {ANY, ANY, "account disabled",       BLAME_RECIPIENT},
    {ANY, ANY, "been disabled",          BLAME_RECIPIENT},
    {ANY, ANY, "inactive",               BLAME_RECIPIENT},
    {ANY, ANY, "no longer",              BLAME_RECIPIENT}, /* "... available", "... active" */
};
/* clang-format on */

static bool fits(const struct rule *rule, const unsigned char enhanced[3], struct span text)
{
    return (rule->subject == ANY || (enhanced[0] != 0 && rule->subject == enhanced[1])) &&
           (rule->detail == ANY || rule->detail == enhanced[2]) &&
           (rule->words == NULL || span_has_nocase(text, rule->words));
}

enum blame blame_of(unsigned code, const unsigned char enhanced[3], struct span text)
{
    bool is_permanent = code != 0 ? code / 100 == 5 : enhanced[0] == 5;
    if (!is_permanent) /* the first digit decides, whatever the enhanced code says */
        return BLAME_NOBODY;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (fits(&rules[i], enhanced, text))
            return rules[i].blame;
    /* 550, 551 and 553 by themselves speak of the mailbox (RFC 5321 4.2.3); nothing else does. */
    bool has_meaning = enhanced[0] != 0 && enhanced[1] != 0;
    return !has_meaning && (code == 550 || code == 551 || code == 553) ? BLAME_RECIPIENT
                                                                       : BLAME_SENDER;
}

const char *blame_text(enum blame blame)
{
    static const char *const texts[BLAMES] = {"transient", "recipient", "sender"};
    return texts[blame];
}
