/* test_command.c - client frames: what is taken, what is refused and with which words. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/test.h"

#include "common/base/limits.h"
#include "common/base/macros.h"
#include "shard/room/command.h"
#include "shard/room/extra.h"
#include "shard/room/frames.h"

static const struct {
    const char *json;
    enum error_code code; /* ERROR_NONE: taken */
    const char *detail;
} cases[] = {
    {"{\"type\":\"message\",\"content\":\"hi\"}", ERROR_NONE, ""},
    {"{\"type\":\"message\",\"content\":\"hi\",\"userId\":7,\"x\":[{}]}", ERROR_NONE, ""},
    {"{\"type\":\"message\",\"content\":\"hi\",\"parentId\":null,\"attachments\":[]}",
     ERROR_NONE, ""},
    {"{\"type\":\"message\",\"content\":\"hi\",\"visibility\":\"room\"}", ERROR_NONE, ""},
    {"", ERROR_invalid_json, "a frame must be a JSON object"},
    {"[]", ERROR_invalid_json, "a frame must be a JSON object"},
    {"{\"type\":\"message\"", ERROR_invalid_json, "a frame must be a JSON object"},
    {"{\"type\":\"message\",\"type\":\"typing\"}", ERROR_invalid_json,
     "a frame must be a JSON object"},
    {"{\"type\":\"message\",\"content\":\"a\\u0000b\"}", ERROR_invalid_json,
     "a frame must be a JSON object"},
    {"{\"type\":\"message\",\"content\":\"\\ud800\"}", ERROR_invalid_json,
     "a frame must be a JSON object"},
    {"{}", ERROR_unknown_event_type, ""},
    {"{\"type\":3}", ERROR_unknown_event_type, ""},
    {"{\"type\":\"shout\"}", ERROR_unknown_event_type, ""},
    {"{\"type\":\"message\"}", ERROR_invalid_content, "content must be a string"},
    {"{\"type\":\"message\",\"content\":5}", ERROR_invalid_content, "content must be a string"},
    {"{\"type\":\"message\",\"content\":\" \\n \"}", ERROR_invalid_content,
     "content must have 1 to 4000 characters"},
    {"{\"type\":\"message\",\"content\":\"x\",\"clientMessageId\":\"\"}",
     ERROR_invalid_client_message_id,
     "clientMessageId must be 1 to 128 visible ASCII characters"},
    {"{\"type\":\"message\",\"content\":\"x\",\"clientMessageId\":\"a b\"}",
     ERROR_invalid_client_message_id,
     "clientMessageId must be 1 to 128 visible ASCII characters"},
    {"{\"type\":\"message\",\"content\":\"x\",\"clientMessageId\":12}",
     ERROR_invalid_client_message_id,
     "clientMessageId must be 1 to 128 visible ASCII characters"},
    {"{\"type\":\"message\",\"content\":\"x\",\"parentId\":0}", ERROR_bad_request,
     "parentId must be a positive integer"},
    {"{\"type\":\"message\",\"content\":\"x\",\"parentId\":1.5}", ERROR_bad_request,
     "parentId must be a positive integer"},
    {"{\"type\":\"message\",\"content\":\"x\",\"replyTo\":\"9\"}", ERROR_bad_request,
     "replyTo must be a positive integer"},
    {"{\"type\":\"message\",\"content\":\"x\",\"replyTo\":9007199254740992}", ERROR_bad_request,
     "replyTo must be a positive integer"},
    {"{\"type\":\"message\",\"content\":\"x\",\"attachments\":{}}", ERROR_invalid_attachments,
     "attachments must be a list of at most 10"},
    {"{\"type\":\"message\",\"content\":\"x\",\"attachments\":[1,2,3,4,5,6,7,8,9,10,11]}",
     ERROR_invalid_attachments, "attachments must be a list of at most 10"},
    {"{\"type\":\"message\",\"content\":\"x\",\"attachments\":[{\"kind\":\"image\",\"url\":"
     "\"https://x.y/z\",\"name\":\"n\"},7]}",
     ERROR_invalid_attachments, "attachments[1] must be an object"},
    {"{\"type\":\"message\",\"content\":\"x\",\"attachments\":[{\"kind\":\"image\",\"url\":"
     "\"javascript:alert(1)\",\"name\":\"n\"}]}",
     ERROR_invalid_attachments, "attachments[0] needs an http, https or relative url"},
    {"{\"type\":\"message\",\"content\":\"x\",\"attachments\":[{\"kind\":\"image\",\"url\":"
     "\"/a\",\"name\":\"n\",\"sizeBytes\":-1}]}",
     ERROR_invalid_attachments, "attachments[0] has a bad sizeBytes"},
    {"{\"type\":\"message\",\"content\":\"x\",\"visibility\":\"whisper\",\"visibleTo\":[\"a\"]"
     "}",
     ERROR_NONE, ""},
    {"{\"type\":\"stream\",\"op\":\"start\",\"visibility\":\"whisper\",\"visibleTo\":[\"a\"]}",
     ERROR_invalid_visibility, "a stream cannot be a whisper"},
    {"{\"type\":\"stream\",\"op\":\"start\",\"visibleTo\":[\"a\"]}", ERROR_invalid_visibility,
     "visibleTo needs visibility whisper"},
    {"{\"type\":\"stream\",\"op\":\"start\",\"expiresInSeconds\":60}", ERROR_invalid_expiry,
     "a stream cannot expire"},
    {"{\"type\":\"message\",\"content\":\"x\",\"visibility\":\"whisper\"}",
     ERROR_invalid_visibility, "visibleTo must name 1 to 99 users"},
    {"{\"type\":\"message\",\"content\":\"x\",\"visibleTo\":[\"a\"]}", ERROR_invalid_visibility,
     "visibleTo needs visibility whisper"},
    {"{\"type\":\"message\",\"content\":\"x\",\"visibility\":\"secret\"}",
     ERROR_invalid_visibility, "visibility must be room or whisper"},
    {"{\"type\":\"message\",\"content\":\"x\",\"visibility\":\"whisper\",\"visibleTo\":[7]}",
     ERROR_invalid_visibility, "visibleTo[0] must be a user or role:x"},
    {"{\"type\":\"message\",\"content\":\"x\",\"expiresInSeconds\":60}", ERROR_NONE, ""},
    {"{\"type\":\"message\",\"content\":\"x\",\"expiresInSeconds\":59}", ERROR_invalid_expiry,
     "expiresInSeconds must be 60 to 604800"},
    {"{\"type\":\"message\",\"content\":\"x\",\"expiresAt\":\"soon\"}", ERROR_invalid_expiry,
     "expiresAt must be an RFC 3339 time"},
    {"{\"type\":\"edit\",\"messageId\":7,\"content\":\"x\"}", ERROR_NONE, ""},
    {"{\"type\":\"edit\",\"content\":\"x\"}", ERROR_bad_request, "messageId required"},
    {"{\"type\":\"edit\",\"messageId\":\"7\",\"content\":\"x\"}", ERROR_bad_request,
     "messageId must be a positive integer"},
    {"{\"type\":\"edit\",\"messageId\":7,\"content\":\" \"}", ERROR_invalid_content,
     "content must have 1 to 4000 characters"},
    {"{\"type\":\"delete\",\"messageId\":7}", ERROR_NONE, ""},
    {"{\"type\":\"delete\",\"messageId\":-7}", ERROR_bad_request,
     "messageId must be a positive integer"},
    {"{\"type\":\"reaction\",\"messageId\":7,\"emoji\":\"+1\",\"op\":\"add\"}", ERROR_NONE, ""},
    {"{\"type\":\"reaction\",\"messageId\":7,\"emoji\":\"a b\",\"op\":\"add\"}",
     ERROR_invalid_emoji, "emoji must be a string of 1 to 64 bytes"},
    {"{\"type\":\"reaction\",\"messageId\":7,\"emoji\":\"+1\",\"op\":\"flip\"}",
     ERROR_bad_request, "op must be add or remove"},
    {"{\"type\":\"message\",\"content\":\"x\",\"frameId\":\"\"}", ERROR_bad_request,
     "frameId must be 1 to 128 visible ASCII characters"},
    {"{\"type\":\"resume\",\"lastSeq\":0}", ERROR_NONE, ""},
    {"{\"type\":\"resume\",\"lastSeq\":5,\"generation\":\"g1\"}", ERROR_NONE, ""},
    {"{\"type\":\"resume\"}", ERROR_invalid_cursor, "lastSeq must be a non-negative integer"},
    {"{\"type\":\"resume\",\"lastSeq\":-1}", ERROR_invalid_cursor,
     "lastSeq must be a non-negative integer"},
    {"{\"type\":\"resume\",\"lastSeq\":\"1\"}", ERROR_invalid_cursor,
     "lastSeq must be a non-negative integer"},
    {"{\"type\":\"resume\",\"lastSeq\":1,\"generation\":7}", ERROR_invalid_cursor,
     "generation must be a string"},
    {"{\"type\":\"agentTyping\",\"agentId\":\"a-1\",\"isTyping\":true}", ERROR_NONE, ""},
    {"{\"type\":\"agentTyping\",\"agentId\":\"a b\",\"isTyping\":true}", ERROR_invalid_id,
     "agentId must be 1 to 64 characters of A-Z a-z 0-9 _ -"},
    {"{\"type\":\"agentTyping\",\"isTyping\":true}", ERROR_invalid_id,
     "agentId must be 1 to 64 characters of A-Z a-z 0-9 _ -"},
    {"{\"type\":\"agentTyping\",\"agentId\":\"a\",\"isTyping\":1}", ERROR_bad_request,
     "isTyping must be a boolean"},
    {"{\"type\":\"typing\",\"isTyping\":true}", ERROR_NONE, ""},
    {"{\"type\":\"typing\",\"isTyping\":1}", ERROR_bad_request, "isTyping must be a boolean"},
};

