/* test_changes.c - changes of messages on sockets: in which order what is told reaches a socket
 * that resumes, repeats itself, is attached again, or whose room moves. */
#include "tests/unit/shard/host/fixture.h"

#include "shard/host/newest.h"
#include "shard/room/dedupe.h"

/* ann (1, native) and bob (2) in g on the first gateway, cid (1) on the second; nothing noted
 * yet. */
static void begin(struct fx *fx)
{
    fx_init(fx);
    FX_ATTACH(&fx->gates[0], .number = 1, .room = "g", .user = "ann",
              .flags = ATTACH_NO_REPLAY | ATTACH_NATIVE);
    FX_ATTACH(&fx->gates[0], .number = 2, .room = "g", .user = "bob",
              .flags = ATTACH_NO_REPLAY);
    FX_ATTACH(&fx->gates[1], .number = 1, .room = "g", .user = "cid",
              .flags = ATTACH_NO_REPLAY);
    fx_run(fx);
    for (size_t i = 0; i < ARRAY_LEN(fx->gates); i++)
        fx_forget(&fx->gates[i]);
}

static int64_t id_of(struct fx *fx, uint64_t seq)
{
    size_t n;
    struct entry *const *entries = sim_room_entries(fx_row(fx, "g"), &n);

    assert_true(seq <= n && entries[seq - 1]);
    return entries[seq - 1]->id;
}

/* type with messageId of the message with this seq, and more members. */
static void change(struct fx *fx, struct fx_gate *g, uint64_t attach, uint64_t n,
                   const char *type, uint64_t seq, const char *more)
{
    char json[256];

    (void)snprintf(json, sizeof(json), "{\"type\":\"%s\",\"messageId\":%lld%s}", type,
                   (long long)id_of(fx, seq), more);
    fx_frame(g, attach, n, 0, json);
}

/* Else it would bring back what the events that overtook it have changed. */
static void a_resume_is_answered_behind_what_was_asked_for_before(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    fx_say(g, 1, 1, "first", NULL);
    fx_run(&fx);
    fx_forget(g);
    change(&fx, g, 1, 2, "edit", 1, ",\"content\":\"second\"");
    fx_frame(g, 1, 3, 0, "{\"type\":\"resume\",\"lastSeq\":0}");
    fx_run(&fx);
    fx_expect(g,
              "event 2 {edit seq=2 userId=ann content=second}\n"
              "event 0 {message_updated seq=2 userId=ann content=second}\n"
              "to 1 done=2 {ack seq=2 duplicate=0}\n"
              "to 1 done=3 {replay more=0 reset=0 fromSeq=0 toSeq=2 currentSeq=2 events=1 "
              "[second]}\n",
              "resume");
    fx_deinit(&fx);
}

/* The gateway sends again what is not settled: an answer to a later frame would settle it. */
static void nothing_is_settled_behind_what_a_leaving_room_has_dropped(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    fx_say(g, 1, 1, "in flight", NULL);
    fake_env_run(&fx.fake); /* the batch leaves at the end of the turn */
    fx_say(g, 1, 2, "queued", NULL);
    fx_frame(g, 1, 3, 0, "{\"type\":\"message\",\"content\":\"\"}"); /* refused at once */
    fx_set_ring(&fx, false);
    fx_run(&fx);
    fx_expect(g,
              "event 1 {message seq=1 userId=ann content=in flight}\n"
              "to 1 done=1 {ack seq=1 duplicate=0}\n"
              "moved room/p/g\n",
              "moved");
    fx_deinit(&fx);
}

static void the_repeat_of_a_deleted_message_brings_no_empty_message(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    fx_say(g, 1, 1, "native", "c1");
    fx_say(g, 2, 1, "old", "c2");
    fx_run(&fx);
    change(&fx, g, 1, 2, "delete", 1, "");
    change(&fx, g, 2, 2, "delete", 2, "");
    fx_run(&fx);
    fx_forget(g);
    fx_say(g, 1, 3, "native", "c1");
    fx_say(g, 2, 3, "old", "c2");
    fx_run(&fx);
    fx_expect(g,
              "to 1 done=3 {ack seq=1 clientMessageId=c1 duplicate=1}\n"
              "to 2 done=3 {message seq=2 userId=bob content= clientMessageId=c2}\n"
              "to 2 {delete seq=4 userId=bob}\n"
              "to 2 {ack seq=2 clientMessageId=c2 duplicate=1}\n",
              "repeat");
    fx_deinit(&fx);
}

