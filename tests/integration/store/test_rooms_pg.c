/* test_rooms_pg.c - on a real PostgreSQL: rooms are deleted, swept and made anew; messages by
 * id and by the time at which they expire. */
#include <stdlib.h>
#include <time.h>

#include "pg_fixture.h"
#include "shard/limits.h"

static int setup(void **state)
{
    struct pgx *x = calloc(1, sizeof(*x));

    *state = x;
    pgx_init(x, 1);
    assert_true(pgx_create_room(x, "a", 1));
    assert_true(pgx_create_room(x, "b", 1));
    return 0;
}

static int teardown(void **state)
{
    pgx_deinit(*state);
    free(*state);
    return 0;
}

/* ---- calls that wait ---- */

struct answer {
    bool done, flag;
    enum store_result result;
    char room[8];
    uint64_t seq;
    size_t n;
};

static void on_flag(void *arg, enum store_result result, bool flag)
{
    struct answer *a = arg;

    assert_false(a->done);
    a->done = true;
    a->result = result;
    a->flag = flag;
}

static void on_swept(void *arg, enum store_result result, uint64_t n, bool more)
{
    struct answer *a = arg;

    on_flag(a, result, more);
    a->n = n;
}

static void on_found(void *arg, enum store_result result, struct slice room, struct entry *e)
{
    struct answer *a = arg;

    a->done = true;
    a->result = result;
    snprintf(a->room, sizeof(a->room), "%.*s", (int)room.len, room.data);
    a->seq = e ? e->seq : 0;
}

static void on_due(void *arg, enum store_result result, const struct due_row *rows, size_t n)
{
    struct answer *a = arg;

    assert_int_equal(result, STORE_OK);
    a->done = true;
    a->n = n;
    if (n > 0)
        a->seq = rows[0].seq;
}

static void on_page(void *arg, enum store_result result, const struct page *page)
{
    struct answer *a = arg;

    a->done = true;
    a->result = result;
    a->n = page ? page->n_entries : 0;
    a->seq = page ? page->resume_floor : 0;
}

static struct answer delete_room(struct pgx *x, const char *room, uint64_t fence)
{
    struct answer a = {0};

    assert_int_equal(x->store->ops->delete_room(x->store, SLICE_LIT("p"), slice_str(room),
                                                fence, on_flag, &a),
                     0);
    pgx_wait(x, &a.done);
    return a;
}

static uint64_t x_swept; /* rows, as sweep() was told */

static bool sweep(struct pgx *x, enum sweep_kind kind)
{
    struct answer a = {0};

    assert_int_equal(x->store->ops->sweep(x->store, kind, on_swept, &a), 0);
    pgx_wait(x, &a.done);
    assert_int_equal(a.result, STORE_OK);
    assert_true(a.n <= SWEEP_ROWS);
    x_swept += a.n;
    return a.flag;
}

static struct answer find(struct pgx *x, const char *room, int64_t id)
{
    struct find_query query = {SLICE_LIT("p"), slice_str(room), id};
    struct answer a = {0};

    assert_int_equal(x->store->ops->find(x->store, &query, on_found, &a), 0);
    pgx_wait(x, &a.done);
    return a;
}

static struct answer due(struct pgx *x, int64_t before_us, uint32_t limit)
{
    struct answer a = {0};

    assert_int_equal(x->store->ops->due(x->store, before_us, limit, on_due, &a), 0);
    pgx_wait(x, &a.done);
    return a;
}

static struct answer page(struct pgx *x, const char *room)
{
    struct page_query query = {.project = SLICE_LIT("p"),
                               .room = slice_str(room),
                               .kind = PAGE_CHANGED_AFTER,
                               .limit = 100};
    struct answer a = {0};

    assert_int_equal(x->store->ops->page(x->store, &query, on_page, &a), 0);
    pgx_wait(x, &a.done);
    return a;
}

static void fill(struct pgx *x, const char *room, uint64_t fence, uint64_t seq, unsigned n,
                 int64_t first_id)
{
    struct pgx_batch b;
    struct pgx_submit s;

    pgx_batch_init(&b, first_id);
    (void)pgx_batch_room(&b, room, fence, seq, n, "x");
    pgx_submit(x, &b.batch, &s);
    assert_int_equal(s.result, STORE_OK);
    assert_true(s.committed[0]);
    pgx_batch_deinit(&b);
}

