/* test_map.c - the hash map: growth, removal while walking, colliding hashes; keyed hashes. */
#include "common/base/map.h"

#include <stdlib.h>

#include "tests/support/test.h"

struct item {
    struct map_node node;
    uint64_t key;
    bool seen;
};

static bool item_eq(const struct map_node *node, const void *key)
{
    return container_of(node, struct item, node)->key == *(const uint64_t *)key;
}

static struct item *find(const struct map *map, uint64_t hash, uint64_t key)
{
    struct map_node *node = map_find(map, hash, item_eq, &key);

    return node ? container_of(node, struct item, node) : NULL;
}

static void finds_what_was_inserted(void **state)
{
    enum { N = 5000 };
    struct item *items = calloc(N, sizeof(*items));
    struct map map;

    (void)state;
    assert_non_null(items);
    map_init(&map);
    assert_null(find(&map, hash_u64(1), 1)); /* before the first bucket exists */
    for (uint64_t i = 0; i < N; i++) {
        items[i].key = i;
        assert_int_equal(map_insert(&map, &items[i].node, hash_u64(i)), 0);
    }
    assert_int_equal(map.count, N);
    assert_true(map.n_buckets >= N);
    for (uint64_t i = 0; i < N; i++)
        assert_ptr_equal(find(&map, hash_u64(i), i), &items[i]);
    assert_null(find(&map, hash_u64(N), N));
    for (uint64_t i = 0; i < N; i += 2)
        map_remove(&map, &items[i].node);
    assert_int_equal(map.count, N / 2);
    for (uint64_t i = 0; i < N; i++)
        assert_ptr_equal(find(&map, hash_u64(i), i), i % 2 ? &items[i] : NULL);
    map_deinit(&map);
    free(items);
}

static void equal_hashes_are_told_apart(void **state)
{
    struct item items[3] = {{.key = 1}, {.key = 2}, {.key = 3}};
    struct map map;

    (void)state;
    map_init(&map);
    for (size_t i = 0; i < ARRAY_LEN(items); i++)
        assert_int_equal(map_insert(&map, &items[i].node, 77), 0);
    map_remove(&map, &items[1].node); /* from the middle of the chain */
    assert_ptr_equal(find(&map, 77, 1), &items[0]);
    assert_null(find(&map, 77, 2));
    assert_ptr_equal(find(&map, 77, 3), &items[2]);
    map_deinit(&map);
}

struct walk {
    struct map *map;
    size_t seen, stop_after;
    bool remove_all;
};

static bool visit(struct map_node *node, void *arg)
{
    struct item *item = container_of(node, struct item, node);
    struct walk *walk = arg;

    assert_false(item->seen);
    item->seen = true;
    if (walk->remove_all || item->key % 3 == 0) {
        map_remove(walk->map, node);
        free(item);
    }
    return ++walk->seen != walk->stop_after;
}

static void current_node_may_go_while_walking(void **state)
{
    struct map map;
    struct walk walk = {.map = &map};

    (void)state;
    map_init(&map);
    for (uint64_t i = 0; i < 300; i++) {
        struct item *item = calloc(1, sizeof(*item));

        assert_non_null(item);
        item->key = i;
        assert_int_equal(map_insert(&map, &item->node, i % 40), 0); /* long chains */
    }
    map_each(&map, visit, &walk);
    assert_int_equal(walk.seen, 300);
    assert_int_equal(map.count, 200);
    for (uint64_t i = 0; i < 300; i++) {
        struct item *item = find(&map, i % 40, i);

        assert_int_equal(item != NULL, i % 3 != 0);
        if (item)
            item->seen = false;
    }
    walk = (struct walk){.map = &map, .remove_all = true, .stop_after = 5};
    map_each(&map, visit, &walk);
    assert_int_equal(map.count, 195); /* stopped */
    walk.stop_after = 0;
    map_each(&map, visit, &walk);
    assert_int_equal(map.count, 0);
    map_deinit(&map);
}

static void hashes_depend_on_the_seed_and_the_boundary(void **state)
{
    struct slice ab = SLICE_LIT("ab"), a = SLICE_LIT("a");
    uint64_t before;

    (void)state;
    hash_seed(1);
    before = hash_slice(ab);
    assert_true(before == hash_bytes("ab", 2));
    assert_true(hash_two(ab, SLICE_LIT("c")) != hash_two(a, SLICE_LIT("bc")));
    assert_true(hash_two(ab, (struct slice){0}) != hash_two((struct slice){0}, ab));
    assert_true(hash_slice((struct slice){0}) == hash_slice(SLICE_LIT("")));
    hash_seed(2);
    assert_true(before != hash_slice(ab));
    assert_true(hash_u64(1) != hash_u64(2));
    hash_seed(1);
    assert_true(before == hash_slice(ab));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_was_inserted),
        cmocka_unit_test(equal_hashes_are_told_apart),
        cmocka_unit_test(current_node_may_go_while_walking),
        cmocka_unit_test(hashes_depend_on_the_seed_and_the_boundary),
    };

    return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
