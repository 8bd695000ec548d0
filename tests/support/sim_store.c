/*
 * sim_store.c - see sim_store.h.
 *
 *   call -> op: request on its way -> [runs in the server] -> answer on its way -> callback
 *
 * An op whose store is gone (process died, connection cut) runs to its end in
 * the server and is forgotten.
 */
#include "tests/support/sim_store.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/base/limits.h"

enum op_kind {
    OP_SUBMIT,
    OP_CLAIM,
    OP_MEMBERS,
    OP_CREATE,
    OP_PAGE,
    OP_DEDUPE,
    OP_FENCES,
    OP_LIST,
    OP_PROJECT,
    OP_KEY,
    OP_IDS
};

struct sim_store {
    struct store store;
    struct list link;
    struct sim_server *server;
    struct env *env;
    struct list ops; /* struct op: not answered yet */
    int64_t clock_offset_us;
};

union op_fn {
    store_submit_fn submit;
    store_claim_fn claim;
    store_page_fn page;
    store_dedupe_fn dedupe;
    store_rooms_fn rooms;
    store_fences_fn fences;
    store_project_fn project;
    store_key_fn key;
    store_ids_fn ids;
    store_create_fn create;
};

struct op {
    enum op_kind kind;
    struct sim_store *store; /* NULL: nobody waits for the answer */
    struct sim_server *server;
    struct list in_store, in_server, stalled;
    struct timer server_timer, answer_timer;
    union op_fn fn;
    void *arg;
    enum store_result result;
    enum sim_fate fate;
    uint64_t give_up_ms; /* a claim that waits for a lock */

    /* what was asked; slices are copies */
    struct sim_commit *commit;
    struct room_create create;
    struct page_query query;
    struct slice project, room, user, type;
    uint64_t fence;
    uint32_t tail_len;
    bool all;
    struct dedupe_key *keys; /* of fences too */
    size_t n_keys;
    uint8_t hash[32];

    /* what was found */
    bool is_duplicate, created;
    struct sim_claim claim;
    struct page page;
    struct entry **found;
    struct fence_state *fences;
    struct room_list_row *rooms;
    size_t n_rooms;
    const struct project_row *project_row;
    const struct key_row *key_row;
    int64_t first_id;
};

#define LOCK_TIMEOUT_MS 2000

static void *must(void *p)
{
    if (!p)
        abort();
    return p;
}

static struct slice dup(struct slice s)
{
    return slice_of(must(slice_dup(s)), s.len);
}

static void drop(struct slice s)
{
    free((char *)(uintptr_t)s.data);
}

static void arm(struct env *env, struct timer *timer, uint64_t ms)
{
    if (env_timer(env, timer, ms) < 0)
        abort();
}

