/* test_uri.c - escapes, query parameters, path segments, routes. */
#include "tests/support/test.h"

#include <errno.h>

#include "gateway/http/router.h"
#include "gateway/http/uri.h"

static const struct {
    const char *raw, *want; /* NULL: refused */
    bool form;
} escapes[] = {
    {"abc", "abc", false}, {"%41%6a", "Aj", false},       {"a+b", "a+b", false},
    {"a+b", "a b", true},  {"%C3%A9", "\xc3\xa9", false}, {"%", NULL, false},
    {"%4", NULL, false},   {"%4g", NULL, false},          {"%00", NULL, false},
    {"%0a", NULL, false},  {"%7F", NULL, false},          {"%C3", NULL, false},
    {"%ff", NULL, false},  {"%2525", "%25", false},       {"%ED%A0%80", NULL, false},
    {"", "", false},
};

static void escapes_are_decoded_strictly(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(escapes); i++) {
        AUTO_BUF out = BUF_INIT;
        int r;

        buf_put_str(&out, "keep");
        r = uri_decode(slice_str(escapes[i].raw), escapes[i].form, &out);
        CHECK_EQ(r, escapes[i].want ? 0 : -EINVAL, escapes[i].raw);
        CHECK_SLICE(slice_of(out.data + 4, out.len - 4), escapes[i].want ? escapes[i].want : "",
                    escapes[i].raw);
    }
}

static const struct {
    const char *query, *name, *want;
    int r;
} queries[] = {
    {"a=1&b=2", "b", "2", 0},
    {"a=1&b=2", "c", "", URI_ABSENT},
    {"", "a", "", URI_ABSENT},
    {"a", "a", "", 0},
    {"a=", "a", "", 0},
    {"a=1&a=1", "a", "", -EINVAL},
    {"a=%zz", "a", "", -EINVAL},
    {"x=%zz&a=1", "a", "1", 0},
    {"a=b=c", "a", "b=c", 0},
    {"&&a=1&", "a", "1", 0},
    {"ba=1", "a", "", URI_ABSENT},
    {"a=x%26b=y", "b", "", URI_ABSENT},
};

static void query_parameters_are_found_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
        AUTO_BUF out = BUF_INIT;

        CHECK_EQ(uri_query_get(slice_str(queries[i].query), queries[i].name, &out),
                 queries[i].r, queries[i].query);
        CHECK_SLICE(buf_slice(&out), queries[i].want, queries[i].query);
    }
}

static void secrets_do_not_reach_the_log(void **state)
{
    AUTO_BUF out = BUF_INIT;

    (void)state;
    uri_query_scrub(SLICE_LIT("userId=ada&token=eyJ.a.b&apiKey=fc_1&v=1&token=again"), &out);
    CHECK_SLICE(buf_slice(&out), "userId=ada&token=***&apiKey=***&v=1&token=***", "scrubbed");
}

static const struct route_pattern rows[] = {
    {HTTP_GET, "/rooms"},     {HTTP_POST, "/rooms"},
    {HTTP_GET, "/rooms/{}"},  {HTTP_DELETE, "/rooms/{}/members/{}"},
    {HTTP_POST, "/messages"}, {HTTP_GET, "/"},
};

static const struct {
    enum http_method method;
    const char *path;
    int r;
    size_t index;
    const char *first; /* parameter */
    const char *allow;
} routes[] = {
    {HTTP_GET, "/rooms", 0, 0, NULL, NULL},
    {HTTP_HEAD, "/rooms", 0, 0, NULL, NULL},
    {HTTP_POST, "/rooms", 0, 1, NULL, NULL},
    {HTTP_GET, "/rooms/a%20b", 0, 2, "a%20b", NULL},
    {HTTP_DELETE, "/rooms/r/members/u", 0, 3, "r", NULL},
    {HTTP_GET, "/", 0, 5, NULL, NULL},
    {HTTP_GET, "/rooms/", ROUTER_NO_PATH, 0, NULL, NULL},
    {HTTP_GET, "//rooms", ROUTER_NO_PATH, 0, NULL, NULL},
    {HTTP_GET, "/rooms/r/", ROUTER_NO_PATH, 0, NULL, NULL},
    {HTTP_GET, "/rooms/r/members", ROUTER_NO_PATH, 0, NULL, NULL},
    {HTTP_GET, "/Rooms", ROUTER_NO_PATH, 0, NULL, NULL},
    {HTTP_GET, "*", ROUTER_NO_PATH, 0, NULL, NULL},
    {HTTP_PUT, "/rooms", ROUTER_NO_METHOD, 0, NULL, "GET, HEAD, POST, OPTIONS"},
    {HTTP_GET, "/messages", ROUTER_NO_METHOD, 0, NULL, "POST, OPTIONS"},
    {HTTP_OPTIONS, "/messages", ROUTER_NO_METHOD, 0, NULL, "POST, OPTIONS"},
};

static void routes_are_matched_by_segment(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        struct route_match match = {0};
        char allow[64];

        CHECK_EQ(router_find(rows, ARRAY_LEN(rows), sizeof(rows[0]), routes[i].method,
                             slice_str(routes[i].path), &match),
                 routes[i].r, routes[i].path);
        CHECK_EQ(match.index, routes[i].index, routes[i].path);
        if (routes[i].first)
            CHECK_SLICE(match.parameters[0], routes[i].first, routes[i].path);
        if (routes[i].allow) {
            router_allow_text(match.allowed, allow);
            assert_string_equal(allow, routes[i].allow);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_are_decoded_strictly),
        cmocka_unit_test(query_parameters_are_found_once),
        cmocka_unit_test(secrets_do_not_reach_the_log),
        cmocka_unit_test(routes_are_matched_by_segment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
