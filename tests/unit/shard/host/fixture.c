/* fixture.c - see fixture.h. */
#include "tests/unit/shard/host/fixture.h"

#include <stdlib.h>

#include "common/base/ident.h"
#include "common/cluster/ring.h"
#include "common/json/json_read.h"
#include "common/wire/frame.h"
#include "shard/host/attach.h"
#include "shard/host/frame_in.h"
#include "shard/host/settle.h"
#include "shard/limits.h"

/* ---- transcript ---- */

static void put_field(struct buf *out, const json_t *frame, const char *key, const char *name)
{
    const json_t *v = json_object_get(frame, key);

    if (json_is_string(v))
        buf_printf(out, " %s=%s", name, json_string_value(v));
    else if (json_is_integer(v))
        buf_printf(out, " %s=%lld", name, (long long)json_integer_value(v));
    else if (json_is_boolean(v))
        buf_printf(out, " %s=%d", name, json_is_true(v));
}

static void put_messages(struct buf *out, const json_t *list)
{
    const json_t *m;
    size_t i;

    if (!list)
        return;
    buf_put_str(out, " [");
    json_array_foreach(list, i, m)
    {
        buf_printf(out, "%s%s", i ? " " : "", json_string_value(json_object_get(m, "content")));
    }
    buf_put_str(out, "]");
}

static void put_count(struct buf *out, const json_t *frame, const char *key)
{
    const json_t *list = json_object_get(frame, key);

    if (list)
        buf_printf(out, " %s=%zu", key, json_array_size(list));
}

static void put_frame(struct buf *out, struct slice json)
{
    static const char *const fields[] = {
        "seq",        "userId",  "content",   "clientMessageId",   "frameId",
        "code",       "online",  "change",    "duplicate",         "more",
        "reset",      "fromSeq", "toSeq",     "hasMore",           "isTyping",
        "currentSeq", "intent",  "retryable", "subscriptionCount", "name",
    };
    AUTO(json_free) json_t *frame = NULL;

    if (json.len == 0)
        return;
    assert_int_equal(json_load_object(json, 4 << 20, &frame), 0);
    buf_printf(out, " {%s", json_string_value(json_object_get(frame, "type")));
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        put_field(out, frame, fields[i], fields[i]);
    if (json_object_get(frame, "events"))
        buf_printf(out, " events=%zu", json_array_size(json_object_get(frame, "events")));
    put_count(out, frame, "users");
    put_count(out, frame, "joined");
    put_count(out, frame, "left");
    put_field(out, frame, "truncated", "truncated");
    put_messages(out, json_object_get(frame, "messages"));
    buf_put_char(out, '}');
}

static bool is_presence(struct slice json)
{
    static const char *const types[] = {"{\"type\":\"presence\"",
                                        "{\"type\":\"presence_delta\"",
                                        "{\"type\":\"subscription_count\""};

    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        size_t len = strlen(types[i]);

        if (json.len > len && memcmp(json.data, types[i], len) == 0)
            return true;
    }
    return false;
}

static void note_event(struct fx_gate *g, const struct msg_ROOM_EVENT *m)
{
    struct buf *out = &g->log;

    if (g->hides_presence && is_presence(m->json))
        return;
    if (m->flags & EVENT_EPHEMERAL)
        buf_put_str(out, "ephemeral");
    else
        buf_printf(out, "event %llu", (unsigned long long)m->seq);
    if (m->flags & EVENT_NATIVE_ONLY)
        buf_put_str(out, " native");
    if (m->except)
        buf_printf(out, " except=%llu", (unsigned long long)m->except);
    put_frame(out, m->json);
    buf_put_char(out, '\n');
}

static void note_to_attach(struct buf *out, const struct msg_TO_ATTACH *m)
{
    buf_printf(out, "to %llu", (unsigned long long)m->attach);
    if (m->done_n)
        buf_printf(out, " done=%llu", (unsigned long long)m->done_n);
    if (m->cursor)
        buf_printf(out, " cur=%llu", (unsigned long long)m->cursor);
    put_frame(out, m->json);
    buf_put_char(out, '\n');
}

#define S(s) (int)(s).len, (s).data

