/* client_frame.c - client frames by type; see client_frame.h. */
#include "gateway/session/client_frame.h"

#include <errno.h>

#include "gateway/session/attach.h"
#include "gateway/session/say.h"
#include "gateway/session/subscribe.h"
#include "gateway/session/token_life.h"

enum frame_kind {
    FRAME_ANSWERED, /* here, without waking the room */
    FRAME_DURABLE,  /* numbered, kept until the shard has settled it */
    FRAME_READING,  /* the same, but changes nothing: good until the connection ends */
    FRAME_TYPING,   /* at once or never, but for a fresh one when the room has another owner */
};

static const struct {
    const char *type;
    enum frame_kind kind;
} frame_types[] = {
    {"ping", FRAME_ANSWERED},
    {"token", FRAME_ANSWERED},
    {"subscribe", FRAME_ANSWERED},
    {"unsubscribe", FRAME_ANSWERED},
    {"message", FRAME_DURABLE},
    {"resume", FRAME_READING},
    {"edit", FRAME_DURABLE},
    {"delete", FRAME_DURABLE},
    {"reaction", FRAME_DURABLE},
    {"stream", FRAME_DURABLE},
    {"read", FRAME_DURABLE},
    {"typing", FRAME_TYPING},
    /* Not stored, but answered when they are refused. */
    {"client_event", FRAME_DURABLE},
    {"agentTyping", FRAME_DURABLE},
};

static int refuse(struct session *session, const struct json_frame_head *head,
                  enum error_code code, const char *detail)
{
    struct say_ref ref = say_ref_of(session, head);

    session->all->metrics->frames_refused++;
    return say_error(session, code, detail, &ref, 0);
}

int client_frame_refuse(struct session *session, struct slice text, enum error_code code,
                        uint64_t retry_after_ms)
{
    struct json_frame_head head;
    struct say_ref ref;

    if (json_scan_frame(text, &head) != 0)
        head = (struct json_frame_head){0};
    ref = say_ref_of(session, &head);
    return say_error(session, code, NULL, &ref, retry_after_ms);
}

/* ---- answered here ---- */

static int take_token(struct session *session, const struct json_frame_head *head,
                      struct slice text)
{
    struct json_want want = {.name = "token"};
    char bytes[TOKEN_MAX];
    struct slice token;

    if (!session->events->on_token)
        return refuse(session, head, ERROR_unknown_event_type, NULL);
    if (json_scan(text, &want, 1) != 0 ||
        !json_scan_string(&want, bytes, sizeof(bytes), &token) || token.len == 0 ||
        token.len > TOKEN_MAX)
        return refuse(session, head, ERROR_invalid_token, "token must be a string");
    session->events->on_token(session->owner, token, head->frame_id);
    return 0;
}

static int answer(struct session *session, const struct json_frame_head *head,
                  struct slice text)
{
    if (slice_eq_str(head->type, "ping"))
        return say_pong(session);
    if (slice_eq_str(head->type, "token"))
        return take_token(session, head, text);
    if (!session->many_rooms)
        return refuse(session, head, ERROR_unknown_event_type, NULL);
    return slice_eq_str(head->type, "subscribe") ? subscribe_take(session, head, text)
                                                 : unsubscribe_take(session, head);
}

/* ---- for a room ---- */

/* The room that a frame is for, or NULL: refused, *ret says how that went. */
static struct attach *find_room(struct session *session, const struct json_frame_head *head,
                                int *ret)
{
    struct attach *attach = session->many_rooms ? session_find_attach(session, head->room_id)
                                                : session_only_attach(session);

    if (attach)
        return attach;
    if (!session->many_rooms)
        *ret = refuse(session, head, ERROR_bad_request, "not in a room yet");
    else if (head->room_id.len == 0)
        *ret = refuse(session, head, ERROR_invalid_id, "roomId");
    else
        *ret = refuse(session, head, ERROR_not_subscribed, NULL);
    return NULL;
}

/* A write needs a good token now. An old client can only get one by coming back. */
static int refuse_expired(struct session *session, const struct json_frame_head *head)
{
    int r = refuse(session, head, ERROR_token_expired, NULL);

    if (r == 0 && !session->is_native)
        session_end(session, token_over_code(session), TOKEN_OVER_REASON);
    return r;
}

static int forward(struct session *session, const struct json_frame_head *head,
                   struct slice text, enum frame_kind kind)
{
    struct attach *attach;
    int r = 0;

    if (kind != FRAME_READING && token_is_over(session))
        return refuse_expired(session, head);
    attach = find_room(session, head, &r);
    if (!attach)
        return r;
    if (kind != FRAME_TYPING)
        return attach_keep_frame(attach, text);
    attach_pass_typing(attach, text);
    return 0;
}

static int dispatch(struct session *session, const struct json_frame_head *head,
                    struct slice text)
{
    for (size_t i = 0; i < ARRAY_LEN(frame_types); i++) {
        if (!slice_eq_str(head->type, frame_types[i].type))
            continue;
        if (frame_types[i].kind != FRAME_ANSWERED && session_is_listener(session))
            break; /* the channel of a user only speaks */
        if (frame_types[i].kind == FRAME_ANSWERED)
            return answer(session, head, text);
        return forward(session, head, text, frame_types[i].kind);
    }
    return refuse(session, head, ERROR_unknown_event_type, NULL);
}

/* False: too many frames; *ret_retry_ms says when there is a turn again. */
static bool take_turn(struct session *session, const struct json_frame_head *head,
                      uint64_t *ret_retry_ms)
{
    struct sessions *all = session->all;
    uint64_t cost = slice_eq_str(head->type, "stream") ? 1 : SESSION_FRAME_COST;

    return ratelim_take(&session->frame_limit, &all->frame_rule, env_now_ms(all->env), cost,
                        ret_retry_ms);
}

int client_frame_take(struct session *session, struct slice text)
{
    struct sessions *all = session->all;
    struct json_frame_head head;
    struct say_ref ref;
    uint64_t retry_ms = 0;

    all->metrics->frames_in++;
    if (json_scan_frame(text, &head) != 0) {
        /* Counts against the limit as well, so that nonsense is not cheaper than sense. */
        (void)ratelim_take(&session->frame_limit, &all->frame_rule, env_now_ms(all->env),
                           SESSION_FRAME_COST, NULL);
        head = (struct json_frame_head){0};
        return refuse(session, &head, ERROR_invalid_json, NULL);
    }
    if (!take_turn(session, &head, &retry_ms)) {
        all->metrics->frames_limited++;
        ref = say_ref_of(session, &head);
        return say_error(session, ERROR_rate_limit_exceeded, NULL, &ref, MAX(retry_ms, 1u));
    }
    return dispatch(session, &head, text);
}
