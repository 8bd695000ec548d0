/* test_peer.c - the shard's end of links: greeting, heartbeat, rings, back-pressure. The
 * gateway's end is played here. */
#include "tests/support/test.h"

#include <errno.h>

#include "common/base/limits.h"
#include "common/cluster/ring.h"
#include "common/wire/frame.h"
#include "common/wire/handshake.h"
#include "shard/host/gate.h"
#include "shard/host/host.h"
#include "shard/limits.h"
#include "shard/metrics.h"
#include "shard/peer/peer.h"
#include "shard/peer/peers.h"
#include "tests/support/fake_env.h"
#include "tests/support/sim_store.h"

#define SECRET "a secret of the whole cluster"

/* The gateway's end of one connection. */
struct far {
    struct fx *fx;
    struct stream *stream; /* NULL: closed */
    struct handshake handshake;
    struct handshake_config config;
    struct frame_reader reader;
    unsigned seen[256];  /* messages by type */
    uint64_t ring_epoch; /* of the newest RING */
};

struct fx {
    struct fake_env fake;
    struct sim_server server;
    struct store *store;
    struct committer *committer;
    struct shard_metrics metrics;
    struct host *host;
    struct peers *peers;
    struct ring *ring;
    uint64_t heard_ring;
    unsigned calls;
};

/* ---- the shard ---- */

static int on_ring(void *owner, uint64_t epoch, struct slice members)
{
    struct fx *fx = owner;

    fx->heard_ring = epoch;
    return members.len == 2 ? 0 : -EBADMSG; /* an empty ring is two bytes */
}

static void on_call(void *owner, struct gate *gate, const struct msg_CALL *call)
{
    struct fx *fx = owner;
    struct msg msg = {.type = MSG_REPLY, .REPLY = {.call = call->call, .status = 200}};

    fx->calls++;
    gate_send(gate, &msg);
}

static const struct peers_hooks hooks = {.on_ring = on_ring, .on_call = on_call};

static void fx_init(struct fx *fx)
{
    struct ring_member self = {.id = SLICE_LIT("shard-1"),
                               .address = SLICE_LIT("127.0.0.1:1"),
                               .incarnation = 7,
                               .weight = 1};
    struct commit_config commit = commit_config_default();
    struct host_config host = {.node_id = SLICE_LIT("shard-1"),
                               .incarnation = 7,
                               .room_idle_ms = 60000,
                               .tail_entries = 8,
                               .tail_bytes = 1 << 20,
                               .rate_scale = 1};
    struct peers_config config = {
        .node_id = SLICE_LIT("shard-1"), .incarnation = 7, .secret = SLICE_LIT(SECRET)};

    memset(fx, 0, sizeof(*fx));
    fake_env_init(&fx->fake, 1);
    sim_server_init(&fx->server, &fx->fake.env, 1);
    fx->store = sim_store_new(&fx->server, &fx->fake.env);
    shard_metrics_init(&fx->metrics);
    assert_int_equal(committer_new(&fx->fake.env, fx->store, &commit, &fx->committer), 0);
    assert_int_equal(
        host_new(&fx->fake.env, fx->store, fx->committer, &fx->metrics, &host, &fx->host), 0);
    assert_int_equal(
        peers_new(&fx->fake.env, fx->host, &fx->metrics, &config, &hooks, fx, &fx->peers), 0);
    assert_int_equal(ring_new(5, &self, 1, &fx->ring), 0);
    host_set_ring(fx->host, fx->ring);
    peers_set_ring(fx->peers, fx->ring);
}

static void fx_deinit(struct fx *fx)
{
    peers_free(fx->peers);
    fake_env_run(&fx->fake);
    host_free(fx->host);
    fake_env_advance(&fx->fake, 1000); /* what the store still answers */
    committer_free(fx->committer);
    sim_store_free(fx->store);
    sim_server_deinit(&fx->server);
    ring_unref(fx->ring);
    fake_env_deinit(&fx->fake);
}

