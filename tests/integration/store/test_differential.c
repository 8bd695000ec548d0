/*
 * test_differential.c - the same seeded calls on PostgreSQL and on the store of
 * the simulator give the same answers: what the simulator proves holds for the
 * real one.
 */
#include <stdlib.h>

#include "pg_fixture.h"
#include "shard/commit/committer.h"
#include "tests/support/fake_env.h"
#include "tests/support/sim_store.h"

#define ROOMS 6
#define ROUNDS 150

struct both {
    struct pgx x;
    struct fake_env fake;
    struct sim_server server;
    struct store *sim;
    uint64_t random;
    uint64_t seqs[ROOMS], fences[ROOMS]; /* as we believe */
    int64_t next_id;
    struct buf got[2]; /* answers as text: PostgreSQL's, the simulator's */
    bool done;
    struct buf *to;
};

static uint64_t rnd(struct both *b, uint64_t n)
{
    b->random = b->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (b->random >> 33) % n;
}

/* ---- answers as text ---- */

static void put_entry(struct buf *to, const struct entry *e)
{
    if (!e) {
        buf_put_str(to, "-\n");
        return;
    }
    buf_printf(to, "%d %llu %llu %lld %lld %lld %lld %u %lld %lld %.16s %.*s|%.*s|%.*s|%.*s\n",
               (int)e->kind, (unsigned long long)e->seq, (unsigned long long)e->updated_seq,
               (long long)e->id, (long long)e->created_us, (long long)e->edited_us,
               (long long)e->deleted_us, e->version, (long long)e->parent_id,
               (long long)e->expires_us, (const char *)e->dedupe, (int)e->user.len,
               e->user.data, (int)e->client_id.len, e->client_id.data, (int)e->content.len,
               e->content.data, (int)e->extra.len, e->extra.data);
}

static void put_row(struct buf *to, const struct room_row *row)
{
    buf_printf(to, "row %llu %lld %lld %llu %llu %llu %lld %.*s|%.*s|%.*s\n",
               (unsigned long long)row->last_seq, (long long)row->last_id,
               (long long)row->last_created_us, (unsigned long long)row->fence,
               (unsigned long long)row->generation, (unsigned long long)row->resume_floor,
               (long long)row->created_us, (int)row->type.len, row->type.data,
               (int)row->name.len, row->name.data, (int)row->created_by.len,
               row->created_by.data);
}

struct submit_arg {
    struct both *b;
    size_t n;
};

static void on_submitted(void *arg, enum store_result result, const bool *committed,
                         bool is_duplicate)
{
    struct submit_arg *s = arg;

    buf_printf(s->b->to, "submit %d", (int)result);
    if (result == STORE_BAD_DATA)
        buf_printf(s->b->to, " duplicate %d", is_duplicate);
    for (size_t i = 0; result == STORE_OK && i < s->n; i++)
        buf_printf(s->b->to, " %d", committed[i]);
    buf_put_char(s->b->to, '\n');
    s->b->done = true;
}

static void on_claimed(void *arg, enum store_result result, const struct claim_result *claim)
{
    struct both *b = arg;

    buf_printf(b->to, "claim %d\n", (int)result);
    b->done = true;
    if (!claim)
        return;
    put_row(b->to, &claim->row);
    for (size_t i = 0; i < claim->n_members; i++)
        buf_printf(b->to, "member %.*s %d %lld %d\n", (int)claim->members[i].user.len,
                   claim->members[i].user.data, (int)claim->members[i].role,
                   (long long)claim->members[i].joined_us, claim->members[i].notify_enabled);
    for (size_t i = 0; i < claim->n_tail; i++)
        put_entry(b->to, claim->tail[i]);
}

static void on_page(void *arg, enum store_result result, const struct page *page)
{
    struct both *b = arg;

    buf_printf(b->to, "page %d\n", (int)result);
    b->done = true;
    if (!page)
        return;
    buf_printf(b->to, "head %llu generation %llu floor %llu more %d\n",
               (unsigned long long)page->head, (unsigned long long)page->generation,
               (unsigned long long)page->resume_floor, page->more);
    for (size_t i = 0; i < page->n_entries; i++)
        put_entry(b->to, page->entries[i]);
}

#define KEYS 5

static void on_found(void *arg, enum store_result result, const struct dedupe_found *found)
{
    struct both *b = arg;

    buf_printf(b->to, "dedupe %d\n", (int)result);
    for (size_t i = 0; i < KEYS; i++)
        put_entry(b->to, found[i].entry);
    b->done = true;
}

