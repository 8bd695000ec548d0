/* test_frames.c - the exact JSON of every frame. */
#include <stdio.h>

#include "tests/support/test.h"

#include "common/base/limits.h"
#include "shard/room/frames.h"

#define ROOM SLICE_LIT("lobby")
#define T0 INT64_C(1767225600000000) /* 2026-01-01T00:00:00Z */

static struct entry *message(uint64_t seq)
{
    struct entry e = {
        .kind = ENTRY_MESSAGE,
        .seq = seq,
        .updated_seq = seq,
        .id = 100 + (int64_t)seq,
        .created_us = T0 + (int64_t)seq * 1000,
        .version = 1,
        .user = SLICE_LIT("ann"),
        .client_id = SLICE_LIT("c1"),
        .content = SLICE_LIT("say \"hi\""),
    };

    return entry_new(&e);
}

static struct entry *joined(uint64_t seq)
{
    struct entry e = {
        .kind = ENTRY_MEMBERSHIP,
        .seq = seq,
        .updated_seq = seq,
        .id = 100 + (int64_t)seq,
        .created_us = T0,
        .version = 1,
        .user = SLICE_LIT("bob"),
        .extra = SLICE_LIT("{\"change\":\"added\",\"role\":\"member\"}"),
    };

    return entry_new(&e);
}

static void check(struct buf *out, const char *want)
{
    assert_false(buf_failed(out));
    buf_put_char(out, 0);
    assert_string_equal(out->data, want);
    buf_clear(out);
}

static void live_frames(void **state)
{
    AUTO(entry_unref) struct entry *m = message(3);
    AUTO(entry_unref) struct entry *j = joined(4);
    AUTO_BUF out = BUF_INIT;

    (void)state;
    frame_entry(&out, ROOM, m);
    check(
        &out,
        "{\"type\":\"message\",\"id\":103,\"roomId\":\"lobby\",\"userId\":\"ann\",\"senderId\":"
        "\"ann\",\"content\":\"say \\\"hi\\\"\",\"createdAt\":\"2026-01-01T00:00:00.003Z\","
        "\"parentId\":null,\"preview\":null,\"seq\":3,\"version\":1,\"kind\":\"text\","
        "\"visibility\":\"room\",\"clientMessageId\":\"c1\",\"mentions\":[],\"attachments\":"
        "[]}");
    frame_entry(&out, ROOM, j);
    check(
        &out,
        "{\"type\":\"membership\",\"roomId\":\"lobby\",\"userId\":\"bob\",\"seq\":4,\"change\":"
        "\"added\",\"role\":\"member\"}");
    frame_message_body(&out, ROOM, m);
    check(
        &out,
        "{\"message\":{\"id\":103,\"roomId\":\"lobby\",\"userId\":\"ann\",\"senderId\":\"ann\","
        "\"content\":\"say \\\"hi\\\"\",\"createdAt\":\"2026-01-01T00:00:00.003Z\","
        "\"parentId\":null,\"preview\":null,\"seq\":3,\"version\":1,\"kind\":\"text\","
        "\"visibility\":\"room\",\"clientMessageId\":\"c1\",\"mentions\":[],\"attachments\":"
        "[]}}");
    frame_cache_snapshot(&out, ROOM, j, T0);
    check(
        &out,
        "{\"type\":\"cache_snapshot\",\"roomId\":\"lobby\",\"event\":{\"type\":\"membership\","
        "\"roomId\":\"lobby\",\"userId\":\"bob\",\"seq\":4,\"change\":\"added\",\"role\":"
        "\"member\"},\"cachedAt\":\"2026-01-01T00:00:00.000Z\"}");
}

static void stored_extra_replaces_the_empty_lists(void **state)
{
    struct entry e = {.kind = ENTRY_MESSAGE,
                      .seq = 1,
                      .updated_seq = 1,
                      .id = 1,
                      .created_us = T0,
                      .version = 1,
                      .parent_id = 9,
                      .user = SLICE_LIT("a"),
                      .content = SLICE_LIT("x"),
                      .extra = SLICE_LIT("{ \"mentions\": [\"b\"], \"attachments\": [] }")};
    AUTO_BUF out = BUF_INIT;

    (void)state;
    frame_entry(&out, ROOM, &e);
    check(&out,
          "{\"type\":\"message\",\"id\":1,\"roomId\":\"lobby\",\"userId\":\"a\",\"senderId\":"
          "\"a\","
          "\"content\":\"x\",\"createdAt\":\"2026-01-01T00:00:00.000Z\",\"parentId\":9,"
          "\"preview\":null,\"seq\":1,\"version\":1,\"kind\":\"text\",\"visibility\":\"room\","
          "\"mentions\": [\"b\"], \"attachments\": []}");
}

