/* store_pg_timeline.c - entries: pages, by id, by time, by key. */
#include <errno.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "shard/store/pg_read.h"

/* ---- entries of a result ---- */

void pg_entries_free(struct entry **entries, size_t n)
{
    for (size_t i = 0; entries && i < n; i++)
        entry_unref(entries[i]);
    free(entries);
}

struct entry **pg_read_entries(const PGresult *result, size_t n, int column)
{
    struct entry **entries = calloc(n + 1, sizeof(struct entry *));

    for (size_t i = 0; entries && i < n; i++) {
        entries[i] = pg_entry(result, (int)i, column);
        if (!entries[i]) {
            pg_entries_free(entries, i);
            return NULL;
        }
    }
    return entries;
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
        entries = pg_read_entries(rows, page.n_entries, PAGE_ENTRY);
        page.entries = entries;
        if (!entries)
            result = STORE_UNAVAILABLE;
    }
    read->fn.page(read->arg, result, result == STORE_OK ? &page : NULL);
    pg_entries_free(entries, page.n_entries);
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
    pg_params_filled(&read->params, query->viewer);
    pg_read_add(read, ids[query->kind], 6);
    return pg_read_start(read, pg_read_conn(s));
}

/* ---- one message, and those that are due ---- */

static void finish_find(struct pg_read *read, enum store_result result)
{
    const PGresult *rows = read->results[0];
    struct slice room = {0};
    struct entry *entry = NULL;

    if (result == STORE_OK && PQntuples(rows) == 0)
        result = STORE_NOT_FOUND;
    if (result == STORE_OK) {
        room = pg_bytes(rows, 0, 0);
        entry = pg_entry(rows, 0, 1);
        if (!entry)
            result = STORE_UNAVAILABLE;
    }
    read->fn.find(read->arg, result, room, entry);
    entry_unref(entry);
}

int store_pg_find(struct store *s, const struct find_query *query, store_find_fn fn, void *arg)
{
    struct pg_read *read = pg_read_new(s, arg, finish_find);

    if (!read)
        return -ENOMEM;
    read->fn.find = fn;
    pg_params_text(&read->params, query->project);
    pg_params_filled(&read->params, query->room);
    pg_params_int8(&read->params, query->id);
    pg_read_add(read, SQL_FIND, 3);
    return pg_read_start(read, pg_read_conn(s));
}

static void finish_due(struct pg_read *read, enum store_result result)
{
    const PGresult *rows = read->results[0];
    struct due_row *due = NULL;
    size_t n = 0;

    if (result == STORE_OK) {
        n = (size_t)PQntuples(rows);
        due = calloc(n + 1, sizeof(*due));
        if (!due)
            result = STORE_UNAVAILABLE;
    }
    for (size_t i = 0; due && i < n; i++)
        due[i] = (struct due_row){.project = pg_bytes(rows, (int)i, 0),
                                  .room = pg_bytes(rows, (int)i, 1),
                                  .seq = (uint64_t)pg_int8(rows, (int)i, 2),
                                  .id = pg_int8(rows, (int)i, 3),
                                  .expires_us = pg_time_us(rows, (int)i, 4)};
    read->fn.due(read->arg, result, due, due ? n : 0);
    free(due);
}

int store_pg_due(struct store *s, int64_t before_us, uint32_t limit, store_due_fn fn, void *arg)
{
    struct pg_read *read = pg_read_new(s, arg, finish_due);

    if (!read)
        return -ENOMEM;
    read->fn.due = fn;
    pg_params_time(&read->params, before_us);
    pg_params_int8(&read->params, limit);
    pg_read_add(read, SQL_DUE, 2);
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

        found[ord - 1].change_seq = (uint64_t)pg_int8(rows, i, 1);
        found[ord - 1].entry = pg_entry(rows, i, 2);
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
