/* lookup.c - see lookup.h. An entry is on one of two LRU lists (found, missing) unless it is
 * new and asking. */
#include "gateway/auth/lookup.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum entry_state { ENTRY_NEW, ENTRY_FOUND, ENTRY_MISSING };

struct lookup_entry {
    struct map_node node;
    struct list lru;     /* of its state's list; alone when NEW */
    struct list waiters; /* struct lookup_wait */
    void *value;         /* owned; NULL unless FOUND */
    uint64_t answered_ms;
    enum entry_state state;
    bool asking;
    uint8_t name_len;
    char name[LOOKUP_NAME_MAX];
};

struct lookup {
    struct lookup_config config;
    const struct lookup_ops *ops;
    void *owner;
    struct map map;
    struct list found, missing; /* least recently used first */
    size_t n_found, n_missing, n_asking;
};

int lookup_new(const struct lookup_config *config, const struct lookup_ops *ops, void *owner,
               struct lookup **ret_lookup)
{
    struct lookup *lookup = calloc(1, sizeof(*lookup));

    if (!lookup)
        return -ENOMEM;
    lookup->config = *config;
    lookup->ops = ops;
    lookup->owner = owner;
    map_init(&lookup->map);
    list_init(&lookup->found);
    list_init(&lookup->missing);
    *ret_lookup = lookup;
    return 0;
}

static void entry_set_state(struct lookup *lookup, struct lookup_entry *entry,
                            enum entry_state state)
{
    lookup->n_found -= entry->state == ENTRY_FOUND;
    lookup->n_missing -= entry->state == ENTRY_MISSING;
    list_del(&entry->lru);
    entry->state = state;
    if (state == ENTRY_FOUND) {
        lookup->n_found++;
        list_add_tail(&lookup->found, &entry->lru);
    } else if (state == ENTRY_MISSING) {
        lookup->n_missing++;
        list_add_tail(&lookup->missing, &entry->lru);
    }
}

static void entry_set_value(struct lookup *lookup, struct lookup_entry *entry, void *value)
{
    if (entry->value)
        lookup->ops->free_value(entry->value);
    entry->value = value;
}

static void entry_free(struct lookup *lookup, struct lookup_entry *entry)
{
    entry_set_state(lookup, entry, ENTRY_NEW);
    entry_set_value(lookup, entry, NULL);
    while (!list_empty(&entry->waiters))
        list_del(entry->waiters.next);
    map_remove(&lookup->map, &entry->node);
    free(entry);
}

static bool free_visited(struct map_node *node, void *arg)
{
    entry_free(arg, container_of(node, struct lookup_entry, node));
    return true;
}

void lookup_free(struct lookup *lookup)
{
    if (!lookup)
        return;
    map_each(&lookup->map, free_visited, lookup);
    map_deinit(&lookup->map);
    free(lookup);
}

void lookup_wait_init(struct lookup_wait *wait, void (*fn)(void *, enum lookup_result, void *),
                      void *arg)
{
    list_init(&wait->link);
    wait->fn = fn;
    wait->arg = arg;
}

void lookup_wait_cancel(struct lookup_wait *wait)
{
    list_del(&wait->link);
}

size_t lookup_count(const struct lookup *lookup)
{
    return lookup->map.count;
}

static bool entry_has_name(const struct map_node *node, const void *key)
{
    const struct lookup_entry *entry = container_of(node, const struct lookup_entry, node);
    const struct slice *name = key;

    return slice_eq(slice_of(entry->name, entry->name_len), *name);
}

static int entry_new(struct lookup *lookup, struct slice name, uint64_t hash,
                     struct lookup_entry **ret_entry)
{
    struct lookup_entry *entry = calloc(1, sizeof(*entry));

    if (!entry)
        return -ENOMEM;
    list_init(&entry->lru);
    list_init(&entry->waiters);
    entry->name_len = (uint8_t)name.len;
    memcpy(entry->name, name.data, name.len);
    if (map_insert(&lookup->map, &entry->node, hash) < 0) {
        free(entry);
        return -ENOMEM;
    }
    *ret_entry = entry;
    return 0;
}

