/*
 * local_room.c - the sockets of a room on this gateway; see local_room.h.
 *
 *            owner's link is up                    SLEEP
 *   UNBOUND ------------------> BOUND <---------------------------> ASLEEP
 *      ^                          |    wake: a frame, WAKE, a       |
 *      |                          |    socket comes or goes         |
 *      +--------------------------+---------------------------------+
 *         link down; MOVED (the same shard again only after a pause);
 *         another owner by a new ring, when the old one cannot have it any more
 *
 * Attaches are sent in member order; `progress` divides the sent from the
 * unsent, so that a large room is attached in slices and in linear time.
 */
#include "gateway/session/local_room.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/base/blob.h"
#include "common/base/limits.h"
#include "common/wire/msg.h"
#include "gateway/session/attach.h"
#include "gateway/session/handover.h"
#include "gateway/session/last_seen.h"
#include "gateway/session/missed.h"
#include "gateway/session/sessions.h"

/* Both of one length, so that the project stands at the same place. */
#define ROOM_PREFIX "room/"
#define USER_PREFIX "user/"
#define PREFIX_LEN (sizeof(ROOM_PREFIX) - 1)
#define FIRST_MEMBERS 2u

/* ---- names ---- */

struct slice local_room_object(const struct local_room *room)
{
    return slice_of(room->object, room->object_len);
}

struct slice local_room_project(const struct local_room *room)
{
    return slice_of(room->object + PREFIX_LEN, room->project_len);
}

struct slice local_room_name(const struct local_room *room)
{
    return slice_of(room->object + room->name_at, room->name_len);
}

struct room_key {
    struct slice project, name;
};

static bool room_eq(const struct map_node *node, const void *key)
{
    const struct local_room *room = container_of(node, struct local_room, node);
    const struct room_key *k = key;

    return slice_eq(local_room_name(room), k->name) &&
           slice_eq(local_room_project(room), k->project);
}

struct local_room *local_room_find(struct sessions *all, struct slice project,
                                   struct slice name)
{
    struct room_key key = {project, name};
    struct map_node *node = map_find(&all->rooms, hash_two(project, name), room_eq, &key);

    return node ? container_of(node, struct local_room, node) : NULL;
}

static bool has_prefix(struct slice object, const char *prefix)
{
    return object.len >= PREFIX_LEN && memcmp(object.data, prefix, PREFIX_LEN) == 0;
}

struct local_room *local_room_find_object(struct sessions *all, struct slice object)
{
    bool is_user = has_prefix(object, USER_PREFIX);
    char channel[1 + ID_MAX] = {USER_CHANNEL_MARK};
    const char *slash;
    struct slice rest, project, id;

    if (!is_user && !has_prefix(object, ROOM_PREFIX))
        return NULL;
    rest = slice_of(object.data + PREFIX_LEN, object.len - PREFIX_LEN);
    slash = rest.len > 0 ? memchr(rest.data, '/', rest.len) : NULL;
    if (!slash)
        return NULL;
    project = slice_of(rest.data, (size_t)(slash - rest.data));
    id = slice_of(slash + 1, rest.len - project.len - 1);
    if (!is_user)
        return local_room_find(all, project, id);
    if (id.len == 0 || id.len > ID_MAX)
        return NULL;
    memcpy(channel + 1, id.data, id.len);
    return local_room_find(all, project, slice_of(channel, 1 + id.len));
}

/* ---- states ---- */

/* State and list change together. */
static void set_state(struct local_room *room, enum room_state state, struct link *link)
{
    assert((state == ROOM_UNBOUND) == (link == NULL));
    assert(state != ROOM_ASLEEP || (room->state == ROOM_BOUND && room->link == link));
    list_del(&room->place);
    list_add_tail(link ? link_rooms(link) : &room->all->unbound, &room->place);
    room->state = state;
    room->link = link;
}

static void restart_members(struct local_room *room)
{
    for (uint32_t i = 0; i < room->n; i++)
        attach_restart(room->members[i]);
    room->progress = 0;
}

static void room_on_retry(struct timer *timer, void *arg)
{
    struct local_room *room = arg;

    (void)timer;
    sessions_queue_room(room->all, room);
}

void local_room_unbind(struct local_room *room)
{
    restart_members(room);
    room->unbound_from = room->link;
    set_state(room, ROOM_UNBOUND, NULL);
    room->wake = 0;
}

struct link *local_room_last_link(const struct local_room *room)
{
    if (room->link)
        return room->link;
    return link_pool_has(room->all->pool, room->unbound_from) ? room->unbound_from : NULL;
}

static void bind(struct local_room *room, struct link *link)
{
    timer_cancel(&room->all->env->timers, &room->retry);
    room->moved_by = NULL;
    room->unbound_from = NULL;
    set_state(room, ROOM_BOUND, link);
    if (room->woken_by == link)
        room->wake = room->woken; /* answered behind the attaches */
    room->woken_by = NULL;
}

