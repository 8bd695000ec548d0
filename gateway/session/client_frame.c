/* client_frame.c - client frames by type; see client_frame.h. */
#include "gateway/session/client_frame.h"

#include <errno.h>
#include <stdio.h>

#include "common/json/json_scan.h"
#include "common/json/json_write.h"
#include "gateway/session/attach.h"
#include "gateway/session/local_room.h"
#include "gateway/session/sessions.h"

enum frame_kind {
    FRAME_ANSWERED, /* here, without waking the room */
    FRAME_DURABLE,  /* numbered, kept until the shard has settled it */
    FRAME_PASSING,  /* only while the room is live */
};

static const struct {
    const char *type;
    enum frame_kind kind;
} frame_types[] = {
    {"ping", FRAME_ANSWERED},        {"message", FRAME_DURABLE}, {"resume", FRAME_DURABLE},
    {"client_event", FRAME_DURABLE}, /* is not stored, but answered when it is refused */
    {"typing", FRAME_PASSING},
};

/* ---- error frames (docs/errors.md) ---- */

static void write_message(struct json_writer *w, const struct error_info *info,
                          uint64_t retry_after_ms)
{
    char text[96];
    int len;

    if (retry_after_ms == 0) {
        json_field_str(w, "message", slice_str(info->code));
        return;
    }
    /* The old clients' form: they have no retryAfterMs. */
    len = snprintf(text, sizeof(text), "%s: retry in %llus", info->code,
                   (unsigned long long)(retry_after_ms + 999) / 1000);
    json_field_str(w, "message", slice_of(text, (size_t)len));
}

static int refuse(struct session *session, const struct json_frame_head *head,
                  enum error_code code, uint64_t retry_after_ms)
{
    const struct error_info *info = error_info(code);
    AUTO_BUF out = BUF_INIT;
    struct json_writer w = json_writer(&out);

    json_write_object(&w);
    json_field_str(&w, "type", SLICE_LIT("error"));
    json_field_str(&w, "code", slice_str(info->code));
    write_message(&w, info, retry_after_ms);
    if (session->attaches && !session->attaches->room->is_user_channel)
        json_field_str(&w, "roomId", local_room_name(session->attaches->room));
    if (head) {
        json_field_str_opt(&w, "clientMessageId", head->client_message_id);
        json_field_str_opt(&w, "frameId", head->frame_id);
    }
    json_field_bool(&w, "retryable", info->retryable);
    if (retry_after_ms > 0)
        json_field_u64(&w, "retryAfterMs", retry_after_ms);
    json_write_object_end(&w);
    if (buf_failed(&out))
        return -ENOMEM;
    return session_send(session, buf_slice(&out));
}

int client_frame_refuse(struct session *session, struct slice text, enum error_code code,
                        uint64_t retry_after_ms)
{
    struct json_frame_head head;
    bool is_json = json_scan_frame(text, &head) == 0;

    return refuse(session, is_json ? &head : NULL, code, retry_after_ms);
}

/* ---- frames ---- */

static int answer_ping(struct session *session)
{
    char text[64];
    int len = snprintf(text, sizeof(text), "{\"type\":\"pong\",\"ts\":%lld}",
                       (long long)(env_wall_us(session->all->env) / 1000));

    return session_send(session, slice_of(text, (size_t)len));
}

static int forward(struct session *session, const struct json_frame_head *head,
                   struct slice text, enum frame_kind kind)
{
    struct attach *attach = session->attaches;

    if (!attach)
        return refuse(session, head, ERROR_bad_request, 0); /* not in any room */
    if (kind == FRAME_DURABLE)
        return attach_keep_frame(attach, text);
    attach_pass_frame(attach, text);
    return 0;
}

/* The channel of a user only speaks. */
static bool is_listener(const struct session *session)
{
    return session->attaches && session->attaches->room->is_user_channel;
}

static int dispatch(struct session *session, const struct json_frame_head *head,
                    struct slice text)
{
    for (size_t i = 0; i < ARRAY_LEN(frame_types); i++) {
        if (!slice_eq_str(head->type, frame_types[i].type))
            continue;
        if (frame_types[i].kind != FRAME_ANSWERED && is_listener(session))
            break;
        if (frame_types[i].kind == FRAME_ANSWERED)
            return answer_ping(session);
        return forward(session, head, text, frame_types[i].kind);
    }
    session->all->metrics->frames_refused++;
    return refuse(session, head, ERROR_unknown_event_type, 0);
}

int client_frame_take(struct session *session, struct slice text)
{
    struct sessions *all = session->all;
    struct json_frame_head head;
    uint64_t retry_ms = 0;

    all->metrics->frames_in++;
    if (json_scan_frame(text, &head) != 0) {
        all->metrics->frames_refused++;
        /* Counts against the limit as well, so that nonsense is not cheaper than sense. */
        (void)ratelim_take(&session->frame_limit, &all->frame_rule, env_now_ms(all->env), 1,
                           NULL);
        return refuse(session, NULL, ERROR_invalid_json, 0);
    }
    if (!ratelim_take(&session->frame_limit, &all->frame_rule, env_now_ms(all->env), 1,
                      &retry_ms)) {
        all->metrics->frames_limited++;
        return refuse(session, &head, ERROR_rate_limit_exceeded, retry_ms > 0 ? retry_ms : 1);
    }
    return dispatch(session, &head, text);
}
