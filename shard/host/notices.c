/* notices.c - see notices.h. */
#include "shard/host/notices.h"

#include <stdlib.h>

#include "common/json/json_write.h"
#include "shard/host/room_host.h"
#include "shard/host/user_channel.h"
#include "shard/limits.h"
#include "shard/metrics.h"
#include "shard/room/mentions.h"
#include "shard/store/sql.h"

struct notice {
    struct map_node node;
    struct slice user; /* points into bytes, as preview */
    bool is_mention;   /* else: of a dm */
    int64_t id, at_us; /* of the message */
    struct slice preview;
    char bytes[];
};

/* Outlives the room when that is closed meanwhile. */
struct notice_flight {
    struct room_host *room; /* NULL: closed */
    struct host *host;
    struct map by_user;
};

static void plan(struct room_host *room);

/* ---- gathering ---- */

static bool user_eq(const struct map_node *node, const void *key)
{
    const struct slice *user = key;

    return slice_eq(container_of(node, const struct notice, node)->user, *user);
}

static struct notice *find(const struct map *by_user, struct slice user)
{
    struct map_node *node = map_find(by_user, hash_slice(user), user_eq, &user);

    return node ? container_of(node, struct notice, node) : NULL;
}

static bool free_one(struct map_node *node, void *arg)
{
    (void)arg;
    free(container_of(node, struct notice, node));
    return true;
}

static void clear(struct map *by_user)
{
    map_each(by_user, free_one, NULL);
    map_deinit(by_user);
    map_init(by_user);
}

/* The first characters of the text. */
static struct slice preview_of(struct slice content)
{
    size_t len = 0, n = 0;

    while (len < content.len) {
        bool begins = ((unsigned char)content.data[len] & 0xc0) != 0x80;

        if (begins && n++ == PREVIEW_CHARS)
            break;
        len++;
    }
    return slice_of(content.data, len);
}

struct message {
    struct room_host *room;
    const struct entry *entry;
    struct slice preview, group; /* group: the name that is being looked up */
};

static struct notice *notice_new(const struct message *m, struct slice user)
{
    struct notice *n = calloc(1, sizeof(*n) + user.len + m->preview.len);

    if (!n)
        return NULL;
    memcpy(n->bytes, user.data, user.len);
    if (m->preview.len > 0)
        memcpy(n->bytes + user.len, m->preview.data, m->preview.len);
    n->user = slice_of(n->bytes, user.len);
    n->preview = slice_of(n->bytes + user.len, m->preview.len);
    n->id = m->entry->id;
    n->at_us = m->entry->created_us;
    return n;
}

/* Out of memory or too many: he finds it in his inbox. */
static void note(const struct message *m, const struct member *member, bool is_mention)
{
    struct map *by_user = &m->room->notices.by_user;
    struct notice *old, *fresh;

    if (!member->notify_enabled || slice_eq(member->user, m->entry->user) ||
        !entry_is_visible(m->entry, member->user))
        return;
    old = find(by_user, member->user);
    if (!old && by_user->count >= NOTICES_MAX) {
        m->room->host->metrics->notices_dropped++;
        return;
    }
    fresh = notice_new(m, member->user);
    if (!fresh)
        return;
    fresh->is_mention = is_mention || (old && old->is_mention && old->id == fresh->id);
    if (old)
        map_remove(by_user, &old->node);
    free(old);
    if (map_insert(by_user, &fresh->node, hash_slice(fresh->user)) < 0)
        free(fresh);
}

static bool note_member(struct map_node *node, void *arg)
{
    const struct message *m = arg;
    const struct member *member = container_of(node, struct member, node);

    if (m->group.len == 0)
        note(m, member, false);
    else if (mention_means(m->group, member->role))
        note(m, member, true);
    return m->room->notices.by_user.count < NOTICES_MAX;
}

/* In a room of many a group is told to those who are there; the others find it in their inbox.
 */
static void note_present(const struct message *m)
{
    struct roster_user *user;

    list_for_each(user, &m->room->roster.users, link)
    {
        const struct member *member = members_find(&m->room->members, user->user);

        if (member && mention_means(m->group, member->role))
            note(m, member, true);
    }
}

static void note_named(struct message *m, struct slice name)
{
    const struct member *member;

    if (mention_is_group(name)) {
        m->group = name;
        if (slice_eq(name, SLICE_LIT("@here")) ||
            members_count(&m->room->members) > NOTICES_MAX)
            note_present(m);
        else
            map_each(&m->room->members.by_user, note_member, m);
        return;
    }
    member = members_find(&m->room->members, name);
    if (member)
        note(m, member, true);
}