/* ---- the gateway ---- */

static void far_say(struct far *far, const struct msg *msg)
{
    AUTO_BUF out = BUF_INIT;

    msg_encode(&out, msg);
    assert_int_equal(stream_write_bytes(far->stream, buf_slice(&out)), 0);
}

static int on_message(void *owner, struct slice message)
{
    struct far *far = owner;
    AUTO_BUF out = BUF_INIT;
    struct msg msg;

    assert_int_equal(msg_decode(message, &msg), 0);
    far->seen[msg.type]++;
    if (msg.type == MSG_RING)
        far->ring_epoch = msg.RING.epoch;
    if (msg.type != MSG_HELLO && msg.type != MSG_AUTH)
        return 0;
    if (handshake_feed(&far->handshake, &msg, &out) < 0)
        return -EACCES;
    return out.len ? stream_write_bytes(far->stream, buf_slice(&out)) : 0;
}

static void on_bytes(void *owner, struct slice bytes)
{
    struct far *far = owner;

    assert_int_equal(frame_reader_feed(&far->reader, bytes, on_message, far), 0);
}

static void on_close(void *owner, enum stream_end end)
{
    struct far *far = owner;

    (void)end;
    far->stream = NULL;
}

static const struct stream_events far_events = {.on_bytes = on_bytes, .on_close = on_close};

/* Connects; what the shard answers depends on the secret. */
static void far_connect(struct fx *fx, struct far *far, uint64_t incarnation,
                        const char *secret)
{
    static const uint8_t nonce[HANDSHAKE_NONCE_LEN] = {1, 2, 3};
    AUTO_BUF out = BUF_INIT;
    struct stream *near;

    memset(far, 0, sizeof(*far));
    far->fx = fx;
    frame_reader_init(&far->reader);
    far->config = (struct handshake_config){.incarnation = incarnation,
                                            .node_id = SLICE_LIT("gateway-1"),
                                            .secret = slice_str(secret)};
    fake_pair(&fx->fake, &near, &far->stream);
    stream_set_events(far->stream, &far_events, far);
    assert_int_equal(peers_accept(fx->peers, near), 0);
    handshake_start(&far->handshake, &far->config, nonce, &out);
    assert_int_equal(stream_write_bytes(far->stream, buf_slice(&out)), 0);
    fake_env_run(&fx->fake);
}

static void far_deinit(struct far *far)
{
    if (far->stream)
        stream_close(far->stream, false);
    frame_reader_deinit(&far->reader);
}

/* ---- tests ---- */

static void a_gateway_that_knows_the_secret_gets_in(void **state)
{
    struct fx fx;
    struct far far;

    (void)state;
    fx_init(&fx);
    far_connect(&fx, &far, 100, SECRET);
    assert_int_equal(far.handshake.state, HANDSHAKE_UP);
    assert_int_equal(peers_count(fx.peers), 1);
    far_say(&far, &(struct msg){.type = MSG_CALL, .CALL = {.call = 1}});
    fake_env_run(&fx.fake);
    assert_int_equal(fx.calls, 1);
    assert_int_equal(far.seen[MSG_REPLY], 1);
    far_deinit(&far);
    fx_deinit(&fx);
}

static void others_do_not(void **state)
{
    struct fx fx;
    struct far far;

    (void)state;
    fx_init(&fx);
    far_connect(&fx, &far, 100, "another secret, as long as that");
    assert_null(far.stream);
    assert_int_equal(peers_count(fx.peers), 0);
    assert_int_equal(fx.metrics.links_refused, 1);
    far_deinit(&far);

    far_connect(&fx, &far, 100, ""); /* without any */
    fake_env_advance(&fx.fake, LINK_HANDSHAKE_TIMEOUT_MS);
    assert_null(far.stream);
    far_deinit(&far);
    fx_deinit(&fx);
}

