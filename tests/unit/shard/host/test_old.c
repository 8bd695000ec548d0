/* test_old.c - clients without a cursor that come back: the snapshot reaches to where they
 * were, what has changed since follows it, then the live feed, without a seam. */
#include "tests/unit/shard/host/fixture.h"

#include <stdlib.h>

#include "shard/host/attach.h"

static struct fx fx;
static struct fx_gate *a, *b;

static int setup(void **state)
{
    (void)state;
    fx_init(&fx);
    a = &fx.gates[0];
    b = &fx.gates[1];
    /* Who talks: native, so that nothing is remembered of her. */
    FX_ATTACH(a, .number = 1, .room = "g", .user = "ann", .flags = ATTACH_NATIVE);
    fx_run(&fx);
    fx_forget(a);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fx_deinit(&fx);
    return 0;
}

static void leave(struct fx_gate *g, uint64_t number, uint32_t doubt_ms, uint64_t cursor)
{
    struct msg_DETACH msg = {.attach = number,
                             .project = SLICE_LIT("p"),
                             .room = SLICE_LIT("g"),
                             .user = SLICE_LIT("bob"),
                             .is_old = 1,
                             .doubt_ms = doubt_ms,
                             .cursor = cursor};

    attach_on_detach(g->gate, &msg);
    fx_run(&fx);
    fx_forget(g);
}

static uint64_t said; /* frames of attach 1 */

/* Messages "<from>" to "<to>". */
static void talk(unsigned from, unsigned to)
{
    char text[16];

    for (unsigned i = from; i <= to; i++) {
        (void)snprintf(text, sizeof(text), "%u", i);
        fx_say(a, 1, ++said, text, NULL);
    }
    fx_run(&fx);
    fx_forget(a);
    fx_forget(b);
}

static void expect_line(const struct fx_gate *g, const char *text)
{
    if (!fx_got(g, text))
        fail_msg("no %s in\n%.*s", text, (int)g->log.len, g->log.data);
}

/* more: further members of the frame. */
static void send_change(const char *type, uint64_t seq, const char *more)
{
    char json[200];
    int64_t id = 0;
    size_t n;
    struct entry *const *all = sim_room_entries(fx_row(&fx, "g"), &n);

    for (size_t i = 0; i < n; i++) {
        if (all[i] && all[i]->seq == seq)
            id = all[i]->id;
    }
    (void)snprintf(json, sizeof(json), "{\"type\":\"%s\",\"messageId\":%lld,%s}", type,
                   (long long)id, more);
    fx_frame(a, 1, ++said, 0, json);
}

static void change(const char *type, uint64_t seq)
{
    send_change(type, seq, "\"content\":\"new\"");
    fx_run(&fx);
    expect_line(a, "{ack");
    fx_forget(a);
    fx_forget(b);
}

static void enter(struct fx_gate *g, uint64_t number, uint32_t flags)
{
    FX_ATTACH(g, .number = number, .room = "g", .user = "bob", .limit = 2, .flags = flags);
    fx_run(&fx);
}

static void pass(uint64_t ms)
{
    fake_env_advance(&fx.fake, ms);
    fx_forget(a);
    fx_forget(b);
}

/* Bob was in the room for its first n messages, and has left in order. */
static void was_here(unsigned n)
{
    said = 0;
    talk(1, n);
    enter(b, 5, 0);
    pass(10000);
    leave(b, 5, OLD_CLIENT_CLOSED_DOUBT_MS, n);
}

static void after_a_clean_close_all_that_was_missed_comes(void **state)
{
    (void)state;
    was_here(3);
    talk(4, 6);
    change("edit", 1);
    change("delete", 2);
    enter(b, 6, 0);
    fx_expect(b, "to 6 cur=3 {history hasMore=1 currentSeq=8 [4 5 6]}\npaged 6\n", "snapshot");
    fx_more(b, 6);
    fx_run(&fx);
    fx_expect(b,
              "to 6 {edit seq=7 userId=ann content=new}\n"
              "to 6 {message_updated seq=7 userId=ann content=new}\n"
              "to 6 {delete seq=8 userId=ann}\n"
              "to 6 {message_deleted seq=8 userId=ann}\n"
              "to 6 cur=8 {subscription_succeeded currentSeq=8 subscriptionCount=2}\n"
              "attached 6 @8\n",
              "changes");
    assert_int_equal(fx.metrics.reach_returns, 1);
}

