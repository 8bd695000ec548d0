/*
 * frames_page.c - frames that carry many entries: the snapshot on connect,
 * replay pages, the REST history body. See frames.h.
 */
#include <stdio.h>

#include "shard/room/frames.h"
#include "shard/room/reactions.h"

static bool is_shown(const struct frame_page *page, const struct entry *e)
{
    return entry_is_live(e, page->now_us) && entry_is_visible(e, page->viewer);
}

static void write_counts(struct json_writer *w, const struct entry *e)
{
    char id[24];
    int len = snprintf(id, sizeof(id), "%lld", (long long)e->id);

    json_write_key_slice(w, slice_of(id, (size_t)len));
    json_write_object(w);
    reactions_write_counts(w, e->reactions);
    json_write_object_end(w);
}

static void write_messages(struct json_writer *w, const struct frame_page *page)
{
    json_field_array(w, "messages");
    for (size_t i = 0; i < page->n_entries; i++) {
        if (is_shown(page, page->entries[i]))
            frame_message_row(w, page->room, page->entries[i], page->viewer);
    }
    json_write_array_end(w);
    json_field_object(w, "reactions");
    for (size_t i = 0; i < page->n_entries; i++) {
        if (page->entries[i]->reactions.len > 0 && is_shown(page, page->entries[i]))
            write_counts(w, page->entries[i]);
    }
    json_write_object_end(w);
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

static void write_message_event(struct json_writer *w, const struct frame_page *page,
                                const struct entry *e, uint64_t from_seq)
{
    json_write_object(w);
    json_field_u64(w, "seq", e->updated_seq);
    json_field_i64(w, "messageId", e->id);
    json_field_str(w, "eventType", event_type(e, from_seq));
    json_field_u64(w, "version", e->version);
    json_field_time(w, "createdAt", e->created_us);
    json_write_key(w, "payload");
    frame_message_row(w, page->room, e, page->viewer);
    json_write_object_end(w);
}

/* What is no message: its live frame is the payload. */
static void write_other_event(struct json_writer *w, struct buf *out, struct slice room,
                              const struct entry *e)
{
    static const char *const types[] = {[ENTRY_MEMBERSHIP] = "membership",
                                        [ENTRY_PIN] = "pin",
                                        [ENTRY_MODERATION] = "moderation",
                                        [ENTRY_ROOM] = "room"};

    json_write_object(w);
    json_field_u64(w, "seq", e->updated_seq);
    json_field_str(w, "eventType", slice_str(types[e->kind]));
    json_field_time(w, "createdAt", e->created_us);
    json_write_key(w, "payload");
    w->need_comma = false; /* frame_entry() writes the value after the key by itself */
    frame_entry(out, room, e);
    w->need_comma = true;
    json_write_object_end(w);
}

/* A message that expired and has not been buried yet is left out: its delete will follow. */
static bool is_event(const struct frame_page *page, const struct frame_range *range,
                     const struct entry *e)
{
    if (e->kind != ENTRY_MESSAGE)
        return range->is_native;
    return entry_is_visible(e, page->viewer) &&
           (e->deleted_us || entry_is_live(e, page->now_us));
}

static void write_events(struct json_writer *w, struct buf *out, const struct frame_page *page,
                         const struct frame_range *range)
{
    json_field_array(w, "events");
    for (size_t i = 0; i < page->n_entries && !range->is_reset; i++) {
        const struct entry *e = page->entries[i];

        if (!is_event(page, range, e))
            continue;
        if (e->kind == ENTRY_MESSAGE)
            write_message_event(w, page, e, range->from_seq);
        else
            write_other_event(w, out, page->room, e);
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
    write_events(&w, out, page, range);
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
