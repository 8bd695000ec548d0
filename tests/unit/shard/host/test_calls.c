/* test_calls.c - REST calls: who may, what comes back, and that a repeat changes nothing. */
#include "shard/limits.h"
#include "tests/unit/shard/host/fixture.h"

struct step {
    enum call_op op;
    const char *room, *user, *roles, *params;
    const char *want; /* what the reply says after its number */
};

static void run_steps(struct fx *fx, const struct step *steps, size_t n)
{
    struct fx_gate *g = &fx->gates[2];
    char want[1000];

    for (size_t i = 0; i < n; i++) {
        const struct step *s = &steps[i];

        fx_forget(g);
        fx_call(g, s->op, s->room, s->user, s->roles, s->params);
        fx_run(fx);
        (void)snprintf(want, sizeof(want), "reply %llu %s", (unsigned long long)g->calls,
                       s->want);
        if (!fx_got(g, want))
            fail_msg("step %zu: got\n%.*swant\n%s", i, (int)g->log.len, g->log.data, want);
    }
}

#define RUN(fx, ...)                                                                           \
    do {                                                                                       \
        static const struct step steps[] = {__VA_ARGS__};                                      \
        run_steps((fx), steps, ARRAY_LEN(steps));                                              \
    } while (0)

#define OK_ROOM(id, type, name)                                                                \
    "200 {\"room\":{\"id\":\"" id "\",\"type\":\"" type "\",\"name\":\"" name                  \
    "\",\"created_at\":\""

static void rooms_are_made_once(void **state)
{
    struct fx fx;

    (void)state;
    fx_init(&fx);
    RUN(&fx,
        {CALL_ROOM_CREATE, "new", "ann", "",
         "{\"name\":\"N\",\"type\":\"group\",\"members\":[{\"userId\":"
         "\"bob\",\"role\":\"admin\"},{\"userId\":\"ann\"}]}",
         OK_ROOM("new", "group", "N")},
        {CALL_ROOM_CREATE, "new", "bob", "", "{\"name\":\"Other\",\"type\":\"dm\"}",
         OK_ROOM("new", "group", "N")},
        {CALL_ROOM_CREATE, "new", "zoe", "member", "{\"name\":\"N\",\"type\":\"group\"}",
         "403 {\"error\":\"forbidden\""},
        {CALL_ROOM_CREATE, "new", "zoe", "admin", "{\"name\":\"N\",\"type\":\"group\"}",
         OK_ROOM("new", "group", "N")},
        {CALL_ROOM_GET, "new", "bob", "", "{}", OK_ROOM("new", "group", "N")},
        {CALL_ROOM_GET, "new", "zoe", "", "{}", "403 {\"error\":\"forbidden\""},
        {CALL_ROOM_GET, "nope", "ann", "", "{}", "403 {\"error\":\"forbidden\""},
        {CALL_ROOM_GET, "nope", "ann", "owner", "{}", "403 {\"error\":\"forbidden\""},
        {CALL_MEMBERS_LIST, "new", "bob", "", "{}",
         "200 {\"members\":[{\"userId\":\"ann\",\"role\":\"owner\",\"joinedAt\":\""},
        {CALL_ROOM_CREATE, "pub", "zoe", "", "{\"name\":\"P\",\"type\":\"public\"}",
         OK_ROOM("pub", "public", "A room")},
        {CALL_MEMBERS_LIST, "pub", "zoe", "", "{}",
         "200 "
         "{\"members\":[{\"userId\":\"ann\",\"role\":\"owner\",\"joinedAt\":\"1970-01-01T00:00:"
         "01.000Z\","
         "\"notifyEnabled\":true,\"preferences\":{}},{\"userId\":\"zoe\",\"role\":\"member\""});
    fx_deinit(&fx);
}

