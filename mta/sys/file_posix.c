/* SPDX-License-Identifier: MIT */
/*
 * The lock is on the file itself, not on its name: whoever got it looks whether the name still
 * means the same file, for another editor may have replaced it meanwhile.
 */
#include "mta/base/fault.h"
#include "mta/sys/clock.h"
#include "mta/sys/file.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_BYTES = 1 << 16, NOT_FOR_OTHERS = 037 /* group: write, execute; others: all */ };

static enum status failed(const char *verb, const char *path, struct buf *error)
{
    int cause = errno;
    buf_printf(error, "cannot %s %s: %s", verb, path, strerror(cause));
    switch (cause) {
    case ENOENT:
        return NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return NOT_PERMITTED;
    case ENOSPC:
    case EDQUOT:
        return NO_SPACE;
    default:
        return IO_ERROR;
    }
}

static enum status check_secret(const char *path, const struct stat *found, struct buf *error)
{
    if (found->st_uid != geteuid() && found->st_uid != 0)
        buf_printf(error, "%s belongs to another user (uid %u): chown it to root or to the daemon",
                   path, (unsigned)found->st_uid);
    else if ((found->st_mode & NOT_FOR_OTHERS) != 0)
        buf_printf(error,
                   "%s holds secrets and is open to others (mode %04o): chmod 0640 or 0600 it",
                   path, (unsigned)found->st_mode & 07777);
    else
        return OK;
    return NOT_PERMITTED;
}

static enum status check(const char *path, const struct stat *found, bool is_secret,
                         struct buf *error)
{
    if (!S_ISREG(found->st_mode)) {
        buf_printf(error, "%s is no regular file", path);
        return NOT_PERMITTED;
    }
    if (found->st_size > FILE_BYTES_MAX) {
        buf_printf(error, "%s has more than %d MiB", path, FILE_BYTES_MAX >> 20);
        return LIMIT;
    }
    return is_secret ? check_secret(path, found, error) : OK;
}

static enum status read_all(int fd, const char *path, struct buf *into, struct buf *error)
{
    for (;;) {
        ssize_t n = read(fd, buf_reserve(into, READ_BYTES), READ_BYTES);
        if (n == 0)
            return OK;
        if (n < 0 && errno != EINTR)
            return failed("read", path, error);
        into->len += n > 0 ? (size_t)n : 0;
        if (into->len > FILE_BYTES_MAX) {
            buf_printf(error, "%s has more than %d MiB", path, FILE_BYTES_MAX >> 20);
            return LIMIT;
        }
    }
}

static enum status open_and_read(const char *path, bool is_secret, struct buf *into,
                                 struct buf *error)
{
    struct stat found;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* a pipe must not stop us */
    if (fd < 0)
        return failed("open", path, error);
    enum status status = fstat(fd, &found) == 0 ? check(path, &found, is_secret, error)
                                                : failed("stat", path, error);
    if (status == OK)
        status = read_all(fd, path, into, error);
    (void)close(fd);
    return status;
}

enum status file_read(const char *path, struct buf *into, struct buf *error)
{
    return open_and_read(path, false, into, error);
}

enum status file_read_secret(const char *path, struct buf *into, struct buf *error)
{
    return open_and_read(path, true, into, error);
}

/* --- replacing --- */

static enum status write_all(int fd, struct span bytes, const char *path, struct buf *error)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.at, bytes.len);
        if (n < 0 && errno != EINTR)
            return failed("write", path, error);
        bytes = span_skip(bytes, n > 0 ? (size_t)n : 0);
    }
    return OK;
}

/* What the old one had; who may not give files away keeps what he can. */
static enum status set_owner(int fd, const char *path, unsigned mode, struct buf *error)
{
    struct stat old;
    bool is_new = stat(path, &old) != 0;
    if (!is_new &&
        (fchown(fd, old.st_uid, old.st_gid) != 0 && fchown(fd, (uid_t)-1, old.st_gid) != 0))
        return failed("keep the owner of", path, error);
    mode_t wanted = is_new ? (mode_t)mode : old.st_mode & 07777;
    return fchmod(fd, wanted) == 0 ? OK : failed("set the mode of", path, error);
}

/* The directory of 'path', so that the new name is durable. */
static enum status sync_directory(const char *path, struct buf *error)
{
    struct buf parent = {0};
    const char *slash = strrchr(path, '/');
    buf_put(&parent, slash == NULL   ? span_of(".")
                     : slash == path ? span_of("/")
                                     : span_make(path, (size_t)(slash - path)));
    int fd             = open(buf_text(&parent), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum status status = fd >= 0 && fsync(fd) == 0 ? OK : failed("sync", buf_text(&parent), error);
    if (fd >= 0)
        (void)close(fd);
    buf_release(&parent);
    return status;
}

static enum status replace(const char *path, struct span bytes, unsigned mode, struct buf *error)
{
    struct buf beside = {0};
    uint64_t chance;
    clock_random(&chance, sizeof chance);
    buf_printf(&beside, "%s.%016" PRIx64, path, chance);
    const char *name = buf_text(&beside);
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
    enum status status = fd >= 0 ? set_owner(fd, path, mode, error) : failed("make", name, error);
    if (status == OK)
        status = write_all(fd, bytes, name, error);
    if (status == OK && fsync(fd) != 0)
        status = failed("sync", name, error);
    if (fd >= 0)
        (void)close(fd);
    if (status == OK && rename(name, path) != 0)
        status = failed("replace", path, error);
    if (status != OK && fd >= 0)
        (void)unlink(name);
    buf_release(&beside);
    return status == OK ? sync_directory(path, error) : status;
}

/* A link is followed: the file it means is replaced, not the link. */
enum status file_replace(const char *path, struct span bytes, unsigned mode, struct buf *error)
{
    char real[PATH_MAX];
    bool is_there = realpath(path, real) != NULL;
    return replace(is_there ? real : path, bytes, mode, error);
}

/* --- the lock --- */

static bool is_same_file(int fd, const char *path)
{
    struct stat held, named;
    return fstat(fd, &held) == 0 && stat(path, &named) == 0 && held.st_ino == named.st_ino &&
           held.st_dev == named.st_dev;
}

int file_lock(const char *path, struct buf *error)
{
    for (;;) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, S_IRUSR | S_IWUSR);
        if (fd < 0) {
            (void)failed("open", path, error);
            return -1;
        }
        while (flock(fd, LOCK_EX) != 0)
            must(errno == EINTR);
        if (is_same_file(fd, path))
            return fd;
        (void)close(fd);
    }
}

void file_unlock(int lock)
{
    (void)close(lock);
}
