/*
 * map.h - intrusive chained hash map. The owner embeds a struct map_node in
 * its object and supplies hash and equality; the map never owns objects.
 * Hashes are keyed (XXH3 with a per-process random seed), so that a peer who
 * chooses the keys cannot choose the buckets.
 */
#pragma once

#include "common/base/macros.h"
#include "common/base/slice.h"

struct map_node {
    struct map_node *next;
    uint64_t hash;
};

struct map {
    struct map_node **buckets; /* NULL until the first insert */
    size_t n_buckets;          /* power of two */
    size_t count;
};

typedef bool (*map_eq_fn)(const struct map_node *node, const void *key);

void map_init(struct map *map);
void map_deinit(struct map *map); /* frees the buckets; the nodes are the owner's */
/* Never fails once the map has a first bucket array; growth that cannot get memory is put off.
 */
int map_insert(struct map *map, struct map_node *node, uint64_t hash) MUST_CHECK;
void map_remove(struct map *map, struct map_node *node);
struct map_node *map_find(const struct map *map, uint64_t hash, map_eq_fn eq, const void *key);
/* Walks all nodes; the current node may be removed (and freed) during the walk, nothing may be
 * inserted. fn returns false to stop. */
typedef bool (*map_visit_fn)(struct map_node *node, void *arg);
void map_each(struct map *map, map_visit_fn fn, void *arg);

/* Keyed hashes. hash_seed() is called once at start with random bytes (tests: a constant). */
void hash_seed(uint64_t seed);
uint64_t hash_bytes(const void *data, size_t len);
uint64_t hash_slice(struct slice s);
uint64_t hash_two(struct slice a, struct slice b); /* ("ab","c") differs from ("a","bc") */
uint64_t hash_u64(uint64_t v);