static void bad_rooms_are_refused(void **state)
{
    struct fx fx;

    (void)state;
    fx_init(&fx);
    RUN(&fx,
        {CALL_ROOM_CREATE, "r1", "ann", "", "{\"type\":\"group\"}",
         "400 {\"error\":\"invalid_name\""},
        {CALL_ROOM_CREATE, "r1", "ann", "", "{\"name\":\"\",\"type\":\"group\"}",
         "400 {\"error\":\"invalid_name\""},
        {CALL_ROOM_CREATE, "r1", "ann", "", "{\"name\":\"N\"}",
         "400 {\"error\":\"invalid_type\""},
        {CALL_ROOM_CREATE, "r1", "ann", "", "{\"name\":\"N\",\"type\":\"none\"}",
         "400 {\"error\":\"invalid_type\""},
        {CALL_ROOM_CREATE, "r1", "ann", "", "{\"name\":\"N\",\"type\":\"dm\",\"members\":{}}",
         "400 {\"error\":\"bad_request\""},
        {CALL_ROOM_CREATE, "r1", "ann", "",
         "{\"name\":\"N\",\"type\":\"dm\",\"members\":[{\"userId\":\"a b\"}]}",
         "400 {\"error\":\"invalid_id\""},
        {CALL_ROOM_CREATE, "r1", "ann", "",
         "{\"name\":\"N\",\"type\":\"dm\",\"members\":[{\"userId\":\"b\",\"role\":\"king\"}]}",
         "400 {\"error\":\"invalid_role\""},
        {CALL_ROOM_CREATE, "r1", "ann", "", "[]", "400 {\"error\":\"invalid_json\""},
        {CALL_ROOM_CREATE, "a b", "ann", "", "{\"name\":\"N\",\"type\":\"group\"}",
         "400 {\"error\":\"bad_request\""},
        {(enum call_op)99, "g", "ann", "", "{}", "501 {\"error\":\"not_implemented\""});
    assert_null(fx_row(&fx, "r1"));
    fx_deinit(&fx);
}

static void members_come_and_go(void **state)
{
    struct fx fx;

    (void)state;
    fx_init(&fx);
    RUN(&fx,
        {CALL_MEMBER_ADD, "g", "bob", "member", "{\"userId\":\"zoe\"}",
         "403 {\"error\":\"forbidden\""},
        {CALL_MEMBER_ADD, "g", "ann", "member", "{\"userId\":\"zoe\"}",
         "200 "
         "{\"ok\":true,\"roomId\":\"g\",\"userId\":\"zoe\",\"role\":\"member\","
         "\"e2eRewrapped\":false,\"seq\":"},
        {CALL_MEMBER_ADD, "g", "ann", "", "{\"userId\":\"zoe\",\"role\":\"mod\"}",
         "200 {\"ok\":true,\"roomId\":\"g\",\"userId\":\"zoe\",\"role\":\"moderator\""},
        {CALL_MEMBER_ADD, "g", "ann", "", "{\"userId\":\"zoe\"}",
         "200 {\"ok\":true,\"roomId\":\"g\",\"userId\":\"zoe\",\"role\":\"moderator\""},
        {CALL_MEMBER_ADD, "g", "ann", "", "{\"userId\":\"zoe\",\"role\":\"none\"}",
         "400 {\"error\":\"invalid_role\""},
        {CALL_MEMBER_ADD, "g", "ann", "", "{\"userId\":\"\"}", "400 {\"error\":\"invalid_id\""},
        {CALL_MEMBER_ADD, "g", "ann", "", "{\"userId\":\"ann\",\"role\":\"member\"}",
         "409 {\"error\":\"last_owner\""},
        {CALL_MEMBER_REMOVE, "g", "ann", "", "{\"userId\":\"ann\"}",
         "409 {\"error\":\"last_owner\""},
        {CALL_MEMBER_REMOVE, "g", "bob", "", "{\"userId\":\"cid\"}",
         "403 {\"error\":\"forbidden\""},
        {CALL_MEMBER_REMOVE, "g", "bob", "", "{\"userId\":\"bob\"}", "200 {\"ok\":true"},
        {CALL_MEMBER_REMOVE, "g", "bob", "", "{\"userId\":\"bob\"}",
         "403 {\"error\":\"forbidden\""},
        {CALL_MEMBER_REMOVE, "g", "root", "admin", "{\"userId\":\"cid\"}", "200 {\"ok\":true"},
        {CALL_MEMBER_REMOVE, "g", "root", "admin", "{\"userId\":\"cid\"}", "200 {\"ok\":true"});
    assert_int_equal(sim_room_row(fx_row(&fx, "g"))->last_seq,
                     4); /* added, role, two removed */
    fx_deinit(&fx);
}

static void of_two_owners_who_leave_at_once_one_stays(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[2];

    (void)state;
    fx_init(&fx);
    RUN(&fx,
        {CALL_MEMBER_ADD, "g", "ann", "", "{\"userId\":\"bob\",\"role\":\"owner\"}", "200 "});
    fx_forget(g);
    fx_call(g, CALL_MEMBER_REMOVE, "g", "ann", "", "{\"userId\":\"ann\"}");
    fx_call(g, CALL_MEMBER_REMOVE, "g", "bob", "", "{\"userId\":\"bob\"}");
    fx_run(&fx);
    assert_true(fx_got(g, "200 {\"ok\":true"));
    assert_true(fx_got(g, "409 {\"error\":\"last_owner\""));
    fx_deinit(&fx);
}