static void answers(void **state)
{
    AUTO(entry_unref) struct entry *m = message(3);
    struct frame_ref ref = {SLICE_LIT("c1"), SLICE_LIT("f1")}, none = {0};
    AUTO_BUF out = BUF_INIT;

    (void)state;
    frame_ack(&out, ROOM, &ref, m, m->seq, false);
    check(
        &out,
        "{\"type\":\"ack\",\"roomId\":\"lobby\",\"clientMessageId\":\"c1\",\"frameId\":\"f1\","
        "\"id\":103,\"seq\":3,\"createdAt\":\"2026-01-01T00:00:00.003Z\",\"duplicate\":false,"
        "\"durability\":\"commit\"}");
    frame_error(&out, ROOM, &ref, ERROR_rate_limit_exceeded, SLICE_LIT("retry in 3s"), 3000);
    check(
        &out,
        "{\"type\":\"error\",\"code\":\"rate_limit_exceeded\",\"message\":"
        "\"rate_limit_exceeded: retry in 3s\",\"roomId\":\"lobby\",\"clientMessageId\":\"c1\","
        "\"frameId\":\"f1\",\"retryable\":true,\"retryAfterMs\":3000}");
    frame_error(&out, ROOM, &none, ERROR_forbidden, none.client_id, 0);
    check(&out,
          "{\"type\":\"error\",\"code\":\"forbidden\",\"message\":\"forbidden\",\"roomId\":"
          "\"lobby\",\"retryable\":false}");
}

static void pages(void **state)
{
    AUTO(entry_unref) struct entry *j = joined(4);
    struct frame_page page = {.room = ROOM,
                              .generation = SLICE_LIT("g1"),
                              .entries = &j,
                              .n_entries = 1,
                              .current_seq = 9,
                              .has_more = true};
    struct frame_range range = {.from_seq = 3, .to_seq = 4, .is_native = true};
    AUTO_BUF out = BUF_INIT;

    (void)state;
    frame_snapshot(&out, &page, false);
    check(&out, "{\"type\":\"history\",\"roomId\":\"lobby\",\"messages\":[],\"reactions\":{},"
                "\"currentSeq\":9,\"hasMore\":true,\"generation\":\"g1\"}");
    frame_replay(&out, &page, &range);
    check(&out,
          "{\"type\":\"replay\",\"roomId\":\"lobby\",\"events\":[{\"seq\":4,\"eventType\":"
          "\"membership\",\"createdAt\":\"2026-01-01T00:00:00.000Z\",\"payload\":{\"type\":"
          "\"membership\",\"roomId\":\"lobby\",\"userId\":"
          "\"bob\",\"seq\":4,\"change\":\"added\",\"role\":\"member\"}}],\"messages\":[],"
          "\"reactions\":{},\"fromSeq\":3,\"toSeq\":4,\"lastSeq\":4,\"currentSeq\":9,\"more\":"
          "true,\"reset\":false,\"generation\":\"g1\"}");
    range = (struct frame_range){.from_seq = 9, .to_seq = 9, .is_reset = true};
    frame_replay(&out, &page, &range);
    check(
        &out,
        "{\"type\":\"replay\",\"roomId\":\"lobby\",\"events\":[],\"messages\":[],\"reactions\":"
        "{},\"fromSeq\":9,\"toSeq\":9,\"lastSeq\":9,\"currentSeq\":9,\"more\":false,\"reset\":"
        "true,\"hasMore\":true,\"generation\":\"g1\"}");
}

