/* sim_db.c - rooms, members and timeline in memory; see sim_db.h. */
#include "tests/support/sim_db.h"

#include <assert.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "common/base/utf8.h"
#include "tests/support/sim_rows.h"

struct sim_member {
    char *user;
    enum member_role role;
    int64_t joined_us;
};

struct sim_key {
    struct map_node node;
    struct entry *entry;
};

struct sim_room {
    struct map_node node;
    struct list link;
    struct slice project, room;
    struct room_row row; /* texts owned */
    const struct sim_commit *locked_by;
    struct sim_member *members;
    size_t n_members;
    struct entry **entries; /* by seq - 1; NULL: a seq that only changed an entry */
    size_t n_entries, cap_entries;
    struct map keys; /* struct sim_key */
};

/* Memory is not what is tested here. */
static void *must(void *p)
{
    if (!p)
        abort();
    return p;
}

static struct slice dup(struct slice s)
{
    return slice_of(must(slice_dup(s)), s.len);
}

static void drop(struct slice s)
{
    free((char *)(uintptr_t)s.data);
}

struct room_name {
    struct slice project, room;
};

static bool room_eq(const struct map_node *node, const void *key)
{
    const struct sim_room *room = container_of(node, struct sim_room, node);
    const struct room_name *name = key;

    return slice_eq(room->project, name->project) && slice_eq(room->room, name->room);
}

struct sim_room *sim_db_room(struct sim_db *db, struct slice project, struct slice room)
{
    struct room_name name = {project, room};
    struct map_node *node = map_find(&db->rooms, hash_two(project, room), room_eq, &name);

    return node ? container_of(node, struct sim_room, node) : NULL;
}

static bool key_eq(const struct map_node *node, const void *dedupe)
{
    return memcmp(container_of(node, struct sim_key, node)->entry->dedupe, dedupe,
                  DEDUPE_LEN) == 0;
}

struct entry *sim_room_find(const struct sim_room *room, const uint8_t dedupe[DEDUPE_LEN])
{
    struct map_node *node =
        map_find(&room->keys, hash_bytes(dedupe, DEDUPE_LEN), key_eq, dedupe);

    return node ? container_of(node, struct sim_key, node)->entry : NULL;
}

static bool free_key(struct map_node *node, void *arg)
{
    (void)arg;
    free(container_of(node, struct sim_key, node));
    return true;
}

static void room_free(struct sim_room *room)
{
    list_del(&room->link);
    drop(room->project);
    drop(room->room);
    drop(room->row.type);
    drop(room->row.name);
    drop(room->row.created_by);
    for (size_t i = 0; i < room->n_members; i++)
        free(room->members[i].user);
    free(room->members);
    for (size_t i = 0; i < room->n_entries; i++)
        entry_unref(room->entries[i]);
    free(room->entries);
    map_each(&room->keys, free_key, NULL);
    map_deinit(&room->keys);
    free(room);
}

void sim_rooms_free(struct sim_db *db)
{
    while (!list_empty(&db->by_age))
        room_free(list_first(&db->by_age, struct sim_room, link));
    map_deinit(&db->rooms);
}

bool sim_room_is_locked(const struct sim_room *room)
{
    return room->locked_by != NULL;
}

const struct room_row *sim_room_row(const struct sim_room *room)
{
    return &room->row;
}

struct entry *const *sim_room_entries(const struct sim_room *room, size_t *ret_n)
{
    *ret_n = room->n_entries;
    return room->entries;
}

void sim_room_set_fence(struct sim_room *room, uint64_t fence)
{
    room->row.fence = fence;
}

/* ---- members ---- */