static void what_comes_meanwhile_follows_without_a_seam(void **state)
{
    (void)state;
    was_here(2);
    talk(3, 4);
    enter(b, 6, 0);
    fx_expect(b, "to 6 cur=2 {history hasMore=1 currentSeq=4 [3 4]}\npaged 6\n", "snapshot");
    talk(5, 5);        /* seq 5: not in the snapshot */
    change("edit", 3); /* seq 6: in the snapshot, and changed behind it */
    change("edit", 5); /* seq 7 */
    fx_more(b, 6);
    fx_run(&fx);
    fx_expect(b,
              "to 6 {edit seq=6 userId=ann content=new}\n"
              "to 6 {message_updated seq=6 userId=ann content=new}\n"
              "to 6 {message seq=5 userId=ann content=new}\n"
              "to 6 cur=7 {subscription_succeeded currentSeq=7 subscriptionCount=2}\n"
              "attached 6 @7\n",
              "the rest");
    fx_say(a, 1, ++said, "6", NULL);
    fx_run(&fx);
    assert_true(fx_got(b, "event 8 {message seq=8"));
}

static void what_was_sent_last_may_not_have_arrived(void **state)
{
    (void)state;
    said = 0;
    enter(b, 5, 0);
    pass(1000);
    talk(1, 2);
    pass(30000);
    talk(3, 4);
    pass(55000);
    talk(5, 6); /* 1 and 2 are older than 80 s */
    leave(b, 5, OLD_CLIENT_DOUBT_MS, 6);
    enter(b, 6, 0);
    expect_line(b, "currentSeq=6 [3 4 5 6]");
}

/* Its snapshot may have been lost with it. */
static void who_was_here_for_a_moment_only_knows_what_it_knew_before(void **state)
{
    (void)state;
    was_here(3);
    talk(4, 7);
    enter(b, 6, 0);
    fx_more(b, 6);
    pass(1000);
    leave(b, 6, OLD_CLIENT_DOUBT_MS, 7);
    enter(b, 7, 0);
    expect_line(b, "currentSeq=7 [4 5 6 7]");
}

/* The broken link says that a gateway is gone; its client is at the next one at once. */
static void a_dead_gateways_client_may_come_before_its_ghost_is_over(void **state)
{
    (void)state;
    said = 0;
    talk(1, 2);
    enter(b, 5, 0);
    pass(45000);
    talk(3, 4);
    pass(45000);
    fx_link_down(b);
    talk(5, 6);
    enter(&fx.gates[2], 1, 0);
    expect_line(&fx.gates[2], "currentSeq=6 [3 4 5 6]");
    fx_more(&fx.gates[2], 1);
    pass(PRESENCE_HOLD_MS + 1000);
    fx_link_up(b);
}

/* It changed its network: nobody has noticed yet that the old socket is dead. */
static void a_new_socket_beside_one_that_is_not_known_to_be_dead(void **state)
{
    (void)state;
    said = 0;
    enter(b, 5, 0);
    pass(1000);
    talk(1, 4);
    enter(b, 6, 0);
    expect_line(b, "currentSeq=4 [1 2 3 4]");
}

static void a_room_that_slept_in_between(void **state)
{
    (void)state;
    said = 0;
    talk(1, 2);
    enter(b, 5, 0);
    pass(24000);
    talk(3, 3);
    pass(70000);
    assert_int_equal(fx.metrics.sleeps, 1);
    leave(b, 5, OLD_CLIENT_DOUBT_MS, 3); /* 3 is less than 80 s older than its sleep */
    FX_ATTACH(a, .number = 1, .room = "g", .user = "ann",
              .flags = ATTACH_NATIVE | ATTACH_REATTACH, .last_seq = 3);
    fx_run(&fx);
    talk(4, 6);
    enter(b, 6, 0);
    expect_line(b, "currentSeq=6 [3 4 5 6]");
}

