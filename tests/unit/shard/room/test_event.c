/* test_event.c - events that are not stored: what is taken, what is refused and with which
 * words, and what goes out. */
#include "tests/support/test.h"

#include "common/base/limits.h"
#include "shard/room/event.h"

enum kind { CLIENT, SERVER, USER, RAW };

static enum error_code read(enum kind kind, const json_t *object, struct event *event,
                            const json_t **raw, char detail[JSON_DETAIL_MAX])
{
    struct json_fields f = json_fields(object);

    *event = (struct event){0};
    *raw = NULL;
    if (kind == CLIENT)
        event_read_client(&f, event);
    else if (kind == SERVER)
        event_read_server(&f, event);
    else if (kind == USER)
        event_read_user(&f, event);
    else
        *raw = event_read_raw(&f);
    snprintf(detail, JSON_DETAIL_MAX, "%s", f.detail);
    return f.error;
}

static const struct {
    enum kind kind;
    const char *json;
    enum error_code want;
} cases[] = {
    {CLIENT, "{\"eventName\":\"client-a\",\"data\":{}}", ERROR_NONE},
    {CLIENT, "{\"eventName\":\"client-A.b_c-9\"}", ERROR_NONE},
    {CLIENT, "{\"eventName\":\"client-a\",\"data\":null}", ERROR_NONE},
    {CLIENT, "{\"eventName\":\"client-a\",\"data\":[1,\"x\"]}", ERROR_NONE},
    {CLIENT, "{\"eventName\":\"client-\"}", ERROR_invalid_event_name},
    {CLIENT, "{\"eventName\":\"clienta\"}", ERROR_invalid_event_name},
    {CLIENT, "{\"eventName\":\"Client-a\"}", ERROR_invalid_event_name},
    {CLIENT, "{\"eventName\":\"client-a b\"}", ERROR_invalid_event_name},
    {CLIENT, "{\"eventName\":\"client-\xc3\xa4\"}", ERROR_invalid_event_name},
    {CLIENT, "{\"eventName\":\"client-a/b\"}", ERROR_invalid_event_name},
    {CLIENT, "{\"eventName\":7}", ERROR_invalid_event_name},
    {CLIENT, "{\"name\":\"client-a\"}", ERROR_invalid_event_name},
    {CLIENT, "{}", ERROR_invalid_event_name},
    {SERVER, "{\"name\":\"x\"}", ERROR_NONE},
    {SERVER, "{\"name\":\"x y\",\"data\":{\"a\":1}}", ERROR_NONE},
    {SERVER, "{\"name\":\"x\",\"data\":null}", ERROR_NONE},
    {SERVER, "{\"name\":\"\"}", ERROR_invalid_event_name},
    {SERVER, "{\"data\":{}}", ERROR_invalid_event_name},
    {SERVER, "{\"name\":\"x\",\"data\":[]}", ERROR_bad_request},
    {SERVER, "{\"name\":\"x\",\"data\":\"y\"}", ERROR_bad_request},
    {USER, "{\"name\":\"x\",\"data\":\"y\"}", ERROR_NONE},
    {USER, "{\"name\":\"x\",\"data\":false}", ERROR_NONE},
    {USER, "{\"name\":{}}", ERROR_invalid_event_name},
    {RAW, "{}", ERROR_NONE},
    {RAW, "{\"event\":null}", ERROR_NONE},
    {RAW, "{\"event\":{\"type\":\"agentRun\"}}", ERROR_NONE},
    {RAW, "{\"event\":{\"type\":\"agent_step\"}}", ERROR_NONE},
    {RAW, "{\"event\":{\"type\":\"agentTyping\"}}", ERROR_NONE},
    {RAW, "{\"event\":{\"type\":\"tool_call\"}}", ERROR_NONE},
    {RAW, "{\"event\":{\"type\":\"tool_result\"}}", ERROR_NONE},
    {RAW, "{\"event\":{\"type\":\"tool_error\"}}", ERROR_NONE},
    {RAW, "{\"event\":{\"type\":\"approval_request\"}}", ERROR_NONE},
    {RAW, "{\"event\":{\"type\":\"approval_decision\"}}", ERROR_NONE},
    {RAW, "{\"event\":{\"type\":\"message\"}}", ERROR_invalid_type},
    {RAW, "{\"event\":{\"type\":\"edit\"}}", ERROR_invalid_type},
    {RAW, "{\"event\":{\"type\":\"delete\"}}", ERROR_invalid_type},
    {RAW, "{\"event\":{\"type\":\"presence\"}}", ERROR_invalid_type},
    {RAW, "{\"event\":{\"type\":\"agentrun\"}}", ERROR_invalid_type},
    {RAW, "{\"event\":{\"type\":7}}", ERROR_invalid_type},
    {RAW, "{\"event\":{}}", ERROR_invalid_type},
    {RAW, "{\"event\":[]}", ERROR_bad_request},
    {RAW, "{\"event\":\"agentRun\"}", ERROR_bad_request},
};

static void fields_are_checked(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(json_free) json_t *object = json_loads(cases[i].json, 0, NULL);
        char detail[JSON_DETAIL_MAX];
        const json_t *raw;
        struct event event;

        assert_non_null(object);
        CHECK_EQ(read(cases[i].kind, object, &event, &raw, detail), cases[i].want,
                 cases[i].json);
        CHECK((cases[i].want == ERROR_NONE) == (detail[0] == 0), cases[i].json);
    }
}

