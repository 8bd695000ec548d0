/* sim_op.h - one call under way in the simulated store; what sim_store.c and sim_server.c
 * share. */
#pragma once

#include "tests/support/sim_store.h"

enum op_kind {
    OP_SUBMIT,
    OP_CLAIM,
    OP_MEMBERS,
    OP_CREATE,
    OP_DELETE,
    OP_SWEEP,
    OP_PAGE,
    OP_FIND,
    OP_DUE,
    OP_QUERY,
    OP_DEDUPE,
    OP_FENCES,
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
    bool is_cut_off;
    uint64_t epoch; /* of the server that it knows */
    struct timer look;
    void (*on_replaced)(void *owner);
    void *owner;
};

/* sim_standby.c */
void sim_store_look_init(struct sim_store *store);
/* Another server answers than it knows: it uses none before it has found that out. */
bool sim_store_is_outdated(struct sim_store *store);

union op_fn {
    store_submit_fn submit;
    store_claim_fn claim;
    store_page_fn page;
    store_dedupe_fn dedupe;
    store_fences_fn fences;
    store_project_fn project;
    store_key_fn key;
    store_ids_fn ids;
    store_create_fn create;
    store_delete_fn deleted;
    store_sweep_fn sweep;
    store_find_fn find;
    store_due_fn due;
    store_query_fn query;
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
    struct find_query find;
    enum sweep_kind sweep;
    int64_t before_us;
    uint32_t limit;
    struct slice project, room;
    uint64_t fence;
    uint32_t tail_len;
    struct dedupe_key *keys; /* of fences too */
    size_t n_keys;
    uint8_t hash[32];

    /* what was found */
    bool is_duplicate, created, deleted, more;
    uint64_t swept;
    struct entry *entry; /* found by its id */
    struct due_row *due;
    size_t n_due;
    struct sim_claim claim;
    struct page page;
    struct dedupe_found *found;
    struct fence_state *fences;
    const struct project_row *project_row;
    const struct key_row *key_row;
    int64_t first_id;
};

/* sim_server.c: splitmix64 from the seed of the server, and what is drawn from it. */
uint64_t sim_server_random(struct sim_server *server);
uint64_t sim_server_latency(struct sim_server *server);
bool sim_server_chance(struct sim_server *server, unsigned per_mille);
void op_on_server(struct timer *timer,
                  void *arg); /* the op has arrived, or its turn has come */

#define SIM_LOCK_TIMEOUT_MS 2000 /* how long a claim waits for a row */

/* sim_store.c */
void op_arm(struct env *env, struct timer *timer, uint64_t ms);
void op_free(struct op *op);
void op_reply(struct op *op, enum store_result result);
void op_cut(struct op *op, bool goes_on);
