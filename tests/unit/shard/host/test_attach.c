/* test_attach.c - sockets coming into rooms: who may, what they are given, in which order. */
#include "tests/unit/shard/host/fixture.h"

#include "common/wire/msg.h"

static void fresh_attach_to_an_empty_room(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    fx_init(&fx);
    g->hides_presence = false;
    FX_ATTACH(g, .number = 1, .room = "g", .user = "ann");
    fx_run(&fx);
    fx_expect(g,
              "wake g\n"
              "to 1 {history hasMore=0 currentSeq=0 []}\n"
              "to 1 {subscription_succeeded currentSeq=0 subscriptionCount=1}\n"
              "attached 1 @0\n"
              "ephemeral {presence online=1 users=1}\n"
              "ephemeral {subscription_count subscriptionCount=1}\n",
              "alone");
    fx_deinit(&fx);
}

static void the_others_are_told_of_the_first_socket_of_a_user(void **state)
{
    struct fx fx;
    struct fx_gate *a = &fx.gates[0], *b = &fx.gates[1];

    (void)state;
    fx_init(&fx);
    FX_ATTACH(a, .number = 1, .room = "g", .user = "ann", .flags = ATTACH_NO_REPLAY);
    fx_run(&fx);
    fx_forget(a);
    fx_forget(b);
    FX_ATTACH(b, .number = 1, .room = "g", .user = "bob", .flags = ATTACH_NO_REPLAY);
    fx_run(&fx);
    fx_expect(a, "ephemeral {member_joined userId=bob}\n", "the other");
    fx_expect(b,
              "to 1 {subscription_succeeded currentSeq=0 subscriptionCount=2}\n"
              "attached 1 @0\n",
              "the newcomer");
    FX_ATTACH(b, .number = 2, .room = "g", .user = "bob", .flags = ATTACH_NO_REPLAY);
    fx_run(&fx);
    fx_expect(a, "", "second socket");
    fx_forget(b);
    fx_detach(b, 1);
    fx_run(&fx);
    fx_expect(a, "", "first socket gone");
    fx_detach(b, 2);
    fx_run(&fx);
    fx_expect(a, "ephemeral {member_left userId=bob}\n", "last socket gone");
    fx_deinit(&fx);
}