static void who_is_removed_loses_his_sockets(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    fx_init(&fx);
    FX_ATTACH(g, .number = 1, .room = "g", .user = "bob", .flags = ATTACH_NO_REPLAY);
    FX_ATTACH(g, .number = 2, .room = "g", .user = "ann",
              .flags = ATTACH_NO_REPLAY | ATTACH_NATIVE);
    fake_env_advance(&fx.fake,
                     2 * PRESENCE_WINDOW_MS); /* what they are told is no longer paced */
    fx_forget(g);
    RUN(&fx, {CALL_MEMBER_REMOVE, "g", "ann", "", "{\"userId\":\"bob\"}", "200 {\"ok\":true"});
    fx_expect(g,
              "event 1 native {membership seq=1 userId=bob change=removed}\n"
              "close 1 1008 not_member\n"
              "ephemeral {member_left userId=bob}\n",
              "removed");
    FX_ATTACH(g, .number = 1, .room = "g", .user = "bob", .flags = ATTACH_REATTACH);
    fx_run(&fx);
    fx_expect(g, "close 1 1008 not_member\n", "does not come back");
    fx_deinit(&fx);
}

static void posting_is_the_same_write_path(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    fx_init(&fx);
    FX_ATTACH(g, .number = 1, .room = "g", .user = "bob", .flags = ATTACH_NO_REPLAY);
    fx_run(&fx);
    fx_forget(g);
    RUN(&fx,
        {CALL_MESSAGE_POST, "g", "ann", "",
         "{\"roomId\":\"g\",\"content\":\" hi \",\"clientMessageId\":\"c1\"}",
         "200 "
         "{\"message\":{\"id\":1000,\"roomId\":\"g\",\"userId\":\"ann\",\"senderId\":\"ann\","
         "\"content\":\"hi\""},
        {CALL_MESSAGE_POST, "g", "ann", "",
         "{\"roomId\":\"g\",\"content\":\"x\",\"clientMessageId\":\"c1\"}",
         "200 "
         "{\"message\":{\"id\":1000,\"roomId\":\"g\",\"userId\":\"ann\",\"senderId\":\"ann\","
         "\"content\":\"hi\""},
        {CALL_MESSAGE_POST, "g", "zoe", "", "{\"content\":\"hi\"}",
         "403 {\"error\":\"forbidden\""},
        {CALL_MESSAGE_POST, "nope", "ann", "", "{\"content\":\"hi\"}",
         "403 {\"error\":\"forbidden\""},
        {CALL_MESSAGE_POST, "c", "bob", "", "{\"content\":\"hi\"}",
         "403 {\"error\":\"forbidden\""},
        {CALL_MESSAGE_POST, "g", "ann", "", "{\"content\":\"\"}",
         "400 {\"error\":\"invalid_content\""},
        {CALL_MESSAGE_POST, "pub", "zoe", "", "{\"content\":\"let me in\"}",
         "200 {\"message\":{\"id\":"});
    fx_expect(
        g,
        "event 1 {message seq=1 userId=ann content=hi clientMessageId=c1}\nwake c\nwake pub\n",
        "socket");
    assert_int_equal(sim_room_row(fx_row(&fx, "pub"))->last_seq, 2); /* joined, then spoke */
    fx_deinit(&fx);
}

/* Messages "1" to "20" in g; the tail holds 8. */
static void twenty(struct fx *fx)
{
    struct fx_gate *g = &fx->gates[0];
    char text[8];

    fx_init(fx);
    FX_ATTACH(g, .number = 1, .room = "g", .user = "ann", .flags = ATTACH_NO_REPLAY);
    fx_run(fx);
    for (unsigned i = 1; i <= 20; i++) {
        (void)snprintf(text, sizeof(text), "%u", i);
        fx_say(g, 1, i, text, NULL);
    }
    fx_run(fx);
}

/* The contents of the newest reply, in order, and how it ends. */
static void contents(struct fx_gate *g, struct buf *out)
{
    static const char key[] = "\"content\":\"";
    const char *at = g->log.data, *end;

    buf_clear(out);
    buf_put_char(&g->log, 0);
    while ((at = strstr(at, key))) {
        at += sizeof(key) - 1;
        end = strchr(at, '"');
        buf_printf(out, "%.*s ", (int)(end - at), at);
    }
    at = strstr(g->log.data, "\"hasMore\":");
    buf_printf(out, "%s", at ? (at[10] == 't' ? "more" : "end") : g->log.data);
    buf_put_char(out, 0);
}

