/*
 * kick.c - ends sockets because a shard says so; see kick.h.
 *
 * Who fits is decided when the message comes: sessions move from the open list
 * to the kick's own, and are ended from there, KICKS_PER_TURN in a turn. One
 * that ends for another reason meanwhile leaves the list by itself.
 */
#include "gateway/session/kick.h"

#include <assert.h>
#include <stdlib.h>

#include "common/base/ident.h"
#include "common/base/limits.h"
#include "gateway/session/attach.h"
#include "gateway/session/local_room.h"
#include "gateway/session/sessions.h"

struct kick {
    struct list in_all;      /* sessions.kicks */
    struct list doomed;      /* struct session.link: still to be ended */
    struct link *link;       /* who asked; NULL: is gone */
    struct slice reason;     /* of the close frames; */
    struct blob *reason_own; /* what it points into, when the kick outlives its message */
    uint64_t number;
    uint32_t code;
    uint32_t user_sockets, room_sockets; /* ended */
};

static void kick_free(struct kick *kick)
{
    list_del(&kick->in_all);
    blob_unref(kick->reason_own);
    free(kick);
}

/* ---- who ---- */

/* The token says nothing about when it was issued: it may be an old one. */
static bool is_issued_before(const struct session *s, uint64_t before_s)
{
    return s->issued_s <= 0 || (uint64_t)s->issued_s < before_s;
}

static bool fits(const struct session *s, const struct msg_KICK *in)
{
    if (s->is_closed || s->is_doomed || !slice_eq(intern_slice(s->project), in->project))
        return false;
    if (in->user.len > 0 && !slice_eq(session_user(s), in->user))
        return false;
    if (in->token_id.len > 0 &&
        (!s->token_id || !slice_eq(blob_slice(s->token_id), in->token_id)))
        return false;
    return in->issued_before_s == 0 || is_issued_before(s, in->issued_before_s);
}

static void doom(struct kick *kick, struct session *s)
{
    s->is_doomed = true;
    s->is_departing = false;
    list_del(&s->link);
    list_add_tail(&kick->doomed, &s->link);
}

static void doom_room_socket(struct kick *kick, struct sessions *all, const struct msg_KICK *in)
{
    struct local_room *room = local_room_find(all, in->project, in->room);

    for (uint32_t i = 0; room && i < room->n; i++) {
        struct session *s = room->members[i]->session;
        char socket_id[37];

        uuid_format(s->socket_id, socket_id);
        if (slice_eq_str(in->socket_id, socket_id) && fits(s, in)) {
            doom(kick, s);
            return;
        }
    }
}

static void doom_user_sockets(struct kick *kick, struct sessions *all,
                              const struct msg_KICK *in)
{
    struct local_user *user = local_user_find(all, in->project, in->user);
    struct session *s;

    if (!user)
        return;
    list_for_each(s, &user->sessions, of_user)
    {
        if (fits(s, in))
            doom(kick, s);
    }
}

static void doom_of(struct kick *kick, struct list *sessions, const struct msg_KICK *in)
{
    struct session *s, *next;

    list_for_each_safe(s, next, sessions, link)
    {
        if (fits(s, in))
            doom(kick, s);
    }
}

/* Of a whole project: rare, and one walk over what is open. */
static void doom_all(struct kick *kick, struct sessions *all, const struct msg_KICK *in)
{
    doom_of(kick, &all->open, in);
    doom_of(kick, &all->departure.overlapping, in);
    doom_of(kick, &all->departure.ending, in);
}

/* ---- ending them ---- */

static void answer(struct kick *kick)
{
    struct msg msg = {.type = MSG_KICKED,
                      .KICKED = {.number = kick->number,
                                 .user_sockets = kick->user_sockets,
                                 .room_sockets = kick->room_sockets}};
    int r;

    if (!kick->link)
        return;
    r = link_send(kick->link, &msg);
    (void)r; /* a link that cannot take it ends; the shard does not wait for it then */
}

static void end_some(struct kick *kick, size_t *budget)
{
    while (*budget > 0 && !list_empty(&kick->doomed)) {
        struct session *s = list_first(&kick->doomed, struct session, link);
        bool is_listener = session_is_listener(s);

        (*budget)--;
        kick->user_sockets += is_listener;
        kick->room_sockets += !is_listener;
        s->all->metrics->kicked++;
        session_end(s, kick->code, kick->reason);
    }
}

static void run(struct sessions *all)
{
    size_t budget = KICKS_PER_TURN;
    int r;

    while (!list_empty(&all->kicks)) {
        struct kick *kick = list_first(&all->kicks, struct kick, in_all);

        end_some(kick, &budget);
        if (!list_empty(&kick->doomed)) {
            r = env_timer(all->env, &all->kick_timer, 0);
            (void)r; /* without memory for it the sweep goes on */
            return;
        }
        answer(kick);
        kick_free(kick);
    }
}

void kicks_on_timer(struct timer *timer, void *arg)
{
    (void)timer;
    run(arg);
}

static void find_doomed(struct kick *kick, struct sessions *all, const struct msg_KICK *in)
{
    if (in->room.len > 0)
        doom_room_socket(kick, all, in);
    else if (in->user.len > 0)
        doom_user_sockets(kick, all, in);
    else
        doom_all(kick, all, in);
}

static struct kick *kick_new(const struct kick *from)
{
    struct kick *kick = malloc(sizeof(*kick));

    if (!kick)
        return NULL;
    *kick = *from;
    kick->reason_own = blob_copy(from->reason);
    if (!kick->reason_own) {
        free(kick);
        return NULL;
    }
    kick->reason = blob_slice(kick->reason_own);
    list_init(&kick->in_all);
    list_init(&kick->doomed);
    return kick;
}

void kick_on_message(struct sessions *all, struct link *link, const struct msg_KICK *in)
{
    struct kick now = {
        .link = link, .reason = in->reason, .number = in->number, .code = in->code};
    struct kick *kick = kick_new(&now);
    size_t no_limit = SIZE_MAX;

    if (!kick) { /* out of memory: a revocation must not be lost, so it is one long turn */
        list_init(&now.doomed);
        find_doomed(&now, all, in);
        end_some(&now, &no_limit);
        answer(&now);
        return;
    }
    list_add_tail(&all->kicks, &kick->in_all);
    find_doomed(kick, all, in);
    if (!timer_is_armed(&all->kick_timer))
        run(all);
}

void kicks_on_down(struct sessions *all, const struct link *link)
{
    struct kick *kick;

    list_for_each(kick, &all->kicks, in_all)
    {
        if (kick->link == link)
            kick->link = NULL;
    }
}

void kicks_drop(struct sessions *all)
{
    while (!list_empty(&all->kicks)) {
        struct kick *kick = list_first(&all->kicks, struct kick, in_all);

        assert(list_empty(&kick->doomed));
        kick_free(kick);
    }
}
