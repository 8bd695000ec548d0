/* test_lookup.c - the cache of what others know; projects and keys as they are read. */
#include "tests/support/test.h"

#include <errno.h>
#include <stdlib.h>

#include "gateway/auth/lookup.h"
#include "gateway/auth/project.h"

struct source {
    struct lookup_entry *asked[16];
    size_t n_asked;
    int refuse;
    int freed;
};

static int ask(void *owner, struct slice name, struct lookup_entry *entry)
{
    struct source *source = owner;

    (void)name;
    if (source->refuse)
        return source->refuse;
    source->asked[source->n_asked++] = entry;
    return 0;
}

static int *freed_counter;

static void free_value(void *value)
{
    (*freed_counter)++;
    free(value);
}

static const struct lookup_ops ops = {ask, free_value};
static const struct lookup_config config = {
    .max_found = 2, .max_missing = 2, .max_asking = 3, .found_ms = 5000, .missing_ms = 2000};

struct waiter {
    struct lookup_wait wait;
    int calls;
    enum lookup_result result;
    int value;
};

static void on_answer(void *arg, enum lookup_result result, void *value)
{
    struct waiter *w = arg;

    w->calls++;
    w->result = result;
    w->value = value ? *(int *)value : 0;
}

static void *boxed(int v)
{
    int *value = malloc(sizeof(*value));

    assert_non_null(value);
    *value = v;
    return value;
}

static int find(struct lookup *lookup, const char *name, uint64_t now_ms, struct waiter *w)
{
    void *value = NULL;
    int r;

    lookup_wait_init(&w->wait, on_answer, w);
    w->calls = 0;
    r = lookup_find(lookup, slice_str(name), now_ms, &w->wait, &value);
    w->value = r == LOOKUP_HAS ? *(int *)value : 0;
    return r;
}

static void all_who_ask_share_one_question(void **state)
{
    struct source source = {0};
    struct waiter a, b;
    AUTO(lookup_free) struct lookup *lookup = NULL; /* goes first: it knows the others */

    (void)state;
    freed_counter = &source.freed;
    assert_int_equal(lookup_new(&config, &ops, &source, &lookup), 0);
    assert_int_equal(find(lookup, "p", 100, &a), LOOKUP_WAIT);
    assert_int_equal(find(lookup, "p", 100, &b), LOOKUP_WAIT);
    assert_int_equal(source.n_asked, 1);
    lookup_answer(lookup, source.asked[0], LOOKUP_FOUND, boxed(7), 150);
    assert_int_equal(a.calls + b.calls, 2);
    assert_int_equal(a.value + b.value, 14);
    assert_int_equal(find(lookup, "p", 5149, &a), LOOKUP_HAS);
    assert_int_equal(a.value, 7);
    assert_int_equal(find(lookup, "p", 5150, &a), LOOKUP_WAIT); /* too old: asked again */
    lookup_wait_cancel(&a.wait);
    lookup_answer(lookup, source.asked[1], LOOKUP_FOUND, boxed(8), 5200);
    assert_int_equal(a.calls, 0);
    assert_int_equal(source.freed, 1);
    assert_int_equal(find(lookup, "p", 5200, &a), LOOKUP_HAS);
    assert_int_equal(a.value, 8);
}

static void failures_are_not_remembered(void **state)
{
    struct source source = {0};
    struct waiter a;
    AUTO(lookup_free) struct lookup *lookup = NULL; /* goes first: it knows the others */

    (void)state;
    freed_counter = &source.freed;
    assert_int_equal(lookup_new(&config, &ops, &source, &lookup), 0);
    assert_int_equal(find(lookup, "p", 0, &a), LOOKUP_WAIT);
    lookup_answer(lookup, source.asked[0], LOOKUP_FAILED, NULL, 10);
    assert_int_equal(a.calls, 1);
    assert_int_equal(a.result, LOOKUP_FAILED);
    assert_int_equal(lookup_count(lookup), 0);
    source.refuse = -ENOMEM;
    assert_int_equal(find(lookup, "p", 20, &a), -ENOMEM);
    assert_int_equal(lookup_count(lookup), 0);
    source.refuse = 0;
    /* What was known stays unknown to newcomers while it cannot be confirmed. */
    assert_int_equal(find(lookup, "p", 30, &a), LOOKUP_WAIT);
    lookup_answer(lookup, source.asked[1], LOOKUP_FOUND, boxed(7), 30);
    assert_int_equal(find(lookup, "p", 6000, &a), LOOKUP_WAIT);
    lookup_answer(lookup, source.asked[2], LOOKUP_FAILED, NULL, 6100);
    assert_int_equal(a.result, LOOKUP_FAILED);
    assert_int_equal(find(lookup, "p", 6100, &a), LOOKUP_WAIT);
}

