/*
 * test_handshake.c - both ends of the handshake talk to each other; then every
 * way in which one of them can be wrong.
 */
#include "tests/support/test.h"

#include <errno.h>

#include "common/wire/frame.h"
#include "common/wire/handshake.h"

struct end {
    struct handshake_config config;
    struct handshake h;
    struct buf out;
    int last; /* what handshake_feed() said last */
};

static struct end gateway, shard;

static int feed_one(void *owner, struct slice message)
{
    struct end *end = owner;
    struct msg msg;

    assert_int_equal(msg_decode(message, &msg), 0);
    end->last = handshake_feed(&end->h, &msg, &end->out);
    return end->last < 0 ? end->last : 0;
}

/* Gives what one end has written to the other. */
static void deliver(struct end *from, struct end *to)
{
    struct frame_reader reader;
    int r;

    frame_reader_init(&reader);
    to->last = 0;
    r = frame_reader_feed(&reader, buf_slice(&from->out), feed_one, to);
    assert_int_equal(r < 0, to->last < 0);
    frame_reader_deinit(&reader);
    buf_clear(&from->out);
}

static void begin(const char *gateway_secret, const char *shard_secret)
{
    uint8_t nonce[HANDSHAKE_NONCE_LEN];

    gateway.config =
        (struct handshake_config){false, 11, SLICE_LIT("gateway-1"), slice_str(gateway_secret)};
    shard.config =
        (struct handshake_config){true, 22, SLICE_LIT("shard-1"), slice_str(shard_secret)};
    buf_clear(&gateway.out);
    buf_clear(&shard.out);
    memset(nonce, 1, sizeof(nonce));
    handshake_start(&gateway.h, &gateway.config, nonce, &gateway.out);
    memset(nonce, 2, sizeof(nonce));
    handshake_start(&shard.h, &shard.config, nonce, &shard.out);
}

static int teardown(void **state)
{
    (void)state;
    buf_deinit(&gateway.out);
    buf_deinit(&shard.out);
    return 0;
}

static void both_ends_come_up_with_the_same_secret(void **state)
{
    (void)state;
    begin("secret", "secret");
    assert_int_equal(shard.out.len, 0); /* the gateway speaks first */
    deliver(&gateway, &shard);
    assert_int_equal(shard.last, 0);
    deliver(&shard, &gateway);
    assert_int_equal(gateway.last, 0);
    deliver(&gateway, &shard);
    assert_int_equal(shard.last, HANDSHAKE_DONE);
    deliver(&shard, &gateway);
    assert_int_equal(gateway.last, HANDSHAKE_DONE);
    assert_int_equal(gateway.h.peer_incarnation, 22);
    assert_string_equal(gateway.h.peer_node, "shard-1");
    assert_int_equal(shard.h.peer_incarnation, 11);
    assert_string_equal(shard.h.peer_node, "gateway-1");
}

static void without_a_secret_two_hellos_do(void **state)
{
    (void)state;
    begin("", "");
    deliver(&gateway, &shard);
    assert_int_equal(shard.last, HANDSHAKE_DONE);
    deliver(&shard, &gateway);
    assert_int_equal(gateway.last, HANDSHAKE_DONE);
}

static void a_wrong_secret_is_refused_before_the_shard_proves_anything(void **state)
{
    (void)state;
    begin("secret", "other");
    deliver(&gateway, &shard);
    deliver(&shard, &gateway);
    deliver(&gateway, &shard);
    assert_int_equal(shard.last, -EACCES);
    assert_int_equal(shard.h.state, HANDSHAKE_FAILED);
    assert_non_null(shard.h.why);
    assert_int_equal(shard.out.len, 0);
}

static void a_gateway_without_a_secret_gets_nowhere(void **state)
{
    struct msg ping = {.type = MSG_PING};

    (void)state;
    begin("", "secret");
    deliver(&gateway, &shard);
    assert_int_equal(shard.last, 0);
    deliver(&shard, &gateway); /* the gateway thinks it is up */
    msg_encode(&gateway.out, &ping);
    deliver(&gateway, &shard);
    assert_int_equal(shard.last, -EACCES);
}

static void a_shard_without_a_secret_is_not_believed(void **state)
{
    struct msg ping = {.type = MSG_PING};

    (void)state;
    begin("secret", "");
    deliver(&gateway, &shard);
    assert_int_equal(shard.last, HANDSHAKE_DONE);
    msg_encode(&shard.out, &ping);
    deliver(&shard, &gateway);
    assert_int_equal(gateway.last, -EACCES);
}

