/* test_dm_room.c - the id of the one room of two users. */
#include "tests/support/test.h"

#include "common/base/ident.h"
#include "common/base/limits.h"
#include "common/wire/dm_room.h"

static void the_order_does_not_matter_and_pairs_differ(void **state)
{
    char a[DM_ROOM_ID_LEN + 1], b[DM_ROOM_ID_LEN + 1];
    char long_id[ID_MAX + 1];

    (void)state;
    CHECK_SLICE(dm_room_id(SLICE_LIT("ada"), SLICE_LIT("bob"), a),
                "dm_c330de43d019ffe9b781c90e347bab8f", "known: clients may have kept it");
    dm_room_id(SLICE_LIT("bob"), SLICE_LIT("ada"), b);
    assert_string_equal(a, b);
    assert_true(ident_is_valid(slice_str(a)));
    dm_room_id(SLICE_LIT("a"), SLICE_LIT("bc"), a);
    dm_room_id(SLICE_LIT("ab"), SLICE_LIT("c"), b);
    assert_string_not_equal(a, b);
    dm_room_id(SLICE_LIT("a"), SLICE_LIT("ab"), a);
    dm_room_id(SLICE_LIT("ab"), SLICE_LIT("a"), b);
    assert_string_equal(a, b);
    memset(long_id, 'x', sizeof(long_id));
    assert_int_equal(
        dm_room_id(slice_of(long_id, ID_MAX), slice_of(long_id, ID_MAX - 1), a).len,
        DM_ROOM_ID_LEN);
    assert_int_equal(dm_room_id(slice_of(long_id, ID_MAX + 1), SLICE_LIT("a"), a).len, 0);
}

static void only_its_own_form_is_reserved(void **state)
{
    char id[DM_ROOM_ID_LEN + 1];

    (void)state;
    assert_true(dm_room_id_is_reserved(dm_room_id(SLICE_LIT("x"), SLICE_LIT("y"), id)));
    assert_false(dm_room_id_is_reserved(SLICE_LIT("dm_room")));
    assert_false(dm_room_id_is_reserved(SLICE_LIT("dm_0123456789abcdef0123456789abcdeF")));
    assert_false(dm_room_id_is_reserved(SLICE_LIT("xm_0123456789abcdef0123456789abcdef")));
    assert_false(dm_room_id_is_reserved(SLICE_LIT("dm_0123456789abcdef0123456789abcdef0")));
    assert_false(dm_room_id_is_reserved(slice_of(NULL, 0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_order_does_not_matter_and_pairs_differ),
        cmocka_unit_test(only_its_own_form_is_reserved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
