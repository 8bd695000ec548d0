/*
 * sim_client.c - a user at a simulated socket.
 *
 * States: away (no session) -> connecting (session, no subscription yet) -> live -> away ...
 * Everything unacknowledged is sent again when it is live.
 */
#include "tests/sim/sim_client.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/ident.h"
#include "common/json/json_write.h"
#include "common/wire/msg.h"
#include "shard/room/generations.h"

#define RETRY_MS 150 /* after a retryable error */

struct seen {
    struct map_node node;
    uint64_t seq;
};

struct sim_post {
    struct list link;
    uint64_t number;
    char *json;
};

static struct sim_client *client_of(struct sim_socket *s)
{
    return container_of(s, struct sim_client, socket);
}

static struct slice room_of(const struct sim_client *c)
{
    return slice_str(c->config.room);
}

/* ---- what it says ---- */

/* clientMessageId of messages, frameId of changes. */
static void post_key(const struct sim_client *c, uint64_t number, char ret[64])
{
    snprintf(ret, 64, "%s-%" PRIu64, c->config.user, number);
}

static struct sim_fate_of *fate_of(struct sim_client *c, uint64_t number)
{
    if (number >= c->n_fates) {
        size_t n = number * 2 + 16;

        c->fates = realloc(c->fates, n * sizeof(*c->fates));
        if (!c->fates)
            abort();
        memset(c->fates + c->n_fates, 0, (n - c->n_fates) * sizeof(*c->fates));
        c->n_fates = n;
    }
    return &c->fates[number];
}

static void post_add(struct sim_client *c, uint64_t number, struct slice json)
{
    struct sim_post *post = calloc(1, sizeof(*post));

    if (!post)
        abort();
    post->number = number;
    post->json = slice_dup(json);
    list_add_tail(&c->unacked, &post->link);
    c->n_unacked++;
    fate_of(c, number)->said_ms = c->world->sim.now_ms;
    if (c->is_live)
        sim_socket_say(&c->socket, json);
}

static void heard_of(struct sim_client *c, uint64_t number)
{
    struct sim_fate_of *fate = fate_of(c, number);

    if (fate->settled_ms == 0)
        fate->settled_ms = c->world->sim.now_ms;
}

static void post_drop(struct sim_client *c, struct sim_post *post)
{
    heard_of(c, post->number);
    list_del(&post->link);
    free(post->json);
    free(post);
    c->n_unacked--;
}

void sim_client_post(struct sim_client *c)
{
    AUTO_BUF buf = BUF_INIT;
    uint64_t number = ++c->n_posts;
    char key[64];

    post_key(c, number, key);
    buf_printf(&buf,
               "{\"type\":\"message\",\"clientMessageId\":\"%s\",\"content\":\"text of %s\"}",
               key, key);
    post_add(c, number, buf_slice(&buf));
}

static const char *const emoji[] = {"+1", "-1", "\xf0\x9f\x98\x80"};

void sim_client_change(struct sim_client *c, enum sim_change change)
{
    AUTO_BUF buf = BUF_INIT;
    struct sim_rng *rng = &c->world->sim.rng;
    size_t n = (size_t)MIN(c->n_recent, (uint64_t)SIM_RECENT);
    size_t at = n > 0 ? (size_t)sim_range(rng, 0, n - 1) : 0;
    int64_t id = c->recent[at].id;
    char key[64];

    if (n == 0 || (change != SIM_REACTION && !c->recent[at].is_own))
        return;
    post_key(c, c->n_posts + 1, key);
    if (change == SIM_EDIT)
        buf_printf(&buf, "{\"type\":\"edit\",\"content\":\"text by %s\"", key);
    else if (change == SIM_DELETE)
        buf_printf(&buf, "{\"type\":\"delete\"");
    else
        buf_printf(&buf, "{\"type\":\"reaction\",\"op\":\"%s\",\"emoji\":\"%s\"",
                   sim_chance(rng, 600) ? "add" : "remove",
                   emoji[sim_range(rng, 0, ARRAY_LEN(emoji) - 1)]);
    buf_printf(&buf, ",\"messageId\":%" PRId64 ",\"frameId\":\"%s\"}", id, key);
    post_add(c, ++c->n_posts, buf_slice(&buf));
}

