/* test_ring.c - the consistent hash ring: shares, movement, encoding. */
#include "common/cluster/ring.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/support/test.h"

#define OBJECTS 20000

static char names[RING_MEMBERS_MAX + 1][16];

static void make_members(struct ring_member *members, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        snprintf(names[i], sizeof(names[i]), "shard-%zu", i + 1);
        members[i] = (struct ring_member){
            .id = slice_str(names[i]),
            .address = SLICE_LIT("127.0.0.1:9000"),
            .incarnation = 100 + i,
            .weight = 1,
        };
    }
}

static struct ring *make_ring(uint64_t epoch, const struct ring_member *members, size_t n)
{
    struct ring *ring;

    assert_int_equal(ring_new(epoch, members, n, &ring), 0);
    return ring;
}

static struct slice owner_of(const struct ring *ring, int object)
{
    char name[64];
    int len = snprintf(name, sizeof(name), "room/demo/r%d", object);

    return ring_owner(ring, slice_of(name, (size_t)len))->id;
}

static void shares_are_even(void **state)
{
    struct ring_member members[20];

    (void)state;
    make_members(members, 20);
    for (size_t n = 2; n <= 20; n++) {
        struct ring *ring = make_ring(1, members, n);
        size_t counts[20] = {0};

        for (int i = 0; i < OBJECTS; i++) {
            struct slice id = owner_of(ring, i);

            counts[atoi(id.data + 6) - 1]++;
        }
        for (size_t i = 0; i < n; i++) {
            CHECK(counts[i] > OBJECTS / n * 7 / 10, names[i]);
            CHECK(counts[i] < OBJECTS / n * 13 / 10, names[i]);
        }
        ring_unref(ring);
    }
}

static void weight_scales_the_share(void **state)
{
    struct ring_member members[3];
    struct ring *ring;
    int heavy = 0;

    (void)state;
    make_members(members, 3);
    members[1].weight = 4;
    ring = make_ring(1, members, 3);
    for (int i = 0; i < OBJECTS; i++)
        heavy += slice_eq(owner_of(ring, i), members[1].id);
    assert_in_range(heavy, OBJECTS * 60 / 100, OBJECTS * 73 / 100); /* 4/6 */
    ring_unref(ring);
}

static void a_new_member_only_takes(void **state)
{
    struct ring_member members[8];

    (void)state;
    make_members(members, 8);
    for (size_t n = 1; n < 8; n++) {
        struct ring *before = make_ring(1, members, n);
        struct ring *after = make_ring(2, members, n + 1);
        int moved = 0;

        for (int i = 0; i < OBJECTS; i++) {
            struct slice was = owner_of(before, i), is = owner_of(after, i);

            if (slice_eq(was, is))
                continue;
            moved++;
            CHECK(slice_eq(is, members[n].id), "moves go to the new member");
        }
        CHECK(moved > OBJECTS / (int)(n + 1) * 7 / 10, "it takes its share");
        CHECK(moved < OBJECTS / (int)(n + 1) * 13 / 10, "and no more");
        ring_unref(before);
        ring_unref(after);
    }
}

static void restart_and_address_move_nothing(void **state)
{
    struct ring_member members[4];
    struct ring *before, *after;

    (void)state;
    make_members(members, 4);
    before = make_ring(1, members, 4);
    members[2].incarnation = 7;
    members[2].address = SLICE_LIT("other:1");
    after = make_ring(9, members, 4);
    for (int i = 0; i < 1000; i++)
        assert_true(slice_eq(owner_of(before, i), owner_of(after, i)));
    assert_int_not_equal(ring_identity(before).hash, ring_identity(after).hash);
    ring_unref(before);
    ring_unref(after);
}

static void draining_members_own_nothing_unless_all_drain(void **state)
{
    struct ring_member members[3];
    struct ring *ring;

    (void)state;
    make_members(members, 3);
    members[0].draining = true;
    ring = make_ring(1, members, 3);
    assert_int_equal(ring_count(ring), 3);
    for (int i = 0; i < 1000; i++)
        assert_false(slice_eq(owner_of(ring, i), members[0].id));
    ring_unref(ring);
    members[1].draining = members[2].draining = true;
    ring = make_ring(1, members, 3);
    assert_non_null(ring_owner(ring, SLICE_LIT("room/a/b")));
    ring_unref(ring);
}

static void empty_ring_has_no_owner(void **state)
{
    struct ring *ring = make_ring(0, NULL, 0);

    (void)state;
    assert_null(ring_owner(ring, SLICE_LIT("room/a/b")));
    assert_null(ring_find(ring, SLICE_LIT("a")));
    ring_unref(ring);
}