/* An object with a name of n characters and data that takes n_data bytes as JSON. */
static json_t *of_size(const char *key, const char *prefix, size_t n, size_t n_data)
{
    json_t *object = json_object();
    char *name = calloc(1, n + 1), *data = calloc(1, n_data);

    assert_true(object && name && data);
    memset(name, 'n', n);
    memcpy(name, prefix, MIN(n, strlen(prefix)));
    memset(data, 'd', n_data - 2);
    json_object_set_new(object, key, json_string(name));
    json_object_set_new(object, "data", json_string(data));
    free(name);
    free(data);
    return object;
}

static void sizes_are_bounded_to_the_byte(void **state)
{
    static const struct {
        enum kind kind;
        const char *key, *prefix;
        size_t n, n_data;
        enum error_code want;
    } sizes[] = {
        {CLIENT, "eventName", "client-", EVENT_NAME_MAX, CLIENT_EVENT_DATA_MAX, ERROR_NONE},
        {CLIENT, "eventName", "client-", EVENT_NAME_MAX + 1, 3, ERROR_invalid_event_name},
        {CLIENT, "eventName", "client-", 8, CLIENT_EVENT_DATA_MAX + 1, ERROR_payload_too_large},
        {USER, "name", "", EVENT_NAME_MAX, EVENT_DATA_MAX, ERROR_NONE},
        {USER, "name", "", EVENT_NAME_MAX + 1, 3, ERROR_invalid_event_name},
        {USER, "name", "", 1, EVENT_DATA_MAX + 1, ERROR_payload_too_large},
        {SERVER, "name", "", 1, EVENT_DATA_MAX + 1, ERROR_payload_too_large},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        AUTO(json_free)
        json_t *object = of_size(sizes[i].key, sizes[i].prefix, sizes[i].n, sizes[i].n_data);
        char detail[JSON_DETAIL_MAX], name[32];
        const json_t *raw;
        struct event event;

        snprintf(name, sizeof(name), "size %zu", i);
        CHECK_EQ(read(sizes[i].kind, object, &event, &raw, detail), sizes[i].want, name);
    }
}

static void a_raw_event_is_bounded(void **state)
{
    AUTO(json_free) json_t *object = json_object();
    AUTO(json_free) json_t *text = of_size("x", "", 1, EVENT_DATA_MAX);
    char detail[JSON_DETAIL_MAX];
    const json_t *raw;
    struct event event;

    (void)state;
    json_object_set_new(text, "type", json_string("tool_result"));
    json_object_set(object, "event", text);
    assert_int_equal(read(RAW, object, &event, &raw, detail), ERROR_payload_too_large);
    assert_null(raw);
}

static void check_frame(enum kind kind, const char *json, const char *want)
{
    AUTO(json_free) json_t *object = json_loads(json, 0, NULL);
    char detail[JSON_DETAIL_MAX];
    AUTO_BUF out = BUF_INIT;
    const json_t *raw;
    struct event event;

    CHECK_EQ(read(kind, object, &event, &raw, detail), ERROR_NONE, json);
    if (kind == CLIENT)
        frame_client_event(&out, SLICE_LIT("r"), SLICE_LIT("ann"), &event);
    else if (kind == SERVER)
        frame_server_event(&out, SLICE_LIT("r"), SLICE_LIT("ann"), &event);
    else
        frame_raw_event(&out, SLICE_LIT("r"), SLICE_LIT("ann"), raw);
    assert_false(buf_failed(&out));
    CHECK_SLICE(buf_slice(&out), want, json);
}

static void frames_are_those_of_the_protocol(void **state)
{
    (void)state;
    check_frame(CLIENT,
                "{\"eventName\":\"client-a\",\"data\":{\"b\":[1,2.5,\"\\u00e4\\n\"]},"
                "\"userId\":\"eve\",\"roomId\":\"x\"}",
                "{\"type\":\"client_event\",\"roomId\":\"r\",\"userId\":\"ann\",\"eventName\":"
                "\"client-a\",\"data\":{\"b\":[1,2.5,\"\xc3\xa4\\n\"]}}");
    check_frame(CLIENT, "{\"eventName\":\"client-a\"}",
                "{\"type\":\"client_event\",\"roomId\":\"r\",\"userId\":\"ann\",\"eventName\":"
                "\"client-a\",\"data\":{}}");
    check_frame(SERVER, "{\"name\":\"say \\\"x\\\"\",\"data\":{\"k\":null}}",
                "{\"type\":\"server_event\",\"roomId\":\"r\",\"userId\":\"ann\",\"name\":"
                "\"say \\\"x\\\"\",\"data\":{\"k\":null}}");
}

/* Who it is from, where it goes and the numbers of the room are not the caller's to say. */
static void raw_frames_forge_nothing(void **state)
{
    (void)state;
    check_frame(
        RAW,
        "{\"event\":{\"seq\":9,\"updatedSeq\":9,\"toSeq\":9,\"fromSeq\":1,\"lastSeq\":1,"
        "\"currentSeq\":1,\"generation\":\"g\",\"senderId\":\"eve\",\"userId\":\"eve\","
        "\"roomId\":\"x\",\"type\":\"agentRun\",\"run\":{\"seq\":1},\"a\\\"b\":true}}",
        "{\"type\":\"agentRun\",\"roomId\":\"r\",\"userId\":\"ann\",\"run\":{\"seq\":1},"
        "\"a\\\"b\":true}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_checked),
        cmocka_unit_test(sizes_are_bounded_to_the_byte),
        cmocka_unit_test(a_raw_event_is_bounded),
        cmocka_unit_test(frames_are_those_of_the_protocol),
        cmocka_unit_test(raw_frames_forge_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