/* The shard that it left may send the next one off. */
static void say_arrived(struct local_room *room)
{
    struct link *link = TAKE(room->left);
    struct msg msg = {.type = MSG_ARRIVED, .ARRIVED = {.move = room->move}};

    if (link && link_pool_has(room->all->pool, link) && link_send(link, &msg) < 0)
        return; /* it waits for its own time */
}

void local_room_wake(struct local_room *room)
{
    if (room->state != ROOM_ASLEEP)
        return;
    list_del(&room->to_wake);
    restart_members(room);
    set_state(room, ROOM_BOUND, room->link);
    sessions_queue_room(room->all, room);
}

static bool has_unsettled(const struct local_room *room)
{
    for (uint32_t i = 0; i < room->n; i++)
        if (room->members[i]->state != ATTACH_STATE_LIVE || room->members[i]->unacked ||
            room->members[i]->owes_presence)
            return true;
    return false;
}

/* Out of memory: whoever has gone meanwhile is only missing in presence. */
static void remember(struct local_room *room, struct slice users, struct slice gateways)
{
    last_seen_free(room->last_seen);
    room->last_seen = last_seen_new(users, gateways);
}

void local_room_on_sleep(struct local_room *room, const struct msg_SLEEP *in)
{
    if (room->state != ROOM_BOUND)
        return;
    remember(room, in->users, in->gateways);
    room->wake = 0;
    if (has_unsettled(room)) { /* something crossed the SLEEP on its way: the shard shall wake
                                  the room again */
        restart_members(room);
        sessions_queue_room(room->all, room);
        return;
    }
    for (uint32_t i = 0; i < room->n; i++)
        attach_sleep(room->members[i]);
    set_state(room, ROOM_ASLEEP, room->link);
}

/* The owner by our own ring says MOVED: it is asked again after a while, or, the first time, at
 * once, when it has been taught that ring just now. */
static void pause(struct local_room *room, const struct link *by, bool is_taught)
{
    struct sessions *all = room->all;
    bool is_first = room->pause_ms == MOVED_RETRY_MIN_MS;
    uint64_t ms = env_jitter_ms(all->env, room->pause_ms);

    room->pause_ms = MIN(room->pause_ms * 2, (uint32_t)MOVED_RETRY_MAX_MS);
    if (is_taught && is_first)
        return;
    if (env_timer(all->env, &room->retry, ms) == 0)
        room->moved_by = by; /* out of memory for a pause: looked at in the next turn */
}

void local_room_on_moved(struct local_room *room, const struct msg_MOVED *in)
{
    struct sessions *all = room->all;
    struct link *from = room->link;
    struct ring_identity theirs = {in->ring_epoch, in->ring_hash};
    bool is_owner = from == link_pool_owner(all->pool, local_room_object(room));
    bool is_taught = link_pool_teach(all->pool, from, theirs);

    all->metrics->moved++;
    if (in->users.len > 0) /* else it was not there, and what we know is as good as before */
        remember(room, in->users, slice_of(NULL, 0));
    local_room_unbind(room);
    if (in->move > 0) {
        say_arrived(room);
        room->left = from;
        room->move = in->move;
    }
    if (is_owner)
        pause(room, from, is_taught);
    else
        room->released = link_pool_epoch(all->pool); /* and our ring names another one */
    link_pool_refresh_ring(all->pool);
    sessions_queue_room(all, room);
}

void local_room_on_woken(struct local_room *room, struct link *by, uint64_t wake)
{
    struct sessions *all = room->all;
    size_t budget = ATTACHES_PER_TURN;

    room->woken_by = by;
    room->woken = wake;
    if (by != link_pool_owner(all->pool, local_room_object(room)))
        link_pool_refresh_ring(all->pool); /* with the next one we follow */
    if (room->state == ROOM_BOUND) {
        /* The last words of the shard that had it are on their way. */
        if (!timer_is_armed(&room->retry) &&
            env_timer(all->env, &room->retry, WAKE_FOLLOW_MS) == 0)
            return;
    }
    if (room->state == ROOM_UNBOUND) /* waiting after MOVED makes no sense any more */
        timer_cancel(&all->env->timers, &room->retry);
    if (local_room_advance(room, &budget) == ROOM_STALLED || room->progress < room->n)
        sessions_queue_room(all, room);
}

void local_room_on_live(struct local_room *room)
{
    room->pause_ms = MOVED_RETRY_MIN_MS;
    say_arrived(room);
    handovers_drop(room);
}

/* ---- finding the owner, sending ---- */