/* Rows of every table that has some of a room. */
static void furnish(struct pgx *x, unsigned messages)
{
    static const char *const texts[] = {
        "INSERT INTO restrictions VALUES ('p', 'a', 'eve', 'infinity')",
        "INSERT INTO read_state VALUES ('p', 'bob', 'a', 1, 1, 1, now())",
        "INSERT INTO mentions VALUES ('p', 'bob', 'a', 1, now()), ('p', 'bob', 'b', 1, now())",
        "INSERT INTO drafts VALUES ('p', 'bob', 'a', 'text')",
        "INSERT INTO snoozes VALUES ('p', 'bob', 'a', now())",
        "INSERT INTO follow_ups VALUES ('p', 'bob', DEFAULT, 'a', 1)",
        "INSERT INTO notifications_read VALUES ('p', 'bob', 'a', 1)",
        "INSERT INTO message_search VALUES ('p', 'a', 1, 'word')",
        "INSERT INTO search_state VALUES ('p', 'a', 1)",
        "INSERT INTO room_ops VALUES ('p', 'a', gen_random_uuid(), 1, 1)",
        "INSERT INTO deliveries VALUES ('p', 1000001, 'bob', 'read')",
    };

    (void)pgx_sql(
        x,
        "INSERT INTO timeline (project_id, room_id, seq, updated_seq, id, created_at,"
        " dedupe, kind, version, user_id, content, expires_at, message_no) SELECT 'p',"
        " 'a', i, i, 1000000 + i, now(), md5(i::text)::uuid, 1, 1, 'ann', 'old',"
        " now() - interval '1 h', i FROM generate_series(1, %u) i",
        messages);
    (void)pgx_sql(x,
                  "UPDATE rooms SET last_seq = %u, last_id = 1000000 + %u, message_count = %u,"
                  " pinned_id = 1, settings = '{}' WHERE room_id = 'a'",
                  messages, messages, messages);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        (void)pgx_sql(x, "%s", texts[i]);
}

static const char *rows_left(struct pgx *x)
{
    return pgx_sql(
        x, "SELECT concat_ws(' ', (SELECT count(*) FROM timeline WHERE room_id = 'a'),"
           " (SELECT count(*) FROM members WHERE room_id = 'a')"
           " + (SELECT count(*) FROM restrictions) + (SELECT count(*) FROM read_state)"
           " + (SELECT count(*) FROM drafts) + (SELECT count(*) FROM snoozes)"
           " + (SELECT count(*) FROM follow_ups) + (SELECT count(*) FROM notifications_read)"
           " + (SELECT count(*) FROM message_search) + (SELECT count(*) FROM search_state)"
           " + (SELECT count(*) FROM room_ops) + (SELECT count(*) FROM deliveries)"
           " + (SELECT count(*) FROM mentions WHERE room_id = 'a'),"
           " (SELECT count(*) FROM mentions))");
}

/* ---- deletion ---- */

static void a_deleted_room_is_gone_for_readers_at_once(void **state)
{
    struct pgx *x = *state;
    struct pgx_batch b;
    struct pgx_submit s;
    struct pgx_claim c;
    struct answer a;

    furnish(x, 3);
    assert_int_equal(due(x, INT64_C(4000000000000000), 10).n, 3);
    a = delete_room(x, "a", 2);
    assert_int_equal(a.result, STORE_OK);
    assert_false(a.flag); /* another's */
    assert_true(delete_room(x, "a", 1).flag);
    assert_int_equal(delete_room(x, "a", 1).result, STORE_NOT_FOUND);
    assert_int_equal(delete_room(x, "none", 1).result, STORE_NOT_FOUND);
    pgx_claim(x, "a", 1, &c);
    assert_int_equal(c.result, STORE_NOT_FOUND);
    assert_int_equal(page(x, "a").result, STORE_NOT_FOUND);
    assert_int_equal(find(x, "", 1000001).result, STORE_NOT_FOUND);
    assert_int_equal(due(x, INT64_C(4000000000000000), 10).n, 0);
    pgx_batch_init(&b, 100);
    (void)pgx_batch_room(&b, "a", 1, 3, 1, "x"); /* what was still under way */
    pgx_submit(x, &b.batch, &s);
    assert_false(s.committed[0]);
    pgx_batch_deinit(&b);
    assert_string_equal(pgx_sql(x, "SELECT concat_ws(' ', fence, resume_floor, last_seq,"
                                   " pinned_id, settings) FROM rooms WHERE room_id = 'a'"),
                        "0 3 3");
}

