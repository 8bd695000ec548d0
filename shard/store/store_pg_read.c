/*
 * store_pg_read.c - everything but batches: one struct read per call, with its
 * parameters, up to three statements in one transaction, and their results
 * until the call back.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/secret.h"
#include "shard/store/pg_rows.h"
#include "shard/store/store_pg_priv.h"

#define STATEMENTS_MAX 3
#define ARGUMENTS_MAX 10

/* One statement of a read: which of its parameters it takes, in order. */
struct statement {
    enum sql_id id;
    int n;
    int params[ARGUMENTS_MAX];
};

struct read {
    struct pg_request req;
    struct store_pg *store;
    struct pg_params params;
    struct statement statements[STATEMENTS_MAX];
    unsigned n_statements;
    PGresult *results[STATEMENTS_MAX];
    void (*finish)(struct read *read, enum store_result result); /* calls back */
    union {
        store_claim_fn claim;
        store_page_fn page;
        store_dedupe_fn dedupe;
        store_rooms_fn rooms;
        store_fences_fn fences;
        store_project_fn project;
        store_key_fn key;
        store_ids_fn ids;
        store_create_fn create;
    } fn;
    void *arg;
    uint64_t started_us;
    size_t n;       /* keys of a look-up */
    uint32_t limit; /* of a page */
};

static void read_free(struct read *read)
{
    for (unsigned i = 0; i < STATEMENTS_MAX; i++)
        PQclear(read->results[i]);
    pg_params_deinit(&read->params);
    free(read);
}

/* ---- the request ---- */

static int read_send(struct pg_request *req, struct pg_conn *conn)
{
    struct read *read = container_of(req, struct read, req);

    for (unsigned i = 0; i < read->n_statements; i++) {
        const struct statement *s = &read->statements[i];
        const char *values[ARGUMENTS_MAX];
        int lengths[ARGUMENTS_MAX];
        int r;

        for (int k = 0; k < s->n; k++) {
            values[k] = pg_params_value(&read->params, s->params[k]);
            lengths[k] = read->params.length[s->params[k]];
        }
        r = pg_conn_send(conn, req, s->id, s->n, values, lengths);
        if (r < 0)
            return r;
    }
    return 0;
}

static bool read_on_result(struct pg_request *req, unsigned n, PGresult *result)
{
    struct read *read = container_of(req, struct read, req);

    if (n >= read->n_statements)
        return false;
    read->results[n] = result;
    return true;
}

static void read_on_end(struct pg_request *req, enum pg_end how)
{
    struct read *read = container_of(req, struct read, req);
    struct store_pg *s = read->store;
    enum store_result result = STORE_OK;

    s->stats.read_us += (uint64_t)env_wall_us(s->env) - read->started_us;
    if (how == PG_END_ERROR) {
        result = store_pg_result(req->sqlstate, NULL);
        if (result == STORE_BAD_DATA)
            result = STORE_FAILED; /* a read with a value that the server does not take */
        log_warn("PostgreSQL refused a request", L_STR("sqlstate", req->sqlstate),
                 L_STR("statement", sql_statements[read->statements[0].id].name));
    } else if (how != PG_END_OK) {
        result = STORE_UNAVAILABLE;
        s->stats.timeouts++;
    }
    read->finish(read, result);
    read_free(read);
}

static struct read *read_new(struct store *store, void *arg,
                             void (*finish)(struct read *read, enum store_result result))
{
    struct read *read = calloc(1, sizeof(*read));

    if (!read)
        return NULL;
    read->req = (struct pg_request){
        .send = read_send, .on_result = read_on_result, .on_end = read_on_end};
    list_init(&read->req.link);
    read->store = store_pg_of(store);
    read->arg = arg;
    read->finish = finish;
    read->started_us = (uint64_t)env_wall_us(read->store->env);
    return read;
}

/* The statement takes the parameters first .. first + n - 1. */
static void add_statement(struct read *read, enum sql_id id, int n)
{
    struct statement *s = &read->statements[read->n_statements++];

    s->id = id;
    s->n = n;
    for (int i = 0; i < n; i++)
        s->params[i] = i;
}

/* Takes the read. */
static int read_start(struct read *read, struct pg_conn *conn)
{
    int r = pg_params_failed(&read->params) ? -ENOMEM : pg_conn_submit(conn, &read->req);

    if (r < 0)
        read_free(read);
    else
        read->store->stats.requests++;
    return r;
}

/* The read connection with the least to do, one that is up before one that is not. */
static struct pg_conn *any_conn(struct store *store)
{
    struct store_pg *s = store_pg_of(store);
    struct pg_conn *best = &s->reads[0];

