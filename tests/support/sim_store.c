/*
 * sim_store.c - see sim_store.h.
 *
 *   call -> op: request on its way -> [runs in the server] -> answer on its way -> callback
 *
 * An op whose store is gone (process died, connection cut) runs to its end in
 * the server and is forgotten.
 */
#include "tests/support/sim_op.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/base/limits.h"

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

void op_arm(struct env *env, struct timer *timer, uint64_t ms)
{
    if (env_timer(env, timer, ms) < 0)
        abort();
}

/* ---- life of an op ---- */

void op_free(struct op *op)
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
    drop(op->query.viewer);
    for (size_t i = 0; i < op->n_keys; i++) {
        drop(op->keys[i].project);
        drop(op->keys[i].room);
    }
    free(op->keys);
    sim_claim_deinit(&op->claim);
    sim_entries_free(op->page.entries, op->page.n_entries);
    for (size_t i = 0; op->found && i < op->n_keys; i++)
        entry_unref(op->found[i].entry);
    free(op->found);
    entry_unref(op->entry);
    for (size_t i = 0; i < op->n_due; i++) {
        drop(op->due[i].project);
        drop(op->due[i].room);
    }
    free(op->due);
    free(op->fences);
    free(op);
}

static void answer(struct op *op)
{
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
    case OP_DELETE:
        op->fn.deleted(op->arg, op->result, op->deleted);
        break;
    case OP_SWEEP:
        op->fn.sweep(op->arg, op->result, op->swept, op->more);
        break;
    case OP_PAGE:
        op->fn.page(op->arg, op->result, ok ? &op->page : NULL);
        break;
    case OP_FIND:
        op->fn.find(op->arg, op->result, ok ? op->room : (struct slice){0},
                    ok ? op->entry : NULL);
        break;
    case OP_DUE:
        op->fn.due(op->arg, op->result, ok ? op->due : NULL, ok ? op->n_due : 0);
        break;
    case OP_QUERY:
        op->fn.query(op->arg, op->result, NULL, false);
        break;
    case OP_DEDUPE:
        op->fn.dedupe(op->arg, op->result, op->found);
        break;
    case OP_FENCES:
        op->fn.fences(op->arg, op->result, op->fences);
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
void op_reply(struct op *op, enum store_result result)
{
    list_del(&op->in_server);
    if (!op->store) {
        op_free(op);
    } else if (!timer_is_armed(&op->answer_timer)) { /* else its connection is cut already */
        op->result = result;
        op_arm(op->store->env, &op->answer_timer, sim_server_latency(op->server));
    }
}

/* The connection breaks. What runs in the server goes on without us when it may. */
void op_cut(struct op *op, bool goes_on)
{
    op->result = op->kind == OP_SUBMIT ? STORE_UNKNOWN : STORE_UNAVAILABLE;
    if (!goes_on) {
        list_del(&op->in_server);
        list_del(&op->stalled);
        timer_cancel(&op->server->env->timers, &op->server_timer);
        if (op->commit)
            sim_commit_abort(op->server->db, op->commit);
    }
    op_arm(op->store->env, &op->answer_timer, 0);
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

static bool writes(enum op_kind kind)
{
    return kind == OP_SUBMIT || kind == OP_CLAIM || kind == OP_CREATE || kind == OP_DELETE ||
           kind == OP_SWEEP || kind == OP_IDS;
}

static enum sim_fate choose_fate(struct sim_server *server, enum op_kind kind)
{
    static const enum sim_fate lost[] = {SIM_UNKNOWN_NOW, SIM_UNKNOWN_LATER, SIM_UNKNOWN_HELD,
                                         SIM_UNKNOWN_NEVER};

    if (kind == OP_SUBMIT && server->script_at < server->n_script)
        return server->script[server->script_at++];
    if ((server->is_read_only && writes(kind)) ||
        sim_server_chance(server, server->unavailable_per_mille))
        return SIM_UNAVAILABLE;
    if (kind == OP_SUBMIT && sim_server_chance(server, server->lost_per_mille))
        return lost[sim_server_random(server) % ARRAY_LEN(lost)];
    if (kind == OP_SUBMIT && sim_server_chance(server, server->locked_per_mille))
        return SIM_LOCKED;
    return SIM_OK;
}

/* Takes op: it will be answered once, or -ENOTCONN and it is gone. */
static int op_start(struct op *op)
{
    struct sim_server *server = op->server;
    uint64_t request = sim_server_latency(server);

    bool is_reached = server->is_up && !op->store->is_cut_off;

    if (is_reached && sim_store_is_outdated(op->store)) {
        op_free(op);
        return -ENOTCONN;
    }

    if (!is_reached && sim_server_random(server) % 2 == 0) {
        op_free(op);
        return -ENOTCONN;
    }
    list_add_tail(&op->store->ops, &op->in_store);
    op->fate = is_reached ? choose_fate(server, op->kind) : SIM_UNAVAILABLE;
    if (op->fate == SIM_UNAVAILABLE || op->fate == SIM_FAILED ||
        op->fate == SIM_UNKNOWN_NEVER) {
        op->result = op->fate == SIM_FAILED        ? STORE_FAILED
                     : op->fate == SIM_UNAVAILABLE ? STORE_UNAVAILABLE
                                                   : STORE_UNKNOWN;
        op_arm(op->store->env, &op->answer_timer, request);
        return 0;
    }
    list_add_tail(&server->ops, &op->in_server);
    if (op->fate == SIM_UNKNOWN_LATER) {
        op_cut(op, true);
        request += 1 + sim_server_random(server) % server->later_max_ms;
    }
    op->give_up_ms = env_now_ms(server->env) + SIM_LOCK_TIMEOUT_MS;
    op_arm(server->env, &op->server_timer, request);
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
    op->query.viewer = dup(query->viewer);
    op->project = dup(query->project);
    op->room = dup(query->room);
    return op_start(op);
}

static int sim_find(struct store *s, const struct find_query *query, store_find_fn fn,
                    void *arg)
{
    struct op *op = op_new(s, OP_FIND, arg);

    op->fn.find = fn;
    op->find.id = query->id;
    op->project = dup(query->project);
    op->room = dup(query->room);
    return op_start(op);
}

static int sim_due(struct store *s, int64_t before_us, uint32_t limit, store_due_fn fn,
                   void *arg)
{
    struct op *op = op_new(s, OP_DUE, arg);

    op->fn.due = fn;
    op->before_us = before_us;
    op->limit = limit;
    return op_start(op);
}

static int sim_query(struct store *s, const struct store_query *query, store_query_fn fn,
                     void *arg)
{
    struct op *op = op_new(s, OP_QUERY, arg);

    (void)query;
    op->fn.query = fn;
    return op_start(op);
}

static int sim_delete_room(struct store *s, struct slice project, struct slice room,
                           uint64_t fence, store_delete_fn fn, void *arg)
{
    struct op *op = op_new(s, OP_DELETE, arg);

    op->fn.deleted = fn;
    op->project = dup(project);
    op->room = dup(room);
    op->fence = fence;
    return op_start(op);
}

static int sim_sweep(struct store *s, enum sweep_kind kind, store_sweep_fn fn, void *arg)
{
    struct op *op = op_new(s, OP_SWEEP, arg);

    op->fn.sweep = fn;
    op->sweep = kind;
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
    struct sim_store *store = container_of(s, struct sim_store, store);

    return store->server->is_up && !store->is_cut_off;
}

static const struct store_ops sim_store_ops = {
    .submit = sim_submit,
    .claim = sim_claim,
    .create_room = sim_create_room,
    .delete_room = sim_delete_room,
    .sweep = sim_sweep,
    .page = sim_page,
    .find = sim_find,
    .due = sim_due,
    .query = sim_query,
    .find_dedupe = sim_find_dedupe,
    .probe_fences = sim_probe_fences,
    .members = sim_members,
    .project = sim_project,
    .api_key = sim_api_key,
    .id_block = sim_id_block,
    .clock_offset_us = sim_clock_offset_us,
    .is_available = sim_is_available,
};

/* ---- stores ---- */

struct store *sim_store_new(struct sim_server *server, struct env *env)
{
    struct sim_store *store = must(calloc(1, sizeof(*store)));

    store->store.ops = &sim_store_ops;
    store->server = server;
    store->env = env;
    list_init(&store->ops);
    list_add_tail(&server->stores, &store->link);
    sim_store_look_init(store);
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
    timer_cancel(&store->env->timers, &store->look);
    free(store);
}

void sim_store_cut(struct store *s)
{
    struct sim_store *store = container_of(s, struct sim_store, store);
    struct op *op;

    list_for_each(op, &store->ops, in_store)
    {
        bool is_running = list_linked(&op->in_server);

        if (!is_running && op->kind != OP_SUBMIT) { /* its answer had arrived */
            op_arm(store->env, &op->answer_timer, 0);
            continue;
        }
        /* A statement that the server has begun goes on; a request on the way arrives, or does
         * not. */
        op_cut(op, is_running && op->commit &&
                       (op->commit->is_started || sim_server_random(store->server) % 2 == 0));
    }
}

void sim_store_set_cut_off(struct store *s, bool is_cut_off)
{
    container_of(s, struct sim_store, store)->is_cut_off = is_cut_off;
    if (is_cut_off)
        sim_store_cut(s);
}

void sim_store_set_clock_offset(struct store *s, int64_t offset_us)
{
    container_of(s, struct sim_store, store)->clock_offset_us = offset_us;
}
