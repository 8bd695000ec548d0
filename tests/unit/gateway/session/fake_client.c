/* fake_client.c - client sockets in memory; see fake_client.h. */
#include "tests/support/test.h"

#include "tests/unit/gateway/session/fake_client.h"

void fake_world_init(struct fake_world *w, size_t shards)
{
    struct sessions_config config = {0};

    fake_cluster_init(&w->c, shards, "secret");
    assert_int_equal(
        sessions_new(&w->c.env.env, w->c.pool, &w->c.metrics, &config, &w->sessions), 0);
    fake_env_run(&w->c.env);
}

void fake_world_deinit(struct fake_world *w)
{
    sessions_free(w->sessions);
    fake_cluster_deinit(&w->c);
}

/* ---- clients ---- */

static void on_close(void *owner, unsigned code, struct slice reason)
{
    struct fake_client *client = owner;

    assert_non_null(client->session); /* once, and not after session_close() */
    client->session = NULL;
    client->code = code;
    snprintf(client->reason, sizeof(client->reason), "%.*s", (int)reason.len, reason.data);
}

static void on_pause(void *owner, bool paused)
{
    struct fake_client *client = owner;

    assert_true(client->is_paused != paused);
    client->is_paused = paused;
}

static void on_token(void *owner, struct slice token, struct slice frame_id)
{
    struct fake_client *client = owner;

    snprintf(client->token, sizeof(client->token), "%.*s/%.*s", (int)token.len, token.data,
             (int)frame_id.len, frame_id.len ? frame_id.data : "");
}

static const struct session_events session_events = {
    .on_close = on_close, .on_pause = on_pause, .on_token = on_token};

static void edge_on_open(void *owner)
{
    (void)owner;
}

static void edge_on_bytes(void *owner, struct slice bytes)
{
    (void)owner;
    (void)bytes;
}

static void edge_on_drained(void *owner)
{
    struct fake_client *client = owner;

    if (client->session)
        session_on_drained(client->session);
}

static void edge_on_close(void *owner, enum stream_end end)
{
    struct fake_client *client = owner;

    (void)end;
    client->stream = NULL;
    if (client->session)
        session_close(client->session);
    client->session = NULL;
}

static const struct stream_events edge_events = {edge_on_open, edge_on_bytes, edge_on_drained,
                                                 edge_on_close};

void client_open_as(struct fake_world *w, struct fake_client *client,
                    const struct session_params *params, const struct enter_params *enter)
{
    struct session_sink sink = {.framing = FRAMING_WEBSOCKET};
    struct stream *remote;

    *client = (struct fake_client){0};
    fake_pair(&w->c.env, &client->stream, &remote);
    sink.stream = client->stream;
    stream_set_events(client->stream, &edge_events, client);
    fake_sink_init(&client->remote, remote);
    assert_int_equal(
        session_open(w->sessions, params, &sink, &session_events, client, &client->session), 0);
    if (enter)
        assert_int_equal(session_enter(client->session, enter), 0);
}

void client_open(struct fake_world *w, struct fake_client *client, const char *user,
                 const char *room)
{
    struct session_params params = {.project = SLICE_LIT("p"),
                                    .user = slice_str(user),
                                    .roles = SLICE_LIT("member"),
                                    .native = true};
    struct enter_params enter = {
        .room = slice_str(room), .replay_limit = 50, .trace = SLICE_LIT("t")};

    client_open_as(w, client, &params, room ? &enter : NULL);
}

void client_close(struct fake_world *w, struct fake_client *client)
{
    if (client->session)
        session_close(client->session);
    client->session = NULL;
    if (client->stream)
        stream_close(client->stream, false);
    client->stream = NULL;
    if (client->remote.stream)
        stream_close(client->remote.stream, false);
    client->remote.stream = NULL;
    fake_sink_deinit(&client->remote);
    fake_env_run(&w->c.env);
}

void client_say(struct fake_client *client, const char *json)
{
    assert_non_null(client->session);
    session_on_text(client->session, slice_str(json));
}

/* Cuts the next server frame; false: there is none. */
static bool next_frame(struct fake_client *client)
{
    const unsigned char *in = (const unsigned char *)client->remote.in.data;
    size_t left = client->remote.in.len - client->at;
    size_t len, head = 2;

    if (left == 0)
        return false;
    in += client->at;
    assert_true(left >= 2);
    assert_int_equal(in[0], 0x81); /* final text frame */
    len = in[1];
    if (len == 126) {
        len = (size_t)in[2] << 8 | in[3];
        head = 4;
    } else if (len == 127) {
        len = (size_t)in[6] << 24 | (size_t)in[7] << 16 | (size_t)in[8] << 8 | in[9];
        head = 10;
    }
    assert_true(left >= head + len);
    snprintf(client->text, sizeof(client->text), "%.*s", (int)len, (const char *)in + head);
    client->at += head + len;
    return true;
}

