/* sim_timeline.c - entries of the database of tests: rows, keys, pages, look-ups; see sim_db.h.
 */
#include <assert.h>
#include <stdlib.h>

#include "common/base/broken.h"
#include "common/base/limits.h"
#include "tests/support/sim_rows.h"

/* ---- keys ---- */

static bool key_eq(const struct map_node *node, const void *dedupe)
{
    return memcmp(container_of(node, struct sim_key, node)->entry->dedupe, dedupe,
                  DEDUPE_LEN) == 0;
}

static struct sim_key *key_find(const struct sim_room *room, const uint8_t *dedupe)
{
    struct map_node *node =
        map_find(&room->keys, hash_bytes(dedupe, DEDUPE_LEN), key_eq, dedupe);

    return node ? container_of(node, struct sim_key, node) : NULL;
}

bool sim_key_exists(const struct sim_room *room, const uint8_t dedupe[DEDUPE_LEN])
{
    return key_find(room, dedupe) != NULL;
}

static bool change_eq(const struct map_node *node, const void *key)
{
    return memcmp(container_of(node, struct sim_change, node)->key, key, DEDUPE_LEN) == 0;
}

static struct sim_change *change_find(const struct sim_room *room, const uint8_t *key)
{
    struct map_node *node =
        map_find(&room->changes, hash_bytes(key, DEDUPE_LEN), change_eq, key);

    return node ? container_of(node, struct sim_change, node) : NULL;
}

bool sim_change_exists(const struct sim_room *room, const uint8_t key[DEDUPE_LEN])
{
    return change_find(room, key) != NULL;
}

void sim_change_add(struct sim_room *room, const struct batch_key *key, int64_t now_us)
{
    struct sim_change *change;

    if (IS_BROKEN(BREAK_COMPARE_AND_SET) && sim_change_exists(room, key->key))
        return;
    change = sim_must(calloc(1, sizeof(*change)));
    memcpy(change->key, key->key, DEDUPE_LEN);
    change->seq = key->seq;
    change->target = key->target;
    change->at_us = now_us;
    list_add_tail(&room->change_ages, &change->link);
    if (map_insert(&room->changes, &change->node, hash_bytes(key->key, DEDUPE_LEN)) < 0)
        abort();
}

static void change_free(struct sim_room *room, struct sim_change *change)
{
    map_remove(&room->changes, &change->node);
    list_del(&change->link);
    free(change);
}

struct entry *sim_room_find(const struct sim_room *room, const uint8_t dedupe[DEDUPE_LEN],
                            uint64_t *ret_change_seq)
{
    const struct sim_key *key = key_find(room, dedupe);
    const struct sim_change *change;

    *ret_change_seq = 0;
    if (key)
        return key->entry;
    change = change_find(room, dedupe);
    if (!change || !room->entries[change->target - 1])
        return NULL;
    *ret_change_seq = change->seq;
    return room->entries[change->target - 1];
}

uint64_t sim_db_sweep_changes(struct sim_db *db, int64_t before_us, size_t limit)
{
    struct sim_room *room;
    size_t n = 0;

    list_for_each(room, &db->by_age, link)
    {
        while (n < limit && !list_empty(&room->change_ages)) {
            struct sim_change *change = list_first(&room->change_ages, struct sim_change, link);

            if (change->at_us >= before_us)
                break;
            change_free(room, change);
            n++;
        }
    }
    return n;
}

/* ---- rows ---- */

void sim_timeline_init(struct sim_room *room)
{
    map_init(&room->keys);
    map_init(&room->changes);
    list_init(&room->change_ages);
}

size_t sim_timeline_clear(struct sim_room *room)
{
    size_t n_changes = 0, n_entries = 0;

    while (!list_empty(&room->change_ages)) {
        change_free(room, list_first(&room->change_ages, struct sim_change, link));
        n_changes++;
    }
    for (size_t i = 0; i < room->n_entries; i++) {
        struct entry *e = TAKE(room->entries[i]);
        struct sim_key *key = e ? key_find(room, e->dedupe) : NULL;

        if (key) {
            map_remove(&room->keys, &key->node);
            free(key);
        }
        n_entries += e != NULL;
        entry_unref(e);
    }
    return MAX(n_changes, n_entries);
}

void sim_timeline_free(struct sim_room *room)
{
    (void)sim_timeline_clear(room);
    free(room->entries);
    map_deinit(&room->keys);
    map_deinit(&room->changes);
}