/* A shard that takes a room over knows from its newest messages when it was at which number. */
static void a_room_that_moved_while_the_socket_stayed(void **state)
{
    (void)state;
    said = 0;
    talk(1, 2);
    enter(b, 5, 0);
    pass(30000);
    talk(3, 3);
    pass(40000);
    talk(4, 4);
    fx_set_ring(&fx, false);
    fx_run(&fx);
    fx_set_ring(&fx, true);
    fx_run(&fx);
    FX_ATTACH(a, .number = 1, .room = "g", .user = "ann",
              .flags = ATTACH_NATIVE | ATTACH_REATTACH, .last_seq = 4);
    FX_ATTACH(b, .number = 5, .room = "g", .user = "bob", .flags = ATTACH_REATTACH,
              .last_seq = 4);
    pass(25000);
    leave(b, 5, OLD_CLIENT_DOUBT_MS, 4);
    talk(5, 6);
    enter(b, 6, 0);
    expect_line(b, "currentSeq=6 [3 4 5 6]");
}

/* Its link broke between two pages: it begins again, and with a snapshot. */
static void a_catch_up_that_was_cut_begins_again(void **state)
{
    (void)state;
    said = 0;
    talk(1, 5);
    change("edit", 2);
    FX_ATTACH(b, .number = 5, .room = "g", .user = "bob", .limit = 2, .last_seq = 1,
              .flags = ATTACH_HAS_SEQ | ATTACH_CUT);
    fx_run(&fx);
    fx_expect(b, "to 5 cur=1 {history hasMore=1 currentSeq=6 [new 3 4 5]}\npaged 5\n", "cut");
    fx_more(b, 5);
    fx_run(&fx);
    assert_true(fx_got(b, "to 5 {edit seq=6"));
    fx_forget(b);
    FX_ATTACH(b, .number = 6, .room = "g", .user = "cid", .last_seq = 5,
              .flags = ATTACH_HAS_SEQ);
    fx_run(&fx);
    assert_true(fx_got(b, "to 6 cur=6 {replay")); /* a cursor of its own */
}

/* Should it be cut, its gateway must know that the client has a snapshot already. */
static void the_snapshot_of_one_who_had_nothing_has_a_cursor(void **state)
{
    (void)state;
    said = 0;
    enter(b, 5, 0);
    pass(1000);
    talk(1, 3);
    enter(b, 6, 0);
    expect_line(b, "to 6 cur=1 {history");
}

static void deeper_than_memory_and_page_by_page(void **state)
{
    char text[16];

    (void)state;
    was_here(1);
    for (unsigned i = 0; i < 5; i++) { /* 250 messages, at 60 a minute; the tail holds 8 */
        talk(2 + i * 50, 51 + i * 50);
        pass(50000);
    }
    change("edit", 1);
    enter(b, 6, 0);
    (void)snprintf(text, sizeof(text), " 251]");
    assert_true(fx_got(b, "{history hasMore=1 currentSeq=252 [2 3 4 "));
    assert_true(fx_got(b, text));
    for (unsigned pages = 0; fx_got(b, "paged 6"); pages++) {
        assert_true(pages < 4);
        fx_forget(b);
        fx_more(b, 6);
        fx_run(&fx);
    }
    assert_true(fx_got(b, "to 6 {edit seq=252"));
    assert_int_equal(fx_count(b, "{message seq"), 0);
    assert_true(fx_got(b, "attached 6 @252"));
}

/* A snapshot from the store already counts a reaction whose commit has not been answered: live,
 * it would be counted once more. */
static void the_snapshot_is_ahead_of_what_we_know_to_be_committed(void **state)
{
    (void)state;
    was_here(1);
    talk(2, 12); /* the tail holds 8 */
    fx.server.latency_min_ms = fx.server.latency_max_ms = 100;
    sim_server_script(&fx.server, SIM_UNKNOWN_NOW);
    send_change("reaction", 10, "\"emoji\":\"ok\",\"op\":\"add\"");
    for (unsigned i = 0; i < 100 && sim_room_row(fx_row(&fx, "g"))->last_seq < 13; i++)
        fake_env_advance(&fx.fake, 10);
    FX_ATTACH(b, .number = 6, .room = "g", .user = "bob", .limit = 2);
    for (unsigned i = 0; i < 100 && !fx_got(b, "paged 6"); i++)
        fake_env_advance(&fx.fake, 10);
    assert_false(fx_got(a, "{reaction seq=13"));
    fx_expect(b,
              "to 6 cur=1 {history hasMore=1 currentSeq=13 [2 3 4 5 6 7 8 9 10 11 12]}\n"
              "paged 6\n",
              "snapshot");
    fx_more(b, 6);
    fake_env_advance(&fx.fake, 10);
    fx_expect(b, "", "nothing yet");
    for (unsigned i = 0; i < 500 && !fx_got(b, "attached 6"); i++)
        fake_env_advance(&fx.fake, 10);
    assert_true(fx_got(a, "{reaction seq=13"));
    expect_line(b, "{edit seq=13");
    assert_true(fx_got(b, "attached 6 @13"));
    assert_int_equal(fx_count(b, "{reaction seq=13"), 1);
}