static void history_pages(void **state)
{
    static const struct {
        const char *params, *want;
    } rows[] = {
        {"{\"limit\":3}", "20 19 18 more"},
        {"{\"limit\":8}", "20 19 18 17 16 15 14 13 more"},
        {"{\"limit\":10}", "20 19 18 17 16 15 14 13 12 11 more"},
        {"{\"limit\":3,\"order\":\"asc\"}", "18 19 20 more"},
        {"{}", "20 19 18 17 16 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1 end"},
        {"{\"limit\":2,\"beforeSeq\":20}", "19 18 more"},
        {"{\"limit\":2,\"beforeSeq\":3}", "2 1 end"},
        {"{\"limit\":2,\"beforeSeq\":1}", "end"},
        {"{\"limit\":2,\"afterSeq\":18}", "20 19 end"},
        {"{\"limit\":2,\"afterSeq\":14,\"order\":\"asc\"}", "15 16 more"},
        {"{\"limit\":3,\"afterSeq\":4,\"order\":\"asc\"}", "5 6 7 more"},
        {"{\"limit\":2,\"afterSeq\":20}", "end"},
        {"{\"limit\":5,\"aroundSeq\":10,\"order\":\"asc\"}", "8 9 10 11 12 more"},
        {"{\"limit\":4,\"aroundSeq\":19}", "20 19 18 more"},
        {"{\"limit\":1,\"aroundSeq\":7}", "7 more"},
        {"{\"before\":\"1969-12-31T00:00:00Z\"}", "reply"},
        {"{\"before\":\"1970-01-01T00:00:00.000Z\"}", "end"},
        {"{\"before\":\"2200-01-01T00:00:00.000Z\",\"limit\":2}", "20 19 more"},
    };
    struct fx fx;
    struct fx_gate *g = &fx.gates[1];
    AUTO_BUF got = BUF_INIT;

    (void)state;
    twenty(&fx);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        fx_forget(g);
        fx_call(g, CALL_HISTORY, "g", "bob", "", rows[i].params);
        fx_run(&fx);
        contents(g, &got);
        if (strncmp(got.data, rows[i].want, strlen(rows[i].want)) != 0)
            fail_msg("%s: got %s, want %s", rows[i].params, got.data, rows[i].want);
    }
    fx_deinit(&fx);
}

static void history_errors(void **state)
{
    struct fx fx;

    (void)state;
    twenty(&fx);
    RUN(&fx, {CALL_HISTORY, "g", "zoe", "", "{}", "403 {\"error\":\"forbidden\""},
        {CALL_HISTORY, "pub", "zoe", "", "{}",
         "200 {\"messages\":[],\"reactions\":{},\"hasMore\":false"},
        {CALL_HISTORY, "g", "bob", "", "{\"limit\":0}", "400 {\"error\":\"invalid_limit\""},
        {CALL_HISTORY, "g", "bob", "", "{\"limit\":501}", "400 {\"error\":\"invalid_limit\""},
        {CALL_HISTORY, "g", "bob", "", "{\"before\":\"yesterday\"}",
         "400 {\"error\":\"invalid_cursor\""},
        {CALL_HISTORY, "g", "bob", "", "{\"beforeSeq\":-1}",
         "400 {\"error\":\"invalid_cursor\""},
        {CALL_HISTORY, "g", "bob", "", "{\"beforeSeq\":5,\"afterSeq\":3}",
         "400 {\"error\":\"invalid_cursor\""},
        {CALL_HISTORY, "g", "bob", "", "{\"order\":\"up\"}", "400 {\"error\":\"bad_request\""});
    fx_deinit(&fx);
}