/* splitmix64 */
static uint64_t rnd(struct sim_server *s)
{
    uint64_t z = (s->random_state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static bool chance(struct sim_server *s, unsigned per_mille)
{
    return per_mille > 0 && rnd(s) % 1000 < per_mille;
}

static uint64_t latency(struct sim_server *s)
{
    return s->latency_min_ms + rnd(s) % (s->latency_max_ms - s->latency_min_ms + 1);
}

/* ---- life of an op ---- */

static void op_free(struct op *op)
{
    list_del(&op->in_store);
    list_del(&op->in_server);
    list_del(&op->stalled);
    timer_cancel(&op->server->env->timers, &op->server_timer);
    if (op->store)
        timer_cancel(&op->store->env->timers, &op->answer_timer);
    if (op->commit)
        sim_commit_abort(op->server->db, op->commit);
    sim_commit_free(op->commit);
    drop(op->create.project);
    drop(op->create.room);
    drop(op->create.type);
    drop(op->create.name);
    drop(op->create.created_by);
    for (size_t i = 0; i < op->create.n_members; i++)
        drop(op->create.members[i].user);
    free((struct member_op *)(uintptr_t)op->create.members);
    drop(op->project);
    drop(op->room);
    drop(op->user);
    drop(op->type);
    for (size_t i = 0; i < op->n_keys; i++) {
        drop(op->keys[i].project);
        drop(op->keys[i].room);
    }
    free(op->keys);
    sim_claim_deinit(&op->claim);
    sim_entries_free(op->page.entries, op->page.n_entries);
    sim_entries_free(op->found, op->found ? op->n_keys : 0);
    free(op->fences);
    free(op->rooms);
    free(op);
}

static void answer(struct op *op)
{
    struct rooms_page rooms = {op->rooms, op->n_rooms};
    bool ok = op->result == STORE_OK;

    switch (op->kind) {
    case OP_SUBMIT:
        op->fn.submit(op->arg, op->result, op->commit->committed, op->is_duplicate);
        break;
    case OP_CLAIM:
    case OP_MEMBERS:
        op->fn.claim(op->arg, op->result, ok ? &op->claim.result : NULL);
        break;
    case OP_CREATE:
        op->fn.create(op->arg, op->result, op->created);
        break;
    case OP_PAGE:
        op->fn.page(op->arg, op->result, ok ? &op->page : NULL);
        break;
    case OP_DEDUPE:
        op->fn.dedupe(op->arg, op->result, op->found);
        break;
    case OP_FENCES:
        op->fn.fences(op->arg, op->result, op->fences);
        break;
    case OP_LIST:
        op->fn.rooms(op->arg, op->result, ok ? &rooms : NULL);
        break;
    case OP_PROJECT:
        op->fn.project(op->arg, op->result, op->project_row);
        break;
    case OP_KEY:
        op->fn.key(op->arg, op->result, op->key_row);
        break;
    case OP_IDS:
        op->fn.ids(op->arg, op->result, op->first_id, op->server->id_block);
        break;
    }
}

static void op_on_answer(struct timer *timer, void *arg)
{
    struct op *op = arg;

    (void)timer;
    list_del(&op->in_store);
    answer(op); /* the store may be gone afterwards */
    op->store = NULL;
    if (!list_linked(&op->in_server))
        op_free(op);
}

/* The answer goes on its way; nothing of it runs in the server any more. */
static void op_reply(struct op *op, enum store_result result)
{
    list_del(&op->in_server);
    if (!op->store) {
        op_free(op);
    } else if (!timer_is_armed(&op->answer_timer)) { /* else its connection is cut already */
        op->result = result;
        arm(op->store->env, &op->answer_timer, latency(op->server));
    }
}

/* The connection breaks. What runs in the server goes on without us when it may. */
static void op_cut(struct op *op, bool goes_on)
{
    op->result = op->kind == OP_SUBMIT ? STORE_UNKNOWN : STORE_UNAVAILABLE;
    if (!goes_on) {
        list_del(&op->in_server);
        list_del(&op->stalled);
        timer_cancel(&op->server->env->timers, &op->server_timer);
        if (op->commit)
            sim_commit_abort(op->server->db, op->commit);
    }
    if (!timer_is_armed(&op->answer_timer))
        arm(op->store->env, &op->answer_timer, 0);
}

/* ---- what the server does ---- */

static void run_commit(struct op *op)
{
    struct sim_server *server = op->server;
    struct sim_commit *commit = op->commit;
    enum store_result result;
    uint64_t pause = latency(server);
    size_t rows = 0;

    if (commit->is_started) {
        sim_commit_finish(server->db, commit);
        op_reply(op, op->fate == SIM_UNKNOWN_NOW ? STORE_UNKNOWN : STORE_OK);
        return;
    }
    for (size_t i = 0; i < commit->n_rooms; i++)
        rows += commit->rooms[i].n_entries;
    server->n_batches++;
    server->n_rows += (unsigned)rows;
    server->largest_batch = MAX(server->largest_batch, rows);
    if (op->fate == SIM_LOCKED) {
        op_reply(op, STORE_OK);
        return;
    }
    result = sim_commit_start(server->db, commit, &op->is_duplicate);
    if (result != STORE_OK) {
        op_reply(op, result);
        return;
    }
    if (op->fate == SIM_UNKNOWN_HELD) {
        pause += 1 + rnd(server) % server->later_max_ms;
        if (op->store)
            op_cut(op, true);
    }
    arm(server->env, &op->server_timer, pause);
}

static void run_claim(struct op *op)
{
    struct sim_server *server = op->server;
    struct sim_room *room = sim_db_room(server->db, op->project, op->room);

    if (!room) {
        op_reply(op, STORE_NOT_FOUND);
        return;
    }
    if (op->kind == OP_CLAIM && sim_room_is_locked(room)) {
        if (env_now_ms(server->env) >= op->give_up_ms)
            op_reply(op, STORE_UNAVAILABLE);
        else
            arm(server->env, &op->server_timer, 1);
        return;
    }
    if (op->kind == OP_CLAIM)
        sim_room_set_fence(room, op->fence);
    sim_room_claim(room, op->tail_len, &op->claim);
    op_reply(op, STORE_OK);
}

static void run_page(struct op *op)
{
    struct sim_room *room = sim_db_room(op->server->db, op->project, op->room);

    if (room)
        sim_room_page(room, &op->query, &op->page);
    op_reply(op, room ? STORE_OK : STORE_NOT_FOUND);
}

static void run_dedupe(struct op *op)
{
    op->found = must(calloc(op->n_keys + 1, sizeof(struct entry *)));
    for (size_t i = 0; i < op->n_keys; i++) {
        struct sim_room *room =
            sim_db_room(op->server->db, op->keys[i].project, op->keys[i].room);
        struct entry *e = room ? sim_room_find(room, op->keys[i].dedupe) : NULL;

        op->found[i] = e ? entry_ref(e) : NULL;
    }
    op_reply(op, STORE_OK);
}

static void run_fences(struct op *op)
{
    op->fences = must(calloc(op->n_keys + 1, sizeof(*op->fences)));
    for (size_t i = 0; i < op->n_keys; i++) {
        struct sim_room *room =
            sim_db_room(op->server->db, op->keys[i].project, op->keys[i].room);
        const struct room_row *row = room ? sim_room_row(room) : NULL;

        if (row)
            op->fences[i] = (struct fence_state){row->fence, row->last_seq, row->last_id};
    }
    op_reply(op, STORE_OK);
}

static void op_run(struct op *op)
{
    struct sim_server *server = op->server;

    switch (op->kind) {
    case OP_SUBMIT:
        run_commit(op);
        break;
    case OP_CLAIM:
    case OP_MEMBERS:
        run_claim(op);
        break;
    case OP_PAGE:
        run_page(op);
        break;
    case OP_DEDUPE:
        run_dedupe(op);
        break;
    case OP_FENCES:
        run_fences(op);
        break;
    case OP_CREATE:
        op->created = sim_db_create_room(server->db, &op->create);
        op_reply(op, STORE_OK);
        break;
    case OP_LIST:
        op->n_rooms =
            sim_db_list_rooms(server->db, op->project, op->user, op->all, op->type, &op->rooms);
        op_reply(op, STORE_OK);
        break;
    case OP_PROJECT:
        op->project_row = sim_db_project(server->db, op->project);
        op_reply(op, op->project_row ? STORE_OK : STORE_NOT_FOUND);
        break;
    case OP_KEY:
        op->key_row = sim_db_key(server->db, op->hash);
        op_reply(op, op->key_row ? STORE_OK : STORE_NOT_FOUND);
        break;
    case OP_IDS:
        op->first_id = sim_db_id_block(server->db, server->id_block);
        op_reply(op, STORE_OK);
        break;
    }
}

static void op_on_server(struct timer *timer, void *arg)
{
    struct op *op = arg;

    (void)timer;
    if (op->server->is_stalled)
        list_add_tail(&op->server->stalled, &op->stalled);
    else
        op_run(op);
}

/* ---- the call ---- */

static struct op *op_new(struct store *s, enum op_kind kind, void *arg)
{
    struct sim_store *store = container_of(s, struct sim_store, store);
    struct op *op = must(calloc(1, sizeof(*op)));

    op->kind = kind;
    op->store = store;
    op->server = store->server;
    op->arg = arg;
    list_init(&op->in_server);
    list_init(&op->stalled);
    list_init(&op->in_store);
    timer_init(&op->server_timer, op_on_server, op);
    timer_init(&op->answer_timer, op_on_answer, op);
    return op;
}

static enum sim_fate choose_fate(struct sim_server *server, enum op_kind kind)
{
    static const enum sim_fate lost[] = {SIM_UNKNOWN_NOW, SIM_UNKNOWN_LATER, SIM_UNKNOWN_HELD,
                                         SIM_UNKNOWN_NEVER};

    if (kind == OP_SUBMIT && server->script_at < server->n_script)
        return server->script[server->script_at++];
    if (chance(server, server->unavailable_per_mille))
        return SIM_UNAVAILABLE;
    if (kind == OP_SUBMIT && chance(server, server->lost_per_mille))
        return lost[rnd(server) % ARRAY_LEN(lost)];
    if (kind == OP_SUBMIT && chance(server, server->locked_per_mille))
        return SIM_LOCKED;
    return SIM_OK;
}

/* Takes op: it will be answered once, or -ENOTCONN and it is gone. */
static int op_start(struct op *op)
{
    struct sim_server *server = op->server;
    uint64_t request = latency(server);

    if (!server->is_up && rnd(server) % 2 == 0) {
        op_free(op);
        return -ENOTCONN;
    }
    list_add_tail(&op->store->ops, &op->in_store);
    op->fate = server->is_up ? choose_fate(server, op->kind) : SIM_UNAVAILABLE;
    if (op->fate == SIM_UNAVAILABLE || op->fate == SIM_FAILED ||
        op->fate == SIM_UNKNOWN_NEVER) {
        op->result = op->fate == SIM_FAILED        ? STORE_FAILED
                     : op->fate == SIM_UNAVAILABLE ? STORE_UNAVAILABLE
                                                   : STORE_UNKNOWN;
        arm(op->store->env, &op->answer_timer, request);
        return 0;
    }
    list_add_tail(&server->ops, &op->in_server);
    if (op->fate == SIM_UNKNOWN_LATER) {
        op_cut(op, true);
        request += 1 + rnd(server) % server->later_max_ms;
    }
    op->give_up_ms = env_now_ms(server->env) + LOCK_TIMEOUT_MS;
    arm(server->env, &op->server_timer, request);
    return 0;
}

static int sim_submit(struct store *s, unsigned lane, const struct batch *batch,
                      store_submit_fn fn, void *arg)
{
    struct op *op = op_new(s, OP_SUBMIT, arg);

    (void)lane;
    op->fn.submit = fn;
    op->commit = sim_commit_new(batch);
    return op_start(op);
}

static int sim_claim(struct store *s, struct slice project, struct slice room, uint64_t fence,
                     uint32_t tail_len, store_claim_fn fn, void *arg)
{
    struct op *op = op_new(s, OP_CLAIM, arg);

    op->fn.claim = fn;
    op->project = dup(project);
    op->room = dup(room);
    op->fence = fence;
    op->tail_len = tail_len;
    return op_start(op);
}

static int sim_members(struct store *s, struct slice project, struct slice room,
                       store_claim_fn fn, void *arg)
{
    struct op *op = op_new(s, OP_MEMBERS, arg);

    op->fn.claim = fn;
    op->project = dup(project);
    op->room = dup(room);
    return op_start(op);
}

static int sim_create_room(struct store *s, const struct room_create *room, store_create_fn fn,
                           void *arg)
{
    struct op *op = op_new(s, OP_CREATE, arg);
    struct member_op *members = must(calloc(room->n_members + 1, sizeof(*members)));

    op->fn.create = fn;
    op->create = *room;
    op->create.project = dup(room->project);
    op->create.room = dup(room->room);
    op->create.type = dup(room->type);
    op->create.name = dup(room->name);
    op->create.created_by = dup(room->created_by);
    op->create.members = members;
    for (size_t i = 0; i < room->n_members; i++) {
        members[i] = room->members[i];
        members[i].user = dup(room->members[i].user);
    }
    return op_start(op);
}

static int sim_page(struct store *s, const struct page_query *query, store_page_fn fn,
                    void *arg)
{
    struct op *op = op_new(s, OP_PAGE, arg);

    op->fn.page = fn;
    op->query = *query;
    op->project = dup(query->project);
    op->room = dup(query->room);
    return op_start(op);
}

static struct dedupe_key *copy_keys(const struct dedupe_key *keys, size_t n)
{
    struct dedupe_key *copy = must(calloc(n + 1, sizeof(*copy)));

    for (size_t i = 0; i < n; i++) {
        copy[i] = keys[i];
        copy[i].project = dup(keys[i].project);
        copy[i].room = dup(keys[i].room);
    }
    return copy;
}

static int sim_find_dedupe(struct store *s, const struct dedupe_key *keys, size_t n,
                           store_dedupe_fn fn, void *arg)
{
    struct op *op = op_new(s, OP_DEDUPE, arg);

    op->fn.dedupe = fn;
    op->keys = copy_keys(keys, n);
    op->n_keys = n;
    return op_start(op);
}

static int sim_probe_fences(struct store *s, const struct fence_probe *rooms, size_t n,
                            store_fences_fn fn, void *arg)
{
    struct op *op = op_new(s, OP_FENCES, arg);

    op->fn.fences = fn;
    op->keys = must(calloc(n + 1, sizeof(*op->keys)));
    op->n_keys = n;
    for (size_t i = 0; i < n; i++) {
        op->keys[i].project = dup(rooms[i].project);
        op->keys[i].room = dup(rooms[i].room);
    }
    return op_start(op);
}

static int sim_list_rooms(struct store *s, struct slice project, struct slice user, bool all,
                          struct slice type, store_rooms_fn fn, void *arg)
{
    struct op *op = op_new(s, OP_LIST, arg);

    op->fn.rooms = fn;
    op->project = dup(project);
    op->user = dup(user);
    op->type = dup(type);
    op->all = all;
    return op_start(op);
}

static int sim_project(struct store *s, struct slice project, store_project_fn fn, void *arg)
{
    struct op *op = op_new(s, OP_PROJECT, arg);

    op->fn.project = fn;
    op->project = dup(project);
    return op_start(op);
}

static int sim_api_key(struct store *s, const uint8_t key_hash[32], store_key_fn fn, void *arg)
{
    struct op *op = op_new(s, OP_KEY, arg);

    op->fn.key = fn;
    memcpy(op->hash, key_hash, sizeof(op->hash));
    return op_start(op);
}

static int sim_id_block(struct store *s, store_ids_fn fn, void *arg)
{
    struct op *op = op_new(s, OP_IDS, arg);

    op->fn.ids = fn;
    return op_start(op);
}

static int64_t sim_clock_offset_us(struct store *s)
{
    return container_of(s, struct sim_store, store)->clock_offset_us;
}

static bool sim_is_available(struct store *s)
{
    return container_of(s, struct sim_store, store)->server->is_up;
}

static const struct store_ops sim_store_ops = {
    .submit = sim_submit,
    .claim = sim_claim,
    .create_room = sim_create_room,
    .page = sim_page,
    .find_dedupe = sim_find_dedupe,
    .probe_fences = sim_probe_fences,
    .list_rooms = sim_list_rooms,
    .members = sim_members,
    .project = sim_project,
    .api_key = sim_api_key,
    .id_block = sim_id_block,
    .clock_offset_us = sim_clock_offset_us,
    .is_available = sim_is_available,
};

/* ---- server and stores ---- */

void sim_server_init(struct sim_server *server, struct env *env, uint64_t seed)
{
    *server = (struct sim_server){
        .env = env,
        .db = sim_db_new(),
        .random_state = seed,
        .is_up = true,
        .latency_min_ms = 1,
        .latency_max_ms = 1,
        .later_max_ms = 1000,
        .id_block = 1000,
    };
    list_init(&server->stores);
    list_init(&server->ops);
    list_init(&server->stalled);
}

void sim_server_deinit(struct sim_server *server)
{
    assert(list_empty(&server->stores));
    while (!list_empty(&server->ops))
        op_free(list_first(&server->ops, struct op, in_server));
    sim_db_free(server->db);
}

void sim_server_script(struct sim_server *server, enum sim_fate fate)
{
    assert(server->n_script < ARRAY_LEN(server->script));
    server->script[server->n_script++] = fate;
}

void sim_server_set_up(struct sim_server *server, bool is_up)
{
    struct sim_store *store;

    server->is_up = is_up;
    if (is_up)
        return;
    list_for_each(store, &server->stores, link) sim_store_cut(&store->store);
    while (!list_empty(&server->ops)) {
        struct op *op = list_first(&server->ops, struct op, in_server);

        if (op->store)
            op_cut(op, false);
        else
            op_free(op);
    }
}

void sim_server_set_stalled(struct sim_server *server, bool is_stalled)
{
    server->is_stalled = is_stalled;
    while (!is_stalled && !list_empty(&server->stalled)) {
        struct op *op = list_first(&server->stalled, struct op, stalled);

        list_del(&op->stalled);
        op_run(op);
    }
}

struct store *sim_store_new(struct sim_server *server, struct env *env)
{
    struct sim_store *store = must(calloc(1, sizeof(*store)));

    store->store.ops = &sim_store_ops;
    store->server = server;
    store->env = env;
    list_init(&store->ops);
    list_add_tail(&server->stores, &store->link);
    return &store->store;
}

void sim_store_free(struct store *s)
{
    struct sim_store *store = container_of(s, struct sim_store, store);

    while (!list_empty(&store->ops)) {
        struct op *op = list_first(&store->ops, struct op, in_store);

        timer_cancel(&store->env->timers, &op->answer_timer);
        list_del(&op->in_store);
        op->store = NULL;
        if (!list_linked(&op->in_server))
            op_free(op);
    }
    list_del(&store->link);
    free(store);
}

void sim_store_cut(struct store *s)
{
    struct sim_store *store = container_of(s, struct sim_store, store);
    struct op *op;

    list_for_each(op, &store->ops, in_store)
    {
        bool is_running = list_linked(&op->in_server);

        if (!is_running && op->kind != OP_SUBMIT)
            continue; /* its answer had arrived */
        /* A statement that the server has begun goes on; a request on the way arrives, or does
         * not. */
        op_cut(op, is_running && op->commit &&
                       (op->commit->is_started || rnd(store->server) % 2 == 0));
    }
}

void sim_store_set_clock_offset(struct store *s, int64_t offset_us)
{
    container_of(s, struct sim_store, store)->clock_offset_us = offset_us;
}
