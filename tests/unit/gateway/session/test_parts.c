/*
 * test_parts.c - the small pure parts under the sessions: unsettled frames,
 * attach numbers, shared texts, the frame header; and what a socket costs.
 */
#include "tests/support/test.h"

#include "common/base/limits.h"
#include "gateway/session/attach.h"
#include "gateway/session/attach_table.h"
#include "gateway/session/intern.h"
#include "gateway/session/sessions.h"
#include "gateway/session/unacked.h"
#include "gateway/ws/ws_header.h"

static void push(struct unacked *u, const char *json, uint64_t now_ms)
{
    assert_int_equal(unacked_push(u, slice_str(json), now_ms), 0);
}

static void frames_are_numbered_once_and_rewound_for_a_new_link(void **state)
{
    AUTO(unacked_free) struct unacked *u = unacked_new();

    (void)state;
    push(u, "a", 1);
    push(u, "b", 2);
    push(u, "c", 3);
    unacked_sent(u, 1);
    unacked_sent(u, 2);
    CHECK_SLICE(unacked_json(u->next), "c", "next");
    unacked_rewind(u);
    assert_int_equal(u->next->n, 1);
    unacked_sent(u, 1);
    unacked_settle(u, 1);
    assert_int_equal(u->next->n, 2);
    unacked_settle(u, 100); /* never more than was sent */
    CHECK_SLICE(unacked_json(u->next), "c", "next");
    assert_int_equal(u->next->n, 0);
    assert_int_equal(u->count, 1);
    assert_int_equal(u->bytes, 1);
    unacked_sent(u, 3);
    assert_null(u->next);
    push(u, "d", 4);
    CHECK_SLICE(unacked_json(u->next), "d", "next");
    unacked_settle(u, 3);
    unacked_sent(u, 4);
    unacked_settle(u, 4);
    assert_true(unacked_is_empty(u));
    assert_null(u->next);
}

static void settling_what_is_next_moves_next(void **state)
{
    AUTO(unacked_free) struct unacked *u = unacked_new();

    (void)state;
    push(u, "a", 1);
    push(u, "b", 1);
    unacked_sent(u, 1);
    unacked_sent(u, 2);
    unacked_rewind(u);
    unacked_settle(u, 2); /* an answer to the first sending that came before the second */
    assert_true(unacked_is_empty(u));
    assert_null(u->next);
}

static void only_the_oldest_expires(void **state)
{
    AUTO(unacked_free) struct unacked *u = unacked_new();

    (void)state;
    push(u, "a", 10);
    push(u, "b", 20);
    assert_null(unacked_oldest(u, 10));
    CHECK_SLICE(unacked_json(unacked_oldest(u, 11)), "a", "oldest");
    unacked_drop_oldest(u);
    assert_null(unacked_oldest(u, 20));
    CHECK_SLICE(unacked_json(u->next), "b", "next");
}

static void numbers_are_never_given_again(void **state)
{
    struct attach_table table;
    struct attach *someone = (struct attach *)(void *)&table;
    uint64_t first, other, number;

    (void)state;
    attach_table_init(&table);
    assert_null(attach_table_find(&table, 0));
    assert_int_equal(attach_table_add(&table, someone, &first), 0);
    assert_int_not_equal(first, 0);
    assert_ptr_equal(attach_table_find(&table, first), someone);
    number = first;
    for (int i = 0; i < 1000; i++) {
        uint64_t last = number;

        attach_table_remove(&table, number);
        assert_null(attach_table_find(&table, number));
        assert_null(attach_table_find(&table, 0));
        assert_int_equal(attach_table_add(&table, someone, &number), 0);
        assert_true(number > last);
    }
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(attach_table_add(&table, someone, &other), 0);
        assert_true(other != number);
    }
    assert_null(attach_table_find(&table, first));
    assert_null(attach_table_find(&table, UINT64_MAX));
    attach_table_deinit(&table);
}

static void texts_are_shared_and_forgotten(void **state)
{
    struct intern_text *a, *b, *other;
    struct map map;

    (void)state;
    map_init(&map);
    a = intern_get(&map, SLICE_LIT("member"));
    b = intern_get(&map, SLICE_LIT("member"));
    other = intern_get(&map, SLICE_LIT(""));
    assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, other);
    CHECK_SLICE(intern_slice(b), "member", "text");
    CHECK_SLICE(intern_slice(other), "", "text");
    intern_put(a);
    assert_int_equal(map.count, 2);
    intern_put(b);
    intern_put(other);
    intern_put(NULL);
    assert_int_equal(map.count, 0);
    map_deinit(&map);
}

static void frame_headers_have_the_three_forms(void **state)
{
    static const struct {
        const char *name;
        size_t len, want_len;
        uint8_t want[WS_SERVER_HEADER_MAX];
    } cases[] = {
        {"empty", 0, 2, {0x81, 0}},
        {"largest short", 125, 2, {0x81, 125}},
        {"smallest medium", 126, 4, {0x81, 126, 0, 126}},
        {"largest medium", 65535, 4, {0x81, 126, 0xff, 0xff}},
        {"smallest long", 65536, 10, {0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t header[WS_SERVER_HEADER_MAX] = {0};

        CHECK_EQ(ws_server_header(header, WS_OP_TEXT, cases[i].len), cases[i].want_len,
                 cases[i].name);
        CHECK(memcmp(header, cases[i].want, cases[i].want_len) == 0, cases[i].name);
    }
}

static void an_event_is_one_field(void **state)
{
    static const struct {
        const char *json;
        uint64_t seq;
        const char *generation, *want;
    } cases[] = {
        {"{}", 0, "gab", "data: {}\n\n"},
        {"{\"a\":1}", 7, "", "id: 7\ndata: {\"a\":1}\n\n"},
        {"{}", 7, "g1", "id: 7\ndata: {}\n\n"},
        {"{}", 7, "gab", "id: 7-gab\ndata: {}\n\n"},
        {"{}", UINT64_MAX, "gffffffffffffffff",
         "id: 18446744073709551615-gffffffffffffffff\ndata: {}\n\n"},
        {"{}", 7, "a generation longer than any that can ever be", "id: 7\ndata: {}\n\n"},
        {"{\"a\":\n1,\r\n\"b\":2}", 0, "", "data: {\"a\": 1,  \"b\":2}\n\n"},
        {"", UINT64_MAX, "", "id: 18446744073709551615\ndata: \n\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct framing_id id = {cases[i].seq, slice_str(cases[i].generation)};
        AUTO(blob_unref)
        struct blob *blob = framing_build(FRAMING_EVENT_STREAM, slice_str(cases[i].json), id);

        CHECK_SLICE(blob_slice(blob), cases[i].want, cases[i].json);
    }
}

/* What every idle socket costs here; docs and the memory target of the gateway count on it. */
static void a_socket_in_a_room_stays_small(void **state)
{
    (void)state;
    assert_true(sizeof(struct session) + sizeof(struct attach) + sizeof(struct attach_slot) +
                    sizeof(struct attach *) <
                410);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_numbered_once_and_rewound_for_a_new_link),
        cmocka_unit_test(settling_what_is_next_moves_next),
        cmocka_unit_test(only_the_oldest_expires),
        cmocka_unit_test(numbers_are_never_given_again),
        cmocka_unit_test(texts_are_shared_and_forgotten),
        cmocka_unit_test(frame_headers_have_the_three_forms),
        cmocka_unit_test(an_event_is_one_field),
        cmocka_unit_test(a_socket_in_a_room_stays_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
