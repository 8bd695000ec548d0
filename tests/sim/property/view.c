/* view.c - frames into the view; see view.h. */
#include "tests/sim/property/view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/wire/msg.h"
#include "tests/sim/property/row.h"
#include "tests/sim/property/state.h"
#include "tests/sim/sim_socket.h"

#define PAGE_BYTES (256u * 1024) /* of texts; a page that is less is not cut short */

static bool message_eq(const struct map_node *node, const void *key)
{
    return container_of(node, struct view_message, node)->model->id == *(const int64_t *)key;
}

static struct view_message *find(const struct view *v, int64_t id)
{
    struct map_node *node = map_find(&v->messages, hash_u64((uint64_t)id), message_eq, &id);

    return node ? container_of(node, struct view_message, node) : NULL;
}

const struct view_message *view_find(const struct view *v, int64_t id)
{
    return find(v, id);
}

/* ---- life ---- */

void view_init(struct view *v, struct pm_model *model, const char *who, unsigned room,
               unsigned user, bool is_native)
{
    *v = (struct view){.model = model,
                       .who = who,
                       .room = room,
                       .user = user,
                       .is_native = is_native,
                       .is_used = true};
    map_init(&v->messages);
}

static bool free_message(struct map_node *node, void *arg)
{
    map_remove(arg, node);
    free(container_of(node, struct view_message, node));
    return true;
}

void view_forget(struct view *v)
{
    map_each(&v->messages, free_message, &v->messages);
    v->seq = v->floor = 0;
    v->has_cursor = false;
    v->is_patchy = false;
    v->generation[0] = 0;
}

void view_disconnected(struct view *v)
{
    v->has_asked = v->is_resuming = v->is_subscribed = false;
    v->expiring = 0;
    if (!v->is_native)
        view_forget(v);
}

void view_deinit(struct view *v)
{
    view_forget(v);
    map_deinit(&v->messages);
}

/* ---- numbers ---- */

static void complain(const struct view *v, const json_t *frame, const char *what)
{
    row_violation(v, frame, what);
}

/* A live number. True: it is the next one, and the frame counts. An old client is not shown
 * every number, and what it missed comes in the order of the last changes. */
static bool advance(struct view *v, const json_t *frame, uint64_t seq, uint64_t to)
{
    if (!v->is_native)
        return true;
    if (seq == v->seq + 1) {
        v->seq = to;
        return true;
    }
    if (seq > v->seq)
        complain(v, frame, "leaves out live numbers");
    else if (!v->has_asked) /* else a replay has covered it */
        complain(v, frame, "comes twice");
    return false;
}

/* ---- rows ---- */

static struct view_message *put_row(struct view *v, const struct row *row)
{
    struct view_message *m = find(v, row->message->id);

    if (!m) {
        m = calloc(1, sizeof(*m));
        if (!m)
            abort();
        m->model = row->message;
        if (map_insert(&v->messages, &m->node, hash_u64((uint64_t)row->message->id)) < 0)
            abort();
    }
    m->text = row->text;
    m->version = row->version;
    m->is_deleted = row->is_deleted;
    m->is_edited = row->is_edited;
    m->mentions = row->mentions;
    memcpy(m->counts, row->counts, sizeof(m->counts));
    memcpy(m->mine, row->mine, sizeof(m->mine));
    m->is_echo = false;
    return m;
}

/* The counts beside the rows are those in the rows. */
static void check_counts(const struct view *v, const json_t *frame, const json_t *row_json,
                         const struct row *row)
{
    char id[32];
    const json_t *counts;

    snprintf(id, sizeof(id), "%" PRId64, row->message->id);
    counts = json_object_get(json_object_get(frame, "reactions"), id);
    for (size_t i = 0; i < PM_EMOJI; i++) {
        if ((int)frame_u64(counts, pm_emoji[i]) != row->counts[i])
            complain(v, row_json, "has other counts than its page");
    }
}

/* Rows of `messages`: live ones only. Returns the seq of the first, 0: none. */
static uint64_t take_messages(struct view *v, const json_t *frame, size_t *ret_bytes)
{
    const json_t *messages = json_object_get(frame, "messages");
    uint64_t first = 0;
    json_t *json;
    size_t i;

    *ret_bytes = 0;
    json_array_foreach(messages, i, json)
    {
        struct row row;

        if (!row_read(v, json, false, &row))
            continue;
        if (row.is_deleted)
            complain(v, json, "is shown and deleted");
        check_counts(v, frame, json, &row);
        if (i == 0)
            first = row.message->seq;
        *ret_bytes += frame_str(json, "content").len;
        put_row(v, &row);
    }
    return first;
}

