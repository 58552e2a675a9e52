/* SPDX-License-Identifier: MIT */
/* Each test has a folder of its own below /tmp; 'spool' in it is what disk_open() is given. */
#include "mta/base/buf.h"
#include "mta/base/mem.h"
#include "mta/sys/disk.h"
#include "tests/unit/check.h"
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH_BYTES = 128, FILE_BYTES = 700001 };

struct world {
    char folder[PATH_BYTES], spool[PATH_BYTES];
    struct disk *disk;
    struct buf error;
};

static const char *path_of(const struct world *w, const char *name)
{
    static char path[PATH_BYTES * 2];
    (void)snprintf(path, sizeof path, "%s/%s", w->spool, name);
    return path;
}

static void make_world(struct world *w)
{
    *w = (struct world){.folder = "/tmp/disk_test.XXXXXX"};
    assert_non_null(mkdtemp(w->folder));
    (void)snprintf(w->spool, sizeof w->spool, "%.100s/spool", w->folder);
}

static void open_world(struct world *w)
{
    make_world(w);
    assert_int_equal(disk_open(&w->disk, w->spool, &w->error), OK);
}

static void remove_world(struct world *w)
{
    char command[PATH_BYTES + 16];
    if (w->disk != NULL)
        disk_close(w->disk);
    buf_release(&w->error);
    (void)snprintf(command, sizeof command, "rm -rf %s", w->folder);
    assert_int_equal(system(command), 0);
}

static bool error_says(struct world *w, const char *text)
{
    return span_find_text(buf_span(&w->error), span_of(text)) < w->error.len;
}

static void touch(const struct world *w, const char *name)
{
    int fd = open(path_of(w, name), O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
}

static void a_missing_directory_is_made_for_us_alone(void **state)
{
    (void)state;
    struct world w;
    struct stat made;
    open_world(&w);
    assert_int_equal(stat(w.spool, &made), 0);
    assert_int_equal(made.st_mode & 07777, 0700);
    assert_int_equal(stat(path_of(&w, "lock"), &made), 0);
    remove_world(&w);
}

static void only_the_last_component_is_made(void **state)
{
    (void)state;
    struct world w;
    make_world(&w);
    (void)snprintf(w.spool, sizeof w.spool, "%.100s/no/spool", w.folder);
    assert_int_equal(disk_open(&w.disk, w.spool, &w.error), NOT_PERMITTED);
    assert_true(error_says(&w, w.spool));
    assert_true(error_says(&w, "make its parent"));
    remove_world(&w);
}

static void a_new_file_is_zeros_and_exact(void **state)
{
    (void)state;
    struct world w;
    struct disk_file *file;
    struct stat made;
    char *bytes = mem_new(FILE_BYTES + 10);
    size_t got;
    open_world(&w);
    assert_int_equal(disk_create(w.disk, "a.segment", FILE_BYTES, &file), OK);
    assert_int_equal(disk_file_bytes(file), FILE_BYTES);
    memset(bytes, 'x', FILE_BYTES + 10);
    assert_int_equal(disk_read(file, 0, bytes, FILE_BYTES + 10, &got), OK);
    assert_int_equal(got, FILE_BYTES);
    for (size_t i = 0; i < FILE_BYTES; i++)
        if (bytes[i] != 0)
            fail_msg("byte %zu is not zero", i);
    assert_int_equal(stat(path_of(&w, "a.segment"), &made), 0);
    assert_int_equal(made.st_mode & 07777, 0600);
    assert_true((uint64_t)made.st_blocks * 512 >= FILE_BYTES); /* no hole */
    disk_close_file(file);
    assert_int_equal(disk_create(w.disk, "a.segment", 1, &file), EXISTS);
    assert_true(strstr(disk_error(), "a.segment") != NULL);
    mem_free(bytes);
    remove_world(&w);
}

static void what_was_written_is_read_after_reopening(void **state)
{
    (void)state;
    struct world w;
    struct disk_file *file;
    struct span text = SPAN("hello");
    char bytes[16]   = {0};
    size_t got;
    open_world(&w);
    assert_int_equal(disk_create(w.disk, "f", 4096, &file), OK);
    assert_int_equal(disk_write(file, 1000, text), OK);
    assert_int_equal(disk_write(file, 4094, text), OK); /* beyond the end: it grows */
    assert_int_equal(disk_file_bytes(file), 4099);
    assert_int_equal(disk_sync(file), OK);
    disk_close_file(file);
    disk_close(w.disk);

    assert_int_equal(disk_open(&w.disk, w.spool, &w.error), OK);
    assert_int_equal(disk_open_file(w.disk, "f", &file), OK);
    assert_int_equal(disk_file_bytes(file), 4099);
    assert_int_equal(disk_read(file, 1000, bytes, 5, &got), OK);
    assert_true(span_is(span_make(bytes, got), "hello"));
    assert_int_equal(disk_read(file, 4097, bytes, sizeof bytes, &got), OK);
    assert_true(span_is(span_make(bytes, got), "lo"));
    assert_int_equal(disk_read(file, 5000, bytes, sizeof bytes, &got), OK);
    assert_int_equal(got, 0);
    disk_close_file(file);
    assert_int_equal(disk_open_file(w.disk, "none", &file), NOT_FOUND);
    remove_world(&w);
}

static void the_list_is_sorted_and_hides_the_lock(void **state)
{
    (void)state;
    struct world w;
    static const char *const names[] = {"c", "a", "b10", "b9"};
    static const char *const order[] = {"a", "b10", "b9", "c"};
    char name[DISK_NAME_BYTES];
    size_t at = 0;
    open_world(&w);
    assert_int_equal(disk_list(w.disk, &at, name), END);
    for (int i = 0; i < 4; i++)
        touch(&w, names[i]);
    at = 0;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(disk_list(w.disk, &at, name), OK);
        assert_string_equal(name, order[i]);
    }
    assert_int_equal(disk_list(w.disk, &at, name), END);
    remove_world(&w);
}

