/*
 * test_commit_pg.c - committer and store on a real PostgreSQL whose backends
 * are killed and stopped in the middle of things: what was acknowledged is
 * there exactly once, in order, without a gap.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "common/base/list.h"
#include "pg_fixture.h"
#include "shard/commit/committer.h"

#define ROOMS 8
#define MESSAGES 400 /* per room */
#define WINDOW 20    /* pushed and not answered, per room */
#define KILLS 12
#define DEADLINE_MS 300 /* of an item; shorter than a backend stands still */
#define STOPPED_MS 700

struct test_room {
    struct commit_queue queue;
    struct run *run;
    char name[8];
    uint8_t state[MESSAGES + 1]; /* by number: 0 to send, 1 out, 2 acknowledged */
    uint64_t seq[MESSAGES + 1];
    unsigned n_out, n_acked;
    uint64_t last_done;
    bool claiming;
};

struct run {
    struct pgx x;
    struct committer *c;
    struct test_room rooms[ROOMS];
    unsigned n_unknown, n_lost, n_again;
    pid_t stopped;
    uint64_t stopped_until_ms;
};

static void on_settled(void *owner, const struct commit_result *result)
{
    struct test_room *room = owner;
    uintptr_t n = (uintptr_t)result->requester;

    if (result->outcome == COMMIT_DONE) {
        assert_int_equal(result->entry->seq, room->last_done + 1);
        room->last_done++;
    }
    if (n == 0)
        return;
    assert_int_equal(room->state[n], 1);
    room->n_out--;
    if (result->outcome == COMMIT_DONE || result->outcome == COMMIT_DUPLICATE) {
        room->state[n] = 2;
        room->seq[n] = result->entry->seq;
        room->n_acked++;
        return;
    }
    assert_int_not_equal(result->outcome, COMMIT_REFUSED);
    room->state[n] = 0; /* as a gateway does: again, with the same key */
    room->run->n_again++;
    room->run->n_unknown += result->outcome == COMMIT_UNKNOWN;
}

static void claim_room(struct test_room *room);

static void on_lost(void *owner)
{
    struct test_room *room = owner;

    room->run->n_lost++;
}

static const struct commit_events events = {on_settled, on_lost};

static void on_claimed(void *arg, enum store_result result, const struct claim_result *claim)
{
    struct test_room *room = arg;
    struct commit_head head;

    room->claiming = false;
    if (result != STORE_OK)
        return;
    head = (struct commit_head){claim->row.last_seq, claim->row.last_id,
                                claim->row.last_created_us, claim->row.message_count};
    room->last_done = head.last_seq;
    assert_int_equal(committer_open_queue(room->run->c, &room->queue, SLICE_LIT("p"),
                                          slice_str(room->name), claim->row.fence, &head,
                                          &events, room),
                     0);
}

static void claim_room(struct test_room *room)
{
    struct store *s = room->run->x.store;

    if (!room->claiming && !commit_queue_is_open(&room->queue) &&
        s->ops->claim(s, SLICE_LIT("p"), slice_str(room->name), 1, 1, on_claimed, room) == 0)
        room->claiming = true;
}

static void push(struct test_room *room, unsigned n)
{
    struct entry e = {.kind = ENTRY_MESSAGE,
                      .version = 1,
                      .user = SLICE_LIT("u"),
                      .content = SLICE_LIT("text")};
    struct commit_push p = {.requester = (void *)(uintptr_t)n, .is_suspect = n % 3 == 0};
    AUTO(entry_unref) struct entry *fresh = NULL;

    memcpy(e.dedupe, &n, sizeof(n));
    fresh = entry_new(&e);
    p.entry = fresh;
    if (committer_push(&room->queue, &p) == 0) {
        room->state[n] = 1;
        room->n_out++;
    }
}

/* Sends what is to be sent, lowest first; now and then what was acknowledged once more. */
static void drive(struct test_room *room)
{
    claim_room(room);
    if (!commit_queue_is_open(&room->queue))
        return;
    for (unsigned n = 1; n <= MESSAGES && room->n_out < WINDOW; n++) {
        if (room->state[n] == 0)
            push(room, n);
    }
}

/* A backend stands still with a batch in it: its senders are told `unknown`, and it commits in
 * the end. False: the lanes are just connecting again. */
static bool stop_one(struct run *run)
{
    pid_t pid = (pid_t)atoi(pgx_sql(&run->x, "SELECT pid FROM pg_stat_activity WHERE "
                                             "application_name = 'fluxy-shard lane' "
                                             "ORDER BY state = 'active' DESC LIMIT 1"));

    if (pid <= 0)
        return false;
    assert_int_equal(kill(pid, SIGSTOP), 0);
    run->stopped = pid;
    run->stopped_until_ms = env_now_ms(loop_env(run->x.loop)) + STOPPED_MS;
    return true;
}

static void go_on(struct run *run)
{
    if (!run->stopped || env_now_ms(loop_env(run->x.loop)) < run->stopped_until_ms)
        return;
    assert_int_equal(kill(run->stopped, SIGCONT), 0);
    run->stopped = 0;
}