    for (size_t i = 1; i < ARRAY_LEN(s->reads); i++) {
        struct pg_conn *conn = &s->reads[i];

        if (pg_conn_is_ready(conn) != pg_conn_is_ready(best)
                ? pg_conn_is_ready(conn)
                : pg_conn_load(conn) < pg_conn_load(best))
            best = conn;
    }
    return best;
}

/* ---- entries of a result ---- */

static void entries_free(struct entry **entries, size_t n)
{
    for (size_t i = 0; entries && i < n; i++)
        entry_unref(entries[i]);
    free(entries);
}

/* Rows first .. first + n - 1, backwards when reversed. NULL: out of memory. */
static struct entry **entries_of(const PGresult *result, size_t n, int column, bool reversed)
{
    struct entry **entries = calloc(n + 1, sizeof(struct entry *));

    for (size_t i = 0; entries && i < n; i++) {
        entries[i] = pg_entry(result, (int)(reversed ? n - 1 - i : i), column);
        if (!entries[i]) {
            entries_free(entries, i);
            return NULL;
        }
    }
    return entries;
}

/* ---- claim and members ---- */

static void finish_claim(struct read *read, enum store_result result)
{
    const PGresult *rooms = read->results[0], *rows = read->results[1],
                   *tail = read->results[2];
    struct claim_result claim = {0};
    struct member_row *members = NULL;
    struct entry **entries = NULL;

    if (result == STORE_OK && PQntuples(rooms) == 0)
        result = STORE_NOT_FOUND;
    if (result == STORE_OK) {
        claim.n_members = (size_t)PQntuples(rows);
        claim.n_tail = tail ? (size_t)PQntuples(tail) : 0;
        members = calloc(claim.n_members + 1, sizeof(*members));
        entries = entries_of(tail, claim.n_tail, 0, true);
        if (!members || !entries)
            result = STORE_UNAVAILABLE;
    }
    if (result == STORE_OK) {
        pg_room_row(rooms, 0, &claim.row);
        for (size_t i = 0; i < claim.n_members; i++)
            pg_member_row(rows, (int)i, &members[i]);
        claim.members = members;
        claim.tail = entries;
    }
    read->fn.claim(read->arg, result, result == STORE_OK ? &claim : NULL);
    free(members);
    entries_free(entries, claim.n_tail);
}

static int pg_claim(struct store *s, struct slice project, struct slice room, uint64_t fence,
                    uint32_t tail_len, store_claim_fn fn, void *arg)
{
    struct read *read = read_new(s, arg, finish_claim);

    if (!read)
        return -ENOMEM;
    read->fn.claim = fn;
    pg_params_text(&read->params, project);
    pg_params_text(&read->params, room);
    pg_params_int8(&read->params, (int64_t)fence);
    pg_params_int8(&read->params, ROOM_MEMBERS_MAX);
    pg_params_int8(&read->params, tail_len);
    add_statement(read, SQL_CLAIM, 3);
    add_statement(read, SQL_MEMBERS, 3);
    read->statements[1].params[2] = 3;
    add_statement(read, SQL_TAIL, 3);
    read->statements[2].params[2] = 4;
    return read_start(read, &store_pg_of(s)->locks);
}

static int pg_members(struct store *s, struct slice project, struct slice room,
                      store_claim_fn fn, void *arg)
{
    struct read *read = read_new(s, arg, finish_claim);

    if (!read)
        return -ENOMEM;
    read->fn.claim = fn;
    pg_params_text(&read->params, project);
    pg_params_text(&read->params, room);
    pg_params_int8(&read->params, ROOM_MEMBERS_MAX);
    add_statement(read, SQL_ROOM, 2);
    add_statement(read, SQL_MEMBERS, 3);
    return read_start(read, any_conn(s));
}

static void finish_create(struct read *read, enum store_result result)
{
    read->fn.create(read->arg, result, result == STORE_OK && pg_bool(read->results[0], 0, 0));
}

static void put_members(struct pg_params *params, const struct member_op *members, size_t n)
{
    struct pg_array users, roles, times;

    pg_array_init(&users, PG_TEXT);
    pg_array_init(&roles, PG_INT2);
    pg_array_init(&times, PG_TIMESTAMPTZ);
    for (size_t i = 0; i < n; i++) {
        pg_array_put_bytes(&users, members[i].user.data, members[i].user.len);
        pg_array_put_int2(&roles, (int16_t)members[i].role);
        pg_array_put_time(&times, members[i].at_us);
    }
    pg_params_array(params, &users);
    pg_params_array(params, &roles);
    pg_params_array(params, &times);
    pg_array_deinit(&users);
    pg_array_deinit(&roles);
    pg_array_deinit(&times);
}