static void nothing_is_taken_before_the_greeting(void **state)
{
    static const char *const greetings[] = {
        "\x05\x00\x00\x00\x28\x00\x00\x00\x00", /* a CALL */
        "\x04\x00\x00\x00\xff\x00zz",           /* a chunk of something large */
        "\xff\xff\xff\x7f",                     /* a frame of two gigabytes */
    };
    static const size_t lens[] = {9, 8, 4};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(greetings); i++) {
        struct stream *near, *end;
        struct fake_sink sink;
        struct fx fx;

        fx_init(&fx);
        fake_pair(&fx.fake, &near, &end);
        fake_sink_init(&sink, end);
        assert_int_equal(peers_accept(fx.peers, near), 0);
        fake_sink_send(&sink, slice_of(greetings[i], lens[i]));
        fake_env_run(&fx.fake);
        CHECK(sink.closed, greetings[i]);
        CHECK_EQ(fx.calls, 0, greetings[i]);
        fake_sink_deinit(&sink);
        fx_deinit(&fx);
    }
}

static void those_who_do_not_greet_are_few_and_do_not_stay(void **state)
{
    struct stream *near, *ends[LINK_PENDING_MAX + 1];
    struct fx fx;

    (void)state;
    fx_init(&fx);
    for (size_t i = 0; i <= LINK_PENDING_MAX; i++) {
        fake_pair(&fx.fake, &near, &ends[i]);
        assert_int_equal(peers_accept(fx.peers, near), i < LINK_PENDING_MAX ? 0 : -E2BIG);
    }
    fake_env_advance(&fx.fake, LINK_HANDSHAKE_TIMEOUT_MS);
    assert_int_equal(fx.metrics.links_refused, LINK_PENDING_MAX);
    fake_pair(&fx.fake, &near, &ends[0]);
    assert_int_equal(peers_accept(fx.peers, near), 0); /* there is room again */
    fx_deinit(&fx);
}

static void the_heartbeat_goes_both_ways(void **state)
{
    struct fx fx;
    struct far far;

    (void)state;
    fx_init(&fx);
    far_connect(&fx, &far, 100, SECRET);
    far_say(&far, &(struct msg){.type = MSG_PING, .PING = {.sent_ms = 1}});
    fake_env_run(&fx.fake);
    assert_int_equal(far.seen[MSG_PONG], 1);
    for (int i = 0; i < 10; i++) {
        fake_env_advance(&fx.fake, LINK_HEARTBEAT_MS);
        far_say(&far, &(struct msg){.type = MSG_PONG});
    }
    assert_in_range(far.seen[MSG_PING], 10, 12);
    assert_non_null(far.stream);
    fake_env_advance(&fx.fake, LINK_SILENCE_MS + LINK_HEARTBEAT_MS); /* now it is silent */
    assert_null(far.stream);
    assert_int_equal(peers_count(fx.peers), 0);
    far_deinit(&far);
    fx_deinit(&fx);
}

static void rings_are_taught_and_learnt(void **state)
{
    struct fx fx;
    struct far far;

    (void)state;
    fx_init(&fx);
    far_connect(&fx, &far, 100, SECRET);
    far_say(&far, &(struct msg){.type = MSG_PING, .PING = {.ring_epoch = 4}});
    fake_env_run(&fx.fake);
    assert_int_equal(far.ring_epoch, 5); /* theirs was older */
    far.ring_epoch = 0;
    far_say(&far, &(struct msg){.type = MSG_PING, .PING = {.ring_epoch = 6}});
    fake_env_run(&fx.fake);
    assert_int_equal(far.ring_epoch, 0);
    far_say(&far, &(struct msg){.type = MSG_RING,
                                .RING = {.epoch = 6, .members = SLICE_LIT("\0\0")}});
    fake_env_run(&fx.fake);
    assert_int_equal(fx.heard_ring, 6);
    far_say(&far,
            &(struct msg){.type = MSG_RING, .RING = {.epoch = 7, .members = SLICE_LIT("bad")}});
    fake_env_run(&fx.fake);
    assert_null(far.stream);
    far_deinit(&far);
    fx_deinit(&fx);
}

