/*
 * test_failalloc.c - the committer with every allocation failing in turn: each
 * push is refused or answered exactly once, nothing leaks, and after the
 * failure it goes on by itself.
 */
#include <stdlib.h>

#include "shard/commit/committer.h"
#include "tests/support/failalloc.h"
#include "tests/support/fake_env.h"
#include "tests/support/test.h"

#define ROOMS 3
#define PUSHES 4 /* per room */

/* A store without memory of its own: remembers what is out and answers when told. */
struct tiny {
    struct store store;
    store_submit_fn submit;
    void *submit_arg;
    size_t n_rooms;
    store_dedupe_fn dedupe;
    void *dedupe_arg;
    store_fences_fn fences;
    void *fences_arg;
    struct fence_state states[ROOMS];
    store_ids_fn ids;
    void *ids_arg;
    int64_t next_id;
    unsigned answers; /* batches so far: the first is refused, the second skips a room */
};

static struct tiny *tiny_of(struct store *s)
{
    return container_of(s, struct tiny, store);
}

static int tiny_submit(struct store *s, unsigned lane, const struct batch *batch,
                       store_submit_fn fn, void *arg)
{
    struct tiny *t = tiny_of(s);

    (void)lane;
    assert_null(t->submit);
    t->submit = fn;
    t->submit_arg = arg;
    t->n_rooms = batch->n_rooms;
    return 0;
}

static int tiny_dedupe(struct store *s, const struct dedupe_key *keys, size_t n,
                       store_dedupe_fn fn, void *arg)
{
    struct tiny *t = tiny_of(s);

    (void)keys;
    assert_true(n <= (size_t)ROOMS * PUSHES);
    t->dedupe = fn;
    t->dedupe_arg = arg;
    return 0;
}

static int tiny_fences(struct store *s, const struct fence_probe *rooms, size_t n,
                       store_fences_fn fn, void *arg)
{
    struct tiny *t = tiny_of(s);

    (void)rooms;
    assert_true(n <= ROOMS);
    for (size_t i = 0; i < n; i++)
        t->states[i] = (struct fence_state){
            .fence = 1, .last_seq = 1, .last_id = 1}; /* as at the start: it was locked */
    t->fences = fn;
    t->fences_arg = arg;
    return 0;
}

static int tiny_ids(struct store *s, store_ids_fn fn, void *arg)
{
    struct tiny *t = tiny_of(s);

    t->ids = fn;
    t->ids_arg = arg;
    return 0;
}

static int64_t tiny_clock(struct store *s)
{
    (void)s;
    return 0;
}

static const struct store_ops tiny_ops = {
    .submit = tiny_submit,
    .find_dedupe = tiny_dedupe,
    .probe_fences = tiny_fences,
    .id_block = tiny_ids,
    .clock_offset_us = tiny_clock,
};

static void tiny_answer_submit(struct tiny *t)
{
    bool committed[ROOMS] = {true, true, true};
    store_submit_fn fn = t->submit;
    unsigned n = t->answers++;

    t->submit = NULL;
    if (n == 1)
        committed[0] = false;
    fn(t->submit_arg, n == 0 ? STORE_BAD_DATA : STORE_OK, committed, false);
}

/* Answers all that is out. */
static void tiny_answer(struct tiny *t)
{
    static const struct dedupe_found none[ROOMS * PUSHES];

    if (t->ids) {
        store_ids_fn fn = t->ids;

        t->ids = NULL;
        fn(t->ids_arg, STORE_OK, t->next_id, 100);
        t->next_id += 100;
    }
    if (t->dedupe) {
        store_dedupe_fn fn = t->dedupe;

        t->dedupe = NULL;
        fn(t->dedupe_arg, STORE_OK, none);
    }
    if (t->fences) {
        store_fences_fn fn = t->fences;

        t->fences = NULL;
        fn(t->fences_arg, STORE_OK, t->states);
    }
    if (t->submit)
        tiny_answer_submit(t);
}

/* ---- the scenario ---- */

struct scene {
    struct fake_env fake;
    struct tiny tiny;
    struct committer *c;
    struct commit_queue queues[ROOMS];
    unsigned told[ROOMS * PUSHES + 1];
    unsigned done, refused;
};