static void a_deletion_waits_for_a_batch_in_flight(void **state)
{
    struct pgx *x = *state;
    struct answer a = {0};

    (void)pgx_sql(x, "BEGIN; UPDATE rooms SET last_seq = 7 WHERE room_id = 'a'");
    assert_int_equal(
        x->store->ops->delete_room(x->store, SLICE_LIT("p"), SLICE_LIT("a"), 1, on_flag, &a),
        0);
    pgx_wait_sql(x, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
                 "1");
    assert_false(a.done);
    (void)pgx_sql(x, "COMMIT");
    pgx_wait(x, &a.done);
    assert_true(a.flag);
    assert_string_equal(pgx_sql(x, "SELECT resume_floor FROM rooms WHERE room_id = 'a'"), "7");
}

static void what_is_left_goes_in_slices(void **state)
{
    struct pgx *x = *state;
    unsigned slices = 0;

    furnish(x, 2 * SWEEP_ROWS + 1);
    assert_false(sweep(x, SWEEP_ROOMS)); /* nothing is deleted */
    assert_true(delete_room(x, "a", 1).flag);
    x_swept = 0;
    assert_true(sweep(x, SWEEP_ROOMS));
    assert_int_equal(strtol(rows_left(x), NULL, 10), SWEEP_ROWS + 1);
    while (sweep(x, SWEEP_ROOMS))
        slices++;
    assert_int_equal(slices, 2);
    assert_int_equal(x_swept, 2 * SWEEP_ROWS + 1);
    assert_string_equal(rows_left(x), "0 0 1"); /* the mention in the other room */
    assert_string_equal(pgx_sql(x, "SELECT has_remains FROM rooms WHERE room_id = 'a'"), "f");
    fill(x, "b", 1, 0, 2, 100);
    assert_int_equal(page(x, "b").n, 2);
}

static void a_room_made_anew_shows_nothing_old(void **state)
{
    struct pgx *x = *state;
    struct pgx_claim c;
    struct answer a;

    furnish(x, SWEEP_ROWS + 5);
    assert_true(delete_room(x, "a", 1).flag);
    assert_true(pgx_create_room(x, "a", 5));    /* before anybody has swept */
    assert_string_equal(rows_left(x), "0 1 1"); /* the new owner */
    assert_false(sweep(x, SWEEP_ROOMS));
    pgx_claim(x, "a", 6, &c);
    assert_int_equal(c.result, STORE_OK);
    assert_int_equal(c.row.last_seq, SWEEP_ROWS + 5);
    assert_int_equal(c.row.last_id, 1000000 + SWEEP_ROWS + 5);
    assert_int_equal(c.row.resume_floor, SWEEP_ROWS + 5);
    assert_int_equal(c.row.generation, 1);
    assert_int_equal(c.row.message_count, 0);
    assert_int_equal(c.row.pinned_id, 0);
    assert_int_equal(c.n_tail, 0);
    assert_int_equal(c.n_members, 1);
    assert_int_equal(c.n_restrictions, 0);
    (void)pgx_sql(x, "UPDATE rooms SET last_seq = 0 WHERE room_id = 'a'");
    fill(x, "a", 6, 0, 1, 2000000); /* an old seq and key would be duplicates */
    a = page(x, "a");
    assert_int_equal(a.n, 1);
    assert_int_equal(a.seq, SWEEP_ROWS + 5);
    assert_false(pgx_create_room(x, "a", 7));
}

static void a_creation_waits_for_a_sweep_that_is_under_way(void **state)
{
    struct pgx *x = *state;
    struct room_create create = {.project = SLICE_LIT("p"),
                                 .room = SLICE_LIT("a"),
                                 .type = SLICE_LIT("public"),
                                 .name = SLICE_LIT("again"),
                                 .created_by = SLICE_LIT("bob"),
                                 .created_us = 1800000000000000,
                                 .fence = 3};
    struct answer a = {0};

    furnish(x, 5);
    assert_true(delete_room(x, "a", 1).flag);
    (void)pgx_sql(x, "BEGIN; SELECT 1 FROM rooms WHERE room_id = 'a' FOR UPDATE");
    assert_false(sweep(x, SWEEP_ROOMS)); /* somebody else does it */
    assert_int_equal(x->store->ops->create_room(x->store, &create, on_flag, &a), 0);
    pgx_wait_sql(x, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
                 "1");
    assert_false(a.done);
    (void)pgx_sql(x, "COMMIT");
    pgx_wait(x, &a.done);
    assert_int_equal(a.result, STORE_OK);
    assert_true(a.flag);
    assert_string_equal(rows_left(x), "0 0 1");
    assert_string_equal(
        pgx_sql(x, "SELECT concat_ws(' ', type, name, created_by, fence,"
                   " extract(epoch FROM created_at)::bigint) FROM rooms WHERE room_id = 'a'"),
        "public again bob 3 1800000000");
}

