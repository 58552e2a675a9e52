/* SPDX-License-Identifier: MIT */
#include "mta/sys/mailbox.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/sys/loop.h"
#include <pthread.h>
#include <stdatomic.h>

struct mailbox {
    pthread_mutex_t lock;
    pthread_cond_t came;
    struct list parcels; /* under the lock, like is_shut and has_waiter */
    bool is_shut, has_waiter;
    atomic_bool has_parcels; /* set under the lock, so that an empty box costs its owner no lock */
    struct loop *home;
};

struct mailbox *mailbox_open(struct loop *home)
{
    struct mailbox *mailbox = mem_new(sizeof *mailbox);
    mailbox->home           = home;
    list_init(&mailbox->parcels);
    must(pthread_mutex_init(&mailbox->lock, NULL) == 0);
    must(pthread_cond_init(&mailbox->came, NULL) == 0);
    return mailbox;
}

void mailbox_close(struct mailbox *mailbox)
{
    must(list_is_empty(&mailbox->parcels));
    must(pthread_mutex_destroy(&mailbox->lock) == 0);
    must(pthread_cond_destroy(&mailbox->came) == 0);
    mem_free(mailbox);
}

static void take_lock(struct mailbox *mailbox)
{
    must(pthread_mutex_lock(&mailbox->lock) == 0);
}

static void give_lock(struct mailbox *mailbox)
{
    must(pthread_mutex_unlock(&mailbox->lock) == 0);
}

void mailbox_post(struct mailbox *mailbox, struct list *parcels)
{
    if (list_is_empty(parcels))
        return;
    take_lock(mailbox);
    bool was_empty = list_is_empty(&mailbox->parcels);
    list_splice(&mailbox->parcels, parcels);
    bool has_waiter = mailbox->has_waiter;
    atomic_store(&mailbox->has_parcels, true);
    give_lock(mailbox);
    if (has_waiter) /* told without the lock, or it would wake only to wait for it */
        must(pthread_cond_signal(&mailbox->came) == 0);
    if (mailbox->home != NULL && was_empty) /* else it was woken, and has not looked yet */
        loop_wake(mailbox->home);
}

static void take_all(struct mailbox *mailbox, struct list *into)
{
    list_splice(into, &mailbox->parcels);
    atomic_store(&mailbox->has_parcels, false);
}

void mailbox_drain(struct mailbox *mailbox, struct list *into)
{
    if (!atomic_load(&mailbox->has_parcels))
        return;
    take_lock(mailbox);
    take_all(mailbox, into);
    give_lock(mailbox);
}

bool mailbox_wait(struct mailbox *mailbox, struct list *into)
{
    take_lock(mailbox);
    mailbox->has_waiter = true;
    while (list_is_empty(&mailbox->parcels) && !mailbox->is_shut)
        must(pthread_cond_wait(&mailbox->came, &mailbox->lock) == 0);
    mailbox->has_waiter = false;
    bool came           = !list_is_empty(&mailbox->parcels);
    take_all(mailbox, into);
    give_lock(mailbox);
    return came;
}

void mailbox_shut(struct mailbox *mailbox)
{
    take_lock(mailbox);
    mailbox->is_shut = true;
    must(pthread_cond_broadcast(&mailbox->came) == 0);
    give_lock(mailbox);
}
