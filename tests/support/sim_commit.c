/* sim_commit.c - batches in the database of tests, in the steps of a server; see sim_db.h. */
#include <assert.h>
#include <stdlib.h>

#include "common/base/broken.h"
#include "common/base/utf8.h"
#include "tests/support/sim_rows.h"

static struct side_op op_copy(const struct side_op *from)
{
    struct side_op op = *from;

    op.user = sim_dup(from->user);
    op.actor = sim_dup(from->actor);
    op.type = sim_dup(from->type);
    op.text = sim_dup(from->text);
    op.json = sim_dup(from->json);
    return op;
}

static void op_free_texts(const struct side_op *op)
{
    sim_drop(op->user);
    sim_drop(op->actor);
    sim_drop(op->type);
    sim_drop(op->text);
    sim_drop(op->json);
}

struct sim_commit *sim_commit_new(const struct batch *batch)
{
    struct sim_commit *commit = sim_must(calloc(1, sizeof(*commit)));

    commit->n_rooms = batch->n_rooms;
    commit->rooms = sim_must(calloc(batch->n_rooms, sizeof(*commit->rooms)));
    commit->committed = sim_must(calloc(batch->n_rooms, sizeof(*commit->committed)));
    for (size_t i = 0; i < batch->n_rooms; i++) {
        const struct batch_room *from = &batch->rooms[i];
        struct batch_room *to = &commit->rooms[i];
        struct entry **entries = sim_must(calloc(from->n_entries + 1, sizeof(struct entry *)));
        struct entry **changed = sim_must(calloc(from->n_changed + 1, sizeof(struct entry *)));
        struct batch_key *keys = sim_must(calloc(from->n_keys + 1, sizeof(*keys)));
        struct side_op *ops = sim_must(calloc(from->n_ops + 1, sizeof(*ops)));

        *to = *from;
        to->project = sim_dup(from->project);
        to->room = sim_dup(from->room);
        for (size_t k = 0; k < from->n_entries; k++)
            entries[k] = sim_must(entry_new(from->entries[k]));
        for (size_t k = 0; k < from->n_changed; k++)
            changed[k] = sim_must(entry_new(from->changed[k]));
        for (size_t k = 0; k < from->n_keys; k++)
            keys[k] = from->keys[k];
        for (size_t k = 0; k < from->n_ops; k++)
            ops[k] = op_copy(&from->ops[k]);
        to->entries = entries;
        to->changed = changed;
        to->keys = keys;
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

        sim_drop(room->project);
        sim_drop(room->room);
        sim_entries_free(room->entries, room->n_entries);
        sim_entries_free(room->changed, room->n_changed);
        free((struct batch_key *)(uintptr_t)room->keys);
        for (size_t k = 0; k < room->n_ops; k++)
            op_free_texts(&room->ops[k]);
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
           text_is_bad(e->extra) || text_is_bad(e->visible_to) || text_is_bad(e->reactions);
}

static bool op_is_bad(const struct side_op *op)
{
    return text_is_bad(op->user) || text_is_bad(op->actor) || text_is_bad(op->type) ||
           text_is_bad(op->text) || text_is_bad(op->json);
}

static bool room_is_bad(const struct batch_room *in)
{
    bool is_bad = false;

    for (size_t k = 0; k < in->n_entries; k++)
        is_bad |= entry_is_bad(in->entries[k]);
    for (size_t k = 0; k < in->n_changed; k++)
        is_bad |= entry_is_bad(in->changed[k]);
    for (size_t k = 0; k < in->n_ops; k++)
        is_bad |= op_is_bad(&in->ops[k]);
    return is_bad;
}

static bool room_has_key_twice(const struct sim_room *room, const struct batch_room *in)
{
    for (size_t i = 0; i < in->n_entries; i++) {
        if (sim_key_exists(room, in->entries[i]->dedupe))
            return true;
        for (size_t k = 0; k < i; k++) {
            if (memcmp(in->entries[i]->dedupe, in->entries[k]->dedupe, DEDUPE_LEN) == 0)
                return true;
        }
    }
    for (size_t i = 0; i < in->n_keys; i++) {
        if (sim_change_exists(room, in->keys[i].key))
            return true;
        for (size_t k = 0; k < i; k++) {
            if (memcmp(in->keys[i].key, in->keys[k].key, DEDUPE_LEN) == 0)
                return true;
        }
    }
    return false;
}

/* The compare of compare-and-set; a build without it keeps what is there already, as
 * shard/store/sql_commit.h does then. */
static bool row_is_as_expected(const struct sim_room *room, const struct batch_room *in)
{
    return IS_BROKEN(BREAK_COMPARE_AND_SET) ||
           (room->row.last_seq == in->expect_seq && room->row.fence == in->fence);
}

enum store_result sim_commit_start(struct sim_db *db, struct sim_commit *commit,
                                   bool *ret_is_duplicate)
{
    bool is_bad = false, is_duplicate = false;

    for (size_t i = 0; i < commit->n_rooms; i++) {
        struct batch_room *in = &commit->rooms[i];
        struct sim_room *room = sim_db_room(db, in->project, in->room);

        /* The server reads all parameters before it looks at any row. */
        is_bad |= room_is_bad(in);
        commit->committed[i] = room && !room->locked_by && row_is_as_expected(room, in);
        if (commit->committed[i] && !IS_BROKEN(BREAK_COMPARE_AND_SET))
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

static void text_set_filled(struct slice *text, struct slice to)
{
    if (to.len > 0)
        sim_text_set(text, to);
}

/* Mentions and audit records have no reader here. */
static void side_run(struct sim_room *room, const struct side_op *op)
{
    struct room_row *row = &room->row;

    switch (op->kind) {
    case SIDE_MEMBER:
        sim_member_set(room, op->user, op->role, op->at_us);
        return;
    case SIDE_RESTRICT:
        sim_restriction_set(room, op);
        return;
    case SIDE_PIN:
        row->pinned_id = op->id;
        row->pinned_us = op->id ? op->at_us : 0;
        sim_text_set(&row->pinned_by, op->id ? op->actor : (struct slice){0});
        return;
    case SIDE_ROOM:
        text_set_filled(&row->type, op->type);
        text_set_filled(&row->name, op->text);
        text_set_filled(&row->settings, op->json);
        return;
    case SIDE_MENTION:
    case SIDE_AUDIT:
        return;
    }
}

void sim_commit_finish(struct sim_db *db, struct sim_commit *commit, int64_t now_us)
{
    for (size_t i = 0; i < commit->n_rooms; i++) {
        struct batch_room *in = &commit->rooms[i];
        struct sim_room *room = sim_db_room(db, in->project, in->room);

        if (!commit->committed[i])
            continue;
        assert(room->locked_by == commit);
        room->locked_by = NULL;
        for (size_t k = 0; k < in->n_entries; k++)
            sim_timeline_append(room, in->entries[k]);
        sim_timeline_grow(room, in->new_seq);
        for (size_t k = 0; k < in->n_changed; k++)
            sim_timeline_replace(room, in->changed[k]);
        for (size_t k = 0; k < in->n_keys; k++)
            sim_change_add(room, &in->keys[k], now_us);
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
