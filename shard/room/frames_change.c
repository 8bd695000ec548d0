/* frames_change.c - frames and REST bodies about a change of a message. See frames.h. */
#include "shard/room/frames.h"

static void begin(struct json_writer *w, const char *type, struct slice room)
{
    json_write_object(w);
    if (type)
        json_field_str(w, "type", slice_str(type));
    json_field_str(w, "roomId", room);
}

static void write_numbers(struct json_writer *w, const struct entry *e)
{
    json_field_u64(w, "version", e->version);
    json_field_u64(w, "seq", e->updated_seq);
}

static void write_edit(struct json_writer *w, const char *type, struct slice room,
                       const struct entry *e)
{
    begin(w, type, room);
    json_field_i64(w, "id", e->id);
    json_field_str(w, "userId", e->user);
    json_field_str(w, "senderId", e->user);
    json_field_str(w, "content", e->content);
    if (e->edited_us)
        json_field_time(w, "editedAt", e->edited_us);
    else
        json_field_null(w, "editedAt");
    json_field_bool(w, "streaming", e->flags & ENTRY_STREAMING);
    write_numbers(w, e);
    if (e->extra.len == 0 || !json_write_members(w, e->extra)) {
        json_field_raw(w, "mentions", SLICE_LIT("[]"));
        json_field_raw(w, "attachments", SLICE_LIT("[]"));
    }
    json_write_object_end(w);
}

void frame_edit(struct buf *out, struct slice room, const struct entry *e)
{
    struct json_writer w = json_writer(out);

    write_edit(&w, "edit", room, e);
}

void frame_message_updated(struct buf *out, struct slice room, const struct entry *e)
{
    struct json_writer w = json_writer(out);

    write_edit(&w, "message_updated", room, e);
}

static void write_delete(struct json_writer *w, const char *type, struct slice room,
                         const struct entry *e, struct slice actor)
{
    begin(w, type, room);
    json_field_i64(w, "id", e->id);
    json_field_str(w, "userId", e->user);
    json_field_time(w, "deletedAt", e->deleted_us);
    json_field_bool(w, "hard", e->flags & ENTRY_HARD);
    if (actor.len > 0 && !slice_eq(actor, e->user))
        json_field_str(w, "deletedBy", actor);
    write_numbers(w, e);
    json_write_object_end(w);
}

void frame_delete(struct buf *out, struct slice room, const struct entry *e, struct slice actor)
{
    struct json_writer w = json_writer(out);

    write_delete(&w, "delete", room, e, actor);
}

void frame_message_deleted(struct buf *out, struct slice room, const struct entry *e,
                           struct slice actor)
{
    struct json_writer w = json_writer(out);

    write_delete(&w, "message_deleted", room, e, actor);
}

void frame_message_expired(struct buf *out, struct slice room, const struct entry *e)
{
    struct json_writer w = json_writer(out);

    begin(&w, "message_expired", room);
    json_field_i64(&w, "id", e->id);
    json_field_str(&w, "userId", e->user);
    json_field_time(&w, "expiredAt", e->deleted_us);
    json_write_object_end(&w);
}

static void write_reaction(struct json_writer *w, const struct entry *e, struct slice actor,
                           struct slice emoji, bool is_added)
{
    json_field_str(w, "userId", actor);
    json_field_i64(w, "messageId", e->id);
    json_field_str(w, "emoji", emoji);
    json_field_str(w, "op", is_added ? SLICE_LIT("add") : SLICE_LIT("remove"));
}

void frame_reaction(struct buf *out, struct slice room, const struct entry *e,
                    struct slice actor, struct slice emoji, bool is_added)
{
    struct json_writer w = json_writer(out);

    begin(&w, "reaction", room);
    write_reaction(&w, e, actor, emoji, is_added);
    json_field_u64(&w, "seq", e->updated_seq);
    json_write_object_end(&w);
}

void frame_read(struct buf *out, struct slice room, struct slice user, int64_t message_id,
                struct slice at)
{
    struct json_writer w = json_writer(out);

    begin(&w, "read", room);
    json_field_str(&w, "userId", user);
    json_field_i64(&w, "messageId", message_id);
    json_field_str(&w, "createdAt", at);
    json_write_object_end(&w);
}

void frame_delivery(struct buf *out, struct slice room, struct slice user, int64_t message_id)
{
    struct json_writer w = json_writer(out);

    begin(&w, "delivery_updated", room);
    json_field_i64(&w, "messageId", message_id);
    json_field_str(&w, "userId", user);
    json_field_str(&w, "status", SLICE_LIT("delivered"));
    json_write_object_end(&w);
}

void frame_skip(struct buf *out, struct slice room, uint64_t seq, uint64_t to_seq)
{
    struct json_writer w = json_writer(out);

    begin(&w, "skip", room);
    json_field_u64(&w, "seq", seq);
    if (to_seq > seq)
        json_field_u64(&w, "toSeq", to_seq);
    json_write_object_end(&w);
}

/* ---- REST ---- */

void frame_edit_body(struct buf *out, struct slice room, const struct entry *e)
{
    struct json_writer w = json_writer(out);

    json_write_object(&w);
    json_write_key(&w, "message");
    write_edit(&w, NULL, room, e);
    json_write_object_end(&w);
}

void frame_delete_body(struct buf *out, const struct entry *e)
{
    struct json_writer w = json_writer(out);

    json_write_object(&w);
    json_field_bool(&w, "ok", true);
    json_field_bool(&w, "hard", e->flags & ENTRY_HARD);
    json_field_time(&w, "deletedAt", e->deleted_us);
    json_field_u64(&w, "seq", e->updated_seq);
    json_write_object_end(&w);
}

void frame_reaction_body(struct buf *out, struct slice room, const struct entry *e,
                         struct slice actor, struct slice emoji, bool is_added)
{
    struct json_writer w = json_writer(out);

    json_write_object(&w);
    json_field_bool(&w, "ok", true);
    json_field_object(&w, "reaction");
    json_field_str(&w, "roomId", room);
    write_reaction(&w, e, actor, emoji, is_added);
    json_field_u64(&w, "seq", e->updated_seq);
    json_write_object_end(&w);
    json_write_object_end(&w);
}