static int pg_create_room(struct store *s, const struct room_create *room, store_create_fn fn,
                          void *arg)
{
    struct read *read = read_new(s, arg, finish_create);

    if (!read)
        return -ENOMEM;
    read->fn.create = fn;
    pg_params_text(&read->params, room->project);
    pg_params_text(&read->params, room->room);
    pg_params_text(&read->params, room->type);
    pg_params_text(&read->params, room->name);
    pg_params_text(&read->params, room->created_by);
    pg_params_time(&read->params, room->created_us);
    pg_params_int8(&read->params, (int64_t)room->fence);
    put_members(&read->params, room->members, room->n_members);
    add_statement(read, SQL_CREATE_ROOM, 10);
    return read_start(read, &store_pg_of(s)->locks);
}

/* ---- pages ---- */

enum { PAGE_HEAD, PAGE_GENERATION, PAGE_FLOOR, PAGE_ENTRY };

static void finish_page(struct read *read, enum store_result result)
{
    const PGresult *rows = read->results[0];
    struct entry **entries = NULL;
    struct page page = {0};
    size_t n;

    if (result == STORE_OK && PQntuples(rows) == 0)
        result = STORE_NOT_FOUND;
    if (result == STORE_OK) {
        n = (size_t)PQntuples(rows);
        if (PQgetisnull(rows, 0, PAGE_ENTRY)) /* a row of the head alone */
            n = 0;
        page.head = (uint64_t)pg_int8(rows, 0, PAGE_HEAD);
        page.generation = (uint64_t)pg_int8(rows, 0, PAGE_GENERATION);
        page.resume_floor = (uint64_t)pg_int8(rows, 0, PAGE_FLOOR);
        page.n_entries = MIN(n, (size_t)read->limit);
        page.more = n > read->limit;
        entries = entries_of(rows, page.n_entries, PAGE_ENTRY, false);
        page.entries = entries;
        if (!entries)
            result = STORE_UNAVAILABLE;
    }
    read->fn.page(read->arg, result, result == STORE_OK ? &page : NULL);
    entries_free(entries, page.n_entries);
}

static int pg_page(struct store *s, const struct page_query *query, store_page_fn fn, void *arg)
{
    static const enum sql_id ids[] = {
        [PAGE_CHANGED_AFTER] = SQL_CHANGED_AFTER,
        [PAGE_BEFORE_SEQ] = SQL_BEFORE_SEQ,
        [PAGE_AFTER_SEQ] = SQL_AFTER_SEQ,
        [PAGE_BEFORE_TIME] = SQL_BEFORE_TIME,
    };
    struct read *read = read_new(s, arg, finish_page);

    if (!read)
        return -ENOMEM;
    read->fn.page = fn;
    read->limit = query->limit;
    pg_params_text(&read->params, query->project);
    pg_params_text(&read->params, query->room);
    if (query->kind == PAGE_BEFORE_TIME)
        pg_params_time(&read->params, query->time_us);
    else
        pg_params_int8(&read->params, (int64_t)MIN(query->seq, (uint64_t)INT64_MAX));
    pg_params_int8(&read->params,
                   (int64_t)query->limit + 1); /* one more says whether there is more */
    pg_params_bool(&read->params, query->live_messages_only);
    add_statement(read, ids[query->kind], 5);
    return read_start(read, any_conn(s));
}

/* ---- look-ups of many keys ---- */

static void finish_dedupe(struct read *read, enum store_result result)
{
    const PGresult *rows = read->results[0];
    struct entry **found = calloc(read->n + 1, sizeof(struct entry *));

    if (!found && result == STORE_OK)
        result = STORE_UNAVAILABLE;
    for (int i = 0; result == STORE_OK && i < PQntuples(rows); i++) {
        int32_t ord = pg_int4(rows, i, 0);

        found[ord - 1] = pg_entry(rows, i, 1);
        if (!found[ord - 1])
            result = STORE_UNAVAILABLE;
    }
    read->fn.dedupe(read->arg, result, found);
    entries_free(found, read->n);
}

