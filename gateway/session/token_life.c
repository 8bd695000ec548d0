/* token_life.c - see token_life.h. */
#include "gateway/session/token_life.h"

#include <errno.h>

#include "common/base/limits.h"
#include "gateway/session/attach.h"
#include "gateway/session/say.h"
#include "gateway/session/sessions.h"

#define CODE_POLICY 1008u
#define CODE_OLD_EXPIRED 4002u /* to an old client 1008 would be the end for good */

static int64_t left_ms(const struct session *s)
{
    return s->expires_s * 1000 - env_wall_us(s->all->env) / 1000;
}

bool token_is_over(const struct session *s)
{
    return s->expires_s > 0 && left_ms(s) <= 0;
}

unsigned token_over_code(const struct session *s)
{
    return s->is_native ? CODE_POLICY : CODE_OLD_EXPIRED;
}

static int64_t grace_ms(const struct session *s)
{
    return s->framing == FRAMING_EVENT_STREAM ? 0 : s->all->token_grace_ms;
}

static bool is_warned(const struct session *s)
{
    return s->is_native && !s->is_token_warned;
}

/* Looks again after TOKEN_RECHECK_MS at the latest: the wall clock may jump. */
static void arm(struct session *s)
{
    int64_t due = left_ms(s) + grace_ms(s);

    if (is_warned(s))
        due = left_ms(s) - s->all->token_warning_ms;
    due = MAX(due, (int64_t)0);
    wheel_set(&s->all->wheel, &s->token_due, (uint64_t)MIN(due, (int64_t)TOKEN_RECHECK_MS));
}

static void on_due(struct wheel_entry *entry)
{
    struct session *s = container_of(entry, struct session, token_due);
    int64_t left = left_ms(s);
    int r;

    if (left + grace_ms(s) <= 0) {
        s->all->metrics->tokens_expired++;
        session_end(s, token_over_code(s), TOKEN_OVER_REASON);
        return;
    }
    if (is_warned(s) && left <= s->all->token_warning_ms) {
        s->is_token_warned = true;
        r = say_token_expiring(s);
        if (r < 0) {
            session_end_failed(s, r);
            return;
        }
    }
    if (!s->is_closed) /* by its sink, while that was said */
        arm(s);
}

void token_life_init(struct session *s)
{
    wheel_entry_init(&s->token_due, on_due);
}

/* Copies of texts that may be missing (NULL then). False: out of memory. */
static bool copy_texts(struct session *s, const struct session_params *params,
                       struct intern_text **ret_room, struct blob **ret_id)
{
    *ret_room = params->only_room.len ? intern_get(&s->all->texts, params->only_room) : NULL;
    *ret_id = params->token_id.len ? blob_copy(params->token_id) : NULL;
    if ((!params->only_room.len || *ret_room) && (!params->token_id.len || *ret_id))
        return true;
    intern_put(*ret_room);
    blob_unref(*ret_id);
    return false;
}

int token_life_take(struct session *s, const struct session_params *params)
{
    struct intern_text *only_room;
    struct blob *token_id;

    if (!copy_texts(s, params, &only_room, &token_id))
        return -ENOMEM;
    intern_put(s->only_room);
    s->only_room = only_room;
    blob_unref(s->token_id);
    s->token_id = token_id;
    s->issued_s = params->issued_s;
    s->expires_s = params->expires_s;
    return 0;
}

void token_life_begin(struct session *s)
{
    s->is_token_warned = false;
    if (s->expires_s > 0)
        arm(s);
    else
        wheel_cancel(&s->token_due);
}

void token_life_end(struct session *s)
{
    wheel_cancel(&s->token_due);
}

/* ---- a fresh token ---- */

static bool is_good_for_rooms(const struct session *s, struct slice only_room)
{
    const struct attach *a;

    if (only_room.len == 0)
        return true;
    list_for_each(a, &s->attaches, of_session)
    {
        if (!attach_is_in(a, only_room))
            return false;
    }
    return true;
}

int session_refresh(struct session *s, const struct session_params *params,
                    struct slice frame_id)
{
    struct intern_text *roles, *before = s->roles;

    if (!slice_eq(params->user, session_user(s)) ||
        !slice_eq(params->project, intern_slice(s->project)) ||
        !is_good_for_rooms(s, params->only_room))
        return SESSION_OTHER;
    roles = intern_get(&s->all->texts, params->roles);
    if (!roles)
        return -ENOMEM;
    if (token_life_take(s, params) < 0) {
        intern_put(roles);
        return -ENOMEM;
    }
    s->roles = roles;
    if (roles != before)
        session_tell_roles(s);
    intern_put(before);
    token_life_begin(s);
    s->all->metrics->tokens_refreshed++;
    return say_token_refreshed(s, frame_id);
}
