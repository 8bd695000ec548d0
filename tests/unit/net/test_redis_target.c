/* test_redis_target.c - redis:// URLs. */
#include <errno.h>

#include "common/net/redis.h"
#include "tests/support/test.h"

static const struct {
    const char *url;
    const char *address, *user, *password; /* address NULL: refused */
    unsigned database;
} cases[] = {
    {"redis://localhost", "localhost:6379", NULL, NULL, 0},
    {"redis://localhost/", "localhost:6379", NULL, NULL, 0},
    {"redis://10.0.0.1:7000/3", "10.0.0.1:7000", NULL, NULL, 3},
    {"redis://[::1]", "[::1]:6379", NULL, NULL, 0},
    {"redis://[::1]:7/65535", "[::1]:7", NULL, NULL, 65535},
    {"redis://:secret@h:1", "h:1", NULL, "secret", 0},
    {"redis://secret@h:1", "h:1", NULL, "secret", 0},
    {"redis://ann:p%40ss%3a%2F@h:1", "h:1", "ann", "p@ss:/", 0},
    {"redis://ann:a@b@h:1", "h:1", "ann", "a@b", 0},
    {"redis://:@h", "h:6379", NULL, NULL, 0},
    {"", NULL, NULL, NULL, 0},
    {"localhost:6379", NULL, NULL, NULL, 0},
    {"rediss://h", NULL, NULL, NULL, 0},
    {"redis://", NULL, NULL, NULL, 0},
    {"redis://:6379", NULL, NULL, NULL, 0},
    {"redis://h:0", NULL, NULL, NULL, 0},
    {"redis://h:x", NULL, NULL, NULL, 0},
    {"redis://h:70000", NULL, NULL, NULL, 0},
    {"redis://::1", NULL, NULL, NULL, 0},
    {"redis://h/x", NULL, NULL, NULL, 0},
    {"redis://h/65536", NULL, NULL, NULL, 0},
    {"redis://:p%4@h", NULL, NULL, NULL, 0},
    {"redis://:p%@h", NULL, NULL, NULL, 0},
    {"redis://:p%zz@h", NULL, NULL, NULL, 0},
    {"redis://:p%00@h", NULL, NULL, NULL, 0},
};

static void check_text(const char *got, const char *want, const char *name)
{
    CHECK(slice_eq(slice_str(got), slice_str(want)) && !got == !want, name);
}

static void urls_are_parsed_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct redis_target target = {0};
        char error[REDIS_ERROR_TEXT];
        int r = redis_target_parse(cases[i].url, &target, error);

        CHECK_EQ(r, cases[i].address ? 0 : -EINVAL, cases[i].url);
        if (r < 0) {
            CHECK(error[0] && !strstr(error, "secret"), cases[i].url);
            continue;
        }
        check_text(target.address, cases[i].address, cases[i].url);
        check_text(target.user, cases[i].user, cases[i].url);
        check_text(target.password, cases[i].password, cases[i].url);
        CHECK_EQ(target.database, cases[i].database, cases[i].url);
        redis_target_deinit(&target);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(urls_are_parsed_or_refused)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
