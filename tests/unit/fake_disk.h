/* SPDX-License-Identifier: MIT */
/*
 * A disk in memory, behind mta/sys/disk.h, that loses power.  Included by one file of a program;
 * its functions stand in place of disk_posix.c.
 *
 * Writes go to a cache of sectors; disk_sync() makes a file's sectors durable.  Names made, removed
 * or changed are durable after disk_sync_directory().  Every call that touches the disk is an
 * operation with a number; at a chosen one the power goes (fake_power_off_at) or an error comes
 * (fake_fail_at).  When the power is off everything fails and changes nothing; fake_power_on() then
 * decides from a seed what has survived of what was not synced.  A sync that fails forgets that the
 * sectors were dirty, as Linux does: later reads show what the disk does not have.
 */
#pragma once
#include "mta/base/buf.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/base/rng.h"
#include "mta/sys/disk.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FAKE_SECTOR_BYTES = 512,
    FAKE_FILES_MAX    = 512,
    FAKE_CHANGES_MAX  = 256,
    FAKE_DISK_KIND    = 0x66616b65,
};

enum fake_survival {
    FAKE_KEEP_ALL, /* the process was killed, the machine lives */
    FAKE_DROP,     /* nothing that was not synced */
    FAKE_SUBSET,   /* any of its sectors and names */
    FAKE_TORN,     /* and half of one sector */
    FAKE_GARBAGE,  /* and rubbish in some of them */
    FAKE_SURVIVALS
};

struct fake_inode {
    char *cache, *disk;
    bool *is_dirty;
    uint64_t bytes, sectors;
    bool size_is_durable;
    unsigned opens, names;
    bool is_used;
};

struct fake_name {
    char text[DISK_NAME_BYTES];
    int inode; /* -1: a free row */
};

struct fake_directory {
    struct fake_name names[FAKE_FILES_MAX];
    size_t count;
};

enum fake_change_kind { FAKE_ADD, FAKE_REMOVE, FAKE_RENAME };
struct fake_change {
    enum fake_change_kind kind;
    char name[DISK_NAME_BYTES], to[DISK_NAME_BYTES];
    int inode;
};

struct disk {
    unsigned kind;
};

struct disk_file {
    int inode;
};

/* The one there is. */
struct fake_world {
    struct fake_inode inodes[FAKE_FILES_MAX];
    struct fake_directory cache, disk; /* the directory, as seen and as durable */
    struct fake_change changes[FAKE_CHANGES_MAX];
    size_t change_count;
    uint64_t operations, syncs;
    uint64_t power_off_at, fail_at; /* 0: never */
    enum status fail_with;
    bool is_sticky, is_off, is_locked;
    uint64_t capacity; /* bytes; 0: without end */
    uint64_t others_bytes;
};
static struct fake_world fake;

/* --- operations --- */

/* true: it is carried out.  With power gone at this very one: 'partly' may still be. */
static enum status fake_operation(bool may_lack_space, bool *partly)
{
    bool is_failing;
    fake.operations++;
    *partly = false;
    if (fake.is_off)
        return IO_ERROR;
    if (fake.operations == fake.power_off_at) {
        fake.is_off = true;
        *partly     = true;
        return IO_ERROR;
    }
    is_failing = fake.fail_at != 0 && (fake.is_sticky ? fake.operations >= fake.fail_at
                                                      : fake.operations == fake.fail_at);
    if (!is_failing)
        return OK;
    *partly = true;
    return fake.fail_with == NO_SPACE && !may_lack_space ? OK : fake.fail_with;
}

static inline void fake_power_off_at(uint64_t more)
{
    fake.power_off_at = more == 0 ? 0 : fake.operations + more;
}

static inline void fake_fail_at(uint64_t more, enum status with, bool is_sticky)
{
    fake.fail_at   = more == 0 ? 0 : fake.operations + more;
    fake.fail_with = with;
    fake.is_sticky = is_sticky;
}

/* --- inodes and names --- */

static int fake_inode_new(uint64_t bytes)
{
    int i = 0;
    while (i < FAKE_FILES_MAX && fake.inodes[i].is_used)
        i++;
    must(i < FAKE_FILES_MAX);
    uint64_t sectors = (bytes + FAKE_SECTOR_BYTES - 1) / FAKE_SECTOR_BYTES;
    fake.inodes[i]   = (struct fake_inode){.cache    = mem_new(sectors * FAKE_SECTOR_BYTES + 1),
                                           .disk     = mem_new(sectors * FAKE_SECTOR_BYTES + 1),
                                           .is_dirty = mem_new(sectors + 1),
                                           .bytes    = bytes,
                                           .sectors  = sectors,
                                           .is_used  = true};
    return i;
}