void fx_awake(struct fx_gate *g)
{
    struct msg_AWAKE msg = {.wake = g->wake,
                            .project = SLICE_LIT("p"),
                            .room = slice_str(g->wake_room),
                            .users = buf_slice(&g->last_seen)};

    if (g->wake == 0)
        return;
    g->wake = 0;
    settle_on_awake(g->fx->host, &msg);
    buf_clear(&g->last_seen);
}

static void on_awake(struct later *later, void *arg)
{
    (void)later;
    fx_awake(arg);
}

static void take_wake(struct fx_gate *g, const struct msg_WAKE *m)
{
    assert_true(ident_copy(m->room, g->wake_room));
    g->wake = m->wake;
    if (g->last_seen.len == 0 && !g->is_slow)
        env_later(&g->fx->fake.env, &g->awake);
}

static void remember(struct fx_gate *g, struct slice users)
{
    buf_clear(&g->last_seen);
    buf_put_slice(&g->last_seen, users);
}

static void note_kick(struct buf *out, const struct msg_KICK *m)
{
    buf_printf(out, "kick %llu", (unsigned long long)m->number);
    if (m->user.len > 0)
        buf_printf(out, " user=%.*s", S(m->user));
    if (m->token_id.len > 0)
        buf_printf(out, " token=%.*s", S(m->token_id));
    if (m->issued_before_s > 0)
        buf_printf(out, " before=%llu", (unsigned long long)m->issued_before_s);
    if (m->room.len > 0)
        buf_printf(out, " room=%.*s socket=%.*s", S(m->room), S(m->socket_id));
    buf_printf(out, " %u %.*s\n", m->code, S(m->reason));
}

/* Messages about users. False: it is none. */
static bool note_user(struct buf *out, const struct msg *msg)
{
    if (msg->type == MSG_KICK) {
        note_kick(out, &msg->KICK);
    } else if (msg->type == MSG_USER_ROOMS) {
        buf_printf(out, "rooms %llu user=%.*s %.*s\n",
                   (unsigned long long)msg->USER_ROOMS.number, S(msg->USER_ROOMS.user),
                   S(msg->USER_ROOMS.rooms));
    } else if (msg->type == MSG_USER_PUSH) {
        buf_printf(out, "push %.*s", S(msg->USER_PUSH.user));
        put_frame(out, msg->USER_PUSH.json);
        buf_put_char(out, '\n');
    } else {
        return false;
    }
    return true;
}

static void note_handover(struct fx_gate *g, const struct msg_HANDOVER *m)
{
    buf_printf(&g->log, "handover %.*s %.*s seq=%llu by=%llu:%llu:%llu {%.*s}\n", S(m->room),
               S(m->user), (unsigned long long)m->seq, (unsigned long long)m->gateway,
               (unsigned long long)m->attach, (unsigned long long)m->n, S(m->text));
}

static void remember_generation(struct fx_gate *g, struct slice generation)
{
    if (generation.len > 0)
        (void)snprintf(g->generation, sizeof(g->generation), "%.*s", S(generation));
}

static void note(struct fx_gate *g, const struct msg *msg)
{
    struct buf *out = &g->log;

    if (msg->type == MSG_TO_ATTACH)
        remember_generation(g, msg->TO_ATTACH.generation);
    else if (msg->type == MSG_ATTACHED)
        remember_generation(g, msg->ATTACHED.generation);
    if (msg->type == MSG_ROOM_EVENT)
        note_event(g, &msg->ROOM_EVENT);
    else if (msg->type == MSG_TO_ATTACH)
        note_to_attach(out, &msg->TO_ATTACH);
    else if (msg->type == MSG_ATTACHED)
        buf_printf(out, "attached %llu @%llu\n", (unsigned long long)msg->ATTACHED.attach,
                   (unsigned long long)msg->ATTACHED.seq);
    else if (msg->type == MSG_PAGED)
        buf_printf(out, "paged %llu\n", (unsigned long long)msg->PAGED.attach);
    else if (msg->type == MSG_CLOSE)
        buf_printf(out, "close %llu %u %.*s\n", (unsigned long long)msg->CLOSE.attach,
                   msg->CLOSE.code, S(msg->CLOSE.reason));
    else if (msg->type == MSG_SLEEP)
        buf_printf(out, "sleep %.*s\n", S(msg->SLEEP.room));
    else if (msg->type == MSG_WAKE)
        buf_printf(out, "wake %.*s\n", S(msg->WAKE.room));
    else if (msg->type == MSG_MOVED)
        buf_printf(out, "moved %.*s\n", S(msg->MOVED.object));
    else if (msg->type == MSG_HANDOVER)
        note_handover(g, &msg->HANDOVER);
    else if (msg->type == MSG_GATEWAY_GONE)
        buf_printf(out, "gone %llu\n", (unsigned long long)msg->GATEWAY_GONE.incarnation);
    else if (msg->type == MSG_REPLY)
        buf_printf(out, "reply %llu %u %.*s\n", (unsigned long long)msg->REPLY.call,
                   msg->REPLY.status, S(msg->REPLY.body));
    else if (!note_user(out, msg))
        fail_msg("message %s to a gateway", msg_type_name(msg->type));
    if (msg->type == MSG_WAKE)
        take_wake(g, &msg->WAKE);
    else if (msg->type == MSG_SLEEP)
        remember(g, msg->SLEEP.users);
    else if (msg->type == MSG_MOVED)
        remember(g, msg->MOVED.users);
    if (msg->type == MSG_MOVED && msg->MOVED.move > 0)
        g->move = msg->MOVED.move;
}

