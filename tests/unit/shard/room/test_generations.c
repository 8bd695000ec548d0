/* test_generations.c - which cursors are good, and in what text generations travel. */
#include "shard/room/generations.h"

#include "tests/support/test.h"

static void texts_are_short_and_differ(void **state)
{
    char a[GENERATION_TEXT_MAX], b[GENERATION_TEXT_MAX];

    (void)state;
    CHECK_SLICE(generation_format(1, a), "g1", "first");
    CHECK_SLICE(generation_format(UINT64_MAX, a), "gffffffffffffffff", "largest");
    CHECK(!slice_eq(generation_format(16, a), generation_format(17, b)), "two");
}

static void cursors_of_this_generation_and_of_what_both_have_are_known(void **state)
{
    static const struct {
        const char *name;
        uint64_t forked_from;
        const char *generation;
        uint64_t seq;
        bool want;
    } rows[] = {
        {"ours", 0, "g2a", 99, true},
        {"none given", 0, "", 99, true},
        {"a strange one", 0, "g7", 0, false},
        {"a strange one of a room that has forked", 7, "g8", 0, false},
        {"junk", 7, "x", 0, false},
        {"before, within", 7, "g7", 9, true},
        {"before, the last in common", 7, "g7", 10, true},
        {"before, behind", 7, "g7", 11, false},
        {"ours, behind the fork", 7, "g2a", 11, true},
        {"longer", 7, "g77", 1, false},
        {"as long as none", 0, "g", 1, false},
        {"ours, between two pages", 0, "g2ap", 99, true},
        {"before, between two pages", 7, "g7p", 9, false},
        {"between two pages of none", 0, "p", 1, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct generations g;

        generations_set(&g, 42, rows[i].forked_from, 10);
        CHECK_SLICE(generations_current(&g), "g2a", rows[i].name);
        CHECK_SLICE(generations_partial(&g), "g2ap", rows[i].name);
        CHECK(generations_know(&g, slice_str(rows[i].generation), rows[i].seq) == rows[i].want,
              rows[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_short_and_differ),
        cmocka_unit_test(cursors_of_this_generation_and_of_what_both_have_are_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
