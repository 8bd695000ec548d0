/*
 * test_moves.c - a shard that hands its rooms over (moves.h): what it serves
 * until then, in which order they go and how many at a time.
 */
#include "common/base/limits.h"
#include "common/cluster/ring.h"
#include "shard/host/room_host.h"
#include "shard/limits.h"
#include "tests/unit/shard/host/fixture.h"

/* ann in g, bob in c. */
static void begin(struct fx *fx)
{
    fx_init(fx);
    fx->gates[0].hides_presence = true;
    FX_ATTACH(&fx->gates[0], .number = 1, .room = "g", .user = "ann");
    FX_ATTACH(&fx->gates[0], .number = 2, .room = "c", .user = "bob");
    fake_env_advance(&fx->fake, PRESENCE_SETTLE_MS + 100);
    fx_forget(&fx->gates[0]);
    fx_forget(&fx->gates[1]);
}

static void one_at_a_time(struct fx *fx)
{
    struct move_queue *queue = &fx->host->moves.queue;

    queue->least = queue->most = queue->n_places = 1;
}

static void until_its_turn_a_room_is_served_as_before(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    fx_drain(&fx);
    fx_say(g, 1, 1, "still here", NULL);
    FX_ATTACH(g, .number = 3, .room = "g", .user = "bob", .flags = ATTACH_REATTACH);
    fx_call(g, CALL_MEMBERS_LIST, "g", "bob", "", "{}");
    fake_env_advance(&fx.fake, MOVE_GRACE_MS - 20);
    assert_true(fx_got(g, "event 1 {message seq=1 userId=ann content=still here}"));
    assert_true(fx_got(g, "to 1 done=1 {ack seq=1"));
    assert_true(fx_got(g, "attached 3 "));
    assert_true(fx_got(g, "reply 1 200 "));
    assert_false(fx_got(g, "moved"));
    assert_int_equal(fx.metrics.rooms_to_move, 2);
    /* What is not in memory is not ours. */
    fx_forget(g);
    FX_ATTACH(g, .number = 4, .room = "pub", .user = "ann");
    fx_call(g, CALL_ROOM_GET, "pub", "ann", "", "{}");
    fx_expect(g, "moved room/p/pub\nreply 2 421 \n", "not in memory");

    fake_env_advance(&fx.fake, 100);
    assert_true(fx_got(g, "moved room/p/g\n"));
    assert_true(fx_got(g, "moved room/p/c\n"));
    assert_true(host_is_empty(fx.host));
    assert_int_equal(fx.metrics.rooms_to_move, 0);
    fx_deinit(&fx);
}

static void the_busiest_room_goes_first(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    for (unsigned busy = 1; busy <= 2; busy++) {
        begin(&fx);
        for (unsigned n = 1; n <= 5; n++)
            fx_say(g, busy, n, "x", NULL);
        fx_run(&fx);
        fx_drain(&fx);
        fx_forget(g);
        fake_env_advance(&fx.fake, MOVE_GRACE_MS + 100);
        fx_expect(g,
                  busy == 1 ? "moved room/p/g\nmoved room/p/c\n"
                            : "moved room/p/c\nmoved room/p/g\n",
                  "order");
        fx_deinit(&fx);
    }
}

/* So many rooms that one place is enough for all but the last. */
static void the_next_room_waits_until_one_has_arrived(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    one_at_a_time(&fx);
    fx_say(g, 1, 1, "x", NULL);
    fx_run(&fx);
    fx_drain(&fx);
    fx_forget(g);
    fake_env_advance(&fx.fake, MOVE_GRACE_MS + 100);
    fx_expect(g, "moved room/p/g\n", "one");
    assert_int_equal(fx.metrics.rooms_moving, 1);
    assert_int_equal(fx.metrics.rooms_to_move, 1);
    fx_say(g, 2, 1, "still served", NULL);
    fx_run(&fx);
    assert_false(fx_got(g, "moved"));
    fx_forget(g);

    fx_arrived(g);
    fx_run(&fx);
    fx_expect(g, "moved room/p/c\n", "the other");
    fx_arrived(g);
    fx_arrived(g);
    assert_int_equal(fx.metrics.rooms_moving, 0);
    assert_true(fx.metrics.move_us.sum >= 100000);
    assert_int_equal(fx.metrics.moves_silent, 0);
    fx_deinit(&fx);
}

static void a_new_owner_that_is_dead_holds_nobody_back_for_long(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    one_at_a_time(&fx);
    fx_drain(&fx);
    fake_env_advance(&fx.fake, MOVE_GRACE_MS + 2 * MOVE_ARRIVE_MS + 100);
    assert_int_equal(fx_count(g, "moved"), 2);
    assert_int_equal(fx.metrics.moves_silent, 2);
    fx_deinit(&fx);
}

static void slow_arrivals_make_fewer_go_at_a_time(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];
    struct move_queue *queue;

    (void)state;
    begin(&fx);
    queue = &fx.host->moves.queue;
    one_at_a_time(&fx);
    queue->most = 8;
    fx_drain(&fx);
    fake_env_advance(&fx.fake, MOVE_GRACE_MS + 1);
    fx_arrived(g);
    assert_int_equal(queue->n_places, 2);
    fx_run(&fx);
    fake_env_advance(&fx.fake, MOVE_SLOW_MS + 1);
    fx_arrived(g);
    assert_int_equal(queue->n_places, 1);
    fx_set_ring(&fx, true); /* the next time nothing is known of it */
    queue->n_places = 8;
    fx_drain(&fx);
    assert_int_equal(queue->n_places, 1);
    fx_deinit(&fx);
}

