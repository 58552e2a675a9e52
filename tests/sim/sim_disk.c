/* SPDX-License-Identifier: MIT */
/*
 * A file has two images: what reads see, and what is on the platter; 'dirty' says which sectors
 * differ.  A directory has two views as well: each file's name now, and what of it is on the
 * platter follows from the journal of operations since the last sync of the directory.
 *
 * A sync that fails leaves what the kernel leaves: some sectors are written, and all are called
 * clean.  Bytes of a sector that were not written since it was last synced never change.
 */
#include "tests/sim/sim_disk.h"
#include "mta/base/buf.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/sys/disk.h"
#include "tests/sim/sim_daemon.h"
#include "tests/sim/sim_mem.h"
#include "tests/sim/sim_world.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECTOR = 512, FILES_MAX = 512, JOURNAL_MAX = 256 };

struct sim_file {
    struct list in_disk;
    char name[DISK_NAME_BYTES];         /* "": unlinked */
    char durable_name[DISK_NAME_BYTES]; /* "": not on the platter */
    uint64_t bytes, durable_bytes, cap;
    char *now, *durable;
    bool *dirty; /* by sector */
    unsigned opens;
};

/* What the directory has not written yet: 'file' was called 'to' ("": unlinked). */
struct rename {
    struct sim_file *file, *replaced; /* replaced: NULL, or who had the name: both or neither */
    char to[DISK_NAME_BYTES];
};

struct sim_disk {
    struct list files;
    struct rename journal[JOURNAL_MAX];
    size_t journal_count;
    bool is_locked;
    uint64_t faults;
};

/* In the product's memory. */
struct disk {
    struct sim_disk *at;
    char names[FILES_MAX][DISK_NAME_BYTES];
    size_t count;
};

struct disk_file {
    struct sim_file *at;
};

static const char *last_error = "";

const char *disk_error(void)
{
    return last_error;
}

static enum status failed(enum status status, const char *what)
{
    sim_note("disk: %s", what);
    last_error = what;
    return status;
}

struct sim_disk *disk_new(void)
{
    return world_new(sizeof(struct sim_disk));
}

static bool breaks(void)
{
    bool strikes = !plan_is_calm() && sim_chance(sim()->plan->faults.disk_error_permille);
    sim()->disk->faults += strikes;
    return strikes;
}

uint64_t disk_faults(void)
{
    return sim()->disk->faults;
}

/* --- files --- */

/* NULL: the first; NULL after the last. */
static struct sim_file *file_after(const struct sim_file *file)
{
    const struct list *files = &sim()->disk->files;
    struct list *next        = file == NULL ? list_first(files) : list_next(files, &file->in_disk);
    return next == NULL ? NULL : CONTAINER_OF(next, struct sim_file, in_disk);
}

static size_t sectors_of(uint64_t bytes)
{
    return (size_t)((bytes + SECTOR - 1) / SECTOR);
}

static void *grown(void *old, size_t old_bytes, size_t bytes)
{
    char *fresh = world_new(bytes);
    if (old != NULL)
        memcpy(fresh, old, old_bytes);
    world_free(old);
    return fresh;
}

static void make_room(struct sim_file *file, uint64_t bytes)
{
    if (bytes <= file->cap)
        return;
    uint64_t cap  = sectors_of(bytes > file->cap * 2 ? bytes : file->cap * 2) * (uint64_t)SECTOR;
    file->now     = grown(file->now, file->cap, cap);
    file->durable = grown(file->durable, file->cap, cap);
    file->dirty   = grown(file->dirty, sectors_of(file->cap), sectors_of(cap));
    file->cap     = cap;
}

static struct sim_file *file_new(const char *name, uint64_t bytes)
{
    struct sim_file *file = world_new(sizeof *file);
    (void)snprintf(file->name, sizeof file->name, "%s", name);
    make_room(file, bytes);
    file->bytes = bytes;
    list_push(&sim()->disk->files, &file->in_disk);
    return file;
}

static struct sim_file *file_named(const char *name)
{
    struct sim_file *file = NULL;
    while ((file = file_after(file)) != NULL)
        if (strcmp(file->name, name) == 0)
            return file;
    return NULL;
}

static bool is_in_journal(const struct sim_file *file)
{
    for (size_t i = 0; i < sim()->disk->journal_count; i++)
        if (sim()->disk->journal[i].file == file || sim()->disk->journal[i].replaced == file)
            return true;
    return false;
}

static void free_if_gone(struct sim_file *file)
{
    if (file->opens > 0 || file->name[0] != '\0' || file->durable_name[0] != '\0' ||
        is_in_journal(file))
        return;
    list_remove(&file->in_disk);
    world_free(file->now);
    world_free(file->durable);
    world_free(file->dirty);
    world_free(file);
}

