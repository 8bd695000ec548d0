/* frames_presence.c - frames about who is here and who is typing. See frames.h. */
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

static void write_member(struct json_writer *w, struct slice user, struct slice info)
{
    json_write_object(w);
    json_field_str(w, "userId", user);
    write_info(w, info);
    json_write_object_end(w);
}

/* Both stop at the limit: only /live is asked about larger rooms. */
static void write_members(struct json_writer *w, const struct roster *roster)
{
    const struct roster_user *u;
    size_t n = 0;

    json_field_array(w, "members");
    list_for_each(u, &roster->users, link)
    {
        if (n++ == PRESENCE_LIST_MAX)
            break;
        write_member(w, u->user, u->info);
    }
    json_write_array_end(w);
}

static void write_users(struct json_writer *w, const struct roster *roster)
{
    const struct roster_user *u;
    size_t n = 0;

    json_field_array(w, "users");
    list_for_each(u, &roster->users, link)
    {
        if (n++ == PRESENCE_LIST_MAX)
            break;
        json_write_str(w, u->user);
    }
    json_write_array_end(w);
}

void frame_presence(struct buf *out, struct slice room, const struct roster *roster)
{
    struct json_writer w = json_writer(out);

    begin(&w, SLICE_LIT("presence"), room);
    json_field_u64(&w, "online", roster->n_sockets);
    json_field_u64(&w, "userCount", roster->n_users);
    if (turnout_is_listed(roster->n_users)) {
        write_users(&w, roster);
        write_members(&w, roster);
    }
    json_write_object_end(&w);
}

void frame_presence_delta(struct buf *out, struct slice room, const struct roster *roster,
                          const struct turnout *turnout)
{
    struct json_writer w = json_writer(out);
    const struct turnout_change *c;

    begin(&w, SLICE_LIT("presence_delta"), room);
    json_field_array(&w, "joined");
    list_for_each(c, &turnout->changes, link)
    {
        if (c->is_join)
            write_member(&w, c->user, c->info);
    }
    json_write_array_end(&w);
    json_field_array(&w, "left");
    list_for_each(c, &turnout->changes, link)
    {
        if (!c->is_join)
            json_write_str(&w, c->user);
    }
    json_write_array_end(&w);
    json_field_u64(&w, "online", roster->n_sockets);
    json_field_u64(&w, "userCount", roster->n_users);
    if (turnout->is_incomplete)
        json_field_bool(&w, "truncated", true);
    json_write_object_end(&w);
}

void frame_live_body(struct buf *out, struct slice room, const struct roster *roster,
                     struct slice sockets)
{
    struct json_writer w = json_writer(out);

    json_write_object(&w);
    json_field_str(&w, "roomId", room);
    json_field_u64(&w, "shardCount", 1);
    json_field_bool(&w, "occupied", roster->n_sockets > 0);
    json_field_u64(&w, "subscriptionCount", roster->n_sockets);
    json_field_u64(&w, "userCount", roster->n_users);
    json_field_u64(&w, "online", roster->n_sockets);
    write_users(&w, roster);
    write_members(&w, roster);
    json_field_array(&w, "socketIds");
    if (sockets.len > 0)
        json_write_raw(&w, sockets);
    json_write_array_end(&w);
    json_field_bool(&w, "truncated",
                    !turnout_is_listed(roster->n_users) ||
                        !turnout_is_listed(roster->n_sockets));
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
    if (turnout_is_listed(roster->n_users))
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

void frame_agent_typing(struct buf *out, struct slice room, struct slice user,
                        struct slice agent, bool is_typing)
{
    struct json_writer w = json_writer(out);

    begin(&w, SLICE_LIT("agentTyping"), room);
    json_field_str(&w, "userId", user);
    json_field_str(&w, "agentId", agent);
    json_field_bool(&w, "isTyping", is_typing);
    json_write_object_end(&w);
}
