/*
 * test_json_scan.c - the scanner by table, and against jansson: on texts made
 * by damaging good ones at random, whatever jansson takes the scanner takes,
 * and whatever the scanner takes jansson takes or refuses for a reason that
 * json_scan.h names.
 */
#include "common/json/json_scan.h"

#include <jansson.h>
#include <stdlib.h>

#include "common/base/utf8.h"
#include "tests/support/test.h"

#define OK 0
#define BAD JSON_SCAN_SYNTAX

static const struct {
    const char *text;
    int want;
} cases[] = {
    {"{}", OK},
    {" \t\r\n{ } \n", OK},
    {"{\"type\":\"ping\"}", OK},
    {"{\"a\":1,\"b\":[1,2,{\"c\":[]}],\"d\":{\"e\":{}},\"f\":null}", OK},
    {"{\"a\" : [ ] , \"b\" : [ 1 , 2 ] }", OK},
    {"{\"n\":[0,-0,1,-1,10,1.5,0.5,1e5,1E+5,1e-5,-1.5e10]}", OK},
    {"{\"w\":[true,false,null]}", OK},
    {"{\"s\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\ud83d\\ude00\"}", OK},
    {"{\"\":\"\"}", OK},
    {"{\"a\":1,\"a\":2}", OK}, /* only wanted names are watched */
    {"{\"\xc3\xa9\":\"\xf0\x9f\x98\x80\"}", OK},

    {"", BAD},
    {" ", BAD},
    {"{", BAD},
    {"}", BAD},
    {"{]", BAD},
    {"{}}", BAD},
    {"{}{}", BAD},
    {"{} x", BAD},
    {"x{}", BAD},
    {"{,}", BAD},
    {"{\"a\"}", BAD},
    {"{\"a\":}", BAD},
    {"{\"a\":1,}", BAD},
    {"{\"a\":1 \"b\":2}", BAD},
    {"{\"a\":1,,\"b\":2}", BAD},
    {"{\"a\"::1}", BAD},
    {"{a:1}", BAD},
    {"{'a':1}", BAD},
    {"{1:1}", BAD},
    {"{\"a\":[}", BAD},
    {"{\"a\":[1,]}", BAD},
    {"{\"a\":[,1]}", BAD},
    {"{\"a\":[1 2]}", BAD},
    {"{\"a\":[1}}", BAD},
    {"{\"a\":{\"b\":1]}", BAD},
    {"{\"a\":{\"b\"}}", BAD},
    {"{\"a\":{\"b\":1,}}", BAD},
    {"{\"a\":{1}}", BAD},
    {"{\"a\":01}", BAD},
    {"{\"a\":+1}", BAD},
    {"{\"a\":-}", BAD},
    {"{\"a\":.5}", BAD},
    {"{\"a\":1.}", BAD},
    {"{\"a\":1e}", BAD},
    {"{\"a\":1e+}", BAD},
    {"{\"a\":0x1}", BAD},
    {"{\"a\":1a}", BAD},
    {"{\"a\":NaN}", BAD},
    {"{\"a\":Infinity}", BAD},
    {"{\"a\":tru}", BAD},
    {"{\"a\":True}", BAD},
    {"{\"a\":truefalse}", BAD},
    {"{\"a\":nul", BAD},
    {"{\"a\":\"", BAD},
    {"{\"a\":\"b}", BAD},
    {"{\"a\":\"\\\"}", BAD},
    {"{\"a\":\"\\x\"}", BAD},
    {"{\"a\":\"\\u12\"}", BAD},
    {"{\"a\":\"\\u12g4\"}", BAD},
    {"{\"a\":\"\\u0000\"}", BAD},
    {"{\"a\":\"\\ud800\"}", BAD},
    {"{\"a\":\"\\ud800x\"}", BAD},
    {"{\"a\":\"\\ud800\\n\"}", BAD},
    {"{\"a\":\"\\ud800\\u0041\"}", BAD},
    {"{\"a\":\"\\udc00\"}", BAD},
    {"{\"a\":\"line\nbreak\"}", BAD},
    {"{\"a\":\"tab\there\"}", BAD},
    {"{\"a\":1}//", BAD},
    {"{\"a\":/**/1}", BAD},
    {"\xef\xbb\xbf{}", BAD},

    {"[]", JSON_SCAN_NOT_OBJECT},
    {"[{}]", JSON_SCAN_NOT_OBJECT},
    {"\"x\"", JSON_SCAN_NOT_OBJECT},
    {"12", JSON_SCAN_NOT_OBJECT},
    {"null", JSON_SCAN_NOT_OBJECT},

    {"{\"type\":1,\"type\":2}", JSON_SCAN_DUPLICATE},
    {"{\"type\":1,\"t\\u0079pe\":2}", JSON_SCAN_DUPLICATE},
    {"{\"\\u0074ype\":null,\"a\":{},\"type\":null}", JSON_SCAN_DUPLICATE},
    {"{\"a\":{\"type\":1,\"type\":2},\"type\":3}", OK}, /* only the top level is looked at */
};

