/* test_turnout.c - what is told about who is here, and how often. */
#include "shard/limits.h"
#include "shard/room/turnout.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/test.h"

#define START UINT64_C(1000000)

static const struct turnout_size small = {5, 6}, large = {PRESENCE_LIST_MAX + 1, 4000};

static struct slice user_of(unsigned i)
{
    static char names[256][16];
    char *name = names[i % 256];

    return slice_of(name, (size_t)snprintf(name, sizeof(names[0]), "u%u", i));
}

static void joins(struct turnout *t, unsigned i, uint64_t now_ms)
{
    turnout_join(t, user_of(i), SLICE_LIT("{}"), SLICE_LIT("{joined}"), NULL);
    turnout_touch(t, now_ms);
}

static void leaves(struct turnout *t, unsigned i, uint64_t now_ms)
{
    turnout_leave(t, user_of(i), SLICE_LIT("{left}"));
    turnout_touch(t, now_ms);
}

/* Sends all that may be sent, as the host does; how many frames. */
static unsigned pump(struct turnout *t, struct turnout_size size, uint64_t now_ms,
                     unsigned *ret_notices, uint64_t *ret_wait_ms)
{
    enum turnout_step step;
    unsigned frames = 0;

    while ((step = turnout_next(t, size, now_ms, ret_wait_ms)) != TURNOUT_WAIT) {
        if (step == TURNOUT_NOTICE) {
            free(turnout_take_notice(t));
            turnout_account(t, 1, now_ms);
            frames++;
            (*ret_notices)++;
        } else {
            unsigned n = turnout_is_listed(size.n_users) ? 2 : 3;

            turnout_published(t, n, now_ms);
            frames += n;
        }
    }
    return frames;
}

static void a_newcomer_in_a_quiet_room_is_told_at_once(void **state)
{
    struct turnout t;
    unsigned notices = 0;
    uint64_t wait_ms;

    (void)state;
    turnout_init(&t);
    assert_int_equal(pump(&t, small, START, &notices, &wait_ms), 0);
    assert_int_equal(wait_ms, 0);
    joins(&t, 1, START);
    assert_int_equal(pump(&t, small, START, &notices, &wait_ms), 3);
    assert_int_equal(notices, 1);
    assert_true(turnout_is_quiet(&t));
    turnout_deinit(&t);
}

/* Whatever happens, no window has more frames than it may have, and in the end all is told. */
static void no_window_has_more_frames_than_it_may_have(void **state)
{
    enum { SECONDS = 20, STEP_MS = 10 };

    (void)state;
    for (unsigned every_ms = STEP_MS; every_ms <= 2560; every_ms *= 2) {
        for (unsigned is_large = 0; is_large < 2; is_large++) {
            struct turnout_size size = is_large ? large : small;
            uint64_t sent_ms[1000] = {0}, wait_ms = 0;
            unsigned n = 0, notices = 0, joined = 0;
            struct turnout t;

            turnout_init(&t);
            for (unsigned ms = 0; ms < (SECONDS + 20) * 1000; ms += STEP_MS) {
                unsigned frames;

                if (ms < SECONDS * 1000 && ms % every_ms == 0) {
                    joins(&t, joined++, START + ms);
                    if (is_large)
                        (void)turnout_drop_notices(&t);
                }
                frames = pump(&t, size, START + ms, &notices, &wait_ms);
                while (frames-- > 0)
                    sent_ms[n++] = START + ms;
            }
            assert_true(turnout_is_quiet(&t));
            assert_int_equal(wait_ms, 0);
            assert_true(n > 0);
            for (unsigned i = PRESENCE_FRAMES; i < n; i++)
                assert_true(sent_ms[i] - sent_ms[i - PRESENCE_FRAMES] >= PRESENCE_WINDOW_MS);
            if (!is_large)
                assert_int_equal(notices + t.left_out, joined);
            if (!is_large && every_ms >= 1280) /* three frames each */
                assert_int_equal(t.left_out, 0);
            turnout_deinit(&t);
        }
    }
}

static void a_stream_of_notices_does_not_keep_presence_off(void **state)
{
    struct turnout t;
    unsigned notices = 0;
    uint64_t wait_ms, longest = 0;

    (void)state;
    turnout_init(&t);
    for (unsigned ms = 0; ms < 20000; ms += 20) {
        joins(&t, ms, START + ms);
        pump(&t, small, START + ms, &notices, &wait_ms);
        if (t.is_due)
            longest = MAX(longest, START + ms - t.due_since_ms);
    }
    assert_in_range(longest, 0, 2 * PRESENCE_WINDOW_MS);
    assert_true(notices > 10);
    assert_in_range(t.n_notices, 0, PRESENCE_NOTICES_MAX);
    assert_true(t.left_out > 0);
    turnout_deinit(&t);
}

