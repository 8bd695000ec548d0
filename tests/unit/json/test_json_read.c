/* test_json_read.c - bounded loading, and getters that say which member is wrong. */
#include "common/json/json_read.h"

#include "common/base/limits.h"
#include "tests/support/test.h"

static json_t *load(const char *text)
{
    json_t *json = NULL;

    CHECK_EQ(json_load_object(slice_str(text), 10000, &json), 0, text);
    return json;
}

static void loading_is_bounded(void **state)
{
    static const struct {
        const char *text;
        int want;
    } cases[] = {
        {"{\"a\":1}", 0},
        {"{\"a\":1,\"a\":1}", JSON_LOAD_BAD},
        {"{\"a\":{\"b\":1,\"b\":1}}", JSON_LOAD_BAD},
        {"[1]", JSON_LOAD_BAD},
        {"{\"a\":1} x", JSON_LOAD_BAD},
        {"{\"a\":\"\\u0000\"}", JSON_LOAD_BAD},
        {"{\"a\":\"\xff\"}", JSON_LOAD_BAD},
        {"{\"a\":99999999999999999999}", JSON_LOAD_BAD},
        {"", JSON_LOAD_BAD},
        {"{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}",
         JSON_LOAD_BAD},
        {"{\"a\":\"a text that is longer than may be\"}", JSON_LOAD_TOO_LARGE},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t max = cases[i].want == JSON_LOAD_TOO_LARGE ? strlen(cases[i].text) - 1
                                                          : strlen(cases[i].text);
        AUTO(json_free) json_t *json = NULL;

        CHECK_EQ(json_load_object(slice_str(cases[i].text), max, &json), cases[i].want,
                 cases[i].text);
        CHECK_EQ(json != NULL, cases[i].want == 0, cases[i].text);
    }
    AUTO(json_free) json_t *array = NULL;
    assert_int_equal(json_load_value(SLICE_LIT("[1,2]"), 100, &array), 0);
    assert_true(json_is_array(array));
}

static void good_values(void **state)
{
    AUTO(json_free)
    json_t *json =
        load("{\"s\":\"\\u20ac\\u20ac\",\"e\":\"\",\"id\":\"user-1\",\"i\":7,\"b\":true,"
             "\"n\":null,\"a\":[1,2],\"o\":{}}");
    struct json_fields f = json_fields(json);

    (void)state;
    CHECK_SLICE(json_get_str(&f, "s", 1, 2, ERROR_bad_request), "\xe2\x82\xac\xe2\x82\xac",
                "characters count");
    CHECK_SLICE(json_get_id(&f, "id", ERROR_invalid_id), "user-1", "id");
    assert_int_equal(json_get_int(&f, "i", 7, 7, ERROR_bad_request), 7);
    assert_int_equal(json_get_int_opt(&f, "none", 50, 1, 5, ERROR_bad_request), 50);
    assert_int_equal(json_get_int_opt(&f, "n", 50, 1, 5, ERROR_bad_request), 50);
    assert_true(json_get_bool_opt(&f, "b", false));
    assert_true(json_get_bool_opt(&f, "n", true));
    assert_null(json_get_str_opt(&f, "n", 1, 2, ERROR_bad_request).data);
    assert_non_null(json_get_str_opt(&f, "e", 0, 2, ERROR_bad_request).data);
    assert_null(json_get_id_opt(&f, "none", ERROR_invalid_id).data);
    assert_int_equal(json_array_size(json_get_array_opt(&f, "a", 2, ERROR_bad_request)), 2);
    assert_null(json_get_array_opt(&f, "n", 2, ERROR_bad_request));
    assert_non_null(json_get_object_opt(&f, "o", ERROR_bad_request));
    assert_false(json_fields_failed(&f));
}

enum kind { STR, STR_OPT, ID, ID_OPT, INT, INT_OPT, BOOL, ARRAY, OBJECT };