/* What other processes compute must stay the same for ever: a ring that differs between
 * versions splits rooms. */
static void owners_are_part_of_the_protocol(void **state)
{
    static const struct {
        const char *object, *owner;
    } want[] = {
        {"room/demo/lobby", "shard-3"},
        {"room/demo/general", "shard-3"},
        {"project/demo", "shard-3"},
        {"user/demo/ann", "shard-5"},
        {"", "shard-5"},
    };
    struct ring_member members[5];
    struct ring *ring;

    (void)state;
    make_members(members, 5);
    ring = make_ring(1, members, 5);
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        CHECK_SLICE(ring_owner(ring, slice_str(want[i].object))->id, want[i].owner,
                    want[i].object);
    ring_unref(ring);
}

static void order_of_members_does_not_matter(void **state)
{
    struct ring_member members[3], turned[3];
    struct ring *a, *b;

    (void)state;
    make_members(members, 3);
    turned[0] = members[2];
    turned[1] = members[0];
    turned[2] = members[1];
    a = make_ring(5, members, 3);
    b = make_ring(5, turned, 3);
    assert_int_equal(ring_identity_compare(ring_identity(a), ring_identity(b)), 0);
    CHECK_SLICE(ring_at(b, 0)->id, "shard-1", "sorted");
    ring_unref(a);
    ring_unref(b);
}

static void newer_is_by_epoch_then_hash(void **state)
{
    (void)state;
    assert_true(
        ring_identity_compare((struct ring_identity){1, 9}, (struct ring_identity){2, 0}) < 0);
    assert_true(
        ring_identity_compare((struct ring_identity){2, 9}, (struct ring_identity){2, 0}) > 0);
    assert_true(
        ring_identity_compare((struct ring_identity){2, 9}, (struct ring_identity){2, 9}) == 0);
}

static void bad_members_are_refused(void **state)
{
    static char long_id[NODE_ID_MAX + 2], long_address[LINK_ADDRESS_MAX + 2];
    struct ring_member many[RING_MEMBERS_MAX + 1];
    struct ring *ring;
    struct {
        const char *name;
        struct ring_member member;
        int want;
    } cases[] = {
        {"empty id", {.id = SLICE_LIT(""), .address = SLICE_LIT("a:1"), .weight = 1}, -EINVAL},
        {"id with space",
         {.id = SLICE_LIT("a b"), .address = SLICE_LIT("a:1"), .weight = 1},
         -EINVAL},
        {"id with hash",
         {.id = SLICE_LIT("a#1"), .address = SLICE_LIT("a:1"), .weight = 1},
         -EINVAL},
        {"no address", {.id = SLICE_LIT("a"), .address = SLICE_LIT(""), .weight = 1}, -EINVAL},
        {"address with newline",
         {.id = SLICE_LIT("a"), .address = SLICE_LIT("a:1\n"), .weight = 1},
         -EINVAL},
        {"no weight",
         {.id = SLICE_LIT("a"), .address = SLICE_LIT("a:1"), .weight = 0},
         -EINVAL},
        {"too heavy",
         {.id = SLICE_LIT("a"), .address = SLICE_LIT("a:1"), .weight = RING_WEIGHT_MAX + 1},
         -EINVAL},
        {"long id",
         {.id = {long_id, NODE_ID_MAX + 1}, .address = SLICE_LIT("a:1"), .weight = 1},
         -EINVAL},
        {"long address",
         {.id = SLICE_LIT("a"), .address = {long_address, LINK_ADDRESS_MAX + 1}, .weight = 1},
         -EINVAL},
        {"good",
         {.id = {long_id, NODE_ID_MAX},
          .address = {long_address, LINK_ADDRESS_MAX},
          .weight = RING_WEIGHT_MAX},
         0},
    };

    (void)state;
    memset(long_id, 'x', sizeof(long_id));
    memset(long_address, 'x', sizeof(long_address));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ring = NULL;
        CHECK_EQ(ring_new(1, &cases[i].member, 1, &ring), cases[i].want, cases[i].name);
        ring_unref(ring);
    }
    assert_int_equal(ring_new(RING_EPOCH_MAX + 1, NULL, 0, &ring), -EINVAL);
    assert_int_equal(ring_decode(RING_EPOCH_MAX + 1, SLICE_LIT("\x00\x00"), &ring), -EBADMSG);
    make_members(many, RING_MEMBERS_MAX + 1);
    assert_int_equal(ring_new(1, many, RING_MEMBERS_MAX + 1, &ring), -E2BIG);
    for (size_t i = 0; i < RING_MEMBERS_MAX; i++)
        many[i].weight = RING_WEIGHT_MAX;
    assert_int_equal(ring_new(1, many, RING_MEMBERS_MAX, &ring), -E2BIG);
    many[1].id = many[0].id;
    assert_int_equal(ring_new(1, many, 2, &ring), -EINVAL);
}