static int pg_find_dedupe(struct store *s, const struct dedupe_key *keys, size_t n,
                          store_dedupe_fn fn, void *arg)
{
    struct read *read = read_new(s, arg, finish_dedupe);
    struct pg_array projects, rooms, dedupes;

    if (!read)
        return -ENOMEM;
    read->fn.dedupe = fn;
    read->n = n;
    pg_array_init(&projects, PG_TEXT);
    pg_array_init(&rooms, PG_TEXT);
    pg_array_init(&dedupes, PG_UUID);
    for (size_t i = 0; i < n; i++) {
        pg_array_put_bytes(&projects, keys[i].project.data, keys[i].project.len);
        pg_array_put_bytes(&rooms, keys[i].room.data, keys[i].room.len);
        pg_array_put_bytes(&dedupes, keys[i].dedupe, DEDUPE_LEN);
    }
    pg_params_array(&read->params, &projects);
    pg_params_array(&read->params, &rooms);
    pg_params_array(&read->params, &dedupes);
    pg_array_deinit(&projects);
    pg_array_deinit(&rooms);
    pg_array_deinit(&dedupes);
    add_statement(read, SQL_DEDUPE, 3);
    return read_start(read, any_conn(s));
}

static void finish_fences(struct read *read, enum store_result result)
{
    const PGresult *rows = read->results[0];
    struct fence_state *states = calloc(read->n + 1, sizeof(*states));

    if (!states && result == STORE_OK)
        result = STORE_UNAVAILABLE;
    for (int i = 0; result == STORE_OK && i < PQntuples(rows); i++) {
        struct fence_state *state = &states[pg_int4(rows, i, 0) - 1];

        state->fence = (uint64_t)pg_int8(rows, i, 1);
        state->last_seq = (uint64_t)pg_int8(rows, i, 2);
        state->last_id = pg_int8(rows, i, 3);
    }
    read->fn.fences(read->arg, result, states);
    free(states);
}

static int pg_probe_fences(struct store *s, const struct fence_probe *probes, size_t n,
                           store_fences_fn fn, void *arg)
{
    struct read *read = read_new(s, arg, finish_fences);
    struct pg_array projects, rooms;

    if (!read)
        return -ENOMEM;
    read->fn.fences = fn;
    read->n = n;
    pg_array_init(&projects, PG_TEXT);
    pg_array_init(&rooms, PG_TEXT);
    for (size_t i = 0; i < n; i++) {
        pg_array_put_bytes(&projects, probes[i].project.data, probes[i].project.len);
        pg_array_put_bytes(&rooms, probes[i].room.data, probes[i].room.len);
    }
    pg_params_array(&read->params, &projects);
    pg_params_array(&read->params, &rooms);
    pg_array_deinit(&projects);
    pg_array_deinit(&rooms);
    add_statement(read, SQL_FENCES, 2);
    return read_start(read, any_conn(s));
}

/* ---- room list ---- */

static void finish_rooms(struct read *read, enum store_result result)
{
    const PGresult *rows = read->results[0];
    struct room_list_row *list = NULL;
    struct rooms_page page = {0};

    if (result == STORE_OK) {
        page.n_rooms = (size_t)PQntuples(rows);
        list = calloc(page.n_rooms + 1, sizeof(*list));
        page.rooms = list;
        if (!list)
            result = STORE_UNAVAILABLE;
    }
    for (size_t i = 0; result == STORE_OK && i < page.n_rooms; i++) {
        list[i] = (struct room_list_row){
            .room = pg_bytes(rows, (int)i, 0),
            .type = pg_bytes(rows, (int)i, 1),
            .name = pg_bytes(rows, (int)i, 2),
            .created_us = pg_time_us(rows, (int)i, 3),
            .messages = (uint32_t)pg_int4(rows, (int)i, 4),
        };
    }
    read->fn.rooms(read->arg, result, result == STORE_OK ? &page : NULL);
    free(list);
}

static int pg_list_rooms(struct store *s, struct slice project, struct slice user, bool all,
                         struct slice type, store_rooms_fn fn, void *arg)
{
    struct read *read = read_new(s, arg, finish_rooms);

    if (!read)
        return -ENOMEM;
    read->fn.rooms = fn;
    pg_params_text(&read->params, project);
    if (!all)
        pg_params_text(&read->params, user);
    pg_params_text(&read->params, type);
    pg_params_int8(&read->params, ROOMS_PAGE);
    add_statement(read, all ? SQL_ROOMS_ALL : SQL_ROOMS_OF, all ? 3 : 4);
    return read_start(read, any_conn(s));
}

/* ---- projects and keys ---- */

/* Opens what can be opened; a secret under an unknown master key is left out, and said so. */
static size_t open_secrets(struct read *read, const struct project_row *row,
                           struct project_secret *secrets, uint8_t *plain)
{
    const PGresult *rows = read->results[1];
    size_t n = 0;

