/* test_socket_query.c - what the address of a socket asks for. */
#include "tests/support/test.h"

#include "common/wire/msg.h"
#include "gateway/edge/socket_query.h"

static const struct {
    const char *query;
    uint32_t flags, limit;
    uint64_t last_seq;
    const char *generation;
    bool native;
} addresses[] = {
    {"", 0, 50, 0, "", false},
    {"replay=connect&replayLimit=20", ATTACH_AS_REPLAY, 20, 0, "", false},
    {"replay=true", ATTACH_AS_REPLAY, 50, 0, "", false},
    {"replay=1&historyLimit=9", ATTACH_AS_REPLAY, 9, 0, "", false},
    {"replay=off", ATTACH_NO_REPLAY, 50, 0, "", false},
    {"replay=false&cache=1", ATTACH_NO_REPLAY | ATTACH_CACHE, 50, 0, "", false},
    {"replay=0&cache=on", ATTACH_NO_REPLAY | ATTACH_CACHE, 50, 0, "", false},
    {"replay=maybe&cache=off", 0, 50, 0, "", false},
    {"replayLimit=100000", 0, 500, 0, "", false},
    {"replayLimit=0", 0, 1, 0, "", false},
    {"replayLimit=x", 0, 50, 0, "", false},
    {"lastSeq=7&generation=g1", ATTACH_HAS_SEQ, 50, 7, "g1", false},
    {"lastSeq=0", ATTACH_HAS_SEQ, 50, 0, "", false},
    {"lastSeq=9007199254740991", ATTACH_HAS_SEQ, 50, SEQ_MAX, "", false},
    {"generation=g1", 0, 50, 0, "", false},
    {"v=1&userId=mallory&apiKey=fc_x", 0, 50, 0, "", true},
    {"v=2", 0, 50, 0, "", false},
};

static void addresses_are_read(void **state)
{
    static const char *const bad_cursors[] = {"lastSeq=-1",
                                              "lastSeq=",
                                              "lastSeq=x",
                                              "lastSeq=1.5",
                                              "lastSeq=9007199254740992",
                                              "lastSeq=99999999999999999999",
                                              "lastSeq=1&lastSeq=2",
                                              "lastSeq=%zz"};
    static const char *const bad[] = {"/ws/room/",    "/ws/room/a/b", "/ws/room/a%20b",
                                      "/ws/room/%zz", "/ws/user/a/b", "/ws/room",
                                      "/ws/user/",    "/ws/user/~a"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
        struct socket_query q;

        CHECK(
            socket_query_read(SLICE_LIT("/ws/room/lobb%79"), slice_str(addresses[i].query), &q),
            addresses[i].query);
        assert_string_equal(q.room, "lobby");
        CHECK_EQ(q.attach_flags, addresses[i].flags, addresses[i].query);
        CHECK_EQ(q.replay_limit, addresses[i].limit, addresses[i].query);
        CHECK_EQ(q.last_seq, addresses[i].last_seq, addresses[i].query);
        assert_string_equal(q.generation, addresses[i].generation);
        CHECK_EQ(q.native, addresses[i].native, addresses[i].query);
        CHECK(!q.bad_cursor && !q.many_rooms, addresses[i].query);
        socket_query_deinit(&q);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad_cursors); i++) {
        struct socket_query q;

        CHECK(socket_query_read(SLICE_LIT("/ws/room/r"), slice_str(bad_cursors[i]), &q),
              bad_cursors[i]);
        CHECK(q.bad_cursor, bad_cursors[i]);
        socket_query_deinit(&q);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct socket_query q;

        CHECK(!socket_query_read(slice_str(bad[i]), slice_of(NULL, 0), &q), bad[i]);
        socket_query_deinit(&q);
    }
}

#define A64 "0123456789012345678901234567890123456789012345678901234567890123"

static const struct {
    const char *json, *name, *want;
} infos[] = {
    {"", "", ""},
    {"", "Ada", "{\"name\":\"Ada\"}"},
    {"{}", "", ""},
    {"nonsense", "", ""},
    {"[1]", "", ""},
    {"{\"name\":\"Ada\",\"avatar_url\":\"https://x.example/"
     "a.png\",\"role\":\"host\",\"secret\":1}",
     "Bob", "{\"name\":\"Ada\",\"avatar_url\":\"https://x.example/a.png\",\"role\":\"host\"}"},
    {"{\"avatar_url\":\"javascript:alert(1)\"}", "", ""},
    {"{\"avatar_url\":\"data:text/html,x\"}", "", ""},
    {"{\"avatar_url\":\"HTTP://x/a\"}", "", "{\"avatar_url\":\"HTTP://x/a\"}"},
    {"{\"avatar_url\":\"https://x/\\\" onerror=\"}", "", ""},
    {"{\"avatar_url\":7,\"name\":[],\"role\":{}}", "", ""},
    {"{\"name\":\"" A64 "x\"}", "", "{\"name\":\"" A64 "\"}"},
    {"{\"name\":\"\\u00e9\\u00e9\"}", "", "{\"name\":\"\xc3\xa9\xc3\xa9\"}"},
    {"{\"role\":\"0123456789012345678901234567890\\u00e9x\"}", "",
     "{\"role\":\"0123456789012345678901234567890\xc3\xa9\"}"},
    {"{\"name\":\"   \"}", "", ""},
};

static void presence_keeps_what_is_harmless(void **state)
{
    AUTO_BUF long_info = BUF_INIT;
    AUTO_BUF none = BUF_INIT;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(infos); i++) {
        AUTO_BUF out = BUF_INIT;

        presence_info_clean(slice_str(infos[i].json), slice_str(infos[i].name), &out);
        CHECK_SLICE(buf_slice(&out), infos[i].want, infos[i].json);
    }
    buf_put_str(&long_info, "{\"name\":\"Ada\",\"x\":\"");
    for (int i = 0; i < PRESENCE_INFO_MAX_CHARS; i++)
        buf_put_char(&long_info, 'x');
    buf_put_str(&long_info, "\"}");
    presence_info_clean(buf_slice(&long_info), slice_of(NULL, 0), &none);
    assert_int_equal(none.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read),
        cmocka_unit_test(presence_keeps_what_is_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
