/* session.c - one client socket; see session.h. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/base/ident.h"
#include "common/base/limits.h"
#include "gateway/session/attach.h"
#include "gateway/session/client_frame.h"
#include "gateway/session/local_room.h"
#include "gateway/session/say.h"
#include "gateway/session/sessions.h"
#include "gateway/session/token_life.h"
#include "gateway/ws/ws_conn.h"

/* ---- life ---- */

void session_free(struct session *s)
{
    if (!s)
        return;
    list_del(&s->of_user);
    local_user_drop_if_empty(s->user);
    intern_put(s->project);
    intern_put(s->roles);
    intern_put(s->only_room);
    blob_unref(s->user_info);
    blob_unref(s->token_id);
    free(s);
}
DEFINE_AUTO(struct session, session_free)

/* A copy of a text that may be missing (NULL then). False: out of memory. */
static bool copy_text(struct slice text, struct blob **ret_copy)
{
    if (text.len > 0)
        *ret_copy = blob_copy(text);
    return text.len == 0 || *ret_copy;
}

static struct session *session_new(struct sessions *all, const struct session_params *params,
                                   const struct session_sink *sink)
{
    struct session *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->all = all;
    s->stream = sink->stream;
    if (s->stream)
        s->stream->tenant = hash_slice(params->project);
    s->framing = (uint8_t)sink->framing;
    s->is_native = params->native;
    s->many_rooms = params->many_rooms;
    list_init(&s->attaches);
    list_init(&s->of_user);
    token_life_init(s);
    return s;
}

static int take_params(struct session *s, const struct session_params *params)
{
    s->project = intern_get(&s->all->texts, params->project);
    s->roles = intern_get(&s->all->texts, params->roles);
    if (!s->project || !s->roles || !copy_text(params->user_info, &s->user_info))
        return -ENOMEM;
    return token_life_take(s, params);
}

int session_open(struct sessions *all, const struct session_params *params,
                 const struct session_sink *sink, const struct session_events *events,
                 void *owner, struct session **ret_session)
{
    AUTO(session_free) struct session *s = NULL;
    int r;

    if (all->n_open >= all->max_sessions)
        return SESSION_FULL;
    s = session_new(all, params, sink);
    if (!s)
        return -ENOMEM;
    r = take_params(s, params);
    if (r == 0)
        r = local_user_get(all, params->project, params->user, &s->user);
    if (r < 0)
        return r;
    list_add_tail(&s->user->sessions, &s->of_user);
    s->events = events;
    s->owner = owner;
    env_random(all->env, s->socket_id, sizeof(s->socket_id));
    list_add_tail(&all->open, &s->link);
    all->n_open++;
    all->metrics->connections++;
    token_life_begin(s);
    *ret_session = TAKE(s);
    return 0;
}

/* Out of every room and list; the memory goes when nobody on the stack can hold it. */
static void shut(struct session *s)
{
    s->is_closed = true;
    depart_on_left(s);
    while (!list_empty(&s->attaches))
        attach_leave(list_first(&s->attaches, struct attach, of_session));
    token_life_end(s);
    list_del(&s->link);
    s->all->n_open--;
    s->all->metrics->connections--;
    sessions_reap(s->all, s);
}

void session_on_goodbye(struct session *s)
{
    s->said_goodbye = true;
}

void session_close(struct session *s)
{
    if (!s->is_closed)
        shut(s);
}

uint64_t session_return_delay_ms(struct env *env, unsigned code)
{
    uint64_t random = env_random_u64(env);

    if (code == WS_CODE_RESTART) /* they are closed one after another as it is */
        return random % RETURN_SPREAD_MS;
    return RETURN_OVERLOADED_MS + random % RETURN_OVERLOADED_MS;
}

/* The close frame has no room for a time. Who does not read would not read this either; an
 * event stream has a way of its own to say it. */
static void say_return(struct session *s, unsigned code, struct slice reason)
{
    uint64_t after_ms;
    int r;

    if (!s->stream || code != WS_CODE_OVERLOADED || slice_eq_str(reason, "slow_consumer"))
        return;
    after_ms = session_return_delay_ms(s->all->env, code);
    s->all->metrics->goaways_overload++;
    r = say_goaway(s, "overload", after_ms);
    (void)r; /* it is closed anyway */
}

void session_end(struct session *s, unsigned code, struct slice reason)
{
    if (s->is_closed)
        return;
    say_return(s, code, reason);
    if (s->is_closed)
        return; /* the sink has failed, and has been told */
    shut(s);
    s->events->on_close(s->owner, code, reason);
}

void session_end_failed(struct session *s, int error)
{
    session_end(s, 1013,
                error == -ENOBUFS ? SLICE_LIT("slow_consumer") : SLICE_LIT("overloaded"));
}

/* ---- rooms ---- */

static uint64_t subscription_hash(const struct session *s, struct slice room)
{
    return hash_two(slice_of(s->socket_id, sizeof(s->socket_id)), room);
}

struct subscription_key {
    const struct session *session;
    struct slice room;
};

static bool subscription_eq(const struct map_node *node, const void *key)
{
    const struct attach *a = container_of(node, struct attach, subscription);
    const struct subscription_key *k = key;

    return a->session == k->session && attach_is_in(a, k->room);
}

