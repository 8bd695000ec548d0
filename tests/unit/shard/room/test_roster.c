/* test_roster.c - who is here: users fold their sockets. */
#include "tests/support/test.h"

#include "shard/room/roster.h"

static void a_user_with_two_sockets_is_one_user(void **state)
{
    struct roster_user *ann, *again, *bob;
    struct roster roster;

    (void)state;
    roster_init(&roster);
    ann = roster_add(&roster, SLICE_LIT("ann"), SLICE_LIT("{\"name\":\"Ann\"}"));
    assert_non_null(ann);
    assert_int_equal(ann->sockets, 1);
    bob = roster_add(&roster, SLICE_LIT("bob"), slice_of(NULL, 0));
    again = roster_add(&roster, SLICE_LIT("ann"), SLICE_LIT("{}"));
    assert_ptr_equal(again, ann);
    assert_int_equal(ann->sockets, 2);
    assert_true(slice_eq_str(ann->info, "{\"name\":\"Ann\"}"));
    assert_int_equal(roster.n_users, 2);
    assert_int_equal(roster.n_sockets, 3);
    assert_ptr_equal(list_first(&roster.users, struct roster_user, link), ann);

    assert_false(roster_remove(&roster, ann));
    assert_true(roster_remove(&roster, ann));
    assert_null(roster_find(&roster, SLICE_LIT("ann")));
    assert_ptr_equal(roster_find(&roster, SLICE_LIT("bob")), bob);
    assert_int_equal(roster.n_users, 1);
    assert_int_equal(roster.n_sockets, 1);
    roster_deinit(&roster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_user_with_two_sockets_is_one_user),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