static void each_case(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct command_error error;
        struct command c;
        int r = command_parse(slice_str(cases[i].json), &c, &error);

        if (r != (cases[i].code == ERROR_NONE ? 0 : COMMAND_BAD) ||
            error.code != cases[i].code || strcmp(error.detail, cases[i].detail) != 0)
            fail_msg("%s: %d \"%s\"", cases[i].json, (int)error.code, error.detail);
        command_deinit(&c);
    }
}

static void content_is_trimmed_and_counted_in_utf16(void **state)
{
    static const struct {
        const char *unit;
        size_t n;
        int want;
    } rows[] = {
        {"a", 4000, 0},
        {"a", 4001, COMMAND_BAD},
        {"\xe2\x82\xac", 4000, 0},
        {"\xf0\x9f\x98\x80", 2000, 0},
        {"\xf0\x9f\x98\x80", 2001, COMMAND_BAD},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct command_error error;
        struct command c;
        AUTO_BUF json = BUF_INIT;

        buf_put_str(&json, "{\"type\":\"message\",\"content\":\"  ");
        for (size_t k = 0; k < rows[i].n; k++)
            buf_put_str(&json, rows[i].unit);
        buf_put_str(&json, "\\n\"}");
        assert_int_equal(command_parse(buf_slice(&json), &c, &error), rows[i].want);
        if (rows[i].want == 0)
            assert_int_equal(c.message.content.len, rows[i].n * strlen(rows[i].unit));
        command_deinit(&c);
    }
}