const char *client_next(struct fake_world *w, struct fake_client *client)
{
    fake_env_run(&w->c.env);
    if (!next_frame(client))
        fail_msg("the client was given nothing more");
    return client->text;
}

void client_expect(struct fake_world *w, struct fake_client *client, const char *text)
{
    assert_string_equal(client_next(w, client), text);
}

void client_expect_nothing(struct fake_world *w, struct fake_client *client)
{
    fake_env_run(&w->c.env);
    if (next_frame(client))
        fail_msg("the client was given %s", client->text);
}

/* ---- shards ---- */

static void copy(char *to, size_t size, struct slice from)
{
    snprintf(to, size, "%.*s", (int)from.len, from.len ? from.data : "");
}

struct fake_attach shard_expect_attach(struct fake_world *w, struct fake_shard *s)
{
    const struct msg_ATTACH *in;
    struct fake_attach a;

    fake_env_run(&w->c.env);
    in = &fake_shard_expect(s, MSG_ATTACH)->ATTACH;
    CHECK_SLICE(in->project, "p", "ATTACH.project");
    a = (struct fake_attach){
        .number = in->attach, .epoch = in->epoch, .flags = in->flags, .last_seq = in->last_seq};
    copy(a.user, sizeof(a.user), in->user);
    copy(a.generation, sizeof(a.generation), in->generation);
    return a;
}

void shard_to_attach(struct fake_shard *s, const struct fake_attach *a, uint64_t done_n,
                     uint64_t cursor, const char *json)
{
    struct msg msg = {.type = MSG_TO_ATTACH};

    msg.TO_ATTACH.attach = a->number;
    msg.TO_ATTACH.epoch = a->epoch;
    msg.TO_ATTACH.done_n = done_n;
    msg.TO_ATTACH.cursor = cursor;
    msg.TO_ATTACH.json = slice_str(json);
    if (cursor > 0)
        msg.TO_ATTACH.generation = SLICE_LIT("g1");
    fake_shard_send(s, &msg);
}

void shard_paged(struct fake_shard *s, const struct fake_attach *a)
{
    struct msg msg = {.type = MSG_PAGED, .PAGED = {.attach = a->number, .epoch = a->epoch}};

    fake_shard_send(s, &msg);
}

void shard_attached(struct fake_shard *s, const struct fake_attach *a, uint64_t seq)
{
    struct msg msg = {.type = MSG_ATTACHED};

    msg.ATTACHED.attach = a->number;
    msg.ATTACHED.epoch = a->epoch;
    msg.ATTACHED.seq = seq;
    msg.ATTACHED.generation = SLICE_LIT("g1");
    fake_shard_send(s, &msg);
}

void shard_room_event(struct fake_shard *s, const char *room, uint64_t seq, uint32_t flags,
                      uint64_t except, const char *json)
{
    struct msg msg = {.type = MSG_ROOM_EVENT};

    msg.ROOM_EVENT.seq = seq;
    msg.ROOM_EVENT.flags = flags;
    msg.ROOM_EVENT.except = except;
    msg.ROOM_EVENT.project = SLICE_LIT("p");
    msg.ROOM_EVENT.room = slice_str(room);
    msg.ROOM_EVENT.json = slice_str(json);
    fake_shard_send(s, &msg);
}

void shard_sleep(struct fake_shard *s, const char *room)
{
    struct msg msg = {.type = MSG_SLEEP};

    msg.SLEEP.project = SLICE_LIT("p");
    msg.SLEEP.room = slice_str(room);
    fake_shard_send(s, &msg);
}

void shard_wake(struct fake_shard *s, const char *room)
{
    struct msg msg = {.type = MSG_WAKE};

    msg.WAKE.project = SLICE_LIT("p");
    msg.WAKE.room = slice_str(room);
    fake_shard_send(s, &msg);
}

void shard_moved(struct fake_shard *s, const char *object)
{
    struct msg msg = {.type = MSG_MOVED};

    msg.MOVED.object = slice_str(object);
    msg.MOVED.ring_epoch = s->ring.epoch;
    msg.MOVED.ring_hash = s->ring.hash;
    fake_shard_send(s, &msg);
}

void shard_close(struct fake_shard *s, const struct fake_attach *a, unsigned code,
                 const char *reason)
{
    struct msg msg = {.type = MSG_CLOSE};

    msg.CLOSE.attach = a->number;
    msg.CLOSE.epoch = a->epoch;
    msg.CLOSE.code = code;
    msg.CLOSE.reason = slice_str(reason);
    fake_shard_send(s, &msg);
}

struct fake_attach client_open_live(struct fake_world *w, struct fake_client *client,
                                    const char *user, const char *room, struct fake_shard *s,
                                    uint64_t seq)
{
    struct fake_attach a;

    client_open(w, client, user, room);
    a = shard_expect_attach(w, s);
    shard_attached(s, &a, seq);
    fake_env_run(&w->c.env);
    return a;
}