static void a_file_may_go_while_it_is_listed(void **state)
{
    (void)state;
    struct world w;
    char name[DISK_NAME_BYTES];
    size_t at = 0;
    open_world(&w);
    touch(&w, "a");
    touch(&w, "b");
    touch(&w, "c");
    assert_int_equal(disk_list(w.disk, &at, name), OK);
    assert_int_equal(disk_unlink(w.disk, "b"), OK);
    assert_int_equal(disk_list(w.disk, &at, name), OK);
    assert_string_equal(name, "c");
    assert_int_equal(disk_list(w.disk, &at, name), END);
    remove_world(&w);
}

static void many_files_are_listed(void **state)
{
    (void)state;
    struct world w;
    char name[DISK_NAME_BYTES], expected[DISK_NAME_BYTES];
    size_t at = 0;
    open_world(&w);
    for (int i = 0; i < 500; i++) {
        (void)snprintf(name, sizeof name, "%06d", i);
        touch(&w, name);
    }
    for (int i = 0; i < 500; i++) {
        (void)snprintf(expected, sizeof expected, "%06d", i);
        assert_int_equal(disk_list(w.disk, &at, name), OK);
        assert_string_equal(name, expected);
    }
    assert_int_equal(disk_list(w.disk, &at, name), END);
    remove_world(&w);
}

/* What may not lie in the directory, and how it gets there. */

static void plant_symlink(const struct world *w)
{
    assert_int_equal(symlink("/etc/passwd", path_of(w, "planted")), 0);
}

static void plant_hard_link(const struct world *w)
{
    char other[PATH_BYTES * 2];
    touch(w, "planted");
    (void)snprintf(other, sizeof other, "%s/other", w->folder);
    assert_int_equal(link(path_of(w, "planted"), other), 0);
}

static void plant_pipe(const struct world *w)
{
    assert_int_equal(mkfifo(path_of(w, "planted"), 0600), 0);
}

static void plant_directory(const struct world *w)
{
    assert_int_equal(mkdir(path_of(w, "planted"), 0700), 0);
}

static void foreign_entries_are_refused(void **state)
{
    (void)state;
    static void (*const plants[])(const struct world *w) = {plant_symlink, plant_hard_link,
                                                            plant_pipe, plant_directory};
    for (size_t i = 0; i < sizeof plants / sizeof plants[0]; i++) {
        struct world w;
        struct disk_file *file;
        char name[DISK_NAME_BYTES];
        size_t at = 0;
        open_world(&w);
        plants[i](&w);
        touch(&w, "z");
        assert_int_equal(disk_list(w.disk, &at, name), NOT_PERMITTED);
        assert_string_equal(name, "planted");
        assert_true(strstr(disk_error(), "planted") != NULL);
        assert_int_equal(disk_list(w.disk, &at, name), OK); /* it goes on behind it */
        assert_int_not_equal(disk_open_file(w.disk, "planted", &file), OK);
        assert_int_equal(disk_create(w.disk, "planted", 1, &file), EXISTS);
        remove_world(&w);
    }
}