static void take_generation(struct view *v, const json_t *frame)
{
    struct slice generation = frame_str(frame, "generation");

    if (generation.len == 0 || generation.len >= sizeof(v->generation))
        complain(v, frame, "has no generation");
    else
        snprintf(v->generation, sizeof(v->generation), "%s", generation.data);
}

/* A cursor between two pages is good in its own generation only, also when a failover has lost
 * nothing. */
static bool is_outdated(const char *cursor, struct slice now)
{
    size_t len = strlen(cursor);

    return len > 0 && cursor[len - 1] == GENERATION_PARTIAL &&
           !slice_eq(slice_of(cursor, len - 1), now);
}

static bool may_start_over(const struct view *v, const json_t *frame)
{
    struct slice now = frame_str(frame, "generation");

    return v->is_native &&
           (is_outdated(v->generation, now) || (v->has_asked && is_outdated(v->resumed, now)));
}

/* ---- pages ---- */

static void on_snapshot(struct view *v, const json_t *frame)
{
    size_t n = json_array_size(json_object_get(frame, "messages")), bytes;
    bool is_cut = json_is_true(json_object_get(frame, "hasMore"));
    uint64_t first;

    take_generation(v, frame);
    /* A native client that has a cursor has asked for a replay. An old one whose connection is
     * cut in the middle of its snapshot and what follows gets both again. */
    if (v->is_native ? v->has_cursor : v->is_subscribed)
        complain(v, frame, "is a snapshot that nobody asked for");
    first = take_messages(v, frame, &bytes);
    if (n > v->limit && v->is_native) /* an old client's reaches back to where it was */
        complain(v, frame, "has more messages than asked for");
    v->floor = is_cut && (n >= v->limit || bytes > PAGE_BYTES) ? first - 1 : 0;
    v->seq = frame_u64(frame, "currentSeq");
    v->has_cursor = true;
}

static void take_event(struct view *v, const json_t *event, uint64_t from, uint64_t to)
{
    const json_t *payload = json_object_get(event, "payload");
    struct slice type = frame_str(event, "eventType");
    uint64_t seq = frame_u64(event, "seq");
    struct row row;

    if (seq <= from || seq > to)
        complain(v, event, "is beyond the range of its replay");
    if (!row_read(v, payload, false, &row))
        return;
    if (row.updated_seq != seq || (int64_t)frame_u64(event, "messageId") != row.message->id ||
        frame_u64(event, "version") != row.version)
        complain(v, event, "is not as its payload says");
    if (!slice_eq_str(type, row.is_deleted            ? "delete"
                            : row.message->seq > from ? "create"
                                                      : "update"))
        complain(v, event, "is called otherwise");
    put_row(v, &row);
}

static void on_reset(struct view *v, const json_t *frame)
{
    if (!may_start_over(v, frame))
        complain(v, frame, "is a reset without a cause");
    view_forget(v);
    on_snapshot(v, frame);
    v->is_resuming = false;
}

static void on_replay(struct view *v, const json_t *frame)
{
    uint64_t from = frame_u64(frame, "fromSeq"), to = frame_u64(frame, "toSeq"), last = 0;
    json_t *event;
    size_t i, bytes;

    if (json_is_true(json_object_get(frame, "reset"))) {
        on_reset(v, frame);
        return;
    }
    take_generation(v, frame);
    if (!v->is_native) { /* its connection was cut in the middle of a snapshot */
        v->is_patchy = true;
        take_messages(v, frame, &bytes);
        return;
    }
    if (from > v->seq || (from < v->seq && !v->has_asked) || to < from)
        complain(v, frame, "does not join what is there");
    json_array_foreach(json_object_get(frame, "events"), i, event)
    {
        if (frame_u64(event, "seq") <= last)
            complain(v, event, "is out of order");
        last = frame_u64(event, "seq");
        take_event(v, event, from, to);
    }
    take_messages(v, frame, &bytes);
    v->seq = MAX(v->seq, to);
    if (!json_is_true(json_object_get(frame, "more")))
        v->is_resuming = false;
}

static void on_page(struct view *v, const json_t *frame)
{
    if (json_object_get(frame, "fromSeq"))
        on_replay(v, frame);
    else
        on_snapshot(v, frame);
}

/* ---- live frames ---- */

static void on_message(struct view *v, const json_t *frame)
{
    struct row row;
    bool is_own, is_known;

    if (!row_read(v, frame, true, &row))
        return;
    is_own = row.message->op->user == v->user;
    is_known = find(v, row.message->id) != NULL;
    if (v->is_native && is_own && row.message->seq <= v->seq) { /* the echo of a repeat */
        if (!is_known && row.message->seq > v->floor)
            complain(v, frame, "is a repeat of what was never shown");
        return;
    }
    if (!advance(v, frame, row.message->seq, row.message->seq))
        return;
    if (v->is_native && row.is_deleted)
        complain(v, frame, "is new and has no text");
    row.is_deleted = false; /* an old client does not know that; it is told by `delete` */
    if (!is_known)
        put_row(v, &row)->is_echo = row.message->seq <= v->floor;
}

