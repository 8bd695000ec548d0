/*
 * test_differential.c - the same seeded calls on PostgreSQL and on the store of
 * the simulator give the same answers: what the simulator proves holds for the
 * real one.
 */
#include <stdlib.h>

#include "differential.h"

#define ROUNDS 250

static uint64_t rnd(struct both *b, uint64_t n)
{
    b->random = b->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (b->random >> 33) % n;
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

/* What the rooms really have now: from the simulator. */
static void refresh(struct both *b)
{
    for (int i = 0; i < ROOMS; i++) {
        struct sim_room *room = sim_db_room(b->server.db, SLICE_LIT("p"), slice_str(names[i]));

        if (room) {
            b->seqs[i] = sim_room_row(room)->last_seq;
            b->counts[i] = sim_room_row(room)->message_count;
            /* A deleted room has none; nobody ever has 0. */
            b->fences[i] = sim_room_row(room)->fence ? sim_room_row(room)->fence : 97;
        }
    }
}

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
        .created_us = 1700000000000000 + 1000 * (int64_t)++b->n_rooms + i,
        .fence = 1,
        .members = members,
        .n_members = (size_t)i % 3,
    };

    ON_BOTH(b, "create", create_room, &room, diff_on_created, b);
    refresh(b);
}

/* ---- batches ---- */

static const char *const users[] = {"ann", "bob", "cyd", "dan"};

/* For the simulator the time stands still, for PostgreSQL it does not: nothing is close. */
static int64_t some_time(struct both *b)
{
    static const int64_t times[] = {0, 1700000000000000, 1900000000000000, 4000000000000000};

    return times[rnd(b, ARRAY_LEN(times))];
}

/* A message: now and then with an old key, a value that is refused, or with what few have. */
static struct entry *make_entry(struct both *b, int room, uint64_t seq, uint64_t *count)
{
    static const char *const texts[] = {"hello", "", "gr\xc3\xbc\xc3\x9f", "{\"a\":1}"};
    char key[24], content[40];
    struct entry e = {
        .kind = rnd(b, 8) ? ENTRY_MESSAGE : (enum entry_kind)(2 + rnd(b, 4)),
        .seq = seq,
        .updated_seq = seq,
        .id = ++b->next_id,
        .created_us = 1700000000000000 + (int64_t)seq * 1000 + (int64_t)rnd(b, 500),
        .version = 1,
        .flags = rnd(b, 10) ? 0 : ENTRY_STREAMING,
        .parent_id = rnd(b, 4) ? 0 : (int64_t)rnd(b, 1000),
        .expires_us = rnd(b, 6) ? 0 : some_time(b),
        .user = SLICE_LIT("ann"),
        .content = slice_str(texts[rnd(b, ARRAY_LEN(texts))]),
        .visible_to = rnd(b, 5) ? SLICE_LIT("") : SLICE_LIT("ann,cyd"),
    };

    *count += e.kind == ENTRY_MESSAGE;
    e.message_no = *count;
    snprintf(key, sizeof(key), "%s%08llx", names[room], (unsigned long long)rnd(b, 1 << 30));
    if (rnd(b, 60) == 0)
        snprintf(key, sizeof(key), "%sfixed", names[room]); /* the second one is a duplicate */
    memcpy(e.dedupe, key, strlen(key));
    if (rnd(b, 3))
        e.client_id = slice_str(key);
    if (rnd(b, 4) == 0)
        e.extra = SLICE_LIT("{\"mentions\": [\"bob\"],  \"n\":1.50}");
    if (rnd(b, 20) == 0)
        e.reactions = SLICE_LIT("{\"+\": [\"bob\"]}");
    if (rnd(b, 80) == 0) {
        memcpy(content, "x\0y", 3);
        e.content = slice_of(content, 3);
    }
    return entry_new(&e);
}

/* An image of an entry that is there, after an edit, a deletion or a reaction. NULL: chance has
 * found none, or one that changes in this batch already. */
static struct entry *make_change(struct both *b, int room, uint64_t seq,
                                 const struct batch_room *in)
{
    size_t n;
    struct entry *const *all =
        sim_room_entries(sim_db_room(b->server.db, SLICE_LIT("p"), slice_str(names[room])), &n);
    const struct entry *old = n > 0 ? all[rnd(b, n)] : NULL;
    struct entry e;

    for (size_t i = 0; old && i < in->n_changed; i++) {
        if (in->changed[i]->seq == old->seq)
            return NULL;
    }
    if (!old)
        return NULL;
    e = *old;
    e.updated_seq = seq;
    switch (rnd(b, 4)) {
    case 0:
        e.deleted_us = 1800000000000000 + (int64_t)seq;
        e.content = e.extra = e.reactions = e.client_id = (struct slice){0};
        e.flags = rnd(b, 2) ? ENTRY_HARD : ENTRY_EXPIRED;
        break;
    case 1:
        e.reactions =
            rnd(b, 3) ? SLICE_LIT("{\"\xf0\x9f\x91\x8d\":[\"a\", \"b\"]}") : SLICE_LIT("");
        break;
    default:
        e.content = SLICE_LIT("edited");
        e.extra = rnd(b, 2) ? SLICE_LIT("") : SLICE_LIT("{\"edited\":true}");
        e.edited_us = 1750000000000000 + (int64_t)seq;
        e.version++;
        e.flags = 0;
        e.expires_us = some_time(b);
        e.visible_to = rnd(b, 5) ? SLICE_LIT("") : SLICE_LIT("ann,dan");
    }
    return entry_new(&e);
}

