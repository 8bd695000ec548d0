/* test_members.c - the member list: add, change, remove, order, owners. */
#include <stdlib.h>

#include "tests/support/test.h"

#include "shard/room/members.h"

static void apply(struct members *m, const char *user, enum member_role role, int64_t at_us)
{
    assert_int_equal(members_apply(m, slice_str(user), role, at_us), 0);
}

static void add_change_remove(void **state)
{
    struct members m;

    (void)state;
    members_init(&m);
    assert_int_equal(members_role(&m, SLICE_LIT("ann")), ROLE_NONE);
    apply(&m, "ann", ROLE_OWNER, 10);
    apply(&m, "bob", ROLE_MEMBER, 20);
    assert_int_equal(m.owners, 1);
    apply(&m, "bob", ROLE_OWNER, 30);
    assert_int_equal(m.owners, 2);
    assert_int_equal(members_find(&m, SLICE_LIT("bob"))->joined_us, 20);
    apply(&m, "ann", ROLE_ADMIN, 40);
    assert_int_equal(m.owners, 1);
    apply(&m, "bob", ROLE_NONE, 50);
    assert_int_equal(m.owners, 0);
    apply(&m, "nobody", ROLE_NONE, 60);
    assert_int_equal(members_count(&m), 1);
    assert_int_equal(members_role(&m, SLICE_LIT("ann")), ROLE_ADMIN);
    members_deinit(&m);
}

static void loaded_members_keep_their_fields(void **state)
{
    struct member from = {.role = ROLE_OWNER,
                          .joined_us = 5,
                          .user = SLICE_LIT("ann"),
                          .preferences = SLICE_LIT("{\"a\":1}")};
    struct members m;

    (void)state;
    members_init(&m);
    assert_int_equal(members_put(&m, &from), 0);
    from.role = ROLE_GUEST;
    assert_int_equal(members_put(&m, &from), 0); /* replaces */
    assert_int_equal(members_count(&m), 1);
    assert_int_equal(m.owners, 0);
    assert_true(slice_eq_str(members_find(&m, SLICE_LIT("ann"))->preferences, "{\"a\":1}"));
    members_deinit(&m);
}

static void sorted_by_joining_then_user(void **state)
{
    static const struct {
        const char *user;
        int64_t at;
    } rows[] = {{"d", 3}, {"b", 1}, {"c", 2}, {"ab", 1}, {"a", 1}};
    static const char *const want[] = {"a", "ab", "b", "c"};
    const struct member **list;
    struct members m;
    size_t n;

    (void)state;
    members_init(&m);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        apply(&m, rows[i].user, ROLE_MEMBER, rows[i].at);
    list = members_sorted(&m, 4, &n);
    assert_non_null(list);
    assert_int_equal(n, 4);
    for (size_t i = 0; i < n; i++)
        assert_true(slice_eq_str(list[i]->user, want[i]));
    free(list);
    members_deinit(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(add_change_remove),
        cmocka_unit_test(loaded_members_keep_their_fields),
        cmocka_unit_test(sorted_by_joining_then_user),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
