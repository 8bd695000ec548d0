/* test_publish.c - the write path of sockets: order, repeats, limits, settlement. */
#include "tests/unit/shard/host/fixture.h"

#include "common/base/limits.h"

/* ann (1) and bob (2) in g on the first gateway, cid (1) on the second; nothing noted yet. */
static void begin(struct fx *fx)
{
    fx_init(fx);
    FX_ATTACH(&fx->gates[0], .number = 1, .room = "g", .user = "ann",
              .flags = ATTACH_NO_REPLAY);
    FX_ATTACH(&fx->gates[0], .number = 2, .room = "g", .user = "bob",
              .flags = ATTACH_NO_REPLAY);
    FX_ATTACH(&fx->gates[1], .number = 1, .room = "g", .user = "cid",
              .flags = ATTACH_NO_REPLAY);
    fx_run(fx);
    for (size_t i = 0; i < ARRAY_LEN(fx->gates); i++)
        fx_forget(&fx->gates[i]);
}

static void one_event_per_gateway_then_the_acknowledgement(void **state)
{
    struct fx fx;

    (void)state;
    begin(&fx);
    fx_say(&fx.gates[0], 1, 1, "hi", "c1");
    fx_expect(&fx.gates[0], "", "nothing before the commit");
    fx_run(&fx);
    fx_expect(&fx.gates[0],
              "event 1 {message seq=1 userId=ann content=hi clientMessageId=c1}\n"
              "to 1 done=1 {ack seq=1 clientMessageId=c1 duplicate=0}\n",
              "sender");
    fx_expect(&fx.gates[1],
              "event 1 {message seq=1 userId=ann content=hi clientMessageId=c1}\n",
              "other gateway");
    fx_expect(&fx.gates[2], "", "gateway without sockets in the room");
    fx_deinit(&fx);
}

static void refused_frames_are_settled_in_their_turn(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    fx_say(g, 1, 1, "good", NULL);
    fx_frame(g, 1, 2, 0, "{\"type\":\"message\",\"content\":\"\",\"frameId\":\"f2\"}");
    fx_frame(g, 1, 3, 0, "{\"type\":\"shout\"}");
    fx_frame(g, 1, 4, 0, "{\"type\":\"typing\",\"isTyping\":true}");
    fx_say(g, 1, 5, "last", NULL);
    fx_run(&fx);
    fx_expect(g,
              "ephemeral except=1 {typing userId=ann isTyping=1 intent=composing}\n"
              "event 1 {message seq=1 userId=ann content=good}\n"
              "to 1 done=1 {ack seq=1 duplicate=0}\n"
              "to 1 done=2 {error frameId=f2 code=invalid_content retryable=0}\n"
              "to 1 done=3 {error code=unknown_event_type retryable=0}\n"
              "to 1 done=4\n"
              "event 2 {message seq=2 userId=ann content=last}\n"
              "to 1 done=5 {ack seq=2 duplicate=0}\n",
              "in order");
    fx_deinit(&fx);
}

static void a_repeat_gets_the_original_and_is_not_fanned_out(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    fx_say(g, 1, 1, "hi", "c1");
    fx_say(g, 1, 2, "HI", "c1"); /* while the first is under way */
    fx_run(&fx);
    fx_say(g, 1, 3, "hi again", "c1"); /* from the tail */
    fx_say(g, 2, 1, "mine", "c1");     /* another author's key is another key */
    fx_run(&fx);
    fx_expect(g,
              "event 1 {message seq=1 userId=ann content=hi clientMessageId=c1}\n"
              "to 1 done=1 {ack seq=1 clientMessageId=c1 duplicate=0}\n"
              "to 1 done=2 {message seq=1 userId=ann content=hi clientMessageId=c1}\n"
              "to 1 {ack seq=1 clientMessageId=c1 duplicate=1}\n"
              "to 1 done=3 {message seq=1 userId=ann content=hi clientMessageId=c1}\n"
              "to 1 {ack seq=1 clientMessageId=c1 duplicate=1}\n"
              "event 2 {message seq=2 userId=bob content=mine clientMessageId=c1}\n"
              "to 2 done=1 {ack seq=2 clientMessageId=c1 duplicate=0}\n",
              "repeat");
    assert_int_equal(sim_room_row(fx_row(&fx, "g"))->last_seq, 2);
    fx_deinit(&fx);
}