static void free_gone(void)
{
    struct sim_file *file = file_after(NULL), *next;
    for (; file != NULL; file = next) {
        next = file_after(file);
        free_if_gone(file);
    }
}

static uint64_t used_bytes(void)
{
    uint64_t used         = 0;
    struct sim_file *file = NULL;
    while ((file = file_after(file)) != NULL)
        used += file->bytes;
    return used;
}

/* --- the directory --- */

static void journal(struct sim_file *file, const char *to)
{
    struct sim_disk *disk = sim()->disk;
    must(disk->journal_count < JOURNAL_MAX);
    struct rename *entry = &disk->journal[disk->journal_count++];
    *entry               = (struct rename){.file = file};
    (void)snprintf(entry->to, sizeof entry->to, "%s", to);
    (void)snprintf(file->name, sizeof file->name, "%s", to);
}

/* The first 'count' operations reach the platter, the others never happened. */
static void write_journal(size_t count)
{
    struct sim_disk *disk = sim()->disk;
    for (size_t i = 0; i < count; i++) {
        const struct rename *entry = &disk->journal[i];
        memcpy(entry->file->durable_name, entry->to, DISK_NAME_BYTES);
        if (entry->replaced != NULL)
            entry->replaced->durable_name[0] = '\0';
    }
    disk->journal_count = 0;
}

/* --- syncing and losing --- */

static void keep_sector(struct sim_file *file, size_t sector, size_t bytes)
{
    memcpy(file->durable + sector * SECTOR, file->now + sector * SECTOR, bytes);
}

enum fate { FATE_ALL, FATE_NONE, FATE_SOME, FATE_TORN, FATES };

/* What of the unsynced sectors reaches the platter. */
static void settle_sectors(struct sim_file *file, enum fate fate)
{
    for (size_t i = 0; i < sectors_of(file->cap); i++) {
        if (!file->dirty[i])
            continue;
        file->dirty[i] = false;
        if (fate == FATE_ALL || (fate >= FATE_SOME && sim_below(2) == 0))
            keep_sector(file, i, SECTOR);
        else if (fate == FATE_TORN)
            keep_sector(file, i, sim_below(SECTOR));
    }
    if (fate == FATE_ALL || (fate >= FATE_SOME && sim_below(2) == 0))
        file->durable_bytes = file->bytes;
}

static void sync_file(struct sim_file *file)
{
    settle_sectors(file, FATE_ALL);
}

void disk_forget_process(void)
{
    struct sim_file *file = NULL;
    while ((file = file_after(file)) != NULL)
        file->opens = 0;
    sim()->disk->is_locked = false;
    free_gone();
}

static unsigned count_unsynced(void)
{
    unsigned count        = 0;
    struct sim_file *file = NULL;
    while ((file = file_after(file)) != NULL)
        for (size_t i = 0; i < sectors_of(file->bytes); i++)
            count += file->dirty[i];
    return count;
}

static const char *const fate_texts[FATES] = {
    [FATE_ALL]  = "all of them are written",
    [FATE_NONE] = "none is written",
    [FATE_SOME] = "some are written",
    [FATE_TORN] = "some are written in part",
};

void disk_lose_power(void)
{
    struct sim_file *file = NULL;
    enum fate fate        = (enum fate)sim_below(FATES);
    size_t count          = sim()->disk->journal_count;
    disk_forget_process();
    sim_note("disk: %u sectors are unsynced, %s", count_unsynced(), fate_texts[fate]);
    write_journal(count > 0 ? (size_t)sim_below(count + 1) : 0);
    while ((file = file_after(file)) != NULL) {
        settle_sectors(file, fate);
        file->bytes = file->durable_bytes;
        memcpy(file->now, file->durable, file->cap);
        memcpy(file->name, file->durable_name, DISK_NAME_BYTES);
    }
    free_gone();
}

/* --- the door --- */

enum status disk_open(struct disk **disk, const char *path, struct buf *error)
{
    (void)path;
    daemon_may_die(true);
    if (sim()->disk->is_locked) {
        buf_put_text(error, "the spool is in use by another process");
        return EXISTS;
    }
    sim()->disk->is_locked = true;
    *disk                  = mem_new(sizeof **disk);
    (*disk)->at            = sim()->disk;
    return OK;
}

