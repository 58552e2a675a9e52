/* SPDX-License-Identifier: MIT */
#include "mta/sys/file.h"
#include "tests/unit/check.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EDITORS = 8, EDITS = 20 };

static char directory[64], path[96];

static int make_directory(void **state)
{
    (void)state;
    (void)snprintf(directory, sizeof directory, "/tmp/mailrace-file-XXXXXX");
    if (mkdtemp(directory) == NULL)
        return -1;
    (void)snprintf(path, sizeof path, "%s/file", directory);
    return 0;
}

static int drop_directory(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(directory); /* fails when anything was left beside it */
}

static void put(const char *text)
{
    struct buf error = {0};
    assert_int_equal(file_replace(path, span_of(text), 0640, &error), OK);
    assert_int_equal(error.len, 0);
    buf_release(&error);
}

static void holds(const char *text)
{
    struct buf bytes = {0}, error = {0};
    assert_int_equal(file_read(path, &bytes, &error), OK);
    assert_string_equal(buf_text(&bytes), text);
    buf_release(&bytes);
    buf_release(&error);
}

static unsigned mode_of(void)
{
    struct stat found;
    assert_int_equal(stat(path, &found), 0);
    return found.st_mode & 07777;
}

static void what_was_replaced_is_read(void **state)
{
    (void)state;
    put("one");
    holds("one");
    put("");
    holds("");
    put("three\nlines\n\n");
    holds("three\nlines\n\n");
}

static void the_mode_stays(void **state)
{
    (void)state;
    put("one");
    assert_int_equal(mode_of(), 0640);
    assert_int_equal(chmod(path, 0600), 0);
    put("two");
    assert_int_equal(mode_of(), 0600);
}

static void refuses(const char *words)
{
    struct buf bytes = {0}, error = {0};
    assert_int_equal(file_read_secret(path, &bytes, &error), NOT_PERMITTED);
    if (strstr(buf_text(&error), words) == NULL)
        print_error("said: %s\n", buf_text(&error));
    assert_non_null(strstr(buf_text(&error), words));
    assert_non_null(strstr(buf_text(&error), path));
    buf_release(&bytes);
    buf_release(&error);
}

static void a_secret_is_for_few(void **state)
{
    static const unsigned good[] = {0600, 0640, 0400, 0440};
    static const unsigned bad[]  = {0644, 0604, 0660, 0666, 0650, 0601};
    (void)state;
    put("secret");
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct buf bytes = {0}, error = {0};
        assert_int_equal(chmod(path, good[i]), 0);
        assert_int_equal(file_read_secret(path, &bytes, &error), OK);
        buf_release(&bytes);
        buf_release(&error);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(chmod(path, bad[i]), 0);
        refuses("chmod");
        holds("secret");
    }
}

static void what_is_no_file_is_not_read(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    refuses("no regular file");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    refuses("no regular file");
    assert_int_equal(rmdir(path), 0);
}

static void a_failure_says_which_file(void **state)
{
    struct buf bytes = {0}, error = {0};
    (void)state;
    assert_int_equal(file_read(path, &bytes, &error), NOT_FOUND);
    assert_non_null(strstr(buf_text(&error), path));
    buf_clear(&error);
    assert_int_equal(file_replace("/nowhere/at/all", span_of("x"), 0600, &error), NOT_FOUND);
    assert_non_null(strstr(buf_text(&error), "/nowhere/at/all"));
    buf_clear(&error);
    assert_int_equal(file_lock("/nowhere/at/all", &error), -1);
    assert_non_null(strstr(buf_text(&error), "/nowhere/at/all"));
    buf_release(&bytes);
    buf_release(&error);
}

static void a_link_is_followed(void **state)
{
    char link_path[128];
    struct stat found;
    struct buf error = {0};
    (void)state;
    put("one");
    (void)snprintf(link_path, sizeof link_path, "%s/link", directory);
    assert_int_equal(symlink("file", link_path), 0);
    assert_int_equal(file_replace(link_path, span_of("two"), 0600, &error), OK);
    assert_int_equal(lstat(link_path, &found), 0);
    assert_true(S_ISLNK(found.st_mode));
    holds("two");
    assert_int_equal(unlink(link_path), 0);
    buf_release(&error);
}

/* Each takes what is there and adds a letter; without the lock some would be lost. */
static void edit(void)
{
    for (int i = 0; i < EDITS; i++) {
        struct buf bytes = {0}, error = {0};
        int lock = file_lock(path, &error);
        if (lock < 0 || file_read(path, &bytes, &error) != OK)
            _exit(1);
        buf_put_byte(&bytes, 'x');
        if (file_replace(path, buf_span(&bytes), 0600, &error) != OK)
            _exit(1);
        file_unlock(lock);
        buf_release(&bytes);
    }
    _exit(0);
}

static void editors_wait_for_each_other(void **state)
{
    struct buf bytes = {0}, error = {0};
    (void)state;
    for (int i = 0; i < EDITORS; i++)
        if (fork() == 0)
            edit();
    for (int i = 0; i < EDITORS; i++) {
        int status = 1;
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    assert_int_equal(file_read(path, &bytes, &error), OK);
    assert_int_equal(bytes.len, EDITORS * EDITS);
    assert_int_equal(mode_of(), 0600);
    buf_release(&bytes);
    buf_release(&error);
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_directory, drop_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(what_was_replaced_is_read),   IN_DIRECTORY(the_mode_stays),
        IN_DIRECTORY(a_secret_is_for_few),         IN_DIRECTORY(what_is_no_file_is_not_read),
        IN_DIRECTORY(a_failure_says_which_file),   IN_DIRECTORY(a_link_is_followed),
        IN_DIRECTORY(editors_wait_for_each_other),
    };
    return RUN(tests);
}