static int on_message(void *owner, struct slice message)
{
    struct msg msg;

    assert_int_equal(msg_decode(message, &msg), 0);
    note(owner, &msg);
    return 0;
}

static void link_send(void *link, struct slice frames)
{
    struct frame_reader reader;

    frame_reader_init(&reader);
    assert_true(frames.len > 0);
    assert_int_equal(frame_reader_feed(&reader, frames, on_message, link), 0);
    frame_reader_deinit(&reader);
}

static bool link_is_congested(void *link)
{
    struct fx_gate *g = link;

    return g->is_congested;
}

static void link_ping(void *link)
{
    struct fx_gate *g = link;

    pace_on_ping(g->gate);
    g->pings++;
    if (!g->is_reading_slowly)
        fx_pong(g);
}

static void link_on_replaced(void *link)
{
    struct fx_gate *g = link;

    buf_put_str(&g->log, "replaced\n");
    g->gate = NULL;
}

static const struct gate_link_ops link_ops = {.send = link_send,
                                              .ping = link_ping,
                                              .is_congested = link_is_congested,
                                              .on_replaced = link_on_replaced};

/* ---- a gateway ---- */

void fx_link_up(struct fx_gate *g)
{
    g->gate = gate_up(g->fx->host, g->incarnation, &link_ops, g);
    assert_non_null(g->gate);
}

void fx_pong(struct fx_gate *g)
{
    assert_true(g->pings > 0);
    g->pings--;
    pace_on_pong(g->gate);
}

void fx_link_down(struct fx_gate *g)
{
    gate_down(TAKE(g->gate));
    g->pings = 0;
}

void fx_attach(struct fx_gate *g, const struct fx_attach *a)
{
    struct msg_ATTACH msg = {.attach = a->number,
                             .flags = a->flags,
                             .gap_n = a->gap_n,
                             .project = SLICE_LIT("p"),
                             .room = slice_str(a->room),
                             .user = slice_str(a->user),
                             .roles = slice_str(a->roles),
                             .socket_id = SLICE_LIT("sock"),
                             .last_seq = a->last_seq,
                             .generation = slice_str(a->generation),
                             .replay_limit = a->limit,
                             .epoch = ++g->epoch};

    attach_on_attach(g->gate, &msg);
}

void fx_back(struct fx_gate *g, const char *user)
{
    FX_ATTACH(g, .number = 1, .room = "g", .user = user, .flags = ATTACH_REATTACH);
}

void fx_enter(struct fx *fx, unsigned i, uint32_t flags)
{
    char user[16];

    (void)snprintf(user, sizeof(user), "u%03u", i);
    FX_ATTACH(&fx->gates[1], .number = 100 + i, .room = "g", .user = user, .roles = "admin",
              .flags = ATTACH_NO_REPLAY | flags);
}

void fx_detach(struct fx_gate *g, uint64_t number)
{
    struct msg_DETACH msg = {.attach = number};

    attach_on_detach(g->gate, &msg);
}

void fx_frame(struct fx_gate *g, uint64_t attach, uint64_t n, uint32_t flags, const char *json)
{
    struct msg_FRAME msg = {.attach = attach, .n = n, .flags = flags, .json = slice_str(json)};

    frame_on_frame(g->gate, &msg);
}

