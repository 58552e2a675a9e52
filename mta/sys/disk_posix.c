/* SPDX-License-Identifier: MIT */
/*
 * The directory is opened once and everything else is found through that descriptor, so that
 * nobody can put another directory in its place.  What is opened must be a plain file, ours, and
 * have one name: a planted link, pipe or device is refused.  The lock is held by an open descriptor
 * (flock), so a killed process leaves none behind.
 */
#include "mta/base/buf.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/sys/disk.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    DISK_KIND      = 0x6469736b,
    FILE_KIND      = 0x66696c65,
    DIRECTORY_MODE = 0700,
    FILE_MODE      = 0600,
    OTHERS_MODE    = 077,
    ZERO_BYTES     = 1 << 18, /* in one write */
    ERROR_BYTES    = 256,
    PATH_BYTES_MAX = 4096,
    LIST_GROWTH    = 64,
};

static const char lock_name[] = "lock";

struct disk {
    unsigned kind;
    int fd, lock_fd;
    /* What the directory held when disk_list() began: sorted, so that the order is the same on
     * every filesystem. */
    struct disk_name *names;
    size_t count, cap;
};

struct disk_name {
    char text[DISK_NAME_BYTES];
    bool is_cut; /* it is longer than any of ours */
};

struct disk_file {
    unsigned kind;
    int fd;
    uint64_t bytes;
};

static _Thread_local char last_error[ERROR_BYTES];

const char *disk_error(void)
{
    return last_error;
}

/* Keeps "what name: why" for disk_error(). */
static enum status failed(const char *what, const char *name, int error)
{
    (void)snprintf(last_error, sizeof last_error, "%s %s: %s", what, name, strerror(error));
    switch (error) {
    case ENOSPC:
    case EDQUOT:
        return NO_SPACE;
    case EEXIST:
        return EXISTS;
    case ENOENT:
        return NOT_FOUND;
    case EMFILE:
    case ENFILE:
        return LIMIT;
    case EACCES:
    case EPERM:
    case ELOOP: /* O_NOFOLLOW met a link */
    case ENXIO: /* a socket, or a pipe without a reader */
        return NOT_PERMITTED;
    default:
        return IO_ERROR;
    }
}

static enum status refused(const char *name, const char *why)
{
    (void)snprintf(last_error, sizeof last_error, "%s %s", name, why);
    return NOT_PERMITTED;
}

/* NULL: safe; else what is wrong with a file in the directory. */
static const char *flaw_of(const struct stat *found)
{
    if (!S_ISREG(found->st_mode))
        return "is no regular file";
    if (found->st_uid != geteuid())
        return "belongs to another user";
    if (found->st_nlink > 1)
        return "has another name as well (a hard link)";
    return NULL;
}

/* Opening the directory. */

__attribute__((format(printf, 2, 3))) static enum status explain(struct buf *error,
                                                                 const char *format, ...)
{
    char text[PATH_BYTES_MAX + ERROR_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)snprintf(last_error, sizeof last_error, "%.*s", ERROR_BYTES - 1, text);
    buf_put_text(error, text);
    return NOT_PERMITTED;
}

/* The new name is durable only when the directory above is. */
static void sync_parent(const char *path)
{
    struct buf parent  = {0};
    const char *slash  = strrchr(path, '/');
    struct span before = slash == NULL   ? span_of(".")
                         : slash == path ? span_of("/")
                                         : span_make(path, (size_t)(slash - path));
    buf_put(&parent, before);
    int fd = open(buf_text(&parent), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        (void)close(fd);
    }
    buf_release(&parent);
}

static enum status open_directory(const char *path, int *fd, struct buf *error)
{
    bool is_made = mkdir(path, DIRECTORY_MODE) == 0;
    if (!is_made && errno != EEXIST) {
        (void)explain(error,
                      "cannot make the directory %s: %s (make its parent, or let this user "
                      "write there)",
                      path, strerror(errno));
        return errno == ENOSPC ? NO_SPACE : NOT_PERMITTED;
    }
    *fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (*fd < 0)
        return explain(error, "cannot open %s: %s (it must be a directory, not a link)", path,
                       strerror(errno));
    if (is_made)
        sync_parent(path);
    return OK;
}

static enum status check_directory(int fd, const char *path, struct buf *error)
{
    struct stat found;
    if (fstat(fd, &found) != 0)
        return explain(error, "cannot look at %s: %s", path, strerror(errno));
    if (found.st_uid != geteuid())
        return explain(error, "%s belongs to user %u, not to %u who runs this (chown it)", path,
                       (unsigned)found.st_uid, (unsigned)geteuid());
    if (found.st_mode & OTHERS_MODE)
        return explain(error, "%s is open to others (chmod 0700 %s)", path, path);
    return OK;
}

