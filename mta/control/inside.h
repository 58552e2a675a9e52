/* SPDX-License-Identifier: MIT */
/* What the parts of control share: control.c (connections and the protocol), verbs.c (what can be
 * asked), walk.c (listings, slice by slice), overview.c (the server as a whole). */
#pragma once
#include "mta/base/list.h"
#include "mta/control/control.h"
#include "mta/control/listing.h"

enum {
    CONTROL_REQUEST_BYTES_MAX = 4096,
    CONTROL_WORDS_MAX         = 64,
    CONTROL_OUTPUT_BYTES      = 64 * 1024, /* above, a listing waits for the client to read */
    CONTROL_SLICE_RCPTS       = 2000,      /* recipients looked at in one turn for one client */
    CONTROL_CLIENTS_MAX       = 64,
    CONTROL_IDLE_MS           = 60 * 1000,
};

struct control_client;
/* Makes a part of the answer; true when it was the last one (client_end() has been called). */
typedef bool control_walk_fn(struct control_client *client, const struct moment *at);

enum rcpt_form { FORM_QUEUE, FORM_SHOW };

/* Where a long listing stands. */
struct control_walk {
    control_walk_fn *go_on; /* NULL: no listing is under way */
    struct selector selector;
    enum rcpt_form form;
    bool as_json;
    size_t cursor;       /* in the table of messages or sites */
    uint64_t message_id; /* whose recipients come now; 0: take the next message */
    uint32_t rcpt;       /* the next one of it */
    uint64_t rows;       /* so far */
};

struct control_client {
    unsigned kind;
    struct list link;
    struct control *control;
    struct net_conn *conn;
    struct buf input, output;
    struct buf text; /* what has been put together and not yet turned into lines of the answer */
    struct control_walk walk;
    uint64_t active_ms;              /* when something was last read or written */
    bool wants_reload, is_in_reload; /* asked for; being carried out */
    bool has_finished;               /* it sends no more requests */
    bool is_dead;
};

struct control {
    unsigned kind;
    struct control_world world;
    struct shard **shards;
    struct net_listener *listener;
    struct list clients;
    unsigned client_count;
};

/* Words of one request; they hold until the answer begins. */
struct control_request {
    struct span words[CONTROL_WORDS_MAX]; /* behind the verb, without --json and --dry-run */
    size_t count;
    bool as_json, dry_run;
};

/* Turns client->text into lines of the answer. */
void client_say(struct control_client *client);
/* The same, and this is all: the exit code. */
void client_end(struct control_client *client, int code);

/* verbs.c: carries out one request line. */
void control_run(struct control_client *client, struct span line, const struct moment *at);

/* walk.c */
void walk_rcpts(struct control_client *client, const struct selector *selector, enum rcpt_form form,
                bool as_json);
void walk_sites(struct control_client *client, bool as_json);

/* overview.c */
void overview_json(const struct control_world *world, uint64_t wall_ms, struct buf *into);
void overview_text(const struct control_world *world, uint64_t wall_ms, struct buf *into);
/* How far one message is: an object. */
void overview_progress(const struct message *m, struct buf *into);
