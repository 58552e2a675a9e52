/* SPDX-License-Identifier: MIT */
/*
 * Mailbox: where parcels change threads; the only file with a lock.  A parcel is anything with a
 * struct list in it; it is held by exactly one side.  Givers collect, then post once a turn: one
 * lock and one wake-up for a batch.
 */
#pragma once
#include "mta/base/list.h"

struct loop;
struct mailbox;

/* 'home' is woken when something was posted; NULL: nobody is. */
struct mailbox *mailbox_open(struct loop *home);
void mailbox_close(struct mailbox *mailbox); /* must be empty */

/* All of 'parcels' change hands, in order; the list is empty afterwards.  Do not touch them again.
 * Any thread. */
void mailbox_post(struct mailbox *mailbox, struct list *parcels);
/* Moves what was posted to the end of 'into'.  The home thread. */
void mailbox_drain(struct mailbox *mailbox, struct list *into);
/* Like mailbox_drain(), but sleeps until there is something or mailbox_shut() was called: false
 * then and empty.  For threads without a loop. */
bool mailbox_wait(struct mailbox *mailbox, struct list *into);
void mailbox_shut(struct mailbox *mailbox);
