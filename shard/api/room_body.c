/* room_body.c - see room_body.h. */
#include "shard/api/room_body.h"

static void write_fields(struct json_writer *w, const struct room_host *room)
{
    const struct room_facts *facts = &room->facts;

    json_field_str(w, "id", room->id);
    json_field_str(w, "type", slice_str(room_type_name(facts->type)));
    json_field_str(w, "name", slice_str(facts->name));
    json_field_time(w, "created_at", facts->created_us);
}

static void write_pin(struct json_writer *w, const struct room_facts *facts)
{
    if (facts->pinned_id == 0) {
        json_field_null(w, "pinned_message_id");
        json_field_null(w, "pinned_at");
        json_field_null(w, "pinned_by_user_id");
        return;
    }
    json_field_i64(w, "pinned_message_id", facts->pinned_id);
    json_field_time(w, "pinned_at", facts->pinned_us);
    json_field_str(w, "pinned_by_user_id", slice_str(facts->pinned_by));
}

void room_body_short(struct json_writer *w, const struct room_host *room)
{
    json_field_object(w, "room");
    write_fields(w, room);
    json_write_object_end(w);
}

void room_body_full(struct json_writer *w, const struct room_host *room,
                    const struct actor *actor)
{
    json_field_object(w, "room");
    write_fields(w, room);
    write_pin(w, &room->facts);
    json_field_str(w, "created_by", slice_str(room->facts.created_by));
    json_field_u64(w, "member_count", members_count(&room->members));
    if (actor->role == ROLE_NONE)
        json_field_null(w, "role");
    else
        json_field_str(w, "role", slice_str(role_name(actor->role)));
    json_write_key(w, "settings");
    w->need_comma = false; /* the value after the key */
    room_settings_write(w, &room->facts.settings, rules_is_moderator(actor));
    json_write_object_end(w);
}
