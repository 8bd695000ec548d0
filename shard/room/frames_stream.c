/* frames_stream.c - frames about token streams. See frames.h. */
#include "shard/room/frames.h"

static void begin(struct json_writer *w, struct slice type, struct slice room)
{
    json_write_object(w);
    json_field_str(w, "type", type);
    json_field_str(w, "roomId", room);
}

void frame_stream_started(struct buf *out, struct slice room, const struct entry *e)
{
    struct json_writer w = json_writer(out);

    begin(&w, SLICE_LIT("stream"), room);
    json_field_str(&w, "op", SLICE_LIT("started"));
    json_field_i64(&w, "id", e->id);
    json_write_object_end(&w);
}

void frame_stream_delta(struct buf *out, struct slice room, const struct entry *e,
                        struct slice text, size_t from)
{
    struct json_writer w = json_writer(out);

    begin(&w, SLICE_LIT("stream"), room);
    json_field_str(&w, "op", SLICE_LIT("delta"));
    json_field_i64(&w, "id", e->id);
    json_field_str(&w, "userId", e->user);
    json_field_u64(&w, "offset", from);
    json_field_str(&w, "content", slice_of(text.data + from, text.len - from));
    json_write_object_end(&w);
}

void frame_stream_edit(struct buf *out, struct slice room, const struct entry *e,
                       struct slice text)
{
    struct json_writer w = json_writer(out);

    begin(&w, SLICE_LIT("edit"), room);
    json_field_i64(&w, "id", e->id);
    json_field_str(&w, "userId", e->user);
    json_field_str(&w, "content", text);
    json_field_null(&w, "editedAt");
    json_field_bool(&w, "streaming", true);
    json_write_object_end(&w);
}

void frame_stream_state(struct buf *out, struct slice room, const struct entry *e,
                        struct slice text)
{
    struct json_writer w = json_writer(out);

    begin(&w, SLICE_LIT("streamState"), room);
    json_field_i64(&w, "messageId", e->id);
    json_field_str(&w, "userId", e->user);
    json_field_str(&w, "content", text);
    json_field_time(&w, "createdAt", e->created_us);
    if (e->parent_id)
        json_field_i64(&w, "parentId", e->parent_id);
    else
        json_field_null(&w, "parentId");
    json_field_bool(&w, "streaming", true);
    json_write_object_end(&w);
}
