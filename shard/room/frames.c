/*
 * frames.c - frames about one timeline entry: the live frames, rows of history,
 * acknowledgement and refusal. See frames.h.
 */
#include "shard/room/frames.h"

#include <stdio.h>

#include "shard/room/reactions.h"

static void write_id_or_null(struct json_writer *w, const char *key, int64_t id)
{
    if (id)
        json_field_i64(w, key, id);
    else
        json_field_null(w, key);
}

static void write_time_or_null(struct json_writer *w, const char *key, int64_t us)
{
    if (us)
        json_field_time(w, key, us);
    else
        json_field_null(w, key);
}

/* What every form of a message begins with. */
static void write_head(struct json_writer *w, struct slice room, const struct entry *e)
{
    json_field_i64(w, "id", e->id);
    json_field_str(w, "roomId", room);
    json_field_str(w, "userId", e->user);
    json_field_str(w, "senderId", e->user);
    json_field_str(w, "content", e->content);
    json_field_time(w, "createdAt", e->created_us);
    write_id_or_null(w, "parentId", e->parent_id);
}

static void write_visibility(struct json_writer *w, const struct entry *e)
{
    struct slice list = e->visible_to;

    json_field_str(w, "visibility", list.len ? SLICE_LIT("whisper") : SLICE_LIT("room"));
    if (list.len == 0)
        return;
    json_field_array(w, "visibleTo");
    while (list.len > 0) {
        const char *comma = memchr(list.data, ',', list.len);
        size_t len = comma ? (size_t)(comma - list.data) : list.len;

        json_write_str(w, slice_of(list.data, len));
        list = comma ? slice_of(comma + 1, list.len - len - 1) : slice_of(NULL, 0);
    }
    json_write_array_end(w);
}

/* `extra` of a message holds "mentions" and "attachments", or is empty. */
static void write_extra(struct json_writer *w, const struct entry *e)
{
    if (e->extra.len == 0 || !json_write_members(w, e->extra)) {
        json_field_raw(w, "mentions", SLICE_LIT("[]"));
        json_field_raw(w, "attachments", SLICE_LIT("[]"));
    }
}

/* What every form of a message ends with. */
static void write_rest(struct json_writer *w, const struct entry *e)
{
    json_field_u64(w, "seq", e->seq);
    json_field_u64(w, "version", e->version);
    json_field_str(w, "kind", SLICE_LIT("text"));
    if (e->flags & ENTRY_STREAMING)
        json_field_bool(w, "streaming", true);
    write_visibility(w, e);
    json_field_str_opt(w, "clientMessageId", e->client_id);
    write_extra(w, e);
}

static void write_live_message(struct json_writer *w, struct slice room, const struct entry *e)
{
    write_head(w, room, e);
    json_field_null(w, "preview");
    if (e->expires_us)
        json_field_time(w, "expiresAt", e->expires_us);
    write_rest(w, e);
}

/* ---- entries that are no messages ---- */

static const struct {
    const char *type;
    bool is_native; /* old clients do not know it */
    bool has_user;
} kinds[] = {
    [ENTRY_MESSAGE] = {"message", false, false},
    [ENTRY_MEMBERSHIP] = {"membership", true, true},
    [ENTRY_PIN] = {"message_pinned", false, false},
    [ENTRY_MODERATION] = {"moderation", true, true},
    [ENTRY_ROOM] = {"room_updated", true, true},
};

bool frame_is_native(const struct entry *e)
{
    return kinds[e->kind].is_native;
}

/* `extra` holds what the kind has. Empty only when the store has lost it: nothing to add. */
static void write_event(struct json_writer *w, struct slice room, const struct entry *e)
{
    json_field_str(w, "roomId", room);
    if (kinds[e->kind].has_user)
        json_field_str(w, "userId", e->user);
    if (e->kind == ENTRY_PIN) {
        json_field_str(w, "pinnedBy", e->user);
        json_field_time(w, "pinnedAt", e->created_us);
    }
    json_field_u64(w, "seq", e->seq);
    (void)json_write_members(w, e->extra);
}