static void decoding_gives_the_same_ring(void **state)
{
    struct ring_member members[RING_MEMBERS_MAX];

    (void)state;
    make_members(members, RING_MEMBERS_MAX);
    members[3].draining = true;
    members[4].incarnation = UINT64_MAX;
    for (size_t n = 0; n <= RING_MEMBERS_MAX; n += 64) {
        struct ring *ring = make_ring(77, members, n), *copy;

        assert_int_equal(ring_decode(77, ring_encoded(ring), &copy), 0);
        assert_int_equal(ring_identity_compare(ring_identity(ring), ring_identity(copy)), 0);
        assert_true(slice_eq(ring_encoded(ring), ring_encoded(copy)));
        ring_unref(ring);
        ring_unref(copy);
    }
}

#define MEMBER                                                                                 \
    "\x01"                                                                                     \
    "a"                                                                                        \
    "\x03\x00"                                                                                 \
    "h:1"                                                                                      \
    "\x05\0\0\0\0\0\0\0"                                                                       \
    "\x01"                                                                                     \
    "\x00"
#define MEMBER_B                                                                               \
    "\x01"                                                                                     \
    "b"                                                                                        \
    "\x03\x00"                                                                                 \
    "h:1"                                                                                      \
    "\x05\0\0\0\0\0\0\0"                                                                       \
    "\x01"                                                                                     \
    "\x00"

static void hostile_encodings_are_refused(void **state)
{
    static const struct {
        const char *name;
        struct slice bytes;
        int want;
    } cases[] = {
        {"nothing", SLICE_LIT(""), -EBADMSG},
        {"half a count", SLICE_LIT("\x01"), -EBADMSG},
        {"no members", SLICE_LIT("\x00\x00"), 0},
        {"one", SLICE_LIT("\x01\x00" MEMBER), 0},
        {"two", SLICE_LIT("\x02\x00" MEMBER MEMBER_B), 0},
        {"count over the limit", SLICE_LIT("\xff\xff" MEMBER), -EBADMSG},
        {"count without members", SLICE_LIT("\x02\x00" MEMBER), -EBADMSG},
        {"bytes left over", SLICE_LIT("\x01\x00" MEMBER "x"), -EBADMSG},
        {"wrong order", SLICE_LIT("\x02\x00" MEMBER_B MEMBER), -EBADMSG},
        {"twice the same", SLICE_LIT("\x02\x00" MEMBER MEMBER), -EBADMSG},
        {"id beyond the end",
         SLICE_LIT("\x01\x00\xff"
                   "a"),
         -EBADMSG},
        {"address beyond the end",
         SLICE_LIT("\x01\x00\x01"
                   "a"
                   "\xff\xff"
                   "h"),
         -EBADMSG},
        {"weight 0",
         SLICE_LIT("\x01\x00\x01"
                   "a"
                   "\x03\x00"
                   "h:1"
                   "\x05\0\0\0\0\0\0\0"
                   "\x00\x00"),
         -EBADMSG},
        {"draining 2",
         SLICE_LIT("\x01\x00\x01"
                   "a"
                   "\x03\x00"
                   "h:1"
                   "\x05\0\0\0\0\0\0\0"
                   "\x01\x02"),
         -EBADMSG},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ring *ring = NULL;

        CHECK_EQ(ring_decode(1, cases[i].bytes, &ring), cases[i].want, cases[i].name);
        CHECK((ring != NULL) == (cases[i].want == 0), cases[i].name);
        ring_unref(ring);
        if (cases[i].want != 0)
            continue;
        for (size_t cut = 0; cut < cases[i].bytes.len; cut++) { /* every truncation */
            ring = NULL;
            CHECK_EQ(ring_decode(1, slice_of(cases[i].bytes.data, cut), &ring), -EBADMSG,
                     cases[i].name);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_are_even),
        cmocka_unit_test(weight_scales_the_share),
        cmocka_unit_test(a_new_member_only_takes),
        cmocka_unit_test(restart_and_address_move_nothing),
        cmocka_unit_test(draining_members_own_nothing_unless_all_drain),
        cmocka_unit_test(empty_ring_has_no_owner),
        cmocka_unit_test(owners_are_part_of_the_protocol),
        cmocka_unit_test(order_of_members_does_not_matter),
        cmocka_unit_test(newer_is_by_epoch_then_hash),
        cmocka_unit_test(bad_members_are_refused),
        cmocka_unit_test(decoding_gives_the_same_ring),
        cmocka_unit_test(hostile_encodings_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
