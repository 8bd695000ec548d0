/* user_events.c - see user_events.h. */
#include "gateway/session/user_events.h"

#include <stdio.h>

#include "common/base/ident.h"
#include "common/base/limits.h"
#include "gateway/session/attach.h"
#include "gateway/session/local_room.h"
#include "gateway/session/sessions.h"

/* ---- into rooms ---- */

static bool is_excepted(const struct session *s, struct slice except)
{
    char socket_id[37];

    uuid_format(s->socket_id, socket_id);
    return slice_eq_str(except, socket_id);
}

/* A room that the socket is in, in which it gets events at the moment (or would, were the room
 * awake). */
static bool is_meant(const struct attach *a, const struct msg_USER_ROOMS *in)
{
    if (a->room->is_user_channel ||
        (a->state != ATTACH_STATE_LIVE && a->state != ATTACH_STATE_ASLEEP))
        return false;
    return in->rooms.len == 0 || slice_list_has(in->rooms, local_room_name(a->room));
}

/* Ephemeral: a slow socket goes without. */
static bool give(struct attach *a, const struct msg_USER_ROOMS *in)
{
    AUTO(blob_unref) struct blob *frame = NULL;
    AUTO_BUF json = BUF_INIT;

    if (attach_queued(a) > a->session->all->marks.soft) {
        a->session->all->metrics->slow_dropped++;
        return false;
    }
    /* Ids need no escapes. */
    buf_put_slice(&json, SLICE_LIT("{\"type\":\"user_event\",\"roomId\":\""));
    buf_put_slice(&json, local_room_name(a->room));
    buf_put_slice(&json, SLICE_LIT("\","));
    buf_put_slice(&json, in->json);
    if (buf_failed(&json))
        return false;
    frame = framing_build(a->framing, buf_slice(&json), FRAMING_NO_ID);
    if (!frame || session_write(a->session, frame) < 0)
        return false; /* out of memory: an event that may be lost is */
    a->session->all->metrics->deliveries++;
    return true;
}

static void give_rooms(struct session *s, const struct msg_USER_ROOMS *in, struct buf *given)
{
    struct attach *a, *next;

    list_for_each_safe(a, next, &s->attaches, of_session)
    {
        struct slice name = local_room_name(a->room);

        if (!is_meant(a, in) || !give(a, in) || slice_list_has(buf_slice(given), name))
            continue;
        if (given->len > 0)
            buf_put_char(given, ',');
        buf_put_slice(given, name);
    }
}

void user_rooms_on_message(struct sessions *all, struct link *link,
                           const struct msg_USER_ROOMS *in)
{
    struct local_user *user = local_user_find(all, in->project, in->user);
    struct msg msg = {.type = MSG_USER_ROOMS_DONE, .USER_ROOMS_DONE = {.number = in->number}};
    AUTO_BUF given = BUF_INIT;
    struct session *s;
    int r;

    if (user) {
        list_for_each(s, &user->sessions, of_user)
        {
            if (!s->is_closed && !is_excepted(s, in->except))
                give_rooms(s, in, &given);
        }
    }
    if (!buf_failed(&given))
        msg.USER_ROOMS_DONE.rooms = buf_slice(&given);
    r = link_send(link, &msg);
    (void)r; /* a link that cannot take it ends; the shard does not wait for it then */
}

/* ---- to the channel's owner ---- */

void user_push_on_message(struct sessions *all, const struct msg_USER_PUSH *in)
{
    char object[sizeof("user//") + 2 * (size_t)ID_MAX];
    struct msg msg = {.type = MSG_USER_PUSH, .USER_PUSH = *in};
    struct link *owner;
    int len;

    if (!ident_is_valid(in->project) || !ident_is_valid(in->user))
        return;
    len = snprintf(object, sizeof(object), "user/%.*s/%.*s", (int)in->project.len,
                   in->project.data, (int)in->user.len, in->user.data);
    owner = link_pool_owner(all->pool, slice_of(object, (size_t)len));
    if (!owner || link_is_full(owner) || link_send(owner, &msg) < 0) {
        all->metrics->pushes_lost++;
        return;
    }
    all->metrics->pushes_passed++;
}