static void a_foreign_owner_is_refused(void **state)
{
    (void)state;
    if (geteuid() != 0)
        return; /* nobody else can give files away */
    struct world w;
    struct disk_file *file;
    char name[DISK_NAME_BYTES];
    size_t at = 0;
    open_world(&w);
    touch(&w, "f");
    assert_int_equal(chown(path_of(&w, "f"), 1, 1), 0);
    assert_int_equal(disk_list(w.disk, &at, name), NOT_PERMITTED);
    assert_int_equal(disk_open_file(w.disk, "f", &file), NOT_PERMITTED);
    disk_close(w.disk);
    w.disk = NULL;
    assert_int_equal(chown(w.spool, 1, 1), 0);
    assert_int_equal(disk_open(&w.disk, w.spool, &w.error), NOT_PERMITTED);
    assert_true(error_says(&w, "belongs to user 1"));
    remove_world(&w);
}

static void a_name_that_is_too_long_is_refused(void **state)
{
    (void)state;
    struct world w;
    char name[DISK_NAME_BYTES], longer[DISK_NAME_BYTES + 1];
    size_t at = 0;
    memset(longer, 'n', DISK_NAME_BYTES);
    longer[DISK_NAME_BYTES] = '\0';
    open_world(&w);
    touch(&w, longer);
    assert_int_equal(disk_list(w.disk, &at, name), NOT_PERMITTED);
    assert_int_equal(strlen(name), DISK_NAME_BYTES - 1);
    assert_int_equal(disk_list(w.disk, &at, name), END);
    remove_world(&w);
}

static void a_directory_open_to_others_is_refused(void **state)
{
    (void)state;
    static const mode_t modes[] = {0755, 0770, 0701, 0720};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        struct world w;
        make_world(&w);
        assert_int_equal(mkdir(w.spool, 0700), 0);
        assert_int_equal(chmod(w.spool, modes[i]), 0);
        assert_int_equal(disk_open(&w.disk, w.spool, &w.error), NOT_PERMITTED);
        assert_true(error_says(&w, "chmod 0700"));
        assert_true(error_says(&w, w.spool));
        remove_world(&w);
    }
}

static void a_link_or_a_file_is_no_directory(void **state)
{
    (void)state;
    struct world w;
    char real[PATH_BYTES * 2];
    make_world(&w);
    (void)snprintf(real, sizeof real, "%s/real", w.folder);
    assert_int_equal(mkdir(real, 0700), 0);
    assert_int_equal(symlink(real, w.spool), 0);
    assert_int_equal(disk_open(&w.disk, w.spool, &w.error), NOT_PERMITTED);
    assert_int_equal(disk_open(&w.disk, path_of(&w, ""), &w.error), NOT_PERMITTED); /* "spool/" */
    assert_int_equal(unlink(w.spool), 0);
    int fd = open(w.spool, O_CREAT | O_WRONLY, 0600);
    (void)close(fd);
    assert_int_equal(disk_open(&w.disk, w.spool, &w.error), NOT_PERMITTED);
    remove_world(&w);
}

static void a_planted_lock_is_refused(void **state)
{
    (void)state;
    struct world w;
    make_world(&w);
    assert_int_equal(mkdir(w.spool, 0700), 0);
    assert_int_equal(symlink("/etc/passwd", path_of(&w, "lock")), 0);
    assert_int_equal(disk_open(&w.disk, w.spool, &w.error), NOT_PERMITTED);
    assert_int_equal(unlink(path_of(&w, "lock")), 0);
    assert_int_equal(mkfifo(path_of(&w, "lock"), 0600), 0);
    assert_int_equal(disk_open(&w.disk, w.spool, &w.error), NOT_PERMITTED);
    remove_world(&w);
}

static void a_second_opener_is_told_of_the_lock(void **state)
{
    (void)state;
    struct world w;
    struct disk *second;
    open_world(&w);
    assert_int_equal(disk_open(&second, w.spool, &w.error), EXISTS);
    assert_true(error_says(&w, "in use"));
    disk_close(w.disk);
    assert_int_equal(disk_open(&w.disk, w.spool, &w.error), OK);
    remove_world(&w);
}

