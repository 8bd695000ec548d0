/* sim_db.c - rooms, members, restrictions and claims in memory; see sim_db.h. */
#include <assert.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "shard/limits.h"
#include "tests/support/sim_rows.h"

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

void sim_text_set(struct slice *text, struct slice to)
{
    struct slice old = *text;

    *text = sim_dup(to);
    sim_drop(old);
}

static void people_clear(struct sim_room *room)
{
    while (room->n_members > 0)
        free(room->members[--room->n_members].user);
    while (room->n_restrictions > 0)
        free(room->restrictions[--room->n_restrictions].user);
}

static void row_texts_free(struct room_row *row)
{
    sim_drop(row->type);
    sim_drop(row->name);
    sim_drop(row->created_by);
    sim_drop(row->pinned_by);
    sim_drop(row->settings);
}

static void room_free(struct sim_room *room)
{
    list_del(&room->link);
    sim_drop(room->project);
    sim_drop(room->room);
    row_texts_free(&room->row);
    people_clear(room);
    free(room->members);
    free(room->restrictions);
    sim_timeline_free(room);
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

bool sim_room_is_deleted(const struct sim_room *room)
{
    return room->is_deleted;
}

const struct room_row *sim_room_row(const struct sim_room *room)
{
    return &room->row;
}

void sim_room_set_fence(struct sim_room *room, uint64_t fence)
{
    room->row.fence = fence;
}

/* The room is of the generation of its server from now on. */
static void fork_room(struct sim_db *db, struct sim_room *room)
{
    struct room_row *row = &room->row;

    if (row->generation == db->generation)
        return;
    row->forked_from = row->generation;
    row->forked_at = row->last_seq;
    row->generation = db->generation;
}

void sim_db_set_generation(struct sim_db *db, uint64_t generation)
{
    db->generation = generation;
}

void sim_room_own(struct sim_db *db, struct sim_room *room, uint64_t fence)
{
    room->row.fence = fence;
    fork_room(db, room);
}

void sim_db_each_room(const struct sim_db *db,
                      void (*fn)(void *arg, const struct sim_room *room), void *arg)
{
    const struct sim_room *room;

    list_for_each(room, &db->by_age, link) fn(arg, room);
}

struct slice sim_room_name(const struct sim_room *room)
{
    return room->room;
}

/* ---- members and restrictions ---- */

void sim_member_set(struct sim_room *room, struct slice user, enum member_role role,
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
            sim_must(realloc(room->members, (room->n_members + 1) * sizeof(*room->members)));
        room->members[i] = (struct sim_member){sim_must(slice_dup(user)), ROLE_NONE, at_us};
        room->n_members++;
    }
    room->members[i].role = role;
}

void sim_restriction_set(struct sim_room *room, const struct side_op *op)
{
    bool lifts = op->muted_us == 0 && op->banned_us == 0;
    size_t i = 0, n = room->n_restrictions;

    while (i < n && strcmp(room->restrictions[i].user, op->user.data) < 0)
        i++;
    if (i == n || !slice_eq_str(op->user, room->restrictions[i].user)) {
        if (lifts)
            return;
        room->restrictions =
            sim_must(realloc(room->restrictions, (n + 1) * sizeof(*room->restrictions)));
        memmove(&room->restrictions[i + 1], &room->restrictions[i],
                (n - i) * sizeof(*room->restrictions));
        room->restrictions[i].user = sim_must(slice_dup(op->user));
        room->n_restrictions++;
    } else if (lifts) {
        free(room->restrictions[i].user);
        memmove(&room->restrictions[i], &room->restrictions[i + 1],
                (n - i - 1) * sizeof(*room->restrictions));
        room->n_restrictions--;
        return;
    }
    room->restrictions[i].muted_us = op->muted_us;
    room->restrictions[i].banned_us = op->banned_us;
}

/* ---- creation and deletion ---- */

static struct sim_room *room_new(struct sim_db *db, const struct room_create *create)
{
    struct sim_room *room = sim_must(calloc(1, sizeof(*room)));

    room->project = sim_dup(create->project);
    room->room = sim_dup(create->room);
    room->row.generation = db->generation;
    sim_timeline_init(room);
    list_add_tail(&db->by_age, &room->link);
    if (map_insert(&db->rooms, &room->node, hash_two(room->project, room->room)) < 0)
        abort();
    return room;
}