/* What changes the message: the next number, and the message that it is about. NULL: does not
 * count, or is about one that was never shown. */
static struct view_message *changed(struct view *v, const json_t *frame, const char *name,
                                    const struct pm_fact *fact)
{
    const struct pm_message *target = row_target(v, frame, name);
    uint64_t seq = frame_u64(frame, "seq");
    struct view_message *m;

    if (!target)
        return NULL;
    if (v->is_native)
        pm_learn(v->model, v->room, seq, target->id, fact, v->who);
    if (!advance(v, frame, seq, seq))
        return NULL;
    m = find(v, target->id);
    /* A page leaves out what is deleted, which can still be deleted for good, and what will be
     * buried any moment. */
    if (!m && target->seq > v->floor && v->is_native && !fact->is_hard && !target->expires_us)
        complain(v, frame, "changes what was never shown");
    return m;
}

static void on_edit(struct view *v, const json_t *frame)
{
    const struct pm_message *target = row_target(v, frame, "id");
    struct pm_fact fact = {.kind = PM_EDIT};
    struct view_message *m;
    uint32_t mentions;

    if (!target)
        return;
    fact.text = row_text(v, frame, target, &mentions);
    m = changed(v, frame, "id", &fact);
    if (!m)
        return;
    if (m->is_deleted)
        complain(v, frame, "edits what is deleted");
    m->text = fact.text;
    m->version = (uint32_t)frame_u64(frame, "version");
    m->mentions = mentions;
    m->is_edited = m->version > 1;
    if (!v->is_subscribed) { /* behind its snapshot an old client is told all of what it may
                                have missed: reactions follow one by one */
        memset(m->counts, 0, sizeof(m->counts));
        memset(m->mine, 0, sizeof(m->mine));
    }
}

static void bury(struct view_message *m)
{
    m->text = 0;
    m->is_deleted = true;
    m->mentions = 0;
    memset(m->counts, 0, sizeof(m->counts));
    memset(m->mine, 0, sizeof(m->mine));
}

static void on_delete(struct view *v, const json_t *frame)
{
    struct slice actor = frame_str(frame, "deletedBy");
    struct pm_fact fact = {.kind = PM_DELETE,
                           .is_hard = json_is_true(json_object_get(frame, "hard"))};
    struct view_message *m;

    fact.actor = pm_user(actor.len ? actor : frame_str(frame, "userId"));
    if (v->expiring && v->expiring == (int64_t)frame_u64(frame, "id"))
        fact.kind = PM_EXPIRE;
    v->expiring = 0;
    m = changed(v, frame, "id", &fact);
    if (m)
        bury(m);
}

static void on_expired(struct view *v, const json_t *frame)
{
    if (row_target(v, frame, "id"))
        v->expiring = (int64_t)frame_u64(frame, "id");
}

static void on_reaction(struct view *v, const json_t *frame)
{
    struct pm_fact fact = {.kind = PM_REACTION,
                           .actor = pm_user(frame_str(frame, "userId")),
                           .emoji = pm_emoji_find(frame_str(frame, "emoji")),
                           .is_added = slice_eq_str(frame_str(frame, "op"), "add")};
    struct view_message *m;

    if (fact.emoji == PM_EMOJI || fact.actor == PM_USERS) {
        complain(v, frame, "is a reaction that nobody made");
        return;
    }
    m = changed(v, frame, "messageId", &fact);
    if (!m)
        return;
    m->counts[fact.emoji] += fact.is_added ? 1 : -1;
    if (fact.actor == v->user)
        m->mine[fact.emoji] = fact.is_added;
}

/* The old names. They bear no number of their own, so one may come late, when a page has told
 * of a later edit already; then that one's follows. */
static void on_updated(struct view *v, const json_t *frame)
{
    const struct pm_message *target = row_target(v, frame, "id");
    struct view_message *m = target ? find(v, target->id) : NULL;
    uint32_t mentions;

    if (v->is_native)
        complain(v, frame, "is for old clients");
    if (!m || m->is_deleted)
        return;
    m->text = row_text(v, frame, target, &mentions);
    m->version = (uint32_t)frame_u64(frame, "version");
}

static void on_deleted(struct view *v, const json_t *frame)
{
    const struct pm_message *target = row_target(v, frame, "id");
    const struct view_message *m = target ? find(v, target->id) : NULL;

    if (v->is_native)
        complain(v, frame, "is for old clients");
    if (m && !m->is_deleted)
        complain(v, frame, "comes without a delete");
}