static void lists_and_look_ups(void **state)
{
    static const uint8_t hash[32] = {0xab, 0xcd};
    struct fx fx;

    (void)state;
    twenty(&fx);
    sim_db_add_project(fx.server.db, "p", "Project", "s3cret");
    sim_db_add_key(fx.server.db, "p", "key-1", hash);
    /* Lists come from the database alone. */
    RUN(&fx, {CALL_ROOMS_LIST, NULL, "bob", "", "{}", "503 {\"error\":\"unavailable\""},
        {CALL_ROOMS_LIST, NULL, "bob", "", "{\"userId\":\"ann\"}",
         "403 {\"error\":\"forbidden\""},
        {CALL_ROOMS_LIST, NULL, "bob", "", "{\"cursor\":\"x.c\"}",
         "400 {\"error\":\"invalid_cursor\""},
        {CALL_ROOMS_LIST, NULL, "bob", "", "{\"type\":\"club\"}",
         "400 {\"error\":\"invalid_type\""},
        {CALL_KEY_LOOKUP, NULL, "", "",
         "{\"keyHash\":\"abcd000000000000000000000000000000000000000000000000000000000000\"}",
         "200 {\"project\":\"p\",\"keyId\":\"key-1\",\"scopes\":["},
        {CALL_KEY_LOOKUP, NULL, "", "",
         "{\"keyHash\":\"abce000000000000000000000000000000000000000000000000000000000000\"}",
         "401 {\"error\":\"invalid_api_key\""},
        {CALL_KEY_LOOKUP, NULL, "", "", "{\"keyHash\":\"abce\"}",
         "400 {\"error\":\"bad_request\""});
    fx_deinit(&fx);
}

static void project_configuration_is_asked_for_once(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];
    struct msg_CALL msg = {.op = CALL_PROJECT_CONFIG,
                           .object = SLICE_LIT("project/p"),
                           .project = SLICE_LIT("p"),
                           .params = SLICE_LIT("{}")};

    (void)state;
    fx_init(&fx);
    sim_db_add_project(fx.server.db, "p", "Project", "s3cret");
    for (msg.call = 1; msg.call <= 3; msg.call++)
        api_on_call(fx.api, g->gate, &msg);
    fx_run(&fx);
    assert_int_equal(
        fx_count(g, " 200 {\"project\":\"p\",\"name\":\"Project\",\"version\":1,\"secrets\":["),
        3);
    assert_true(fx_got(g, "\"key\":\"czNjcmV0\"}]"));
    fx_forget(g);
    sim_server_set_up(&fx.server, false); /* from memory now */
    msg.call = 4;
    api_on_call(fx.api, g->gate, &msg);
    fx_run(&fx);
    assert_true(fx_got(g, "reply 4 200 "));
    fake_env_advance(&fx.fake, PROJECT_STALE_MS / 2);
    msg.call = 5;
    api_on_call(fx.api, g->gate, &msg);
    fx_run(&fx);
    assert_true(fx_got(g, "reply 5 200 ")); /* better than turning everybody away */
    fake_env_advance(&fx.fake, PROJECT_STALE_MS / 2);
    msg.call = 6;
    api_on_call(fx.api, g->gate, &msg);
    fx_run(&fx);
    assert_true(fx_got(g, "reply 6 503 ")); /* but not for ever */
    msg.project = SLICE_LIT("q");           /* not the object's */
    msg.call = 7;
    api_on_call(fx.api, g->gate, &msg);
    fx_run(&fx);
    assert_true(fx_got(g, "reply 7 400 "));
    fx_deinit(&fx);
}

static void calls_end_at_their_deadline(void **state)
{
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    fx_init(&fx);
    sim_server_set_stalled(&fx.server, true);
    fx_call(g, CALL_ROOM_GET, "g", "ann", "", "{}");
    fx_call(g, CALL_ROOM_CREATE, "new", "ann", "", "{\"name\":\"N\",\"type\":\"group\"}");
    fx_call(g, CALL_ROOMS_LIST, NULL, "ann", "", "{}");
    fake_env_advance(&fx.fake, 11000);
    assert_int_equal(fx_count(g, " 503 {\"error\":\"unavailable\""), 3);
    assert_int_equal(fx.metrics.calls_pending, 0);
    sim_server_set_stalled(&fx.server, false);
    fx_run(&fx);
    fx_deinit(&fx);
}

static void a_gateway_that_is_forgotten_gets_no_reply(void **state)
{
    struct fx fx;

    (void)state;
    fx_init(&fx);
    fx_call(&fx.gates[0], CALL_MESSAGE_POST, "g", "ann", "", "{\"content\":\"x\"}");
    gate_drop(TAKE(fx.gates[0].gate));
    fx_run(&fx);
    fx_expect(&fx.gates[0], "", "forgotten");
    assert_int_equal(sim_room_row(fx_row(&fx, "g"))->last_seq, 1);
    fx_deinit(&fx);
}

