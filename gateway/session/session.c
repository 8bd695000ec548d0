/* session.c - one client socket; see session.h. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/base/ident.h"
#include "common/base/limits.h"
#include "gateway/session/attach.h"
#include "gateway/session/client_frame.h"
#include "gateway/session/local_room.h"
#include "gateway/session/sessions.h"
#include "gateway/ws/ws_header.h"

/* ---- life ---- */

static void session_free(struct session *s)
{
    if (!s)
        return;
    while (s->attaches) {
        struct attach *a = s->attaches;

        s->attaches = a->next_of_session;
        attach_free(a);
    }
    list_del(&s->of_user);
    local_user_drop_if_empty(s->user);
    intern_put(s->project);
    intern_put(s->roles);
    blob_unref(s->user_info);
    blob_unref(s->token_id);
    free(s);
}
DEFINE_AUTO(struct session, session_free)

static void session_on_dead(struct later *later, void *arg)
{
    (void)later;
    session_free(arg);
}

/* A copy of a text that may be missing (NULL then). False: out of memory. */
static bool copy_text(struct slice text, struct blob **ret_copy)
{
    if (text.len > 0)
        *ret_copy = blob_copy(text);
    return text.len == 0 || *ret_copy;
}

int session_open(struct sessions *all, const struct session_params *params,
                 struct stream *stream, const struct session_events *events, void *owner,
                 struct session **ret_session)
{
    AUTO(session_free) struct session *s = NULL;
    int r;

    if (all->n_open >= all->max_sessions)
        return SESSION_FULL;
    s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    list_init(&s->of_user);
    s->all = all;
    s->stream = stream;
    s->events = events;
    s->owner = owner;
    s->is_native = params->native;
    s->issued_s = params->issued_s;
    later_init(&s->dead, session_on_dead, s);
    s->project = intern_get(&all->texts, params->project);
    s->roles = intern_get(&all->texts, params->roles);
    if (!s->project || !s->roles)
        return -ENOMEM;
    if (!copy_text(params->user_info, &s->user_info) ||
        !copy_text(params->token_id, &s->token_id))
        return -ENOMEM;
    r = local_user_get(all, params->project, params->user, &s->user);
    if (r < 0)
        return r;
    list_add_tail(&s->user->sessions, &s->of_user);
    env_random(all->env, s->socket_id, sizeof(s->socket_id));
    list_add_tail(&all->open, &s->link);
    all->n_open++;
    all->metrics->connections++;
    *ret_session = TAKE(s);
    return 0;
}

/* Out of every room and list; the memory goes when nobody on the stack can hold it. */
static void shut(struct session *s)
{
    s->is_closed = true;
    for (struct attach *a = s->attaches; a; a = a->next_of_session)
        attach_leave(a);
    list_del(&s->link);
    s->all->n_open--;
    s->all->metrics->connections--;
    env_free_later(s->all->env, &s->dead);
}

void session_close(struct session *s)
{
    if (!s->is_closed)
        shut(s);
}

void session_end(struct session *s, unsigned code, struct slice reason)
{
    if (s->is_closed)
        return;
    shut(s);
    s->events->on_close(s->owner, code, reason);
}

/* ---- rooms ---- */

static int enter(struct session *s, const struct enter_params *params)
{
    struct sessions *all = s->all;
    struct local_room *room;
    struct attach *attach;
    size_t budget = ATTACHES_PER_TURN;
    int r;

    assert(!s->attaches); /* one room per socket: error frames name it */
    r = local_room_get(all, intern_slice(s->project), params->room, &room);
    if (r < 0)
        return r;
    r = attach_new(s, room, params, &attach);
    if (r < 0) {
        local_room_drop_if_empty(room);
        return r == -ENOSPC ? SESSION_FULL : r;
    }
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

/* ---- the edge's events ---- */

void session_on_text(struct session *s, struct slice text)
{
    int r;

    if (s->is_closed)
        return;
    r = client_frame_take(s, text);
    if (r < 0)
        session_end(s, 1013,
                    r == -ENOBUFS ? SLICE_LIT("slow_consumer") : SLICE_LIT("overloaded"));
}

void session_on_drained(struct session *s)
{
    if (s->is_closed)
        return;
    for (struct attach *a = s->attaches; a; a = a->next_of_session)
        attach_flush(a);
}

int session_send(struct session *s, struct slice json)
{
    AUTO(blob_unref) struct blob *frame = ws_server_frame(WS_OP_TEXT, json);

    if (!frame)
        return -ENOMEM;
    /* A client that talks but does not read: its answers must not pile up. */
    if (s->stream->queued_bytes > SOCKET_QUEUE_HARD) {
        s->all->metrics->slow_closed++;
        return -ENOBUFS;
    }
    return stream_write(s->stream, frame);
}

void session_set_over(struct session *s, bool is_over)
{
    bool was_paused = s->n_over > 0;

    s->n_over = (uint16_t)(is_over ? s->n_over + 1 : s->n_over - 1);
    if (was_paused == (s->n_over > 0) || s->is_closed)
        return;
    if (is_over)
        s->all->metrics->paused++;
    s->events->on_pause(s->owner, is_over);
}