static void member_set(struct sim_room *room, struct slice user, enum member_role role,
                       int64_t at_us)
{
    size_t i = 0;

    while (i < room->n_members && !slice_eq_str(user, room->members[i].user))
        i++;
    if (role == ROLE_NONE) {
        if (i == room->n_members)
            return;
        free(room->members[i].user);
        memmove(&room->members[i], &room->members[i + 1],
                (room->n_members - i - 1) * sizeof(*room->members));
        room->n_members--;
        return;
    }
    if (i == room->n_members) {
        room->members =
            must(realloc(room->members, (room->n_members + 1) * sizeof(*room->members)));
        room->members[i] = (struct sim_member){must(slice_dup(user)), ROLE_NONE, at_us};
        room->n_members++;
    }
    room->members[i].role = role;
}

bool sim_db_create_room(struct sim_db *db, const struct room_create *create)
{
    struct sim_room *room;

    if (sim_db_room(db, create->project, create->room))
        return false;
    room = must(calloc(1, sizeof(*room)));
    room->project = dup(create->project);
    room->room = dup(create->room);
    room->row = (struct room_row){
        .last_created_us = create->created_us,
        .fence = create->fence,
        .generation = 1,
        .created_us = create->created_us,
        .type = dup(create->type),
        .name = dup(create->name),
        .created_by = dup(create->created_by),
    };
    map_init(&room->keys);
    list_add_tail(&db->by_age, &room->link);
    if (map_insert(&db->rooms, &room->node, hash_two(room->project, room->room)) < 0)
        abort();
    for (size_t i = 0; i < create->n_members; i++)
        member_set(room, create->members[i].user, create->members[i].role,
                   create->members[i].at_us);
    return true;
}

static int by_user(const void *a, const void *b)
{
    const struct member_row *x = a, *y = b;

    return strcmp(x->user.data, y->user.data); /* copies of slice_dup() end in NUL */
}

void sim_room_claim(const struct sim_room *room, uint32_t tail_len, struct sim_claim *ret_claim)
{
    struct member_row *members = must(calloc(room->n_members + 1, sizeof(*members)));
    struct entry **tail = must(calloc(tail_len + 1, sizeof(struct entry *)));
    size_t n_tail = 0, first = room->n_entries;

    for (size_t i = 0; i < room->n_members; i++) {
        members[i] = (struct member_row){
            .user = dup(slice_str(room->members[i].user)),
            .role = room->members[i].role,
            .joined_us = room->members[i].joined_us,
            .notify_enabled = true,
        };
    }
    qsort(members, room->n_members, sizeof(*members), by_user);
    while (first > 0 && n_tail < tail_len)
        n_tail += room->entries[--first] != NULL;
    n_tail = 0;
    for (size_t i = first; i < room->n_entries; i++) {
        if (room->entries[i])
            tail[n_tail++] = entry_ref(room->entries[i]);
    }
    *ret_claim = (struct sim_claim){
        .result = {.row = room->row,
                   .members = members,
                   .n_members = room->n_members,
                   .tail = tail,
                   .n_tail = n_tail,
                   .touched_floor = n_tail ? tail[0]->seq - 1 : room->row.last_seq,
                   .seq_floor = n_tail ? tail[0]->seq - 1 : room->row.last_seq},
        .members = members,
        .tail = tail,
    };
}

void sim_claim_deinit(struct sim_claim *claim)
{
    for (size_t i = 0; claim->members && i < claim->result.n_members; i++)
        drop(claim->members[i].user);
    free(claim->members);
    sim_entries_free(claim->tail, claim->tail ? claim->result.n_tail : 0);
}

static bool is_member(const struct sim_room *room, struct slice user)
{
    for (size_t i = 0; i < room->n_members; i++) {
        if (slice_eq_str(user, room->members[i].user))
            return true;
    }
    return false;
}

static uint32_t count_messages(const struct sim_room *room)
{
    uint32_t n = 0;

    for (size_t i = 0; i < room->n_entries && n < UNREAD_COUNT_MAX; i++) {
        const struct entry *e = room->entries[i];

        n += e && e->kind == ENTRY_MESSAGE && e->deleted_us == 0;
    }
    return n;
}

