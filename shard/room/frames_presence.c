/* frames_presence.c - frames about who is here and who is typing. See frames.h. */
#include "common/base/limits.h"
#include "shard/room/frames.h"

static const char *const intent_names[] = {
    [TYPING_COMPOSING] = "composing",
    [TYPING_AWAY] = "away",
    [TYPING_VIEWING_THREAD] = "viewing_thread",
    [TYPING_IDLE] = "idle",
};

const char *typing_intent_name(enum typing_intent intent)
{
    return intent_names[intent];
}

static void begin(struct json_writer *w, struct slice type, struct slice room)
{
    json_write_object(w);
    json_field_str(w, "type", type);
    json_field_str(w, "roomId", room);
}

static void write_info(struct json_writer *w, struct slice info)
{
    json_field_raw(w, "userInfo", info.len ? info : SLICE_LIT("{}"));
}

static bool is_listed(const struct roster *roster)
{
    return roster->n_users <= PRESENCE_LIST_MAX;
}

static void write_members(struct json_writer *w, const struct roster *roster)
{
    const struct roster_user *u;

    json_field_array(w, "members");
    list_for_each(u, &roster->users, link)
    {
        json_write_object(w);
        json_field_str(w, "userId", u->user);
        write_info(w, u->info);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

static void write_users(struct json_writer *w, const struct roster *roster)
{
    const struct roster_user *u;

    json_field_array(w, "users");
    list_for_each(u, &roster->users, link) json_write_str(w, u->user);
    json_write_array_end(w);
}

void frame_presence(struct buf *out, struct slice room, const struct roster *roster)
{
    struct json_writer w = json_writer(out);

    begin(&w, SLICE_LIT("presence"), room);
    json_field_u64(&w, "online", roster->n_sockets);
    json_field_u64(&w, "userCount", roster->n_users);
    if (is_listed(roster)) {
        write_users(&w, roster);
        write_members(&w, roster);
    }
    json_write_object_end(&w);
}

void frame_subscription_succeeded(struct buf *out, struct slice room, struct slice socket_id,
                                  struct slice generation, uint64_t current_seq,
                                  const struct roster *roster)
{
    struct json_writer w = json_writer(out);

    begin(&w, SLICE_LIT("subscription_succeeded"), room);
    json_field_str(&w, "socketId", socket_id);
    json_field_u64(&w, "subscriptionCount", roster->n_sockets);
    if (is_listed(roster))
        write_members(&w, roster);
    else
        json_field_raw(&w, "members", SLICE_LIT("[]"));
    json_field_u64(&w, "userCount", roster->n_users);
    json_field_u64(&w, "currentSeq", current_seq);
    json_field_str(&w, "generation", generation);
    json_write_object_end(&w);
}

void frame_subscription_count(struct buf *out, struct slice room, const struct roster *roster)
{
    struct json_writer w = json_writer(out);

    begin(&w, SLICE_LIT("subscription_count"), room);
    json_field_u64(&w, "subscriptionCount", roster->n_sockets);
    json_write_object_end(&w);
}

void frame_member_joined(struct buf *out, struct slice room, struct slice user,
                         struct slice info, struct slice socket_id)
{
    struct json_writer w = json_writer(out);

    begin(&w, SLICE_LIT("member_joined"), room);
    json_field_str(&w, "userId", user);
    write_info(&w, info);
    json_field_str(&w, "socketId", socket_id);
    json_write_object_end(&w);
}

void frame_member_left(struct buf *out, struct slice room, struct slice user)
{
    struct json_writer w = json_writer(out);

    begin(&w, SLICE_LIT("member_left"), room);
    json_field_str(&w, "userId", user);
    json_write_object_end(&w);
}

void frame_typing(struct buf *out, struct slice room, struct slice user, bool is_typing,
                  enum typing_intent intent)
{
    struct json_writer w = json_writer(out);

    begin(&w, SLICE_LIT("typing"), room);
    json_field_str(&w, "userId", user);
    json_field_bool(&w, "isTyping", is_typing);
    json_field_str(&w, "intent", slice_str(typing_intent_name(intent)));
    json_write_object_end(&w);
}
