/* test_servers_pg.c - another server than before answers: generations of rooms, numbers that
 * were drawn, and servers that will not do. The timeline is what server_timeline() says. */
#include <stdlib.h>

#include "pg_fixture.h"

#define CUT_ALL                                                                                \
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE "      \
    "'fluxy-shard %%'"

static int setup(void **state)
{
    struct pgx *x = calloc(1, sizeof(*x));

    *state = x;
    pgx_init(x, 2);
    return 0;
}

static int teardown(void **state)
{
    pgx_deinit(*state);
    free(*state);
    return 0;
}

static void set_timeline(struct pgx *x, const char *timeline)
{
    (void)pgx_sql(x,
                  "CREATE OR REPLACE FUNCTION server_timeline() RETURNS text LANGUAGE sql "
                  "VOLATILE AS $$ SELECT '%s' $$",
                  timeline);
}

/* As after a failover that has lost nothing of what is there. */
static void fail_over(struct pgx *x, const char *timeline)
{
    set_timeline(x, timeline);
    pgx_cut(x, CUT_ALL, x->connections);
    pgx_wait_up(x);
}

static void write_one(struct pgx *x, const char *room, uint64_t fence, uint64_t expect_seq)
{
    struct pgx_batch b;
    struct pgx_submit s;

    pgx_batch_init(&b, 100 + (int64_t)expect_seq);
    (void)pgx_batch_room(&b, room, fence, expect_seq, 1, "x");
    pgx_submit(x, &b.batch, &s);
    assert_true(s.result == STORE_OK && s.committed[0]);
    pgx_batch_deinit(&b);
}

static struct room_row claim(struct pgx *x, const char *room, uint64_t fence)
{
    struct pgx_claim c;

    pgx_claim(x, room, fence, &c);
    assert_int_equal(c.result, STORE_OK);
    return c.row;
}

static void a_restart_changes_nothing(void **state)
{
    struct pgx *x = *state;
    struct room_row row;

    (void)pgx_create_room(x, "a", 1);
    pgx_cut(x, CUT_ALL, x->connections);
    pgx_wait_up(x);
    row = claim(x, "a", 2);
    assert_int_equal(row.generation, 1);
    assert_int_equal(row.forked_from, 0);
    assert_int_equal(store_pg_stats(x->store)->replaced, 0);
    assert_string_equal(pgx_sql(x, "SELECT count(*) FROM server_epochs"), "1");
}

static void rooms_fork_at_their_first_claim(void **state)
{
    struct pgx *x = *state;
    struct room_row row, again, third;

    (void)pgx_create_room(x, "a", 1);
    write_one(x, "a", 1, 0);
    write_one(x, "a", 1, 1);
    fail_over(x, "00000002");
    assert_int_equal(store_pg_stats(x->store)->replaced, 1);
    row = claim(x, "a", 2);
    assert_true(row.generation > 1);
    assert_int_equal(row.forked_from, 1);
    assert_int_equal(row.forked_at, 2);
    write_one(x, "a", 2, 2);
    again = claim(x, "a", 3);
    assert_int_equal(again.generation, row.generation);
    assert_int_equal(again.forked_from, 1);
    assert_int_equal(again.forked_at, 2);
    fail_over(x, "00000003");
    third = claim(x, "a", 4);
    assert_true(third.generation != row.generation && third.generation > 1);
    assert_int_equal(third.forked_from, row.generation);
    assert_int_equal(third.forked_at, 3);
}

static void new_rooms_are_of_the_generation_of_their_server(void **state)
{
    struct pgx *x = *state;
    struct room_row row;

    (void)pgx_create_room(x, "old", 1);
    write_one(x, "old", 1, 0);
    (void)pgx_sql(x, "UPDATE rooms SET deleted_at = now(), fence = 0");
    fail_over(x, "00000002");
    assert_true(pgx_create_room(x, "new", 1));
    row = claim(x, "new", 2);
    assert_true(row.generation > 1);
    assert_int_equal(row.forked_from, 0);
    assert_true(pgx_create_room(x, "old", 1)); /* goes on with its numbers */
    row = claim(x, "old", 2);
    assert_true(row.generation > 1);
    assert_int_equal(row.forked_from, 1);
    assert_int_equal(row.forked_at, 1);
    assert_int_equal(row.last_seq, 1);
}

struct ids {
    bool done;
    int64_t first;
};