static void on_fences(void *arg, enum store_result result, const struct fence_state *rows)
{
    struct both *b = arg;

    buf_printf(b->to, "fences %d\n", (int)result);
    for (size_t i = 0; i < ROOMS + 1; i++)
        buf_printf(b->to, "%llu %llu %lld\n", (unsigned long long)rows[i].fence,
                   (unsigned long long)rows[i].last_seq, (long long)rows[i].last_id);
    b->done = true;
}

static void on_rooms(void *arg, enum store_result result, const struct rooms_page *page)
{
    struct both *b = arg;

    buf_printf(b->to, "rooms %d\n", (int)result);
    for (size_t i = 0; i < page->n_rooms; i++) {
        const struct room_list_row *row = &page->rooms[i];

        buf_printf(b->to, "%.*s %.*s %.*s %lld %u\n", (int)row->room.len, row->room.data,
                   (int)row->type.len, row->type.data, (int)row->name.len, row->name.data,
                   (long long)row->created_us, row->messages);
    }
    b->done = true;
}

static void on_created(void *arg, enum store_result result, bool created)
{
    struct both *b = arg;

    buf_printf(b->to, "create %d %d\n", (int)result, created);
    b->done = true;
}

/* ---- each call on both: no argument may be drawn in the call ---- */

static struct store *begin(struct both *b, int which)
{
    b->to = &b->got[which];
    b->done = false;
    return which == 0 ? b->x.store : b->sim;
}

static void finish(struct both *b, int which, int r)
{
    assert_int_equal(r, 0);
    if (which == 0)
        pgx_wait(&b->x, &b->done);
    else
        fake_env_advance(&b->fake, 100);
    assert_true(b->done);
}

static void compare(struct both *b, const char *what)
{
    if (!slice_eq(buf_slice(&b->got[0]), buf_slice(&b->got[1])))
        fail_msg("%s differs\nPostgreSQL: %.*s\nsimulator: %.*s", what, (int)b->got[0].len,
                 b->got[0].data, (int)b->got[1].len, b->got[1].data);
    buf_clear(&b->got[0]);
    buf_clear(&b->got[1]);
}

#define ON_BOTH(b, what, op, ...)                                                              \
    do {                                                                                       \
        for (int which_ = 0; which_ < 2; which_++) {                                           \
            struct store *s_ = begin((b), which_);                                             \
            finish((b), which_, s_->ops->op(s_, __VA_ARGS__));                                 \
        }                                                                                      \
        compare((b), (what));                                                                  \
    } while (0)

static const char *const names[ROOMS] = {"a", "b", "c", "d", "e", "f"};

static void create(struct both *b, int i)
{
    static const char *const types[] = {"group", "dm", "public"};
    struct member_op members[] = {{SLICE_LIT("ann"), ROLE_OWNER, 1700000000000000},
                                  {SLICE_LIT("bob"), ROLE_MEMBER, 1700000000000007}};
    struct room_create room = {
        .project = SLICE_LIT("p"),
        .room = slice_str(names[i]),
        .type = slice_str(types[i % 3]),
        .name = SLICE_LIT("N\xc3\xa4me"),
        .created_by = SLICE_LIT("ann"),
        .created_us = 1700000000000000 + i,
        .fence = 1,
        .members = members,
        .n_members = (size_t)i % 3,
    };

    ON_BOTH(b, "create", create_room, &room, on_created, b);
    b->fences[i] = 1;
}

/* A message: now and then with an old key, a value that is refused, or with what few have. */
static struct entry *make_entry(struct both *b, int room, uint64_t seq)
{
    static const char *const texts[] = {"hello", "", "gr\xc3\xbc\xc3\x9f", "{\"a\":1}"};
    char key[24], content[40];
    struct entry e = {
        .kind = rnd(b, 8) ? ENTRY_MESSAGE : ENTRY_MEMBERSHIP,
        .seq = seq,
        .updated_seq = seq,
        .id = ++b->next_id,
        .created_us = 1700000000000000 + (int64_t)seq * 1000 + (int64_t)rnd(b, 500),
        .version = 1,
        .parent_id = rnd(b, 4) ? 0 : (int64_t)rnd(b, 1000),
        .expires_us = rnd(b, 6) ? 0 : 1900000000000000,
        .user = SLICE_LIT("ann"),
        .content = slice_str(texts[rnd(b, ARRAY_LEN(texts))]),
    };