void frame_entry(struct buf *out, struct slice room, const struct entry *e)
{
    struct json_writer w = json_writer(out);

    json_write_object(&w);
    json_field_str(&w, "type", slice_str(kinds[e->kind].type));
    if (e->kind == ENTRY_MESSAGE)
        write_live_message(&w, room, e);
    else
        write_event(&w, room, e);
    json_write_object_end(&w);
}

/* ---- rows ---- */

struct mine {
    struct json_writer *w;
    struct slice viewer;
};

static bool write_mine(void *arg, struct slice emoji, struct slice user)
{
    struct mine *mine = arg;

    if (slice_eq(user, mine->viewer))
        json_write_str(mine->w, emoji);
    return true;
}

static void write_reactions(struct json_writer *w, const struct entry *e, struct slice viewer)
{
    struct mine mine = {w, viewer};

    json_field_object(w, "reactions");
    reactions_write_counts(w, e->reactions);
    json_write_object_end(w);
    json_field_array(w, "myReactions");
    reactions_each(e->reactions, write_mine, &mine);
    json_write_array_end(w);
}

void frame_message_row(struct json_writer *w, struct slice room, const struct entry *e,
                       struct slice viewer)
{
    json_write_object(w);
    write_head(w, room, e);
    write_time_or_null(w, "editedAt", e->edited_us);
    write_time_or_null(w, "deletedAt", e->deleted_us);
    write_time_or_null(w, "expiresAt", e->expires_us);
    json_field_u64(w, "updatedSeq", e->updated_seq);
    write_rest(w, e);
    if (e->reactions.len > 0)
        write_reactions(w, e, viewer);
    json_write_object_end(w);
}

void frame_message_body(struct buf *out, struct slice room, const struct entry *e)
{
    struct json_writer w = json_writer(out);

    json_write_object(&w);
    json_field_object(&w, "message");
    write_live_message(&w, room, e);
    json_write_object_end(&w);
    json_write_object_end(&w);
}

/* ---- to the sender ---- */

static void write_ref(struct json_writer *w, struct slice room, const struct frame_ref *ref)
{
    json_field_str(w, "roomId", room);
    json_field_str_opt(w, "clientMessageId", ref->client_id);
    json_field_str_opt(w, "frameId", ref->frame_id);
}

void frame_ack(struct buf *out, struct slice room, const struct frame_ref *ref,
               const struct entry *e, uint64_t seq, bool is_duplicate)
{
    struct json_writer w = json_writer(out);

    json_write_object(&w);
    json_field_str(&w, "type", SLICE_LIT("ack"));
    write_ref(&w, room, ref);
    json_field_i64(&w, "id", e->id);
    json_field_u64(&w, "seq", seq);
    json_field_time(&w, "createdAt", e->created_us);
    json_field_bool(&w, "duplicate", is_duplicate);
    json_field_str(&w, "durability", SLICE_LIT("commit"));
    json_write_object_end(&w);
}

void frame_error(struct buf *out, struct slice room, const struct frame_ref *ref,
                 enum error_code code, struct slice detail, uint64_t retry_after_ms)
{
    const struct error_info *info = error_info(code);
    struct json_writer w = json_writer(out);
    char text[ERROR_TEXT_MAX];

    json_write_object(&w);
    json_field_str(&w, "type", SLICE_LIT("error"));
    json_field_str(&w, "code", slice_str(info->code));
    json_field_str(&w, "message", error_frame_text(text, code, detail, retry_after_ms));
    write_ref(&w, room, ref);
    json_field_bool(&w, "retryable", info->retryable);
    if (retry_after_ms)
        json_field_u64(&w, "retryAfterMs", retry_after_ms);
    json_write_object_end(&w);
}
