/* test_pg_url.c - connection URLs with one and several hosts. */
#include <errno.h>

#include "shard/store/pg_url.h"
#include "tests/support/test.h"

static const struct {
    const char *name, *text;
    int want;
    size_t n_hosts;
    struct {
        const char *host, *address, *port;
        bool resolve;
    } hosts[3];
} cases[] = {
    {"one name", "postgresql://u:p@db.example/x", 0, 1, {{"db.example", NULL, NULL, true}}},
    {"name and port", "postgres://db:6432/x", 0, 1, {{"db", NULL, "6432", true}}},
    {"an address", "postgresql://10.0.0.1:1/x", 0, 1, {{"10.0.0.1", NULL, "1", false}}},
    {"an IPv6 address", "postgresql://[::1]:1/x", 0, 1, {{"::1", NULL, "1", false}}},
    {"a socket", "postgresql:///x?host=/run/pg&port=7", 0, 1, {{"/run/pg", NULL, "7", false}}},
    {"nothing said", "postgresql:///x", 0, 1, {{NULL, NULL, NULL, false}}},
    {"three hosts",
     "postgresql://a:1,10.0.0.2:2,c:3/x",
     0,
     3,
     {{"a", NULL, "1", true}, {"10.0.0.2", NULL, "2", false}, {"c", NULL, "3", true}}},
    {"one port for all",
     "host=a,b port=9 dbname=x",
     0,
     2,
     {{"a", NULL, "9", true}, {"b", NULL, "9", true}}},
    {"address given",
     "host=a,b hostaddr=10.0.0.1,10.0.0.2 dbname=x",
     0,
     2,
     {{"a", "10.0.0.1", NULL, false}, {"b", "10.0.0.2", NULL, false}}},
    {"lists that do not match", "host=a,b port=1,2,3", -EINVAL, 0, {{0}}},
    {"no URL", "http://a/", -EINVAL, 0, {{0}}},
    {"unknown option", "postgresql://a/x?colour=red", -EINVAL, 0, {{0}}},
};

static void check_text(const char *got, const char *want, const char *name)
{
    if (!got || !want)
        CHECK(got == want, name);
    else
        CHECK_SLICE(slice_str(got), want, name);
}

static void urls_are_taken_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct pg_url url = {0};

        CHECK_EQ(pg_url_parse(cases[i].text, &url), cases[i].want, cases[i].name);
        CHECK_EQ(url.n_hosts, cases[i].n_hosts, cases[i].name);
        for (size_t k = 0; k < url.n_hosts; k++) {
            check_text(url.hosts[k].host, cases[i].hosts[k].host, cases[i].name);
            check_text(url.hosts[k].address, cases[i].hosts[k].address, cases[i].name);
            check_text(url.hosts[k].port, cases[i].hosts[k].port, cases[i].name);
            CHECK_EQ(pg_host_needs_resolving(&url.hosts[k]), cases[i].hosts[k].resolve,
                     cases[i].name);
        }
        for (size_t k = 0; k < url.n_options; k++)
            CHECK(strncmp(url.keys[k], "host", 4) != 0 && strcmp(url.keys[k], "port") != 0,
                  cases[i].name);
        pg_url_deinit(&url);
    }
}

static void other_options_are_kept(void **state)
{
    struct pg_url url;
    size_t found = 0;

    (void)state;
    assert_int_equal(pg_url_parse("postgresql://u:s3@h/db?sslmode=verify-full", &url), 0);
    for (size_t k = 0; k < url.n_options; k++) {
        found += strcmp(url.keys[k], "user") == 0 && strcmp(url.values[k], "u") == 0;
        found += strcmp(url.keys[k], "password") == 0 && strcmp(url.values[k], "s3") == 0;
        found += strcmp(url.keys[k], "dbname") == 0 && strcmp(url.values[k], "db") == 0;
        found +=
            strcmp(url.keys[k], "sslmode") == 0 && strcmp(url.values[k], "verify-full") == 0;
    }
    assert_int_equal(found, 4);
    pg_url_deinit(&url);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_are_taken_apart),
        cmocka_unit_test(other_options_are_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
