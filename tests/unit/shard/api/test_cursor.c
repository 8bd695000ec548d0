/* test_cursor.c - places in lists: what is written is read again, all else is refused. */
#include "tests/support/test.h"

#include "common/base/limits.h"
#include "shard/api/cursor.h"

/* Reads {"cursor": <json>}; the word of the refusal, or ERROR_NONE. */
static enum error_code read_json(const char *json, int64_t *ret_us, char ret_id[ID_MAX + 1])
{
    AUTO(json_free) json_t *object = NULL;
    AUTO_BUF text = BUF_INIT;
    struct json_fields f;
    struct slice id;

    buf_printf(&text, "{\"cursor\":%s}", json);
    assert_int_equal(json_load_object(buf_slice(&text), HTTP_BODY_MAX, &object), 0);
    f = json_fields(object);
    cursor_read(&f, ret_us, &id);
    snprintf(ret_id, ID_MAX + 1, "%.*s", (int)id.len, id.len ? id.data : "");
    return f.error;
}

static void what_is_written_is_read_again(void **state)
{
    static const char *const places[][2] = {
        {"1", "a"}, {"1767225600123456", "room_1-x"}, {"0", "Z"}, {"99999999999999999", "9"}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        AUTO(json_free) json_t *object = NULL;
        AUTO_BUF out = BUF_INIT;
        struct json_writer w = json_writer(&out);
        struct json_fields f;
        struct slice id;
        int64_t us;

        json_write_object(&w);
        cursor_write(&w, slice_str(places[i][0]), slice_str(places[i][1]));
        json_write_object_end(&w);
        assert_int_equal(json_load_object(buf_slice(&out), out.len, &object), 0);
        assert_true(json_is_true(json_object_get(object, "hasMore")));
        json_object_set(object, "cursor", json_object_get(object, "nextCursor"));
        f = json_fields(object);
        cursor_read(&f, &us, &id);
        assert_false(json_fields_failed(&f));
        assert_int_equal(us, strtoll(places[i][0], NULL, 10));
        assert_true(slice_eq_str(id, places[i][1]));
    }
}

static void the_last_page_has_none(void **state)
{
    AUTO_BUF out = BUF_INIT;
    struct json_writer w = json_writer(&out);

    (void)state;
    json_write_object(&w);
    cursor_write(&w, slice_of(NULL, 0), slice_of(NULL, 0));
    json_write_object_end(&w);
    assert_true(slice_eq_str(buf_slice(&out), "{\"hasMore\":false,\"nextCursor\":null}"));
}

static void absent_is_the_beginning(void **state)
{
    char id[ID_MAX + 1];
    int64_t us = 7;

    (void)state;
    assert_int_equal(read_json("null", &us, id), ERROR_NONE);
    assert_int_equal(us, 0);
    assert_string_equal(id, "");
}

static void others_are_refused(void **state)
{
    static const char *const bad[] = {
        "\"\"",     "\"12\"",    "\".a\"",    "\"12.\"",       "\"-1.a\"",
        "\"1x.a\"", "\"1.a/b\"", "\"1.a.b\"", "\"\\u0661.a\"", "\"100000000000000000.a\"",
        "12",       "[]",        "true",      "\" 1.a\"",
    };
    char id[ID_MAX + 1], text[ID_MAX + 80];
    int64_t us;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        CHECK_EQ(read_json(bad[i], &us, id), ERROR_invalid_cursor, bad[i]);
    for (int len = ID_MAX; len <= ID_MAX + 1; len++) { /* the longest id, and a longer one */
        char name[ID_MAX + 2];

        memset(name, 'r', sizeof(name));
        (void)snprintf(text, sizeof(text), "\"1.%.*s\"", len, name);
        CHECK_EQ(read_json(text, &us, id), len == ID_MAX ? ERROR_NONE : ERROR_invalid_cursor,
                 text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(the_last_page_has_none),
        cmocka_unit_test(absent_is_the_beginning),
        cmocka_unit_test(others_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
