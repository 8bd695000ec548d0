/*
 * store.h - what a store must do for the shard: commit batches with a
 * compare-and-set per room, and read. PostgreSQL implements it in production
 * (store_pg*.c), the simulator in memory. Asynchronous: each call either
 * returns <0 and never calls back, or calls back exactly once, never before it
 * has returned. What a callback is given is only valid during the call; what a
 * call is given is only needed until it returns (but for submit).
 */
#pragma once

#include "common/base/macros.h"
#include "shard/room/entry.h"

struct store;

/* How a request ended. */
enum store_result {
    STORE_OK = 0,
    STORE_NOT_FOUND,   /* no such row */
    STORE_UNAVAILABLE, /* nothing was sent or nothing was done: try again later */
    STORE_UNKNOWN,     /* submit only: the connection was lost with the batch in flight; it may
                          commit now, later or never */
    STORE_BAD_DATA,    /* submit only: the server refused a value, or a unique key exists (see
                          is_duplicate); nothing was written */
    STORE_FAILED, /* a refusal that another try will not change (bug, permission); logged with
                     its text */
};

struct room_row {
    uint64_t last_seq;
    int64_t last_id;
    int64_t last_created_us;
    uint64_t fence;
    uint64_t generation;   /* another one when the store may have forgotten the room's end */
    uint64_t forked_from;  /* the generation before; 0: none. Of its cursors those up to ... */
    uint64_t forked_at;    /* ... this are good still: until there both are the same */
    uint64_t resume_floor; /* a cursor below this cannot be resumed */
    int64_t created_us;
    struct slice type; /* dm, group, public, announcement */
    struct slice name;
    struct slice created_by;
    uint64_t message_count;
    int64_t pinned_id, pinned_us; /* 0: nothing is pinned */
    struct slice pinned_by;
    struct slice settings; /* JSON object, or empty */
};

struct restriction_row {
    struct slice user;
    int64_t muted_us, banned_us; /* until; 0: not, RESTRICT_FOREVER_US: for good */
};

struct member_row {
    struct slice user;
    enum member_role role;
    int64_t joined_us;
    bool notify_enabled;
    struct slice preferences; /* JSON object, or empty */
};

/* ---- commit ---- */

/* A member to begin with. */
struct member_op {
    struct slice user;
    enum member_role role;
    int64_t at_us;
};

/* What else an entry or a change of one writes, in the same commit. */
enum side_kind {
    SIDE_MEMBER = 1, /* user becomes a member with `role` (ROLE_NONE: is removed) */
    SIDE_RESTRICT,   /* user's muted_us and banned_us are set: 0 none, RESTRICT_FOREVER_US */
    SIDE_PIN,        /* the room's pinned message is `id` (0: none), by actor */
    SIDE_ROOM, /* the room gets this type, name (text) and settings (json); empty: it keeps what
                  it has; no settings any more are {} */
    SIDE_MENTION, /* user, or "@channel", "@here", "@role:x", was named in the entry `seq` */
    SIDE_AUDIT, /* action (text), actor, user (target, may be empty), detail (json or empty) */
};
#define RESTRICT_FOREVER_US INT64_MAX

struct side_op {
    enum side_kind kind;
    enum member_role role;
    uint64_t seq;  /* of the event that it belongs to (MENTION: of the entry); the committer
                      fills it in */
    int64_t at_us; /* when: likewise */
    int64_t muted_us, banned_us;
    int64_t id;
    struct slice user, actor, type, text, json;
};

/* The key of a change of an entry, so that one sent again is recognised (room_ops). */
struct batch_key {
    uint8_t key[DEDUPE_LEN];
    uint64_t seq;    /* that the change took */
    uint64_t target; /* seq of the entry that it changed */
};

/* What one room contributes to a batch: all or nothing. */
struct batch_room {
    struct slice project, room;
    uint64_t fence;      /* ours; the room row must still bear it */
    uint64_t expect_seq; /* compare: the row's last_seq */
    uint64_t new_seq;    /* set */
    int64_t last_id;     /* set; no other batch of the room sets the same */
    int64_t last_created_us;
    uint64_t message_count;       /* set: messages ever created in the room */
    struct entry *const *entries; /* new ones in seq order; expect_seq < seq <= new_seq */
    size_t n_entries;
    struct entry *const
        *changed; /* the last image of each older entry that changes, each once */
    size_t n_changed;
    const struct batch_key *keys; /* of changes that bear one */
    size_t n_keys;
    const struct side_op *ops; /* each (kind, user) at most once, but for mentions and audit */
    size_t n_ops;
};

struct batch {
    const struct batch_room *rooms; /* ascending by (project, room), each once */
    size_t n_rooms;
};

