/*
 * attach_table.h - attach number to attach, without hashing: the low bits of a
 * number are its place in an array, the high bits make it unique for the life
 * of the process. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/macros.h"

struct attach;

#define ATTACH_SLOT_BITS 24 /* 16 million at a time; 2^40 in a process life */

struct attach_slot {
    uint64_t number;       /* 0: free */
    struct attach *attach; /* NULL when free */
    uint32_t next_free;    /* slot + 1; 0: last */
};

struct attach_table {
    struct attach_slot *slots;
    uint32_t n, cap;
    uint32_t first_free; /* slot + 1; 0: none */
    uint64_t serial;
};

void attach_table_init(struct attach_table *table);
void attach_table_deinit(struct attach_table *table);
/* A number that was never given out before. -ENOMEM; -ENOSPC: all slots are taken. */
int attach_table_add(struct attach_table *table, struct attach *attach,
                     uint64_t *ret_number) MUST_CHECK;
void attach_table_remove(struct attach_table *table, uint64_t number);
/* NULL: nobody has this number (any more). */
static inline struct attach *attach_table_find(const struct attach_table *table,
                                               uint64_t number)
{
    uint64_t slot = number & ((1u << ATTACH_SLOT_BITS) - 1);

    if (slot >= table->n || table->slots[slot].number != number)
        return NULL;
    return table->slots[slot].attach;
}