void sim_timeline_grow(struct sim_room *room, uint64_t seq)
{
    while (room->n_entries < seq) {
        if (room->n_entries == room->cap_entries) {
            room->cap_entries = MAX(room->cap_entries * 2, (size_t)16);
            room->entries =
                sim_must(realloc(room->entries, room->cap_entries * sizeof(struct entry *)));
        }
        room->entries[room->n_entries++] = NULL;
    }
}

void sim_timeline_append(struct sim_room *room, struct entry *entry)
{
    struct sim_key *key;

    if (IS_BROKEN(BREAK_COMPARE_AND_SET)) {
        sim_timeline_grow(room, entry->seq);
        if (room->entries[entry->seq - 1] || sim_key_exists(room, entry->dedupe))
            return;
    } else {
        assert(entry->seq > room->n_entries);
        sim_timeline_grow(room, entry->seq);
    }
    key = sim_must(calloc(1, sizeof(*key)));
    room->entries[entry->seq - 1] = entry_ref(entry);
    key->entry = entry;
    if (map_insert(&room->keys, &key->node, hash_bytes(entry->dedupe, DEDUPE_LEN)) < 0)
        abort();
}

void sim_timeline_replace(struct sim_room *room, const struct entry *image)
{
    struct entry *old = image->seq <= room->n_entries ? room->entries[image->seq - 1] : NULL;

    if (!old)
        return;
    room->entries[image->seq - 1] = sim_must(entry_new(image));
    key_find(room, old->dedupe)->entry = room->entries[image->seq - 1];
    entry_unref(old);
}

struct entry *const *sim_room_entries(const struct sim_room *room, size_t *ret_n)
{
    *ret_n = room->n_entries;
    return room->entries;
}

void sim_room_change(struct sim_room *room, uint64_t seq, int64_t deleted_us)
{
    struct entry changed = *room->entries[seq - 1];

    if (deleted_us)
        changed.content = (struct slice){0};
    changed.updated_seq = ++room->row.last_seq;
    changed.deleted_us = deleted_us;
    changed.version++;
    sim_timeline_grow(room, room->row.last_seq);
    sim_timeline_replace(room, &changed);
}

/* ---- pages and tails ---- */

static int by_updated(const void *a, const void *b)
{
    const struct entry *x = *(struct entry *const *)a, *y = *(struct entry *const *)b;

    return (x->updated_seq > y->updated_seq) - (x->updated_seq < y->updated_seq);
}

static bool page_wants(const struct page_query *q, int64_t now_us, const struct entry *e)
{
    if (!e || (q->live_messages_only && !entry_is_live(e, now_us)))
        return false;
    if (q->live_messages_only && q->viewer.len > 0 && !entry_is_visible(e, q->viewer))
        return false;
    switch (q->kind) {
    case PAGE_CHANGED_AFTER:
        return e->updated_seq > q->seq;
    case PAGE_BEFORE_SEQ:
        return e->seq < q->seq;
    case PAGE_AFTER_SEQ:
        return e->seq > q->seq;
    case PAGE_BEFORE_TIME:
        return e->created_us < q->time_us;
    }
    return false;
}

void sim_room_page(const struct sim_room *room, const struct page_query *q, int64_t now_us,
                   struct page *ret_page)
{
    const struct room_row *row = sim_room_row(room);
    bool descending = q->kind == PAGE_BEFORE_SEQ || q->kind == PAGE_BEFORE_TIME;
    size_t n_all, n = 0, limit = q->limit;
    struct entry *const *all = sim_room_entries(room, &n_all);
    struct entry **found = sim_must(calloc(n_all + 1, sizeof(struct entry *)));

    for (size_t i = 0; i < n_all; i++) {
        struct entry *e = all[descending ? n_all - 1 - i : i];

        if (page_wants(q, now_us, e))
            found[n++] = e;
    }
    if (q->kind == PAGE_CHANGED_AFTER && n > 0)
        qsort(found, n, sizeof(struct entry *), by_updated);
    *ret_page = (struct page){
        .entries = found,
        .n_entries = MIN(n, limit),
        .head = row->last_seq,
        .generation = row->generation,
        .resume_floor = row->resume_floor,
        .more = n > limit,
    };
    for (size_t i = 0; i < ret_page->n_entries; i++)
        entry_ref(found[i]);
}