static void a_replayed_message_comes_as_event_and_as_row(void **state)
{
    static const char row[] =
        "{\"id\":103,\"roomId\":\"lobby\",\"userId\":\"ann\",\"senderId\":\"ann\",\"content\":"
        "\"say "
        "\\\"hi\\\"\",\"createdAt\":\"2026-01-01T00:00:00.003Z\",\"parentId\":null,"
        "\"editedAt\":"
        "null,\"deletedAt\":null,\"expiresAt\":null,\"updatedSeq\":3,\"seq\":3,\"version\":1,"
        "\"kind\":"
        "\"text\",\"visibility\":\"room\",\"clientMessageId\":\"c1\",\"mentions\":[],"
        "\"attachments\":"
        "[]}";
    AUTO(entry_unref) struct entry *m = message(3);
    struct frame_page page = {.room = ROOM,
                              .generation = SLICE_LIT("g1"),
                              .entries = &m,
                              .n_entries = 1,
                              .current_seq = 3};
    struct frame_range range = {.from_seq = 2, .to_seq = 3};
    AUTO_BUF out = BUF_INIT;
    AUTO_BUF want = BUF_INIT;

    (void)state;
    frame_replay(&out, &page, &range);
    buf_printf(
        &want,
        "{\"type\":\"replay\",\"roomId\":\"lobby\",\"events\":[{\"seq\":3,\"messageId\":103,"
        "\"eventType\":\"create\",\"version\":1,\"createdAt\":\"2026-01-01T00:00:00.003Z\","
        "\"payload\":%s}],\"messages\":[%s],\"reactions\":{},\"fromSeq\":2,\"toSeq\":3,"
        "\"lastSeq\":3,\"currentSeq\":3,\"more\":false,\"reset\":false,\"generation\":\"g1\"}",
        row, row);
    buf_put_char(&want, 0);
    check(&out, want.data);
    buf_clear(&want);
    frame_history_body(&out, &page);
    buf_printf(&want,
               "{\"messages\":[%s],\"reactions\":{},\"hasMore\":false,\"currentSeq\":3,"
               "\"generation\":\"g1\"}",
               row);
    buf_put_char(&want, 0);
    check(&out, want.data);
}

static void presence_frames(void **state)
{
    struct roster roster;
    char user[16];
    AUTO_BUF out = BUF_INIT;

    (void)state;
    roster_init(&roster);
    assert_non_null(roster_add(&roster, SLICE_LIT("ann"), SLICE_LIT("{\"name\":\"A\"}")));
    assert_non_null(roster_add(&roster, SLICE_LIT("ann"), SLICE_LIT("{}")));
    assert_non_null(roster_add(&roster, SLICE_LIT("bob"), slice_of(NULL, 0)));
    frame_presence(&out, ROOM, &roster);
    check(&out,
          "{\"type\":\"presence\",\"roomId\":\"lobby\",\"online\":3,\"userCount\":2,\"users\":"
          "[\"ann\",\"bob\"],\"members\":[{\"userId\":\"ann\",\"userInfo\":{\"name\":\"A\"}},"
          "{\"userId\":\"bob\",\"userInfo\":{}}]}");
    frame_subscription_succeeded(&out, ROOM, SLICE_LIT("s-1"), SLICE_LIT("g1"), 9, &roster);
    check(
        &out,
        "{\"type\":\"subscription_succeeded\",\"roomId\":\"lobby\",\"socketId\":\"s-1\","
        "\"subscriptionCount\":3,\"members\":[{\"userId\":\"ann\",\"userInfo\":{\"name\":\"A\"}"
        "},{\"userId\":\"bob\",\"userInfo\":{}}],\"userCount\":2,\"currentSeq\":9,"
        "\"generation\":\"g1\"}");
    frame_subscription_count(&out, ROOM, &roster);
    check(&out,
          "{\"type\":\"subscription_count\",\"roomId\":\"lobby\",\"subscriptionCount\":3}");
    frame_member_joined(&out, ROOM, SLICE_LIT("bob"), slice_of(NULL, 0), SLICE_LIT("s-1"));
    check(&out,
          "{\"type\":\"member_joined\",\"roomId\":\"lobby\",\"userId\":\"bob\",\"userInfo\":{},"
          "\"socketId\":\"s-1\"}");
    frame_member_left(&out, ROOM, SLICE_LIT("bob"));
    check(&out, "{\"type\":\"member_left\",\"roomId\":\"lobby\",\"userId\":\"bob\"}");
    frame_typing(&out, ROOM, SLICE_LIT("bob"), true, TYPING_COMPOSING);
    check(&out,
          "{\"type\":\"typing\",\"roomId\":\"lobby\",\"userId\":\"bob\",\"isTyping\":true,"
          "\"intent\":\"composing\"}");

    for (int i = 2; i <= PRESENCE_LIST_MAX; i++) { /* one user more than are listed */
        (void)snprintf(user, sizeof(user), "u%d", i);
        assert_non_null(roster_add(&roster, slice_str(user), slice_of(NULL, 0)));
    }
    frame_presence(&out, ROOM, &roster);
    check(&out,
          "{\"type\":\"presence\",\"roomId\":\"lobby\",\"online\":202,\"userCount\":201}");
    roster_deinit(&roster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(live_frames),
        cmocka_unit_test(stored_extra_replaces_the_empty_lists),
        cmocka_unit_test(answers),
        cmocka_unit_test(pages),
        cmocka_unit_test(a_replayed_message_comes_as_event_and_as_row),
        cmocka_unit_test(presence_frames),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
