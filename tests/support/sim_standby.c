/* sim_standby.c - a standby of the simulated database, and the failover to it; see sim_store.h.
 */
#include <stdlib.h>

#include "tests/support/sim_op.h"
#include "tests/support/sim_rows.h"

#define LOOK_MAX_MS 400 /* until a store has found the new server */

/* ---- what the standby has ---- */

static void copy_row(struct room_row *row)
{
    row->type = sim_dup(row->type);
    row->name = sim_dup(row->name);
    row->created_by = sim_dup(row->created_by);
    row->pinned_by = sim_dup(row->pinned_by);
    row->settings = sim_dup(row->settings);
}

static void copy_people(struct sim_room *to, const struct sim_room *from)
{
    to->members = sim_must(calloc(from->n_members + 1, sizeof(*to->members)));
    to->restrictions = sim_must(calloc(from->n_restrictions + 1, sizeof(*to->restrictions)));
    to->n_members = from->n_members;
    to->n_restrictions = from->n_restrictions;
    for (size_t i = 0; i < from->n_members; i++) {
        to->members[i] = from->members[i];
        to->members[i].user = sim_must(slice_dup(slice_str(from->members[i].user)));
    }
    for (size_t i = 0; i < from->n_restrictions; i++) {
        to->restrictions[i] = from->restrictions[i];
        to->restrictions[i].user = sim_must(slice_dup(slice_str(from->restrictions[i].user)));
    }
}

/* Entries are never changed in place, so both have the same. */
static void copy_timeline(struct sim_room *to, const struct sim_room *from)
{
    const struct sim_change *change;

    sim_timeline_init(to);
    for (size_t i = 0; i < from->n_entries; i++) {
        if (from->entries[i])
            sim_timeline_append(to, from->entries[i]);
    }
    sim_timeline_grow(to, from->n_entries);
    list_for_each(change, &from->change_ages, link)
    {
        struct batch_key key = {.seq = change->seq, .target = change->target};

        memcpy(key.key, change->key, DEDUPE_LEN);
        sim_change_add(to, &key, change->at_us);
    }
}

static void copy_room(struct sim_db *to, const struct sim_room *from)
{
    struct sim_room *room = sim_must(calloc(1, sizeof(*room)));

    room->project = sim_dup(from->project);
    room->room = sim_dup(from->room);
    room->row = from->row;
    copy_row(&room->row);
    room->is_deleted = from->is_deleted;
    room->has_remains = from->has_remains;
    room->remains = from->remains;
    copy_people(room, from);
    copy_timeline(room, from);
    list_add_tail(&to->by_age, &room->link);
    if (map_insert(&to->rooms, &room->node, hash_two(room->project, room->room)) < 0)
        abort();
}

static struct sim_db *copy_rooms(const struct sim_db *db)
{
    struct sim_db *copy = sim_db_new();
    const struct sim_room *room;

    list_for_each(room, &db->by_age, link) copy_room(copy, room);
    return copy;
}

static void take_rooms(struct sim_db *db, struct sim_db *from)
{
    sim_rooms_free(db);
    db->rooms = from->rooms;
    map_init(&from->rooms);
    list_init(&db->by_age);
    list_splice_tail(&db->by_age, &from->by_age);
}

/* ---- failover ---- */

void sim_server_lag(struct sim_server *server)
{
    sim_db_free(server->standby);
    server->standby = copy_rooms(server->db);
}

const struct sim_db *sim_server_standby(const struct sim_server *server)
{
    return server->standby ? server->standby : server->db;
}

void sim_server_fail_over(struct sim_server *server)
{
    sim_server_set_up(server, false);
    if (server->standby) {
        take_rooms(server->db, server->standby);
        sim_db_free(TAKE(server->standby));
    }
    server->epoch++;
    sim_db_set_generation(server->db, 2 + sim_server_random(server) % (UINT64_C(1) << 48));
    sim_db_skip_ids(server->db, sim_db_id_block(server->db, 1) + 1000000);
}

/* ---- stores find out ---- */

static void look_soon(struct sim_store *store)
{
    op_arm(store->env, &store->look, sim_server_random(store->server) % LOOK_MAX_MS);
}

static void on_look(struct timer *timer, void *arg)
{
    struct sim_store *store = arg;

    (void)timer;
    if (store->epoch == store->server->epoch)
        return;
    if (!store->server->is_up || store->is_cut_off) {
        look_soon(store);
        return;
    }
    store->epoch = store->server->epoch;
    if (store->on_replaced)
        store->on_replaced(store->owner);
}

void sim_store_look_init(struct sim_store *store)
{
    store->epoch = store->server->epoch;
    timer_init(&store->look, on_look, store);
}

bool sim_store_is_outdated(struct sim_store *store)
{
    if (store->epoch == store->server->epoch)
        return false;
    if (!timer_is_armed(&store->look))
        look_soon(store);
    return true;
}

void sim_store_on_replaced(struct store *s, void (*fn)(void *owner), void *owner)
{
    struct sim_store *store = container_of(s, struct sim_store, store);

    store->on_replaced = fn;
    store->owner = owner;
}