#define EVENTS 6

/* What one room contributes, with the memory for it. */
struct part {
    struct entry *entries[EVENTS], *changed[EVENTS];
    struct batch_key keys[EVENTS];
    struct side_op ops[16];
    char texts[EVENTS][24];
};

static void add_key(struct both *b, struct batch_room *room, struct part *part,
                    const struct entry *image)
{
    struct batch_key *key = &part->keys[room->n_keys++];

    memset(key, 0, sizeof(*key));
    snprintf((char *)key->key, DEDUPE_LEN, "%s%.0llx", rnd(b, 50) ? "change" : "fixed",
             rnd(b, 50) ? (unsigned long long)rnd(b, 1 << 20) : 0);
    key->seq = image->updated_seq;
    key->target = image->seq;
    memcpy(b->last_key, key->key, DEDUPE_LEN);
}

static void add_ops(struct both *b, struct batch_room *room, struct part *part)
{
    struct side_op *ops = part->ops;

    for (size_t k = 0; k < ARRAY_LEN(users); k++) {
        if (rnd(b, 10) == 0)
            ops[room->n_ops++] =
                (struct side_op){.kind = SIDE_MEMBER,
                                 .user = slice_str(users[k]),
                                 .role = (enum member_role)(rnd(b, 2) ? 0 : 1 + rnd(b, 5)),
                                 .at_us = 1700000000000000};
        if (rnd(b, 10) == 0)
            ops[room->n_ops++] =
                (struct side_op){.kind = SIDE_RESTRICT,
                                 .user = slice_str(users[k]),
                                 .muted_us = rnd(b, 4) ? some_time(b) : RESTRICT_FOREVER_US,
                                 .banned_us = rnd(b, 4) ? some_time(b) : RESTRICT_FOREVER_US,
                                 .at_us = 1700000000000000};
    }
    if (rnd(b, 8) == 0)
        ops[room->n_ops++] = (struct side_op){.kind = SIDE_PIN,
                                              .id = (int64_t)rnd(b, 3),
                                              .actor = slice_str(users[rnd(b, 4)]),
                                              .at_us = 1700000000000000 + (int64_t)rnd(b, 99)};
    if (rnd(b, 8) == 0)
        ops[room->n_ops++] =
            (struct side_op){.kind = SIDE_ROOM,
                             .type = rnd(b, 2) ? SLICE_LIT("") : SLICE_LIT("public"),
                             .text = rnd(b, 2) ? SLICE_LIT("") : SLICE_LIT("Another name"),
                             .json = rnd(b, 2) ? SLICE_LIT("") : SLICE_LIT("{ \"slow\": 5 }"),
                             .at_us = 1700000000000000};
    if (rnd(b, 8) == 0)
        ops[room->n_ops++] = (struct side_op){.kind = SIDE_MENTION,
                                              .user = SLICE_LIT("@channel"),
                                              .seq = room->new_seq,
                                              .at_us = 1700000000000000};
    if (rnd(b, 8) == 0)
        ops[room->n_ops++] = (struct side_op){.kind = SIDE_AUDIT,
                                              .text = SLICE_LIT("room.ban"),
                                              .actor = SLICE_LIT("ann"),
                                              .at_us = 1700000000000000};
}

static void fill_room(struct both *b, int i, struct batch_room *room, struct part *part)
{
    size_t n = 1 + rnd(b, EVENTS - 1);

    *room = (struct batch_room){
        .project = SLICE_LIT("p"),
        .room = slice_str(names[i]),
        .fence = rnd(b, 12) ? b->fences[i] : 99,
        .expect_seq = rnd(b, 12) ? b->seqs[i] : b->seqs[i] + 1,
        .message_count = b->counts[i],
        .last_id = b->next_id,
        .last_created_us = 1700000000000000 + (int64_t)b->seqs[i] * 1000,
        .entries = part->entries,
        .changed = part->changed,
        .keys = part->keys,
        .ops = part->ops,
    };
    room->new_seq = room->expect_seq;
    while (n-- > 0) {
        struct entry *e = rnd(b, 3) == 0 ? make_change(b, i, room->new_seq + 1, room) : NULL;

        room->new_seq++;
        if (e) {
            part->changed[room->n_changed++] = e;
            if (rnd(b, 2))
                add_key(b, room, part, e);
            continue;
        }
        e = make_entry(b, i, room->new_seq, &room->message_count);
        part->entries[room->n_entries++] = e;
        room->last_id = e->id;
        room->last_created_us = e->created_us;
    }
    if (rnd(b, 2)) /* else often the smaller variants of the statement */
        add_ops(b, room, part);
    b->n_changed += (unsigned)room->n_changed;
}

