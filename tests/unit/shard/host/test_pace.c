/* test_pace.c - catch-ups of many sockets that come at once (pace.h). */
#include "common/base/limits.h"
#include "shard/limits.h"
#include "tests/unit/shard/host/fixture.h"

enum { MESSAGES = 6, MESSAGE_BYTES = 3900, SNAPSHOT_BYTES = MESSAGES * MESSAGE_BYTES };
/* So many snapshots fit, with one that goes over. */
enum {
    IN_TURN = PACE_TURN_BYTES / (SNAPSHOT_BYTES + PACE_STEP_BYTES) + 1,
    ON_LINK = PACE_LINK_BYTES / SNAPSHOT_BYTES + 1,
    MANY = 40
};

/* A room with some long messages; ann is in it by the first gateway. */
static void begin(struct fx *fx)
{
    static char content[MESSAGE_BYTES + 1];

    fx_init(fx);
    memset(content, 'x', MESSAGE_BYTES);
    for (size_t i = 0; i < ARRAY_LEN(fx->gates); i++)
        fx->gates[i].hides_presence = true;
    FX_ATTACH(&fx->gates[0], .number = 1, .room = "g", .user = "ann");
    for (uint64_t i = 1; i <= MESSAGES; i++)
        fx_say(&fx->gates[0], 1, i, content, NULL);
    fake_env_advance(&fx->fake, PRESENCE_SETTLE_MS + 100);
    for (size_t i = 0; i < ARRAY_LEN(fx->gates); i++)
        fx_forget(&fx->gates[i]);
}

static void enter_many(struct fx_gate *g, uint64_t from, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        FX_ATTACH(g, .number = from + i, .room = "g", .user = "bob", .flags = ATTACH_NATIVE);
}

static void a_turn_gives_so_much_and_the_rest_follows(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    enter_many(g, 100, MANY);
    assert_in_range(fx_count(g, "attached 1"), IN_TURN - 1, IN_TURN + 1);
    assert_in_range(fx.metrics.catchups_paced, MANY - IN_TURN - 1, MANY - IN_TURN + 1);
    fx_run(&fx);
    assert_int_equal(fx_count(g, "attached 1"), MANY);
    FX_ATTACH(g, .number = 2, .room = "g", .user = "cid"); /* alone again: at once */
    assert_true(fx_got(g, "attached 2 "));
    fx_deinit(&fx);
}

static void a_gateway_that_does_not_read_gets_no_more(void **state)
{
    struct fx fx;
    struct fx_gate *slow = &fx.gates[0], *other = &fx.gates[1];
    size_t before;

    (void)state;
    begin(&fx);
    slow->is_reading_slowly = true;
    enter_many(slow, 100, MANY);
    fx_run(&fx);
    before = fx_count(slow, "attached 1");
    assert_in_range(before, ON_LINK - 1, ON_LINK + 1);
    fake_env_advance(&fx.fake, 1000);
    assert_int_equal(fx_count(slow, "attached 1"), before);
    FX_ATTACH(other, .number = 5, .room = "g", .user = "cid"); /* it is not held up */
    assert_true(fx_got(other, "attached 5 "));
    fx_pong(slow);
    fx_run(&fx);
    assert_in_range(fx_count(slow, "attached 1"), before + 1, before + ON_LINK);
    while (slow->pings > 0) {
        fx_pong(slow);
        fx_run(&fx);
    }
    assert_int_equal(fx_count(slow, "attached 1"), MANY);
    fx_deinit(&fx);
}

static void who_was_live_before_goes_first(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    g->is_reading_slowly = true;
    enter_many(g, 100, MANY);
    fx_run(&fx);
    fx_forget(g);
    FX_ATTACH(g, .number = 7, .room = "g", .user = "cid", .flags = ATTACH_REATTACH,
              .last_seq = MESSAGES);
    assert_false(fx_got(g, "attached 7 "));
    fx_pong(g);
    fake_env_run(&fx.fake);
    assert_true(fx_got(g, "attached 7 "));
    assert_true(fx_count(g, "attached 1") < MANY / 2);
    fx_deinit(&fx);
}

/* What is said in the room meanwhile reaches those who wait, once. */
static void who_waits_misses_nothing(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    g->is_reading_slowly = true;
    enter_many(g, 100, MANY);
    fx_say(g, 1, MESSAGES + 1, "meanwhile", NULL);
    fx_run(&fx);
    while (g->pings > 0) {
        fx_pong(g);
        fx_run(&fx);
    }
    assert_int_equal(fx_count(g, "attached 1"), MANY);
    assert_in_range(fx_count(g, "@6"), ON_LINK - 1, ON_LINK + 1); /* they got it live */
    assert_int_equal(fx_count(g, "@7"), MANY - fx_count(g, "@6"));
    assert_int_equal(fx_count(g, "event 7 "), 1);
    fx_deinit(&fx);
}

/* More pages of the store than are read at a time. */
static void readers_of_the_store_take_turns(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];
    enum { READERS = 3 * PACE_READS_MAX };

    (void)state;
    begin(&fx);
    for (uint64_t i = 1; i <= 12; i++)
        fx_say(g, 1, MESSAGES + i, "short", NULL); /* the long ones leave the tail */
    fx_run(&fx);
    fx_forget(g);
    for (uint64_t i = 0; i < READERS; i++)
        FX_ATTACH(g, .number = 100 + i, .room = "g", .user = "bob",
                  .flags = ATTACH_NATIVE | ATTACH_HAS_SEQ, .last_seq = MESSAGES - 1);
    assert_in_range(fx.metrics.catchups_paced, READERS - PACE_READS_MAX, READERS);
    for (uint64_t i = 0; i < READERS; i++)
        fx_run(&fx);
    assert_int_equal(fx_count(g, "attached 1"), READERS);
    fx_deinit(&fx);
}

static void a_link_that_breaks_and_sockets_that_go_leave_the_queue(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    g->is_reading_slowly = true;
    enter_many(g, 100, MANY);
    for (uint64_t i = 0; i < MANY; i += 2)
        fx_detach(g, 100 + i);
    fx_link_down(g);
    fx_run(&fx);
    fx_link_up(g);
    fx_forget(g);
    enter_many(g, 200, MANY);
    fx_run(&fx);
    assert_in_range(fx_count(g, "attached 2"), ON_LINK - 1, ON_LINK + 1);
    fx_deinit(&fx); /* with some who wait */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_turn_gives_so_much_and_the_rest_follows),
        cmocka_unit_test(a_gateway_that_does_not_read_gets_no_more),
        cmocka_unit_test(who_was_live_before_goes_first),
        cmocka_unit_test(who_waits_misses_nothing),
        cmocka_unit_test(readers_of_the_store_take_turns),
        cmocka_unit_test(a_link_that_breaks_and_sockets_that_go_leave_the_queue),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