void fx_say(struct fx_gate *g, uint64_t attach, uint64_t n, const char *content, const char *id)
{
    char json[6000];

    (void)snprintf(json, sizeof(json), "{\"type\":\"message\",\"content\":\"%s\"%s%s%s}",
                   content, id ? ",\"clientMessageId\":\"" : "", id ? id : "", id ? "\"" : "");
    fx_frame(g, attach, n, 0, json);
}

void fx_more(struct fx_gate *g, uint64_t attach)
{
    struct msg_MORE msg = {.attach = attach};

    attach_on_more(g->gate, &msg);
}

void fx_call(struct fx_gate *g, enum call_op op, const char *room, const char *user,
             const char *roles, const char *params)
{
    char object[300], key[32];
    struct msg_CALL msg = {.call = ++g->calls,
                           .op = op,
                           .project = SLICE_LIT("p"),
                           .user = slice_str(user),
                           .roles = slice_str(roles),
                           .params = slice_str(params)};

    (void)snprintf(object, sizeof(object), "room/p/%s", room ? room : "");
    (void)snprintf(key, sizeof(key), "%llx-%llu", (unsigned long long)g->incarnation,
                   (unsigned long long)g->calls);
    msg.object = room ? slice_str(object) : slice_of(NULL, 0);
    msg.key = slice_str(key);
    api_on_call(g->fx->api, g->gate, &msg);
}

/* ---- looking ---- */

void fx_forget(struct fx_gate *g)
{
    buf_clear(&g->log);
}

static const char *text_of(const struct fx_gate *g)
{
    struct buf *log = (struct buf *)(uintptr_t)&g->log;

    buf_put_char(log, 0);
    log->len--;
    return log->data;
}

void fx_expect(struct fx_gate *g, const char *want, const char *name)
{
    if (strcmp(text_of(g), want) != 0)
        fail_msg("%s: got\n%swant\n%s", name, text_of(g), want);
    fx_forget(g);
}

bool fx_got(const struct fx_gate *g, const char *text)
{
    return strstr(text_of(g), text) != NULL;
}

size_t fx_count(const struct fx_gate *g, const char *text)
{
    const char *at = text_of(g);
    size_t n = 0;

    while ((at = strstr(at, text))) {
        n++;
        at++;
    }
    return n;
}

/* ---- the shard ---- */

void fx_create_room(struct fx *fx, const char *room, const char *type, bool with_members)
{
    const struct member_op members[] = {
        {.user = SLICE_LIT("ann"), .role = ROLE_OWNER, .at_us = 1000000},
        {.user = SLICE_LIT("bob"), .role = ROLE_MEMBER, .at_us = 2000000},
        {.user = SLICE_LIT("cid"), .role = ROLE_MEMBER, .at_us = 3000000},
    };
    struct room_create create = {.project = SLICE_LIT("p"),
                                 .room = slice_str(room),
                                 .type = slice_str(type),
                                 .name = SLICE_LIT("A room"),
                                 .created_by = SLICE_LIT("ann"),
                                 .created_us = 1000000,
                                 .fence = 1,
                                 .members = members,
                                 .n_members = with_members ? 3 : 1};

    assert_true(sim_db_create_room(fx->server.db, &create));
}

struct sim_room *fx_row(struct fx *fx, const char *room)
{
    return sim_db_room(fx->server.db, SLICE_LIT("p"), slice_str(room));
}

void fx_set_ring(struct fx *fx, bool is_ours)
{
    struct ring_member member = {.id = is_ours ? SLICE_LIT("shard-1") : SLICE_LIT("shard-2"),
                                 .address = SLICE_LIT("127.0.0.1:1"),
                                 .incarnation = FX_INCARNATION,
                                 .weight = 1};
    struct ring *old = fx->ring;

    assert_int_equal(ring_new(old ? ring_identity(old).epoch + 1 : 1, &member, 1, &fx->ring),
                     0);
    host_set_ring(fx->host, fx->ring);
    ring_unref(old);
}

