/* fair.c - see fair.h. */
#include "common/base/fair.h"

#include <assert.h>

static struct fair_slot *slot_of(struct fair *fair, uint64_t tenant)
{
    return &fair->slots[tenant % FAIR_SLOTS];
}

static bool has_room(const struct fair *fair, const struct fair_slot *slot)
{
    return fair->share == 0 || slot->out < fair->share;
}

/* In the ring exactly while something of it waits and may go out. */
static void update(struct fair *fair, struct fair_slot *slot)
{
    bool is_due = !list_empty(&slot->queue) && has_room(fair, slot);

    if (is_due && !list_linked(&slot->in_ring))
        list_add_tail(&fair->ring, &slot->in_ring);
    else if (!is_due)
        list_del(&slot->in_ring);
}

void fair_init(struct fair *fair, unsigned share)
{
    list_init(&fair->ring);
    for (size_t i = 0; i < FAIR_SLOTS; i++) {
        list_init(&fair->slots[i].in_ring);
        list_init(&fair->slots[i].queue);
        fair->slots[i].out = 0;
    }
    fair->share = share;
    fair->n = 0;
}

bool fair_may_go(const struct fair *fair, uint64_t tenant)
{
    const struct fair_slot *slot = &fair->slots[tenant % FAIR_SLOTS];

    return list_empty(&slot->queue) && has_room(fair, slot);
}

void fair_push(struct fair *fair, struct fair_item *item)
{
    struct fair_slot *slot = slot_of(fair, item->tenant);

    list_add_tail(&slot->queue, &item->link);
    fair->n++;
    update(fair, slot);
}

struct fair_item *fair_pop(struct fair *fair)
{
    struct fair_slot *slot;
    struct fair_item *item;

    if (list_empty(&fair->ring))
        return NULL;
    slot = list_first(&fair->ring, struct fair_slot, in_ring);
    item = list_first(&slot->queue, struct fair_item, link);
    list_del(&slot->in_ring);
    list_del(&item->link);
    fair->n--;
    update(fair, slot); /* behind the others */
    return item;
}

void fair_remove(struct fair *fair, struct fair_item *item)
{
    list_del(&item->link);
    fair->n--;
    update(fair, slot_of(fair, item->tenant));
}

void fair_out(struct fair *fair, uint64_t tenant)
{
    struct fair_slot *slot = slot_of(fair, tenant);

    slot->out++;
    update(fair, slot);
}

void fair_back(struct fair *fair, uint64_t tenant)
{
    struct fair_slot *slot = slot_of(fair, tenant);

    assert(slot->out > 0);
    slot->out--;
    update(fair, slot);
}

void fair_reset(struct fair *fair)
{
    for (size_t i = 0; i < FAIR_SLOTS; i++) {
        fair->slots[i].out = 0;
        update(fair, &fair->slots[i]);
    }
}

void fair_drain(struct fair *fair, struct list *ret_items)
{
    list_init(ret_items);
    for (size_t i = 0; i < FAIR_SLOTS; i++) {
        list_splice_tail(ret_items, &fair->slots[i].queue);
        update(fair, &fair->slots[i]);
    }
    fair->n = 0;
}

void fair_each_first(struct fair *fair, void (*fn)(struct fair_item *item, void *arg),
                     void *arg)
{
    for (size_t i = 0; i < FAIR_SLOTS; i++) {
        if (!list_empty(&fair->slots[i].queue))
            fn(list_first(&fair->slots[i].queue, struct fair_item, link), arg);
    }
}
