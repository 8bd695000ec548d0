/* state.c - see state.h; with the part of model.h that plays events. */
#include "tests/sim/property/state.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

uint32_t state_users(struct slice list)
{
    uint32_t users = 0;

    while (list.len > 0) {
        const char *comma = memchr(list.data, ',', list.len);
        size_t len = comma ? (size_t)(comma - list.data) : list.len;

        users |= UINT32_C(1) << pm_user(slice_of(list.data, len));
        list = comma ? slice_of(comma + 1, list.len - len - 1) : slice_of(NULL, 0);
    }
    return users;
}

static void read_reactions(struct pm_model *model, struct slice text, struct pm_state *state)
{
    json_t *all = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
    const char *name;
    json_t *users, *user;
    size_t i;

    if (text.len > 0 && json_object_size(all) == 0)
        sim_violation(model->check, "stored reactions are not an object: %.*s", (int)text.len,
                      text.data);
    json_object_foreach(all, name, users)
    {
        unsigned emoji = pm_emoji_find(slice_str(name));

        json_array_foreach(users, i, user)
        {
            if (emoji < PM_EMOJI)
                state->reactions[emoji] |= UINT32_C(1)
                                           << pm_user(slice_str(json_string_value(user)));
        }
        if (emoji == PM_EMOJI || json_array_size(users) == 0)
            sim_violation(model->check, "stored reactions: \"%s\"", name);
    }
    json_decref(all);
}

void state_of_entry(struct pm_model *model, const struct entry *e, struct pm_state *ret_state)
{
    struct slice text = e->content;
    char bytes[16384];

    *ret_state = (struct pm_state){.version = e->version,
                                   .is_deleted = e->deleted_us != 0,
                                   .is_hard = e->flags & ENTRY_HARD,
                                   .is_expired = e->flags & ENTRY_EXPIRED};
    if (text.len > 0 && text.len < sizeof(bytes)) {
        memcpy(bytes, text.data, text.len);
        bytes[text.len] = 0;
        ret_state->text = pm_text_find(model, slice_of(bytes, text.len));
    }
    read_reactions(model, e->reactions, ret_state);
}

void state_apply(struct pm_state *state, const struct pm_fact *fact)
{
    uint32_t user = UINT32_C(1) << fact->actor;

    switch (fact->kind) {
    case PM_EDIT:
        state->text = fact->text;
        state->version++;
        break;
    case PM_DELETE:
        state->is_hard |= fact->is_hard;
        state->is_deleted = true;
        break;
    case PM_EXPIRE:
        state->is_deleted = state->is_expired = true;
        break;
    case PM_REACTION:
        if (fact->is_added)
            state->reactions[fact->emoji] |= user;
        else
            state->reactions[fact->emoji] &= ~user;
        break;
    case PM_NONE:
    case PM_CREATE:
        break;
    }
    if (state->is_deleted) {
        state->text = 0;
        memset(state->reactions, 0, sizeof(state->reactions));
    }
}

bool state_eq(const struct pm_state *a, const struct pm_state *b)
{
    return a->text == b->text && a->version == b->version && a->is_deleted == b->is_deleted &&
           a->is_hard == b->is_hard && a->is_expired == b->is_expired &&
           memcmp(a->reactions, b->reactions, sizeof(a->reactions)) == 0;
}

const char *state_print(const struct pm_state *state, char ret[160])
{
    int len = snprintf(ret, 160, "text %" PRIu64 " version %u%s%s%s reactions", state->text,
                       state->version, state->is_deleted ? " deleted" : "",
                       state->is_hard ? " hard" : "", state->is_expired ? " expired" : "");

    for (size_t i = 0; i < PM_EMOJI; i++)
        len += snprintf(ret + len, 160 - (size_t)len, " %x", state->reactions[i]);
    return ret;
}

/* ---- playing events ---- */

static void compare_image(struct pm_model *model, unsigned room, uint64_t seq,
                          const struct pm_message *m, const struct pm_state *image)
{
    char ours[160], theirs[160];

    if (!state_eq(&m->now, image))
        sim_violation(model->check,
                      "room-%u seq %" PRIu64 " (of %" PRIu64 ", op %" PRIu64
                      "): by the model %s; stored %s",
                      room, seq, m->seq, m->op->number, state_print(&m->now, ours),
                      state_print(image, theirs));
}

static void play(struct pm_model *model, unsigned room, uint64_t seq)
{
    const struct pm_event *event = &model->rooms[room].events[seq - 1];
    struct pm_message *m = pm_by_seq(model, room, event->target);

    if (!event->is_committed || !m) {
        if (!event->is_committed)
            sim_violation(model->check, "room-%u: %" PRIu64 " is not committed", room, seq);
        return;
    }
    if (m->seq == seq)
        m->now = (struct pm_state){.text = m->op->number, .version = 1};
    else if (event->fact.kind == PM_NONE)
        m->is_unsure = true;
    else
        state_apply(&m->now, &event->fact);
    if (!event->has_image)
        return;
    if (m->is_unsure) {
        m->now = event->image;
        m->is_unsure = false;
        model->n_adopted++;
    } else {
        compare_image(model, room, seq, m, &event->image);
    }
}

void pm_settle(struct pm_model *model, unsigned room)
{
    struct pm_room *r = &model->rooms[room];

    while (r->settled < r->n_events)
        play(model, room, ++r->settled);
}

void pm_compare_store(struct pm_model *model, unsigned room, const struct sim_room *stored)
{
    struct entry *const *entries;
    size_t n, n_found = 0;

    entries = sim_room_entries(stored, &n);
    if (n != model->rooms[room].n_events)
        sim_violation(model->check, "room-%u: %zu numbers stored, %zu committed", room, n,
                      model->rooms[room].n_events);
    for (size_t i = 0; i < n; i++) {
        const struct entry *e = entries[i];
        const struct pm_message *m = e ? pm_by_seq(model, room, e->seq) : NULL;
        struct pm_state state;

        if (!e)
            continue;
        n_found++;
        if (!m || m->id != e->id) {
            sim_violation(model->check, "room-%u: seq %" PRIu64 " is stored, not committed",
                          room, e->seq);
            continue;
        }
        state_of_entry(model, e, &state);
        compare_image(model, room, e->updated_seq, m, &state);
    }
    if (n_found != model->rooms[room].n_messages)
        sim_violation(model->check, "room-%u: %zu messages stored, %zu committed", room,
                      n_found, model->rooms[room].n_messages);
}