static void refusals(void **state)
{
    static const struct {
        const char *name, *room, *user, *roles, *want;
    } rows[] = {
        {"stranger", "g", "zoe", "member", "close 1 1008 not_member\n"},
        {"unknown room", "nope", "ann", "member", "close 1 1008 not_member\n"},
        {"unknown room, project owner", "nope", "ann", "owner", "close 1 1008 not_member\n"},
        {"bad room id", "a b", "ann", "member", "close 1 1008 invalid_id\n"},
        {"stranger at announcements", "c", "zoe", "", "close 1 1008 not_member\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fx fx;
        struct fx_gate *g = &fx.gates[0];

        fx_init(&fx);
        FX_ATTACH(g, .number = 1, .room = rows[i].room, .user = rows[i].user,
                  .roles = rows[i].roles);
        fx_run(&fx);
        if (fx_got(g, "wake"))
            CHECK(fx_got(g, rows[i].want), rows[i].name);
        else
            fx_expect(g, rows[i].want, rows[i].name);
        CHECK_EQ(fx.metrics.attaches, 0, rows[i].name);
        fx_deinit(&fx);
    }
}

static void a_project_admin_enters_any_room(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    fx_init(&fx);
    FX_ATTACH(g, .number = 1, .room = "g", .user = "root", .roles = "member,admin");
    fx_run(&fx);
    assert_true(fx_got(g, "attached 1 @0\n"));
    assert_int_equal(sim_room_row(fx_row(&fx, "g"))->last_seq,
                     0); /* without becoming a member */
    fx_deinit(&fx);
}

static void a_public_room_makes_the_newcomer_a_member_first(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    fx_init(&fx);
    FX_ATTACH(g, .number = 1, .room = "pub", .user = "ann", .flags = ATTACH_NO_REPLAY);
    fx_run(&fx);
    fx_forget(g);
    /* Two sockets of one user at once: one membership entry. */
    FX_ATTACH(g, .number = 2, .room = "pub", .user = "zoe", .flags = ATTACH_NO_REPLAY);
    FX_ATTACH(g, .number = 3, .room = "pub", .user = "zoe", .flags = ATTACH_NO_REPLAY);
    fx_run(&fx);
    fx_expect(g,
              "event 1 native {membership seq=1 userId=zoe change=added}\n"
              "to 2 {subscription_succeeded currentSeq=1 subscriptionCount=2}\n"
              "attached 2 @1\n"
              "to 3 {subscription_succeeded currentSeq=1 subscriptionCount=3}\n"
              "attached 3 @1\n"
              "ephemeral except=2 {member_joined userId=zoe}\n",
              "joined");
    assert_int_equal(sim_room_row(fx_row(&fx, "pub"))->last_seq, 1);
    fx_deinit(&fx);
}

static void snapshot_forms(void **state)
{
    static const struct {
        const char *name;
        uint32_t flags, limit;
        const char *want;
    } rows[] = {
        {"history", 0, 2, "to 9 cur=3 {history hasMore=1 currentSeq=3 [two three]}\n"},
        {"replay", ATTACH_AS_REPLAY, 0,
         "to 9 cur=3 {replay hasMore=0 currentSeq=3 [one two three]}\n"},
        {"off", ATTACH_NO_REPLAY, 0, ""},
        {"cache first", ATTACH_CACHE, 1,
         "to 9 {cache_snapshot}\nto 9 cur=3 {history hasMore=1 currentSeq=3 [three]}\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fx fx;
        struct fx_gate *g = &fx.gates[0];
        AUTO_BUF want = BUF_INIT;

        fx_init(&fx);
        FX_ATTACH(g, .number = 1, .room = "g", .user = "ann");
        fx_run(&fx);
        fx_say(g, 1, 1, "one", NULL);
        fx_say(g, 1, 2, "two", NULL);
        fx_say(g, 1, 3, "three", NULL);
        fx_run(&fx);
        fx_forget(g);
        FX_ATTACH(g, .number = 9, .room = "g", .user = "bob", .flags = rows[i].flags,
                  .limit = rows[i].limit);
        fx_run(&fx);
        buf_printf(&want,
                   "%sto 9 {subscription_succeeded currentSeq=3 subscriptionCount=2}\n"
                   "attached 9 @3\n"
                   "ephemeral except=9 {member_joined userId=bob}\n",
                   rows[i].want);
        buf_put_char(&want, 0);
        fx_expect(g, want.data, rows[i].name);
        fx_deinit(&fx);
    }
}

/* Sends n messages "1", "2", ... as ann by attach 1 of the gate. */
static void a_snapshot_beyond_the_tail_comes_from_the_store_without_a_seam(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    fx_begin_talk(&fx, 12); /* the tail holds 8 */
    FX_ATTACH(g, .number = 2, .room = "g", .user = "bob", .limit = 10);
    fx_say(g, 1, 13, "13", NULL); /* commits while the page is read */
    fx_run(&fx);
    assert_true(fx_got(g, "event 13 {message seq=13 userId=ann content=13}\n"));
    if (fx_got(g, "[3 4 5 6 7 8 9 10 11 12]"))
        assert_true(fx_got(g, "attached 2 @12\n"));
    else
        assert_true(fx_got(g, "[4 5 6 7 8 9 10 11 12 13]") && fx_got(g, "attached 2 @13\n"));
    fx_deinit(&fx);
}

static void a_cursor_is_replayed_page_by_page(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    fx_begin_talk(&fx, 5);
    FX_ATTACH(g, .number = 2, .room = "g", .user = "bob", .last_seq = 3,
              .flags = ATTACH_HAS_SEQ);
    fx_run(&fx);
    fx_expect(
        g,
        "to 2 cur=5 {replay more=0 reset=0 fromSeq=3 toSeq=5 currentSeq=5 events=2 [4 5]}\n"
        "to 2 {subscription_succeeded currentSeq=5 subscriptionCount=2}\n"
        "attached 2 @5\n"
        "ephemeral except=2 {member_joined userId=bob}\n",
        "from the tail");
    FX_ATTACH(g, .number = 3, .room = "g", .user = "cid", .last_seq = 5, .generation = "g1",
              .flags = ATTACH_HAS_SEQ);
    fx_run(&fx);
    assert_true(fx_got(
        g, "to 3 cur=5 {replay more=0 reset=0 fromSeq=5 toSeq=5 currentSeq=5 events=0 []}\n"));
    fx_deinit(&fx);
}

static void a_long_catch_up_waits_for_the_socket(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    fx_init(&fx);
    FX_ATTACH(g, .number = 1, .room = "g", .user = "root", .roles = "admin");
    fx_run(&fx);
    for (unsigned k = 0; k < 5; k++) { /* 250 messages; at most 60 a minute for each user */
        static const char *const users[] = {"a", "b", "c", "d", "e"};

        FX_ATTACH(g, .number = 10 + k, .room = "g", .user = users[k], .roles = "admin",
                  .flags = ATTACH_NO_REPLAY);
        fx_run(&fx);
        for (unsigned i = 1; i <= 50; i++)
            fx_say(g, 10 + k, i, "x", NULL);
        fx_run(&fx);
        fx_run(&fx);
    }
    fx_forget(g);
    assert_int_equal(sim_room_row(fx_row(&fx, "g"))->last_seq, 250);
    FX_ATTACH(g, .number = 2, .room = "g", .user = "bob", .last_seq = 0,
              .flags = ATTACH_REATTACH);
    fx_run(&fx);
    assert_int_equal(fx_count(g, "to 2 cur="), 200);
    assert_true(fx_got(g, "to 2 cur=200 {message seq=200 "));
    assert_true(fx_got(g, "paged 2\n"));
    assert_string_equal(g->generation, "g1p"); /* good in this generation only */
    assert_false(fx_got(g, "attached 2"));
    fx_forget(g);
    fx_more(g, 2);
    fx_more(g, 2); /* asking twice changes nothing */
    fx_run(&fx);
    assert_int_equal(fx_count(g, "to 2 cur="), 50);
    assert_int_equal(fx_count(g, "attached 2 @250\n"), 1);
    assert_string_equal(g->generation, "g1");
    assert_false(fx_got(g, "subscription_succeeded"));
    fx_deinit(&fx);
}

static void cursors_that_cannot_be_resumed_are_reset(void **state)
{
    static const struct {
        const char *name;
        uint32_t flags;
        uint64_t last_seq;
        const char *generation, *want;
    } rows[] = {
        {"above the head", ATTACH_HAS_SEQ, 99, NULL,
         "to 2 cur=2 {replay more=0 reset=1 fromSeq=2 toSeq=2 hasMore=0 currentSeq=2 events=0 "
         "[1 2]}\n"
         "to 2 {subscription_succeeded currentSeq=2 subscriptionCount=2}\nattached 2 @2\n"
         "ephemeral except=2 {member_joined userId=bob}\n"},
        {"another generation", ATTACH_HAS_SEQ, 1, "g9",
         "to 2 cur=2 {replay more=0 reset=1 fromSeq=2 toSeq=2 hasMore=0 currentSeq=2 events=0 "
         "[1 2]}\n"
         "to 2 {subscription_succeeded currentSeq=2 subscriptionCount=2}\nattached 2 @2\n"
         "ephemeral except=2 {member_joined userId=bob}\n"},
        {"re-attach, native", ATTACH_REATTACH | ATTACH_NATIVE, 99, NULL,
         "to 2 cur=2 {replay more=0 reset=1 fromSeq=2 toSeq=2 hasMore=0 currentSeq=2 events=0 "
         "[1 2]}\n"
         "attached 2 @2\n"},
        {"re-attach, old", ATTACH_REATTACH, 99, NULL,
         "to 2 cur=2 {replay hasMore=0 currentSeq=2 [1 2]}\nattached 2 @2\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fx fx;
        struct fx_gate *g = &fx.gates[0];

        fx_begin_talk(&fx, 2);
        FX_ATTACH(g, .number = 2, .room = "g", .user = "bob", .last_seq = rows[i].last_seq,
                  .generation = rows[i].generation, .flags = rows[i].flags);
        fx_run(&fx);
        fx_expect(g, rows[i].want, rows[i].name);
        fx_deinit(&fx);
    }
}

/* Another server answers, which knows two of the room's three messages; then there are five. */
static void after_a_failover_only_what_was_lost_is_reset(void **state)
{
    static const struct {
        const char *name;
        uint32_t flags;
        uint64_t last_seq;
        const char *generation, *want;
    } rows[] = {
        {"what both have", ATTACH_HAS_SEQ | ATTACH_NATIVE, 2, "g1",
         "to 2 cur=5 {replay more=0 reset=0 fromSeq=2 toSeq=5 currentSeq=5 events=3 [m1 m2 "
         "m3]}\n"
         "to 2 {subscription_succeeded currentSeq=5 subscriptionCount=2}\nattached 2 @5\n"
         "ephemeral except=2 {member_joined userId=bob}\n"},
        {"what was lost", ATTACH_HAS_SEQ | ATTACH_NATIVE, 3, "g1",
         "to 2 cur=5 {replay more=0 reset=1 fromSeq=5 toSeq=5 hasMore=0 currentSeq=5 events=0 "
         "[1 2 m1 m2 m3]}\n"
         "to 2 {subscription_succeeded currentSeq=5 subscriptionCount=2}\nattached 2 @5\n"
         "ephemeral except=2 {member_joined userId=bob}\n"},
        {"ours", ATTACH_HAS_SEQ | ATTACH_NATIVE, 4, "g77",
         "to 2 cur=5 {replay more=0 reset=0 fromSeq=4 toSeq=5 currentSeq=5 events=1 [m3]}\n"
         "to 2 {subscription_succeeded currentSeq=5 subscriptionCount=2}\nattached 2 @5\n"
         "ephemeral except=2 {member_joined userId=bob}\n"},
        /* A native socket must hear of the new generation, or its next cursor would be of the
           old one. */
        {"an open socket", ATTACH_REATTACH | ATTACH_NATIVE, 2, "g1",
         "to 2 cur=5 {replay more=0 reset=0 fromSeq=2 toSeq=5 currentSeq=5 events=3 [m1 m2 "
         "m3]}\n"
         "attached 2 @5\n"},
        {"an open socket that has seen what was lost", ATTACH_REATTACH | ATTACH_NATIVE, 3, "g1",
         "to 2 cur=5 {replay more=0 reset=1 fromSeq=5 toSeq=5 hasMore=0 currentSeq=5 events=0 "
         "[1 2 m1 m2 m3]}\n"
         "attached 2 @5\n"},
        {"an open old socket", ATTACH_REATTACH, 2, "g1",
         "to 2 cur=3 {message seq=3 userId=ann content=m1}\n"
         "to 2 cur=4 {message seq=4 userId=ann content=m2}\n"
         "to 2 cur=5 {message seq=5 userId=ann content=m3}\nattached 2 @5\n"},
        {"an open old socket that has seen what was lost", ATTACH_REATTACH, 3, "g1",
         "to 2 cur=5 {replay hasMore=0 currentSeq=5 [1 2 m1 m2 m3]}\nattached 2 @5\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fx fx;
        struct fx_gate *g = &fx.gates[0];

        fx_begin_talk(&fx, 2);
        sim_db_set_generation(fx.server.db, 0x77);
        host_store_replaced(fx.host);
        fx_run(&fx);
        assert_true(fx_got(g, "moved room/p/g\n") && fx_got(g, "gone 0\n"));
        FX_ATTACH(g, .number = 1, .room = "g", .user = "ann");
        for (unsigned n = 3; n <= 5; n++)
            fx_say(g, 1, n, n == 3 ? "m1" : n == 4 ? "m2" : "m3", NULL);
        fx_run(&fx);
        fx_awake(g);
        fx_forget(g);
        FX_ATTACH(g, .number = 2, .room = "g", .user = "bob", .last_seq = rows[i].last_seq,
                  .generation = rows[i].generation, .flags = rows[i].flags);
        fx_run(&fx);
        fx_expect(g, rows[i].want, rows[i].name);
        fx_deinit(&fx);
    }
}

static void a_resume_frame_is_settled_by_its_last_page_and_holds_back_what_follows(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    fx_begin_talk(&fx, 12);
    fx_frame(g, 1, 13, 0,
             "{\"type\":\"resume\",\"lastSeq\":2}"); /* below the tail: from the store */
    fx_say(g, 1, 14, "after", NULL);
    fx_run(&fx);
    fx_expect(g,
              "to 1 done=13 {replay more=0 reset=0 fromSeq=2 toSeq=12 currentSeq=12 events=10 "
              "[3 4 5 6 7 8 9 10 11 12]}\n"
              "event 13 {message seq=13 userId=ann content=after}\n"
              "to 1 done=14 {ack seq=13 duplicate=0}\n",
              "resume");
    fx_deinit(&fx);
}

static void frames_before_the_socket_is_live_are_run_then(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    fx_init(&fx);
    FX_ATTACH(g, .number = 1, .room = "g", .user = "ann", .flags = ATTACH_NO_REPLAY);
    fx_say(g, 1, 1, "early", "c1");
    fx_run(&fx);
    fx_expect(g,
              "wake g\n"
              "to 1 {subscription_succeeded currentSeq=0 subscriptionCount=1}\n"
              "attached 1 @0\n"
              "event 1 {message seq=1 userId=ann content=early clientMessageId=c1}\n"
              "to 1 done=1 {ack seq=1 clientMessageId=c1 duplicate=0}\n",
              "early");
    fx_deinit(&fx);
}

static void the_database_may_be_away_when_a_room_is_wanted(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    fx_init(&fx);
    sim_server_set_up(&fx.server, false);
    FX_ATTACH(g, .number = 1, .room = "g", .user = "ann", .flags = ATTACH_NO_REPLAY);
    fake_env_advance(&fx.fake, 20000);
    fx_expect(g, "", "waits");
    sim_server_set_up(&fx.server, true);
    fake_env_advance(&fx.fake, 3000);
    assert_true(fx_got(g, "attached 1 @0\n"));
    fx_deinit(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fresh_attach_to_an_empty_room),
        cmocka_unit_test(the_others_are_told_of_the_first_socket_of_a_user),
        cmocka_unit_test(refusals),
        cmocka_unit_test(a_project_admin_enters_any_room),
        cmocka_unit_test(a_public_room_makes_the_newcomer_a_member_first),
        cmocka_unit_test(snapshot_forms),
        cmocka_unit_test(a_snapshot_beyond_the_tail_comes_from_the_store_without_a_seam),
        cmocka_unit_test(a_cursor_is_replayed_page_by_page),
        cmocka_unit_test(a_long_catch_up_waits_for_the_socket),
        cmocka_unit_test(cursors_that_cannot_be_resumed_are_reset),
        cmocka_unit_test(after_a_failover_only_what_was_lost_is_reset),
        cmocka_unit_test(
            a_resume_frame_is_settled_by_its_last_page_and_holds_back_what_follows),
        cmocka_unit_test(frames_before_the_socket_is_live_are_run_then),
        cmocka_unit_test(the_database_may_be_away_when_a_room_is_wanted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
