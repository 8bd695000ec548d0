/* store_pg_room.c - rooms as a whole: claims, members, creation, deletion and what that leaves.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "shard/limits.h"
#include "shard/store/pg_read.h"

/* ---- claim and members ---- */

enum { CLAIM_ROOM, CLAIM_MEMBERS, CLAIM_RESTRICTIONS, CLAIM_TAIL, CLAIM_STREAMS };

/* What a result is made of while the callback looks at it. */
struct claim_memory {
    struct member_row *members;
    struct restriction_row *restrictions;
    struct entry **tail, **streams;
};

/* Ascending by updated_seq: of the recent ones the first by seq, of the others the first at all
 * say how far back it reaches. */
static void set_floors(const PGresult *rows, uint32_t tail_len, struct claim_result *claim)
{
    uint64_t first = UINT64_MAX, touched = UINT64_MAX;
    size_t recent = 0, older = 0;

    for (size_t i = 0; i < claim->n_tail; i++) {
        const struct entry *e = claim->tail[i];

        if (pg_bool(rows, (int)i, 0)) {
            first = MIN(first, e->seq);
            recent++;
        } else {
            touched = MIN(touched, e->updated_seq);
            older++;
        }
    }
    if (recent == tail_len) /* there may be others before */
        claim->seq_floor = recent ? first - 1 : claim->row.last_seq;
    claim->touched_floor = older && older == tail_len ? touched - 1 : claim->seq_floor;
}

static bool read_claim(struct pg_read *read, struct claim_memory *memory,
                       struct claim_result *claim)
{
    const PGresult *members = read->results[CLAIM_MEMBERS];
    const PGresult *restrictions = read->results[CLAIM_RESTRICTIONS];
    const PGresult *tail = read->results[CLAIM_TAIL];
    const PGresult *streams = read->results[CLAIM_STREAMS];

    pg_room_row(read->results[CLAIM_ROOM], 0, &claim->row);
    claim->n_members = (size_t)PQntuples(members);
    claim->n_restrictions = (size_t)PQntuples(restrictions);
    claim->n_tail = tail ? (size_t)PQntuples(tail) : 0;
    claim->n_streams = streams ? (size_t)PQntuples(streams) : 0;
    memory->members = calloc(claim->n_members + 1, sizeof(*memory->members));
    memory->restrictions = calloc(claim->n_restrictions + 1, sizeof(*memory->restrictions));
    memory->tail = pg_read_entries(tail, claim->n_tail, 1);
    memory->streams = pg_read_entries(streams, claim->n_streams, 0);
    if (!memory->members || !memory->restrictions || !memory->tail || !memory->streams)
        return false;
    for (size_t i = 0; i < claim->n_members; i++)
        pg_member_row(members, (int)i, &memory->members[i]);
    for (size_t i = 0; i < claim->n_restrictions; i++)
        pg_restriction_row(restrictions, (int)i, &memory->restrictions[i]);
    claim->members = memory->members;
    claim->restrictions = memory->restrictions;
    claim->tail = memory->tail;
    claim->streams = memory->streams;
    set_floors(tail, read->limit, claim);
    return true;
}

static void finish_claim(struct pg_read *read, enum store_result result)
{
    struct claim_memory memory = {0};
    struct claim_result claim = {0};

    if (result == STORE_OK && PQntuples(read->results[CLAIM_ROOM]) == 0)
        result = STORE_NOT_FOUND;
    if (result == STORE_OK && !read_claim(read, &memory, &claim))
        result = STORE_UNAVAILABLE;
    read->fn.claim(read->arg, result, result == STORE_OK ? &claim : NULL);
    free(memory.members);
    free(memory.restrictions);
    pg_entries_free(memory.tail, claim.n_tail);
    pg_entries_free(memory.streams, claim.n_streams);
}

/* The statements behind that of the room; the parameters are project, room, anything, then the
 * four limits. */
static void add_people(struct pg_read *read)
{
    pg_read_add(read, SQL_MEMBERS, 3);
    read->statements[CLAIM_MEMBERS].params[2] = 3;
    pg_read_add(read, SQL_RESTRICTIONS, 3);
    read->statements[CLAIM_RESTRICTIONS].params[2] = 4;
}

static struct pg_read *claim_new(struct store *s, struct slice project, struct slice room,
                                 uint64_t fence, uint32_t tail_len, store_claim_fn fn,
                                 void *arg)
{
    struct pg_read *read = pg_read_new(s, arg, finish_claim);

    if (!read)
        return NULL;
    read->fn.claim = fn;
    read->limit = tail_len;
    pg_params_text(&read->params, project);
    pg_params_text(&read->params, room);
    pg_params_int8(&read->params, (int64_t)fence);
    pg_params_int8(&read->params, ROOM_MEMBERS_MAX);
    pg_params_int8(&read->params, ROOM_RESTRICTIONS_MAX);
    pg_params_int8(&read->params, tail_len);
    pg_params_int8(&read->params, ROOM_STREAMS_MAX);
    return read;
}

int store_pg_claim(struct store *s, struct slice project, struct slice room, uint64_t fence,
                   uint32_t tail_len, store_claim_fn fn, void *arg)
{
    struct pg_read *read = claim_new(s, project, room, fence, tail_len, fn, arg);

    if (!read)
        return -ENOMEM;
    pg_read_add(read, SQL_CLAIM, 3);
    add_people(read);
    pg_read_add(read, SQL_TAIL, 3);
    read->statements[CLAIM_TAIL].params[2] = 5;
    if (tail_len > 0) {
        pg_read_add(read, SQL_STREAMING, 3);
        read->statements[CLAIM_STREAMS].params[2] = 6;
    }
    return pg_read_start(read, pg_lock_conn(s));
}