static void fake_inode_free(int i)
{
    mem_free(fake.inodes[i].cache);
    mem_free(fake.inodes[i].disk);
    mem_free(fake.inodes[i].is_dirty);
    fake.inodes[i] = (struct fake_inode){0};
}

static bool fake_is_named(const struct fake_directory *directory, int inode)
{
    for (size_t i = 0; i < directory->count; i++)
        if (directory->names[i].inode == inode)
            return true;
    return false;
}

/* Nobody can come to see it any more. */
static void fake_inode_drop(int i)
{
    bool is_pending = false;
    for (size_t c = 0; c < fake.change_count; c++)
        is_pending = is_pending || fake.changes[c].inode == i;
    if (fake.inodes[i].is_used && fake.inodes[i].opens == 0 && !is_pending &&
        !fake_is_named(&fake.cache, i) && !fake_is_named(&fake.disk, i))
        fake_inode_free(i);
}

static struct fake_name *fake_find(struct fake_directory *directory, const char *name)
{
    for (size_t i = 0; i < directory->count; i++)
        if (directory->names[i].inode >= 0 && strcmp(directory->names[i].text, name) == 0)
            return &directory->names[i];
    return NULL;
}

static void fake_remove(struct fake_directory *directory, const char *name)
{
    struct fake_name *row = fake_find(directory, name);
    if (row != NULL)
        *row = directory->names[--directory->count];
}

static void fake_add(struct fake_directory *directory, const char *name, int inode)
{
    fake_remove(directory, name);
    must(directory->count < FAKE_FILES_MAX);
    struct fake_name *row = &directory->names[directory->count++];
    (void)snprintf(row->text, sizeof row->text, "%s", name);
    row->inode = inode;
}

static void fake_apply(struct fake_directory *directory, const struct fake_change *change)
{
    switch (change->kind) {
    case FAKE_ADD:
        fake_add(directory, change->name, change->inode);
        break;
    case FAKE_REMOVE:
        fake_remove(directory, change->name);
        break;
    case FAKE_RENAME:
        if (fake_find(directory, change->name) != NULL) {
            fake_remove(directory, change->name);
            fake_add(directory, change->to, change->inode);
        }
        break;
    }
}

static void fake_change(enum fake_change_kind kind, const char *name, const char *to, int inode)
{
    must(fake.change_count < FAKE_CHANGES_MAX);
    struct fake_change *change = &fake.changes[fake.change_count++];
    *change                    = (struct fake_change){.kind = kind, .inode = inode};
    (void)snprintf(change->name, sizeof change->name, "%s", name);
    (void)snprintf(change->to, sizeof change->to, "%s", to == NULL ? "" : to);
    fake_apply(&fake.cache, change);
}

/* --- the power --- */

static void fake_survive_sector(struct fake_inode *inode, uint64_t sector, enum fake_survival how,
                                struct rng *rng)
{
    char *cache = inode->cache + sector * FAKE_SECTOR_BYTES;
    char *disk  = inode->disk + sector * FAKE_SECTOR_BYTES;
    bool keeps  = how == FAKE_KEEP_ALL || (how != FAKE_DROP && rng_one_in(rng, 2));
    size_t torn = (size_t)rng_below(rng, FAKE_SECTOR_BYTES);
    if (how == FAKE_GARBAGE && rng_one_in(rng, 4)) {
        for (size_t i = 0; i < FAKE_SECTOR_BYTES; i++)
            disk[i] = (char)rng_next(rng);
    } else if (how == FAKE_TORN && rng_one_in(rng, 4)) {
        memcpy(disk, cache, torn);
    } else if (keeps) {
        memcpy(disk, cache, FAKE_SECTOR_BYTES);
    }
}

static void fake_survive_inode(struct fake_inode *inode, enum fake_survival how, struct rng *rng)
{
    for (uint64_t s = 0; s < inode->sectors; s++)
        if (inode->is_dirty[s])
            fake_survive_sector(inode, s, how, rng);
    if (how == FAKE_KEEP_ALL)
        return; /* the cache lives on, dirty as it is */
    if (!inode->size_is_durable && (how == FAKE_DROP || rng_one_in(rng, 2)))
        inode->bytes = how == FAKE_DROP ? 0 : rng_below(rng, inode->bytes + 1);
    inode->size_is_durable = true;
    memset(inode->is_dirty, 0, inode->sectors);
    memcpy(inode->cache, inode->disk, inode->sectors * FAKE_SECTOR_BYTES);
}

