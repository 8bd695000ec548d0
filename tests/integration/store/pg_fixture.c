/* pg_fixture.c - see pg_fixture.h. */
#include "pg_fixture.h"
#include "shard/limits.h"

#include <stdlib.h>

#include "common/base/log.h"

/* ---- life ---- */

static PGconn *connect_sql(const char *url)
{
    PGconn *sql = PQconnectdb(url);

    if (PQstatus(sql) != CONNECTION_OK)
        fail_msg("%s", PQerrorMessage(sql));
    return sql;
}

static const char *run_sql(PGconn *sql, const char *text)
{
    static char value[4096];
    PGresult *result = PQexec(sql, text);

    if (PQresultStatus(result) != PGRES_TUPLES_OK && PQresultStatus(result) != PGRES_COMMAND_OK)
        fail_msg("%s: %s", text, PQerrorMessage(sql));
    snprintf(value, sizeof(value), "%s", PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return value;
}

const char *pgx_sql(struct pgx *x, const char *fmt, ...)
{
    char text[4096];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return run_sql(x->sql, text);
}

static void migrate(struct pgx *x)
{
    AUTO(store_admin_close) struct store_admin *admin = NULL;
    AUTO_BUF problem = BUF_INIT;
    unsigned applied;

    if (store_admin_open(x->url, false, &problem, &admin) < 0 ||
        store_admin_migrate(admin, &problem, &applied) < 0)
        fail_msg("%.*s", (int)problem.len, problem.data);
}

void pgx_open_store(struct pgx *x, unsigned lanes, const char *url)
{
    struct store_pg_config config = {.url = url, .lanes = lanes, .keys = &x->keys};

    assert_int_equal(store_pg_new(x->loop, &config, NULL, NULL, &x->store), 0);
    x->connections = lanes + PG_READ_CONNECTIONS + PG_QUERY_CONNECTIONS + PG_LOCK_CONNECTIONS;
}

void pgx_init(struct pgx *x, unsigned lanes)
{
    const char *url = getenv("FLUXY_TEST_DATABASE_URL");
    char key[65];

    assert_non_null(url);
    memset(x, 0, sizeof(*x));
    log_set_level(getenv("FLUXY_TEST_LOG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_OFF);
    snprintf(x->url, sizeof(x->url), "%s", url);
    memset(key, '7', 64);
    assert_int_equal(master_key_parse(slice_of(key, 64), &x->keys.current), 0);
    x->sql = connect_sql(url);
    (void)run_sql(
        x->sql,
        "SET client_min_messages = error; DROP SCHEMA public CASCADE; CREATE SCHEMA public");
    migrate(x);
    assert_int_equal(loop_new(&x->loop), 0);
    pgx_open_store(x, lanes, x->url);
    pgx_wait_up(x);
}

void pgx_deinit(struct pgx *x)
{
    store_pg_close(x->store);
    assert_int_equal(loop_turn(x->loop, false), 0);
    loop_free(x->loop);
    PQfinish(x->sql);
}

/* ---- waiting ---- */

static void tick(struct timer *timer, void *arg)
{
    (void)timer;
    (void)arg;
}

static void turn(struct pgx *x, uint64_t deadline_ms)
{
    struct env *env = loop_env(x->loop);
    struct timer timer; /* so that a turn never sleeps past the deadline */

    if (env_now_ms(env) > deadline_ms)
        fail_msg("waited for %d ms", PG_WAIT_MS);
    timer_init(&timer, tick, NULL);
    assert_int_equal(env_timer(env, &timer, 100), 0);
    assert_int_equal(loop_turn(x->loop, true), 0);
    env_timer_cancel(env, &timer);
}

void pgx_wait(struct pgx *x, const bool *flag)
{
    uint64_t deadline = env_now_ms(loop_env(x->loop)) + PG_WAIT_MS;

    while (!*flag)
        turn(x, deadline);
}

void pgx_wait_up(struct pgx *x)
{
    uint64_t deadline = env_now_ms(loop_env(x->loop)) + PG_WAIT_MS;

    while (store_pg_stats(x->store)->connections < x->connections)
        turn(x, deadline);
    assert_true(x->store->ops->is_available(x->store));
}

void pgx_wait_errors(struct pgx *x, enum pg_error error, uint64_t n)
{
    uint64_t deadline = env_now_ms(loop_env(x->loop)) + PG_WAIT_MS;

    while (store_pg_stats(x->store)->errors[error] < n)
        turn(x, deadline);
}

void pgx_wait_sql(struct pgx *x, const char *sql, const char *want)
{
    uint64_t deadline = env_now_ms(loop_env(x->loop)) + PG_WAIT_MS;

    while (strcmp(run_sql(x->sql, sql), want) != 0)
        turn(x, deadline);
}

void pgx_cut(struct pgx *x, const char *sql, unsigned n)
{
    uint64_t before = store_pg_stats(x->store)->disconnects;

    (void)run_sql(x->sql, sql);
    pgx_wait_disconnects(x, before + n);
}

void pgx_wait_disconnects(struct pgx *x, uint64_t n)
{
    uint64_t deadline = env_now_ms(loop_env(x->loop)) + PG_WAIT_MS;

    while (store_pg_stats(x->store)->disconnects < n)
        turn(x, deadline);
}

/* ---- calls ---- */

static void on_submitted(void *arg, enum store_result result, const bool *committed,
                         bool is_duplicate)
{
    struct pgx_submit *s = arg;

    assert_false(s->done);
    s->done = true;
    s->result = result;
    s->is_duplicate = is_duplicate;
    if (result == STORE_OK)
        memcpy(s->committed, committed, s->n);
}

void pgx_submit_start(struct pgx *x, unsigned lane, const struct batch *batch,
                      struct pgx_submit *ret)
{
    *ret = (struct pgx_submit){.n = batch->n_rooms};
    assert_int_equal(x->store->ops->submit(x->store, lane, batch, on_submitted, ret), 0);
    assert_false(ret->done);
}

void pgx_submit(struct pgx *x, const struct batch *batch, struct pgx_submit *ret)
{
    pgx_submit_start(x, 0, batch, ret);
    pgx_wait(x, &ret->done);
}

static void on_claimed(void *arg, enum store_result result, const struct claim_result *claim)
{
    struct pgx_claim *c = arg;

    c->done = true;
    c->result = result;
    if (!claim)
        return;
    c->row = claim->row;
    c->n_members = claim->n_members;
    c->n_tail = claim->n_tail;
    for (size_t i = 0; i < claim->n_members && i < ARRAY_LEN(c->users); i++) {
        memcpy(c->users[i], claim->members[i].user.data,
               MIN(claim->members[i].user.len, (size_t)15));
        c->roles[i] = claim->members[i].role;
    }
    for (size_t i = 0; i < claim->n_tail && i < ARRAY_LEN(c->tail_seqs); i++)
        c->tail_seqs[i] = claim->tail[i]->seq;
    c->touched_floor = claim->touched_floor;
    c->seq_floor = claim->seq_floor;
    c->n_restrictions = claim->n_restrictions;
    for (size_t i = 0; i < claim->n_restrictions && i < ARRAY_LEN(c->restrictions); i++) {
        const struct restriction_row *from = &claim->restrictions[i];
        struct pgx_restriction *to = &c->restrictions[i];

        snprintf(to->user, sizeof(to->user), "%.*s", (int)from->user.len, from->user.data);
        to->muted_us = from->muted_us;
        to->banned_us = from->banned_us;
    }
}

void pgx_claim_start(struct pgx *x, const char *room, uint64_t fence, struct pgx_claim *ret)
{
    memset(ret, 0, sizeof(*ret));
    assert_int_equal(x->store->ops->claim(x->store, SLICE_LIT("p"), slice_str(room), fence, 10,
                                          on_claimed, ret),
                     0);
}

void pgx_claim(struct pgx *x, const char *room, uint64_t fence, struct pgx_claim *ret)
{
    pgx_claim_start(x, room, fence, ret);
    pgx_wait(x, &ret->done);
}

void pgx_members(struct pgx *x, const char *room, struct pgx_claim *ret)
{
    memset(ret, 0, sizeof(*ret));
    assert_int_equal(
        x->store->ops->members(x->store, SLICE_LIT("p"), slice_str(room), on_claimed, ret), 0);
    pgx_wait(x, &ret->done);
}

struct created {
    bool done, created;
};

static void on_created(void *arg, enum store_result result, bool created)
{
    struct created *c = arg;

    assert_int_equal(result, STORE_OK);
    c->done = true;
    c->created = created;
}

bool pgx_create_room(struct pgx *x, const char *room, uint64_t fence)
{
    struct member_op members[] = {{SLICE_LIT("ann"), ROLE_OWNER, 1700000000000000}};
    struct room_create create = {
        .project = SLICE_LIT("p"),
        .room = slice_str(room),
        .type = SLICE_LIT("group"),
        .name = SLICE_LIT("A room"),
        .created_by = SLICE_LIT("ann"),
        .created_us = 1700000000000000,
        .fence = fence,
        .members = members,
        .n_members = 1,
    };
    struct created c = {0};

    assert_int_equal(x->store->ops->create_room(x->store, &create, on_created, &c), 0);
    pgx_wait(x, &c.done);
    return c.created;
}

/* ---- batches ---- */

void pgx_batch_init(struct pgx_batch *b, int64_t first_id)
{
    memset(b, 0, sizeof(*b));
    b->batch.rooms = b->rooms;
    b->next_id = first_id;
}

void pgx_batch_deinit(struct pgx_batch *b)
{
    for (size_t i = 0; i < b->n_entries; i++)
        entry_unref(b->entries[i]);
    for (size_t i = 0; i < b->n_changed; i++)
        entry_unref(b->changed[i]);
}

struct batch_room *pgx_batch_room(struct pgx_batch *b, const char *name, uint64_t fence,
                                  uint64_t expect_seq, unsigned n, const char *text)
{
    struct batch_room *room = &b->rooms[b->batch.n_rooms++];

    *room = (struct batch_room){
        .project = SLICE_LIT("p"),
        .room = slice_str(name),
        .fence = fence,
        .expect_seq = expect_seq,
        .new_seq = expect_seq + n,
        .entries = &b->entries[b->n_entries],
        .n_entries = n,
        .message_count = expect_seq + n,
        .changed = &b->changed[b->n_changed],
        .keys = &b->keys[b->n_keys],
        .ops = &b->ops[b->n_ops],
    };
    for (unsigned i = 0; i < n; i++) {
        uint64_t seq = expect_seq + i + 1;
        char content[64];
        struct entry e = {
            .kind = ENTRY_MESSAGE,
            .seq = seq,
            .updated_seq = seq,
            .id = b->next_id++,
            .created_us = 1700000000000000 + (int64_t)seq * 1000,
            .version = 1,
            .message_no = seq,
            .user = SLICE_LIT("ann"),
        };

        snprintf(content, sizeof(content), "%s%llu", text, (unsigned long long)seq);
        memcpy(e.dedupe, content, strnlen(content, DEDUPE_LEN));
        e.content = slice_str(content);
        e.client_id = slice_str(content);
        b->entries[b->n_entries++] = entry_new(&e);
        room->last_id = e.id;
        room->last_created_us = e.created_us;
    }
    return room;
}

void pgx_batch_last(struct pgx_batch *b, struct slice content, const char *key)
{
    struct entry **last = &b->entries[b->n_entries - 1];
    struct entry e = **last;

    e.content = content;
    if (key) {
        memset(e.dedupe, 0, DEDUPE_LEN);
        memcpy(e.dedupe, key, strnlen(key, DEDUPE_LEN));
    }
    struct entry *fresh = entry_new(&e);
    entry_unref(*last);
    *last = fresh;
}

void pgx_batch_side(struct pgx_batch *b, struct side_op op)
{
    op.at_us = 1700000000000000;
    b->ops[b->n_ops++] = op;
    b->rooms[b->batch.n_rooms - 1].n_ops++;
}

void pgx_batch_op(struct pgx_batch *b, const char *user, enum member_role role)
{
    pgx_batch_side(
        b, (struct side_op){.kind = SIDE_MEMBER, .user = slice_str(user), .role = role});
}

void pgx_batch_change(struct pgx_batch *b, const struct entry *image, const char *key)
{
    struct batch_room *room = &b->rooms[b->batch.n_rooms - 1];
    struct entry e = *image;

    e.updated_seq = ++room->new_seq;
    b->changed[b->n_changed++] = entry_new(&e);
    room->n_changed++;
    if (!key)
        return;
    b->keys[b->n_keys] = (struct batch_key){.seq = e.updated_seq, .target = e.seq};
    memcpy(b->keys[b->n_keys++].key, key, strnlen(key, DEDUPE_LEN));
    room->n_keys++;
}