static void on_ids(void *arg, enum store_result result, int64_t first, uint32_t count)
{
    struct ids *ids = arg;

    assert_int_equal(result, STORE_OK);
    assert_true(count > 0);
    *ids = (struct ids){true, first};
}

static int64_t next_id(struct pgx *x)
{
    struct ids ids = {0};

    assert_int_equal(x->store->ops->id_block(x->store, on_ids, &ids), 0);
    pgx_wait(x, &ids.done);
    return ids.first;
}

static uint64_t next_incarnation(struct pgx *x)
{
    AUTO(store_admin_close) struct store_admin *admin = NULL;
    AUTO_BUF problem = BUF_INIT;
    uint64_t incarnation = 0;

    assert_int_equal(store_admin_open(x->url, false, &problem, &admin), 0);
    assert_int_equal(store_admin_incarnation(admin, &problem, &incarnation), 0);
    return incarnation;
}

/* A standby that was behind does not know what has been drawn; whoever comes first to it makes
 * it go on far above, be it a shard that starts. */
static void numbers_that_were_drawn_are_not_drawn_again(void **state)
{
    struct pgx *x = *state;
    uint64_t incarnation = next_incarnation(x);
    int64_t id = next_id(x);

    (void)pgx_sql(x, "SELECT setval('message_id_block', 1); SELECT setval('shard_incarnation', "
                     "1)");
    set_timeline(x, "00000002");
    assert_true(next_incarnation(x) > incarnation + 1000);
    pgx_cut(x, CUT_ALL, x->connections);
    pgx_wait_up(x);
    assert_true(next_id(x) > id + 1000);
    assert_true(next_id(x) < INT64_C(1) << 53);
    assert_string_equal(pgx_sql(x, "SELECT count(*) FROM server_epochs"), "2");
}

/* Of two standbys that both became primaries on the same timeline, neither knows of the other.
 */
static void generations_of_two_primaries_differ(void **state)
{
    struct pgx *x = *state;
    uint64_t first;

    (void)pgx_create_room(x, "a", 1);
    fail_over(x, "00000002");
    first = claim(x, "a", 2).generation;
    (void)pgx_sql(x,
                  "DELETE FROM server_epochs WHERE number = 2; UPDATE rooms SET generation = "
                  "1, forked_from = NULL, forked_at = NULL");
    pgx_cut(x, CUT_ALL, x->connections);
    pgx_wait_up(x);
    assert_int_equal(store_pg_stats(x->store)->replaced, 2);
    assert_true(claim(x, "a", 3).generation != first);
}

/* It has come back by itself, and would take writes that nobody else knows of. */
static void an_old_primary_is_left(void **state)
{
    struct pgx *x = *state;
    const struct store_pg_stats *stats;
    uint64_t generation;

    (void)pgx_create_room(x, "a", 1);
    fail_over(x, "00000002");
    generation = claim(x, "a", 2).generation;
    set_timeline(x, "00000001");
    stats = store_pg_stats(x->store);
    pgx_cut(x, CUT_ALL, x->connections);
    pgx_wait_errors(x, PG_ERROR_READ_ONLY, stats->errors[PG_ERROR_READ_ONLY] + 3);
    assert_int_equal(stats->connections, 0);
    set_timeline(x, "00000002");
    pgx_wait_up(x);
    assert_int_equal(stats->replaced, 1);
    assert_int_equal(claim(x, "a", 3).generation, generation); /* nothing was written there */
}

/* One connection reaches the new server first: what the others have to the old one ends. */
static void nobody_stays_with_the_server_before(void **state)
{
    struct pgx *x = *state;
    const struct store_pg_stats *stats = store_pg_stats(x->store);
    uint64_t disconnects = stats->disconnects;

    set_timeline(x, "00000002");
    pgx_cut(x,
            "SELECT pg_terminate_backend(max(pid)) FROM pg_stat_activity WHERE "
            "application_name = 'fluxy-shard lane'",
            1);
    pgx_wait_disconnects(x, disconnects + x->connections);
    pgx_wait_up(x);
    assert_int_equal(stats->replaced, 1);
    assert_int_equal(stats->disconnects, disconnects + x->connections);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_restart_changes_nothing),
        TEST(rooms_fork_at_their_first_claim),
        TEST(new_rooms_are_of_the_generation_of_their_server),
        TEST(numbers_that_were_drawn_are_not_drawn_again),
        TEST(generations_of_two_primaries_differ),
        TEST(an_old_primary_is_left),
        TEST(nobody_stays_with_the_server_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