/* The machine comes up again with what survived; all files must be closed. */
static inline void fake_power_on(enum fake_survival how, uint64_t seed)
{
    struct rng rng;
    rng_seed(&rng, seed);
    fake.is_off = fake.is_locked = false;
    fake.power_off_at = fake.fail_at = 0;
    for (size_t i = 0; i < FAKE_FILES_MAX; i++)
        if (fake.inodes[i].is_used) {
            must(fake.inodes[i].opens == 0);
            fake_survive_inode(&fake.inodes[i], how, &rng);
        }
    if (how != FAKE_KEEP_ALL) {
        for (size_t c = 0; c < fake.change_count; c++)
            if (how != FAKE_DROP && rng_one_in(&rng, 2))
                fake_apply(&fake.disk, &fake.changes[c]);
        fake.change_count = 0;
        fake.cache        = fake.disk;
    }
    for (int i = 0; i < FAKE_FILES_MAX; i++)
        fake_inode_drop(i);
}

/* An empty disk. */
static void fake_reset(void)
{
    for (int i = 0; i < FAKE_FILES_MAX; i++)
        if (fake.inodes[i].is_used)
            fake_inode_free(i);
    memset(&fake, 0, sizeof fake);
}

static uint64_t fake_used_bytes(void)
{
    uint64_t used = fake.others_bytes;
    for (int i = 0; i < FAKE_FILES_MAX; i++)
        if (fake.inodes[i].is_used)
            used += fake.inodes[i].bytes;
    return used;
}

/* --- disk.h --- */

enum status disk_open(struct disk **disk, const char *path, struct buf *error)
{
    (void)path;
    if (fake.is_locked) {
        buf_put_text(error, "locked");
        return EXISTS;
    }
    fake.is_locked = true;
    *disk          = mem_new(sizeof **disk);
    (*disk)->kind  = FAKE_DISK_KIND;
    return OK;
}

void disk_close(struct disk *disk)
{
    fake.is_locked = false;
    mem_free(disk);
}

static int fake_by_name(const void *a, const void *b)
{
    return strcmp(((const struct fake_name *)a)->text, ((const struct fake_name *)b)->text);
}

enum status disk_list(struct disk *disk, size_t *at, char name[DISK_NAME_BYTES])
{
    (void)disk;
    if (*at == 0 && fake.cache.count > 0)
        qsort(fake.cache.names, fake.cache.count, sizeof fake.cache.names[0], fake_by_name);
    if (*at >= fake.cache.count)
        return END;
    memcpy(name, fake.cache.names[(*at)++].text, DISK_NAME_BYTES);
    return OK;
}

static struct disk_file *fake_open_inode(int inode)
{
    struct disk_file *file = mem_new(sizeof *file);
    file->inode            = inode;
    fake.inodes[inode].opens++;
    return file;
}

static void fake_sync_inode(struct fake_inode *inode)
{
    for (uint64_t s = 0; s < inode->sectors; s++)
        if (inode->is_dirty[s])
            memcpy(inode->disk + s * FAKE_SECTOR_BYTES, inode->cache + s * FAKE_SECTOR_BYTES,
                   FAKE_SECTOR_BYTES);
    memset(inode->is_dirty, 0, inode->sectors);
    inode->size_is_durable = true;
    fake.syncs++;
}

static void fake_sync_names(void)
{
    fake.change_count = 0;
    fake.disk         = fake.cache;
    for (int i = 0; i < FAKE_FILES_MAX; i++)
        fake_inode_drop(i);
    fake.syncs++;
}

/* Three operations: the name, the zeros with their sync, the sync of the name. */
enum status disk_create(struct disk *disk, const char *name, uint64_t bytes,
                        struct disk_file **file)
{
    bool partly;
    (void)disk;
    enum status status = fake_operation(true, &partly);
    if (status != OK)
        return status;
    if (fake_find(&fake.cache, name) != NULL)
        return EXISTS;
    if (fake.capacity != 0 && fake_used_bytes() + bytes > fake.capacity)
        return NO_SPACE;
    int inode = fake_inode_new(bytes);
    fake_change(FAKE_ADD, name, NULL, inode);
    memset(fake.inodes[inode].is_dirty, 1, fake.inodes[inode].sectors);
    status = fake_operation(true, &partly);
    if (status == OK) {
        fake_sync_inode(&fake.inodes[inode]);
        status = fake_operation(false, &partly);
    }
    if (status == OK) {
        fake_sync_names();
        *file = fake_open_inode(inode);
    } else if (!fake.is_off) {
        fake_change(FAKE_REMOVE, name, NULL, inode);
    }
    return status;
}