size_t sim_db_list_rooms(struct sim_db *db, struct slice project, struct slice user, bool all,
                         struct slice type, struct room_list_row **ret_rows)
{
    struct room_list_row *rows = NULL;
    struct list *at;
    size_t n = 0;

    for (at = db->by_age.prev; at != &db->by_age && n < ROOMS_PAGE; at = at->prev) {
        struct sim_room *room = list_entry(at, struct sim_room, link);

        if (!slice_eq(room->project, project) || (!all && !is_member(room, user)) ||
            (type.len > 0 && !slice_eq(room->row.type, type)))
            continue;
        rows = must(realloc(rows, (n + 1) * sizeof(*rows)));
        rows[n++] = (struct room_list_row){.room = room->room,
                                           .type = room->row.type,
                                           .name = room->row.name,
                                           .created_us = room->row.created_us,
                                           .messages = count_messages(room)};
    }
    *ret_rows = rows;
    return n;
}

/* ---- commit ---- */

struct sim_commit *sim_commit_new(const struct batch *batch)
{
    struct sim_commit *commit = must(calloc(1, sizeof(*commit)));

    commit->n_rooms = batch->n_rooms;
    commit->rooms = must(calloc(batch->n_rooms, sizeof(*commit->rooms)));
    commit->committed = must(calloc(batch->n_rooms, sizeof(*commit->committed)));
    for (size_t i = 0; i < batch->n_rooms; i++) {
        const struct batch_room *from = &batch->rooms[i];
        struct batch_room *to = &commit->rooms[i];
        struct entry **entries = must(calloc(from->n_entries + 1, sizeof(struct entry *)));
        struct side_op *ops = must(calloc(from->n_ops + 1, sizeof(*ops)));

        *to = *from;
        to->project = dup(from->project);
        to->room = dup(from->room);
        for (size_t k = 0; k < from->n_entries; k++)
            entries[k] = must(entry_new(from->entries[k]));
        for (size_t k = 0; k < from->n_ops; k++) {
            ops[k] = from->ops[k];
            ops[k].user = dup(from->ops[k].user);
        }
        to->entries = entries;
        to->ops = ops;
    }
    return commit;
}

void sim_commit_free(struct sim_commit *commit)
{
    if (!commit)
        return;
    for (size_t i = 0; i < commit->n_rooms; i++) {
        struct batch_room *room = &commit->rooms[i];

        drop(room->project);
        drop(room->room);
        sim_entries_free(room->entries, room->n_entries);
        for (size_t k = 0; k < room->n_ops; k++)
            drop(room->ops[k].user);
        free((struct side_op *)(uintptr_t)room->ops);
    }
    free(commit->rooms);
    free(commit->committed);
    free(commit);
}

static bool text_is_bad(struct slice s)
{
    return (s.len > 0 && memchr(s.data, 0, s.len)) || !utf8_is_valid(s);
}

/* What PostgreSQL refuses as text. */
static bool entry_is_bad(const struct entry *e)
{
    return text_is_bad(e->content) || text_is_bad(e->user) || text_is_bad(e->client_id) ||
           text_is_bad(e->extra);
}

static bool room_has_key_twice(const struct sim_room *room, const struct batch_room *in)
{
    for (size_t i = 0; i < in->n_entries; i++) {
        if (sim_room_find(room, in->entries[i]->dedupe))
            return true;
        for (size_t k = 0; k < i; k++) {
            if (memcmp(in->entries[i]->dedupe, in->entries[k]->dedupe, DEDUPE_LEN) == 0)
                return true;
        }
    }
    return false;
}