static void fields_come_out(void **state)
{
    struct command_error error;
    struct command c;

    (void)state;
    assert_int_equal(
        command_parse(SLICE_LIT("{\"type\":\"message\",\"content\":\" x \",\"replyTo\":7,"
                                "\"clientMessageId\":\"c-1\",\"frameId\":\"f-1\"}"),
                      &c, &error),
        0);
    assert_int_equal(c.type, COMMAND_MESSAGE);
    assert_true(slice_eq_str(c.message.content, "x"));
    assert_true(slice_eq_str(c.message.client_id, "c-1"));
    assert_true(slice_eq_str(c.frame_id, "f-1"));
    assert_int_equal(c.message.parent_id, 7);
    command_deinit(&c);

    assert_int_equal(
        command_parse(
            SLICE_LIT("{\"type\":\"typing\",\"isTyping\":true,\"intent\":\"viewing_thread\"}"),
            &c, &error),
        0);
    assert_int_equal(c.typing.intent, TYPING_VIEWING_THREAD);
    command_deinit(&c);

    /* A refused frame still says which one it was. */
    assert_int_equal(
        command_parse(
            SLICE_LIT("{\"type\":\"message\",\"frameId\":\"f\",\"clientMessageId\":\"c\"}"), &c,
            &error),
        COMMAND_BAD);
    assert_true(slice_eq_str(error.client_id, "c"));
    assert_true(slice_eq_str(error.frame_id, "f"));
    command_deinit(&c);
}