static void on_settled(void *owner, const struct commit_result *result)
{
    struct scene *s = owner;

    s->told[(uintptr_t)result->requester]++;
    s->done += result->outcome == COMMIT_DONE || result->outcome == COMMIT_NOTHING;
    s->refused += result->outcome == COMMIT_REFUSED;
    assert_true(result->outcome != COMMIT_NOTHING || result->mutation);
}

static void on_lost(void *owner)
{
    (void)owner;
    fail_msg("no row has another fence");
}

static const struct commit_events events = {on_settled, on_lost};

static bool push(struct scene *s, int room, unsigned tag)
{
    struct entry from = {
        .kind = ENTRY_MESSAGE, .version = 1, .user = SLICE_LIT("u"), .content = SLICE_LIT("c")};
    struct side_op op = {.kind = SIDE_MEMBER, .user = SLICE_LIT("u"), .role = ROLE_MEMBER};
    struct mutation reaction = {.kind = MUTATION_REACTION,
                                .actor = SLICE_LIT("u"),
                                .emoji = SLICE_LIT("+"),
                                .is_added = tag % 3 != 0};
    struct commit_push p = {.is_suspect = tag % 5 == 0,
                            .ops = &op,
                            .n_ops = tag % 4 == 0,
                            .requester = (void *)(uintptr_t)tag};
    AUTO(entry_unref) struct entry *e = NULL;
    AUTO(mutation_unref) struct mutation *m = NULL;
    int r;

    from.dedupe[0] = (uint8_t)tag;
    if (tag % 2 == 0) { /* of one entry that is there */
        from.seq = from.updated_seq = 1;
        m = mutation_new(&reaction);
        p.mutation = m;
        p.key = tag % 8 == 0 ? NULL : from.dedupe;
    }
    e = entry_new(&from);
    if (!e || (tag % 2 == 0 && !m))
        return false;
    p.entry = e;
    r = committer_push(&s->queues[room], &p);
    assert_true(r == 0 || failalloc_has_failed());
    return r == 0;
}

static void play(struct scene *s)
{
    static const char *const projects[ROOMS] = {"p", "p", "q"}, *const rooms[ROOMS] = {"a", "b",
                                                                                       "c"};
    struct commit_config config = commit_config_default();
    struct commit_head head = {.last_seq = 1, .last_id = 1, .message_count = 1};
    bool pushed[ROOMS * PUSHES + 1] = {false};
    unsigned n_pushed = 0;

    if (committer_new(&s->fake.env, &s->tiny.store, &config, &s->c) < 0)
        return;
    for (int i = 0; i < ROOMS; i++) {
        if (committer_open_queue(s->c, &s->queues[i], slice_str(projects[i]),
                                 slice_str(rooms[i]), 1, &head, &events, s) < 0)
            assert_true(failalloc_has_failed());
    }
    for (unsigned tag = 1; tag <= ROOMS * PUSHES; tag++) {
        int room = (int)(tag % ROOMS);

        pushed[tag] = commit_queue_is_open(&s->queues[room]) && push(s, room, tag);
        n_pushed += pushed[tag];
    }
    for (int step = 0; step < 200; step++) {
        fake_env_advance(&s->fake, 10);
        tiny_answer(&s->tiny);
    }
    assert_int_equal(s->done + s->refused, n_pushed); /* in 2 s: one failure does not stop it */
    assert_true(s->refused <= 1); /* the batch that is refused may have had one row */
    for (unsigned tag = 1; tag <= ROOMS * PUSHES; tag++)
        assert_int_equal(s->told[tag], pushed[tag]);
    for (int i = 0; i < ROOMS; i++)
        committer_close_queue(&s->queues[i]);
    while (s->tiny.ids || s->tiny.submit)
        tiny_answer(&s->tiny);
    committer_free(s->c);
}

static void run(void *arg)
{
    static struct scene s; /* not of the heap that fails */

    (void)arg;
    memset(&s, 0, sizeof(s));
    fake_env_init(&s.fake, 1);
    s.tiny.store.ops = &tiny_ops;
    s.tiny.next_id = 1000;
    play(&s);
    fake_env_deinit(&s.fake);
}

static void a_failed_allocation_loses_no_answer(void **state)
{
    (void)state;
    assert_true(failalloc_run(run, NULL) > 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_failed_allocation_loses_no_answer)};

    return cmocka_run_group_tests_name("commit failalloc", tests, NULL, NULL);
}
