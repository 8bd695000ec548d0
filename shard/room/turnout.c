/* turnout.c - see turnout.h. */
#include "shard/room/turnout.h"
#include "shard/limits.h"

#include <stdlib.h>

void turnout_init(struct turnout *turnout)
{
    *turnout = (struct turnout){0};
    list_init(&turnout->notices);
    list_init(&turnout->changes);
}

/* ---- notices ---- */

static void drop_notice(struct turnout *t, struct turnout_notice *notice)
{
    list_del(&notice->link);
    t->n_notices--;
    free(notice);
}

static struct turnout_notice *find_notice(const struct turnout *t, struct slice user)
{
    struct turnout_notice *notice;

    list_for_each(notice, &t->notices, link)
    {
        if (slice_eq(notice->user, user))
            return notice;
    }
    return NULL;
}

static void add_notice(struct turnout *t, bool is_join, struct slice user, struct slice json,
                       const void *socket)
{
    struct turnout_notice *notice = NULL;

    if (t->n_notices < PRESENCE_NOTICES_MAX)
        notice = calloc(1, sizeof(*notice) + user.len + json.len);
    if (!notice) {
        t->left_out++;
        return;
    }
    memcpy(notice->bytes, user.data, user.len);
    memcpy(notice->bytes + user.len, json.data, json.len);
    notice->user = slice_of(notice->bytes, user.len);
    notice->json = slice_of(notice->bytes + user.len, json.len);
    notice->is_join = is_join;
    notice->socket = socket;
    list_add_tail(&t->notices, &notice->link);
    t->n_notices++;
}

/* ---- changes ---- */

static void drop_change(struct turnout *t, struct turnout_change *change)
{
    list_del(&change->link);
    t->n_changes--;
    t->change_bytes -= change->user.len + change->info.len;
    free(change);
}

static void drop_changes(struct turnout *t)
{
    while (!list_empty(&t->changes))
        drop_change(t, list_first(&t->changes, struct turnout_change, link));
}

static struct turnout_change *find_change(const struct turnout *t, struct slice user)
{
    struct turnout_change *change;

    list_for_each(change, &t->changes, link)
    {
        if (slice_eq(change->user, user))
            return change;
    }
    return NULL;
}

static void add_change(struct turnout *t, bool is_join, struct slice user, struct slice info)
{
    struct turnout_change *change = NULL;
    size_t bytes = user.len + info.len;

    if (t->is_incomplete)
        return;
    if (t->n_changes < PRESENCE_DELTA_USERS && t->change_bytes + bytes <= PRESENCE_DELTA_BYTES)
        change = calloc(1, sizeof(*change) + bytes);
    if (!change) {
        turnout_lose_track(t);
        return;
    }
    memcpy(change->bytes, user.data, user.len);
    if (info.len > 0)
        memcpy(change->bytes + user.len, info.data, info.len);
    change->user = slice_of(change->bytes, user.len);
    change->info = slice_of(change->bytes + user.len, info.len);
    change->is_join = is_join;
    list_add_tail(&t->changes, &change->link);
    t->n_changes++;
    t->change_bytes += bytes;
}

void turnout_lose_track(struct turnout *turnout)
{
    drop_changes(turnout);
    turnout->is_incomplete = true;
}

/* ---- news ---- */

/* Takes back the news of the contrary, if it has not been told. */
static bool take_back_notice(struct turnout *t, bool is_join, struct slice user)
{
    struct turnout_notice *notice = find_notice(t, user);

    if (!notice || notice->is_join == is_join)
        return false;
    drop_notice(t, notice);
    return true;
}

static bool take_back_change(struct turnout *t, bool is_join, struct slice user)
{
    struct turnout_change *change = find_change(t, user);

    if (!change || change->is_join == is_join)
        return false;
    drop_change(t, change);
    return true;
}

static void add_news(struct turnout *t, bool is_join, struct slice user, struct slice info,
                     struct slice json, const void *socket)
{
    bool was_untold = take_back_notice(t, is_join, user);

    if (!take_back_change(t, is_join, user))
        add_change(t, is_join, user, info);
    if (!was_untold && json.len > 0)
        add_notice(t, is_join, user, json, socket);
}

void turnout_join(struct turnout *turnout, struct slice user, struct slice info,
                  struct slice json, const void *socket)
{
    add_news(turnout, true, user, info, json, socket);
}

void turnout_leave(struct turnout *turnout, struct slice user, struct slice json)
{
    add_news(turnout, false, user, slice_of(NULL, 0), json, NULL);
}

