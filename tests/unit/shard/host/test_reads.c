/* test_reads.c - read pointers: gathered, written in turn, answered, and what happens when the
 * store is away or the room goes. The store's answers are the test's. */
#include "common/base/limits.h"
#include "shard/host/room_host.h"
#include "shard/store/sql.h"
#include "tests/unit/shard/host/fixture.h"

/* A store like the simulated one, but for queries: one at a time, kept until the test answers.
 */
static struct store_ops ops;
static int (*others)(struct store *s, const struct store_query *q, store_query_fn fn,
                     void *arg);
static struct {
    store_query_fn fn;
    void *arg;
    char asked[500]; /* the users and ids */
    size_t n;        /* so many came */
} query;

static int take_query(struct store *s, const struct store_query *q, store_query_fn fn,
                      void *arg)
{
    struct slice text = q->params[2].text;

    if (q->id != SQL_QUERY_read_put)
        return others(s, q, fn, arg);
    assert_null(query.fn); /* never two at a time of one room */
    query.fn = fn;
    query.arg = arg;
    query.n++;
    (void)snprintf(query.asked, sizeof(query.asked), "%.*s", (int)text.len, text.data);
    return 0;
}

/* found, visible to (NULL: all), moved at (NULL: it did not) for each that was asked about. */
struct answer {
    bool found;
    const char *visible_to, *at;
};

static void answer(struct fx *fx, enum store_result result, const struct answer *rows, size_t n)
{
    struct slice cells[3 * 8] = {{0}};
    struct query_rows all = {.n_rows = n, .n_columns = 3, .cells = cells};
    store_query_fn fn = query.fn;

    for (size_t i = 0; i < n; i++) {
        cells[3 * i] = slice_str(rows[i].found ? "true" : "false");
        if (rows[i].visible_to)
            cells[3 * i + 1] = slice_str(rows[i].visible_to);
        if (rows[i].at)
            cells[3 * i + 2] = slice_str(rows[i].at);
    }
    assert_non_null(fn);
    query.fn = NULL;
    fn(query.arg, result, result == STORE_OK ? &all : NULL, false);
    fx_run(fx);
}

#define ANSWER(fx, ...)                                                                        \
    answer((fx), STORE_OK, (const struct answer[]){__VA_ARGS__},                               \
           ARRAY_LEN(((const struct answer[]){__VA_ARGS__})))

#define AT "2026-01-01T00:00:00.000Z"

static int64_t ids[8]; /* of the messages with seq 1.. in room g */

/* ann is at gate 0, bob at gate 1, the room has five messages. */
static void begin(struct fx *fx)
{
    struct room_host *room;

    fx_init(fx);
    ops = *fx->store->ops;
    others = ops.query;
    ops.query = take_query;
    fx->store->ops = &ops;
    memset(&query, 0, sizeof(query));
    FX_ATTACH(&fx->gates[0], .number = 1, .room = "g", .user = "ann",
              .flags = ATTACH_NO_REPLAY);
    FX_ATTACH(&fx->gates[1], .number = 1, .room = "g", .user = "bob",
              .flags = ATTACH_NO_REPLAY);
    fx_run(fx);
    for (uint64_t n = 1; n <= 5; n++)
        fx_say(&fx->gates[0], 1, n, "hello", NULL);
    fake_env_advance(&fx->fake, 2000);
    room = room_find(fx->host, SLICE_LIT("p"), SLICE_LIT("g"));
    assert_non_null(room);
    for (uint64_t seq = 1; seq <= 5; seq++)
        ids[seq] = tail_at(&room->tail, seq - 1)->id;
    for (size_t i = 0; i < 3; i++)
        fx_forget(&fx->gates[i]);
}

static void read_frame(struct fx *fx, int gate, uint64_t n, int64_t id)
{
    char text[100];

    (void)snprintf(text, sizeof(text), "{\"type\":\"read\",\"messageId\":%lld}", (long long)id);
    fx_frame(&fx->gates[gate], 1, n, 0, text);
}

static void read_call(struct fx *fx, const char *user, int64_t id)
{
    char text[100];

    (void)snprintf(text, sizeof(text), "{\"messageId\":%lld}", (long long)id);
    fx_call(&fx->gates[2], CALL_ROOM_READ, "g", user, "", text);
}

static void check_asked(const char *user, int64_t id, const char *name)
{
    char text[200];

    (void)snprintf(text, sizeof(text), "[{\"u\":\"%s\",\"i\":%lld}]", user, (long long)id);
    CHECK(strcmp(query.asked, text) == 0, name);
}

static void a_frame_is_settled_at_once_and_told_when_it_is_written(void **state)
{
    struct fx fx;

    (void)state;
    begin(&fx);
    read_frame(&fx, 1, 1, ids[3]);
    fx_run(&fx);
    fx_expect(&fx.gates[1], "to 1 done=1\n", "settled");
    check_asked("bob", ids[3], "asked");
    assert_int_equal(fx.metrics.reads_waiting, 1);
    ANSWER(&fx, {true, NULL, AT});
    assert_true(fx_got(&fx.gates[0], "ephemeral {read userId=bob"));
    assert_int_equal(fx.metrics.reads_waiting, 0);
    assert_int_equal(fx.metrics.reads_written, 1);
    fx_forget(&fx.gates[0]);
    /* Further within the second: the next write waits, the newest counts. */
    read_frame(&fx, 1, 2, ids[4]);
    read_frame(&fx, 1, 3, ids[5]);
    read_frame(&fx, 1, 4, ids[2]);
    fake_env_advance(&fx.fake, 500);
    assert_int_equal(query.n, 1);
    fake_env_advance(&fx.fake, 600);
    check_asked("bob", ids[5], "the newest");
    /* It was written before, by another way: nothing moves, nobody is told. */
    ANSWER(&fx, {true, NULL, NULL});
    assert_false(fx_got(&fx.gates[0], "{read"));
    fx_deinit(&fx);
}

