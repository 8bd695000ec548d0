/* test_rules.c - who may do what, row by row. */
#include "tests/support/test.h"

#include "shard/room/rules.h"

#define ACTOR(t, r, p)                                                                         \
    {                                                                                          \
        .type = (t), .role = (r), .project_roles = (p)                                         \
    }

static void entering_and_writing(void **state)
{
    static const struct {
        const char *name;
        struct actor actor;
        enum room_entry_answer enter;
        bool may_read, may_write;
    } rows[] = {
        {"stranger at a group", ACTOR(ROOM_GROUP, ROLE_NONE, PROJECT_MEMBER), ENTER_NO, false,
         false},
        {"stranger at a dm", ACTOR(ROOM_DM, ROLE_NONE, PROJECT_MODERATOR), ENTER_NO, false,
         false},
        {"stranger at a public room", ACTOR(ROOM_PUBLIC, ROLE_NONE, 0), ENTER_JOIN, true,
         false},
        {"stranger at announcements", ACTOR(ROOM_ANNOUNCEMENT, ROLE_NONE, 0), ENTER_NO, false,
         false},
        {"project admin anywhere", ACTOR(ROOM_DM, ROLE_NONE, PROJECT_ADMIN), ENTER_YES, true,
         true},
        {"project owner anywhere", ACTOR(ROOM_ANNOUNCEMENT, ROLE_NONE, PROJECT_OWNER),
         ENTER_YES, true, true},
        {"guest of a group", ACTOR(ROOM_GROUP, ROLE_GUEST, PROJECT_GUEST), ENTER_YES, true,
         true},
        {"member of announcements", ACTOR(ROOM_ANNOUNCEMENT, ROLE_MEMBER, 0), ENTER_YES, true,
         false},
        {"moderator of announcements", ACTOR(ROOM_ANNOUNCEMENT, ROLE_MODERATOR, 0), ENTER_YES,
         true, true},
        {"project moderator who is a member",
         ACTOR(ROOM_ANNOUNCEMENT, ROLE_MEMBER, PROJECT_MODERATOR), ENTER_YES, true, true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rules_enter(&rows[i].actor) != rows[i].enter ||
            rules_may_read(&rows[i].actor) != rows[i].may_read ||
            rules_may_write(&rows[i].actor) != rows[i].may_write)
            fail_msg("%s", rows[i].name);
    }
}

static void changing_members(void **state)
{
    static const struct {
        const char *name;
        struct actor actor;
        enum member_role from, to;
        bool may;
    } rows[] = {
        {"member adds", ACTOR(ROOM_GROUP, ROLE_MEMBER, PROJECT_MEMBER), ROLE_NONE, ROLE_MEMBER,
         false},
        {"moderator adds", ACTOR(ROOM_GROUP, ROLE_MODERATOR, 0), ROLE_NONE, ROLE_MEMBER, false},
        {"admin adds", ACTOR(ROOM_GROUP, ROLE_ADMIN, 0), ROLE_NONE, ROLE_MEMBER, true},
        {"admin makes an admin", ACTOR(ROOM_GROUP, ROLE_ADMIN, 0), ROLE_MEMBER, ROLE_ADMIN,
         true},
        {"admin makes an owner", ACTOR(ROOM_GROUP, ROLE_ADMIN, 0), ROLE_MEMBER, ROLE_OWNER,
         false},
        {"admin removes an owner", ACTOR(ROOM_GROUP, ROLE_ADMIN, 0), ROLE_OWNER, ROLE_NONE,
         false},
        {"owner removes an owner", ACTOR(ROOM_GROUP, ROLE_OWNER, 0), ROLE_OWNER, ROLE_NONE,
         true},
        {"project admin", ACTOR(ROOM_GROUP, ROLE_NONE, PROJECT_ADMIN), ROLE_OWNER, ROLE_NONE,
         true},
        {"project moderator", ACTOR(ROOM_GROUP, ROLE_NONE, PROJECT_MODERATOR), 0, ROLE_GUEST,
         false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rules_may_change_member(&rows[i].actor, rows[i].from, rows[i].to) != rows[i].may)
            fail_msg("%s", rows[i].name);
    }
}

