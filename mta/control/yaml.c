/* SPDX-License-Identifier: MIT */
#include "mta/control/yaml.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/mail/escape.h"
#include <errno.h>
#include <libfyaml.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { YAML_FILE_BYTES_MAX = 1 << 20, YAML_DEPTH_MAX = 8 };

/* --- complaints --- */

static struct span line_of(const struct yaml_file *file, unsigned line)
{
    struct span rest = buf_span(&file->source), found = {"", 0};
    for (unsigned i = 0; i < line; i++)
        if (!span_cut(&rest, '\n', &found))
            return (struct span){"", 0};
    return found;
}

void yaml_complain(struct yaml_file *file, unsigned line, unsigned column, const char *format, ...)
{
    struct buf *out = file->complaints;
    char sentence[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    file->errors++;
    buf_printf(out, "%s:%u:%u: ", file->name, line, column);
    escape_text(span_of(sentence), sizeof sentence, out);
    buf_put_text(out, "\n    ");
    struct span text = line_of(file, line);
    escape_text(text, 200, out);
    buf_put_text(out, "\n    ");
    for (unsigned i = 1; i < column && i < 200; i++)
        buf_put_byte(out, ' ');
    buf_put_text(out, "^\n");
}

/* --- libfyaml --- */

struct place {
    unsigned line, column;
};

static struct place place_of(struct fy_token *token, struct place otherwise)
{
    const struct fy_mark *mark = token == NULL ? NULL : fy_token_start_mark(token);
    if (mark == NULL)
        return otherwise;
    return (struct place){(unsigned)mark->line + 1, (unsigned)mark->column + 1};
}

static const char *text_of(struct yaml_file *file, struct fy_node *node)
{
    size_t len       = 0;
    const char *text = fy_node_get_scalar(node, &len);
    return arena_text(file->arena, span_make(text == NULL ? "" : text, text == NULL ? 0 : len));
}

static struct yaml_node *convert(struct yaml_file *file, struct fy_node *from, struct place place,
                                 unsigned depth);

static void append(struct yaml_node *parent, struct yaml_node ***end, struct yaml_node *child)
{
    if (*end == NULL)
        *end = &parent->first;
    **end = child;
    *end  = &child->next;
}

static void convert_map(struct yaml_file *file, struct fy_node *from, struct yaml_node *into,
                        unsigned depth)
{
    struct yaml_node **end = NULL;
    struct fy_node_pair *pair;
    void *at = NULL;
    while ((pair = fy_node_mapping_iterate(from, &at)) != NULL) {
        struct fy_node *key     = fy_node_pair_key(pair);
        struct place place      = {into->line, into->column};
        struct yaml_node *child = NULL;
        if (key != NULL)
            place = place_of(fy_node_get_scalar_token(key), place);
        child             = convert(file, fy_node_pair_value(pair), place, depth + 1);
        child->key        = key == NULL ? "" : text_of(file, key);
        child->key_line   = place.line;
        child->key_column = place.column;
        append(into, &end, child);
    }
}

static void convert_list(struct yaml_file *file, struct fy_node *from, struct yaml_node *into,
                         unsigned depth)
{
    struct yaml_node **end = NULL;
    struct fy_node *item;
    void *at = NULL;
    while ((item = fy_node_sequence_iterate(from, &at)) != NULL)
        append(into, &end,
               convert(file, item, (struct place){into->line, into->column}, depth + 1));
}

static void refuse_fancy(struct yaml_file *file, struct fy_node *node, struct place place)
{
    size_t len;
    if (fy_node_is_alias(node) || fy_node_get_anchor(node) != NULL)
        yaml_complain(file, place.line, place.column,
                      "anchors and aliases are not understood here");
    if (fy_node_get_tag(node, &len) != NULL)
        yaml_complain(file, place.line, place.column, "tags are not understood here");
}

static struct yaml_node *convert(struct yaml_file *file, struct fy_node *from, struct place place,
                                 unsigned depth)
{
    struct yaml_node *node = arena_new(file->arena, sizeof *node);
    node->text             = "";
    if (from != NULL && fy_node_is_scalar(from))
        place = place_of(fy_node_get_scalar_token(from), place);
    node->line   = place.line;
    node->column = place.column;
    if (from == NULL)
        return node;
    refuse_fancy(file, from, place);
    if (depth > YAML_DEPTH_MAX)
        yaml_complain(file, place.line, place.column, "nested too deeply");
    else if (fy_node_is_mapping(from)) {
        node->kind = YAML_MAP;
        convert_map(file, from, node, depth);
        if (node->first != NULL) { /* it stands where its first key does */
            node->line   = node->first->key_line;
            node->column = node->first->key_column;
        }
    } else if (fy_node_is_sequence(from)) {
        node->kind = YAML_LIST;
        convert_list(file, from, node, depth);
    } else {
        node->text = text_of(file, from);
    }
    return node;
}

static void take_syntax_errors(struct yaml_file *file, struct fy_diag *diag)
{
    struct fy_diag_error *error;
    void *at = NULL;
    while ((error = fy_diag_errors_iterate(diag, &at)) != NULL)
        yaml_complain(file, error->line > 0 ? (unsigned)error->line : 1,
                      error->column > 0 ? (unsigned)error->column : 1, "%s", error->msg);
    if (file->errors == 0)
        yaml_complain(file, 1, 1, "this is no YAML");
}

static bool read_source(struct yaml_file *file)
{
    FILE *in = fopen(file->name, "rbe");
    size_t n = 0;
    if (in == NULL) {
        buf_printf(file->complaints, "%s: %s\n", file->name, strerror(errno));
        file->errors++;
        return false;
    }
    do {
        n = fread(buf_reserve(&file->source, 65536), 1, 65536, in);
        file->source.len += n;
    } while (n > 0 && file->source.len <= YAML_FILE_BYTES_MAX);
    bool is_good = ferror(in) == 0 && file->source.len <= YAML_FILE_BYTES_MAX;
    (void)fclose(in);
    if (!is_good) {
        buf_printf(file->complaints, "%s: cannot be read, or is larger than 1 MiB\n", file->name);
        file->errors++;
    }
    return is_good;
}

static bool is_blank(struct span source)
{
    struct span line;
    while (span_cut(&source, '\n', &line)) {
        line = span_trim(line);
        if (line.len > 0 && *line.at != '#')
            return false;
    }
    return true;
}

static struct yaml_node *parse(struct yaml_file *file, struct fy_diag *diag)
{
    struct fy_parse_cfg config   = {.flags = FYPCF_QUIET, .diag = diag};
    struct span source           = buf_span(&file->source);
    struct yaml_node *root       = NULL;
    struct fy_document *document = fy_document_build_from_string(&config, source.at, source.len);
    if (document == NULL) {
        take_syntax_errors(file, diag);
        return NULL;
    }
    root = convert(file, fy_document_root(document), (struct place){1, 1}, 0);
    fy_document_destroy(document);
    return root;
}

struct yaml_node *yaml_read(struct yaml_file *file)
{
    struct fy_diag_cfg diag_config;
    if (!read_source(file))
        return NULL;
    if (is_blank(buf_span(&file->source))) {
        struct yaml_node *empty = arena_new(file->arena, sizeof *empty);
        empty->kind             = YAML_MAP;
        return empty;
    }
    fy_diag_cfg_default(&diag_config);
    diag_config.fp       = NULL;
    struct fy_diag *diag = fy_diag_create(&diag_config);
    must(diag != NULL);
    fy_diag_set_collect_errors(diag, true);
    struct yaml_node *root = parse(file, diag);
    fy_diag_destroy(diag);
    if (root != NULL && root->kind != YAML_MAP)
        yaml_complain(file, root->line, root->column, "the file must hold 'key: value' lines");
    return file->errors == 0 ? root : NULL;
}

void yaml_file_release(struct yaml_file *file)
{
    buf_release(&file->source);
}
