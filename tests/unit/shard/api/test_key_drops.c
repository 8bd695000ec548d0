/* test_key_drops.c - keys to be given up: told one by one, again after an outage, and not for
 * ever. */
#include <errno.h>

#include "tests/support/fake_env.h"
#include "tests/support/test.h"

#include "shard/api/key_drops.h"
#include "shard/limits.h"
#include "shard/store/sql.h"

/* A store that keeps the question until the test answers it. */
struct stub {
    struct store store;
    struct fake_env fake;
    struct key_drops *drops;
    size_t n_asked;
    char asked[64]; /* the keys of the last question */
    store_query_fn fn;
    void *arg;
    bool refuses;
};

static int stub_query(struct store *s, const struct store_query *q, store_query_fn fn,
                      void *arg)
{
    struct stub *stub = container_of(s, struct stub, store);

    if (stub->refuses)
        return -ENOTCONN;
    assert_null(stub->fn); /* one at a time */
    assert_int_equal(q->id, SQL_QUERY_key_drop);
    assert_int_equal(q->n_params, 4);
    (void)snprintf(stub->asked, sizeof(stub->asked), "%.*s %.*s %.*s %.*s",
                   (int)q->params[0].text.len, q->params[0].text.data,
                   (int)q->params[1].text.len, q->params[1].text.data,
                   (int)q->params[2].text.len, q->params[2].text.data,
                   (int)q->params[3].text.len, q->params[3].text.data);
    stub->n_asked++;
    stub->fn = fn;
    stub->arg = arg;
    return 0;
}

static const struct store_ops stub_ops = {.query = stub_query};

static void answer(struct stub *stub, enum store_result result)
{
    store_query_fn fn = stub->fn;

    assert_non_null(fn);
    stub->fn = NULL;
    fn(stub->arg, result, NULL, false);
}

static void add(struct stub *stub, const char *key)
{
    key_drops_add(stub->drops, SLICE_LIT("p"), SLICE_LIT("ada"), slice_str(key),
                  SLICE_LIT("own"));
}

static int setup(void **state)
{
    struct stub *stub = calloc(1, sizeof(*stub));

    assert_non_null(stub);
    stub->store.ops = &stub_ops;
    fake_env_init(&stub->fake, 1);
    assert_int_equal(key_drops_new(&stub->fake.env, &stub->store, &stub->drops), 0);
    *state = stub;
    return 0;
}

static int teardown(void **state)
{
    struct stub *stub = *state;

    key_drops_free(stub->drops);
    if (stub->fn)
        answer(stub, STORE_UNAVAILABLE); /* as a store that closes does */
    fake_env_deinit(&stub->fake);
    free(stub);
    return 0;
}

static void told_at_once_and_one_by_one(void **state)
{
    struct stub *stub = *state;

    add(stub, "k1");
    assert_string_equal(stub->asked, "p ada k1 own");
    add(stub, "k2");
    assert_int_equal(stub->n_asked, 1);
    answer(stub, STORE_OK);
    assert_string_equal(stub->asked, "p ada k2 own");
    answer(stub, STORE_OK);
    fake_env_advance(&stub->fake, 60000);
    assert_int_equal(stub->n_asked, 2);
}

static void told_again_after_an_outage(void **state)
{
    struct stub *stub = *state;

    add(stub, "k1");
    answer(stub, STORE_UNAVAILABLE);
    stub->refuses = true;
    fake_env_advance(&stub->fake, 5000);
    assert_int_equal(stub->n_asked, 1);
    stub->refuses = false;
    fake_env_advance(&stub->fake, 2 * KEY_DROPS_RETRY_MS);
    assert_int_equal(stub->n_asked, 2);
    assert_string_equal(stub->asked, "p ada k1 own");
    answer(stub, STORE_FAILED); /* another try would not change that */
    fake_env_advance(&stub->fake, 5000);
    assert_int_equal(stub->n_asked, 2);
}

static void what_counts_as_dead_is_left_to_others(void **state)
{
    struct stub *stub = *state;

    stub->refuses = true;
    add(stub, "old");
    fake_env_advance(&stub->fake, (uint64_t)IDEMPOTENCY_STALE_S * 1000 - 5000);
    add(stub, "young");
    fake_env_advance(&stub->fake, 8000);
    stub->refuses = false;
    fake_env_advance(&stub->fake, 2 * KEY_DROPS_RETRY_MS);
    assert_string_equal(stub->asked, "p ada young own");
}

static void no_more_than_fit(void **state)
{
    struct stub *stub = *state;

    for (size_t i = 0; i < KEY_DROPS_MAX + 10; i++)
        add(stub, "k");
    for (size_t i = 0; i < KEY_DROPS_MAX; i++)
        answer(stub, STORE_OK);
    assert_int_equal(stub->n_asked, KEY_DROPS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(told_at_once_and_one_by_one, setup, teardown),
        cmocka_unit_test_setup_teardown(told_again_after_an_outage, setup, teardown),
        cmocka_unit_test_setup_teardown(what_counts_as_dead_is_left_to_others, setup, teardown),
        cmocka_unit_test_setup_teardown(no_more_than_fit, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
