/* store_pg_timeline.c - rooms, members and entries: claims, pages, look-ups of many keys. */
#include <errno.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "shard/store/pg_read.h"

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

static void finish_claim(struct pg_read *read, enum store_result result)
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

int store_pg_claim(struct store *s, struct slice project, struct slice room, uint64_t fence,
                   uint32_t tail_len, store_claim_fn fn, void *arg)
{
    struct pg_read *read = pg_read_new(s, arg, finish_claim);

    if (!read)
        return -ENOMEM;
    read->fn.claim = fn;
    pg_params_text(&read->params, project);
    pg_params_text(&read->params, room);
    pg_params_int8(&read->params, (int64_t)fence);
    pg_params_int8(&read->params, ROOM_MEMBERS_MAX);
    pg_params_int8(&read->params, tail_len);
    pg_read_add(read, SQL_CLAIM, 3);
    pg_read_add(read, SQL_MEMBERS, 3);
    read->statements[1].params[2] = 3;
    pg_read_add(read, SQL_TAIL, 3);
    read->statements[2].params[2] = 4;
    return pg_read_start(read, &store_pg_of(s)->locks);
}

int store_pg_members(struct store *s, struct slice project, struct slice room,
                     store_claim_fn fn, void *arg)
{
    struct pg_read *read = pg_read_new(s, arg, finish_claim);

    if (!read)
        return -ENOMEM;
    read->fn.claim = fn;
    pg_params_text(&read->params, project);
    pg_params_text(&read->params, room);
    pg_params_int8(&read->params, ROOM_MEMBERS_MAX);
    pg_read_add(read, SQL_ROOM, 2);
    pg_read_add(read, SQL_MEMBERS, 3);
    return pg_read_start(read, pg_read_conn(s));
}

static void finish_create(struct pg_read *read, enum store_result result)
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
    pg_read_add(read, SQL_CREATE_ROOM, 10);
    return pg_read_start(read, &store_pg_of(s)->locks);
}

/* ---- pages ---- */

enum { PAGE_HEAD, PAGE_GENERATION, PAGE_FLOOR, PAGE_ENTRY };

static void finish_page(struct pg_read *read, enum store_result result)
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

int store_pg_page(struct store *s, const struct page_query *query, store_page_fn fn, void *arg)
{
    static const enum sql_id ids[] = {
        [PAGE_CHANGED_AFTER] = SQL_CHANGED_AFTER,
        [PAGE_BEFORE_SEQ] = SQL_BEFORE_SEQ,
        [PAGE_AFTER_SEQ] = SQL_AFTER_SEQ,
        [PAGE_BEFORE_TIME] = SQL_BEFORE_TIME,
    };
    struct pg_read *read = pg_read_new(s, arg, finish_page);

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
    pg_read_add(read, ids[query->kind], 5);
    return pg_read_start(read, pg_read_conn(s));
}

/* ---- look-ups of many keys ---- */

static void finish_dedupe(struct pg_read *read, enum store_result result)
{
    const PGresult *rows = read->results[0];
    struct dedupe_found *found = calloc(read->n + 1, sizeof(*found));

    if (!found && result == STORE_OK)
        result = STORE_UNAVAILABLE;
    for (int i = 0; result == STORE_OK && i < PQntuples(rows); i++) {
        int32_t ord = pg_int4(rows, i, 0);

        found[ord - 1].entry = pg_entry(rows, i, 1);
        if (!found[ord - 1].entry)
            result = STORE_UNAVAILABLE;
    }
    read->fn.dedupe(read->arg, result, found);
    for (size_t i = 0; found && i < read->n; i++)
        entry_unref(found[i].entry);
    free(found);
}

int store_pg_find_dedupe(struct store *s, const struct dedupe_key *keys, size_t n,
                         store_dedupe_fn fn, void *arg)
{
    struct pg_read *read = pg_read_new(s, arg, finish_dedupe);
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
    pg_read_add(read, SQL_DEDUPE, 3);
    return pg_read_start(read, pg_read_conn(s));
}

static void finish_fences(struct pg_read *read, enum store_result result)
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

int store_pg_probe_fences(struct store *s, const struct fence_probe *probes, size_t n,
                          store_fences_fn fn, void *arg)
{
    struct pg_read *read = pg_read_new(s, arg, finish_fences);
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
    pg_read_add(read, SQL_FENCES, 2);
    return pg_read_start(read, pg_read_conn(s));
}