void sim_client_type(struct sim_client *c)
{
    if (c->is_live)
        sim_socket_say(&c->socket, SLICE_LIT("{\"type\":\"typing\",\"isTyping\":true}"));
}

/* ---- what it is shown ---- */

static bool seen_eq(const struct map_node *node, const void *key)
{
    return container_of(node, struct seen, node)->seq == *(const uint64_t *)key;
}

static void note_seen(struct sim_client *c, uint64_t seq)
{
    struct seen *seen;

    if (map_find(&c->seen, hash_u64(seq), seen_eq, &seq))
        return;
    seen = calloc(1, sizeof(*seen));
    if (!seen || map_insert(&c->seen, &seen->node, hash_u64(seq)) < 0)
        abort();
    seen->seq = seq;
}

static void show(struct sim_client *c, const json_t *message)
{
    struct sim_shown m = {.room = room_of(c),
                          .seq = frame_u64(message, "seq"),
                          .id = (int64_t)frame_u64(message, "id"),
                          .version = frame_u64(message, "version"),
                          .user = frame_str(message, "userId"),
                          .key = frame_str(message, "clientMessageId"),
                          .content = frame_str(message, "content")};

    m.is_deleted = m.content.len == 0 || sim_stream_is_text(m.content); /* has no text yet */
    sim_stream_check_text(c->check, m.room, m.seq, m.content);
    if (time_parse(frame_str(message, "createdAt"), &m.created_us) < 0 || m.seq == 0)
        sim_violation(c->check, "%s: a message without seq or createdAt", c->config.user);
    if (!slice_eq(frame_str(message, "roomId"), room_of(c)))
        sim_violation(c->check, "%s: a message of another room", c->config.user);
    sim_check_shown(c->check, &m);
    note_seen(c, m.seq);
    if (sim_stream_is_text(m.content))
        return; /* nobody changes what grows */
    c->recent[c->n_recent % SIM_RECENT].id = m.id;
    c->recent[c->n_recent++ % SIM_RECENT].is_own = slice_eq_str(m.user, c->config.user);
}

static void take_generation(struct sim_client *c, const json_t *frame)
{
    const char *generation = json_string_value(json_object_get(frame, "generation"));

    if (generation)
        snprintf(c->generation, sizeof(c->generation), "%s", generation);
}

static void show_events(struct sim_client *c, const json_t *frame)
{
    const json_t *event;
    size_t i;

    json_array_foreach(json_object_get(frame, "events"), i, event)
    {
        const json_t *payload = json_object_get(event, "payload");

        if (frame_u64(event, "seq") != frame_u64(payload, "seq"))
            sim_check_changed(c->check, room_of(c), frame_u64(event, "seq"),
                              (int64_t)frame_u64(event, "messageId"));
        show(c, payload);
    }
}

static bool free_seen(struct map_node *node, void *arg)
{
    map_remove(arg, node);
    free(container_of(node, struct seen, node));
    return true;
}

/* Only who has seen what a failover has taken back may be told to start over, or who comes back
 * after two of them. */
static void on_reset(struct sim_client *c, const json_t *frame)
{
    const struct room_row *row = sim_room_row(
        sim_db_room(c->world->db, SLICE_LIT(SIM_PROJECT), slice_str(c->config.room)));
    const json_t *first = json_array_get(json_object_get(frame, "messages"), 0);
    struct slice ours = slice_str(c->generation), now = frame_str(frame, "generation");
    struct generations known;

    generations_set(&known, row->generation, row->forked_from, row->forked_at);
    if (slice_eq(ours, now) ||
        (slice_eq(now, generations_current(&known)) && generations_know(&known, ours, c->seq)))
        sim_violation(c->check, "%s: reset at %" PRIu64 " of %s without a cause",
                      c->config.user, c->seq, c->generation);
    map_each(&c->seen, free_seen, &c->seen);
    c->excused_below =
        first && json_is_true(json_object_get(frame, "hasMore")) ? frame_u64(first, "seq") : 0;
    c->seq = 0;
}

