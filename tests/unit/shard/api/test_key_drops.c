/* test_key_drops.c - keys to be given up: told one by one, again after an outage, and not for
 * ever. */
#include <errno.h>

#include "tests/support/fake_env.h"
#include "tests/support/test.h"

#include "shard/api/key_drops.h"
#include "shard/limits.h"
#include "shard/store/sql.h"

/* A store that keeps the question until the test answers it. */
struct fake_store {
    struct store store;
    struct fake_env clock;
    struct key_drops *drops;
    size_t n_asked;
    char asked[64]; /* the keys of the last question */
    store_query_fn fn;
    void *arg;
    bool refuses;
};

static int fake_query(struct store *s, const struct store_query *q, store_query_fn fn,
                      void *arg)
{
    struct fake_store *fake = container_of(s, struct fake_store, store);

    if (fake->refuses)
        return -ENOTCONN;
    assert_null(fake->fn); /* one at a time */
    assert_int_equal(q->id, SQL_QUERY_key_drop);
    assert_int_equal(q->n_params, 4);
    (void)snprintf(fake->asked, sizeof(fake->asked), "%.*s %.*s %.*s %.*s",
                   (int)q->params[0].text.len, q->params[0].text.data,
                   (int)q->params[1].text.len, q->params[1].text.data,
                   (int)q->params[2].text.len, q->params[2].text.data,
                   (int)q->params[3].text.len, q->params[3].text.data);
    fake->n_asked++;
    fake->fn = fn;
    fake->arg = arg;
    return 0;
}

static const struct store_ops fake_ops = {.query = fake_query};

static void answer(struct fake_store *fake, enum store_result result)
{
    store_query_fn fn = fake->fn;

    assert_non_null(fn);
    fake->fn = NULL;
    fn(fake->arg, result, NULL, false);
}

static void add(struct fake_store *fake, const char *key)
{
    key_drops_add(fake->drops, SLICE_LIT("p"), SLICE_LIT("ada"), slice_str(key),
                  SLICE_LIT("own"));
}

static int setup(void **state)
{
    struct fake_store *fake = calloc(1, sizeof(*fake));

    assert_non_null(fake);
    fake->store.ops = &fake_ops;
    fake_env_init(&fake->clock, 1);
    assert_int_equal(key_drops_new(&fake->clock.env, &fake->store, &fake->drops), 0);
    *state = fake;
    return 0;
}

static int teardown(void **state)
{
    struct fake_store *fake = *state;

    key_drops_free(fake->drops);
    if (fake->fn)
        answer(fake, STORE_UNAVAILABLE); /* as a store that closes does */
    fake_env_deinit(&fake->clock);
    free(fake);
    return 0;
}

static void told_at_once_and_one_by_one(void **state)
{
    struct fake_store *fake = *state;

    add(fake, "k1");
    assert_string_equal(fake->asked, "p ada k1 own");
    add(fake, "k2");
    assert_int_equal(fake->n_asked, 1);
    answer(fake, STORE_OK);
    assert_string_equal(fake->asked, "p ada k2 own");
    answer(fake, STORE_OK);
    fake_env_advance(&fake->clock, 60000);
    assert_int_equal(fake->n_asked, 2);
}

static void told_again_after_an_outage(void **state)
{
    struct fake_store *fake = *state;

    add(fake, "k1");
    answer(fake, STORE_UNAVAILABLE);
    fake->refuses = true;
    fake_env_advance(&fake->clock, 5000);
    assert_int_equal(fake->n_asked, 1);
    fake->refuses = false;
    fake_env_advance(&fake->clock, 2 * KEY_DROPS_RETRY_MS);
    assert_int_equal(fake->n_asked, 2);
    assert_string_equal(fake->asked, "p ada k1 own");
    answer(fake, STORE_FAILED); /* another try would not change that */
    fake_env_advance(&fake->clock, 5000);
    assert_int_equal(fake->n_asked, 2);
}

static void what_counts_as_dead_is_left_to_others(void **state)
{
    struct fake_store *fake = *state;

    fake->refuses = true;
    add(fake, "old");
    fake_env_advance(&fake->clock, (uint64_t)IDEMPOTENCY_STALE_S * 1000 - 5000);
    add(fake, "young");
    fake_env_advance(&fake->clock, 8000);
    fake->refuses = false;
    fake_env_advance(&fake->clock, 2 * KEY_DROPS_RETRY_MS);
    assert_string_equal(fake->asked, "p ada young own");
}

static void no_more_than_fit(void **state)
{
    struct fake_store *fake = *state;

    for (size_t i = 0; i < KEY_DROPS_MAX + 10; i++)
        add(fake, "k");
    for (size_t i = 0; i < KEY_DROPS_MAX; i++)
        answer(fake, STORE_OK);
    assert_int_equal(fake->n_asked, KEY_DROPS_MAX);
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
