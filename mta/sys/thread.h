/* SPDX-License-Identifier: MIT */
/*
 * Thread: starting and joining threads, and the worker, one thread that does blocking work in order
 * (the disk thread). In the simulator a worker is an event like any other.
 */
#pragma once
#include "mta/base/list.h"

struct loop;
struct thread;
struct worker;

struct thread *thread_start(const char *name, void (*run)(void *argument), void *argument);
void thread_join(struct thread *thread); /* and frees it */
unsigned thread_cores(void);

/* One piece of blocking work; embed it.  The worker thread alone touches what it refers to until it
 * is taken back. */
struct work {
    struct list link;
    void (*run)(struct work *work);
};

/* 'home' gets a turn when work is done. */
struct worker *worker_open(struct loop *home, const char *name);
/* Waits until everything given is done. */
void worker_close(struct worker *worker);
/* Done one after the other, in the order given.  Home thread. */
void worker_give(struct worker *worker, struct work *work);
/* The next one that is done; NULL when none is.  Home thread. */
struct work *worker_take(struct worker *worker);
