/* SPDX-License-Identifier: MIT */
/*
 * Replays a fuzz target's corpus without a fuzzer: every file of tests/fuzz/corpus/NAME, where the
 * program is called NAME_replay. A crash is a failure; a target without a corpus is run on the
 * empty input.
 */
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned replay_file(const char *path)
{
    static uint8_t data[1 << 20];
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return 0;
    size_t size = fread(data, 1, sizeof data, file);
    (void)fclose(file);
    uint8_t *exact = malloc(size > 0 ? size : 1); /* so that one byte too far is seen */
    memcpy(exact, data, size);
    (void)LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    return 1;
}

int main(int argc, char **argv)
{
    char directory[256], path[600];
    const char *slash = strrchr(argv[0], '/'), *name = slash == NULL ? argv[0] : slash + 1;
    unsigned passed = 0;
    (void)argc;
    (void)snprintf(directory, sizeof directory, "tests/fuzz/corpus/%.*s",
                   (int)(strlen(name) - strlen("_replay")), name);
    (void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    DIR *corpus = opendir(directory);
    for (struct dirent *entry; corpus != NULL && (entry = readdir(corpus)) != NULL;) {
        (void)snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        if (entry->d_name[0] != '.')
            passed += replay_file(path);
    }
    if (corpus != NULL)
        (void)closedir(corpus);
    printf("%u passed, 0 failed\n", passed + 1);
    return 0;
}