static void a_gateway_that_does_not_read_is_not_listened_to(void **state)
{
    char json[60000];
    struct fx fx;
    struct far far;
    struct gate *gate;
    struct msg msg = {.type = MSG_ROOM_EVENT};

    (void)state;
    memset(json, ' ', sizeof(json));
    msg.ROOM_EVENT.json = slice_of(json, sizeof(json));
    fx_init(&fx);
    far_connect(&fx, &far, 100, SECRET);
    gate = list_first(&fx.host->all_gates, struct gate, in_host);
    fake_stream_hold(far.stream, false);
    assert_false(gate_is_congested(gate));
    for (size_t sent = 0; sent <= LINK_QUEUE_HIGH; sent += sizeof(json))
        gate_send(gate, &msg);
    assert_true(gate_is_congested(gate)); /* ephemerals pass by */
    fake_env_run(&fx.fake);               /* it reads: all is well again */
    assert_false(gate_is_congested(gate));
    assert_non_null(far.stream);
    for (size_t sent = 0; sent <= LINK_QUEUE_MAX; sent += sizeof(json))
        gate_send(gate, &msg);
    fake_env_run(&fx.fake);
    assert_null(far.stream);
    assert_int_equal(fx.metrics.links_closed, 1);
    far_deinit(&far);
    fx_deinit(&fx);
}

/* More waits for it than we go on reading for, so its silence says nothing; but it takes
 * nothing. */
static void a_gateway_that_reads_nothing_is_given_up(void **state)
{
    static char json[64 * 1024];
    struct fx fx;
    struct far far;
    struct gate *gate;
    struct msg msg = {.type = MSG_ROOM_EVENT};

    (void)state;
    memset(json, ' ', sizeof(json));
    msg.ROOM_EVENT.json = slice_of(json, sizeof(json));
    fx_init(&fx);
    far_connect(&fx, &far, 100, SECRET);
    gate = list_first(&fx.host->all_gates, struct gate, in_host);
    fake_stream_hold(list_first(&fx.peers->all, struct peer, link)->stream, true);
    for (size_t sent = 0; sent <= LINK_QUEUE_HIGH; sent += sizeof(json))
        gate_send(gate, &msg);
    fake_env_advance(&fx.fake, LINK_SILENCE_MS - LINK_HEARTBEAT_MS);
    assert_int_equal(fx.metrics.links, 1);
    fake_env_advance(&fx.fake, 2 * LINK_HEARTBEAT_MS);
    assert_int_equal(fx.metrics.links, 0);
    assert_int_equal(fx.metrics.links_closed, 1);
    far_deinit(&far);
    fx_deinit(&fx);
}

static void the_shard_says_goodbye(void **state)
{
    struct fx fx;
    struct far far;

    (void)state;
    fx_init(&fx);
    far_connect(&fx, &far, 100, SECRET);
    peers_close(fx.peers);
    fake_env_run(&fx.fake);
    assert_int_equal(far.seen[MSG_GOODBYE], 1);
    assert_null(far.stream);
    far_deinit(&far);
    fx_deinit(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gateway_that_knows_the_secret_gets_in),
        cmocka_unit_test(others_do_not),
        cmocka_unit_test(nothing_is_taken_before_the_greeting),
        cmocka_unit_test(those_who_do_not_greet_are_few_and_do_not_stay),
        cmocka_unit_test(the_heartbeat_goes_both_ways),
        cmocka_unit_test(rings_are_taught_and_learnt),
        cmocka_unit_test(a_gateway_that_does_not_read_is_not_listened_to),
        cmocka_unit_test(a_gateway_that_reads_nothing_is_given_up),
        cmocka_unit_test(the_shard_says_goodbye),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
