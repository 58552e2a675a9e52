/* SPDX-License-Identifier: MIT */
/*
 * File: a small file that is read as a whole and replaced as a whole: the users, what they have
 * sent.  Who reads it meets the old bytes or the new ones, after a power cut too.  Calls block.
 *
 * Every failure puts a sentence into 'error' that names the file, the cause and the remedy.
 */
#pragma once
#include "mta/base/buf.h"
#include "mta/base/status.h"

enum { FILE_BYTES_MAX = 64 << 20 };

/* NOT_FOUND, NOT_PERMITTED, LIMIT (too large), IO_ERROR. */
enum status file_read(const char *path, struct buf *into, struct buf *error);
/* The same for one that holds secrets: a regular file, ours or root's, which nobody else may write
 * and nobody but its group may read (0600, 0640). */
enum status file_read_secret(const char *path, struct buf *into, struct buf *error);
/* Writes a new file beside it, syncs it and puts it in its place.  Owner, group and mode stay those
 * of the old one; 'mode' is for one that is new. */
enum status file_replace(const char *path, struct span bytes, unsigned mode, struct buf *error);

/* Keeps other editors out from before it is read until it is replaced; makes an empty file (0600)
 * if there is none.  Waits for them.  -1 and a sentence in 'error'. */
int file_lock(const char *path, struct buf *error);
void file_unlock(int lock);