void notices_on_message(struct room_host *room, const struct commit_result *result)
{
    struct message m = {
        .room = room, .entry = result->entry, .preview = preview_of(result->entry->content)};

    if (room->facts.type == ROOM_DM)
        map_each(&room->members.by_user, note_member, &m);
    for (size_t i = 0; i < result->n_ops; i++) {
        if (result->ops[i].kind == SIDE_MENTION)
            note_named(&m, result->ops[i].user);
    }
    plan(room);
}

/* ---- telling ---- */

static void push(struct room_host *room, const struct notice *n, struct slice unread)
{
    struct buf *data = &room->host->json2;
    struct json_writer w = json_writer(data);

    buf_clear(data);
    json_write_object(&w);
    json_field_str(&w, "kind", n->is_mention ? SLICE_LIT("mention") : SLICE_LIT("dm"));
    json_field_str(&w, "roomId", room->id);
    json_field_str(&w, "roomName", slice_str(room->facts.name));
    json_field_raw(&w, "unreadCount", unread);
    json_field_i64(&w, "messageId", n->id);
    json_field_str(&w, "preview", n->preview);
    json_field_time(&w, "receivedAt", n->at_us);
    json_write_object_end(&w);
    if (buf_failed(data))
        return;
    room->host->metrics->notices++;
    user_push(room->host, room->project, n->user, SLICE_LIT("inbox_updated"), buf_slice(data));
}

static void on_unread(void *arg, enum store_result result, const struct query_rows *rows,
                      bool is_duplicate)
{
    struct notice_flight *flight = arg;
    struct room_host *room = flight->room;

    (void)is_duplicate;
    if (room)
        room->notices.flight = NULL;
    if (result != STORE_OK || !room)
        flight->host->metrics->notices_dropped += flight->by_user.count;
    for (size_t i = 0; result == STORE_OK && room && i < rows->n_rows; i++) {
        const struct slice *cells = rows->cells + i * rows->n_columns;
        const struct notice *n = find(&flight->by_user, cells[0]);

        if (n)
            push(room, n, cells[1]);
    }
    clear(&flight->by_user);
    map_deinit(&flight->by_user);
    free(flight);
    if (room && room->state != ROOM_CLOSED)
        plan(room);
}

static bool write_user(struct map_node *node, void *arg)
{
    json_write_str(arg, container_of(node, struct notice, node)->user);
    return true;
}

static void ask(struct room_host *room, struct notice_flight *flight)
{
    struct host *host = room->host;
    struct json_writer w = json_writer(&host->json2);
    struct store_query q = {.id = SQL_QUERY_unread_of,
                            .n_params = 3,
                            .params = {{.type = QUERY_TEXT, .text = room->project},
                                       {.type = QUERY_TEXT, .text = room->id},
                                       {.type = QUERY_TEXT}}};

    flight->room = room;
    flight->host = host;
    flight->by_user = room->notices.by_user;
    map_init(&room->notices.by_user);
    buf_clear(w.out);
    json_write_array(&w);
    map_each(&flight->by_user, write_user, &w);
    json_write_array_end(&w);
    q.params[2].text = buf_slice(w.out);
    room->notices.flight = flight;
    if (buf_failed(w.out) || host->store->ops->query(host->store, &q, on_unread, flight) < 0)
        on_unread(flight, STORE_UNAVAILABLE, NULL, false);
}

static void on_timer(struct timer *timer, void *arg)
{
    struct room_host *room = arg;
    struct notice_flight *flight;

    (void)timer;
    if (room->notices.flight || room->notices.by_user.count == 0)
        return;
    room->notices.not_before_ms = env_now_ms(room->host->env) + NOTICES_INTERVAL_MS;
    flight = calloc(1, sizeof(*flight));
    if (flight)
        ask(room, flight);
    else
        plan(room);
}

static void plan(struct room_host *room)
{
    struct notices *notices = &room->notices;
    uint64_t now_ms = env_now_ms(room->host->env), delay_ms = NOTICES_GATHER_MS;

    if (notices->flight || notices->by_user.count == 0 || timer_is_armed(&notices->timer))
        return;
    if (notices->not_before_ms > now_ms + delay_ms)
        delay_ms = notices->not_before_ms - now_ms;
    if (env_timer(room->host->env, &notices->timer, delay_ms) < 0)
        clear(&notices->by_user); /* out of memory */
}

/* ---- life ---- */

void notices_init(struct room_host *room)
{
    map_init(&room->notices.by_user);
    timer_init(&room->notices.timer, on_timer, room);
}

void notices_end(struct room_host *room)
{
    env_timer_cancel(room->host->env, &room->notices.timer);
    if (room->notices.flight)
        room->notices.flight->room = NULL;
    room->notices.flight = NULL;
    clear(&room->notices.by_user);
    map_deinit(&room->notices.by_user);
}