/* True when something was done. */
static bool disturb(struct run *run, unsigned turn)
{
    switch (turn % 4) {
    case 0:
        (void)pgx_sql(&run->x, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                               "WHERE application_name = 'fluxy-shard lane'");
        break;
    case 1:
        (void)pgx_sql(&run->x, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                               "WHERE application_name LIKE 'fluxy%%'");
        break;
    case 2:
        (void)pgx_sql(&run->x,
                      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                      "WHERE application_name = 'fluxy-shard lane' AND state = 'active'");
        break;
    case 3:
        return stop_one(run);
    }
    return true;
}

static bool all_acked(const struct run *run)
{
    for (int i = 0; i < ROOMS; i++) {
        if (run->rooms[i].n_acked < MESSAGES)
            return false;
    }
    return true;
}

static unsigned count_acked(const struct run *run)
{
    unsigned n = 0;

    for (int i = 0; i < ROOMS; i++)
        n += run->rooms[i].n_acked;
    return n;
}

static void tick(struct timer *timer, void *arg)
{
    (void)timer;
    (void)arg;
}

static void turn(struct run *run)
{
    struct timer timer;

    timer_init(&timer, tick, NULL);
    assert_int_equal(env_timer(loop_env(run->x.loop), &timer, 10), 0);
    assert_int_equal(loop_turn(run->x.loop, true), 0);
    env_timer_cancel(loop_env(run->x.loop), &timer);
}

static void check(struct run *run)
{
    struct pgx *x = &run->x;

    for (int i = 0; i < ROOMS; i++) {
        struct test_room *room = &run->rooms[i];

        assert_string_equal(pgx_sql(x,
                                    "SELECT count(*) || ' ' || max(seq) || ' ' || "
                                    "count(DISTINCT dedupe) FROM timeline "
                                    "WHERE room_id = '%s'",
                                    room->name),
                            "400 400 400");
        assert_string_equal(
            pgx_sql(x,
                    "SELECT count(*) FROM (SELECT id > lag(id) OVER w AND created_at > "
                    "lag(created_at) OVER w AS ok FROM timeline WHERE room_id = '%s' "
                    "WINDOW w AS (ORDER BY seq)) t WHERE NOT ok",
                    room->name),
            "0");
        for (unsigned n = 1; n <= MESSAGES; n += 37) {
            char key[33];

            snprintf(key, sizeof(key), "%02x%02x%028d", n & 255, n >> 8, 0);
            assert_int_equal(
                room->seq[n],
                strtoull(pgx_sql(x,
                                 "SELECT seq FROM timeline WHERE room_id = '%s' AND "
                                 "dedupe = '%s'",
                                 room->name, key),
                         NULL, 10));
        }
    }
}

static void killed_backends_lose_and_double_nothing(void **state)
{
    struct run *run = calloc(1, sizeof(*run));
    struct commit_config config = commit_config_default();
    uint64_t deadline;
    unsigned kills = 0;

    (void)state;
    pgx_init(&run->x, 2);
    config.lanes = 2;
    config.deadline_ms = DEADLINE_MS;
    assert_int_equal(committer_new(loop_env(run->x.loop), run->x.store, &config, &run->c), 0);
    for (int i = 0; i < ROOMS; i++) {
        run->rooms[i].run = run;
        snprintf(run->rooms[i].name, sizeof(run->rooms[i].name), "r%d", i);
        assert_true(pgx_create_room(&run->x, run->rooms[i].name, 1));
    }
    deadline = env_now_ms(loop_env(run->x.loop)) + 60000;
    while (!all_acked(run) || kills < KILLS || run->stopped) {
        bool is_due =
            kills < KILLS && count_acked(run) >= (kills + 1) * ROOMS * MESSAGES / (KILLS + 1);

        if (env_now_ms(loop_env(run->x.loop)) > deadline)
            fail_msg("%u of %d acknowledged, %u kills", count_acked(run), ROOMS * MESSAGES,
                     kills);
        /* Nothing new while a kill that is due waits for a stopped backend: each finds work. */
        for (int i = 0; i < ROOMS && !is_due; i++)
            drive(&run->rooms[i]);
        go_on(run);
        if (is_due && !run->stopped)
            kills += disturb(run, kills);
        turn(run);
    }
    assert_int_equal(kills, KILLS);
    check(run);
    assert_true(committer_stats(run->c)->lost_batches > 0); /* the kills have hit something */
    assert_true(run->n_unknown > 0);
    print_message("again %u, unknown %u, lost %u, lost batches %u, refused batches %u\n",
                  run->n_again, run->n_unknown, run->n_lost,
                  (unsigned)committer_stats(run->c)->lost_batches,
                  (unsigned)committer_stats(run->c)->bad_batches);
    for (int i = 0; i < ROOMS; i++)
        committer_close_queue(&run->rooms[i].queue);
    store_pg_close(run->x.store);
    committer_free(run->c);
    run->x.store = NULL;
    assert_int_equal(loop_turn(run->x.loop, false), 0);
    pgx_deinit(&run->x);
    free(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_backends_lose_and_double_nothing)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
