/* attach_table.c - attach numbers; see attach_table.h. */
#include "gateway/session/attach_table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define FIRST_CAP 64u
#define SLOTS_MAX (1u << ATTACH_SLOT_BITS)

void attach_table_init(struct attach_table *table)
{
    *table = (struct attach_table){.serial = 1}; /* so that no number is 0 */
}

void attach_table_deinit(struct attach_table *table)
{
    free(table->slots);
    attach_table_init(table);
}

static int make_room(struct attach_table *table)
{
    uint32_t cap = table->cap ? MIN(table->cap * 2, SLOTS_MAX) : FIRST_CAP;
    struct attach_slot *slots;

    if (table->n < table->cap)
        return 0;
    if (table->n == SLOTS_MAX)
        return -ENOSPC;
    slots = reallocarray(table->slots, cap, sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    table->slots = slots;
    table->cap = cap;
    return 0;
}

int attach_table_add(struct attach_table *table, struct attach *attach, uint64_t *ret_number)
{
    uint32_t slot;
    int r;

    if (table->first_free > 0) {
        slot = table->first_free - 1;
        table->first_free = table->slots[slot].next_free;
    } else {
        r = make_room(table);
        if (r < 0)
            return r;
        slot = table->n++;
    }
    table->slots[slot] =
        (struct attach_slot){table->serial++ << ATTACH_SLOT_BITS | slot, attach, 0};
    *ret_number = table->slots[slot].number;
    return 0;
}

void attach_table_remove(struct attach_table *table, uint64_t number)
{
    uint32_t slot = (uint32_t)(number & (SLOTS_MAX - 1));

    assert(slot < table->n && table->slots[slot].number == number);
    table->slots[slot] = (struct attach_slot){0, NULL, table->first_free};
    table->first_free = slot + 1;
}
