/* test_config.c - options from the environment: each type, ranges, secrets in files, what
 * errors say. */
#include "common/base/config.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/broken.h"
#include "tests/support/test.h"

struct values {
    char *name;
    char *level;
    int64_t limit;
    bool debug;
    uint64_t idle_ms;
    struct config_address listen, admin;
    struct config_secret key;
};

static const struct config_option options[] = {
    CONFIG_STRING(struct values, name, "FLUXY_NAME", "node", 1, 8, "What it is called"),
    CONFIG_WORD(struct values, level, "FLUXY_LEVEL", "info", "debug|info|warn",
                "How much it says"),
    CONFIG_INT(struct values, limit, "FLUXY_LIMIT", "100", -5, 1 << 20, "How many"),
    CONFIG_BOOL(struct values, debug, "FLUXY_DEBUG", "false", "Whether"),
    CONFIG_MS(struct values, idle_ms, "FLUXY_IDLE", "60s", 100, 86400000, "How long"),
    CONFIG_ADDRESS(struct values, listen, "FLUXY_LISTEN", "127.0.0.1:80", "Where"),
    CONFIG_ADDRESS(struct values, admin, "FLUXY_ADMIN", "", "Where else"),
    CONFIG_SECRET(struct values, key, "FLUXY_KEY", "", 4, 16, "The key"),
};
#define N ARRAY_LEN(options)

struct result {
    int r;
    struct values values;
    struct buf problems, warnings;
};

static struct result load(const char *const *env)
{
    struct result result = {0};
    char *copy[8];
    size_t n = 0;

    for (; env[n]; n++)
        copy[n] = slice_dup(slice_str(env[n]));
    copy[n] = NULL;
    result.r =
        config_load(options, N, &result.values, copy, &result.problems, &result.warnings);
    buf_put_char(&result.problems, '\0');
    buf_put_char(&result.warnings, '\0');
    while (n > 0)
        free(copy[--n]);
    return result;
}

static void drop(struct result *result)
{
    config_free(options, N, &result->values);
    buf_deinit(&result->problems);
    buf_deinit(&result->warnings);
}

static void an_address_may_be_switched_off(void **state)
{
    struct result result = load((const char *[]){"FLUXY_LISTEN=", NULL});

    (void)state;
    assert_int_equal(result.r, 0);
    assert_null(result.values.listen.host);
    drop(&result);
}

static void defaults(void **state)
{
    struct result result = load((const char *[]){"PATH=/bin", NULL});

    (void)state;
    assert_int_equal(result.r, 0);
    assert_string_equal(result.values.name, "node");
    assert_string_equal(result.values.level, "info");
    assert_int_equal(result.values.limit, 100);
    assert_false(result.values.debug);
    assert_int_equal(result.values.idle_ms, 60000);
    assert_string_equal(result.values.listen.host, "127.0.0.1");
    assert_int_equal(result.values.listen.port, 80);
    assert_null(result.values.admin.host);
    assert_null(result.values.key.data);
    assert_string_equal(result.problems.data, "");
    assert_string_equal(result.warnings.data, "");
    drop(&result);
    assert_null(result.values.name);
}

static void values_of_each_type(void **state)
{
    struct result result = load((const char *[]){"FLUXY_LIMIT=-5", "FLUXY_DEBUG=on",
                                                 "FLUXY_IDLE=2h", "FLUXY_LISTEN=[::1]:8443",
                                                 "FLUXY_ADMIN=:9", "FLUXY_KEY=hush", NULL});

    (void)state;
    assert_int_equal(result.r, 0);
    assert_int_equal(result.values.limit, -5);
    assert_true(result.values.debug);
    assert_int_equal(result.values.idle_ms, 7200000);
    assert_string_equal(result.values.listen.host, "::1");
    assert_int_equal(result.values.listen.port, 8443);
    assert_string_equal(result.values.admin.host, "");
    assert_string_equal(result.values.key.data, "hush");
    drop(&result);
    result = load((const char *[]){"FLUXY_LIMIT=1M", "FLUXY_IDLE=100", NULL});
    assert_int_equal(result.values.limit, 1 << 20);
    assert_int_equal(result.values.idle_ms, 100);
    drop(&result);
}

