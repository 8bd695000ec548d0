/* map.c - intrusive chained hash map with keyed hashes; see map.h. */
#include "common/base/map.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define MAP_FIRST_BUCKETS 16

static uint64_t seed;

void map_init(struct map *map)
{
    *map = (struct map){0};
}

void map_deinit(struct map *map)
{
    free(map->buckets);
    map_init(map);
}

static struct map_node **map_bucket(const struct map *map, uint64_t hash)
{
    return &map->buckets[hash & (map->n_buckets - 1)];
}

/* Doubles the buckets. Without memory the chains just get longer; the next insert tries again.
 */
static void map_grow(struct map *map)
{
    struct map grown = {.n_buckets = map->n_buckets * 2, .count = map->count};

    grown.buckets = calloc(grown.n_buckets, sizeof(struct map_node *));
    if (!grown.buckets)
        return;
    for (size_t i = 0; i < map->n_buckets; i++) {
        struct map_node *node = map->buckets[i];

        while (node) {
            struct map_node *next = node->next;
            struct map_node **bucket = map_bucket(&grown, node->hash);

            node->next = *bucket;
            *bucket = node;
            node = next;
        }
    }
    free(map->buckets);
    *map = grown;
}

int map_insert(struct map *map, struct map_node *node, uint64_t hash)
{
    struct map_node **bucket;

    if (!map->buckets) {
        map->buckets = calloc(MAP_FIRST_BUCKETS, sizeof(struct map_node *));
        if (!map->buckets)
            return -ENOMEM;
        map->n_buckets = MAP_FIRST_BUCKETS;
    } else if (map->count >= map->n_buckets) {
        map_grow(map);
    }
    bucket = map_bucket(map, hash);
    node->hash = hash;
    node->next = *bucket;
    *bucket = node;
    map->count++;
    return 0;
}

void map_remove(struct map *map, struct map_node *node)
{
    struct map_node **at;

    assert(map->buckets);
    at = map_bucket(map, node->hash);
    while (*at != node) {
        assert(*at); /* the node is in this map */
        at = &(*at)->next;
    }
    *at = node->next;
    node->next = NULL;
    map->count--;
}

struct map_node *map_find(const struct map *map, uint64_t hash, map_eq_fn eq, const void *key)
{
    struct map_node *node;

    if (!map->buckets)
        return NULL;
    for (node = *map_bucket(map, hash); node; node = node->next)
        if (node->hash == hash && eq(node, key))
            return node;
    return NULL;
}

void map_each(struct map *map, map_visit_fn fn, void *arg)
{
    for (size_t i = 0; i < map->n_buckets; i++) {
        struct map_node *node = map->buckets[i];

        while (node) {
            struct map_node *next = node->next; /* fn may free node */

            if (!fn(node, arg))
                return;
            node = next;
        }
    }
}

void hash_seed(uint64_t new_seed)
{
    seed = new_seed;
}

uint64_t hash_bytes(const void *data, size_t len)
{
    return XXH3_64bits_withSeed(len ? data : "", len, seed);
}

uint64_t hash_slice(struct slice s)
{
    return hash_bytes(s.data, s.len);
}

uint64_t hash_two(struct slice a, struct slice b)
{
    /* The first hash is the key of the second, so the boundary counts. */
    return XXH3_64bits_withSeed(b.len ? b.data : "", b.len, hash_slice(a));
}

uint64_t hash_u64(uint64_t v)
{
    return XXH3_64bits_withSeed(&v, sizeof(v), seed);
}