static enum status take_lock(int directory, const char *path, int *lock, struct buf *error)
{
    struct stat found;
    *lock = openat(directory, lock_name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
                   FILE_MODE);
    if (*lock < 0)
        return explain(error, "cannot open %s/%s: %s", path, lock_name, strerror(errno));
    const char *flaw = fstat(*lock, &found) != 0 ? strerror(errno) : flaw_of(&found);
    if (flaw != NULL)
        return explain(error, "%s/%s %s (remove it)", path, lock_name, flaw);
    if (flock(*lock, LOCK_EX | LOCK_NB) == 0)
        return OK;
    if (errno != EWOULDBLOCK)
        return explain(error, "cannot lock %s/%s: %s", path, lock_name, strerror(errno));
    (void)explain(error, "%s is in use by another process (its %s is held; stop that process)",
                  path, lock_name);
    return EXISTS;
}

static void close_if_open(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

static enum status open_and_lock(const char *path, int *fd, int *lock, struct buf *error)
{
    enum status status = open_directory(path, fd, error);
    if (status == OK)
        status = check_directory(*fd, path, error);
    if (status == OK)
        status = take_lock(*fd, path, lock, error);
    return status;
}

enum status disk_open(struct disk **disk, const char *path, struct buf *error)
{
    struct buf bare = {0};
    int fd = -1, lock = -1;
    buf_put_text(&bare, path);
    while (bare.len > 1 && bare.at[bare.len - 1] == '/')
        bare.len--; /* "link/" would follow the link */
    enum status status = open_and_lock(buf_text(&bare), &fd, &lock, error);
    buf_release(&bare);
    if (status != OK) {
        close_if_open(lock);
        close_if_open(fd);
        return status;
    }
    *disk            = mem_new(sizeof **disk);
    (*disk)->kind    = DISK_KIND;
    (*disk)->fd      = fd;
    (*disk)->lock_fd = lock;
    return OK;
}

void disk_close(struct disk *disk)
{
    must(disk->kind == DISK_KIND);
    (void)close(disk->lock_fd);
    (void)close(disk->fd);
    mem_free(disk->names);
    disk->kind = 0;
    mem_free(disk);
}

/* Listing. */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct disk_name *)a)->text, ((const struct disk_name *)b)->text);
}

static void remember_name(struct disk *disk, const char *name)
{
    if (disk->count == disk->cap) {
        disk->cap += disk->cap + LIST_GROWTH;
        disk->names = mem_resize(disk->names, disk->cap * sizeof disk->names[0]);
    }
    struct disk_name *kept = &disk->names[disk->count++];
    size_t len             = strlen(name);
    kept->is_cut           = len >= sizeof kept->text;
    if (kept->is_cut)
        len = sizeof kept->text - 1;
    memcpy(kept->text, name, len);
    kept->text[len] = '\0';
}

static bool is_hidden(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, lock_name) == 0;
}