/* Behind the attaches on the same link: the shard has heard of everybody. */
static void answer_wake(struct local_room *room)
{
    struct msg msg = {.type = MSG_AWAKE,
                      .AWAKE = {.wake = room->wake,
                                .project = local_room_project(room),
                                .room = local_room_name(room),
                                .users = last_seen_users(room->last_seen)}};

    if (room->wake == 0 || room->state != ROOM_BOUND || room->progress < room->n)
        return;
    room->wake = 0;
    if (link_send(room->link, &msg) < 0)
        return; /* the link ends and takes the room with it */
    last_seen_free(TAKE(room->last_seen));
}

void local_room_on_wake(struct local_room *room, uint64_t wake)
{
    room->wake = wake;
    local_room_wake(room);
    answer_wake(room);
}

static int send_members(struct local_room *room, size_t *budget)
{
    if (room->progress == 0 && handovers_send(room) < 0)
        return 0; /* the link ends and takes the room with it */
    while (room->progress<room->n && * budget> 0) {
        struct attach *a = room->members[room->progress];

        if (a->is_sent) { /* moved here when another one left */
            room->progress++;
            continue;
        }
        if (link_is_full(room->link))
            return ROOM_STALLED;
        if (attach_request(a) < 0)
            return 0; /* the link ends and takes the room with it */
        room->progress++;
        (*budget)--;
    }
    answer_wake(room);
    return 0;
}

/* By the ring it belongs to `owner`, but the shard that it is bound to may still have it, and
 * will say when it lets go. Not when the owner has claimed it, and that word is overdue. */
static bool stays(const struct local_room *room, const struct link *owner)
{
    return room->state != ROOM_UNBOUND && !room->is_user_channel &&
           link_pool_may_hold(room->all->pool, room->link) &&
           !(room->woken_by == owner && !timer_is_armed(&room->retry));
}

/* The shard to ask next: a room that is nowhere yet may still be with its last owner. NULL:
 * none that is up. */
static struct link *look_for(const struct local_room *room, struct link *owner)
{
    struct link_pool *pool = room->all->pool;
    struct link *holder = NULL;

    if (room->state == ROOM_UNBOUND && !room->is_user_channel &&
        room->released != link_pool_epoch(pool) && !(owner && room->woken_by == owner))
        holder = link_pool_holder(pool, local_room_object(room));
    return holder ? holder : owner;
}

/* Asleep, it is no more with its shard than with any other; but a WAKE of its new owner may
 * have passed us by. Many rooms do not wake at once. */
static void wake_later(struct local_room *room)
{
    if (!list_linked(&room->to_wake))
        list_add_tail(&room->all->to_wake, &room->to_wake);
}

int local_room_advance(struct local_room *room, size_t *budget)
{
    struct link *owner, *next;

    if (room->n == 0)
        return 0;
    owner = link_pool_owner(room->all->pool, local_room_object(room));
    next = look_for(room, owner);
    if (owner && owner != room->link && stays(room, owner)) {
        if (room->state == ROOM_ASLEEP)
            wake_later(room);
    } else if (next && next != room->link) {
        if (next == room->moved_by && timer_is_armed(&room->retry))
            return 0; /* it has just said that it is not the owner */
        if (room->state != ROOM_UNBOUND) {
            room->has_strayed = true;
            local_room_unbind(room);
        }
        bind(room, next);
    }
    return room->state == ROOM_BOUND ? send_members(room, budget) : 0;
}

/* ---- members ---- */

void local_room_detach_elsewhere(const struct local_room *room, uint64_t attach)
{
    struct msg msg = {.type = MSG_DETACH,
                      .DETACH = {.attach = attach,
                                 .project = local_room_project(room),
                                 .room = local_room_name(room)}};

    if (room->has_strayed)
        link_pool_tell_all(room->all->pool, local_room_last_link(room), &msg);
}

/* The last socket here has gone unnoticed: the shard has let go of the room, in which other
 * gateways have sockets. */
static void miss(struct local_room *room)
{
    struct sessions *all = room->all;

    if (last_seen_has_others(room->last_seen, link_pool_incarnation(all->pool)))
        missed_add(all, local_room_project(room), local_room_name(room));
}

int local_room_add(struct local_room *room, struct attach *a)
{
    if (room->n == room->cap) {
        uint32_t cap = room->cap ? room->cap * 2 : FIRST_MEMBERS;
        struct attach **members = reallocarray(room->members, cap, sizeof(struct attach *));

        if (!members)
            return -ENOMEM;
        room->members = members;
        room->cap = cap;
    }
    room->n_framed[a->framing]++;
    a->slot = room->n;
    room->members[room->n++] = a;
    return 0;
}

/* Gives memory back when a room that was large has become small. */
static void shrink(struct local_room *room)
{
    struct attach **members;

    if (room->cap <= FIRST_MEMBERS * 8 || room->n > room->cap / 4)
        return;
    members = reallocarray(room->members, room->cap / 2, sizeof(struct attach *));
    if (!members)
        return; /* larger than needed, nothing worse */
    room->members = members;
    room->cap /= 2;
}

