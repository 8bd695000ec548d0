/* test_json_write.c - escaping, commas, splicing; error bodies. */
#include "common/json/json_write.h"

#include <jansson.h>

#include "common/json/errors.h"
#include "tests/support/test.h"

static void strings_are_escaped(void **state)
{
    static const struct {
        const char *name;
        struct slice text;
        const char *want;
    } cases[] = {
        {"empty", {0}, "\"\""},
        {"plain", SLICE_LIT("hello world, this is plain"), "\"hello world, this is plain\""},
        {"quote and backslash", SLICE_LIT("a\"b\\c"), "\"a\\\"b\\\\c\""},
        {"slash stays", SLICE_LIT("a/b"), "\"a/b\""},
        {"short forms", SLICE_LIT("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\""},
        {"other control", SLICE_LIT("\x01\x1f\0"), "\"\\u0001\\u001f\\u0000\""},
        {"delete and above stay", SLICE_LIT("\x7f\xc3\xa9\xf0\x9f\x98\x80"),
         "\"\x7f\xc3\xa9\xf0\x9f\x98\x80\""},
        {"special after eight", SLICE_LIT("12345678\"12345678\n"),
         "\"12345678\\\"12345678\\n\""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_BUF out = BUF_INIT;

        json_put_string(&out, cases[i].text);
        CHECK_SLICE(buf_slice(&out), cases[i].want, cases[i].name);
    }
}

/* Every byte at every place of a word of eight: what jansson reads back is what went in. */
static void every_byte_at_every_offset_reads_back(void **state)
{
    (void)state;
    for (unsigned c = 1; c < 0x80; c++) {
        for (size_t at = 0; at < 17; at++) {
            char text[17];
            AUTO_BUF out = BUF_INIT;
            json_t *back;

            memset(text, 'x', sizeof(text));
            text[at] = (char)c;
            json_put_string(&out, slice_of(text, sizeof(text)));
            back = json_loadb(out.data, out.len, JSON_DECODE_ANY, NULL);
            assert_non_null(back);
            assert_int_equal(json_string_length(back), sizeof(text));
            assert_memory_equal(json_string_value(back), text, sizeof(text));
            json_decref(back);
        }
    }
}

static void commas_come_by_themselves(void **state)
{
    AUTO_BUF out = BUF_INIT;
    struct json_writer w = json_writer(&out);

    (void)state;
    json_write_object(&w);
    json_field_str(&w, "s", SLICE_LIT("x"));
    json_field_str_opt(&w, "left out", (struct slice){0});
    json_field_u64(&w, "u", UINT64_MAX);
    json_field_i64(&w, "i", -1);
    json_field_bool(&w, "t", true);
    json_field_bool(&w, "f", false);
    json_field_null(&w, "n");
    json_field_time(&w, "at", 1769860800123000);
    json_field_raw(&w, "r", SLICE_LIT("[1,2]"));
    json_field_object(&w, "empty");
    json_write_object_end(&w);
    json_field_array(&w, "a");
    json_write_u64(&w, 1);
    json_write_str(&w, SLICE_LIT("two"));
    json_write_array(&w);
    json_write_array_end(&w);
    json_write_object(&w);
    json_write_key_slice(&w, SLICE_LIT("k\n"));
    json_write_bool(&w, true);
    json_write_object_end(&w);
    json_write_null(&w);
    json_write_array_end(&w);
    json_field_i64(&w, "z", 0);
    json_write_object_end(&w);
    CHECK_SLICE(
        buf_slice(&out),
        "{\"s\":\"x\",\"u\":18446744073709551615,\"i\":-1,\"t\":true,\"f\":false,\"n\":null,"
        "\"at\":\"2026-01-31T12:00:00.123Z\",\"r\":[1,2],\"empty\":{},"
        "\"a\":[1,\"two\",[],{\"k\\n\":true},null],\"z\":0}",
        "all kinds");
}

static void members_are_spliced(void **state)
{
    static const struct {
        const char *object, *want;
        bool ok;
    } cases[] = {
        {"{}", "{\"a\":1,\"z\":2}", true},
        {" { } ", "{\"a\":1,\"z\":2}", true},
        {"{\"b\":[1]}", "{\"a\":1,\"b\":[1],\"z\":2}", true},
        {"\n{ \"b\":1, \"c\":{} }\n", "{\"a\":1,\"b\":1, \"c\":{},\"z\":2}", true},
        {"", "{\"a\":1,\"z\":2}", false},
        {"[]", "{\"a\":1,\"z\":2}", false},
        {"{", "{\"a\":1,\"z\":2}", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_BUF out = BUF_INIT;
        struct json_writer w = json_writer(&out);

        json_write_object(&w);
        json_field_i64(&w, "a", 1);
        CHECK_EQ(json_write_members(&w, slice_str(cases[i].object)), cases[i].ok,
                 cases[i].object);
        json_field_i64(&w, "z", 2);
        json_write_object_end(&w);
        CHECK_SLICE(buf_slice(&out), cases[i].want, cases[i].object);
    }
}

static void error_bodies(void **state)
{
    AUTO_BUF out = BUF_INIT;
    AUTO_BUF traced = BUF_INIT;

    (void)state;
    error_body_write(&out, ERROR_not_member, SLICE_LIT("room \"x\""), SLICE_LIT("t1"));
    CHECK_SLICE(buf_slice(&out),
                "{\"error\":\"not_member\",\"traceId\":\"t1\",\"type\":\"urn:fluxychat:error:"
                "not_member\","
                "\"title\":\"The caller is not a member of the "
                "room\",\"status\":403,\"detail\":\"room \\\"x\\\"\"}",
                "full");
    buf_clear(&out);
    error_body_write(&out, ERROR_overloaded, (struct slice){0}, (struct slice){0});
    CHECK_SLICE(buf_slice(&out),
                "{\"error\":\"overloaded\",\"type\":\"urn:fluxychat:error:overloaded\","
                "\"title\":\"Too busy; retry later\",\"status\":503,"
                "\"detail\":\"Too busy; retry later\"}",
                "from a shard");
    error_body_add_trace(&traced, SLICE_LIT("{\"error\":\"x\"}"), SLICE_LIT("t2"));
    CHECK_SLICE(buf_slice(&traced), "{\"error\":\"x\",\"traceId\":\"t2\"}", "traced");
    buf_clear(&traced);
    error_body_add_trace(&traced, SLICE_LIT("{}"), SLICE_LIT("t2"));
    CHECK_SLICE(buf_slice(&traced), "{\"traceId\":\"t2\"}", "empty body");
    buf_clear(&traced);
    error_body_add_trace(&traced, SLICE_LIT("oops"), SLICE_LIT("t2"));
    CHECK_SLICE(buf_slice(&traced), "oops", "no object");
}

static void every_error_is_found_by_its_word(void **state)
{
    (void)state;
    for (int code = ERROR_NONE + 1; code < ERROR_CODE_COUNT; code++) {
        const struct error_info *info = error_info((enum error_code)code);

        CHECK_EQ(error_code_parse(slice_str(info->code)), code, info->code);
        CHECK(info->status >= 400 && info->status <= 599, info->code);
        CHECK(info->title[strlen(info->title) - 1] != '.', info->code);
    }
    assert_int_equal(error_code_parse(SLICE_LIT("no_such_word")), ERROR_NONE);
    assert_string_equal(error_info(ERROR_NONE)->code, "internal_error");
    assert_string_equal(error_info(ERROR_CODE_COUNT)->code, "internal_error");
    assert_true(error_info(ERROR_unavailable)->retryable);
    assert_false(error_info(ERROR_forbidden)->retryable);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_escaped),
        cmocka_unit_test(every_byte_at_every_offset_reads_back),
        cmocka_unit_test(commas_come_by_themselves),
        cmocka_unit_test(members_are_spliced),
        cmocka_unit_test(error_bodies),
        cmocka_unit_test(every_error_is_found_by_its_word),
    };

    return cmocka_run_group_tests_name("json_write", tests, NULL, NULL);
}
