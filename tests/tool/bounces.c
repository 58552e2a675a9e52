/* SPDX-License-Identifier: MIT */
/* Reads the messages named on the command line as bounces and prints a line for each: kind, then
 * action, blame and address of each recipient.  For tests against other readers. */
#include "mta/base/buf.h"
#include "mta/mail/bounce.h"
#include <stdio.h>
#include <string.h>

static void read_canonical(FILE *file, struct buf *into)
{
    int c, previous = 0;
    char line[1024];
    if (fgets(line, sizeof line, file) == NULL || strncmp(line, "From ", 5) != 0)
        rewind(file); /* else it was cut out of a mailbox */
    while ((c = getc(file)) != EOF) {
        if (c == '\n' && previous != '\r')
            buf_put_byte(into, '\r');
        buf_put_byte(into, (char)c);
        previous = c;
    }
}

static void print_bounce(const char *name, const struct bounce *bounce)
{
    static const char *const actions[] = {"failed", "delayed", "gone-on"};
    printf("%s %s", name, bounce_kind_text(bounce->kind));
    for (size_t i = 0; i < bounce->count; i++)
        printf(" %s/%s/%s", actions[bounce->rcpts[i].action], blame_text(bounce->rcpts[i].blame),
               bounce->rcpts[i].address);
    printf("\n");
}

int main(int argc, char **argv)
{
    static struct bounce bounce;
    for (int i = 1; i < argc; i++) {
        struct buf message = {0};
        FILE *file         = fopen(argv[i], "re");
        if (file == NULL) {
            perror(argv[i]);
            return 1;
        }
        read_canonical(file, &message);
        (void)fclose(file);
        bounce_read(buf_span(&message), true, &bounce);
        print_bounce(argv[i], &bounce);
        buf_release(&message);
    }
    return 0;
}