static int scan_exact(struct slice text)
{
    struct json_want wants[] = {{.name = "type"}, {.name = "roomId"}};
    char *exact = malloc(text.len ? text.len : 1); /* the address sanitizer watches its end */
    int r;

    assert_non_null(exact);
    if (text.len)
        memcpy(exact, text.data, text.len);
    r = json_scan(slice_of(exact, text.len), wants, ARRAY_LEN(wants));
    free(exact);
    return r;
}

static void table(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        CHECK_EQ(scan_exact(slice_str(cases[i].text)), cases[i].want, cases[i].text);
    assert_int_equal(scan_exact(SLICE_LIT("{\"a\":\"x\0y\"}")), BAD);
    assert_int_equal(scan_exact(SLICE_LIT("{}\0")), BAD);
    assert_int_equal(scan_exact(SLICE_LIT("\0{}")), BAD);
    assert_int_equal(scan_exact(SLICE_LIT("{\"a\":\"\\\0\"}")), BAD);
}

/* Every proper prefix of a good text is refused. */
static void cut_texts_are_refused(void **state)
{
    struct slice good = SLICE_LIT("{\"type\":\"message\",\"n\":[1,-2.5e3,true,null],\"o\":{"
                                  "\"k\":\"\\ud83d\\ude00 \xe2\x82\xac\"}}");

    (void)state;
    assert_int_equal(scan_exact(good), OK);
    for (size_t n = 0; n < good.len; n++)
        CHECK_EQ(scan_exact(slice_of(good.data, n)), BAD, good.data + n);
}

static void depth_is_bounded(void **state)
{
    char text[2 * JSON_DEPTH_MAX + 16];

    (void)state;
    for (size_t extra = 0; extra < 2; extra++) {
        size_t arrays = JSON_DEPTH_MAX - 1 + extra; /* the top object is a level too */
        size_t len = 0;

        len += (size_t)sprintf(text, "{\"a\":");
        for (size_t i = 0; i < arrays; i++)
            text[len++] = '[';
        for (size_t i = 0; i < arrays; i++)
            text[len++] = ']';
        text[len++] = '}';
        assert_int_equal(scan_exact(slice_of(text, len)), extra ? JSON_SCAN_TOO_DEEP : OK);
    }
}

static void wanted_members_are_found(void **state)
{
    struct json_want wants[] = {{.name = "type"}, {.name = "count"}, {.name = "list"},
                                {.name = "obj"},  {.name = "gone"},  {.name = "yes"},
                                {.name = "no"},   {.name = "nil"}};
    struct slice text =
        SLICE_LIT("{\"x\":{\"type\":\"inner\"},\"type\":\"a\\nb\", \"count\" : -1.5 , "
                  "\"list\":[ 1, [2] ],"
                  "\"obj\":{ \"type\":{} }, \"yes\":true,\"no\":false,\"nil\":null}");
    static const struct {
        enum json_kind kind;
        const char *value;
    } want[] = {
        {JSON_KIND_STRING, "a\\nb"},
        {JSON_KIND_NUMBER, "-1.5"},
        {JSON_KIND_ARRAY, "[ 1, [2] ]"},
        {JSON_KIND_OBJECT, "{ \"type\":{} }"},
        {JSON_KIND_NONE, ""},
        {JSON_KIND_TRUE, "true"},
        {JSON_KIND_FALSE, "false"},
        {JSON_KIND_NULL, "null"},
    };
    struct slice decoded;
    char store[3];

    (void)state;
    assert_int_equal(json_scan(text, wants, ARRAY_LEN(wants)), 0);
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        CHECK_EQ(wants[i].kind, want[i].kind, wants[i].name);
        CHECK_SLICE(wants[i].value, want[i].value, wants[i].name);
    }
    assert_true(json_scan_string(&wants[0], store, 3, &decoded));
    CHECK_SLICE(decoded, "a\nb", "decoded");
    assert_false(json_scan_string(&wants[0], store, 2, &decoded));
    assert_false(json_scan_string(&wants[1], store, 3, &decoded));
    assert_int_equal(json_scan(SLICE_LIT("{\"type\":null}"), wants, ARRAY_LEN(wants)),
                     0); /* forgets the last scan */
    assert_int_equal(wants[1].kind, JSON_KIND_NONE);
}