void disk_close(struct disk *disk)
{
    disk->at->is_locked = false;
    mem_free(disk);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

enum status disk_list(struct disk *disk, size_t *at, char name[DISK_NAME_BYTES])
{
    struct sim_file *file = NULL;
    if (*at == 0) {
        disk->count = 0;
        while ((file = file_after(file)) != NULL)
            if (file->name[0] != '\0')
                memcpy(disk->names[disk->count++], file->name, DISK_NAME_BYTES);
        must(disk->count < FILES_MAX);
        qsort(disk->names, disk->count, sizeof disk->names[0], by_name);
    }
    if (*at == disk->count)
        return END;
    memcpy(name, disk->names[(*at)++], DISK_NAME_BYTES);
    return OK;
}

static struct disk_file *opened(struct sim_file *file)
{
    struct disk_file *handle = mem_new(sizeof *handle);
    handle->at               = file;
    file->opens++;
    return handle;
}

enum status disk_create(struct disk *disk, const char *name, uint64_t bytes,
                        struct disk_file **file)
{
    (void)disk;
    daemon_may_die(true);
    if (file_named(name) != NULL)
        return failed(EXISTS, "create: exists");
    if (used_bytes() + bytes > sim()->plan->faults.disk_bytes)
        return failed(NO_SPACE, "create: no space");
    if (breaks())
        return failed(IO_ERROR, "create: input/output error");
    struct sim_file *fresh = file_new(name, bytes);
    journal(fresh, name);
    fresh->durable_bytes = sim_below(bytes + 1); /* until the sync */
    daemon_may_die(true);
    sync_file(fresh);
    daemon_may_die(true);
    write_journal(sim()->disk->journal_count);
    *file = opened(fresh);
    free_gone();
    sim_note("disk: create %s, %llu bytes", name, (unsigned long long)bytes);
    return OK;
}

enum status disk_open_file(struct disk *disk, const char *name, struct disk_file **file)
{
    (void)disk;
    daemon_may_die(true);
    struct sim_file *found = file_named(name);
    if (found == NULL)
        return failed(NOT_FOUND, "open: no such file");
    *file = opened(found);
    return OK;
}

void disk_close_file(struct disk_file *file)
{
    must(file->at->opens > 0);
    file->at->opens--;
    free_if_gone(file->at);
    mem_free(file);
}

enum status disk_unlink(struct disk *disk, const char *name)
{
    (void)disk;
    daemon_may_die(true);
    struct sim_file *found = file_named(name);
    if (found == NULL)
        return failed(NOT_FOUND, "unlink: no such file");
    sim_note("disk: unlink %s", name);
    journal(found, "");
    return OK;
}

enum status disk_rename(struct disk *disk, const char *from, const char *to)
{
    (void)disk;
    daemon_may_die(true);
    struct sim_file *found = file_named(from), *victim = file_named(to);
    if (found == NULL)
        return failed(NOT_FOUND, "rename: no such file");
    sim_note("disk: rename %s to %s", from, to);
    journal(found, to);
    if (victim != NULL && victim != found) {
        struct sim_disk *at                         = sim()->disk;
        at->journal[at->journal_count - 1].replaced = victim;
        victim->name[0]                             = '\0';
    }
    return OK;
}

enum status disk_sync_directory(struct disk *disk)
{
    (void)disk;
    daemon_may_die(true);
    if (breaks())
        return failed(IO_ERROR, "sync of the directory: input/output error");
    write_journal(sim()->disk->journal_count);
    free_gone();
    return OK;
}

uint64_t disk_file_bytes(const struct disk_file *file)
{
    return file->at->bytes;
}

static void write_bytes(struct sim_file *file, uint64_t offset, struct span bytes)
{
    if (bytes.len == 0)
        return;
    make_room(file, offset + bytes.len);
    memcpy(file->now + offset, bytes.at, bytes.len);
    for (uint64_t i = offset / SECTOR; i <= (offset + bytes.len - 1) / SECTOR; i++)
        file->dirty[i] = true;
    if (offset + bytes.len > file->bytes)
        file->bytes = offset + bytes.len;
}

enum status disk_write(struct disk_file *file, uint64_t offset, struct span bytes)
{
    daemon_may_die(true);
    if (breaks()) {
        write_bytes(file->at, offset, span_first(bytes, sim_below(bytes.len + 1)));
        return failed(IO_ERROR, "write: input/output error");
    }
    write_bytes(file->at, offset, bytes);
    sim_mark("write", bytes.len);
    return OK;
}

enum status disk_read(struct disk_file *file, uint64_t offset, void *into, size_t cap, size_t *got)
{
    const struct sim_file *at = file->at;
    uint64_t left             = offset < at->bytes ? at->bytes - offset : 0;
    *got                      = cap < left ? cap : (size_t)left;
    if (*got > 0)
        memcpy(into, at->now + offset, *got);
    return OK;
}

enum status disk_sync(struct disk_file *file)
{
    daemon_may_die(true);
    if (breaks()) {
        settle_sectors(file->at, FATE_SOME);
        return failed(IO_ERROR, "sync: input/output error");
    }
    sync_file(file->at);
    sim_mark("sync", 0);
    return OK;
}

enum status disk_space(struct disk *disk, uint64_t *free_bytes, uint64_t *total_bytes)
{
    (void)disk;
    uint64_t used = used_bytes();
    *total_bytes  = sim()->plan->faults.disk_bytes;
    *free_bytes   = used < *total_bytes ? *total_bytes - used : 0;
    return OK;
}