void local_room_remove(struct local_room *room, struct attach *a)
{
    uint32_t slot = a->slot;

    assert(slot < room->n && room->members[slot] == a);
    room->n_framed[a->framing]--;
    room->members[slot] = room->members[--room->n];
    room->members[slot]->slot = slot;
    if (slot < room->progress && !room->members[slot]->is_sent)
        room->progress = slot; /* the sent ones behind it are passed over */
    room->progress = MIN(room->progress, room->n);
    if (room->n == 0) {
        miss(room);
        local_room_drop_if_empty(room);
        return;
    }
    shrink(room);
    if (room->state == ROOM_ASLEEP)
        local_room_wake(room); /* the others must learn that somebody has left */
    else if (room->progress < room->n)
        sessions_queue_room(room->all, room);
}

/* ---- life ---- */

static void room_free(struct local_room *room)
{
    if (!room)
        return;
    blob_unref(room->generation);
    last_seen_free(room->last_seen);
    free(room->members);
    free(room);
}
DEFINE_AUTO(struct local_room, room_free)

static void room_on_dead(struct later *later, void *arg)
{
    (void)later;
    room_free(arg);
}

void local_room_drop_if_empty(struct local_room *room)
{
    struct sessions *all = room->all;

    if (room->n > 0)
        return;
    say_arrived(room);
    handovers_drop(room);
    map_remove(&all->rooms, &room->node);
    list_del(&room->place);
    list_del(&room->work);
    list_del(&room->to_wake);
    timer_cancel(&all->env->timers, &room->retry);
    if (room->is_user_channel)
        all->metrics->user_channels--;
    else
        all->metrics->rooms--;
    env_free_later(all->env, &room->dead);
}

static char *put(char *at, const char *data, size_t len)
{
    memcpy(at, data, len);
    return at + len;
}

/* A room with its names, in no list. NULL: out of memory. */
static struct local_room *room_new(struct sessions *all, struct slice project,
                                   struct slice name)
{
    bool is_user = is_user_channel(name);
    struct slice id = is_user ? slice_of(name.data + 1, name.len - 1) : name;
    size_t object_len = PREFIX_LEN + project.len + 1 + id.len;
    struct local_room *room = calloc(1, sizeof(*room) + object_len + (is_user ? name.len : 0));
    char *at;

    if (!room)
        return NULL;
    room->all = all;
    room->is_user_channel = is_user;
    room->project_len = (uint16_t)project.len;
    room->object_len = (uint16_t)object_len;
    room->name_len = (uint16_t)name.len;
    room->name_at = (uint16_t)(is_user ? object_len : object_len - name.len);
    room->pause_ms = MOVED_RETRY_MIN_MS;
    at = put(room->object, is_user ? USER_PREFIX : ROOM_PREFIX, PREFIX_LEN);
    at = put(at, project.data, project.len);
    at = put(at, "/", 1);
    at = put(at, id.data, id.len);
    if (is_user)
        put(at, name.data, name.len);
    list_init(&room->place);
    list_init(&room->work);
    list_init(&room->to_wake);
    list_init(&room->handovers);
    timer_init(&room->retry, room_on_retry, room);
    later_init(&room->dead, room_on_dead, room);
    return room;
}

int local_room_get(struct sessions *all, struct slice project, struct slice name,
                   struct local_room **ret_room)
{
    AUTO(room_free) struct local_room *room = local_room_find(all, project, name);
    size_t mark = is_user_channel(name);
    int r;

    if (room) {
        *ret_room = TAKE(room);
        return 0;
    }
    if (project.len == 0 || project.len > ID_MAX || name.len <= mark ||
        name.len > ID_MAX + mark)
        return -EINVAL;
    room = room_new(all, project, name);
    if (!room)
        return -ENOMEM;
    r = map_insert(&all->rooms, &room->node, hash_two(project, name));
    if (r < 0)
        return r;
    list_add_tail(&all->unbound, &room->place);
    if (room->is_user_channel)
        all->metrics->user_channels++;
    else
        all->metrics->rooms++;
    *ret_room = TAKE(room);
    return 0;
}

struct blob *local_room_generation(struct local_room *room, struct slice generation)
{
    struct blob *blob;

    if (generation.len > 0 && generation.data[generation.len - 1] == GENERATION_PARTIAL)
        return blob_copy(generation); /* of this one alone, until it is live */
    if (room->generation && slice_eq(blob_slice(room->generation), generation))
        return blob_ref(room->generation);
    blob = blob_copy(generation);
    if (!blob)
        return NULL;
    blob_unref(room->generation);
    room->generation = blob_ref(blob);
    return blob;
}