int store_pg_members(struct store *s, struct slice project, struct slice room,
                     store_claim_fn fn, void *arg)
{
    struct pg_read *read = claim_new(s, project, room, 0, 0, fn, arg);

    if (!read)
        return -ENOMEM;
    pg_read_add(read, SQL_ROOM, 2);
    add_people(read);
    return pg_read_start(read, pg_read_conn(s));
}

/* ---- creation ---- */

/* Parameters of a creation: those of its statement, then the limit of a sweep. */
enum { CREATE_PROJECT, CREATE_ROOM, CREATE_ARGUMENTS = 10, CREATE_SWEEP_LIMIT = 10 };

static void finish_create(struct pg_read *read, enum store_result result);
static void finish_sweep_before(struct pg_read *read, enum store_result result);

/* The next step of the creation that `read` was a step of; takes its parameters. */
static int create_step(struct pg_read *read, bool sweeps)
{
    struct store *s = &read->store->store;
    struct pg_read *next =
        pg_read_new(s, read->arg, sweeps ? finish_sweep_before : finish_create);

    if (!next)
        return -ENOMEM;
    next->fn.create = read->fn.create;
    next->n = read->n + (sweeps ? 1 : 0);
    next->params = read->params;
    read->params = (struct pg_params){0};
    if (sweeps) {
        pg_read_add(next, SQL_SWEEP_ROOM, 3);
        next->statements[0].params[2] = CREATE_SWEEP_LIMIT;
    } else {
        pg_read_add(next, SQL_CREATE_ROOM, CREATE_ARGUMENTS);
    }
    return pg_read_start(next, pg_lock_conn(s));
}

static void finish_create(struct pg_read *read, enum store_result result)
{
    bool created = result == STORE_OK && pg_bool(read->results[0], 0, 0);
    bool has_remains = result == STORE_OK && pg_bool(read->results[0], 0, 1);

    if (!created && has_remains) {
        if (read->n < SWEEPS_PER_CREATION && create_step(read, true) == 0)
            return;
        result = STORE_UNAVAILABLE;
    }
    read->fn.create(read->arg, result, created);
}

/* Whether it has found something or not (somebody else sweeps): the creation looks again, and
 * waits for the row. */
static void finish_sweep_before(struct pg_read *read, enum store_result result)
{
    if (result == STORE_OK && create_step(read, false) == 0)
        return;
    read->fn.create(read->arg, result == STORE_OK ? STORE_UNAVAILABLE : result, false);
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

int store_pg_create_room(struct store *s, const struct room_create *room, store_create_fn fn,
                         void *arg)
{
    struct pg_read *read = pg_read_new(s, arg, finish_create);

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
    pg_params_int8(&read->params, SWEEP_ROWS);
    pg_read_add(read, SQL_CREATE_ROOM, CREATE_ARGUMENTS);
    return pg_read_start(read, pg_lock_conn(s));
}

/* ---- deletion, and what it leaves ---- */

static void finish_delete(struct pg_read *read, enum store_result result)
{
    bool deleted = result == STORE_OK && pg_bool(read->results[0], 0, 0);
    bool exists = result == STORE_OK && pg_bool(read->results[0], 0, 1);

    if (result == STORE_OK && !deleted && !exists)
        result = STORE_NOT_FOUND;
    read->fn.deleted(read->arg, result, deleted);
}

int store_pg_delete_room(struct store *s, struct slice project, struct slice room,
                         uint64_t fence, store_delete_fn fn, void *arg)
{
    struct pg_read *read = pg_read_new(s, arg, finish_delete);

    if (!read)
        return -ENOMEM;
    read->fn.deleted = fn;
    pg_params_text(&read->params, project);
    pg_params_text(&read->params, room);
    pg_params_int8(&read->params, (int64_t)fence);
    pg_read_add(read, SQL_DELETE_ROOM, 3);
    return pg_read_start(read, pg_lock_conn(s));
}

static void finish_sweep_rooms(struct pg_read *read, enum store_result result)
{
    bool found = result == STORE_OK && pg_int8(read->results[0], 0, 0) > 0;
    uint64_t n = result == STORE_OK ? (uint64_t)pg_int8(read->results[0], 0, 1) : 0;

    read->fn.sweep(read->arg, result, n, found);
}

static void finish_sweep_keys(struct pg_read *read, enum store_result result)
{
    uint64_t n = result == STORE_OK ? (uint64_t)pg_int8(read->results[0], 0, 0) : 0;

    read->fn.sweep(read->arg, result, n, n == SWEEP_ROWS);
}

int store_pg_sweep(struct store *s, enum sweep_kind kind, store_sweep_fn fn, void *arg)
{
    struct pg_read *read =
        pg_read_new(s, arg, kind == SWEEP_ROOMS ? finish_sweep_rooms : finish_sweep_keys);

    if (!read)
        return -ENOMEM;
    read->fn.sweep = fn;
    if (kind == SWEEP_ROOMS) {
        pg_params_null(&read->params);
        pg_params_null(&read->params);
        pg_params_int8(&read->params, SWEEP_ROWS);
        pg_read_add(read, SQL_SWEEP_ROOM, 3);
    } else {
        pg_params_int8(&read->params, CHANGE_KEYS_KEEP_MS); /* by the clock that wrote them */
        pg_params_int8(&read->params, SWEEP_ROWS);
        pg_read_add(read, SQL_SWEEP_KEYS, 2);
    }
    return pg_read_start(read, pg_read_conn(s));
}