/* ann says so many texts of 4,000 characters in g. */
static void say_long(struct fx *fx, struct fx_gate *g, uint64_t n_texts)
{
    char text[4001];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    FX_ATTACH(g, .number = 1, .room = "g", .user = "ann", .flags = ATTACH_NO_REPLAY);
    fx_run(fx);
    for (uint64_t n = 1; n <= n_texts; n++)
        fx_say(g, 1, n, text, NULL);
    fx_run(fx);
    fx_forget(g);
}

/* More than one turn may give: the rest comes in the next ones, none is lost. */
static void pages_that_arrive_together_are_made_in_several_turns(void **state)
{
    enum { N = 20 };
    struct fx fx;
    struct fx_gate *g = &fx.gates[0];

    (void)state;
    fx_init(&fx);
    say_long(&fx, g, 20);
    for (int i = 0; i < N; i++)
        fx_call(g, CALL_HISTORY, "g", "ann", "", "{\"limit\":6}");
    assert_true(fx_count(g, "reply ") < N);
    assert_true(fx.metrics.calls_put_off > 0);
    fx_run(&fx);
    assert_int_equal(fx_count(g, " 200 {"), N);
    assert_int_equal(fx.metrics.calls_pending, 0);
    /* One whose turn has not come goes with its link. */
    fx_forget(g);
    for (int i = 0; i < N; i++)
        fx_call(g, CALL_HISTORY, "g", "ann", "", "{\"limit\":6}");
    fx_link_down(g);
    fx_run(&fx);
    assert_int_equal(fx.metrics.calls_pending, 0);
    fx_deinit(&fx);
}

/* What its clients ask for would stand before what happens in rooms. */
static void a_gateway_that_does_not_read_gets_no_more_pages(void **state)
{
    enum { PAGE = 6 * 4000, N = 3 * PACE_REPLY_BYTES / PAGE };
    struct fx fx;
    struct fx_gate *slow = &fx.gates[0], *other = &fx.gates[1];
    size_t before;

    (void)state;
    fx_init(&fx);
    say_long(&fx, slow, 6);
    slow->is_reading_slowly = true;
    for (int i = 0; i < N; i++)
        fx_call(slow, CALL_HISTORY, "g", "ann", "", "{\"limit\":6}");
    fx_run(&fx);
    before = fx_count(slow, " 200 {");
    assert_in_range(before, PACE_REPLY_BYTES / PAGE / 2, PACE_REPLY_BYTES / PAGE + 1);
    /* Others need not wait for it, nor what is small. */
    fx_call(other, CALL_HISTORY, "g", "ann", "", "{\"limit\":6}");
    fx_call(slow, CALL_ROOM_GET, "g", "ann", "", "{}");
    fx_run(&fx);
    assert_int_equal(fx_count(other, " 200 {"), 1);
    assert_int_equal(fx_count(slow, " 200 {"), before + 1);
    fx_pong(slow);
    fx_run(&fx);
    assert_true(fx_count(slow, " 200 {") > before + 1);
    slow->is_reading_slowly = false;
    while (slow->pings > 0)
        fx_pong(slow);
    fx_run(&fx);
    assert_int_equal(fx_count(slow, " 200 {"), N + 1);
    assert_int_equal(fx.metrics.calls_pending, 0);
    /* Those that wait for it go with its link. */
    slow->is_reading_slowly = true;
    for (int i = 0; i < N; i++)
        fx_call(slow, CALL_HISTORY, "g", "ann", "", "{\"limit\":6}");
    fx_run(&fx);
    assert_true(fx.metrics.calls_pending > 0);
    fx_link_down(slow);
    fx_run(&fx);
    assert_int_equal(fx.metrics.calls_pending, 0);
    fx_deinit(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rooms_are_made_once),
        cmocka_unit_test(bad_rooms_are_refused),
        cmocka_unit_test(members_come_and_go),
        cmocka_unit_test(of_two_owners_who_leave_at_once_one_stays),
        cmocka_unit_test(who_is_removed_loses_his_sockets),
        cmocka_unit_test(posting_is_the_same_write_path),
        cmocka_unit_test(history_pages),
        cmocka_unit_test(history_errors),
        cmocka_unit_test(lists_and_look_ups),
        cmocka_unit_test(project_configuration_is_asked_for_once),
        cmocka_unit_test(calls_end_at_their_deadline),
        cmocka_unit_test(a_gateway_that_is_forgotten_gets_no_reply),
        cmocka_unit_test(pages_that_arrive_together_are_made_in_several_turns),
        cmocka_unit_test(a_gateway_that_does_not_read_gets_no_more_pages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
