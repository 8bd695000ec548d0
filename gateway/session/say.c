/* say.c - see say.h. */
#include "gateway/session/say.h"

#include <errno.h>
#include <stdio.h>

#include "common/json/json_write.h"
#include "gateway/session/attach.h"
#include "gateway/session/local_room.h"
#include "gateway/session/sessions.h"

struct say_ref say_ref_of(const struct session *s, const struct json_frame_head *head)
{
    const struct attach *only = s->many_rooms ? NULL : session_only_attach(s);
    struct say_ref ref = {.client_message_id = head->client_message_id,
                          .frame_id = head->frame_id};

    if (s->many_rooms)
        ref.room = head->room_id;
    else if (only && !only->room->is_user_channel)
        ref.room = local_room_name(only->room);
    return ref;
}

static int send_buf(struct session *s, const struct buf *json)
{
    return buf_failed(json) ? -ENOMEM : session_send(s, buf_slice(json));
}

/* ---- errors (docs/errors.md) ---- */

static void write_ref(struct json_writer *w, const struct say_ref *ref)
{
    json_field_str_opt(w, "roomId", ref->room);
    json_field_str_opt(w, "clientMessageId", ref->client_message_id);
    json_field_str_opt(w, "frameId", ref->frame_id);
}

int say_error(struct session *s, enum error_code code, const char *detail,
              const struct say_ref *ref, uint64_t retry_after_ms)
{
    const struct error_info *info = error_info(code);
    AUTO_BUF out = BUF_INIT;
    struct json_writer w = json_writer(&out);
    char text[ERROR_TEXT_MAX];

    json_write_object(&w);
    json_field_str(&w, "type", SLICE_LIT("error"));
    json_field_str(&w, "code", slice_str(info->code));
    json_field_str(&w, "message",
                   error_frame_text(text, code, slice_str(detail), retry_after_ms));
    write_ref(&w, ref);
    json_field_bool(&w, "retryable", info->retryable);
    if (retry_after_ms > 0)
        json_field_u64(&w, "retryAfterMs", retry_after_ms);
    json_write_object_end(&w);
    return send_buf(s, &out);
}

int say_ended(struct session *s, unsigned code, struct slice reason, const struct say_ref *ref)
{
    AUTO_BUF out = BUF_INIT;
    struct json_writer w = json_writer(&out);

    json_write_object(&w);
    json_field_str(&w, "type", SLICE_LIT("error"));
    json_field_str(&w, "code", reason);
    json_field_str(&w, "message", reason);
    write_ref(&w, ref);
    json_field_bool(&w, "retryable", code != 1008);
    json_field_bool(&w, "unsubscribed", true);
    json_write_object_end(&w);
    return send_buf(s, &out);
}

/* ---- the rest ---- */

int say_unsubscribed(struct session *s, const struct say_ref *ref)
{
    AUTO_BUF out = BUF_INIT;
    struct json_writer w = json_writer(&out);

    json_write_object(&w);
    json_field_str(&w, "type", SLICE_LIT("unsubscribed"));
    write_ref(&w, ref);
    json_write_object_end(&w);
    return send_buf(s, &out);
}

int say_pong(struct session *s)
{
    char text[64];
    int len = snprintf(text, sizeof(text), "{\"type\":\"pong\",\"ts\":%lld}",
                       (long long)(env_wall_us(s->all->env) / 1000));

    return session_send(s, slice_of(text, (size_t)len));
}

void session_goaway_text(char ret_json[SESSION_GOAWAY_TEXT], const char *reason,
                         uint64_t after_ms)
{
    snprintf(ret_json, SESSION_GOAWAY_TEXT,
             "{\"type\":\"goaway\",\"reason\":\"%s\",\"reconnectAfterMs\":%llu}", reason,
             (unsigned long long)after_ms);
}

int say_goaway(struct session *s, const char *reason, uint64_t after_ms)
{
    char json[SESSION_GOAWAY_TEXT];

    session_goaway_text(json, reason, after_ms);
    return session_send(s, slice_str(json));
}

static int say_token(struct session *s, struct slice type, struct slice frame_id)
{
    AUTO_BUF out = BUF_INIT;
    struct json_writer w = json_writer(&out);

    json_write_object(&w);
    json_field_str(&w, "type", type);
    json_field_time(&w, "expiresAt", s->expires_s * 1000000);
    json_field_str_opt(&w, "frameId", frame_id);
    json_write_object_end(&w);
    return send_buf(s, &out);
}

int say_token_expiring(struct session *s)
{
    return say_token(s, SLICE_LIT("token_expiring"), slice_of(NULL, 0));
}

int say_token_refreshed(struct session *s, struct slice frame_id)
{
    return say_token(s, SLICE_LIT("token_refreshed"), frame_id);
}