struct attach *session_only_attach(const struct session *s)
{
    return list_empty(&s->attaches) ? NULL
                                    : list_first(&s->attaches, struct attach, of_session);
}

bool session_is_listener(const struct session *s)
{
    const struct attach *only = session_only_attach(s);

    return only && only->room->is_user_channel;
}

struct attach *session_find_attach(const struct session *s, struct slice room)
{
    struct subscription_key key = {s, room};
    struct map_node *node;

    if (!s->many_rooms) {
        struct attach *only = session_only_attach(s);

        return only && attach_is_in(only, room) ? only : NULL;
    }
    node = map_find(&s->all->subscriptions, subscription_hash(s, room), subscription_eq, &key);
    return node ? container_of(node, struct attach, subscription) : NULL;
}

/* In the room, by all indexes; nothing is sent yet. */
static int take_seat(struct session *s, struct local_room *room,
                     const struct enter_params *params)
{
    struct attach *attach;
    int r = attach_new(s, room, params, &attach);

    if (r < 0)
        local_room_drop_if_empty(room);
    if (r < 0 || !s->many_rooms)
        return r;
    r = map_insert(&s->all->subscriptions, &attach->subscription,
                   subscription_hash(s, params->room));
    if (r < 0)
        attach_leave(attach);
    else
        attach->is_subscription = true;
    return r;
}

static int enter(struct session *s, const struct enter_params *params)
{
    struct sessions *all = s->all;
    struct local_room *room;
    size_t budget = ATTACHES_PER_TURN;
    int r;

    assert(s->many_rooms || list_empty(&s->attaches));
    assert(!session_find_attach(s, params->room));
    r = local_room_get(all, intern_slice(s->project), params->room, &room);
    if (r < 0)
        return r;
    r = take_seat(s, room, params);
    if (r < 0)
        return r == -ENOSPC ? SESSION_FULL : r;
    local_room_wake(room);
    if (local_room_advance(room, &budget) == ROOM_STALLED || room->progress < room->n)
        sessions_queue_room(all, room);
    return 0;
}

int session_enter(struct session *s, const struct enter_params *params)
{
    if (is_user_channel(params->room))
        return -EINVAL; /* no room has such a name */
    return enter(s, params);
}

int session_enter_user_channel(struct session *s, struct slice trace)
{
    char name[1 + ID_MAX] = {USER_CHANNEL_MARK};
    struct slice user = session_user(s);
    struct enter_params params = {.trace = trace};

    memcpy(name + 1, user.data, user.len);
    params.room = slice_of(name, 1 + user.len);
    return enter(s, &params);
}

void session_tell_roles(struct session *s)
{
    struct attach *a;

    list_for_each(a, &s->attaches, of_session) attach_tell_roles(a);
}

/* ---- the edge's events ---- */

void session_on_text(struct session *s, struct slice text)
{
    int r;

    if (s->is_closed)
        return;
    r = client_frame_take(s, text);
    if (r < 0)
        session_end_failed(s, r);
}

/* Who begins a catch-up goes to the end of the list, and may be met again. */
void session_on_drained(struct session *s)
{
    struct attach *a, *next;

    if (s->is_closed)
        return;
    list_for_each_safe(a, next, &s->attaches, of_session) attach_flush(a);
}

bool session_may_page(const struct session *s)
{
    return s->n_credits < CATCHUPS_PER_SOCKET && session_queued(s) <= s->all->marks.soft;
}

void session_next_page(struct session *s)
{
    struct attach *a, *next;

    list_for_each_safe(a, next, &s->attaches, of_session)
    {
        if (s->is_closed || s->n_waiting == 0 || !session_may_page(s))
            return;
        if (a->is_waiting)
            attach_flush(a);
    }
}

bool session_is_overfull(struct session *s)
{
    size_t queued = session_queued(s);

    if (queued <= s->all->marks.low)
        s->page_bytes = 0;
    return queued > s->all->marks.hard + s->page_bytes;
}

int session_send(struct session *s, struct slice json)
{
    AUTO(blob_unref) struct blob *frame = framing_build(s->framing, json, FRAMING_NO_ID);

    if (!frame)
        return -ENOMEM;
    /* A client that talks but does not read: its answers must not pile up. */
    if (session_is_overfull(s)) {
        s->all->metrics->slow_closed++;
        return -ENOBUFS;
    }
    return session_write(s, frame);
}

/* The bounds for all rooms together are those of one room with some to spare; half of them:
 * no flutter. */
void session_update_pause(struct session *s)
{
    uint32_t limit = s->is_paused ? SESSION_UNSETTLED_MAX / 2 : SESSION_UNSETTLED_MAX;
    bool is_over = s->n_over > 0 || s->unsettled_bytes > limit;

    if (is_over == s->is_paused || s->is_closed)
        return;
    s->is_paused = is_over;
    if (is_over)
        s->all->metrics->paused++;
    s->events->on_pause(s->owner, is_over);
}

int session_refuse_text(struct session *s, struct slice text, enum error_code code)
{
    s->all->metrics->frames_refused++;
    return client_frame_refuse(s, text, code, 0);
}

int session_refuse(struct session *s, struct slice frame_id, enum error_code code,
                   const char *detail)
{
    struct say_ref ref = {.frame_id = frame_id};

    s->all->metrics->frames_refused++;
    return say_error(s, code, detail, &ref, 0);
}