static void escapes_become_utf8(void **state)
{
    static const struct {
        const char *body, *want;
    } strings[] = {
        {"\\u0041\\u00e9\\u20ac\\uD83D\\uDE00", "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\\u007f\\u0080\\u07ff\\u0800\\uffff", "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf"},
        {"\\ud800\\udc00\\udbff\\udfff", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
        {"\\\"\\\\\\/\\b\\f\\n\\r\\t.", "\"\\/\b\f\n\r\t."},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(strings); i++) {
        struct json_want want[] = {{.name = "s"}};
        struct slice decoded;
        char text[128], store[64];

        snprintf(text, sizeof(text), "{\"s\":\"%s\"}", strings[i].body);
        assert_int_equal(json_scan(slice_str(text), want, 1), 0);
        assert_true(want->has_escapes);
        assert_true(json_scan_string(want, store, sizeof(store), &decoded));
        CHECK_SLICE(decoded, strings[i].want, strings[i].body);
    }
}

static void frame_heads(void **state)
{
    struct json_frame_head head;
    char text[512], longest[CLIENT_ID_MAX + 2];

    (void)state;
    assert_int_equal(
        json_scan_frame(
            SLICE_LIT(
                "{\"type\":\"me\\u0073sage\",\"clientMessageId\":\"c\\/1\",\"roomId\":\"r\"}"),
            &head),
        0);
    CHECK_SLICE(head.type, "message", "type");
    CHECK_SLICE(head.client_message_id, "c/1", "clientMessageId");
    CHECK_SLICE(head.room_id, "r", "roomId");
    CHECK_SLICE(head.frame_id, "", "absent");
    assert_int_equal(
        json_scan_frame(SLICE_LIT("{\"type\":5,\"frameId\":null,\"roomId\":[]}"), &head), 0);
    CHECK_SLICE(head.type, "", "not a string");
    CHECK_SLICE(head.frame_id, "", "null");
    assert_int_equal(json_scan_frame(SLICE_LIT("{\"frameId\":1,\"frameId\":1}"), &head),
                     JSON_SCAN_DUPLICATE);

    memset(longest, 'x', sizeof(longest));
    longest[CLIENT_ID_MAX + 1] = '\0';
    snprintf(text, sizeof(text), "{\"frameId\":\"%s\",\"type\":\"\\u0078%s\"}", longest,
             longest + 1);
    assert_int_equal(json_scan_frame(slice_str(text), &head), 0);
    assert_int_equal(head.frame_id.len, 0); /* one too long, plain and escaped */
    assert_int_equal(head.type.len, 0);
    snprintf(text, sizeof(text), "{\"frameId\":\"%s\",\"type\":\"\\u0078%s\"}", longest + 1,
             longest + 2);
    assert_int_equal(json_scan_frame(slice_str(text), &head), 0);
    assert_int_equal(head.frame_id.len, CLIENT_ID_MAX);
    assert_int_equal(head.type.len, CLIENT_ID_MAX);
}

/* ---- against jansson ---- */

static uint64_t seed = 1;

static size_t pick(size_t n)
{
    seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (size_t)(seed >> 33) % n;
}

static size_t damage(char *text, size_t len, size_t cap)
{
    static const char bytes[] = "{}[]\",:\\u0019aedDtfn.-+E \n\x01\x80\xc3";
    size_t at = pick(len);

    switch (pick(4)) {
    case 0: /* replace */
        text[at] = bytes[pick(sizeof(bytes) - 1)];
        return len;
    case 1: /* insert */
        if (len == cap)
            return len;
        memmove(text + at + 1, text + at, len - at);
        text[at] = bytes[pick(sizeof(bytes) - 1)];
        return len + 1;
    case 2: /* take out */
        memmove(text + at, text + at + 1, len - at - 1);
        return len > 1 ? len - 1 : len;
    default: /* cut */
        return at ? at : len;
    }
}

static bool jansson_takes(struct slice text, json_error_t *error)
{
    json_t *json = json_loadb(text.data, text.len, 0, error);
    bool is_object = json_is_object(json);

    json_decref(json);
    return is_object;
}

static void agrees_with_jansson(void **state)
{
    size_t both = 0;

    (void)state;
    for (int round = 0; round < 200000; round++) {
        char text[256];
        size_t at = pick(round % 2 ? ARRAY_LEN(cases) : 11); /* the first ones are good */
        const char *from = cases[at].text;
        size_t len = strlen(from);
        json_error_t error;
        bool jansson;
        int scan;

        if (len == 0)
            continue;
        memcpy(text, from, len);
        for (size_t n = pick(3); n > 0; n--)
            len = damage(text, len, sizeof(text));
        scan = json_scan(slice_of(text, len), NULL, 0);
        jansson = jansson_takes(slice_of(text, len), &error);
        if (jansson && scan != 0)
            fail_msg("jansson takes, scan says %d: %.*s", scan, (int)len, text);
        if (!jansson && scan == 0 && utf8_is_valid(slice_of(text, len)) &&
            json_error_code(&error) != json_error_numeric_overflow)
            fail_msg("scan takes, jansson says %s: %.*s", error.text, (int)len, text);
        both += jansson && scan == 0;
    }
    assert_true(both > 10000); /* else the damage is too hard for this test to mean much */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table),
        cmocka_unit_test(cut_texts_are_refused),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(wanted_members_are_found),
        cmocka_unit_test(escapes_become_utf8),
        cmocka_unit_test(frame_heads),
        cmocka_unit_test(agrees_with_jansson),
    };

    return cmocka_run_group_tests_name("json_scan", tests, NULL, NULL);
}
