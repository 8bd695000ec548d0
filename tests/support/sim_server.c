/* sim_server.c - what the simulated server does with what arrives, and how it fails; see
 * sim_store.h. */
#include <assert.h>
#include <stdlib.h>

#include "shard/limits.h"
#include "tests/support/sim_op.h"

static void *must(void *p)
{
    if (!p)
        abort();
    return p;
}

/* splitmix64 */
uint64_t sim_server_random(struct sim_server *s)
{
    uint64_t z = (s->random_state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

bool sim_server_chance(struct sim_server *s, unsigned per_mille)
{
    return per_mille > 0 && sim_server_random(s) % 1000 < per_mille;
}

uint64_t sim_server_latency(struct sim_server *s)
{
    return s->latency_min_ms +
           sim_server_random(s) % (s->latency_max_ms - s->latency_min_ms + 1);
}

/* ---- what the server does ---- */

static void run_commit(struct op *op)
{
    struct sim_server *server = op->server;
    struct sim_commit *commit = op->commit;
    enum store_result result;
    uint64_t pause = sim_server_latency(server);
    size_t rows = 0;

    if (commit->is_started) {
        sim_commit_finish(server->db, commit, env_wall_us(server->env));
        for (size_t i = 0; i < commit->n_rooms && server->on_commit; i++) {
            if (commit->committed[i])
                server->on_commit(server->on_commit_arg, &commit->rooms[i]);
        }
        op_reply(op, op->fate == SIM_UNKNOWN_NOW ? STORE_UNKNOWN : STORE_OK);
        return;
    }
    for (size_t i = 0; i < commit->n_rooms; i++)
        rows += commit->rooms[i].n_entries + commit->rooms[i].n_changed;
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
        pause += 1 + sim_server_random(server) % server->later_max_ms;
        if (op->store)
            op_cut(op, true);
    }
    op_arm(server->env, &op->server_timer, pause);
}

/* What readers see: NULL for a deleted one. */
static struct sim_room *live_room(struct op *op)
{
    struct sim_room *room = sim_db_room(op->server->db, op->project, op->room);

    return room && !sim_room_is_deleted(room) ? room : NULL;
}

/* True: somebody else has the row locked, and the op will come again or has been answered. */
static bool wait_for_row(struct op *op, const struct sim_room *room)
{
    if (!sim_room_is_locked(room))
        return false;
    if (env_now_ms(op->server->env) >= op->give_up_ms)
        op_reply(op, STORE_UNAVAILABLE);
    else
        op_arm(op->server->env, &op->server_timer, 1);
    return true;
}

static void run_claim(struct op *op)
{
    struct sim_room *room = live_room(op);

    if (!room) {
        op_reply(op, STORE_NOT_FOUND);
        return;
    }
    if (op->kind == OP_CLAIM) {
        if (wait_for_row(op, room))
            return;
        sim_room_own(op->server->db, room, op->fence);
    }
    sim_room_claim(room, op->tail_len, env_wall_us(op->server->env), &op->claim);
    op_reply(op, STORE_OK);
}

static void run_delete(struct op *op)
{
    struct sim_room *room = live_room(op);

    if (room && wait_for_row(op, room))
        return;
    op->deleted = room && sim_room_delete(room, op->fence);
    op_reply(op, room ? STORE_OK : STORE_NOT_FOUND);
}

static void run_sweep(struct op *op)
{
    struct sim_db *db = op->server->db;
    int64_t before_us = env_wall_us(op->server->env) - (int64_t)CHANGE_KEYS_KEEP_MS * 1000;

    if (op->sweep == SWEEP_ROOMS) {
        op->more = sim_db_sweep_room(db, &op->swept);
    } else {
        op->swept = sim_db_sweep_changes(db, before_us, SWEEP_ROWS);
        op->more = op->swept == SWEEP_ROWS;
    }
    op_reply(op, STORE_OK);
}

static void run_page(struct op *op)
{
    struct sim_room *room = live_room(op);

    if (room)
        sim_room_page(room, &op->query, env_wall_us(op->server->env), &op->page);
    op_reply(op, room ? STORE_OK : STORE_NOT_FOUND);
}

static void run_find(struct op *op)
{
    struct find_query query = {op->project, op->room, op->find.id};
    struct slice room;
    struct entry *e = sim_db_find(op->server->db, &query, &room);

    if (e) {
        char *copy = must(slice_dup(room));

        free((char *)(uintptr_t)op->room.data);
        op->room = slice_of(copy, room.len);
        op->entry = entry_ref(e);
    }
    op_reply(op, e ? STORE_OK : STORE_NOT_FOUND);
}

static void run_due(struct op *op)
{
    op->n_due = sim_db_due(op->server->db, op->before_us, op->limit, &op->due);
    for (size_t i = 0; i < op->n_due; i++) {
        struct due_row *row = &op->due[i];

        row->project = slice_of(must(slice_dup(row->project)), row->project.len);
        row->room = slice_of(must(slice_dup(row->room)), row->room.len);
    }
    op_reply(op, STORE_OK);
}

static void run_dedupe(struct op *op)
{
    op->found = must(calloc(op->n_keys + 1, sizeof(*op->found)));
    for (size_t i = 0; i < op->n_keys; i++) {
        struct sim_room *room =
            sim_db_room(op->server->db, op->keys[i].project, op->keys[i].room);
        struct entry *e =
            room ? sim_room_find(room, op->keys[i].dedupe, &op->found[i].change_seq) : NULL;

        op->found[i].entry = e ? entry_ref(e) : NULL;
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
    case OP_DELETE:
        run_delete(op);
        break;
    case OP_SWEEP:
        run_sweep(op);
        break;
    case OP_PAGE:
        run_page(op);
        break;
    case OP_FIND:
        run_find(op);
        break;
    case OP_DUE:
        run_due(op);
        break;
    case OP_QUERY:
        op_reply(op, STORE_UNAVAILABLE);
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

void op_on_server(struct timer *timer, void *arg)
{
    struct op *op = arg;

    (void)timer;
    if (op->server->is_stalled)
        list_add_tail(&op->server->stalled, &op->stalled);
    else
        op_run(op);
}

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
    sim_db_free(server->standby);
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
    if (is_up) {
        list_for_each(store, &server->stores, link)(void) sim_store_is_outdated(store);
        return;
    }
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