/* STORE_OK: committed[i] says whether room i took part; false: its compare-and-set failed or
 * its row was locked. */
typedef void (*store_submit_fn)(void *arg, enum store_result result, const bool *committed,
                                bool is_duplicate);

/* ---- reads ---- */

struct claim_result {
    struct room_row row;
    const struct member_row *members;
    size_t n_members;
    const struct restriction_row *restrictions; /* that are in force */
    size_t n_restrictions;
    /* The newest tail_len entries by seq, and at most as many older ones, those that were
     * changed last since the first of them; ascending by updated_seq; borrowed, take
     * references. Everything with updated_seq > touched_floor is here, and everything with
     * seq > seq_floor; both are 0 when the whole room is. */
    struct entry *const *tail;
    size_t n_tail;
    struct entry *const *streams; /* that are not over, by seq; none without a tail */
    size_t n_streams;
    uint64_t touched_floor, seq_floor;
};
typedef void (*store_claim_fn)(void *arg, enum store_result result,
                               const struct claim_result *claim);

struct page {
    struct entry *const *entries; /* borrowed, take references */
    size_t n_entries;
    uint64_t head; /* last_seq of the room in the same snapshot */
    uint64_t generation;
    uint64_t resume_floor;
    bool more; /* there are further entries in the direction asked */
};
typedef void (*store_page_fn)(void *arg, enum store_result result, const struct page *page);

enum page_kind {
    PAGE_CHANGED_AFTER, /* entries with updated_seq > seq, ascending by updated_seq (resume) */
    PAGE_BEFORE_SEQ,    /* messages with seq < seq, descending */
    PAGE_AFTER_SEQ,     /* messages with seq > seq, ascending */
    PAGE_BEFORE_TIME,   /* messages with created_us < time_us, descending */
};

struct page_query {
    struct slice project, room;
    enum page_kind kind;
    uint64_t seq;
    int64_t time_us;
    uint32_t limit;
    bool live_messages_only; /* leave out tombstones, expired messages and what is no message
                                (history as old clients know it) */
    struct slice viewer; /* with live_messages_only: leave out whispers that this user may not
                            see; empty: nobody looks, all of them */
};

/* A message by its id. */
struct find_query {
    struct slice project;
    struct slice room; /* empty: in whatever room of the project */
    int64_t id;
};
/* STORE_NOT_FOUND, or the entry (borrowed) and its room; message or not, deleted or not. */
typedef void (*store_find_fn)(void *arg, enum store_result result, struct slice room,
                              struct entry *entry);

/* A message whose time has come. */
struct due_row {
    struct slice project, room;
    uint64_t seq;
    int64_t id, expires_us;
};
typedef void (*store_due_fn)(void *arg, enum store_result result, const struct due_row *rows,
                             size_t n);

struct dedupe_key {
    struct slice project, room;
    uint8_t dedupe[DEDUPE_LEN];
};
/* found[i].entry: the entry that bears key i, or that a change with this key has changed, as it
 * is now; NULL: no such key. Borrowed. change_seq: 0, or the seq that the change took. */
struct dedupe_found {
    struct entry *entry;
    uint64_t change_seq;
};
typedef void (*store_dedupe_fn)(void *arg, enum store_result result,
                                const struct dedupe_found *found);

struct fence_probe {
    struct slice project, room;
};
/* rows[i]: what the row says now; 0 fence: no such row. last_id names the commit: ids are never
 * handed out twice. */
struct fence_state {
    uint64_t fence, last_seq;
    int64_t last_id;
};
typedef void (*store_fences_fn)(void *arg, enum store_result result,
                                const struct fence_state *rows);

struct project_row {
    struct slice project, name;
    uint64_t version; /* rises with every change of the configuration */
    const struct project_secret {
        struct slice kid;
        struct slice key; /* decrypted; wiped by the store after the callback */
    } * secrets;
    size_t n_secrets;
};
typedef void (*store_project_fn)(void *arg, enum store_result result,
                                 const struct project_row *row);

struct key_row {
    struct slice project, key_id;
    struct slice scopes; /* JSON array */
};
typedef void (*store_key_fn)(void *arg, enum store_result result, const struct key_row *row);

/* first .. first + count - 1 are ours, larger than any id handed out before. */
typedef void (*store_ids_fn)(void *arg, enum store_result result, int64_t first,
                             uint32_t count);

/* created: false when there is one. */
typedef void (*store_create_fn)(void *arg, enum store_result result, bool created);
struct room_create {
    struct slice project, room, type, name, created_by;
    int64_t created_us;
    uint64_t fence;
    const struct member_op *members;
    size_t n_members;
};

