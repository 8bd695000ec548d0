/* model.c - operations, commits and facts of the model; see model.h. */
#include "tests/sim/property/model.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>

#include "tests/sim/property/state.h"

const char *const pm_emoji[PM_EMOJI] = {"+1", "-1", "\xf0\x9f\x98\x80", "ok"};

const char *pm_kind_name(enum pm_kind kind)
{
    static const char *const names[] = {"?", "create", "edit", "delete", "reaction", "expire"};

    return names[kind];
}

static unsigned number_behind(struct slice name, const char *prefix, unsigned limit)
{
    size_t len = strlen(prefix);
    unsigned n = 0;

    if (name.len <= len || memcmp(name.data, prefix, len) != 0)
        return limit;
    for (size_t i = len; i < name.len && n < limit; i++)
        n = n * 10 + (unsigned)(name.data[i] - '0');
    return MIN(n, limit);
}

unsigned pm_user(struct slice name)
{
    return number_behind(name, "u", PM_USERS);
}

unsigned pm_room(struct slice name)
{
    return number_behind(name, "room-", PM_ROOMS);
}

unsigned pm_emoji_find(struct slice name)
{
    unsigned i = 0;

    while (i < PM_EMOJI && !slice_eq_str(name, pm_emoji[i]))
        i++;
    return i;
}

static void *grown(void *array, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return array;
    *cap = MAX(*cap * 2, (size_t)64);
    array = reallocarray(array, *cap, size);
    if (!array)
        abort();
    return array;
}

void pm_init(struct pm_model *model, struct sim_check *check)
{
    *model = (struct pm_model){.check = check};
}

void pm_deinit(struct pm_model *model)
{
    for (size_t i = 0; i < model->n_ops; i++) {
        free(model->ops[i]->text);
        free(model->ops[i]);
    }
    free(model->ops);
    for (size_t i = 0; i < PM_ROOMS; i++) {
        struct pm_room *room = &model->rooms[i];

        for (size_t k = 0; k < room->n_messages; k++)
            free(room->messages[k]);
        free(room->messages);
        free(room->events);
    }
}

/* ---- asked for ---- */

struct pm_op *pm_op_new(struct pm_model *model, enum pm_kind kind, unsigned room, unsigned user)
{
    struct pm_op *op = calloc(1, sizeof(*op));

    if (!op)
        abort();
    model->ops = grown(model->ops, model->n_ops, &model->cap_ops, sizeof(struct pm_op *));
    model->ops[model->n_ops++] = op;
    op->number = model->n_ops;
    op->kind = kind;
    op->room = room;
    op->user = user;
    return op;
}

struct pm_op *pm_op_find(const struct pm_model *model, uint64_t number)
{
    return number >= 1 && number <= model->n_ops ? model->ops[number - 1] : NULL;
}

uint64_t pm_text_find(struct pm_model *model, struct slice text)
{
    const struct pm_op *op;
    uint64_t number;

    if (text.len == 0)
        return 0;
    number = text.len > 2 ? strtoull(text.data + 2, NULL, 10) : 0; /* JSON strings end in NUL */
    op = pm_op_find(model, number);
    if (op && op->text && slice_eq_str(text, op->text))
        return number;
    sim_violation(model->check, "nobody has written: %.*s", (int)text.len, text.data);
    return 0;
}

/* ---- committed ---- */

struct pm_message *pm_by_seq(const struct pm_model *model, unsigned room, uint64_t seq)
{
    const struct pm_room *r = &model->rooms[room];
    size_t low = 0, high = r->n_messages;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (r->messages[middle]->seq < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low < r->n_messages && r->messages[low]->seq == seq ? r->messages[low] : NULL;
}

struct pm_message *pm_by_id(const struct pm_model *model, unsigned room, int64_t id)
{
    const struct pm_room *r = &model->rooms[room];
    size_t low = 0, high = r->n_messages;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (r->messages[middle]->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < r->n_messages && r->messages[low]->id == id ? r->messages[low] : NULL;
}

#define OVER_US 1000000 /* clocks differ by less */

bool pm_is_over(const struct pm_message *m, int64_t now_us)
{
    return m->expires_us != 0 && !m->stored.is_deleted && m->expires_us - OVER_US <= now_us;
}

bool pm_is_buried(const struct pm_model *model, unsigned room, int64_t now_us)
{
    const struct pm_room *r = &model->rooms[room];

    for (size_t i = 0; i < r->n_messages; i++) {
        if (pm_is_over(r->messages[i], now_us))
            return false;
    }
    return true;
}

bool pm_may_see(const struct pm_op *create, unsigned user)
{
    return create->audience == 0 || (create->audience >> user & 1);
}

static struct pm_event *event_at(struct pm_model *model, unsigned room, uint64_t seq)
{
    struct pm_room *r = &model->rooms[room];