void sim_room_tail(const struct sim_room *room, uint32_t tail_len, struct sim_claim *claim)
{
    struct entry **tail = sim_must(calloc((size_t)tail_len * 2 + 1, sizeof(struct entry *)));
    struct entry **older = sim_must(calloc(room->n_entries + 1, sizeof(struct entry *)));
    size_t first = room->n_entries, n = 0, n_older = 0, kept;
    struct claim_result *result = &claim->result;

    while (first > 0 && n < tail_len) {
        struct entry *e = room->entries[--first];

        if (e)
            tail[n++] = e;
    }
    for (size_t i = 0; n > 0 && i < first; i++) {
        struct entry *e = room->entries[i];

        if (e && e->updated_seq > first + 1)
            older[n_older++] = e;
    }
    if (n_older > 0)
        qsort(older, n_older, sizeof(struct entry *), by_updated);
    kept = MIN(n_older, (size_t)tail_len);
    if (n == tail_len)
        result->seq_floor = n > 0 ? tail[n - 1]->seq - 1 : room->row.last_seq;
    result->touched_floor = kept > 0 && kept == tail_len
                                ? older[n_older - kept]->updated_seq - 1
                                : result->seq_floor;
    for (size_t i = 0; i < kept; i++)
        tail[n++] = older[n_older - kept + i];
    if (n > 0)
        qsort(tail, n, sizeof(struct entry *), by_updated);
    for (size_t i = 0; i < n; i++)
        entry_ref(tail[i]);
    free(older);
    result->tail = claim->tail = tail;
    result->n_tail = n;
}

void sim_room_streams(const struct sim_room *room, struct sim_claim *claim)
{
    struct entry **streams = sim_must(calloc(ROOM_STREAMS_MAX, sizeof(struct entry *)));
    size_t n = 0;

    for (size_t i = 0; i < room->n_entries && n < ROOM_STREAMS_MAX; i++) {
        struct entry *e = room->entries[i];

        if (e && (e->flags & ENTRY_STREAMING) && !e->deleted_us)
            streams[n++] = entry_ref(e);
    }
    claim->result.streams = claim->streams = streams;
    claim->result.n_streams = n;
}

/* ---- one message, and those that are due ---- */

struct entry *sim_db_find(struct sim_db *db, const struct find_query *query,
                          struct slice *ret_room)
{
    struct sim_room *room;

    list_for_each(room, &db->by_age, link)
    {
        if (!slice_eq(room->project, query->project) ||
            (query->room.len > 0 && !slice_eq(room->room, query->room)))
            continue;
        for (size_t i = 0; i < room->n_entries; i++) {
            if (room->entries[i] && room->entries[i]->id == query->id) {
                *ret_room = room->room;
                return room->entries[i];
            }
        }
    }
    return NULL;
}

static int by_expiry(const void *a, const void *b)
{
    const struct due_row *x = a, *y = b;
    int r = (x->expires_us > y->expires_us) - (x->expires_us < y->expires_us);

    if (r == 0)
        r = strcmp(x->project.data, y->project.data); /* copies end in NUL */
    if (r == 0)
        r = strcmp(x->room.data, y->room.data);
    return r ? r : (x->seq > y->seq) - (x->seq < y->seq);
}

size_t sim_db_due(struct sim_db *db, int64_t before_us, uint32_t limit,
                  struct due_row **ret_rows)
{
    struct due_row *rows = NULL;
    struct sim_room *room;
    size_t n = 0;

    list_for_each(room, &db->by_age, link)
    {
        for (size_t i = 0; i < room->n_entries; i++) {
            const struct entry *e = room->entries[i];

            if (!e || e->deleted_us || e->expires_us == 0 || e->expires_us >= before_us)
                continue;
            rows = sim_must(realloc(rows, (n + 1) * sizeof(*rows)));
            rows[n++] =
                (struct due_row){room->project, room->room, e->seq, e->id, e->expires_us};
        }
    }
    if (n > 0)
        qsort(rows, n, sizeof(*rows), by_expiry);
    *ret_rows = rows;
    return MIN(n, (size_t)limit);
}

void sim_entries_free(struct entry *const *entries, size_t n)
{
    for (size_t i = 0; i < n; i++)
        entry_unref(entries[i]);
    free((struct entry **)(uintptr_t)entries);
}