/* The gateway's own proof sent back does not pass as the shard's: the label differs. */
static void a_mac_cannot_be_reflected(void **state)
{
    (void)state;
    begin("secret", "secret");
    deliver(&gateway, &shard);
    deliver(&shard, &gateway);
    deliver(&gateway, &gateway);
    assert_int_equal(gateway.last, -EACCES);
}

/* A recorded gateway side is useless against another nonce. */
static void a_recording_cannot_be_replayed(void **state)
{
    uint8_t nonce[HANDSHAKE_NONCE_LEN];
    AUTO_BUF recorded = BUF_INIT;

    (void)state;
    begin("secret", "secret");
    buf_put_slice(&recorded, buf_slice(&gateway.out));
    deliver(&gateway, &shard);
    deliver(&shard, &gateway);
    buf_put_slice(&recorded, buf_slice(&gateway.out));

    memset(nonce, 3, sizeof(nonce));
    handshake_start(&shard.h, &shard.config, nonce, &shard.out);
    buf_clear(&gateway.out);
    buf_put_slice(&gateway.out, buf_slice(&recorded));
    deliver(&gateway, &shard);
    assert_int_equal(shard.last, -EACCES);
}

static void malformed_hellos_are_refused(void **state)
{
    static char long_name[HANDSHAKE_NODE_MAX + 2];
    static const char nonce_other[HANDSHAKE_NONCE_LEN] = "another nonce of thirty-two byte";
    struct {
        const char *name;
        struct msg_HELLO hello;
        int want;
    } cases[] = {
        {"version too new",
         {LINK_VERSION + 2, 0, 1, SLICE_LIT("g"), slice_of(nonce_other, 32)},
         -EPROTONOSUPPORT},
        {"next version is fine",
         {LINK_VERSION + 1, 0, 1, SLICE_LIT("g"), slice_of(nonce_other, 32)},
         0},
        {"two shards",
         {LINK_VERSION, 1, 1, SLICE_LIT("g"), slice_of(nonce_other, 32)},
         -EPROTO},
        {"short nonce",
         {LINK_VERSION, 0, 1, SLICE_LIT("g"), slice_of(nonce_other, 31)},
         -EPROTO},
        {"no name", {LINK_VERSION, 0, 1, SLICE_LIT(""), slice_of(nonce_other, 32)}, -EPROTO},
        {"NUL in name",
         {LINK_VERSION, 0, 1, slice_of("a\0b", 3), slice_of(nonce_other, 32)},
         -EPROTO},
        {"long name",
         {LINK_VERSION, 0, 1, slice_of(long_name, HANDSHAKE_NODE_MAX + 1),
          slice_of(nonce_other, 32)},
         -EPROTO},
    };

    (void)state;
    memset(long_name, 'x', sizeof(long_name));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct msg msg = {.type = MSG_HELLO};

        begin("secret", "secret");
        msg.HELLO = cases[i].hello;
        CHECK_EQ(handshake_feed(&shard.h, &msg, &shard.out), cases[i].want, cases[i].name);
        CHECK_EQ(shard.h.state == HANDSHAKE_FAILED, cases[i].want < 0, cases[i].name);
    }
}

static void messages_out_of_turn_are_refused(void **state)
{
    struct msg auth = {.type = MSG_AUTH};
    struct msg hello = {.type = MSG_HELLO};

    (void)state;
    begin("secret", "secret");
    assert_int_equal(handshake_feed(&shard.h, &auth, &shard.out), -EPROTO);

    begin("secret", "secret");
    deliver(&gateway, &shard);
    assert_int_equal(handshake_feed(&shard.h, &hello, &shard.out), -EACCES);
    assert_int_equal(handshake_feed(&shard.h, &hello, &shard.out),
                     -EPROTO); /* failed stays failed */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(both_ends_come_up_with_the_same_secret, teardown),
        cmocka_unit_test_teardown(without_a_secret_two_hellos_do, teardown),
        cmocka_unit_test_teardown(a_wrong_secret_is_refused_before_the_shard_proves_anything,
                                  teardown),
        cmocka_unit_test_teardown(a_gateway_without_a_secret_gets_nowhere, teardown),
        cmocka_unit_test_teardown(a_shard_without_a_secret_is_not_believed, teardown),
        cmocka_unit_test_teardown(a_mac_cannot_be_reflected, teardown),
        cmocka_unit_test_teardown(a_recording_cannot_be_replayed, teardown),
        cmocka_unit_test_teardown(malformed_hellos_are_refused, teardown),
        cmocka_unit_test_teardown(messages_out_of_turn_are_refused, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