static void whispers_to_others_are_left_out(void **state)
{
    (void)state;
    was_here(1);
    fx_frame(a, 1, ++said, 0,
             "{\"type\":\"message\",\"content\":\"psst\",\"visibility\":\"whisper\","
             "\"visibleTo\":[\"cid\"]}");
    fx_run(&fx);
    change("edit", 2);
    talk(2, 4);
    enter(b, 6, 0);
    fx_expect(b, "to 6 cur=1 {history hasMore=1 currentSeq=6 [2 3 4]}\npaged 6\n", "snapshot");
    fx_more(b, 6);
    fx_run(&fx);
    assert_false(fx_got(b, "{edit"));
    assert_true(fx_got(b, "attached 6 @6"));
}

static void a_message_whose_time_is_over_is_told_as_such(void **state)
{
    (void)state;
    said = 0;
    fx_frame(a, 1, ++said, 0,
             "{\"type\":\"message\",\"content\":\"brief\",\"expiresInSeconds\":60}");
    fx_run(&fx);
    enter(b, 5, 0);
    pass(10000);
    leave(b, 5, OLD_CLIENT_CLOSED_DOUBT_MS, 1);
    pass(58000);
    talk(1, 3);
    enter(b, 6, 0);
    fx_more(b, 6);
    fx_run(&fx);
    assert_true(fx_got(b, "[1 2 3]"));
    assert_true(fx_got(b, "{message_expired"));
    assert_true(fx_got(b, "{delete seq=2"));
    assert_false(fx_got(b, "{message_deleted"));
}

/* Who keeps a cursor, wants no snapshot, or has missed nothing. */
static void others_get_what_they_ask_for(void **state)
{
    (void)state;
    said = 0;
    talk(1, 3);
    enter(b, 5, ATTACH_NATIVE);
    pass(10000);
    leave(b, 5, OLD_CLIENT_CLOSED_DOUBT_MS, 3);
    assert_int_equal(fx.host->reaches.notes.count, 0);
    enter(b, 6, 0);
    pass(10000);
    leave(b, 6, OLD_CLIENT_CLOSED_DOUBT_MS, 3);
    assert_int_equal(fx.host->reaches.notes.count, 1);
    enter(b, 7, 0);
    assert_true(fx_got(b, "to 7 cur=3 {history hasMore=1 currentSeq=3 [2 3]}\n"));
    assert_true(fx_got(b, "attached 7 @3"));
    pass(10000);
    leave(b, 7, OLD_CLIENT_CLOSED_DOUBT_MS, 3);
    talk(4, 7);
    enter(b, 8, ATTACH_NO_REPLAY);
    assert_true(fx_got(b, "attached 8 @7"));
    leave(b, 8, OLD_CLIENT_CLOSED_DOUBT_MS, 7);
    pass(REACH_KEEP_MS + 70000); /* nobody waits for that long */
    assert_int_equal(fx.host->reaches.notes.count, 0);
    enter(b, 9, 0);
    assert_true(fx_got(b, "[6 7]"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(after_a_clean_close_all_that_was_missed_comes),
        TEST(what_comes_meanwhile_follows_without_a_seam),
        TEST(what_was_sent_last_may_not_have_arrived),
        TEST(who_was_here_for_a_moment_only_knows_what_it_knew_before),
        TEST(a_dead_gateways_client_may_come_before_its_ghost_is_over),
        TEST(a_new_socket_beside_one_that_is_not_known_to_be_dead),
        TEST(a_room_that_slept_in_between),
        TEST(a_room_that_moved_while_the_socket_stayed),
        TEST(a_catch_up_that_was_cut_begins_again),
        TEST(the_snapshot_of_one_who_had_nothing_has_a_cursor),
        TEST(deeper_than_memory_and_page_by_page),
        TEST(the_snapshot_is_ahead_of_what_we_know_to_be_committed),
        TEST(whispers_to_others_are_left_out),
        TEST(a_message_whose_time_is_over_is_told_as_such),
        TEST(others_get_what_they_ask_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