static void read_one(struct json_fields *f, enum kind kind)
{
    switch (kind) {
    case STR:
        assert_int_equal(json_get_str(f, "x", 2, 3, ERROR_invalid_name).len, 0);
        break;
    case STR_OPT:
        assert_null(json_get_str_opt(f, "x", 2, 3, ERROR_invalid_name).data);
        break;
    case ID:
        assert_null(json_get_id(f, "x", ERROR_invalid_id).data);
        break;
    case ID_OPT:
        assert_null(json_get_id_opt(f, "x", ERROR_invalid_id).data);
        break;
    case INT:
        assert_int_equal(json_get_int(f, "x", 1, 5, ERROR_invalid_limit), 0);
        break;
    case INT_OPT:
        assert_int_equal(json_get_int_opt(f, "x", 3, 1, 5, ERROR_invalid_limit), 3);
        break;
    case BOOL:
        assert_true(json_get_bool_opt(f, "x", true));
        break;
    case ARRAY:
        assert_null(json_get_array_opt(f, "x", 1, ERROR_invalid_attachments));
        break;
    case OBJECT:
        assert_null(json_get_object_opt(f, "x", ERROR_bad_request));
        break;
    }
}

static void bad_values_name_the_member(void **state)
{
    static const struct {
        const char *text;
        enum kind kind;
        enum error_code code;
        const char *detail;
    } cases[] = {
        {"{}", STR, ERROR_invalid_name, "x is missing"},
        {"{\"x\":null}", STR, ERROR_invalid_name, "x is missing"},
        {"{\"x\":1}", STR, ERROR_invalid_name, "x must be a string of 2 to 3 characters"},
        {"{\"x\":\"a\"}", STR, ERROR_invalid_name, "x must be a string of 2 to 3 characters"},
        {"{\"x\":\"abcd\"}", STR_OPT, ERROR_invalid_name,
         "x must be a string of 2 to 3 characters"},
        {"{}", ID, ERROR_invalid_id, "x is missing"},
        {"{\"x\":\"a b\"}", ID, ERROR_invalid_id,
         "x must be 1 to 128 characters of A-Z a-z 0-9 _ -"},
        {"{\"x\":7}", ID_OPT, ERROR_invalid_id,
         "x must be 1 to 128 characters of A-Z a-z 0-9 _ -"},
        {"{}", INT, ERROR_invalid_limit, "x is missing"},
        {"{\"x\":6}", INT, ERROR_invalid_limit, "x must be a whole number from 1 to 5"},
        {"{\"x\":0}", INT_OPT, ERROR_invalid_limit, "x must be a whole number from 1 to 5"},
        {"{\"x\":2.0}", INT_OPT, ERROR_invalid_limit, "x must be a whole number from 1 to 5"},
        {"{\"x\":\"2\"}", INT_OPT, ERROR_invalid_limit, "x must be a whole number from 1 to 5"},
        {"{\"x\":1}", BOOL, ERROR_bad_request, "x must be true or false"},
        {"{\"x\":[1,2]}", ARRAY, ERROR_invalid_attachments,
         "x must be an array of at most 1 elements"},
        {"{\"x\":{}}", ARRAY, ERROR_invalid_attachments,
         "x must be an array of at most 1 elements"},
        {"{\"x\":[]}", OBJECT, ERROR_bad_request, "x must be an object"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(json_free) json_t *json = load(cases[i].text);
        struct json_fields f = json_fields(json);

        read_one(&f, cases[i].kind);
        CHECK_EQ(f.error, cases[i].code, cases[i].text);
        assert_string_equal(f.detail, cases[i].detail);
    }
}

static void the_first_error_stays(void **state)
{
    AUTO(json_free) json_t *json = load("{\"a\":1,\"b\":\"ok\"}");
    struct json_fields f = json_fields(json);

    (void)state;
    json_get_str(&f, "a", 1, 5, ERROR_invalid_name);
    assert_null(
        json_get_str(&f, "b", 1, 5, ERROR_invalid_type).data); /* nothing more after an error */
    json_fields_fail(&f, ERROR_conflict, "later");
    assert_int_equal(f.error, ERROR_invalid_name);
    assert_string_equal(f.detail, "a must be a string of 1 to 5 characters");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loading_is_bounded),
        cmocka_unit_test(good_values),
        cmocka_unit_test(bad_values_name_the_member),
        cmocka_unit_test(the_first_error_stays),
    };

    return cmocka_run_group_tests_name("json_read", tests, NULL, NULL);
}