    for (int i = 0; i < PQntuples(rows); i++) {
        struct slice kid = pg_bytes(rows, i, 0), sealed = pg_bytes(rows, i, 1);
        const struct master_key *key = keyring_find(read->store->keys, pg_bytes(rows, i, 2));
        const struct secret_place place = {row->project, kid, SECRET_JWT};

        if (!key || secret_open(key, &place, sealed, plain) < 0) {
            log_error("a project secret does not open with our master keys",
                      L_SLICE("project", row->project), L_SLICE("kid", kid));
            continue;
        }
        secrets[n++] =
            (struct project_secret){kid, slice_of(plain, sealed.len - SEAL_OVERHEAD)};
        plain += sealed.len - SEAL_OVERHEAD;
    }
    return n;
}

static void finish_project(struct read *read, enum store_result result)
{
    const PGresult *rows = read->results[0], *sealed = read->results[1];
    struct project_secret *secrets = NULL;
    struct project_row row = {0};
    uint8_t *plain = NULL;
    size_t bytes = 1;

    if (result == STORE_OK && PQntuples(rows) == 0)
        result = STORE_NOT_FOUND;
    if (result == STORE_OK) {
        for (int i = 0; i < PQntuples(sealed); i++)
            bytes += (size_t)PQgetlength(sealed, i, 1);
        secrets = calloc((size_t)PQntuples(sealed) + 1, sizeof(*secrets));
        plain = malloc(bytes);
        if (!secrets || !plain)
            result = STORE_UNAVAILABLE;
    }
    if (result == STORE_OK) {
        row.project = pg_bytes(rows, 0, 0);
        row.name = pg_bytes(rows, 0, 1);
        row.version = (uint64_t)pg_int8(rows, 0, 2);
        row.n_secrets = open_secrets(read, &row, secrets, plain);
        row.secrets = secrets;
    }
    read->fn.project(read->arg, result, result == STORE_OK ? &row : NULL);
    if (plain)
        secret_wipe(plain, bytes);
    free(plain);
    free(secrets);
}

static int pg_project(struct store *s, struct slice project, store_project_fn fn, void *arg)
{
    struct read *read = read_new(s, arg, finish_project);

    if (!read)
        return -ENOMEM;
    read->fn.project = fn;
    pg_params_text(&read->params, project);
    add_statement(read, SQL_PROJECT, 1);
    add_statement(read, SQL_SECRETS, 1);
    return read_start(read, any_conn(s));
}

static void finish_key(struct read *read, enum store_result result)
{
    const PGresult *rows = read->results[0];
    struct key_row row = {0};

    if (result == STORE_OK && PQntuples(rows) == 0)
        result = STORE_NOT_FOUND;
    if (result == STORE_OK)
        row =
            (struct key_row){pg_bytes(rows, 0, 0), pg_bytes(rows, 0, 1), pg_bytes(rows, 0, 2)};
    read->fn.key(read->arg, result, result == STORE_OK ? &row : NULL);
}

static int pg_api_key(struct store *s, const uint8_t key_hash[32], store_key_fn fn, void *arg)
{
    struct read *read = read_new(s, arg, finish_key);

    if (!read)
        return -ENOMEM;
    read->fn.key = fn;
    pg_params_text(&read->params, slice_of(key_hash, 32));
    add_statement(read, SQL_API_KEY, 1);
    return read_start(read, any_conn(s));
}

static void finish_ids(struct read *read, enum store_result result)
{
    int64_t first = result == STORE_OK ? pg_int8(read->results[0], 0, 0) * PG_ID_BLOCK : 0;

    read->fn.ids(read->arg, result, first, PG_ID_BLOCK);
}

static int pg_id_block(struct store *s, store_ids_fn fn, void *arg)
{
    struct read *read = read_new(s, arg, finish_ids);

    if (!read)
        return -ENOMEM;
    read->fn.ids = fn;
    add_statement(read, SQL_ID_BLOCK, 0);
    return read_start(read, any_conn(s));
}

const struct store_ops store_pg_ops = {
    .submit = store_pg_submit,
    .claim = pg_claim,
    .create_room = pg_create_room,
    .page = pg_page,
    .find_dedupe = pg_find_dedupe,
    .probe_fences = pg_probe_fences,
    .list_rooms = pg_list_rooms,
    .members = pg_members,
    .project = pg_project,
    .api_key = pg_api_key,
    .id_block = pg_id_block,
    .clock_offset_us = store_pg_clock_offset_us,
    .is_available = store_pg_is_available,
};