static void an_old_repeat_beyond_the_tail_is_found_in_the_store(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];
    char text[8];

    (void)state;
    begin(&fx);
    for (unsigned i = 1; i <= 20; i++) { /* the tail holds 8 */
        (void)snprintf(text, sizeof(text), "c%u", i);
        fx_say(g, 1, i, text, text);
    }
    fx_run(&fx);
    fx_forget(g);
    fx_say(g, 1, 21, "new", "c21");
    fx_say(g, 1, 22, "c2", "c2");
    fx_say(g, 1, 23, "newer", "c23");
    fx_run(&fx);
    fx_expect(g,
              "event 21 {message seq=21 userId=ann content=new clientMessageId=c21}\n"
              "to 1 done=21 {ack seq=21 clientMessageId=c21 duplicate=0}\n"
              "to 1 done=22 {message seq=2 userId=ann content=c2 clientMessageId=c2}\n"
              "to 1 {ack seq=2 clientMessageId=c2 duplicate=1}\n"
              "event 22 {message seq=22 userId=ann content=newer clientMessageId=c23}\n"
              "to 1 done=23 {ack seq=22 clientMessageId=c23 duplicate=0}\n",
              "old repeat");
    fx_deinit(&fx);
}

static void what_the_gateway_sends_again_gets_only_the_acknowledgement(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    fx_say(g, 1, 1, "hi", NULL);
    fx_run(&fx);
    fx_forget(g);
    /* The answer was lost with the link; no clientMessageId, so the gateway's key counts. */
    fx_link_down(g);
    fx_link_up(g);
    FX_ATTACH(g, .number = 1, .room = "g", .user = "ann", .flags = ATTACH_REATTACH,
              .last_seq = 0);
    fx_frame(g, 1, 1, FRAME_RESENT, "{\"type\":\"message\",\"content\":\"hi\"}");
    fx_frame(g, 1, 2, FRAME_RESENT, "{\"type\":\"message\",\"content\":\"lost\"}");
    fx_run(&fx);
    fx_expect(g,
              "to 1 cur=1 {message seq=1 userId=ann content=hi}\n"
              "attached 1 @1\n"
              "to 1 done=1 {ack seq=1 duplicate=1}\n"
              "event 2 {message seq=2 userId=ann content=lost}\n"
              "to 1 done=2 {ack seq=2 duplicate=0}\n",
              "sent again");
    fx_deinit(&fx);
}

static void an_old_message_repeated_by_the_client_is_echoed_also_when_sent_again(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    fx_say(g, 1, 1, "hi", "c1");
    fake_env_advance(&fx.fake, 60000);
    fx_forget(g);
    fx_frame(g, 1, 2, FRAME_RESENT,
             "{\"type\":\"message\",\"content\":\"hi\",\"clientMessageId\":\"c1\"}");
    fx_run(&fx);
    fx_expect(g,
              "to 1 done=2 {message seq=1 userId=ann content=hi clientMessageId=c1}\n"
              "to 1 {ack seq=1 clientMessageId=c1 duplicate=1}\n",
              "repeated");
    fx_deinit(&fx);
}

static void a_user_may_send_sixty_a_minute_over_sockets_and_as_many_over_rest(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    for (unsigned i = 1; i <= 61; i++)
        fx_say(g, 1, i, "x", i > 1 ? NULL : "first");
    fx_run(&fx);
    assert_int_equal(fx_count(g, "{ack"), 60);
    assert_true(fx_got(g, "to 1 done=61 {error code=rate_limit_exceeded retryable=1}\n"));
    fx_forget(g);
    fx_call(g, CALL_MESSAGE_POST, "g", "ann", "", "{\"content\":\"rest\"}");
    fx_say(g, 2, 1, "bob may", NULL);
    fx_run(&fx);
    assert_true(fx_got(g, "reply 1 200 "));
    assert_true(fx_got(g, "{message seq=62 userId=bob content=bob may}"));
    fx_forget(g);
    fake_env_advance(&fx.fake, 1000); /* one comes back each second */
    fx_say(g, 1, 62, "y", NULL);
    fx_say(g, 1, 63, "y", NULL);
    fx_run(&fx);
    assert_int_equal(fx_count(g, "{ack"), 1);
    assert_int_equal(fx_count(g, "rate_limit_exceeded"), 1);
    fx_deinit(&fx);
}

