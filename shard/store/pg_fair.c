/* pg_fair.c - see pg_fair.h. */
#include "shard/store/pg_fair.h"

#include <assert.h>

static struct pg_fair_slot *slot_of(struct pg_fair *fair, uint64_t tenant)
{
    return &fair->slots[tenant % PG_FAIR_SLOTS];
}

static bool has_room(const struct pg_fair *fair, const struct pg_fair_slot *slot)
{
    return fair->share == 0 || slot->out < fair->share;
}

/* In the ring exactly while something of it waits and may go out. */
static void update(struct pg_fair *fair, struct pg_fair_slot *slot)
{
    bool is_due = !list_empty(&slot->queue) && has_room(fair, slot);

    if (is_due && !list_linked(&slot->in_ring))
        list_add_tail(&fair->ring, &slot->in_ring);
    else if (!is_due)
        list_del(&slot->in_ring);
}

void pg_fair_init(struct pg_fair *fair, unsigned share)
{
    list_init(&fair->ring);
    for (size_t i = 0; i < PG_FAIR_SLOTS; i++) {
        list_init(&fair->slots[i].in_ring);
        list_init(&fair->slots[i].queue);
        fair->slots[i].out = 0;
    }
    fair->share = share;
    fair->n = 0;
}

bool pg_fair_may_go(const struct pg_fair *fair, uint64_t tenant)
{
    const struct pg_fair_slot *slot = &fair->slots[tenant % PG_FAIR_SLOTS];

    return list_empty(&slot->queue) && has_room(fair, slot);
}

void pg_fair_push(struct pg_fair *fair, struct pg_fair_item *item)
{
    struct pg_fair_slot *slot = slot_of(fair, item->tenant);

    list_add_tail(&slot->queue, &item->link);
    fair->n++;
    update(fair, slot);
}

struct pg_fair_item *pg_fair_pop(struct pg_fair *fair)
{
    struct pg_fair_slot *slot;
    struct pg_fair_item *item;

    if (list_empty(&fair->ring))
        return NULL;
    slot = list_first(&fair->ring, struct pg_fair_slot, in_ring);
    item = list_first(&slot->queue, struct pg_fair_item, link);
    list_del(&slot->in_ring);
    list_del(&item->link);
    fair->n--;
    update(fair, slot); /* behind the others */
    return item;
}

void pg_fair_remove(struct pg_fair *fair, struct pg_fair_item *item)
{
    list_del(&item->link);
    fair->n--;
    update(fair, slot_of(fair, item->tenant));
}

void pg_fair_out(struct pg_fair *fair, uint64_t tenant)
{
    struct pg_fair_slot *slot = slot_of(fair, tenant);

    slot->out++;
    update(fair, slot);
}

void pg_fair_back(struct pg_fair *fair, uint64_t tenant)
{
    struct pg_fair_slot *slot = slot_of(fair, tenant);

    assert(slot->out > 0);
    slot->out--;
    update(fair, slot);
}

void pg_fair_reset(struct pg_fair *fair)
{
    for (size_t i = 0; i < PG_FAIR_SLOTS; i++) {
        fair->slots[i].out = 0;
        update(fair, &fair->slots[i]);
    }
}

void pg_fair_drain(struct pg_fair *fair, struct list *ret_items)
{
    list_init(ret_items);
    for (size_t i = 0; i < PG_FAIR_SLOTS; i++) {
        list_splice_tail(ret_items, &fair->slots[i].queue);
        update(fair, &fair->slots[i]);
    }
    fair->n = 0;
}

void pg_fair_each_first(struct pg_fair *fair, void (*fn)(struct pg_fair_item *item, void *arg),
                        void *arg)
{
    for (size_t i = 0; i < PG_FAIR_SLOTS; i++) {
        if (!list_empty(&fair->slots[i].queue))
            fn(list_first(&fair->slots[i].queue, struct pg_fair_item, link), arg);
    }
}