/* What the owners of a room have set decides who comes in by himself. */
static void join_policies(void **state)
{
    static const struct {
        enum room_type type;
        enum join_policy join;
        enum room_entry_answer stranger;
    } rows[] = {
        {ROOM_PUBLIC, JOIN_BY_TYPE, ENTER_JOIN}, {ROOM_GROUP, JOIN_BY_TYPE, ENTER_NO},
        {ROOM_PUBLIC, JOIN_INVITE, ENTER_NO},    {ROOM_PUBLIC, JOIN_CLOSED, ENTER_NO},
        {ROOM_GROUP, JOIN_OPEN, ENTER_JOIN},     {ROOM_ANNOUNCEMENT, JOIN_OPEN, ENTER_JOIN},
        {ROOM_DM, JOIN_OPEN, ENTER_NO},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct actor stranger = {.type = rows[i].type, .join = rows[i].join};
        struct actor member = {.type = rows[i].type, .join = rows[i].join, .role = ROLE_MEMBER};
        struct actor owner = {.type = rows[i].type, .join = rows[i].join, .role = ROLE_OWNER};
        struct actor admin = {
            .type = rows[i].type, .join = rows[i].join, .project_roles = PROJECT_ADMIN};
        bool is_closed = rows[i].join == JOIN_CLOSED;

        assert_int_equal(rules_enter(&stranger), rows[i].stranger);
        assert_int_equal(rules_enter(&member), ENTER_YES);
        assert_int_equal(rules_enter(&admin), ENTER_YES);
        assert_int_equal(rules_may_change_member(&owner, ROLE_NONE, ROLE_MEMBER), !is_closed);
        assert_true(rules_may_change_member(&owner, ROLE_MEMBER, ROLE_NONE));
        assert_true(rules_may_change_member(&admin, ROLE_NONE, ROLE_MEMBER));
    }
}

static void changing_rooms(void **state)
{
    static const struct {
        const char *name;
        struct actor actor;
        bool may_change, may_delete;
    } rows[] = {
        {"member", ACTOR(ROOM_GROUP, ROLE_MEMBER, PROJECT_MEMBER), false, false},
        {"moderator", ACTOR(ROOM_GROUP, ROLE_MODERATOR, 0), false, false},
        {"admin of the room", ACTOR(ROOM_GROUP, ROLE_ADMIN, 0), true, false},
        {"owner of the room", ACTOR(ROOM_DM, ROLE_OWNER, 0), true, true},
        {"moderator of the project", ACTOR(ROOM_GROUP, ROLE_NONE, PROJECT_MODERATOR), false,
         false},
        {"admin of the project", ACTOR(ROOM_DM, ROLE_NONE, PROJECT_ADMIN), true, true},
        {"stranger", ACTOR(ROOM_PUBLIC, ROLE_NONE, 0), false, false},
    };
    struct actor banned = {.type = ROOM_GROUP, .role = ROLE_OWNER, .is_banned = true};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CHECK_EQ(rules_may_change_room(&rows[i].actor), rows[i].may_change, rows[i].name);
        CHECK_EQ(rules_may_delete_room(&rows[i].actor), rows[i].may_delete, rows[i].name);
    }
    assert_false(rules_may_change_room(&banned));
    assert_false(rules_may_delete_room(&banned));
    assert_true(rules_may_become(ROOM_GROUP, ROOM_PUBLIC));
    assert_true(rules_may_become(ROOM_DM, ROOM_DM));
    assert_false(rules_may_become(ROOM_DM, ROOM_GROUP));
    assert_false(rules_may_become(ROOM_ANNOUNCEMENT, ROOM_DM));
}

static void words(void **state)
{
    (void)state;
    assert_int_equal(project_roles_parse(SLICE_LIT("")), 0);
    assert_int_equal(project_roles_parse(SLICE_LIT("member")), PROJECT_MEMBER);
    assert_int_equal(project_roles_parse(SLICE_LIT("owner,mod,x,,bot")),
                     PROJECT_OWNER | PROJECT_MODERATOR | PROJECT_BOT);
    assert_int_equal(room_type_parse(SLICE_LIT("announcement")), ROOM_ANNOUNCEMENT);
    assert_int_equal(room_type_parse(SLICE_LIT("none")), ROOM_TYPE_NONE);
    assert_string_equal(room_type_name(ROOM_DM), "dm");
    assert_int_equal(role_parse(SLICE_LIT("mod")), ROLE_MODERATOR);
    assert_int_equal(role_parse(SLICE_LIT("none")), ROLE_NONE);
    for (int r = ROLE_GUEST; r <= ROLE_OWNER; r++)
        assert_int_equal(role_parse(slice_str(role_name((enum member_role)r))), r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entering_and_writing),
        cmocka_unit_test(changing_members),
        cmocka_unit_test(join_policies),
        cmocka_unit_test(changing_rooms),
        cmocka_unit_test(words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