/* What comes while he is being removed would be numbered behind his removal. */
static void who_is_being_removed_writes_nothing_behind_it(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    fx_say(g, 2, 1, "before", "b1");
    fx_call(g, CALL_MEMBER_REMOVE, "g", "ann", "", "{\"userId\":\"bob\"}");
    fx_say(g, 2, 2, "behind", "b2");
    fx_say(g, 2, 3, "before", "b1");
    fx_say(g, 1, 1, "hers", "a1");
    fx_run(&fx);
    assert_true(fx_got(g, "content=before"));
    assert_true(fx_got(g, "content=hers"));
    assert_true(fx_got(g, "clientMessageId=b2 code=unavailable retryable=1"));
    assert_false(fx_got(g, "content=behind"));
    assert_true(fx_got(g, "close 2 1008 not_member"));
    fx_forget(g);
    fx_call(g, CALL_MEMBER_ADD, "g", "ann", "", "{\"userId\":\"bob\"}");
    fx_run(&fx);
    FX_ATTACH(g, .number = 3, .room = "g", .user = "bob", .flags = ATTACH_NO_REPLAY);
    fx_run(&fx);
    fx_say(g, 3, 1, "again", "b2");
    fx_run(&fx);
    assert_true(fx_got(g, "content=again"));
    fx_deinit(&fx);
}

static void only_moderators_write_announcements(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    fx_init(&fx);
    FX_ATTACH(g, .number = 1, .room = "c", .user = "bob", .flags = ATTACH_NO_REPLAY);
    FX_ATTACH(g, .number = 2, .room = "c", .user = "ann", .flags = ATTACH_NO_REPLAY);
    fx_run(&fx);
    fx_forget(g);
    fx_say(g, 1, 1, "may I", "c1");
    fx_say(g, 2, 1, "news", NULL);
    fx_run(&fx);
    fx_expect(g,
              "to 1 done=1 {error clientMessageId=c1 code=forbidden retryable=0}\n"
              "event 1 {message seq=1 userId=ann content=news}\n"
              "to 2 done=1 {ack seq=1 duplicate=0}\n",
              "announcements");
    fx_deinit(&fx);
}

static void without_a_database_writes_are_refused_in_bounded_time(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    sim_server_set_up(&fx.server, false);
    fx_say(g, 1, 1, "hi", "c1");
    fake_env_advance(&fx.fake, WRITE_DEADLINE_MS + 1000);
    fx_expect(g, "to 1 done=1 {error clientMessageId=c1 code=unavailable retryable=1}\n",
              "down");
    sim_server_set_up(&fx.server, true);
    fake_env_advance(&fx.fake, 3000);
    fx_say(g, 1, 2, "back", "c2");
    fake_env_advance(&fx.fake, 3000);
    assert_true(
        fx_got(g, "event 1 {message seq=1 userId=ann content=back clientMessageId=c2}\n"));
    fx_deinit(&fx);
}