static void on_replay(struct sim_client *c, const json_t *frame)
{
    bool is_reset = json_is_true(json_object_get(frame, "reset"));
    const json_t *from = json_object_get(frame, "fromSeq");
    uint64_t current = frame_u64(frame, "currentSeq");
    uint64_t to = json_object_get(frame, "toSeq") ? frame_u64(frame, "toSeq") : current;
    json_t *message;
    size_t i;

    if (is_reset)
        on_reset(c, frame);
    take_generation(c, frame);
    if (c->config.native && c->has_cursor && from && !is_reset &&
        (uint64_t)json_integer_value(from) > c->seq)
        sim_violation(c->check, "%s: replay starts at %" PRIu64 ", had %" PRIu64,
                      c->config.user, frame_u64(frame, "fromSeq"), c->seq);
    json_array_foreach(json_object_get(frame, "messages"), i, message) show(c, message);
    show_events(c, frame);
    if (to > c->seq || !c->has_cursor)
        c->seq = to;
    c->has_cursor = true;
}

/* Only native clients are shown every number. */
static void advance(struct sim_client *c, uint64_t seq, bool may_repeat)
{
    if (seq == c->seq + 1 || (seq > c->seq && !c->config.native)) {
        c->seq = seq;
    } else if (seq > c->seq) {
        sim_violation(c->check, "%s: live gap, %" PRIu64 " then %" PRIu64, c->config.user,
                      c->seq, seq);
        c->seq = seq;
    } else if (!may_repeat) {
        sim_violation(c->check, "%s: live repeat of %" PRIu64 " at %" PRIu64, c->config.user,
                      seq, c->seq);
    }
}

/* What an old client missed comes in the order of the last changes. */
static void on_message(struct sim_client *c, const json_t *frame)
{
    show(c, frame);
    advance(c, frame_u64(frame, "seq"),
            !c->config.native || slice_eq_str(frame_str(frame, "userId"), c->config.user));
}

/* Of an old client, what it missed comes as one frame for each reaction. */
static void on_change(struct sim_client *c, const json_t *frame)
{
    const char *name = json_object_get(frame, "messageId") ? "messageId" : "id";
    uint64_t seq = frame_u64(frame, "seq");

    if (json_is_true(json_object_get(frame, "streaming")))
        return; /* of a stream, as old clients see it grow */
    sim_check_changed(c->check, room_of(c), seq, (int64_t)frame_u64(frame, name));
    advance(c, seq, !c->config.native);
}

static struct sim_post *find_post(struct sim_client *c, const json_t *frame)
{
    struct slice key = frame_str(frame, "clientMessageId");
    struct sim_post *post;
    char name[64];

    if (key.len == 0)
        key = frame_str(frame, "frameId");
    list_for_each(post, &c->unacked, link)
    {
        post_key(c, post->number, name);
        if (slice_eq_str(key, name))
            return post;
    }
    return NULL;
}

static void on_ack(struct sim_client *c, const json_t *frame)
{
    struct slice key = frame_str(frame, "clientMessageId");
    struct sim_post *post = find_post(c, frame);
    uint64_t seq = frame_u64(frame, "seq");
    int64_t id = (int64_t)frame_u64(frame, "id");

    if (sim_stream_on_ack(c, frame)) {
        c->n_acks++;
        return;
    }
    if (key.len > 0)
        sim_check_acked(c->check, room_of(c), slice_str(c->config.user), key, seq, id);
    else if (!json_is_true(json_object_get(frame, "duplicate")))
        sim_check_changed(c->check, room_of(c), seq, id);
    c->n_acks++;
    if (post) /* else acknowledged before: it had been sent twice */
        post_drop(c, post);
}

