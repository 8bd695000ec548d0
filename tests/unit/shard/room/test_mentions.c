/* test_mentions.c - who is named in a text. */
#include "tests/support/test.h"

#include <stdlib.h>

#include "shard/room/mentions.h"

static void join(char *out, size_t size, const struct mentions *m)
{
    size_t len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < m->n; i++)
        len += (size_t)snprintf(out + len, size - len, "%s%.*s", i ? "," : "",
                                (int)m->names[i].len, m->names[i].data);
}

static void names_of_members_and_groups(void **state)
{
    static const struct {
        const char *content, *visible_to, *want;
    } rows[] = {
        {"hello", "", ""},
        {"@ann", "", "ann"},
        {"hi @ann, @bob_2! @ann again", "", "ann,bob_2"},
        {"@zoe @ @@ann mail@bob_2", "", "ann,bob_2"},
        {"@annette @ann-lee", "", "ann"},
        {"@here @channel and @role:admin", "", "@here,@channel,@role:admin"},
        {"@role:mod @role:moderator @role:king @role:", "", "@role:moderator"},
        {"@hereabouts @channels", "", ""},
        {"@ann @bob_2 @channel", "cid,ann", "ann"},
        {"\xf0\x9f\x98\x80@ann\xc3\xa9", "", "ann"},
    };
    struct members members;
    struct mentions mentions;
    char text[1000];

    (void)state;
    members_init(&members);
    assert_int_equal(members_apply(&members, SLICE_LIT("ann"), ROLE_MEMBER, 1), 0);
    assert_int_equal(members_apply(&members, SLICE_LIT("bob_2"), ROLE_ADMIN, 1), 0);
    /* A member of that name does not take the word from the group. */
    assert_int_equal(members_apply(&members, SLICE_LIT("here"), ROLE_MEMBER, 1), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        mentions_find(&mentions, slice_str(rows[i].content), &members,
                      slice_str(rows[i].visible_to));
        join(text, sizeof(text), &mentions);
        if (strcmp(text, rows[i].want) != 0)
            fail_msg("%s: %s, want %s", rows[i].content, text, rows[i].want);
    }
    members_deinit(&members);
}

static void more_than_may_be_named_are_left_out(void **state)
{
    struct members members;
    struct mentions mentions;
    char text[40 * 8];
    size_t len = 0;

    (void)state;
    members_init(&members);
    for (int i = 0; i < 40; i++) {
        char name[8];
        int n = snprintf(name, sizeof(name), "u%d", i);

        assert_int_equal(members_apply(&members, slice_of(name, (size_t)n), ROLE_MEMBER, 1), 0);
        len += (size_t)snprintf(text + len, sizeof(text) - len, "@u%d ", i);
    }
    mentions_find(&mentions, slice_of(text, len), &members, slice_of(NULL, 0));
    assert_int_equal(mentions.n, MENTIONS_MAX);
    CHECK_SLICE(mentions.names[MENTIONS_MAX - 1], "u31", "the first ones count");
    members_deinit(&members);
}

static void groups_mean_their_members(void **state)
{
    (void)state;
    assert_true(mention_means(SLICE_LIT("@channel"), ROLE_GUEST));
    assert_true(mention_means(SLICE_LIT("@here"), ROLE_OWNER));
    assert_true(mention_means(SLICE_LIT("@role:admin"), ROLE_ADMIN));
    assert_false(mention_means(SLICE_LIT("@role:admin"), ROLE_OWNER));
    assert_false(mention_means(SLICE_LIT("ann"), ROLE_MEMBER));
    assert_true(mention_is_group(SLICE_LIT("@here")));
    assert_false(mention_is_group(SLICE_LIT("here")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_members_and_groups),
        cmocka_unit_test(more_than_may_be_named_are_left_out),
        cmocka_unit_test(groups_mean_their_members),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
