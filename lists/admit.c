/* SPDX-License-Identifier: MIT */
#include "lists/admit.h"

static const struct admit_answer yes = {ADMIT_YES, "2.1.5", ""};

static struct admit_answer no(const char *enhanced, const char *text)
{
    return (struct admit_answer){ADMIT_NO, enhanced, text};
}

static struct admit_answer silent(const char *text)
{
    return (struct admit_answer){ADMIT_SILENT, "5.7.1", text};
}

static bool is_owner(const struct mlist *list, struct span name)
{
    return mlist_has_person(list, MLIST_OWNER, name) || mlist_has_person(list, MLIST_POSTER, name);
}

static struct admit_answer refuse_stranger(const struct mlist *list)
{
    if (list->post == MLIST_POST_MEMBERS)
        return no("5.7.1", "only members may post to this list, from the address they are on it "
                           "with");
    return no("5.7.1", "only owners of this list may post to it");
}

/* Only members of a discussion may come from anywhere. */
static bool takes_strangers(const struct mlist *list)
{
    return list->post == MLIST_POST_MEMBERS;
}

struct admit_answer admit_envelope(const struct mlist *list, const struct admit_sender *sender,
                                   bool may_be_member)
{
    bool is_known = sender->role != RECEIVE_INBOUND;
    if (is_known &&
        (is_owner(list, span_of(sender->user)) || is_owner(list, span_of(sender->address))))
        return yes;
    if (sender->address[0] == '\0')
        return no("5.7.1", "a list takes no mail without a sender");
    if (takes_strangers(list) && may_be_member)
        return yes;
    return refuse_stranger(list);
}

/* Owner by name, or by both addresses; on trust in network or login. */
static bool is_from_owner(const struct mlist *list, const struct admit_sender *sender,
                          const struct offer *offer)
{
    struct span author = span_of(offer->author.address.text);
    if (sender->role == RECEIVE_INBOUND)
        return false;
    return is_owner(list, span_of(sender->user)) ||
           (is_owner(list, span_of(sender->address)) && is_owner(list, author));
}

static bool is_from_member(const struct mlist *list, const struct admit_sender *sender,
                           const struct admit_mail *mail)
{
    /* Who has logged in writes as himself: From says who he is. */
    bool sender_is_good = mail->sender_is_member || sender->role == RECEIVE_SUBMISSION;
    return list->post == MLIST_POST_MEMBERS && mail->author_is_member && sender_is_good;
}

struct admit_answer admit_mail(const struct mlist *list, const struct admit_sender *sender,
                               const struct admit_mail *mail)
{
    const struct offer *offer = mail->offer;
    if (offer->is_loop)
        return silent("this list has sent it before: a loop");
    if (mail->was_seen)
        return silent("this list has taken a mail with the same Message-ID before");
    if (sender->address[0] == '\0' || offer->is_answer)
        return silent("an automatic answer");
    if (offer->is_automatic && list->kind == MLIST_DISCUSSION)
        return silent("nobody wrote it: Auto-Submitted");
    if (!offer->has_author)
        return no("5.6.0", "From: must name one author");
    if (!is_from_owner(list, sender, offer) && !is_from_member(list, sender, mail))
        return refuse_stranger(list);
    if (list->message_bytes_max > 0 && mail->bytes > list->message_bytes_max)
        return no("5.3.4", "larger than this list takes");
    return yes;
}
