/* row.c - see row.h. */
#include "tests/sim/property/row.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/ident.h"
#include "tests/sim/sim_socket.h"

void row_violation(const struct view *view, const json_t *json, const char *what)
{
    char *text = json_dumps(json, JSON_COMPACT);

    sim_violation(view->model->check, "%s in room-%u: %s: %.400s", view->who, view->room, what,
                  text ? text : "");
    free(text);
}

const struct pm_message *row_target(const struct view *view, const json_t *frame,
                                    const char *name)
{
    const struct pm_message *m =
        pm_by_id(view->model, view->room, (int64_t)frame_u64(frame, name));

    if (!m)
        row_violation(view, frame, "names a message that is not committed");
    else if (!pm_may_see(m->op, view->user))
        row_violation(view, frame, "names a whisper to others");
    else
        return m;
    return NULL;
}

static uint32_t users_of(const json_t *list)
{
    uint32_t users = 0;
    json_t *user;
    size_t i;

    json_array_foreach(list, i, user)
    {
        users |=
            UINT32_C(1) << pm_user(slice_of(json_string_value(user), json_string_length(user)));
    }
    return users;
}

uint64_t row_text(const struct view *view, const json_t *json, const struct pm_message *m,
                  uint32_t *ret_mentions)
{
    uint64_t text = pm_text_find(view->model, frame_str(json, "content"));
    const struct pm_op *op = pm_op_find(view->model, text);
    uint32_t mentions = users_of(json_object_get(json, "mentions"));
    uint32_t expected =
        op ? op->mentions & (m->op->audience ? m->op->audience : UINT32_MAX) : 0;

    *ret_mentions = mentions;
    if (mentions != expected)
        row_violation(view, json, "mentions others than its text");
    return text;
}

static void read_reactions(const struct view *view, const json_t *json, struct row *row)
{
    json_t *counts = json_object_get(json, "reactions");
    const char *name;
    json_t *value;
    size_t i;

    json_object_foreach(counts, name, value)
    {
        unsigned emoji = pm_emoji_find(slice_str(name));

        if (emoji == PM_EMOJI || json_integer_value(value) < 1)
            row_violation(view, json, "has reactions that nobody made");
        else
            row->counts[emoji] = (int)json_integer_value(value);
    }
    json_array_foreach(json_object_get(json, "myReactions"), i, value)
    {
        unsigned emoji = pm_emoji_find(slice_str(json_string_value(value)));

        if (emoji == PM_EMOJI || row->mine[emoji])
            row_violation(view, json, "has reactions of mine that nobody made");
        else
            row->mine[emoji] = true;
    }
}

static bool has_time(const json_t *json, const char *name, int64_t *ret_us)
{
    *ret_us = 0;
    return json_is_string(json_object_get(json, name)) &&
           time_parse(frame_str(json, name), ret_us) == 0;
}

/* What never changes is as it was asked for. */
static bool is_as_asked(const struct view *view, const json_t *json, const struct pm_message *m)
{
    const struct pm_op *op = m->op;
    const json_t *parent = json_object_get(json, "parentId");
    bool is_whisper = slice_eq_str(frame_str(json, "visibility"), "whisper");
    int64_t at_us;

    if (frame_u64(json, "seq") != m->seq || pm_user(frame_str(json, "userId")) != op->user ||
        pm_user(frame_str(json, "senderId")) != op->user ||
        pm_room(frame_str(json, "roomId")) != view->room)
        return false;
    if (op->target_id ? json_integer_value(parent) != op->target_id : !json_is_null(parent))
        return false;
    if (is_whisper != (op->audience != 0) ||
        users_of(json_object_get(json, "visibleTo")) != op->audience)
        return false;
    if (has_time(json, "expiresAt", &at_us) != (op->expires_in_s != 0) ||
        at_us != m->expires_us)
        return false;
    return has_time(json, "createdAt", &at_us);
}

/* A hard delete also takes the clientMessageId. */
static bool has_its_key(const json_t *json, const struct pm_op *op)
{
    struct slice key = frame_str(json, "clientMessageId");
    char name[32];

    snprintf(name, sizeof(name), "op-%" PRIu64, op->number);
    return key.len == 0 || slice_eq_str(key, name);
}

bool row_read(const struct view *view, const json_t *json, bool is_live, struct row *ret_row)
{
    const struct pm_message *m = row_target(view, json, "id");
    struct row *row = ret_row;
    int64_t at_us;

    *row = (struct row){.message = m};
    if (!m)
        return false;
    if (!is_as_asked(view, json, m) || !has_its_key(json, m->op)) {
        row_violation(view, json, "is not as it was asked for");
        return false;
    }
    row->version = (uint32_t)frame_u64(json, "version");
    row->text = row_text(view, json, m, &row->mentions);
    row->is_deleted = is_live ? row->text == 0 : has_time(json, "deletedAt", &at_us);
    row->is_edited = row->version > 1;
    row->updated_seq = is_live ? m->seq : frame_u64(json, "updatedSeq");
    if (is_live)
        return true;
    read_reactions(view, json, row);
    if (row->is_deleted != (row->text == 0) ||
        (!row->is_deleted && has_time(json, "editedAt", &at_us) != row->is_edited))
        row_violation(view, json, "contradicts itself");
    pm_event(view->model, view->room, row->updated_seq, view->who);
    return true;
}