void fx_drain(struct fx *fx)
{
    struct ring_member members[2] = {{.id = SLICE_LIT("shard-1"),
                                      .address = SLICE_LIT("127.0.0.1:1"),
                                      .incarnation = FX_INCARNATION,
                                      .weight = 1,
                                      .draining = true},
                                     {.id = SLICE_LIT("shard-2"),
                                      .address = SLICE_LIT("127.0.0.1:2"),
                                      .incarnation = FX_INCARNATION + 1,
                                      .weight = 1}};
    struct ring *old = fx->ring;

    assert_int_equal(ring_new(ring_identity(old).epoch + 1, members, 2, &fx->ring), 0);
    host_set_ring(fx->host, fx->ring);
    ring_unref(old);
}

void fx_arrived(struct fx_gate *g)
{
    struct msg_ARRIVED msg = {.move = g->move};

    moves_on_arrived(&g->fx->host->moves, &msg);
}

void fx_init(struct fx *fx)
{
    struct commit_config commit = commit_config_default();
    struct host_config config = {.node_id = SLICE_LIT("shard-1"),
                                 .incarnation = FX_INCARNATION,
                                 .room_idle_ms = 60000,
                                 .tail_entries = 8,
                                 .tail_bytes = 1 << 20,
                                 .rate_scale = 1};

    memset(fx, 0, sizeof(*fx));
    fake_env_init(&fx->fake, 1);
    fake_env_advance(&fx->fake, 100000);
    sim_server_init(&fx->server, &fx->fake.env, 1);
    fx->server.latency_min_ms = fx->server.latency_max_ms = 1;
    fx->store = sim_store_new(&fx->server, &fx->fake.env);
    assert_non_null(fx->store);
    shard_metrics_init(&fx->metrics);
    assert_int_equal(committer_new(&fx->fake.env, fx->store, &commit, &fx->committer), 0);
    assert_int_equal(
        host_new(&fx->fake.env, fx->store, fx->committer, &fx->metrics, &config, &fx->host), 0);
    host_set_lease(fx->host, true);
    assert_int_equal(api_new(fx->host, &fx->api), 0);
    fx_create_room(fx, "g", "group", true);
    fx_create_room(fx, "c", "announcement", true);
    fx_create_room(fx, "pub", "public", false);
    fx_set_ring(fx, true);
    for (size_t i = 0; i < ARRAY_LEN(fx->gates); i++) {
        fx->gates[i].fx = fx;
        fx->gates[i].incarnation = 0x100 + i;
        fx->gates[i].hides_presence = true;
        later_init(&fx->gates[i].awake, on_awake, &fx->gates[i]);
        fx_link_up(&fx->gates[i]);
    }
}

void fx_begin_two(struct fx *fx)
{
    fx_init(fx);
    FX_ATTACH(&fx->gates[0], .number = 1, .room = "g", .user = "ann",
              .flags = ATTACH_NO_REPLAY);
    FX_ATTACH(&fx->gates[1], .number = 1, .room = "g", .user = "bob",
              .flags = ATTACH_NO_REPLAY);
    fake_env_advance(&fx->fake, (uint64_t)2 * PRESENCE_WINDOW_MS);
    for (size_t i = 0; i < ARRAY_LEN(fx->gates); i++)
        fx_forget(&fx->gates[i]);
}

void fx_begin_talk(struct fx *fx, unsigned n)
{
    struct fx_gate *g = &fx->gates[0];
    char text[16];

    fx_init(fx);
    FX_ATTACH(g, .number = 1, .room = "g", .user = "ann", .flags = ATTACH_NO_REPLAY);
    fx_run(fx);
    for (unsigned i = 1; i <= n; i++) {
        (void)snprintf(text, sizeof(text), "%u", i);
        fx_say(g, 1, i, text, NULL);
    }
    fx_run(fx);
    fx_forget(g);
}

void fx_deinit(struct fx *fx)
{
    api_free(fx->api);
    host_free(fx->host);
    fake_env_advance(&fx->fake, 30000); /* what the store still answers */
    committer_free(fx->committer);
    sim_store_free(fx->store);
    sim_server_deinit(&fx->server);
    ring_unref(fx->ring);
    for (size_t i = 0; i < ARRAY_LEN(fx->gates); i++) {
        buf_deinit(&fx->gates[i].log);
        buf_deinit(&fx->gates[i].last_seen);
    }
    fake_env_deinit(&fx->fake);
}

void fx_run(struct fx *fx)
{
    fake_env_advance(&fx->fake, 50);
}
