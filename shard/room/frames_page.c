/*
 * frames_page.c - frames that carry many entries: the snapshot on connect,
 * replay pages, the REST history body. See frames.h.
 */
#include "shard/room/frames.h"

static bool is_live_message(const struct entry *e)
{
    return e->kind == ENTRY_MESSAGE && e->deleted_us == 0;
}

static void write_messages(struct json_writer *w, const struct frame_page *page)
{
    json_field_array(w, "messages");
    for (size_t i = 0; i < page->n_entries; i++) {
        if (is_live_message(page->entries[i]))
            frame_message_row(w, page->room, page->entries[i]);
    }
    json_write_array_end(w);
    json_field_raw(w, "reactions", SLICE_LIT("{}"));
}

void frame_snapshot(struct buf *out, const struct frame_page *page, bool as_replay)
{
    struct json_writer w = json_writer(out);

    json_write_object(&w);
    json_field_str(&w, "type", as_replay ? SLICE_LIT("replay") : SLICE_LIT("history"));
    json_field_str(&w, "roomId", page->room);
    write_messages(&w, page);
    json_field_u64(&w, "currentSeq", page->current_seq);
    json_field_bool(&w, "hasMore", page->has_more);
    json_field_str(&w, "generation", page->generation);
    json_write_object_end(&w);
}

/* create, update or delete, as seen from the cursor. */
static struct slice event_type(const struct entry *e, uint64_t from_seq)
{
    if (e->deleted_us)
        return SLICE_LIT("delete");
    return e->seq > from_seq ? SLICE_LIT("create") : SLICE_LIT("update");
}

static void write_message_event(struct json_writer *w, struct slice room, const struct entry *e,
                                uint64_t from_seq)
{
    json_write_object(w);
    json_field_u64(w, "seq", e->updated_seq);
    json_field_i64(w, "messageId", e->id);
    json_field_str(w, "eventType", event_type(e, from_seq));
    json_field_u64(w, "version", e->version);
    json_field_time(w, "createdAt", e->created_us);
    json_write_key(w, "payload");
    frame_message_row(w, room, e);
    json_write_object_end(w);
}

static void write_membership_event(struct json_writer *w, const struct entry *e)
{
    json_write_object(w);
    json_field_u64(w, "seq", e->updated_seq);
    json_field_str(w, "eventType", SLICE_LIT("membership"));
    json_field_time(w, "createdAt", e->created_us);
    json_field_object(w, "payload");
    json_field_str(w, "userId", e->user);
    (void)json_write_members(w, e->extra); /* as in frame_entry() */
    json_write_object_end(w);
    json_write_object_end(w);
}

static void write_events(struct json_writer *w, const struct frame_page *page,
                         const struct frame_range *range)
{
    json_field_array(w, "events");
    for (size_t i = 0; i < page->n_entries && !range->is_reset; i++) {
        const struct entry *e = page->entries[i];

        if (e->kind == ENTRY_MESSAGE)
            write_message_event(w, page->room, e, range->from_seq);
        else if (range->is_native)
            write_membership_event(w, e);
    }
    json_write_array_end(w);
}

void frame_replay(struct buf *out, const struct frame_page *page,
                  const struct frame_range *range)
{
    struct json_writer w = json_writer(out);

    json_write_object(&w);
    json_field_str(&w, "type", SLICE_LIT("replay"));
    json_field_str(&w, "roomId", page->room);
    write_events(&w, page, range);
    write_messages(&w, page);
    json_field_u64(&w, "fromSeq", range->from_seq);
    json_field_u64(&w, "toSeq", range->to_seq);
    json_field_u64(&w, "lastSeq", range->to_seq);
    json_field_u64(&w, "currentSeq", page->current_seq);
    json_field_bool(&w, "more", !range->is_reset && page->has_more);
    json_field_bool(&w, "reset", range->is_reset);
    if (range->is_reset)
        json_field_bool(&w, "hasMore", page->has_more);
    json_field_str(&w, "generation", page->generation);
    json_write_object_end(&w);
}

void frame_history_body(struct buf *out, const struct frame_page *page)
{
    struct json_writer w = json_writer(out);

    json_write_object(&w);
    write_messages(&w, page);
    json_field_bool(&w, "hasMore", page->has_more);
    json_field_u64(&w, "currentSeq", page->current_seq);
    json_field_str(&w, "generation", page->generation);
    json_write_object_end(&w);
}

void frame_cache_snapshot(struct buf *out, struct slice room, const struct entry *e,
                          int64_t cached_us)
{
    struct json_writer w = json_writer(out);

    json_write_object(&w);
    json_field_str(&w, "type", SLICE_LIT("cache_snapshot"));
    json_field_str(&w, "roomId", room);
    json_write_key(&w, "event");
    w.need_comma = false; /* frame_entry() writes the value after the key by itself */
    frame_entry(out, room, e);
    w.need_comma = true;
    json_field_time(&w, "cachedAt", cached_us);
    json_write_object_end(&w);
}
