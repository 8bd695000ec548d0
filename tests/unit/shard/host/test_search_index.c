/* test_search_index.c - what is marked is indexed soon, room by room, and nothing is lost by
 * failures. */
#include "shard/host/search_index.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "shard/limits.h"
#include "shard/metrics.h"
#include "shard/store/sql.h"
#include "tests/support/fake_env.h"
#include "tests/support/test.h"

/* A store that only takes queries, and answers when the test says so. */
struct world {
    struct store store; /* first */
    struct fake_env fake;
    struct shard_metrics metrics;
    struct search_index *index;
    char asked[64]; /* the query that is out: "index r1" */
    store_query_fn fn;
    void *arg;
    unsigned n_asked;
    bool is_away;
    bool sweeps; /* take queries of the sweep, too */
    store_query_fn sweep_fn;
    void *sweep_arg;
    char swept[64]; /* from where on */
};

static int take(struct store *s, const struct store_query *q, store_query_fn fn, void *arg)
{
    struct world *w = (struct world *)s;

    if (w->is_away)
        return -EIO;
    if (q->id == SQL_QUERY_search_behind) {
        if (!w->sweeps)
            return -EIO;
        w->sweep_fn = fn;
        w->sweep_arg = arg;
        snprintf(w->swept, sizeof(w->swept), "%.*s/%.*s", (int)q->params[0].text.len,
                 q->params[0].text.data, (int)q->params[1].text.len, q->params[1].text.data);
        return 0;
    }
    assert_null(w->fn); /* one at a time */
    w->n_asked++;
    snprintf(w->asked, sizeof(w->asked), "%s %.*s",
             q->id == SQL_QUERY_search_index ? "index" : "open", (int)q->params[1].text.len,
             q->params[1].text.data);
    w->fn = fn;
    w->arg = arg;
    return 0;
}

static bool owns(void *owner, struct slice project, struct slice room)
{
    (void)owner;
    (void)project;
    return room.data[0] != 'x';
}

static const struct store_ops ops = {.query = take};
static const struct search_index_events events = {.owns = owns};

static void world_init(struct world *w)
{
    *w = (struct world){.store = {&ops}};
    fake_env_init(&w->fake, 1);
    shard_metrics_init(&w->metrics);
    assert_int_equal(
        search_index_new(&w->fake.env, &w->store, &w->metrics, &events, w, &w->index), 0);
}

static void world_deinit(struct world *w)
{
    search_index_free(w->index);
    fake_env_deinit(&w->fake);
}

static void mark(struct world *w, const char *room)
{
    search_index_mark(w->index, SLICE_LIT("p"), slice_str(room));
}

static void expect(struct world *w, const char *asked)
{
    assert_string_equal(w->fn ? w->asked : "nothing", asked);
}

/* What is out is answered: has the room a row, entries, is there more. */
static void answer(struct world *w, const char *has_row, const char *entries, const char *more)
{
    const struct slice cells[] = {slice_str(has_row), slice_str(entries), slice_str(more)};
    const struct query_rows rows = {.n_rows = 1, .n_columns = 3, .cells = cells};
    store_query_fn fn = w->fn;

    if (!fn) {
        fail_msg("nothing has been asked");
        return;
    }
    w->fn = NULL;
    fn(w->arg, STORE_OK, &rows, false);
}

static void answer_with(struct world *w, enum store_result result)
{
    store_query_fn fn = w->fn;

    if (!fn) {
        fail_msg("nothing has been asked");
        return;
    }
    w->fn = NULL;
    fn(w->arg, result, NULL, false);
}

static void a_room_is_indexed_once_for_all_that_came_meanwhile(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    for (int i = 0; i < 100; i++)
        mark(&w, "r1");
    fake_env_advance(&w.fake, SEARCH_INDEX_DELAY_MS - 1);
    expect(&w, "nothing");
    fake_env_advance(&w.fake, 1);
    expect(&w, "index r1");
    answer(&w, "true", "100", "false");
    expect(&w, "nothing");
    assert_int_equal(search_index_pending(w.index), 0);
    assert_int_equal(w.metrics.search_entries, 100);
    fake_env_advance(&w.fake, 5000);
    assert_int_equal(w.n_asked, 1);
    world_deinit(&w);
}

static void what_comes_while_it_is_indexed_is_indexed_again(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    mark(&w, "r1");
    fake_env_advance(&w.fake, SEARCH_INDEX_DELAY_MS);
    expect(&w, "index r1");
    mark(&w, "r1");
    answer(&w, "true", "1", "false");
    expect(&w, "nothing");
    assert_int_equal(search_index_pending(w.index), 1);
    fake_env_advance(&w.fake, SEARCH_INDEX_DELAY_MS);
    expect(&w, "index r1");
    answer(&w, "true", "1", "false");
    assert_int_equal(search_index_pending(w.index), 0);
    world_deinit(&w);
}