static void submit(struct both *b)
{
    struct batch_room rooms[ROOMS];
    struct part parts[ROOMS];
    struct batch batch = {rooms, 0};
    struct submit_arg arg = {b, 0};

    for (int i = 0; i < ROOMS; i++) {
        if (rnd(b, 3) == 0 || (i == ROOMS - 1 && batch.n_rooms == 0)) {
            fill_room(b, i, &rooms[batch.n_rooms], &parts[batch.n_rooms]);
            batch.n_rooms++;
        }
    }
    arg.n = batch.n_rooms;
    ON_BOTH(b, "submit", submit, 0, &batch, diff_on_submitted, &arg);
    for (size_t i = 0; i < batch.n_rooms; i++) {
        for (size_t k = 0; k < rooms[i].n_entries; k++)
            entry_unref(parts[i].entries[k]);
        for (size_t k = 0; k < rooms[i].n_changed; k++)
            entry_unref(parts[i].changed[k]);
    }
    refresh(b);
}

/* ---- reads ---- */

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
        .viewer = rnd(b, 2) ? slice_str(users[rnd(b, 4)]) : SLICE_LIT(""),
    };

    ON_BOTH(b, "page", page, &query, diff_on_page, b);
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
        else if (rnd(b, 4) && b->last_key[0])
            memcpy(keys[k].dedupe, b->last_key, DEDUPE_LEN);
    }
    ON_BOTH(b, "dedupe", find_dedupe, keys, KEYS, diff_on_dedupe, b);
    for (int k = 0; k <= ROOMS; k++)
        probes[k] = (struct fence_probe){SLICE_LIT("p"),
                                         k < ROOMS ? slice_str(names[k]) : SLICE_LIT("none")};
    ON_BOTH(b, "fences", probe_fences, probes, ROOMS + 1, diff_on_fences, b);
}

static void find(struct both *b, int i)
{
    struct find_query query = {
        .project = rnd(b, 20) ? SLICE_LIT("p") : SLICE_LIT("q"),
        .room = rnd(b, 2) ? slice_str(names[i]) : SLICE_LIT(""),
        .id = 1 + (int64_t)rnd(b, (uint64_t)b->next_id),
    };
    int64_t before_us = rnd(b, 2) ? 1800000000000000 : 3000000000000000;
    uint32_t limit = 1 + (uint32_t)rnd(b, 30);

    ON_BOTH(b, "find", find, &query, diff_on_found, b);
    ON_BOTH(b, "due", due, before_us, limit, diff_on_due, b);
}

static void delete_room(struct both *b, int i)
{
    uint64_t fence = rnd(b, 4) ? b->fences[i] : 98;

    ON_BOTH(b, "delete", delete_room, SLICE_LIT("p"), slice_str(names[i]), fence,
            diff_on_deleted, b);
    refresh(b);
    if (rnd(b, 2))
        ON_BOTH(b, "sweep", sweep, SWEEP_ROOMS, diff_on_swept, b);
    if (rnd(b, 2))
        ON_BOTH(b, "sweep", sweep, SWEEP_KEYS, diff_on_swept, b);
    if (rnd(b, 2))
        create(b, i);
}

static void claim(struct both *b, int i)
{
    uint32_t tail_len = (uint32_t)rnd(b, 30);

    uint64_t fence = 1 + rnd(b, 3);

    ON_BOTH(b, "claim", claim, SLICE_LIT("p"), slice_str(names[i]), fence, tail_len,
            diff_on_claimed, b);
    refresh(b);
    ON_BOTH(b, "members", members, SLICE_LIT("p"), slice_str(names[i]), diff_on_claimed, b);
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
        switch (rnd(b, 7)) {
        case 0:
            claim(b, i);
            break;
        case 1:
            look_up(b, i);
            break;
        case 2:
            find(b, i);
            break;
        case 3:
            if (rnd(b, 4) == 0)
                delete_room(b, i);
            else
                create(b, i);
            break;
        default:
            page(b, i);
        }
    }
    /* It was not all refusals, and everything has come. */
    assert_true(b->n_committed > 100 && b->n_changed > 50 && b->n_duplicates > 2);
    assert_true(b->n_deleted > 0 && b->n_found > 0 && b->n_due > 0);
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