static bool entry_is_fresh(const struct lookup *lookup, const struct lookup_entry *entry,
                           uint64_t now_ms)
{
    uint64_t good_ms =
        entry->state == ENTRY_FOUND ? lookup->config.found_ms : lookup->config.missing_ms;

    return entry->state != ENTRY_NEW && now_ms - entry->answered_ms < good_ms;
}

static int entry_ask(struct lookup *lookup, struct lookup_entry *entry)
{
    int r;

    if (lookup->n_asking >= lookup->config.max_asking)
        return LOOKUP_BUSY;
    r = lookup->ops->ask(lookup->owner, slice_of(entry->name, entry->name_len), entry);
    if (r < 0)
        return r;
    entry->asking = true;
    lookup->n_asking++;
    return 0;
}

int lookup_find(struct lookup *lookup, struct slice name, uint64_t now_ms,
                struct lookup_wait *wait, void **ret_value)
{
    struct lookup_entry *entry;
    struct map_node *node;
    uint64_t hash;
    int r = 0;

    if (name.len == 0 || name.len > LOOKUP_NAME_MAX)
        return LOOKUP_HAS_NOT;
    hash = hash_slice(name);
    node = map_find(&lookup->map, hash, entry_has_name, &name);
    if (node) {
        entry = container_of(node, struct lookup_entry, node);
    } else {
        r = entry_new(lookup, name, hash, &entry);
        if (r < 0)
            return r;
    }
    if (entry_is_fresh(lookup, entry, now_ms)) {
        entry_set_state(lookup, entry, entry->state); /* used most recently */
        *ret_value = entry->value;
        return entry->state == ENTRY_FOUND ? LOOKUP_HAS : LOOKUP_HAS_NOT;
    }
    if (!entry->asking)
        r = entry_ask(lookup, entry);
    if (r != 0) {
        if (entry->state == ENTRY_NEW)
            entry_free(lookup, entry);
        return r;
    }
    list_add_tail(&entry->waiters, &wait->link);
    return LOOKUP_WAIT;
}

/* Keeps a list at its bound. Entries that are asked for stay: their answer is on its way. */
static void trim(struct lookup *lookup, struct list *lru, size_t count, size_t max)
{
    struct lookup_entry *entry, *next;

    list_for_each_safe(entry, next, lru, lru)
    {
        if (count <= max)
            return;
        if (entry->asking)
            continue;
        entry_free(lookup, entry);
        count--;
    }
}

void lookup_answer(struct lookup *lookup, struct lookup_entry *entry, enum lookup_result result,
                   void *value, uint64_t now_ms)
{
    struct list waiters;

    assert(entry->asking);
    entry->asking = false;
    lookup->n_asking--;
    list_init(&waiters);
    list_splice_tail(&waiters, &entry->waiters);
    if (result != LOOKUP_FAILED) {
        entry_set_value(lookup, entry, result == LOOKUP_FOUND ? value : NULL);
        entry_set_state(lookup, entry, result == LOOKUP_FOUND ? ENTRY_FOUND : ENTRY_MISSING);
        entry->answered_ms = now_ms;
    } else if (entry->state == ENTRY_NEW) {
        entry_free(lookup, entry);
        entry = NULL;
    }
    /* A waiter may ask again (for this or another name) from inside its callback; `entry`
     * stays: it is in use as the most recent of its list, and trimming comes last. */
    value = result == LOOKUP_FOUND ? value : NULL;
    while (!list_empty(&waiters)) {
        struct lookup_wait *wait = list_first(&waiters, struct lookup_wait, link);

        list_del(&wait->link);
        wait->fn(wait->arg, result, value);
    }
    trim(lookup, &lookup->found, lookup->n_found, lookup->config.max_found);
    trim(lookup, &lookup->missing, lookup->n_missing, lookup->config.max_missing);
}