bool sim_db_create_room(struct sim_db *db, const struct room_create *create)
{
    struct sim_room *room = sim_db_room(db, create->project, create->room);
    struct room_row *row;

    if (room && !room->is_deleted)
        return false;
    if (!room)
        room = room_new(db, create);
    fork_room(db, room);
    row = &room->row;
    row->created_us = create->created_us;
    row->last_created_us = MAX(row->last_created_us, create->created_us);
    row->fence = create->fence;
    row->resume_floor = row->last_seq;
    row->message_count = 0;
    sim_text_set(&row->type, create->type);
    sim_text_set(&row->name, create->name);
    sim_text_set(&row->created_by, create->created_by);
    room->is_deleted = room->has_remains = false;
    list_del(&room->link); /* it is the youngest */
    list_add_tail(&db->by_age, &room->link);
    for (size_t i = 0; i < create->n_members; i++)
        sim_member_set(room, create->members[i].user, create->members[i].role,
                       create->members[i].at_us);
    return true;
}

bool sim_room_delete(struct sim_room *room, uint64_t fence)
{
    if (room->row.fence != fence)
        return false;
    people_clear(room);
    room->remains = sim_timeline_clear(room);
    room->row.fence = 0;
    room->row.resume_floor = room->row.last_seq;
    room->row.pinned_id = room->row.pinned_us = 0;
    sim_text_set(&room->row.pinned_by, (struct slice){0});
    sim_text_set(&room->row.settings, (struct slice){0});
    room->is_deleted = room->has_remains = true;
    return true;
}

bool sim_db_sweep_room(struct sim_db *db, uint64_t *ret_rows)
{
    struct sim_room *room;

    list_for_each(room, &db->by_age, link)
    {
        if (room->has_remains) {
            room->has_remains = false;
            *ret_rows = room->remains;
            return true;
        }
    }
    return false;
}

/* ---- claims ---- */

static int by_user(const void *a, const void *b)
{
    const struct member_row *x = a, *y = b;

    return strcmp(x->user.data, y->user.data); /* copies of slice_dup() end in NUL */
}

static void claim_people(const struct sim_room *room, int64_t now_us, struct sim_claim *claim)
{
    struct member_row *members = sim_must(calloc(room->n_members + 1, sizeof(*members)));
    struct restriction_row *restrictions =
        sim_must(calloc(room->n_restrictions + 1, sizeof(*restrictions)));

    for (size_t i = 0; i < room->n_members; i++)
        members[i] = (struct member_row){
            .user = sim_dup(slice_str(room->members[i].user)),
            .role = room->members[i].role,
            .joined_us = room->members[i].joined_us,
            .notify_enabled = true,
        };
    qsort(members, room->n_members, sizeof(*members), by_user);
    for (size_t i = 0; i < room->n_restrictions; i++) {
        const struct sim_restriction *r = &room->restrictions[i];

        if (r->muted_us > now_us || r->banned_us > now_us)
            restrictions[claim->result.n_restrictions++] = (struct restriction_row){
                sim_dup(slice_str(r->user)), r->muted_us, r->banned_us};
    }
    claim->result.members = claim->members = members;
    claim->result.n_members = room->n_members;
    claim->result.restrictions = claim->restrictions = restrictions;
}

void sim_room_claim(const struct sim_room *room, uint32_t tail_len, int64_t now_us,
                    struct sim_claim *ret_claim)
{
    struct room_row *row = &ret_claim->result.row;

    *ret_claim = (struct sim_claim){.result = {.row = room->row}};
    row->type = sim_dup(row->type);
    row->name = sim_dup(row->name);
    row->created_by = sim_dup(row->created_by);
    row->pinned_by = sim_dup(row->pinned_by);
    row->settings = sim_dup(row->settings);
    claim_people(room, now_us, ret_claim);
    sim_room_tail(room, tail_len, ret_claim);
    if (tail_len > 0)
        sim_room_streams(room, ret_claim);
}

void sim_claim_deinit(struct sim_claim *claim)
{
    row_texts_free(&claim->result.row);
    for (size_t i = 0; claim->members && i < claim->result.n_members; i++)
        sim_drop(claim->members[i].user);
    free(claim->members);
    for (size_t i = 0; claim->restrictions && i < claim->result.n_restrictions; i++)
        sim_drop(claim->restrictions[i].user);
    free(claim->restrictions);
    sim_entries_free(claim->tail, claim->tail ? claim->result.n_tail : 0);
    sim_entries_free(claim->streams, claim->streams ? claim->result.n_streams : 0);
}

/* ---- lists ---- */