static void old_keys_of_changes_go(void **state)
{
    struct pgx *x = *state;

    (void)pgx_sql(x,
                  "INSERT INTO room_ops SELECT 'p', 'a', gen_random_uuid(), i, i, now() - "
                  "interval '2 h' FROM generate_series(1, %d) i",
                  SWEEP_ROWS + 3);
    (void)pgx_sql(x, "INSERT INTO room_ops VALUES ('p', 'a', gen_random_uuid(), 1, 1)");
    assert_true(sweep(x, SWEEP_KEYS));
    assert_string_equal(pgx_sql(x, "SELECT count(*) FROM room_ops"), "4");
    assert_false(sweep(x, SWEEP_KEYS));
    assert_string_equal(pgx_sql(x, "SELECT count(*) FROM room_ops"), "1");
}

/* ---- a shard whose clock is wrong ---- */

static const struct env_ops *right;

static uint64_t mono_ms_of_right(struct env *env)
{
    struct timespec ts;

    (void)env;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int64_t wall_us_of_tomorrow(struct env *env)
{
    return right->wall_us(env) + (int64_t)24 * 3600 * 1000000;
}

/* How long a key is kept is for how long a repeat is known. */
static void keys_of_changes_stay_when_a_shard_has_a_fast_clock(void **state)
{
    struct pgx *x = *state;
    struct env *env = loop_env(x->loop);
    struct env_ops fast;
    struct answer a = {0};

    (void)pgx_sql(x, "INSERT INTO room_ops VALUES ('p', 'a', gen_random_uuid(), 1, 1)");
    right = env->ops;
    fast = *right;
    fast.wall_us = wall_us_of_tomorrow;
    fast.mono_ms = mono_ms_of_right; /* the loop's own asks whose it is */
    env->ops = &fast;
    assert_int_equal(x->store->ops->sweep(x->store, SWEEP_KEYS, on_swept, &a), 0);
    env->ops = right;
    pgx_wait(x, &a.done);
    assert_int_equal(a.result, STORE_OK);
    assert_int_equal(a.n, 0);
    assert_string_equal(pgx_sql(x, "SELECT count(*) FROM room_ops"), "1");
}

/* ---- by id, by expiry ---- */

static void a_message_is_found_by_its_id(void **state)
{
    struct pgx *x = *state;
    struct answer a;

    fill(x, "a", 1, 0, 3, 100);
    fill(x, "b", 1, 0, 2, 200);
    (void)pgx_sql(x, "UPDATE timeline SET deleted_at = now() WHERE id = 101");
    a = find(x, "", 101);
    assert_int_equal(a.result, STORE_OK);
    assert_string_equal(a.room, "a");
    assert_int_equal(a.seq, 2);
    assert_int_equal(find(x, "b", 201).seq, 2);
    assert_int_equal(find(x, "a", 201).result, STORE_NOT_FOUND);
    assert_int_equal(find(x, "", 300).result, STORE_NOT_FOUND);
}

static void messages_are_due_in_order(void **state)
{
    struct pgx *x = *state;
    struct answer a;

    fill(x, "a", 1, 0, 3, 100);
    fill(x, "b", 1, 0, 2, 200);
    (void)pgx_sql(x, "UPDATE timeline SET expires_at = timestamptz 'epoch' + interval '1 s' * "
                     "(1000 - id)");
    (void)pgx_sql(x, "UPDATE timeline SET deleted_at = now() WHERE id = 201");
    assert_int_equal(due(x, INT64_C(800000000), 10).n, 0);
    a = due(x, INT64_C(900000001), 10);
    assert_int_equal(a.n, 4);
    assert_int_equal(a.seq, 1); /* of b */
    assert_int_equal(due(x, INT64_C(900000000), 10).n, 3);
    assert_int_equal(due(x, INT64_C(900000001), 2).n, 2);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_deleted_room_is_gone_for_readers_at_once),
        CASE(a_deletion_waits_for_a_batch_in_flight),
        CASE(what_is_left_goes_in_slices),
        CASE(a_room_made_anew_shows_nothing_old),
        CASE(a_creation_waits_for_a_sweep_that_is_under_way),
        CASE(old_keys_of_changes_go),
        CASE(keys_of_changes_stay_when_a_shard_has_a_fast_clock),
        CASE(a_message_is_found_by_its_id),
        CASE(messages_are_due_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
