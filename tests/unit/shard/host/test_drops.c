/*
 * test_drops.c - another database server answers: rooms stop at once, and end over several
 * turns (drops.h).
 */
#include "shard/host/drops.h"

#include "common/base/limits.h"
#include "shard/host/room_host.h"
#include "shard/limits.h"
#include "tests/unit/shard/host/fixture.h"

#define ROOMS (3 * DROPS_PER_TURN)

static const char *name_of(size_t i)
{
    static char name[16];

    snprintf(name, sizeof(name), "many%zu", i);
    return name;
}

/* One socket in each of many rooms; numbers count from 1. */
static void begin(struct fx *fx)
{
    fx_init(fx);
    for (size_t i = 0; i < ROOMS; i++) {
        fx_create_room(fx, name_of(i), "group", true);
        FX_ATTACH(&fx->gates[0], .number = i + 1, .room = name_of(i), .user = "ann");
    }
    fake_env_advance(&fx->fake, PRESENCE_SETTLE_MS + 1000);
    assert_int_equal(fx->host->rooms.count, ROOMS);
    fx_forget(&fx->gates[0]);
}

/* ---- */

struct watch {
    struct fx *fx;
    struct timer timer;
    size_t before, most, turns; /* rooms that have ended in one turn */
};

static void on_turn(struct timer *timer, void *arg)
{
    struct watch *watch = arg;
    size_t now = watch->fx->host->rooms.count;

    watch->most = MAX(watch->most, watch->before - now);
    watch->turns += now < watch->before;
    watch->before = now;
    if (now > 0)
        assert_int_equal(env_timer(&watch->fx->fake.env, timer, 0), 0);
}

static void rooms_end_over_several_turns_and_are_claimed_anew(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];
    struct watch watch = {.fx = &fx, .before = ROOMS};

    (void)state;
    begin(&fx);
    host_store_replaced(fx.host);
    fx_expect(g, "gone 0\n", "nothing yet but that there is another server");
    assert_int_equal(fx.metrics.rooms_dropping, ROOMS);
    timer_init(&watch.timer, on_turn, &watch);
    assert_int_equal(env_timer(&fx.fake.env, &watch.timer, 0), 0);
    fake_env_run(&fx.fake);
    assert_true(host_is_empty(fx.host));
    assert_int_equal(fx_count(g, "moved room/p/many"), ROOMS);
    assert_in_range(watch.most, 1, DROPS_PER_TURN);
    assert_true(watch.turns >= ROOMS / DROPS_PER_TURN);
    assert_int_equal(fx.metrics.rooms_dropping, 0);
    assert_int_equal(fx.metrics.moves_store, ROOMS);
    fx_forget(g);
    FX_ATTACH(g, .number = 1, .room = name_of(0), .user = "ann", .flags = ATTACH_REATTACH);
    fx_run(&fx);
    assert_true(fx_got(g, "attached 1 @0"));
    fx_deinit(&fx);
}

static void the_room_that_was_used_last_ends_first(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];
    AUTO_BUF want = BUF_INIT;

    (void)state;
    begin(&fx);
    fx_say(g, 8, 1, "hello", NULL);
    fx_run(&fx);
    fx_forget(g);
    host_store_replaced(fx.host);
    fx_forget(g);
    fake_env_run(&fx.fake);
    buf_printf(&want, "moved room/p/%s\nmoved", name_of(7));
    buf_put(&want, "", 1);
    assert_memory_equal(g->log.data, want.data, want.len - 1);
    fx_deinit(&fx);
}

/* What is pushed, in a batch or not, is not answered: the gateway sends it again. */
static void nothing_is_acknowledged_any_more(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    fx_say(g, 1, 1, "in flight", "c1");
    fake_env_run(&fx.fake); /* the batch has left */
    fx_say(g, 1, 2, "behind it", "c2");
    fx_call(g, CALL_MESSAGE_POST, name_of(1), "bob", "", "{\"content\":\"posted\"}");
    host_store_replaced(fx.host);
    fx_say(g, 1, 3, "later", "c3");
    fx_call(g, CALL_MESSAGE_POST, name_of(2), "bob", "", "{\"content\":\"posted late\"}");
    FX_ATTACH(g, .number = ROOMS + 1, .room = name_of(3), .user = "bob");
    fx_run(&fx);
    assert_false(fx_got(g, "ack"));
    assert_false(fx_got(g, "event"));
    assert_false(fx_got(g, "attached"));
    assert_true(fx_got(g, "reply 1 421 "));
    assert_true(fx_got(g, "reply 2 421 "));
    assert_int_equal(fx_count(g, "moved room/p/many"), ROOMS);
    fx_forget(g);

    /* Whatever became of the first one: each is there once. */
    FX_ATTACH(g, .number = 1, .room = name_of(0), .user = "ann", .flags = ATTACH_REATTACH);
    fx_frame(g, 1, 1, FRAME_RESENT,
             "{\"type\":\"message\",\"content\":\"in flight\",\"clientMessageId\":\"c1\"}");
    fx_frame(g, 1, 2, FRAME_RESENT,
             "{\"type\":\"message\",\"content\":\"behind it\",\"clientMessageId\":\"c2\"}");
    fake_env_advance(&fx.fake, 500);
    assert_true(fx_got(g, "to 1 done=1 "));
    assert_true(fx_got(g, "to 1 done=2 "));
    assert_int_equal(fx_count(g, "content=in flight"), 1);
    assert_int_equal(fx_count(g, "content=behind it"), 1);
    fx_deinit(&fx);
}

/* Rooms that wait for their claim need not end: it will be of the new server. Those whose claim
 * is under way do, for nobody knows whose answer it will be. */
static void rooms_that_are_being_claimed(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    fx_init(&fx);
    for (size_t i = 0; i < CLAIMS_MAX + 1; i++) {
        fx_create_room(&fx, name_of(i), "group", true);
        FX_ATTACH(g, .number = i + 1, .room = name_of(i), .user = "ann");
    }
    host_store_replaced(fx.host);
    assert_int_equal(fx_count(g, "moved room/p/many"), CLAIMS_MAX);
    fake_env_advance(&fx.fake, PRESENCE_SETTLE_MS + 1000);
    assert_int_equal(fx_count(g, "attached "), 1);
    fx_deinit(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rooms_end_over_several_turns_and_are_claimed_anew),
        cmocka_unit_test(the_room_that_was_used_last_ends_first),
        cmocka_unit_test(nothing_is_acknowledged_any_more),
        cmocka_unit_test(rooms_that_are_being_claimed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
