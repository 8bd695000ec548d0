/* test_restrictions.c - mutes and bans: replaced, over by time, forgotten. */
#include "tests/support/test.h"

#include "shard/room/restrictions.h"
#include "shard/room/rules.h"
#include "shard/store/store.h"

#define ANN SLICE_LIT("ann")
#define BOB SLICE_LIT("bob")

static void mute_and_ban_end_by_themselves(void **state)
{
    struct restrictions r;

    (void)state;
    restrictions_init(&r);
    assert_int_equal(restrictions_put(&r, ANN, 1000, 0), 0);
    assert_int_equal(restrictions_put(&r, BOB, 0, RESTRICT_FOREVER_US), 0);
    assert_int_equal(restrictions_muted(&r, ANN, 999), 1000);
    assert_int_equal(restrictions_muted(&r, ANN, 1000), 0);
    assert_int_equal(restrictions_banned(&r, ANN, 0), 0);
    assert_true(restrictions_banned(&r, BOB, INT64_MAX - 1) > 0);
    restrictions_deinit(&r);
}

static void a_ban_does_not_hide_a_mute(void **state)
{
    struct restrictions r;

    (void)state;
    restrictions_init(&r);
    assert_int_equal(restrictions_put(&r, ANN, 5000, 0), 0);
    assert_int_equal(restrictions_put(&r, ANN, 5000, 2000), 0);
    assert_int_equal(restrictions_banned(&r, ANN, 1000), 2000);
    assert_int_equal(restrictions_muted(&r, ANN, 3000),
                     5000); /* the ban is over, the mute not */
    restrictions_deinit(&r);
}

static void what_is_over_is_forgotten(void **state)
{
    struct restrictions r;

    (void)state;
    restrictions_init(&r);
    assert_int_equal(restrictions_put(&r, ANN, 1000, 2000), 0);
    assert_int_equal(restrictions_put(&r, BOB, 9000, 0), 0);
    restrictions_prune(&r, 1500);
    assert_int_equal(restrictions_count(&r), 2);
    restrictions_prune(&r, 2000);
    assert_int_equal(restrictions_count(&r), 1);
    assert_int_equal(restrictions_put(&r, BOB, 0, 0), 0); /* lifted */
    assert_int_equal(restrictions_count(&r), 0);
    restrictions_deinit(&r);
}

/* ---- what they mean for the rules ---- */

static void who_is_banned_or_muted_may_what(void **state)
{
    static const struct {
        const char *name;
        struct actor actor;
        enum error_code write;
        enum room_entry_answer enter;
        const char *reason;
    } rows[] = {
        {"muted member",
         {.type = ROOM_GROUP, .role = ROLE_MEMBER, .is_muted = true},
         ERROR_muted,
         ENTER_YES,
         "not_member"},
        {"banned member",
         {.type = ROOM_GROUP, .role = ROLE_MEMBER, .is_banned = true},
         ERROR_banned,
         ENTER_NO,
         "banned"},
        {"banned stranger at a public room",
         {.type = ROOM_PUBLIC, .is_banned = true},
         ERROR_banned,
         ENTER_NO,
         "banned"},
        {"muted moderator",
         {.type = ROOM_GROUP, .role = ROLE_MODERATOR, .is_muted = true},
         ERROR_muted,
         ENTER_YES,
         "not_member"},
        {"project admin",
         {.type = ROOM_GROUP,
          .project_roles = PROJECT_ADMIN,
          .is_muted = true,
          .is_banned = true},
         ERROR_NONE,
         ENTER_YES,
         "not_member"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct actor *a = &rows[i].actor;

        if (rules_refuse_write(a) != rows[i].write || rules_enter(a) != rows[i].enter ||
            strcmp(rules_close_reason(a), rows[i].reason) != 0 ||
            rules_may_read(a) != (rows[i].enter != ENTER_NO))
            fail_msg("%s", rows[i].name);
    }
}

/* Rows act on columns. */
static void nobody_moderates_an_equal_or_a_superior(void **state)
{
    static const struct actor by_rank[] = {
        {.type = ROOM_GROUP, .role = ROLE_MEMBER},
        {.type = ROOM_GROUP, .role = ROLE_MODERATOR},
        {.type = ROOM_GROUP, .role = ROLE_ADMIN},
        {.type = ROOM_GROUP, .role = ROLE_OWNER},
        {.type = ROOM_GROUP, .project_roles = PROJECT_ADMIN},
        {.type = ROOM_GROUP, .project_roles = PROJECT_OWNER},
    };
    struct actor project_moderator = {.type = ROOM_GROUP, .project_roles = PROJECT_MODERATOR};
    struct actor banned = {.type = ROOM_GROUP, .role = ROLE_MODERATOR, .is_banned = true};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(by_rank); i++) {
        for (size_t k = 0; k < ARRAY_LEN(by_rank); k++) {
            if (rules_may_moderate(&by_rank[i], &by_rank[k]) != (i > k && i > 0))
                fail_msg("%zu on %zu", i, k);
        }
    }
    assert_true(rules_may_moderate(&project_moderator, &by_rank[0]));
    assert_false(rules_may_moderate(&project_moderator, &by_rank[1]));
    assert_false(rules_is_moderator(&banned));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mute_and_ban_end_by_themselves),
        cmocka_unit_test(a_ban_does_not_hide_a_mute),
        cmocka_unit_test(what_is_over_is_forgotten),
        cmocka_unit_test(who_is_banned_or_muted_may_what),
        cmocka_unit_test(nobody_moderates_an_equal_or_a_superior),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