enum status disk_open_file(struct disk *disk, const char *name, struct disk_file **file)
{
    bool partly;
    (void)disk;
    struct fake_name *row = fake_find(&fake.cache, name);
    enum status status    = fake_operation(false, &partly);
    if (status == OK && row == NULL)
        status = NOT_FOUND;
    if (status == OK)
        *file = fake_open_inode(row->inode);
    return status;
}

void disk_close_file(struct disk_file *file)
{
    int inode = file->inode;
    must(fake.inodes[inode].opens > 0);
    fake.inodes[inode].opens--;
    mem_free(file);
    fake_inode_drop(inode);
}

enum status disk_unlink(struct disk *disk, const char *name)
{
    bool partly;
    (void)disk;
    struct fake_name *row = fake_find(&fake.cache, name);
    enum status status    = fake_operation(false, &partly);
    if (status == OK && row == NULL)
        status = NOT_FOUND;
    if (status == OK || (fake.is_off && partly && row != NULL))
        fake_change(FAKE_REMOVE, name, NULL, row->inode);
    return status;
}

enum status disk_rename(struct disk *disk, const char *from, const char *to)
{
    bool partly;
    (void)disk;
    struct fake_name *row = fake_find(&fake.cache, from);
    enum status status    = fake_operation(false, &partly);
    if (status == OK && row == NULL)
        status = NOT_FOUND;
    if (status == OK || (fake.is_off && partly && row != NULL))
        fake_change(FAKE_RENAME, from, to, row->inode);
    return status;
}

enum status disk_sync_directory(struct disk *disk)
{
    bool partly;
    (void)disk;
    enum status status = fake_operation(false, &partly);
    if (status == OK)
        fake_sync_names();
    return status;
}

uint64_t disk_file_bytes(const struct disk_file *file)
{
    return fake.inodes[file->inode].bytes;
}

static void fake_write(struct fake_inode *inode, uint64_t offset, struct span bytes)
{
    must(offset + bytes.len <= inode->bytes); /* the spool never lets a file grow */
    if (bytes.len == 0)
        return;
    memcpy(inode->cache + offset, bytes.at, bytes.len);
    for (uint64_t s = offset / FAKE_SECTOR_BYTES; s <= (offset + bytes.len - 1) / FAKE_SECTOR_BYTES;
         s++)
        inode->is_dirty[s] = true;
}

enum status disk_write(struct disk_file *file, uint64_t offset, struct span bytes)
{
    bool partly;
    enum status status = fake_operation(true, &partly);
    if (status == OK)
        fake_write(&fake.inodes[file->inode], offset, bytes);
    else if (partly) /* all of it when the power goes, else the front */
        fake_write(&fake.inodes[file->inode], offset,
                   span_first(bytes, fake.is_off ? bytes.len : bytes.len / 2));
    return status;
}

enum status disk_read(struct disk_file *file, uint64_t offset, void *into, size_t cap, size_t *got)
{
    const struct fake_inode *inode = &fake.inodes[file->inode];
    uint64_t left                  = offset < inode->bytes ? inode->bytes - offset : 0;
    *got                           = left < cap ? (size_t)left : cap;
    if (*got > 0)
        memcpy(into, inode->cache + offset, *got);
    return OK;
}

enum status disk_sync(struct disk_file *file)
{
    bool partly;
    struct fake_inode *inode = &fake.inodes[file->inode];
    enum status status       = fake_operation(false, &partly);
    if (status == OK)
        fake_sync_inode(inode);
    else if (!fake.is_off) /* the pages are clean now, and not on the disk */
        memset(inode->is_dirty, 0, inode->sectors);
    return status;
}

enum status disk_space(struct disk *disk, uint64_t *free_bytes, uint64_t *total_bytes)
{
    (void)disk;
    uint64_t used = fake_used_bytes();
    *total_bytes  = fake.capacity == 0 ? 1ULL << 40 : fake.capacity;
    *free_bytes   = used < *total_bytes ? *total_bytes - used : 0;
    return fake.is_off ? IO_ERROR : OK;
}

const char *disk_error(void)
{
    return fake.is_off ? "power is off" : "injected";
}