static void replies_are_to_messages_of_the_room_and_keep_their_turn(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];
    size_t n;
    struct entry *const *e;
    char json[200];

    (void)state;
    begin(&fx);
    for (unsigned i = 1; i <= 20; i++) /* the tail holds 8 */
        fx_say(g, 1, i, "x", NULL);
    fx_run(&fx);
    e = sim_room_entries(fx_row(&fx, "g"), &n);
    fx_forget(g);
    for (unsigned k = 0; k < 4; k++) { /* the newest, an old one, the oldest, none */
        long long parent = k == 3 ? e[0]->id - 1 : e[k == 0 ? 19 : k == 1 ? 6 : 0]->id;

        (void)snprintf(json, sizeof(json),
                       "{\"type\":\"message\",\"content\":\"r%u\",\"parentId\":%lld}", k,
                       parent);
        fx_frame(g, 1, 21 + 2 * k, 0, json);
        fx_say(g, 1, 22 + 2 * k, "next", NULL);
    }
    (void)snprintf(json, sizeof(json),
                   "{\"type\":\"message\",\"content\":\"r\",\"parentId\":%lld}",
                   (long long)e[19]->id + 1000);
    fx_frame(g, 1, 29, 0, json);
    fake_env_advance(&fx.fake, 500);
    fx_expect(g,
              "event 21 {message seq=21 userId=ann content=r0}\n"
              "to 1 done=21 {ack seq=21 duplicate=0}\n"
              "event 22 {message seq=22 userId=ann content=next}\n"
              "to 1 done=22 {ack seq=22 duplicate=0}\n"
              "event 23 {message seq=23 userId=ann content=r1}\n"
              "to 1 done=23 {ack seq=23 duplicate=0}\n"
              "event 24 {message seq=24 userId=ann content=next}\n"
              "to 1 done=24 {ack seq=24 duplicate=0}\n"
              "event 25 {message seq=25 userId=ann content=r2}\n"
              "to 1 done=25 {ack seq=25 duplicate=0}\n"
              "event 26 {message seq=26 userId=ann content=next}\n"
              "to 1 done=26 {ack seq=26 duplicate=0}\n"
              "to 1 done=27 {error code=message_not_found retryable=0}\n"
              "event 27 {message seq=27 userId=ann content=next}\n"
              "to 1 done=28 {ack seq=27 duplicate=0}\n"
              "to 1 done=29 {error code=message_not_found retryable=0}\n",
              "replies");
    (void)snprintf(json, sizeof(json), "{\"content\":\"rest\",\"replyTo\":%lld}",
                   (long long)e[3]->id);
    fx_call(&fx.gates[2], CALL_MESSAGE_POST, "g", "bob", "", json);
    (void)snprintf(json, sizeof(json), "{\"content\":\"rest\",\"replyTo\":%lld}",
                   (long long)e[0]->id - 5);
    fx_call(&fx.gates[2], CALL_MESSAGE_POST, "g", "bob", "", json);
    fake_env_advance(&fx.fake, 500);
    assert_int_equal(fx_count(&fx.gates[2], "reply 1 200 "), 1);
    assert_int_equal(fx_count(&fx.gates[2], "reply 2 404 {\"error\":\"message_not_found\""), 1);
    fx_deinit(&fx);
}

static void a_reply_whose_parent_cannot_be_looked_up_is_refused_for_now(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    for (unsigned i = 1; i <= 20; i++)
        fx_say(g, 1, i, "x", NULL);
    fx_run(&fx);
    fx_forget(g);
    sim_server_set_up(&fx.server, false);
    fx_frame(
        g, 1, 21, 0,
        "{\"type\":\"message\",\"content\":\"r\",\"parentId\":1,\"clientMessageId\":\"c\"}");
    fx_frame(g, 1, 22, 0, "{}");
    fx_run(&fx);
    fx_expect(g,
              "to 1 done=21 {error clientMessageId=c code=unavailable retryable=1}\n"
              "to 1 done=22 {error code=unknown_event_type retryable=0}\n",
              "down");
    sim_server_set_up(&fx.server, true);
    fake_env_advance(&fx.fake, 3000);
    fx_frame(g, 1, 23, 0, "{\"type\":\"message\",\"content\":\"r\",\"parentId\":1}");
    fx_detach(g, 1); /* gone while it is looked up */
    fx_run(&fx);
    fx_deinit(&fx);
}

static void answers_to_a_socket_that_has_gone_go_nowhere(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    begin(&fx);
    fx_say(g, 1, 1, "bye", NULL);
    fx_frame(g, 1, 2, 0, "{}");
    fx_detach(g, 1);
    fx_run(&fx);
    fx_expect(g,
              "ephemeral {member_left userId=ann}\n"
              "event 1 {message seq=1 userId=ann content=bye}\n",
              "gone");
    fx_deinit(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_event_per_gateway_then_the_acknowledgement),
        cmocka_unit_test(refused_frames_are_settled_in_their_turn),
        cmocka_unit_test(a_repeat_gets_the_original_and_is_not_fanned_out),
        cmocka_unit_test(an_old_repeat_beyond_the_tail_is_found_in_the_store),
        cmocka_unit_test(what_the_gateway_sends_again_gets_only_the_acknowledgement),
        cmocka_unit_test(an_old_message_repeated_by_the_client_is_echoed_also_when_sent_again),
        cmocka_unit_test(a_user_may_send_sixty_a_minute_over_sockets_and_as_many_over_rest),
        cmocka_unit_test(who_is_being_removed_writes_nothing_behind_it),
        cmocka_unit_test(only_moderators_write_announcements),
        cmocka_unit_test(without_a_database_writes_are_refused_in_bounded_time),
        cmocka_unit_test(replies_are_to_messages_of_the_room_and_keep_their_turn),
        cmocka_unit_test(a_reply_whose_parent_cannot_be_looked_up_is_refused_for_now),
        cmocka_unit_test(answers_to_a_socket_that_has_gone_go_nowhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