static void rooms_without_sockets_need_no_answer(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    one_at_a_time(&fx);
    fx_detach(g, 1);
    fx_detach(g, 2);
    fx_drain(&fx);
    fake_env_advance(&fx.fake, MOVE_GRACE_MS + 20);
    assert_true(host_is_empty(fx.host));
    assert_int_equal(fx.metrics.rooms_moving, 0);
    fx_deinit(&fx);
}

static void a_ring_that_gives_them_back_keeps_them(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    fx_drain(&fx);
    fx_run(&fx);
    fx_set_ring(&fx, true);
    assert_int_equal(fx.metrics.rooms_to_move, 0);
    fake_env_advance(&fx.fake, 2 * MOVE_GRACE_MS);
    assert_false(fx_got(g, "moved"));
    assert_false(host_is_empty(fx.host));
    fx_deinit(&fx);
}

/* Evicted: the gateways are gone to others already. */
static void a_shard_that_is_off_the_ring_lets_everything_go_at_once(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    fx_drain(&fx);
    fx_set_ring(&fx, false);
    assert_int_equal(fx_count(g, "moved"), 2);
    assert_int_equal(fx.metrics.rooms_to_move, 0);
    assert_true(host_is_empty(fx.host));
    fx_deinit(&fx);
}

/* A socket or call that comes while the last batch is in flight is told with the others. */
static void who_comes_while_a_room_leaves_is_told_when_it_has_left(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    fx_drain(&fx);
    fake_env_advance(&fx.fake, MOVE_GRACE_MS - 1);
    fx.server.latency_min_ms = fx.server.latency_max_ms = 30;
    fx_say(g, 1, 1, "the last", NULL);
    fake_env_run(&fx.fake);
    fake_env_advance(&fx.fake, 5);
    fx_forget(g);
    FX_ATTACH(&fx.gates[1], .number = 1, .room = "g", .user = "bob");
    fx_call(g, CALL_ROOM_GET, "g", "ann", "", "{}");
    fx_expect(&fx.gates[1], "", "not yet");
    fake_env_advance(&fx.fake, 150);
    assert_true(fx_got(g, "event 1 {message seq=1 userId=ann content=the last}"));
    assert_true(fx_got(g, "reply 1 421"));
    fx_expect(&fx.gates[1], "moved room/p/g\n", "with the others");
    fx_deinit(&fx);
}

/* A ring of us and shard-2 (incarnation of the latter). */
static void set_both(struct fx *fx, uint64_t incarnation)
{
    const struct ring_member members[2] = {{.id = SLICE_LIT("shard-1"),
                                            .address = SLICE_LIT("127.0.0.1:1"),
                                            .incarnation = FX_INCARNATION,
                                            .weight = 1},
                                           {.id = SLICE_LIT("shard-2"),
                                            .address = SLICE_LIT("127.0.0.1:2"),
                                            .incarnation = incarnation,
                                            .weight = 1}};
    struct ring *ring, *old = fx->ring;

    assert_int_equal(ring_new(ring_identity(old).epoch + 1, members, 2, &ring), 0);
    host_set_ring(fx->host, ring);
    fx->ring = ring;
    ring_unref(old);
}

/* What only its owner may think of by itself waits until the last one must have let go. */
static void a_room_that_has_just_come_may_be_elsewhere(void **state)
{
    const struct slice object = SLICE_LIT("room/p/x");
    struct fx fx;
    const struct moves *moves;

    (void)state;
    begin(&fx);
    moves = &fx.host->moves;
    assert_false(moves_may_be_elsewhere(moves, object)); /* alone */
    fx_drain(&fx);                                       /* shard-2 has everything */
    set_both(&fx, FX_INCARNATION + 1);
    for (char name = 'a'; name <= 'z'; name++) {
        char text[] = "room/p/x";

        text[7] = name;
        if (host_owns(fx.host, slice_str(text)))
            assert_true(moves_may_be_elsewhere(moves, slice_str(text)));
    }
    fake_env_advance(&fx.fake, HANDOVER_MS);
    assert_false(moves_may_be_elsewhere(moves, object));

    fx_drain(&fx);
    set_both(&fx, FX_INCARNATION + 2); /* another process of that name has nothing */
    assert_false(moves_may_be_elsewhere(moves, object));
    fx_deinit(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(until_its_turn_a_room_is_served_as_before),
        cmocka_unit_test(the_busiest_room_goes_first),
        cmocka_unit_test(the_next_room_waits_until_one_has_arrived),
        cmocka_unit_test(a_new_owner_that_is_dead_holds_nobody_back_for_long),
        cmocka_unit_test(slow_arrivals_make_fewer_go_at_a_time),
        cmocka_unit_test(rooms_without_sockets_need_no_answer),
        cmocka_unit_test(a_ring_that_gives_them_back_keeps_them),
        cmocka_unit_test(a_shard_that_is_off_the_ring_lets_everything_go_at_once),
        cmocka_unit_test(who_comes_while_a_room_leaves_is_told_when_it_has_left),
        cmocka_unit_test(a_room_that_has_just_come_may_be_elsewhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