/* STORE_NOT_FOUND: there is no such room (any more). deleted: false when its fence is
 * another's. */
typedef void (*store_delete_fn)(void *arg, enum store_result result, bool deleted);

/* What is removed piece by piece, some thousand rows in one transaction. */
enum sweep_kind {
    SWEEP_ROOMS, /* what deleted rooms have left */
    SWEEP_KEYS,  /* keys of changes that are older than CHANGE_KEYS_KEEP_MS */
};
/* n: rows that were removed (of rooms: of the table with most of them). more: there may be
 * something left, ask again. */
typedef void (*store_sweep_fn)(void *arg, enum store_result result, uint64_t n, bool more);

/*
 * One statement of queries.def: what REST reads and writes beside the timeline. Not in the
 * simulator, where it answers STORE_UNAVAILABLE. All columns are text in the statement; a
 * statement that writes is one transaction. Runs on connections of its own, never before or
 * behind a commit or a history page.
 */
#define QUERY_PARAMS_MAX 12
struct query_param {
    enum query_type {
        QUERY_NULL,
        QUERY_TEXT,
        QUERY_INT8,
        QUERY_TIME,
        QUERY_BOOL,
        QUERY_BYTES
    } type;
    struct slice text; /* TEXT, BYTES */
    int64_t number;    /* INT8; TIME in microseconds since 1970; BOOL */
};
struct store_query {
    unsigned id; /* SQL_QUERY_* of shard/store/sql.h */
    unsigned n_params;
    struct query_param params[QUERY_PARAMS_MAX];
};
struct query_rows {
    size_t n_rows, n_columns;
    const struct slice *cells; /* row by row; data NULL: SQL null. Ends in NUL. */
};
/* STORE_BAD_DATA: a constraint or a value was refused; is_duplicate says that it was a key. */
typedef void (*store_query_fn)(void *arg, enum store_result result,
                               const struct query_rows *rows, bool is_duplicate);

struct store_ops {
    /* One batch may be in flight per lane; the arrays and entries stay valid and unchanged
     * until the callback. */
    int (*submit)(struct store *s, unsigned lane, const struct batch *batch, store_submit_fn fn,
                  void *arg);
    /* Sets the fence and reads row, members, restrictions and tail. Waits for a batch in
     * flight. */
    int (*claim)(struct store *s, struct slice project, struct slice room, uint64_t fence,
                 uint32_t tail_len, store_claim_fn fn, void *arg);
    /* Inserts the room with its members (no seq) unless it exists. A room that was deleted goes
     * on with its numbers and generation, and has nothing of what it was: resume_floor is its
     * last_seq. STORE_UNAVAILABLE also while there is too much of that to remove. */
    int (*create_room)(struct store *s, const struct room_create *room, store_create_fn fn,
                       void *arg);
    /* The room is gone for all reads at once, and with it members, restrictions and the pin;
     * its row stays, without a fence. The rest goes by sweep(). Audit and reports stay. */
    int (*delete_room)(struct store *s, struct slice project, struct slice room, uint64_t fence,
                       store_delete_fn fn, void *arg);
    int (*sweep)(struct store *s, enum sweep_kind kind, store_sweep_fn fn, void *arg);
    int (*page)(struct store *s, const struct page_query *query, store_page_fn fn, void *arg);
    int (*find)(struct store *s, const struct find_query *query, store_find_fn fn, void *arg);
    /* At most limit messages of all projects that expire before `before_us` and are not
     * deleted. */
    int (*due)(struct store *s, int64_t before_us, uint32_t limit, store_due_fn fn, void *arg);
    int (*query)(struct store *s, const struct store_query *query, store_query_fn fn,
                 void *arg);
    int (*find_dedupe)(struct store *s, const struct dedupe_key *keys, size_t n,
                       store_dedupe_fn fn, void *arg);
    int (*probe_fences)(struct store *s, const struct fence_probe *rooms, size_t n,
                        store_fences_fn fn, void *arg);
    int (*members)(struct store *s, struct slice project, struct slice room, store_claim_fn fn,
                   void *arg);
    int (*project)(struct store *s, struct slice project, store_project_fn fn, void *arg);
    int (*api_key)(struct store *s, const uint8_t key_hash[32], store_key_fn fn, void *arg);
    int (*id_block)(struct store *s, store_ids_fn fn, void *arg);
    /* The store's clock minus ours (env_steady_us()), measured at connect, in microseconds. */
    int64_t (*clock_offset_us)(struct store *s);
    bool (*is_available)(struct store *s); /* connected right now */
};

struct store {
    const struct store_ops *ops;
};
