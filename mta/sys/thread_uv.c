/* SPDX-License-Identifier: MIT */
/*
 * Threads take no signals: those belong to the loop that catches them, and a system call of the
 * disk thread is never interrupted by one.  A worker is a thread between two mailboxes; each piece
 * of work goes home as soon as it is done, so that what waits for a sync is not kept by the next.
 */
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/sys/mailbox.h"
#include "mta/sys/thread.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <uv.h>

enum { THREAD_NAME_BYTES = 16 }; /* the system's limit, with its NUL */

struct thread {
    pthread_t id;
    char name[THREAD_NAME_BYTES];
    void (*run)(void *argument);
    void *argument;
};

static void *thread_main(void *data)
{
    struct thread *thread = data;
    (void)pthread_setname_np(pthread_self(), thread->name); /* only for who looks at top */
    thread->run(thread->argument);
    return NULL;
}

struct thread *thread_start(const char *name, void (*run)(void *argument), void *argument)
{
    struct thread *thread = mem_new(sizeof *thread);
    thread->run           = run;
    thread->argument      = argument;
    (void)snprintf(thread->name, sizeof thread->name, "%s", name);

    sigset_t all, before;
    must(sigfillset(&all) == 0);
    must(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    must(pthread_create(&thread->id, NULL, thread_main, thread) == 0);
    must(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    return thread;
}

void thread_join(struct thread *thread)
{
    must(pthread_join(thread->id, NULL) == 0);
    mem_free(thread);
}

unsigned thread_cores(void)
{
    return uv_available_parallelism();
}

struct worker {
    struct thread *thread;
    struct mailbox *todo, *done;
    struct list home; /* done and brought home, not taken yet */
};

static struct work *work_of(struct list *link)
{
    return CONTAINER_OF(link, struct work, link);
}

static void worker_main(void *data)
{
    struct worker *worker = data;
    struct list batch, done;
    list_init(&batch);
    list_init(&done);
    while (mailbox_wait(worker->todo, &batch)) {
        struct list *link;
        while ((link = list_take(&batch)) != NULL) {
            work_of(link)->run(work_of(link));
            list_push(&done, link);
            mailbox_post(worker->done, &done);
        }
    }
}

struct worker *worker_open(struct loop *home, const char *name)
{
    struct worker *worker = mem_new(sizeof *worker);
    list_init(&worker->home);
    worker->todo   = mailbox_open(NULL);
    worker->done   = mailbox_open(home);
    worker->thread = thread_start(name, worker_main, worker);
    return worker;
}

void worker_close(struct worker *worker)
{
    mailbox_shut(worker->todo);
    thread_join(worker->thread);
    while (worker_take(worker) != NULL)
        ; /* unlinked, so that the owner may free it */
    mailbox_close(worker->todo);
    mailbox_close(worker->done);
    mem_free(worker);
}

void worker_give(struct worker *worker, struct work *work)
{
    struct list one;
    list_init(&one);
    list_push(&one, &work->link);
    mailbox_post(worker->todo, &one);
}

struct work *worker_take(struct worker *worker)
{
    if (list_is_empty(&worker->home))
        mailbox_drain(worker->done, &worker->home);
    struct list *link = list_take(&worker->home);
    return link == NULL ? NULL : work_of(link);
}