void turnout_was_here(struct turnout *turnout, struct slice user)
{
    struct turnout_notice *notice = find_notice(turnout, user);
    struct turnout_change *change = find_change(turnout, user);

    if (notice && notice->is_join)
        drop_notice(turnout, notice);
    if (change && change->is_join)
        drop_change(turnout, change);
}

void turnout_touch(struct turnout *turnout, uint64_t now_ms)
{
    if (turnout->is_due)
        return;
    turnout->is_due = true;
    turnout->due_since_ms = now_ms;
}

size_t turnout_drop_notices(struct turnout *turnout)
{
    size_t n = turnout->n_notices;

    while (!list_empty(&turnout->notices))
        drop_notice(turnout, list_first(&turnout->notices, struct turnout_notice, link));
    return n;
}

void turnout_forget_socket(struct turnout *turnout, const void *socket)
{
    struct turnout_notice *notice;

    list_for_each(notice, &turnout->notices, link)
    {
        if (notice->socket == socket)
            notice->socket = NULL;
    }
}

/* ---- when ---- */

/* From when on n frames may go out together. */
static uint64_t frames_free_ms(const struct turnout *t, unsigned n)
{
    uint64_t last_ms = t->frames_ms[(t->oldest + n - 1) % PRESENCE_FRAMES];

    return last_ms ? last_ms + PRESENCE_WINDOW_MS : 0;
}

/* The pause between two presence frames: each goes to every socket, and lists every user. */
uint64_t turnout_interval_ms(struct turnout_size size)
{
    uint64_t ms;

    if (turnout_is_listed(size.n_users))
        ms = (uint64_t)size.n_users * size.n_sockets / PRESENCE_LISTED_PER_MS;
    else
        ms = MAX((uint64_t)size.n_sockets * 1000 / PRESENCE_FANOUT_PER_S,
                 (uint64_t)PRESENCE_WINDOW_MS);
    return MIN(ms, (uint64_t)PRESENCE_INTERVAL_MAX_MS);
}

/* presence and subscription_count, and above the list presence_delta. */
static unsigned frames_of_presence(struct turnout_size size)
{
    return turnout_is_listed(size.n_users) ? 2 : 3;
}

/* Presence is to follow its notices, but a stream of them must not keep it off for ever. */
static bool notice_goes_first(const struct turnout *t, unsigned n_presence, uint64_t now_ms)
{
    return !t->is_due || now_ms < t->due_since_ms + PRESENCE_WINDOW_MS ||
           (n_presence < PRESENCE_FRAMES && frames_free_ms(t, n_presence + 1) <= now_ms);
}

enum turnout_step turnout_next(const struct turnout *t, struct turnout_size size,
                               uint64_t now_ms, uint64_t *ret_wait_ms)
{
    unsigned n_presence = frames_of_presence(size);
    bool has_notice = t->n_notices > 0 && notice_goes_first(t, n_presence, now_ms);
    uint64_t at_ms = UINT64_MAX;

    *ret_wait_ms = 0;
    if (has_notice)
        at_ms = frames_free_ms(t, 1);
    if (at_ms <= now_ms)
        return TURNOUT_NOTICE;
    if (t->is_due) {
        uint64_t presence_ms = frames_free_ms(t, n_presence);

        if (t->published_ms > 0)
            presence_ms = MAX(presence_ms, t->published_ms + turnout_interval_ms(size));
        if (presence_ms <= now_ms)
            return TURNOUT_PRESENCE;
        at_ms = MIN(at_ms, presence_ms);
    }
    if (at_ms != UINT64_MAX)
        *ret_wait_ms = at_ms - now_ms;
    return TURNOUT_WAIT;
}

void turnout_account(struct turnout *turnout, unsigned n_frames, uint64_t now_ms)
{
    for (unsigned i = 0; i < n_frames; i++) {
        turnout->frames_ms[turnout->oldest] = now_ms;
        turnout->oldest = (turnout->oldest + 1) % PRESENCE_FRAMES;
    }
}

struct turnout_notice *turnout_take_notice(struct turnout *turnout)
{
    struct turnout_notice *notice = list_first(&turnout->notices, struct turnout_notice, link);

    list_del(&notice->link);
    turnout->n_notices--;
    return notice;
}

void turnout_published(struct turnout *turnout, unsigned n_frames, uint64_t now_ms)
{
    turnout_account(turnout, n_frames, now_ms);
    turnout->is_due = false;
    turnout->published_ms = now_ms;
    turnout->is_incomplete = false;
    drop_changes(turnout);
}

bool turnout_is_quiet(const struct turnout *turnout)
{
    return !turnout->is_due && turnout->n_notices == 0;
}

void turnout_deinit(struct turnout *turnout)
{
    (void)turnout_drop_notices(turnout);
    drop_changes(turnout);
}
