/* token_refresh.c - see token_refresh.h. */
#include "gateway/edge/token_refresh.h"

#include <stdlib.h>

#include "common/base/buf.h"
#include "common/base/secret.h"
#include "gateway/api/admit.h"
#include "gateway/session/session.h"

struct token_refresh {
    struct token_refresh **slot;
    struct session *session;
    struct env *env;
    struct admission admission;
    struct later dead;
    void (*fn)(void *owner);
    void *owner;
    struct buf token;
    size_t frame_id_len;
    char frame_id[CLIENT_ID_MAX];
};

static void free_now(struct later *later, void *arg)
{
    (void)later;
    free(arg);
}

/* It may be called from its own admission: the memory goes at the end of the turn. */
static void finish(struct token_refresh *r)
{
    *r->slot = NULL;
    if (r->token.data)
        secret_wipe(r->token.data, r->token.cap);
    buf_deinit(&r->token);
    env_free_later(r->env, &r->dead);
}

void token_refresh_cancel(struct token_refresh *r)
{
    if (!r)
        return;
    admission_cancel(&r->admission);
    finish(r);
}

/* What the session says to a token that is good as such. */
static int give(struct token_refresh *r)
{
    const struct token *token = &r->admission.token;
    struct slice frame_id = slice_of(r->frame_id, r->frame_id_len);
    char roles[ROLES_TEXT_MAX];
    struct session_params params = {
        .project = slice_str(token->project),
        .user = slice_str(token->user),
        .roles = roles_text(token->roles, roles),
        .only_room = slice_str(token->room),
        .token_id = slice_str(token->id),
        .issued_s = token->issued_s,
        .expires_s = token->expires_s,
    };
    int result = session_refresh(r->session, &params, frame_id);

    if (result == SESSION_OTHER)
        return session_refuse(r->session, frame_id, ERROR_forbidden,
                              "the token is for another user, project or room");
    return result;
}

static void on_admitted(void *arg, struct admission *admission)
{
    struct token_refresh *r = arg;
    void (*fn)(void *) = r->fn;
    void *owner = r->owner;
    int result = admission->error == ERROR_NONE
                     ? give(r)
                     : session_refuse(r->session, slice_of(r->frame_id, r->frame_id_len),
                                      admission->error, NULL);

    if (*r->slot == r) /* else the session has ended, and cancelled it */
        finish(r);
    if (result < 0)
        fn(owner);
}

static struct token_refresh *refresh_new(struct env *env, struct slice token,
                                         struct slice frame_id)
{
    struct token_refresh *r = calloc(1, sizeof(*r));

    if (!r)
        return NULL;
    r->env = env;
    later_init(&r->dead, free_now, r);
    buf_put_slice(&r->token, token);
    r->frame_id_len = MIN(frame_id.len, sizeof(r->frame_id));
    memcpy(r->frame_id, frame_id.len ? frame_id.data : "", r->frame_id_len);
    if (buf_failed(&r->token)) {
        free(r);
        return NULL;
    }
    return r;
}

void token_refresh_start(struct admit *admit, struct env *env, struct session *session,
                         struct slice token, struct slice frame_id, struct token_refresh **slot,
                         void (*fn)(void *owner), void *owner)
{
    struct token_refresh *r = *slot ? NULL : refresh_new(env, token, frame_id);

    if (!r) {
        if (session_refuse(session, frame_id, ERROR_overloaded,
                           *slot ? "the token before it is being checked" : NULL) < 0)
            fn(owner);
        return;
    }
    r->slot = slot;
    r->session = session;
    r->fn = fn;
    r->owner = owner;
    *slot = r;
    if (admit_token(admit, &r->admission, buf_slice(&r->token), on_admitted, r) != ADMIT_WAIT)
        on_admitted(r, &r->admission);
}