static void on_retry(struct sim_socket *socket, uint64_t number)
{
    struct sim_client *c = client_of(socket);
    struct sim_post *post;

    list_for_each(post, &c->unacked, link)
    {
        if (c->is_live && post->number == number) {
            sim_socket_say(socket, slice_str(post->json));
            return;
        }
    }
}

/* About as long as shards and gateways let a write wait. */
#define SURELY_NOT_REFUSED_MS 4500

/* What waits for too long is refused, and with it what was sent after it, perhaps when nobody
 * was there to hear it. So may have gone: a write of which the client has heard nothing for
 * that long, and what it had sent by then. */
static bool may_have_been_refused(struct sim_client *c, uint64_t number, int64_t created_us)
{
    for (uint64_t i = 1; i <= number; i++) {
        const struct sim_fate_of *older = fate_of(c, i);
        uint64_t due_ms = older->said_ms + SURELY_NOT_REFUSED_MS;

        if ((older->settled_ms == 0 || older->settled_ms >= due_ms) &&
            created_us >= sim_wall_us(due_ms))
            return true;
    }
    return false;
}

void sim_client_check_order(struct sim_client *c, struct slice key, int64_t created_us)
{
    const struct sim_fate_of *fate;
    uint64_t number = 0;

    for (size_t i = 0; i < key.len; i++) /* digits behind the last '-' */
        number = key.data[i] == '-' ? 0 : number * 10 + (uint64_t)(key.data[i] - '0');
    fate = fate_of(c, number);
    /* What a failover has taken back is stored again, behind what was sent meanwhile. */
    if (number < c->newest_stored && !fate->was_refused &&
        !sim_check_has_lost(c->check, room_of(c)) &&
        !may_have_been_refused(c, number, created_us))
        sim_violation(c->check,
                      "%s: message %" PRIu64 " was never refused, and is stored behind %" PRIu64
                      ", which he sent later",
                      c->config.user, number, c->newest_stored);
    c->newest_stored = MAX(c->newest_stored, number);
}

static void on_error(struct sim_client *c, const json_t *frame)
{
    struct sim_post *post = find_post(c, frame);

    if (post) {
        fate_of(c, post->number)->was_refused = true;
        heard_of(c, post->number);
    }
    if (!post && sim_stream_on_error(c, frame))
        return;
    if (json_is_true(json_object_get(frame, "retryable"))) {
        if (post)
            sim_socket_after(&c->socket, RETRY_MS, on_retry, post->number);
    } else if (slice_eq_str(frame_str(frame, "code"), "message_deleted") ||
               (c->world->n_failovers > 0 &&
                slice_eq_str(frame_str(frame, "code"), "message_not_found"))) {
        if (post) /* else the change had been sent twice, and its first sending was acknowledged
                   */
            post_drop(c, post);
    } else {
        sim_violation(c->check, "%s: refused for good: %s", c->config.user,
                      frame_str(frame, "code").data);
    }
}

static void on_subscribed(struct sim_client *c, const json_t *frame)
{
    struct sim_post *post, *next;

    take_generation(c, frame);
    c->is_live = true;
    sim_socket_is_well(&c->socket);
    list_for_each_safe(post, next, &c->unacked, link)
    {
        if (!c->is_live)
            return;
        sim_socket_say(&c->socket, slice_str(post->json));
    }
}

static void on_presence(struct sim_client *c, const json_t *frame)
{
    const json_t *users = json_object_get(frame, "users");
    const json_t *user;
    size_t i, mine = 0;

    json_array_foreach(users, i, user) mine +=
        slice_eq_str(slice_str(json_string_value(user)), c->config.user);
    if (mine != 1)
        sim_violation(c->check, "%s: is in presence %zu times", c->config.user, mine);
    c->online = (uint64_t)json_integer_value(json_object_get(frame, "online"));
    c->n_here = json_array_size(users);
}