static void rooms_in_turn_to_their_end_new_ones_with_a_row_first(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    mark(&w, "r1");
    mark(&w, "r2");
    fake_env_advance(&w.fake, SEARCH_INDEX_DELAY_MS);
    expect(&w, "index r1");
    answer(&w, "false", "0", "false");
    expect(&w, "open r1");
    answer(&w, "", "", "");
    expect(&w, "index r1");
    answer(&w, "true", "200", "true");
    expect(&w, "index r1");
    answer(&w, "true", "3", "false");
    expect(&w, "index r2");
    answer(&w, "true", "0", "false");
    expect(&w, "nothing");
    assert_int_equal(w.metrics.search_rooms, 2);
    world_deinit(&w);
}

static void failures_are_tried_again_with_growing_pauses(void **state)
{
    struct world w;
    uint64_t longest = SEARCH_RETRY_MIN_MS;

    (void)state;
    world_init(&w);
    mark(&w, "r1");
    fake_env_advance(&w.fake, SEARCH_INDEX_DELAY_MS);
    for (int i = 0; i < 8; i++) {
        expect(&w, "index r1");
        answer_with(&w, STORE_UNAVAILABLE);
        expect(&w, "nothing");
        fake_env_advance(&w.fake, 2 * longest);
        longest = MIN(2 * longest, (uint64_t)SEARCH_RETRY_MAX_MS);
    }
    assert_int_equal(w.metrics.search_failures, 8);
    assert_int_equal(w.n_asked, 9);
    w.is_away = true; /* not even taken */
    answer_with(&w, STORE_UNKNOWN);
    fake_env_advance(&w.fake, 3 * SEARCH_RETRY_MAX_MS);
    expect(&w, "nothing");
    w.is_away = false;
    fake_env_advance(&w.fake, 3 * SEARCH_RETRY_MAX_MS);
    expect(&w, "index r1");
    answer(&w, "true", "1", "false");
    assert_int_equal(search_index_pending(w.index), 0);
    world_deinit(&w);
}

static void a_room_that_cannot_be_indexed_does_not_stop_the_others(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    mark(&w, "r1");
    mark(&w, "r2");
    fake_env_advance(&w.fake, SEARCH_INDEX_DELAY_MS);
    answer_with(&w, STORE_BAD_DATA);
    expect(&w, "index r2");
    answer(&w, "true", "1", "false");
    assert_int_equal(search_index_pending(w.index), 0);
    world_deinit(&w);
}

static void the_sweep_finds_rooms_of_ours_and_goes_round(void **state)
{
    struct world w;
    const struct slice cells[] = {
        SLICE_LIT("p"), SLICE_LIT("r7"), SLICE_LIT("true"),  SLICE_LIT("false"),
        SLICE_LIT("p"), SLICE_LIT("x8"), SLICE_LIT("true"),  SLICE_LIT("false"),
        SLICE_LIT("p"), SLICE_LIT("r9"), SLICE_LIT("false"), SLICE_LIT("true"),
    };
    struct query_rows rows = {.n_rows = 3, .n_columns = 4, .cells = cells};

    (void)state;
    world_init(&w);
    w.sweeps = true;
    fake_env_advance(&w.fake, 2 * SEARCH_SWEEP_MS);
    assert_string_equal(w.swept, "/");
    w.sweep_fn(w.sweep_arg, STORE_OK, &rows, false);
    assert_int_equal(search_index_pending(w.index), 1); /* x8 is another shard's */
    fake_env_advance(&w.fake, SEARCH_INDEX_DELAY_MS);
    expect(&w, "index r7");
    answer(&w, "true", "5", "false");
    w.swept[0] = 0;
    fake_env_advance(&w.fake, 2 * SEARCH_SWEEP_MS);
    assert_string_equal(w.swept, "p/r9");
    rows.n_rows = 0; /* the end of the table */
    w.sweep_fn(w.sweep_arg, STORE_OK, &rows, false);
    w.swept[0] = 0;
    fake_env_advance(&w.fake, 2 * SEARCH_SWEEP_MS);
    assert_string_equal(w.swept, "/");
    w.sweep_fn(w.sweep_arg, STORE_UNAVAILABLE, NULL, false);
    world_deinit(&w);
}

static void answers_that_come_after_the_end_are_nobodys(void **state)
{
    struct world w;
    store_query_fn fn;

    (void)state;
    world_init(&w);
    mark(&w, "r1");
    mark(&w, "r2");
    fake_env_advance(&w.fake, SEARCH_INDEX_DELAY_MS);
    fn = w.fn;
    search_index_free(w.index);
    fn(w.arg, STORE_UNAVAILABLE, NULL, false);
    fake_env_deinit(&w.fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_room_is_indexed_once_for_all_that_came_meanwhile),
        cmocka_unit_test(what_comes_while_it_is_indexed_is_indexed_again),
        cmocka_unit_test(rooms_in_turn_to_their_end_new_ones_with_a_row_first),
        cmocka_unit_test(failures_are_tried_again_with_growing_pauses),
        cmocka_unit_test(a_room_that_cannot_be_indexed_does_not_stop_the_others),
        cmocka_unit_test(the_sweep_finds_rooms_of_ours_and_goes_round),
        cmocka_unit_test(answers_that_come_after_the_end_are_nobodys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