static void on_skip(struct view *v, const json_t *frame)
{
    uint64_t seq = frame_u64(frame, "seq");
    uint64_t to = MAX(seq, frame_u64(frame, "toSeq"));

    if (!v->is_native)
        complain(v, frame, "is for native clients");
    for (uint64_t at = seq; at <= to; at++) {
        const struct pm_event *event = pm_event(v->model, v->room, at, v->who);
        const struct pm_message *m = event ? pm_by_seq(v->model, v->room, event->target) : NULL;

        if (m && pm_may_see(m->op, v->user))
            complain(v, frame, "hides what is for everybody");
    }
    advance(v, frame, seq, to);
}

static void on_membership(struct view *v, const json_t *frame)
{
    uint64_t seq = frame_u64(frame, "seq");

    advance(v, frame, seq, seq);
}

/* The newest event. It is not part of the view: a page or live frames tell it again. */
static void on_cached(struct view *v, const json_t *frame)
{
    const json_t *event = json_object_get(frame, "event");
    struct row row;

    if (slice_eq_str(frame_str(event, "type"), "message"))
        row_read(v, event, true, &row);
    else
        complain(v, frame, "is no event");
}

static void on_subscribed(struct view *v, const json_t *frame)
{
    take_generation(v, frame);
    v->is_subscribed = true;
}

static const struct {
    const char *type;
    void (*on_frame)(struct view *v, const json_t *frame);
} frames[] = {
    {"replay", on_page},
    {"history", on_page},
    {"message", on_message},
    {"edit", on_edit},
    {"delete", on_delete},
    {"reaction", on_reaction},
    {"skip", on_skip},
    {"message_updated", on_updated},
    {"message_deleted", on_deleted},
    {"message_expired", on_expired},
    {"membership", on_membership},
    {"cache_snapshot", on_cached},
    {"subscription_succeeded", on_subscribed},
};

bool view_on_frame(struct view *v, struct slice type, const json_t *frame)
{
    for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
        if (slice_eq_str(type, frames[i].type)) {
            frames[i].on_frame(v, frame);
            return true;
        }
    }
    return false;
}

/* ---- comparing ---- */

static void differ(const struct view *v, const struct pm_message *m, const char *what)
{
    const struct view_message *have = find(v, m->id);
    char now[160];

    sim_violation(v->model->check,
                  "%s in room-%u at %" PRIu64 " (floor %" PRIu64 "): message of seq %" PRIu64
                  ", op %" PRIu64 ": %s: by the model %s; in the view text %" PRIu64
                  " version %u",
                  v->who, v->room, v->seq, v->floor, m->seq, m->op->number, what,
                  state_print(&m->now, now), have ? have->text : 0, have ? have->version : 0);
}

static void compare_reactions(const struct view *v, const struct view_message *have,
                              const struct pm_message *m)
{
    for (size_t i = 0; i < PM_EMOJI; i++) {
        uint32_t users = m->now.reactions[i];

        if (have->counts[i] != __builtin_popcount(users))
            differ(v, m, "other counts of reactions");
        if (have->mine[i] != (users >> v->user & 1))
            differ(v, m, "other reactions of mine");
    }
}

static void compare_message(const struct view *v, struct view_message *have,
                            const struct pm_message *m, bool are_reactions_told)
{
    have->is_marked = true;
    if (have->is_deleted != m->now.is_deleted) {
        differ(v, m, m->now.is_deleted ? "is deleted, is shown" : "lives, is shown as deleted");
        return;
    }
    if (have->text != m->now.text)
        differ(v, m, "another text");
    if (m->now.is_deleted)
        return;
    if (have->version != m->now.version)
        differ(v, m, "another version");
    if (have->is_edited != (m->now.version > 1))
        differ(v, m, "edited, or not");
    if (are_reactions_told && !have->is_echo)
        compare_reactions(v, have, m);
}

static bool check_marked(struct map_node *node, void *arg)
{
    struct view_message *have = container_of(node, struct view_message, node);

    if (!have->is_marked)
        differ(arg, have->model, "is shown, though it should not");
    have->is_marked = false;
    return true;
}

void view_compare(struct view *v, bool are_reactions_told)
{
    const struct pm_room *room = &v->model->rooms[v->room];

    for (size_t i = 0; i < room->n_messages; i++) {
        const struct pm_message *m = room->messages[i];
        struct view_message *have;

        if (!pm_may_see(m->op, v->user))
            continue;
        have = find(v, m->id);
        if (have)
            compare_message(v, have, m, are_reactions_told);
        else if (m->seq > v->floor && !m->now.is_deleted)
            differ(v, m, "is missing");
    }
    map_each(&v->messages, check_marked, v);
}