enum store_result sim_commit_start(struct sim_db *db, struct sim_commit *commit,
                                   bool *ret_is_duplicate)
{
    bool is_bad = false, is_duplicate = false;

    for (size_t i = 0; i < commit->n_rooms; i++) {
        struct batch_room *in = &commit->rooms[i];
        struct sim_room *room = sim_db_room(db, in->project, in->room);

        /* The server reads all parameters before it looks at any row. */
        for (size_t k = 0; k < in->n_entries; k++)
            is_bad |= entry_is_bad(in->entries[k]);
        commit->committed[i] = room && !room->locked_by &&
                               room->row.last_seq == in->expect_seq &&
                               room->row.fence == in->fence;
        if (commit->committed[i])
            is_duplicate |= room_has_key_twice(room, in);
    }
    *ret_is_duplicate = !is_bad && is_duplicate;
    if (is_bad || is_duplicate)
        return STORE_BAD_DATA;
    for (size_t i = 0; i < commit->n_rooms; i++) {
        if (commit->committed[i])
            sim_db_room(db, commit->rooms[i].project, commit->rooms[i].room)->locked_by =
                commit;
    }
    commit->is_started = true;
    return STORE_OK;
}

static void side_run(struct sim_room *room, const struct side_op *op)
{
    if (op->kind == SIDE_MEMBER)
        member_set(room, op->user, op->role, op->at_us);
}

static void append(struct sim_room *room, struct entry *entry)
{
    struct sim_key *key = must(calloc(1, sizeof(*key)));

    assert(entry->seq == room->n_entries + 1);
    if (room->n_entries == room->cap_entries) {
        room->cap_entries = MAX(room->cap_entries * 2, (size_t)16);
        room->entries =
            must(realloc(room->entries, room->cap_entries * sizeof(struct entry *)));
    }
    room->entries[room->n_entries++] = entry_ref(entry);
    key->entry = entry;
    if (map_insert(&room->keys, &key->node, hash_bytes(entry->dedupe, DEDUPE_LEN)) < 0)
        abort();
}

void sim_commit_finish(struct sim_db *db, struct sim_commit *commit)
{
    for (size_t i = 0; i < commit->n_rooms; i++) {
        struct batch_room *in = &commit->rooms[i];
        struct sim_room *room = sim_db_room(db, in->project, in->room);

        if (!commit->committed[i])
            continue;
        assert(room->locked_by == commit);
        room->locked_by = NULL;
        for (size_t k = 0; k < in->n_entries; k++)
            append(room, in->entries[k]);
        for (size_t k = 0; k < in->n_ops; k++)
            side_run(room, &in->ops[k]);
        room->row.last_seq = in->new_seq;
        room->row.last_id = in->last_id;
        room->row.last_created_us = in->last_created_us;
        room->row.message_count = in->message_count;
    }
    commit->is_started = false;
}

void sim_commit_abort(struct sim_db *db, struct sim_commit *commit)
{
    for (size_t i = 0; i < commit->n_rooms && commit->is_started; i++) {
        if (commit->committed[i])
            sim_db_room(db, commit->rooms[i].project, commit->rooms[i].room)->locked_by = NULL;
    }
    commit->is_started = false;
}

void sim_room_change(struct sim_room *room, uint64_t seq, int64_t deleted_us)
{
    struct entry *old = room->entries[seq - 1];
    struct entry changed = *old;
    struct map_node *node =
        map_find(&room->keys, hash_bytes(old->dedupe, DEDUPE_LEN), key_eq, old->dedupe);
    struct entry *e;

    if (deleted_us)
        changed.content = (struct slice){0};
    e = must(entry_new(&changed));
    e->updated_seq = ++room->row.last_seq;
    e->deleted_us = deleted_us;
    e->version++;
    container_of(node, struct sim_key, node)->entry = e;
    room->entries[seq - 1] = e;
    entry_unref(old);
    if (room->n_entries == room->cap_entries) {
        room->cap_entries = MAX(room->cap_entries * 2, (size_t)16);
        room->entries =
            must(realloc(room->entries, room->cap_entries * sizeof(struct entry *)));
    }
    room->entries[room->n_entries++] = NULL; /* this seq bears no entry of its own */
}