/* Its commit is done, but nobody has told us yet, and somebody has read it from the store. */
static void a_message_of_which_only_the_store_knows_can_be_changed_soon(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    sim_server_script(&fx.server, SIM_UNKNOWN_NOW);
    fx_say(g, 1, 1, "first", NULL);
    fake_env_advance(&fx.fake, 3);
    fx.server.is_read_only = true; /* so that it is not found out */
    fx_run(&fx);
    fx_expect(g, "", "no answer");
    change(&fx, g, 2, 1, "edit", 1, ",\"content\":\"second\"");
    fx_run(&fx);
    assert_true(fx_got(g, "to 2 done=1 {error"));
    assert_true(fx_got(g, "code=unavailable") && fx_got(g, "retryable=1"));
    fx_forget(g);
    fx.server.is_read_only = false;
    fake_env_advance(&fx.fake, 2 * COMMIT_RETRY_MAX_MS);
    assert_true(fx_got(g, "event 1 {message seq=1 userId=ann content=first}\n"));
    fx_deinit(&fx);
}

static void an_old_socket_that_comes_back_gets_the_reactions_of_what_is_new(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    fx_say(g, 2, 1, "before", NULL);
    fx_run(&fx);
    fx_forget(&fx.gates[1]);
    fx_link_down(&fx.gates[1]);
    fx_say(g, 2, 2, "new", NULL);
    fx_run(&fx);
    change(&fx, g, 2, 3, "reaction", 1, ",\"emoji\":\"+1\",\"op\":\"add\"");
    change(&fx, g, 2, 4, "reaction", 2, ",\"emoji\":\"+1\",\"op\":\"add\"");
    fx_run(&fx);
    fx_link_up(&fx.gates[1]);
    FX_ATTACH(&fx.gates[1], .number = 1, .room = "g", .user = "cid", .flags = ATTACH_REATTACH,
              .last_seq = 1, .generation = "g1");
    fx_run(&fx);
    fx_expect(&fx.gates[1],
              "to 1 cur=3 {edit seq=3 userId=bob content=before}\n"
              "to 1 {message_updated seq=3 userId=bob content=before}\n"
              "to 1 {reaction seq=3 userId=bob}\n"
              "to 1 cur=4 {message seq=2 userId=bob content=new}\n"
              "to 1 {reaction seq=4 userId=bob}\n"
              "attached 1 @4\n",
              "re-attached");
    fx_deinit(&fx);
}

/* What changed between two pages was left to the second one, which never came. */
static void an_old_socket_whose_coming_back_was_cut_is_told_both_ways(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    fx_say(g, 2, 1, "one", NULL);
    fx_say(g, 2, 2, "two", NULL);
    fx_run(&fx);
    change(&fx, g, 2, 3, "edit", 1, ",\"content\":\"ONE\"");
    fx_run(&fx);
    fx_forget(&fx.gates[1]);
    FX_ATTACH(&fx.gates[1], .number = 1, .room = "g", .user = "cid",
              .flags = ATTACH_REATTACH | ATTACH_CUT, .last_seq = 2, .generation = "g1");
    fx_run(&fx);
    fx_expect(&fx.gates[1],
              "to 1 cur=3 {message seq=1 userId=bob content=ONE}\n"
              "to 1 cur=3 {edit seq=3 userId=bob content=ONE}\n"
              "to 1 {message_updated seq=3 userId=bob content=ONE}\n"
              "attached 1 @3\n",
              "cut");
    fx_deinit(&fx);
}