static void of_a_whisper_only_those_learn_who_may_see_it(void **state)
{
    struct fx fx;

    (void)state;
    begin(&fx);
    read_frame(&fx, 1, 1, ids[3]);
    fx_run(&fx);
    fx_forget(&fx.gates[1]);
    ANSWER(&fx, {true, "bob,cid", AT});
    assert_true(fx_got(&fx.gates[1], "to 1 {read userId=bob"));
    assert_false(fx_got(&fx.gates[0], "{read"));
    fx_deinit(&fx);
}

static void a_call_is_answered_after_its_write(void **state)
{
    struct fx fx;

    (void)state;
    begin(&fx);
    read_call(&fx, "ann", ids[2]);
    read_call(&fx, "bob", ids[4]);
    fx_run(&fx);
    assert_false(fx_got(&fx.gates[2], "reply"));
    ANSWER(&fx, {true, NULL, AT}, {false, NULL, NULL});
    assert_true(fx_got(&fx.gates[2], "reply 1 200 {\"ok\":true}"));
    assert_true(fx_got(&fx.gates[2], "reply 2 404 {\"error\":\"message_not_found\""));
    read_call(&fx, "zoe", ids[2]);
    read_call(&fx, "ann", ids[5] + 1000000);
    fx_run(&fx);
    assert_true(fx_got(&fx.gates[2], "reply 3 403 {\"error\":\"forbidden\""));
    assert_true(fx_got(&fx.gates[2], "reply 4 404 {\"error\":\"message_not_found\""));
    fx_deinit(&fx);
}

/* Two devices of a user: the one that names a message which turns out not to be there does not
 * spoil the other's. */
static void a_mark_that_was_lost_does_not_take_another_with_it(void **state)
{
    struct fx fx;

    (void)state;
    begin(&fx);
    read_call(&fx, "bob", ids[3]);
    read_call(&fx, "bob", ids[4]);
    fx_run(&fx);
    check_asked("bob", ids[4], "the newest");
    ANSWER(&fx, {false, NULL, NULL});
    assert_true(fx_got(&fx.gates[2], "reply 2 404"));
    assert_false(fx_got(&fx.gates[2], "reply 1"));
    fake_env_advance(&fx.fake, 1100);
    check_asked("bob", ids[3], "his own");
    ANSWER(&fx, {true, NULL, AT});
    assert_true(fx_got(&fx.gates[2], "reply 1 200"));
    fx_deinit(&fx);
}

static void what_the_store_did_not_take_is_tried_again(void **state)
{
    struct fx fx;

    (void)state;
    begin(&fx);
    read_frame(&fx, 1, 1, ids[3]);
    read_call(&fx, "bob", ids[2]);
    fx_run(&fx);
    answer(&fx, STORE_UNAVAILABLE, NULL, 0);
    assert_true(fx_got(&fx.gates[2], "reply 1 503 {\"error\":\"unavailable\""));
    assert_int_equal(fx.metrics.reads_waiting, 1);
    assert_int_equal(fx.metrics.reads_failed, 1);
    fake_env_advance(&fx.fake, STORE_RETRY_MAX_MS);
    check_asked("bob", ids[3], "again");
    ANSWER(&fx, {true, NULL, AT});
    assert_int_equal(fx.metrics.reads_waiting, 0);
    fx_deinit(&fx);
}

static void a_room_does_not_go_before_its_pointers_are_written(void **state)
{
    struct fx fx;
    struct sim_room *row;

    (void)state;
    begin(&fx);
    row = fx_row(&fx, "g");
    assert_non_null(row);
    read_frame(&fx, 1, 1, ids[3]);
    fake_env_advance(&fx.fake, 3 * ROOM_IDLE_MS);
    assert_non_null(room_find(fx.host, SLICE_LIT("p"), SLICE_LIT("g")));
    read_call(&fx, "ann", ids[5]);
    fx_set_ring(&fx, false);
    assert_false(fx_got(&fx.gates[0], "moved"));
    ANSWER(&fx, {true, NULL, AT});
    /* What came behind is written without a pause, then the room goes. */
    check_asked("ann", ids[5], "the rest");
    assert_false(fx_got(&fx.gates[0], "moved"));
    ANSWER(&fx, {true, NULL, AT});
    assert_true(fx_got(&fx.gates[0], "moved room/p/g"));
    assert_null(room_find(fx.host, SLICE_LIT("p"), SLICE_LIT("g")));
    fx_deinit(&fx);
}

static void a_store_that_is_away_does_not_hold_a_room(void **state)
{
    struct fx fx;

    (void)state;
    begin(&fx);
    read_frame(&fx, 1, 1, ids[3]);
    fx_run(&fx);
    fx_set_ring(&fx, false);
    fake_env_advance(&fx.fake, ROOM_LEAVE_MS + 100);
    assert_true(fx_got(&fx.gates[0], "moved room/p/g"));
    /* The answer finds nobody. */
    ANSWER(&fx, {true, NULL, AT});
    assert_int_equal(fx.metrics.reads_waiting, 0);
    fx_deinit(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_is_settled_at_once_and_told_when_it_is_written),
        cmocka_unit_test(of_a_whisper_only_those_learn_who_may_see_it),
        cmocka_unit_test(a_call_is_answered_after_its_write),
        cmocka_unit_test(a_mark_that_was_lost_does_not_take_another_with_it),
        cmocka_unit_test(what_the_store_did_not_take_is_tried_again),
        cmocka_unit_test(a_room_does_not_go_before_its_pointers_are_written),
        cmocka_unit_test(a_store_that_is_away_does_not_hold_a_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