    snprintf(key, sizeof(key), "%s%08llx", names[room], (unsigned long long)rnd(b, 1 << 30));
    if (rnd(b, 40) == 0)
        snprintf(key, sizeof(key), "%sfixed", names[room]); /* the second one is a duplicate */
    memcpy(e.dedupe, key, strlen(key));
    if (rnd(b, 3))
        e.client_id = slice_str(key);
    if (rnd(b, 4) == 0)
        e.extra = SLICE_LIT("{\"mentions\": [\"bob\"],  \"n\":1.50}");
    if (rnd(b, 80) == 0) {
        memcpy(content, "x\0y", 3);
        e.content = slice_of(content, 3);
    }
    return entry_new(&e);
}

static void fill_room(struct both *b, int i, struct batch_room *room, struct entry **entries,
                      struct side_op *ops)
{
    static const char *const users[] = {"ann", "bob", "cyd", "dan"};
    size_t n = 1 + rnd(b, 4);

    *room = (struct batch_room){
        .project = SLICE_LIT("p"),
        .room = slice_str(names[i]),
        .fence = rnd(b, 12) ? b->fences[i] : 99,
        .expect_seq = rnd(b, 12) ? b->seqs[i] : b->seqs[i] + 1,
        .entries = entries,
        .n_entries = n,
        .ops = ops,
    };
    for (size_t k = 0; k < n; k++)
        entries[k] = make_entry(b, i, room->expect_seq + k + 1);
    room->new_seq = room->expect_seq + n;
    room->last_id = entries[n - 1]->id;
    room->last_created_us = entries[n - 1]->created_us;
    for (size_t k = 0; k < ARRAY_LEN(users); k++) {
        if (rnd(b, 10) == 0)
            ops[room->n_ops++] =
                (struct side_op){.kind = SIDE_MEMBER,
                                 .user = slice_str(users[k]),
                                 .role = (enum member_role)(rnd(b, 2) ? 0 : 1 + rnd(b, 5)),
                                 .at_us = 1700000000000000};
    }
}

/* What the rooms really have now: from the simulator. */
static void refresh(struct both *b)
{
    for (int i = 0; i < ROOMS; i++) {
        struct sim_room *room = sim_db_room(b->server.db, SLICE_LIT("p"), slice_str(names[i]));

        if (room)
            b->seqs[i] = sim_room_row(room)->last_seq;
    }
}

static void submit(struct both *b)
{
    struct batch_room rooms[ROOMS];
    struct entry *entries[ROOMS][8];
    struct side_op ops[ROOMS][4];
    struct batch batch = {rooms, 0};
    struct submit_arg arg = {b, 0};

    for (int i = 0; i < ROOMS; i++) {
        if (rnd(b, 2) || (i == ROOMS - 1 && batch.n_rooms == 0)) {
            fill_room(b, i, &rooms[batch.n_rooms], entries[batch.n_rooms], ops[batch.n_rooms]);
            batch.n_rooms++;
        }
    }
    arg.n = batch.n_rooms;
    ON_BOTH(b, "submit", submit, 0, &batch, on_submitted, &arg);
    for (size_t i = 0; i < batch.n_rooms; i++) {
        for (size_t k = 0; k < rooms[i].n_entries; k++)
            entry_unref(entries[i][k]);
    }
    refresh(b);
}

/* An edit or a delete, which nothing writes through the store yet: by hand on both. */
static void change(struct both *b, int i)
{
    struct sim_room *room = sim_db_room(b->server.db, SLICE_LIT("p"), slice_str(names[i]));
    uint64_t seq = 1 + rnd(b, b->seqs[i] + 1);
    bool deletes = rnd(b, 2);
    size_t n;
    struct entry *const *all = sim_room_entries(room, &n);

    if (seq > n || !all[seq - 1])
        return; /* a seq that only changed another entry */
    sim_room_change(room, seq, deletes ? 1800000000000000 : 0);
    (void)pgx_sql(&b->x,
                  "WITH r AS (UPDATE rooms SET last_seq = last_seq + 1 WHERE room_id = '%s' "
                  "RETURNING last_seq) "
                  "UPDATE timeline SET updated_seq = r.last_seq, version = version + 1, "
                  "deleted_at = %s, content = %s "
                  "FROM r WHERE room_id = '%s' AND seq = %llu",
                  names[i], deletes ? "timestamptz 'epoch' + interval '1800000000 s'" : "NULL",
                  deletes ? "''" : "content", names[i], (unsigned long long)seq);
    b->seqs[i]++;
}

