/* rate_table.c - see rate_table.h. */
#include "gateway/api/rate_table.h"

#include <stdlib.h>

struct rate_entry {
    struct map_node node;
    struct list link;
    struct ratelim limit;
};

void rate_table_init(struct rate_table *table, struct ratelim_rule rule, size_t max)
{
    *table = (struct rate_table){.rule = rule, .max = max};
    map_init(&table->map);
    list_init(&table->used);
}

static void entry_free(struct rate_table *table, struct rate_entry *entry)
{
    map_remove(&table->map, &entry->node);
    list_del(&entry->link);
    free(entry);
}

void rate_table_deinit(struct rate_table *table)
{
    while (!list_empty(&table->used))
        entry_free(table, list_first(&table->used, struct rate_entry, link));
    map_deinit(&table->map);
}

static bool has_key(const struct map_node *node, const void *key)
{
    return node->hash == *(const uint64_t *)key;
}

static struct rate_entry *entry_get(struct rate_table *table, uint64_t key)
{
    struct map_node *node = map_find(&table->map, key, has_key, &key);
    struct rate_entry *entry;

    if (node) {
        entry = container_of(node, struct rate_entry, node);
        list_del(&entry->link);
        list_add_tail(&table->used, &entry->link);
        return entry;
    }
    if (table->map.count >= table->max)
        entry_free(table, list_first(&table->used, struct rate_entry, link));
    entry = calloc(1, sizeof(*entry));
    if (!entry)
        return NULL;
    list_init(&entry->link);
    if (map_insert(&table->map, &entry->node, key) < 0) {
        free(entry);
        return NULL;
    }
    list_add_tail(&table->used, &entry->link);
    return entry;
}

bool rate_table_take(struct rate_table *table, uint64_t key, uint64_t n, uint64_t now_ms,
                     uint64_t *ret_left, uint64_t *ret_retry_ms)
{
    struct rate_entry *entry = entry_get(table, key);
    bool taken;

    *ret_left = table->rule.burst;
    *ret_retry_ms = 0;
    if (!entry)
        return true;
    taken = ratelim_take(&entry->limit, &table->rule, now_ms, n, ret_retry_ms);
    *ret_left = ratelim_left(&entry->limit, &table->rule, now_ms);
    return taken;
}