static void extra_holds_mentions_of_members_and_attachments(void **state)
{
    static const uint8_t dedupe[DEDUPE_LEN] = {0x01, 0xab};
    struct command_error error;
    struct mentions mentions;
    struct members members;
    struct command c;
    AUTO_BUF out = BUF_INIT;

    (void)state;
    members_init(&members);
    assert_int_equal(members_apply(&members, SLICE_LIT("ann"), ROLE_MEMBER, 1), 0);
    assert_int_equal(members_apply(&members, SLICE_LIT("bob_2"), ROLE_MEMBER, 1), 0);
    assert_int_equal(
        command_parse(
            SLICE_LIT("{\"type\":\"message\",\"content\":\"@ann @zoe @@ann a@bob_2, @\","
                      "\"attachments\":[{\"kind\":\"file\",\"url\":\"/f\",\"name\":\"n\","
                      "\"sizeBytes\":3,\"contentType\":\"a/b\",\"evil\":1}]}"),
            &c, &error),
        0);
    mentions_find(&mentions, c.message.content, &members, slice_of(NULL, 0));
    extra_write_message(&out, &c.message, &mentions, dedupe);
    buf_put_char(&out, 0);
    assert_string_equal(
        out.data,
        "{\"mentions\":[\"ann\",\"bob_2\"],\"attachments\":[{\"id\":\"01ab000000000000-0\","
        "\"kind\":"
        "\"file\",\"url\":\"/f\",\"name\":\"n\",\"sizeBytes\":3,\"contentType\":\"a/b\"}]}");
    command_deinit(&c);

    buf_clear(&out);
    assert_int_equal(
        command_parse(SLICE_LIT("{\"type\":\"message\",\"content\":\"@zoe\"}"), &c, &error), 0);
    mentions_find(&mentions, c.message.content, &members, slice_of(NULL, 0));
    extra_write_message(&out, &c.message, &mentions, dedupe);
    assert_int_equal(out.len, 0);
    command_deinit(&c);

    extra_write_membership(&out, CHANGE_ADDED, ROLE_MEMBER);
    extra_write_membership(&out, CHANGE_REMOVED, ROLE_NONE);
    buf_put_char(&out, 0);
    assert_string_equal(out.data, "{\"change\":\"added\",\"role\":\"member\"}"
                                  "{\"change\":\"removed\"}");
    members_deinit(&members);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_case),
        cmocka_unit_test(content_is_trimmed_and_counted_in_utf16),
        cmocka_unit_test(fields_come_out),
        cmocka_unit_test(extra_holds_mentions_of_members_and_attachments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