static void made_up_names_push_no_real_ones_out(void **state)
{
    struct source source = {0};
    struct waiter a;
    char name[8];
    AUTO(lookup_free) struct lookup *lookup = NULL; /* goes first: it knows the others */

    (void)state;
    freed_counter = &source.freed;
    assert_int_equal(lookup_new(&config, &ops, &source, &lookup), 0);
    assert_int_equal(find(lookup, "real", 0, &a), LOOKUP_WAIT);
    lookup_answer(lookup, source.asked[0], LOOKUP_FOUND, boxed(1), 0);
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof(name), "x%d", i);
        assert_int_equal(find(lookup, name, 0, &a), LOOKUP_WAIT);
        lookup_answer(lookup, source.asked[source.n_asked - 1], LOOKUP_MISSING, NULL, 0);
        assert_int_equal(a.result, LOOKUP_MISSING);
    }
    assert_int_equal(lookup_count(lookup), 3);
    assert_int_equal(find(lookup, "real", 0, &a), LOOKUP_HAS);
    assert_int_equal(find(lookup, "x9", 1999, &a), LOOKUP_HAS_NOT);
    assert_int_equal(find(lookup, "x9", 2000, &a), LOOKUP_WAIT);
}

static void the_least_recently_used_goes(void **state)
{
    struct source source = {0};
    struct waiter a;
    AUTO(lookup_free) struct lookup *lookup = NULL; /* goes first: it knows the others */

    (void)state;
    freed_counter = &source.freed;
    assert_int_equal(lookup_new(&config, &ops, &source, &lookup), 0);
    for (int i = 0; i < 3; i++) {
        const char *const names[] = {"a", "b", "c"};

        assert_int_equal(find(lookup, names[i], 0, &a), LOOKUP_WAIT);
        lookup_answer(lookup, source.asked[i], LOOKUP_FOUND, boxed(i), 0);
        if (i == 1)
            assert_int_equal(find(lookup, "a", 0, &a), LOOKUP_HAS); /* now b is the oldest */
    }
    assert_int_equal(source.freed, 1);
    assert_int_equal(find(lookup, "a", 0, &a), LOOKUP_HAS);
    assert_int_equal(find(lookup, "c", 0, &a), LOOKUP_HAS);
    assert_int_equal(find(lookup, "b", 0, &a), LOOKUP_WAIT);
}

static void questions_under_way_are_bounded(void **state)
{
    struct source source = {0};
    struct waiter a[5];
    AUTO(lookup_free) struct lookup *lookup = NULL; /* goes first: it knows the others */

    (void)state;
    freed_counter = &source.freed;
    assert_int_equal(lookup_new(&config, &ops, &source, &lookup), 0);
    assert_int_equal(find(lookup, "1", 0, &a[0]), LOOKUP_WAIT);
    assert_int_equal(find(lookup, "2", 0, &a[1]), LOOKUP_WAIT);
    assert_int_equal(find(lookup, "3", 0, &a[2]), LOOKUP_WAIT);
    assert_int_equal(find(lookup, "4", 0, &a[3]), LOOKUP_BUSY);
    assert_int_equal(find(lookup, "3", 0, &a[4]), LOOKUP_WAIT);
    lookup_answer(lookup, source.asked[0], LOOKUP_MISSING, NULL, 0);
    assert_int_equal(find(lookup, "4", 0, &a[3]), LOOKUP_WAIT);
}

static void projects_are_read(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"project\":\"demo\",\"version\":1,\"secrets\":[]}",
        "{\"project\":\"de mo\",\"version\":1,\"secrets\":[{\"kid\":\"1\",\"key\":\"YWJj\"}]}",
        "{\"project\":\"demo\",\"version\":1,\"secrets\":[{\"kid\":\"1\",\"key\":\"YWJ\"}]}",
        "{\"project\":\"demo\",\"version\":1,\"secrets\":[{\"kid\":\"1\",\"key\":\"\"}]}",
        "{\"project\":\"demo\",\"version\":1,\"secrets\":[{\"kid\":\"1\"}]}",
        "{\"project\":\"p\",\"secrets\":[{\"key\":\"YWJj\"}],\"origins\":[1]}",
    };
    AUTO(project_free) struct project *project = NULL;
    struct api_key *key;

    (void)state;
    assert_int_equal(
        project_read(
            SLICE_LIT("{\"project\":\"demo\",\"version\":9,\"secrets\":[{\"kid\":\"2\",\"key\":"
                      "\"YWJj\"},"
                      "{\"kid\":\"1\",\"key\":\"ZGVm\"}],\"origins\":[\"https://a.example\"]}"),
            &project),
        0);
    assert_string_equal(project->id, "demo");
    assert_int_equal(project->version, 9);
    assert_int_equal(project->n_keys, 2);
    CHECK_SLICE(project->keys[0].bytes, "abc", "current");
    CHECK_SLICE(project->keys[1].bytes, "def", "previous");
    assert_int_equal(project->keys[0].alg, TOKEN_HS256);
    assert_true(project_allows_origin(project, SLICE_LIT("https://a.example")));
    assert_false(project_allows_origin(project, SLICE_LIT("https://b.example")));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct project *none = NULL;

        CHECK_EQ(project_read(slice_str(bad[i]), &none), -EBADMSG, bad[i]);
    }
    assert_int_equal(
        api_key_read(SLICE_LIT("{\"project\":\"demo\",\"keyId\":\"k1\",\"scopes\":[]}"), &key),
        0);
    assert_string_equal(key->project, "demo");
    api_key_free(key);
    assert_int_equal(api_key_read(SLICE_LIT("{\"keyId\":\"k1\"}"), &key), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_who_ask_share_one_question),
        cmocka_unit_test(failures_are_not_remembered),
        cmocka_unit_test(made_up_names_push_no_real_ones_out),
        cmocka_unit_test(the_least_recently_used_goes),
        cmocka_unit_test(questions_under_way_are_bounded),
        cmocka_unit_test(projects_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