/* ann's message is committed by a batch that its room has given up. */
static void commit_behind_its_back(struct fx *fx, const char *client_id)
{
    struct entry from = {.kind = ENTRY_MESSAGE,
                         .seq = 1,
                         .updated_seq = 1,
                         .id = 7,
                         .created_us = 1,
                         .version = 1,
                         .user = SLICE_LIT("ann"),
                         .client_id = slice_str(client_id),
                         .content = SLICE_LIT("lost")};
    AUTO(entry_unref) struct entry *e = NULL;
    struct batch_room room = {.project = SLICE_LIT("p"),
                              .room = SLICE_LIT("g"),
                              .fence = sim_room_row(fx_row(fx, "g"))->fence,
                              .new_seq = 1,
                              .last_id = 7,
                              .last_created_us = 1,
                              .message_count = 1,
                              .entries = &e,
                              .n_entries = 1};
    struct batch batch = {.rooms = &room, .n_rooms = 1};
    struct sim_commit *commit;
    bool is_duplicate;

    dedupe_key(DEDUPE_CLIENT, from.user, from.client_id, from.dedupe);
    e = entry_new(&from);
    assert_non_null(e);
    commit = sim_commit_new(&batch);
    assert_int_equal(sim_commit_start(fx->server.db, commit, &is_duplicate), STORE_OK);
    assert_true(commit->committed[0]);
    sim_commit_finish(fx->server.db, commit, 1);
    sim_commit_free(commit);
}

static void a_room_that_is_behind_the_store_reads_it_again(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    commit_behind_its_back(&fx, "c1");
    fx_frame(g, 1, 1, FRAME_RESENT,
             "{\"type\":\"message\",\"content\":\"lost\",\"clientMessageId\":\"c1\"}");
    fx_run(&fx);
    fx_expect(g, "moved room/p/g\n", "not an answer that overtakes the event");
    FX_ATTACH(g, .number = 1, .room = "g", .user = "ann",
              .flags = ATTACH_REATTACH | ATTACH_NATIVE, .generation = "g1");
    fx_frame(g, 1, 1, FRAME_RESENT,
             "{\"type\":\"message\",\"content\":\"lost\",\"clientMessageId\":\"c1\"}");
    fx_run(&fx);
    assert_true(fx_got(g, "to 1 cur=1 {message seq=1 userId=ann content=lost"));
    assert_true(fx_got(g, "done=1"));
    fx_deinit(&fx);
}

/* Between a commit and its answer the store is ahead of the tail; else it is behind. */
static void a_snapshot_takes_the_newer_of_two_images(void **state)
{
    struct entry from = {.kind = ENTRY_MESSAGE, .seq = 1, .updated_seq = 3, .version = 1};
    AUTO(entry_unref) struct entry *three = entry_new(&from);
    AUTO(entry_unref) struct entry *two = NULL;
    AUTO(entry_unref) struct entry *four = NULL;
    struct tail tail;
    struct newest behind = {.limit = 10, .tail = &tail}, ahead = behind;

    (void)state;
    from.updated_seq = 2;
    two = entry_new(&from);
    from.updated_seq = 4;
    four = entry_new(&from);
    tail_init(&tail, 8, 1 << 20, 0, 0);
    tail_put(&tail, three);
    assert_true(newest_add(&behind, two));
    assert_ptr_equal(newest_entries(&behind)[0], three);
    assert_true(newest_add(&ahead, four));
    assert_ptr_equal(newest_entries(&ahead)[0], four);
    tail_deinit(&tail);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_resume_is_answered_behind_what_was_asked_for_before),
        cmocka_unit_test(nothing_is_settled_behind_what_a_leaving_room_has_dropped),
        cmocka_unit_test(the_repeat_of_a_deleted_message_brings_no_empty_message),
        cmocka_unit_test(an_old_socket_that_comes_back_gets_the_reactions_of_what_is_new),
        cmocka_unit_test(an_old_socket_whose_coming_back_was_cut_is_told_both_ways),
        cmocka_unit_test(a_room_that_is_behind_the_store_reads_it_again),
        cmocka_unit_test(a_snapshot_takes_the_newer_of_two_images),
        cmocka_unit_test(a_message_of_which_only_the_store_knows_can_be_changed_soon),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
