/* SPDX-License-Identifier: MIT */
/*
 * Script: what the players of golden transcripts share.  A transcript file holds any number of
 * transcripts; each starts with "# title" and is made of lines "K: text", K one letter.
 *
 * Text understands \r \n \0 \t \\ and \xHH, so that raw bytes can be written down.
 */
#pragma once
#include "mta/base/span.h"
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCRIPT_FILE_BYTES = 1 << 17, SCRIPT_LINE_BYTES = 8192 };

struct script {
    const char *file;
    char text[SCRIPT_FILE_BYTES];
    size_t line; /* number of the current one */
    const char *next;
    char kind; /* of the current line; '#' starts a transcript, 0: end of file */
    char unescaped[SCRIPT_LINE_BYTES];
    struct span content;
};

static inline bool script_open(struct script *s, const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    size_t n   = fread(s->text, 1, sizeof s->text - 1, file);
    s->text[n] = '\0';
    s->file    = path;
    s->next    = s->text;
    s->line    = 0;
    (void)fclose(file);
    return n > 0 && n < sizeof s->text - 1;
}

static inline void script_rewind(struct script *s)
{
    s->next = s->text;
    s->line = 0;
}

/* One character of text, escaped or not; returns how many bytes it was. */
static inline size_t script_character(struct span text, char *into)
{
    static const char names[] = "rnt0\\", values[] = "\r\n\t\0\\";
    const char *name;
    *into = text.at[0];
    if (text.at[0] != '\\' || text.len < 2)
        return 1;
    if (text.at[1] == 'x' && text.len >= 4) {
        char digits[3] = {text.at[2], text.at[3], '\0'};
        *into          = (char)strtoul(digits, NULL, 16);
        return 4;
    }
    name = strchr(names, text.at[1]);
    if (name == NULL)
        return 1;
    *into = values[name - names];
    return 2;
}

static inline void script_unescape(struct script *s, struct span text)
{
    size_t len = 0;
    while (text.len > 0 && len < sizeof s->unescaped)
        text = span_skip(text, script_character(text, &s->unescaped[len++]));
    s->content = span_make(s->unescaped, len);
}

/* The next line that says something; false at the end of the file. */
static inline bool script_next(struct script *s)
{
    s->kind = '\0';
    while (*s->next != '\0') {
        struct span line = span_first(span_of(s->next), strcspn(s->next, "\n"));
        s->next += line.len + (s->next[line.len] == '\n');
        s->line++;
        if (line.len > 0 && line.at[0] == '#') {
            s->kind = '#';
            return true;
        }
        if (line.len >= 2 && line.at[1] == ':') {
            s->kind = line.at[0];
            script_unescape(s, span_skip(line, 3));
            return true;
        }
    }
    return false;
}