static enum status read_names(struct disk *disk)
{
    /* A description of its own: the offset of a duplicate would be shared. */
    int fd             = openat(disk->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory     = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *one = NULL;
    if (directory == NULL) {
        enum status status = failed("list", ".", errno);
        close_if_open(fd);
        return status;
    }
    disk->count = 0;
    for (errno = 0; (one = readdir(directory)) != NULL; errno = 0)
        if (!is_hidden(one->d_name))
            remember_name(disk, one->d_name);
    enum status status = errno == 0 ? OK : failed("list", ".", errno);
    (void)closedir(directory);
    if (disk->count > 0)
        qsort(disk->names, disk->count, sizeof disk->names[0], by_name);
    return status;
}

enum status disk_list(struct disk *disk, size_t *at, char name[DISK_NAME_BYTES])
{
    struct stat found;
    if (*at == 0) {
        enum status status = read_names(disk);
        if (status != OK)
            return status;
    }
    while (*at < disk->count) {
        const struct disk_name *next = &disk->names[(*at)++];
        memcpy(name, next->text, sizeof next->text);
        if (next->is_cut)
            return refused(name, "has a name that is too long");
        if (fstatat(disk->fd, name, &found, AT_SYMLINK_NOFOLLOW) == 0) {
            const char *flaw = flaw_of(&found);
            return flaw == NULL ? OK : refused(name, flaw);
        }
        if (errno != ENOENT) /* gone since the listing began: as if it had never been */
            return failed("look at", name, errno);
    }
    return END;
}

/* Files. */

static void check_name(const char *name)
{
    must(name[0] != '\0' && strchr(name, '/') == NULL && strlen(name) < DISK_NAME_BYTES);
    must(!is_hidden(name));
}

static struct disk_file *file_new(int fd, uint64_t bytes)
{
    struct disk_file *file = mem_new(sizeof *file);
    file->kind             = FILE_KIND;
    file->fd               = fd;
    file->bytes            = bytes;
    return file;
}

/* All of it, or errno. */
static int write_all(int fd, const char *bytes, size_t count, uint64_t offset)
{
    while (count > 0) {
        ssize_t n = pwrite(fd, bytes, count, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : EIO;
        bytes += n;
        count -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

static int fill_with_zeros(int fd, uint64_t bytes)
{
    char *zeros = mem_new(ZERO_BYTES);
    int error   = 0;
    for (uint64_t at = 0; at < bytes && error == 0; at += ZERO_BYTES) {
        uint64_t rest = bytes - at;
        error         = write_all(fd, zeros, rest < ZERO_BYTES ? (size_t)rest : ZERO_BYTES, at);
    }
    mem_free(zeros);
    return error;
}

/* A filesystem that cannot take blocks without a write gets one. */
static int take_blocks(int fd, uint64_t bytes)
{
    int error;
    if (bytes == 0)
        return 0;
    do
        error = posix_fallocate(fd, 0, (off_t)bytes);
    while (error == EINTR);
    return error == EOPNOTSUPP || error == EINVAL ? fill_with_zeros(fd, bytes) : error;
}

static int sync_data(int fd)
{
    int rc;
    do
        rc = fdatasync(fd);
    while (rc != 0 && errno == EINTR);
    if (rc != 0 && (errno == EINVAL || errno == ENOSYS))
        rc = fsync(fd);
    return rc == 0 ? 0 : errno;
}

static int sync_whole(int fd)
{
    int rc;
    do
        rc = fsync(fd);
    while (rc != 0 && errno == EINTR);
    return rc == 0 ? 0 : errno;
}

enum status disk_create(struct disk *disk, const char *name, uint64_t bytes,
                        struct disk_file **file)
{
    check_name(name);
    must(bytes <= INT64_MAX);
    int fd = openat(disk->fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    if (fd < 0)
        return failed("create", name, errno);
    int error = take_blocks(fd, bytes);
    if (error == 0)
        error = sync_whole(fd);
    if (error == 0)
        error = sync_whole(disk->fd);
    if (error != 0) {
        (void)close(fd);
        (void)unlinkat(disk->fd, name, 0);
        return failed("create", name, error);
    }
    *file = file_new(fd, bytes);
    return OK;
}

enum status disk_open_file(struct disk *disk, const char *name, struct disk_file **file)
{
    check_name(name);
    struct stat found;
    /* O_NONBLOCK: a planted pipe must not hold us. */
    int fd = openat(disk->fd, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return failed("open", name, errno);
    if (fstat(fd, &found) != 0) {
        enum status status = failed("look at", name, errno);
        (void)close(fd);
        return status;
    }
    const char *flaw = flaw_of(&found);
    if (flaw != NULL) {
        (void)close(fd);
        return refused(name, flaw);
    }
    *file = file_new(fd, (uint64_t)found.st_size);
    return OK;
}

void disk_close_file(struct disk_file *file)
{
    must(file->kind == FILE_KIND);
    (void)close(file->fd);
    file->kind = 0;
    mem_free(file);
}

enum status disk_unlink(struct disk *disk, const char *name)
{
    check_name(name);
    return unlinkat(disk->fd, name, 0) == 0 ? OK : failed("unlink", name, errno);
}

enum status disk_rename(struct disk *disk, const char *from, const char *to)
{
    check_name(from);
    check_name(to);
    return renameat(disk->fd, from, disk->fd, to) == 0 ? OK : failed("rename", from, errno);
}

enum status disk_sync_directory(struct disk *disk)
{
    int error = sync_whole(disk->fd);
    return error == 0 ? OK : failed("sync", "the directory", error);
}

uint64_t disk_file_bytes(const struct disk_file *file)
{
    return file->bytes;
}

enum status disk_write(struct disk_file *file, uint64_t offset, struct span bytes)
{
    must(file->kind == FILE_KIND && offset <= INT64_MAX - bytes.len);
    int error = write_all(file->fd, bytes.at, bytes.len, offset);
    if (error != 0)
        return failed("write", "a file", error);
    if (offset + bytes.len > file->bytes)
        file->bytes = offset + bytes.len;
    return OK;
}

enum status disk_read(struct disk_file *file, uint64_t offset, void *into, size_t cap, size_t *got)
{
    must(file->kind == FILE_KIND && offset <= INT64_MAX - cap);
    *got = 0;
    while (*got < cap) {
        ssize_t n = pread(file->fd, (char *)into + *got, cap - *got, (off_t)(offset + *got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return failed("read", "a file", errno);
        if (n == 0)
            break;
        *got += (size_t)n;
    }
    return OK;
}

enum status disk_sync(struct disk_file *file)
{
    must(file->kind == FILE_KIND);
    int error = sync_data(file->fd);
    return error == 0 ? OK : failed("sync", "a file", error);
}

enum status disk_space(struct disk *disk, uint64_t *free_bytes, uint64_t *total_bytes)
{
    struct statvfs space;
    if (fstatvfs(disk->fd, &space) != 0)
        return failed("measure", "the filesystem", errno);
    *free_bytes  = (uint64_t)space.f_bavail * space.f_frsize;
    *total_bytes = (uint64_t)space.f_blocks * space.f_frsize;
    return OK;
}