    while (r->n_events < seq) {
        r->events = grown(r->events, r->n_events, &r->cap_events, sizeof(*r->events));
        r->events[r->n_events++] = (struct pm_event){0};
    }
    return &r->events[seq - 1];
}

static void set_image(struct pm_model *model, unsigned room, struct pm_message *m,
                      const struct entry *e)
{
    struct pm_event *event = event_at(model, room, e->updated_seq);

    state_of_entry(model, e, &m->stored);
    if (event->target && event->target != m->seq)
        sim_violation(model->check, "room-%u: %" PRIu64 " belongs to two messages", room,
                      e->updated_seq);
    event->target = m->seq;
    event->has_image = true;
    event->image = m->stored;
}

/* Its operation, when the row is what that asked for. */
static struct pm_op *match_new(struct pm_model *model, unsigned room, const struct entry *e)
{
    struct pm_op *op = pm_op_find(model, number_behind(e->client_id, "op-", UINT_MAX));
    if (!op || op->kind != PM_CREATE || op->room != room || op->user != pm_user(e->user)) {
        sim_violation(model->check, "room-%u seq %" PRIu64 ": a message that nobody asked for",
                      room, e->seq);
        return NULL;
    }
    if (op->seq)
        sim_violation(model->check, "op %" PRIu64 " is stored at %" PRIu64 " and at %" PRIu64,
                      op->number, op->seq, e->seq);
    if (state_users(e->visible_to) != op->audience || e->parent_id != op->target_id ||
        (e->expires_us != 0) != (op->expires_in_s != 0))
        sim_violation(model->check,
                      "op %" PRIu64 ": stored with another audience, parent or expiry",
                      op->number);
    op->seq = e->seq;
    return op;
}

static void add_new(struct pm_model *model, unsigned room, const struct entry *e)
{
    struct pm_room *r = &model->rooms[room];
    struct pm_op *op = match_new(model, room, e);
    struct pm_message *m;

    if (!op)
        return;
    m = calloc(1, sizeof(*m));
    if (!m)
        abort();
    *m = (struct pm_message){.seq = e->seq, .id = e->id, .op = op, .expires_us = e->expires_us};
    r->messages =
        grown(r->messages, r->n_messages, &r->cap_messages, sizeof(struct pm_message *));
    r->messages[r->n_messages++] = m;
    event_at(model, room, e->seq)->target = e->seq;
    set_image(model, room, m, e);
}

/* Whom a message mentions learns of it: it must be one who may see it. */
static void check_mention(struct pm_model *model, unsigned room, const struct side_op *op)
{
    const struct pm_message *m = pm_by_seq(model, room, op->seq);

    if (op->kind == SIDE_MENTION && m && m->op->audience &&
        (pm_user(op->user) == PM_USERS || !pm_may_see(m->op, pm_user(op->user))))
        sim_violation(model->check, "room-%u seq %" PRIu64 ": a whisper mentions %.*s", room,
                      op->seq, (int)op->user.len, op->user.data);
}

void pm_on_commit(struct pm_model *model, const struct batch_room *in)
{
    unsigned room = pm_room(in->room);

    if (room == PM_ROOMS)
        return;
    for (uint64_t seq = in->expect_seq + 1; seq <= in->new_seq; seq++)
        event_at(model, room, seq)->is_committed = true;
    for (size_t i = 0; i < in->n_entries; i++)
        add_new(model, room, in->entries[i]);
    for (size_t i = 0; i < in->n_keys; i++)
        event_at(model, room, in->keys[i].seq)->target = in->keys[i].target;
    for (size_t i = 0; i < in->n_changed; i++) {
        struct pm_message *m = pm_by_seq(model, room, in->changed[i]->seq);

        if (m)
            set_image(model, room, m, in->changed[i]);
        else
            sim_violation(model->check, "room-%u: a change of what does not exist", room);
    }
    for (size_t i = 0; i < in->n_ops; i++)
        check_mention(model, room, &in->ops[i]);
}

const struct pm_event *pm_event(struct pm_model *model, unsigned room, uint64_t seq,
                                const char *who)
{
    const struct pm_room *r = &model->rooms[room];

    if (seq >= 1 && seq <= r->n_events && r->events[seq - 1].is_committed)
        return &r->events[seq - 1];
    sim_violation(model->check, "%s in room-%u: knows of %" PRIu64 ", which is not committed",
                  who, room, seq);
    return NULL;
}

/* ---- learned ---- */

static bool facts_agree(const struct pm_fact *a, const struct pm_fact *b)
{
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case PM_EDIT:
        return a->text == b->text;
    case PM_REACTION:
        return a->actor == b->actor && a->emoji == b->emoji && a->is_added == b->is_added;
    case PM_DELETE:
        return a->actor == b->actor && a->is_hard == b->is_hard;
    case PM_NONE:
    case PM_CREATE:
    case PM_EXPIRE:
        break;
    }
    return true;
}

/* However often it was sent: its key is known. */
static void check_once(struct pm_model *model, const struct pm_fact *fact, uint64_t seq)
{
    struct pm_op *op = fact->kind == PM_EDIT ? pm_op_find(model, fact->text) : NULL;

    if (!op)
        return;
    if (op->seq && op->seq != seq)
        sim_violation(model->check, "op %" PRIu64 " is done at %" PRIu64 " and at %" PRIu64,
                      op->number, op->seq, seq);
    op->seq = seq;
}

void pm_learn(struct pm_model *model, unsigned room, uint64_t seq, int64_t target_id,
              const struct pm_fact *fact, const char *who)
{
    const struct pm_message *m = pm_by_id(model, room, target_id);
    struct pm_event *event;

    if (!pm_event(model, room, seq, who))
        return;
    event = event_at(model, room, seq);
    if (!m || event->target != m->seq) {
        sim_violation(model->check,
                      "%s in room-%u: %" PRIu64 " changes message %" PRId64
                      ", by the store that of seq %" PRIu64,
                      who, room, seq, target_id, event->target);
        return;
    }
    check_once(model, fact, seq);
    if (event->fact.kind == PM_NONE) {
        event->fact = *fact;
        model->n_learned++;
    } else if (!facts_agree(&event->fact, fact)) {
        sim_violation(model->check, "%s in room-%u: %" PRIu64 " is told as %s and as %s", who,
                      room, seq, pm_kind_name(event->fact.kind), pm_kind_name(fact->kind));
    }
}