static void a_killed_holder_leaves_no_lock(void **state)
{
    (void)state;
    struct world w;
    int ready[2], how;
    char byte;
    make_world(&w);
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        bool has_opened = disk_open(&w.disk, w.spool, &w.error) == OK;
        (void)!write(ready[1], has_opened ? "y" : "n", 1);
        for (;;)
            (void)pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    assert_int_equal(disk_open(&w.disk, w.spool, &w.error), EXISTS);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_int_equal(disk_open(&w.disk, w.spool, &w.error), OK);
    (void)close(ready[0]);
    (void)close(ready[1]);
    remove_world(&w);
}

static void an_unlinked_file_stays_readable(void **state)
{
    (void)state;
    struct world w;
    struct disk_file *file, *again;
    struct span text = SPAN("still here");
    char bytes[16];
    size_t got;
    open_world(&w);
    assert_int_equal(disk_create(w.disk, "f", 100, &file), OK);
    assert_int_equal(disk_write(file, 0, text), OK);
    assert_int_equal(disk_unlink(w.disk, "f"), OK);
    assert_int_equal(disk_unlink(w.disk, "f"), NOT_FOUND);
    assert_int_equal(disk_sync_directory(w.disk), OK);
    assert_int_equal(disk_open_file(w.disk, "f", &again), NOT_FOUND);
    assert_int_equal(disk_read(file, 0, bytes, text.len, &got), OK);
    assert_true(span_equals(span_make(bytes, got), text));
    disk_close_file(file);
    remove_world(&w);
}

static void a_rename_moves_the_name(void **state)
{
    (void)state;
    struct world w;
    struct disk_file *file;
    open_world(&w);
    assert_int_equal(disk_create(w.disk, "old", 0, &file), OK);
    disk_close_file(file);
    assert_int_equal(disk_rename(w.disk, "old", "new"), OK);
    assert_int_equal(disk_rename(w.disk, "old", "new"), NOT_FOUND);
    assert_int_equal(disk_open_file(w.disk, "new", &file), OK);
    disk_close_file(file);
    remove_world(&w);
}

static void a_create_that_fails_leaves_nothing(void **state)
{
    (void)state;
    struct world w;
    struct disk_file *file;
    struct rlimit before, tight;
    open_world(&w);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    tight                = before;
    tight.rlim_cur       = 10000;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    enum status status = disk_create(w.disk, "big", 1 << 20, &file);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, handler);
    assert_int_not_equal(status, OK);
    assert_int_not_equal(access(path_of(&w, "big"), F_OK), 0);
    remove_world(&w);
}

static void more_than_the_disk_has_is_no_space(void **state)
{
    (void)state;
    struct world w;
    struct disk_file *file;
    uint64_t free_bytes = 0, total_bytes = 0;
    open_world(&w);
    assert_int_equal(disk_space(w.disk, &free_bytes, &total_bytes), OK);
    assert_true(free_bytes > 0 && free_bytes <= total_bytes);
    enum status status = disk_create(w.disk, "huge", total_bytes + (1 << 30), &file);
    assert_true(status == NO_SPACE || status == IO_ERROR); /* IO_ERROR: beyond a file's limit */
    assert_int_not_equal(access(path_of(&w, "huge"), F_OK), 0);
    remove_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_directory_is_made_for_us_alone),
        cmocka_unit_test(only_the_last_component_is_made),
        cmocka_unit_test(a_new_file_is_zeros_and_exact),
        cmocka_unit_test(what_was_written_is_read_after_reopening),
        cmocka_unit_test(the_list_is_sorted_and_hides_the_lock),
        cmocka_unit_test(a_file_may_go_while_it_is_listed),
        cmocka_unit_test(many_files_are_listed),
        cmocka_unit_test(foreign_entries_are_refused),
        cmocka_unit_test(a_foreign_owner_is_refused),
        cmocka_unit_test(a_name_that_is_too_long_is_refused),
        cmocka_unit_test(a_directory_open_to_others_is_refused),
        cmocka_unit_test(a_link_or_a_file_is_no_directory),
        cmocka_unit_test(a_planted_lock_is_refused),
        cmocka_unit_test(a_second_opener_is_told_of_the_lock),
        cmocka_unit_test(a_killed_holder_leaves_no_lock),
        cmocka_unit_test(an_unlinked_file_stays_readable),
        cmocka_unit_test(a_rename_moves_the_name),
        cmocka_unit_test(a_create_that_fails_leaves_nothing),
        cmocka_unit_test(more_than_the_disk_has_is_no_space),
    };
    return RUN(tests);
}
