/* SPDX-License-Identifier: MIT */
/*
 * Disk: the third door: files below one directory, as the spool needs them.  Calls block, so they
 * belong to the disk thread; recovery and content reads use them on the threads that need the
 * bytes.  The simulated disk (tests/sim/sim_disk.c) loses, tears and reorders what was not synced.
 *
 * Every call that fails says why in disk_error(): errno's text, kept per thread.
 */
#pragma once
#include "mta/base/span.h"
#include "mta/base/status.h"
#include <stdint.h>

struct disk;      /* a directory, opened once */
struct disk_file; /* an open file in it */
struct buf;

enum { DISK_NAME_BYTES = 64 };

/*
 * Opens the directory, makes it (0700) if it is missing, checks that it is safe (a directory, ours,
 * not open to others) and takes its lock file.  On failure a sentence in 'error' that names the
 * path, what is wrong and the remedy; EXISTS: another process holds the lock.
 */
enum status disk_open(struct disk **disk, const char *path, struct buf *error);
void disk_close(struct disk *disk);

/* Names of all entries but the lock, in the order of strcmp(); start with *at = 0.  END after the
 * last. NOT_PERMITTED: an entry that is no regular file, not ours, or has other links; its name is
 * in 'name'. */
enum status disk_list(struct disk *disk, size_t *at, char name[DISK_NAME_BYTES]);

/*
 * Makes a new file of 'bytes' length that reads as zeros, and its directory entry; both are
 * durable. Its space is taken, so that writing to it needs no more; where the filesystem can,
 * nothing is written for that.  EXISTS, NO_SPACE, IO_ERROR.
 */
enum status disk_create(struct disk *disk, const char *name, uint64_t bytes,
                        struct disk_file **file);
enum status disk_open_file(struct disk *disk, const char *name, struct disk_file **file);
void disk_close_file(struct disk_file *file);
/* An unlinked file stays readable through what has it open. */
enum status disk_unlink(struct disk *disk, const char *name);
enum status disk_rename(struct disk *disk, const char *from, const char *to);
/* Makes unlinks and renames durable. */
enum status disk_sync_directory(struct disk *disk);

uint64_t disk_file_bytes(const struct disk_file *file);
/* All of 'bytes' at 'offset', or an error: NO_SPACE, IO_ERROR.  May be torn by a crash. */
enum status disk_write(struct disk_file *file, uint64_t offset, struct span bytes);
/* Up to 'cap' bytes; *got is less only at the end of the file.  Any thread, at the same time as a
 * write elsewhere in the file. */
enum status disk_read(struct disk_file *file, uint64_t offset, void *into, size_t cap, size_t *got);
/* Everything written to the file before is durable.  After an error nobody knows what is: never
 * sync this file again. */
enum status disk_sync(struct disk_file *file);

/* Free for us, and all there is, in bytes. */
enum status disk_space(struct disk *disk, uint64_t *free_bytes, uint64_t *total_bytes);

const char *disk_error(void);