static void bad_values_name_the_variable(void **state)
{
    static const struct {
        const char *env, *problem;
    } cases[] = {
        {"FLUXY_NAME=", "FLUXY_NAME is \"\", but must be text of 1 to 8 bytes\n"},
        {"FLUXY_NAME=ninechars",
         "FLUXY_NAME is \"ninechars\", but must be text of 1 to 8 bytes\n"},
        {"FLUXY_LEVEL=inf", "FLUXY_LEVEL is \"inf\", but must be one of debug|info|warn\n"},
        {"FLUXY_LEVEL=info|warn",
         "FLUXY_LEVEL is \"info|warn\", but must be one of debug|info|warn\n"},
        {"FLUXY_LIMIT=-6",
         "FLUXY_LIMIT is \"-6\", but must be a whole number from -5 to 1048576\n"},
        {"FLUXY_LIMIT=2M",
         "FLUXY_LIMIT is \"2M\", but must be a whole number from -5 to 1048576\n"},
        {"FLUXY_LIMIT=1e3",
         "FLUXY_LIMIT is \"1e3\", but must be a whole number from -5 to 1048576\n"},
        {"FLUXY_LIMIT=",
         "FLUXY_LIMIT is \"\", but must be a whole number from -5 to 1048576\n"},
        {"FLUXY_LIMIT=99999999999999999999", "FLUXY_LIMIT is \"99999999999999999999\", but "
                                             "must be a whole number from -5 to 1048576\n"},
        {"FLUXY_LIMIT=9223372036854775807G", "FLUXY_LIMIT is \"9223372036854775807G\", but "
                                             "must be a whole number from -5 to 1048576\n"},
        {"FLUXY_DEBUG=maybe", "FLUXY_DEBUG is \"maybe\", but must be true or false\n"},
        {"FLUXY_IDLE=99ms", "FLUXY_IDLE is \"99ms\", but must be a duration such as 250ms, "
                            "10s, 5m, 2h (100ms to 86400000ms)\n"},
        {"FLUXY_IDLE=2w", "FLUXY_IDLE is \"2w\", but must be a duration such as 250ms, 10s, "
                          "5m, 2h (100ms to 86400000ms)\n"},
        {"FLUXY_LISTEN=80",
         "FLUXY_LISTEN is \"80\", but must be an address host:port, [v6]:port or :port\n"},
        {"FLUXY_LISTEN=::1:80",
         "FLUXY_LISTEN is \"::1:80\", but must be an address host:port, [v6]:port or :port\n"},
        {"FLUXY_LISTEN=a:65536",
         "FLUXY_LISTEN is \"a:65536\", but must be an address host:port, [v6]:port or :port\n"},
        {"FLUXY_KEY=abc", "FLUXY_KEY has 3 bytes, but must be a secret of 4 to 16 bytes, here "
                          "or in the file named by FLUXY_KEY_FILE\n"},
        {"FLUXY_KEY_FILE=/nonexistent/key",
         "FLUXY_KEY_FILE: cannot read /nonexistent/key: No such file or directory\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct result result = load((const char *[]){cases[i].env, NULL});

        CHECK_EQ(result.r, -EINVAL, cases[i].env);
        assert_string_equal(result.problems.data, cases[i].problem);
        drop(&result);
    }
}

static void all_problems_are_told_at_once(void **state)
{
    struct result result =
        load((const char *[]){"FLUXY_LEVEL=x", "FLUXY_DEBUG=x", "FLUXY_TYPO=1", NULL});

    (void)state;
    assert_int_equal(result.r, -EINVAL);
    assert_non_null(strstr(result.problems.data, "FLUXY_LEVEL"));
    assert_non_null(strstr(result.problems.data, "FLUXY_DEBUG"));
    assert_string_equal(result.warnings.data, "FLUXY_TYPO is not a variable of this program\n");
    drop(&result);
}

static void missing_value_is_a_problem(void **state)
{
    static const struct config_option must[] = {
        CONFIG_STRING(struct values, name, "FLUXY_NAME", NULL, 1, 8, "What it is called"),
    };
    char *env[] = {NULL};
    struct values values = {0};
    AUTO_BUF problems = BUF_INIT;
    AUTO_BUF warnings = BUF_INIT;

    (void)state;
    assert_int_equal(config_load(must, 1, &values, env, &problems, &warnings), -EINVAL);
    CHECK_SLICE(buf_slice(&problems), "FLUXY_NAME must be set: text of 1 to 8 bytes\n",
                "missing");
    config_free(must, 1, &values);
}

static void secret_from_a_file(void **state)
{
    char path[] = "/tmp/fluxy-test-XXXXXX";
    char env[64];
    int fd = mkstemp(path);
    struct result result;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "s3cret\n", 7), 7);
    close(fd);
    snprintf(env, sizeof(env), "FLUXY_KEY_FILE=%s", path);
    result = load((const char *[]){env, NULL});
    assert_int_equal(result.r, 0);
    assert_string_equal(result.values.key.data, "s3cret");
    assert_int_equal(result.values.key.len, 6);
    assert_string_equal(result.warnings.data, ""); /* the _FILE form is known */
    drop(&result);
    result = load((const char *[]){env, "FLUXY_KEY=other", NULL});
    assert_int_equal(result.r, -EINVAL);
    assert_string_equal(result.problems.data,
                        "FLUXY_KEY and FLUXY_KEY_FILE are both set; give one of them\n");
    drop(&result);
    unlink(path);
}

static void help_lists_every_option(void **state)
{
    AUTO_BUF out = BUF_INIT;

    (void)state;
    config_help(&out, "gateway", "Talks to clients.", options, N);
    buf_put_char(&out, '\0');
    for (size_t i = 0; i < N; i++) {
        CHECK(strstr(out.data, options[i].name), options[i].name);
        CHECK(strstr(out.data, options[i].help), options[i].name);
    }
    assert_non_null(strstr(out.data, "default: 60s"));
}

static void nothing_is_broken_in_a_build_that_was_not_asked_to_be(void **state)
{
    AUTO_BUF out = BUF_INIT;

    (void)state;
    assert_null(broken_name());
    config_help(&out, "gateway", "Talks to clients.", options, N);
    buf_put_char(&out, '\0');
    assert_null(strstr(out.data, "BROKEN"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(an_address_may_be_switched_off),
        cmocka_unit_test(values_of_each_type),
        cmocka_unit_test(bad_values_name_the_variable),
        cmocka_unit_test(all_problems_are_told_at_once),
        cmocka_unit_test(missing_value_is_a_problem),
        cmocka_unit_test(secret_from_a_file),
        cmocka_unit_test(help_lists_every_option),
        cmocka_unit_test(nothing_is_broken_in_a_build_that_was_not_asked_to_be),
    };

    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