static void page(struct both *b, int i)
{
    struct page_query query = {
        .project = SLICE_LIT("p"),
        .room = rnd(b, 20) ? slice_str(names[i]) : SLICE_LIT("none"),
        .kind = (enum page_kind)rnd(b, 4),
        .seq = rnd(b, 10) ? rnd(b, b->seqs[i] + 3) : UINT64_MAX,
        .time_us = 1700000000000000 + (int64_t)rnd(b, (b->seqs[i] + 2) * 1000),
        .limit = 1 + (uint32_t)rnd(b, 20),
        .live_messages_only = rnd(b, 2),
    };

    ON_BOTH(b, "page", page, &query, on_page, b);
}

static void look_up(struct both *b, int i)
{
    struct dedupe_key keys[KEYS];
    struct fence_probe probes[ROOMS + 1];
    struct sim_room *room = sim_db_room(b->server.db, SLICE_LIT("p"), slice_str(names[i]));
    size_t n;
    struct entry *const *all = sim_room_entries(room, &n);

    memset(keys, 0, sizeof(keys));
    for (size_t k = 0; k < KEYS; k++) {
        keys[k].project = SLICE_LIT("p");
        keys[k].room = slice_str(names[rnd(b, 5) ? i : (int)rnd(b, ROOMS)]);
        const struct entry *e = n > 0 ? all[rnd(b, n)] : NULL;

        if (e && rnd(b, 4))
            memcpy(keys[k].dedupe, e->dedupe, DEDUPE_LEN);
    }
    ON_BOTH(b, "dedupe", find_dedupe, keys, KEYS, on_found, b);
    for (int k = 0; k <= ROOMS; k++)
        probes[k] = (struct fence_probe){SLICE_LIT("p"),
                                         k < ROOMS ? slice_str(names[k]) : SLICE_LIT("none")};
    ON_BOTH(b, "fences", probe_fences, probes, ROOMS + 1, on_fences, b);
}

static void claim(struct both *b, int i)
{
    uint32_t tail_len = (uint32_t)rnd(b, 30);

    b->fences[i] = 1 + rnd(b, 3);
    ON_BOTH(b, "claim", claim, SLICE_LIT("p"), slice_str(names[i]), b->fences[i], tail_len,
            on_claimed, b);
    ON_BOTH(b, "members", members, SLICE_LIT("p"), slice_str(names[i]), on_claimed, b);
}

static void list(struct both *b)
{
    static const char *const users[] = {"ann", "bob", "cyd"};
    struct slice type = rnd(b, 2) ? SLICE_LIT("") : SLICE_LIT("dm");
    struct slice user = slice_str(users[rnd(b, 3)]);
    bool all = rnd(b, 2);

    ON_BOTH(b, "rooms", list_rooms, SLICE_LIT("p"), user, all, type, on_rooms, b);
}

static void run(uint64_t seed)
{
    struct both *b = calloc(1, sizeof(*b));

    assert_non_null(b);
    pgx_init(&b->x, 1);
    fake_env_init(&b->fake, seed);
    sim_server_init(&b->server, &b->fake.env, seed);
    b->sim = sim_store_new(&b->server, &b->fake.env);
    b->random = seed;
    for (int i = 0; i < ROOMS; i++)
        create(b, i);
    create(b, 0); /* exists */
    for (int n = 0; n < ROUNDS; n++) {
        int i = (int)rnd(b, ROOMS);

        submit(b);
        if (rnd(b, 3) == 0)
            change(b, i);
        switch (rnd(b, 5)) {
        case 0:
            claim(b, i);
            break;
        case 1:
            look_up(b, i);
            break;
        case 2:
            list(b);
            break;
        default:
            page(b, i);
        }
    }
    assert_true(b->seqs[0] > 20); /* it was not all refusals */
    sim_store_free(b->sim);
    sim_server_deinit(&b->server);
    fake_env_deinit(&b->fake);
    buf_deinit(&b->got[0]);
    buf_deinit(&b->got[1]);
    pgx_deinit(&b->x);
    free(b);
}

static void postgresql_and_simulator_answer_alike(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++)
        run(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(postgresql_and_simulator_answer_alike)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