static void large_rooms_hear_of_it_less_often(void **state)
{
    static const struct {
        const char *name;
        struct turnout_size size;
        uint64_t pause_ms;
    } rows[] = {
        {"ten", {10, 10}, PRESENCE_WINDOW_MS / 10},
        {"as many as are listed", {200, 200}, 1000},
        {"one more", {201, 201}, PRESENCE_WINDOW_MS},
        {"four thousand", {4000, 4000}, 2000},
        {"five thousand", {5000, 5000}, 2500},
        {"a hundred thousand", {100000, 100000}, PRESENCE_INTERVAL_MAX_MS},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct turnout t;
        unsigned notices = 0, times = 0;
        uint64_t wait_ms = 0, first = 0, last = 0;

        turnout_init(&t);
        for (unsigned ms = 0; ms < 30000; ms += 5) {
            turnout_touch(&t, START + ms);
            if (pump(&t, rows[i].size, START + ms, &notices, &wait_ms) == 0)
                continue;
            times++;
            first = first ? first : START + ms;
            last = START + ms;
        }
        if (times < 2 || (last - first) / (times - 1) + 5 < rows[i].pause_ms ||
            (rows[i].pause_ms >= 1000 &&
             (last - first) / (times - 1) > rows[i].pause_ms + PRESENCE_WINDOW_MS))
            fail_msg("%s: %u times in %llu ms", rows[i].name, times,
                     (unsigned long long)(last - first));
        turnout_deinit(&t);
    }
}

static void who_is_back_before_it_was_told_has_never_left(void **state)
{
    struct turnout t;
    unsigned notices = 0;
    uint64_t wait_ms;

    (void)state;
    turnout_init(&t);
    leaves(&t, 1, START);
    joins(&t, 1, START);
    joins(&t, 2, START);
    leaves(&t, 2, START);
    assert_int_equal(t.n_notices, 0);
    assert_int_equal(t.n_changes, 0);
    /* Told, the contrary is news. */
    joins(&t, 3, START);
    pump(&t, small, START, &notices, &wait_ms);
    leaves(&t, 3, START + 5000);
    pump(&t, small, START + 5000, &notices, &wait_ms);
    assert_int_equal(notices, 2);
    turnout_deinit(&t);
}

static void who_was_here_before_is_no_news(void **state)
{
    struct turnout t;

    (void)state;
    turnout_init(&t);
    joins(&t, 1, START);
    leaves(&t, 2, START);
    turnout_was_here(&t, user_of(1));
    turnout_was_here(&t, user_of(2));
    turnout_was_here(&t, user_of(3));
    assert_int_equal(t.n_notices, 1);
    assert_int_equal(t.n_changes, 1);
    assert_false(list_first(&t.notices, struct turnout_notice, link)->is_join);
    turnout_deinit(&t);
}

static void changes_are_bounded_in_number_and_bytes(void **state)
{
    static char info[PRESENCE_DELTA_BYTES];
    struct turnout t;

    (void)state;
    turnout_init(&t);
    for (unsigned i = 0; i < PRESENCE_DELTA_USERS; i++)
        joins(&t, i, START);
    assert_int_equal(t.n_changes, PRESENCE_DELTA_USERS);
    assert_false(t.is_incomplete);
    joins(&t, PRESENCE_DELTA_USERS, START);
    assert_true(t.is_incomplete);
    assert_int_equal(t.n_changes, 0);
    assert_int_equal(t.change_bytes, 0);
    leaves(&t, 3, START);
    assert_int_equal(t.n_changes, 0);
    turnout_published(&t, 3, START);
    assert_false(t.is_incomplete);

    memset(info, 'x', sizeof(info));
    turnout_join(&t, user_of(1), slice_of(info, sizeof(info) - 100), slice_of(NULL, 0), NULL);
    assert_int_equal(t.n_changes, 1);
    turnout_join(&t, user_of(2), slice_of(info, 101), slice_of(NULL, 0), NULL);
    assert_true(t.is_incomplete);
    turnout_deinit(&t);
}

static void a_socket_that_is_gone_is_not_left_out_any_more(void **state)
{
    struct turnout t;
    int socket, other;

    (void)state;
    turnout_init(&t);
    turnout_join(&t, user_of(1), SLICE_LIT("{}"), SLICE_LIT("{joined}"), &socket);
    turnout_join(&t, user_of(2), SLICE_LIT("{}"), SLICE_LIT("{joined}"), &other);
    turnout_forget_socket(&t, &socket);
    assert_null(list_first(&t.notices, struct turnout_notice, link)->socket);
    assert_ptr_equal(list_last(&t.notices, struct turnout_notice, link)->socket, &other);
    turnout_deinit(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_newcomer_in_a_quiet_room_is_told_at_once),
        cmocka_unit_test(no_window_has_more_frames_than_it_may_have),
        cmocka_unit_test(a_stream_of_notices_does_not_keep_presence_off),
        cmocka_unit_test(large_rooms_hear_of_it_less_often),
        cmocka_unit_test(who_is_back_before_it_was_told_has_never_left),
        cmocka_unit_test(who_was_here_before_is_no_news),
        cmocka_unit_test(changes_are_bounded_in_number_and_bytes),
        cmocka_unit_test(a_socket_that_is_gone_is_not_left_out_any_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