static const struct {
    const char *type;
    void (*on_frame)(struct sim_client *c, const json_t *frame);
} frames[] = {
    {"replay", on_replay},
    {"history", on_replay},
    {"message", on_message},
    {"edit", on_change},
    {"delete", on_change},
    {"reaction", on_change},
    {"ack", on_ack},
    {"error", on_error},
    {"subscription_succeeded", on_subscribed},
    {"presence", on_presence},
    {"stream", sim_stream_on_frame},
};

static void on_frame(struct sim_socket *socket, const json_t *frame, struct slice text)
{
    struct sim_client *c = client_of(socket);
    struct slice type = frame_str(frame, "type");

    if (c->world->options.is_talkative)
        sim_trace(c->world, "%s is told %.*s", c->config.user, (int)MIN(text.len, (size_t)160),
                  text.data);
    for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
        if (slice_eq_str(type, frames[i].type)) {
            frames[i].on_frame(c, frame);
            return;
        }
    }
    c->check->n_member_frames +=
        slice_eq_str(type, "member_joined") || slice_eq_str(type, "member_left");
}

/* ---- coming and going ---- */

static void on_dial(struct sim_socket *socket, struct session_params *params,
                    struct enter_params *enter)
{
    struct sim_client *c = client_of(socket);

    *params = (struct session_params){
        .project = slice_str(c->config.project),
        .user = slice_str(c->config.user),
        .roles = SLICE_LIT("member"),
        .native = c->config.native,
    };
    *enter = (struct enter_params){
        .room = room_of(c),
        .attach_flags = ATTACH_AS_REPLAY,
        .replay_limit = c->config.replay_limit,
        .trace = SLICE_LIT("sim"),
    };
    if (c->config.native && c->has_cursor) {
        enter->attach_flags |= ATTACH_HAS_SEQ;
        enter->last_seq = c->seq;
        enter->generation = slice_str(c->generation);
    }
}

static void on_gone(struct sim_socket *socket)
{
    struct sim_client *c = client_of(socket);

    sim_stream_on_gone(c);
    c->is_live = false;
    c->online = c->n_here = 0;
    if (!c->config.native)
        c->has_cursor = false;
}

static const struct sim_socket_events socket_events = {
    .on_dial = on_dial, .on_frame = on_frame, .on_gone = on_gone};

void sim_client_connect(struct sim_client *c)
{
    sim_socket_connect(&c->socket);
}

void sim_client_hang_up(struct sim_client *c)
{
    sim_socket_hang_up(&c->socket, 0);
}

bool sim_client_has_settled(const struct sim_client *c)
{
    uint64_t head = sim_cluster_head(c->world, c->config.room);

    return c->is_live && c->n_unacked == 0 && (!c->config.native || c->seq == head) &&
           sim_socket_is_given(&c->socket, room_of(c), head);
}

bool sim_client_has_seen(const struct sim_client *c, uint64_t seq)
{
    return seq < c->excused_below || map_find(&c->seen, hash_u64(seq), seen_eq, &seq) != NULL;
}

void sim_client_init(struct sim_client *c, struct sim_world *world,
                     const struct sim_client_config *config, size_t first_edge)
{
    *c = (struct sim_client){.world = world, .check = &world->check, .config = *config};
    sim_socket_init(&c->socket, world, &socket_events, config->user, first_edge);
    map_init(&c->seen);
    list_init(&c->unacked);
    sim_stream_init(c);
}

void sim_client_deinit(struct sim_client *c)
{
    sim_socket_deinit(&c->socket);
    sim_stream_deinit(c);
    while (!list_empty(&c->unacked))
        post_drop(c, list_first(&c->unacked, struct sim_post, link));
    map_each(&c->seen, free_seen, &c->seen);
    map_deinit(&c->seen);
    free(c->fates);
}
