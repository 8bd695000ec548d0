/* test_settings.c - what may be set for a room, what is refused, and that it survives its text.
 */
#include "tests/support/test.h"

#include <stdlib.h>

#include "common/base/limits.h"
#include "shard/limits.h"
#include "shard/room/settings.h"

/* Merges a text; the error word, or ERROR_NONE. */
static enum error_code merge(struct room_settings *settings, const char *text, char detail[160])
{
    AUTO(json_free) json_t *object = NULL;
    struct json_fields f;

    assert_int_equal(json_load_object(slice_str(text), HTTP_BODY_MAX, &object), 0);
    f = json_fields(object);
    assert_int_equal(room_settings_merge(settings, object, &f), 0);
    if (detail)
        (void)snprintf(detail, 160, "%s", f.detail);
    return f.error;
}

static bool is_default(const struct room_settings *settings)
{
    const struct room_settings none = {0};

    return room_settings_equal(settings, &none);
}

static void check_text(const struct room_settings *settings, bool with_words, const char *want)
{
    AUTO_BUF out = BUF_INIT;
    struct json_writer w = json_writer(&out);

    room_settings_write(&w, settings, with_words);
    CHECK_SLICE(buf_slice(&out), want, "text");
}

static void members_replace_and_null_sets_back(void **state)
{
    struct room_settings s;

    (void)state;
    room_settings_init(&s);
    assert_true(is_default(&s));
    assert_int_equal(merge(&s, "{\"slowModeSeconds\":30,\"joinPolicy\":\"closed\"}", NULL), 0);
    assert_int_equal(
        merge(&s, "{\"blockedWords\":[\" foo \",\"b\\\"r\"],\"messagesPerMinute\":5}", NULL),
        0);
    assert_int_equal(s.slow_mode_s, 30);
    assert_int_equal(s.join_policy, JOIN_CLOSED);
    assert_int_equal(s.messages_per_minute, 5);
    assert_int_equal(s.n_blocked_words, 2);
    CHECK_SLICE(s.blocked_words[0], "foo", "trimmed");
    check_text(&s, true,
               "{\"slowModeSeconds\":30,\"messagesPerMinute\":5,\"joinPolicy\":\"closed\","
               "\"blockedWords\":[\"foo\",\"b\\\"r\"]}");
    check_text(&s, false,
               "{\"slowModeSeconds\":30,\"messagesPerMinute\":5,\"joinPolicy\":\"closed\"}");
    assert_int_equal(merge(&s, "{}", NULL), 0);
    assert_int_equal(s.n_blocked_words, 2);
    assert_int_equal(merge(&s,
                           "{\"slowModeSeconds\":null,\"messagesPerMinute\":null,"
                           "\"joinPolicy\":null,\"blockedWords\":null}",
                           NULL),
                     0);
    assert_true(is_default(&s));
    assert_int_equal(merge(&s, "{\"blockedWords\":[]}", NULL), 0);
    assert_true(is_default(&s));
    room_settings_deinit(&s);
}

static void bad_members_are_named_and_change_nothing(void **state)
{
    static const struct {
        const char *text, *names;
    } rows[] = {
        {"{\"slowMode\":1}", "settings.slowMode"},
        {"{\"slowModeSeconds\":-1}", "slowModeSeconds"},
        {"{\"slowModeSeconds\":86401}", "slowModeSeconds"},
        {"{\"slowModeSeconds\":1.5}", "slowModeSeconds"},
        {"{\"slowModeSeconds\":\"1\"}", "slowModeSeconds"},
        {"{\"messagesPerMinute\":0}", "messagesPerMinute"},
        {"{\"messagesPerMinute\":6001}", "messagesPerMinute"},
        {"{\"joinPolicy\":\"ajar\"}", "joinPolicy"},
        {"{\"joinPolicy\":3}", "joinPolicy"},
        {"{\"blockedWords\":\"x\"}", "blockedWords"},
        {"{\"blockedWords\":[\"x\",\"  \"]}", "blockedWords[1]"},
        {"{\"blockedWords\":[7]}", "blockedWords[0]"},
        {"{\"blockedWords\":[\"a\\tb\"]}", "blockedWords[0]"},
        {"{\"slowModeSeconds\":7,\"blockedWords\":[{}]}", "blockedWords[0]"},
    };
    char detail[160], before[] = "{\"slowModeSeconds\":3,\"messagesPerMinute\":null,"
                                 "\"joinPolicy\":null,\"blockedWords\":[\"old\"]}";
    struct room_settings s;

    (void)state;
    room_settings_init(&s);
    assert_int_equal(merge(&s, "{\"slowModeSeconds\":3,\"blockedWords\":[\"old\"]}", NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CHECK_EQ(merge(&s, rows[i].text, detail), ERROR_invalid_settings, rows[i].text);
        CHECK(strstr(detail, rows[i].names) != NULL, rows[i].text);
        check_text(&s, true, before);
    }
    room_settings_deinit(&s);
}

static void lists_have_bounds(void **state)
{
    AUTO_BUF text = BUF_INIT;
    char word[BLOCKED_WORD_MAX + 2];
    struct room_settings s;

    (void)state;
    room_settings_init(&s);
    memset(word, 'w', sizeof(word));
    for (unsigned len = BLOCKED_WORD_MAX; len <= BLOCKED_WORD_MAX + 1; len++) {
        char one[128];

        (void)snprintf(one, sizeof(one), "{\"blockedWords\":[\"%.*s\"]}", (int)len, word);
        CHECK_EQ(merge(&s, one, NULL),
                 len == BLOCKED_WORD_MAX ? ERROR_NONE : ERROR_invalid_settings, one);
    }
    buf_put_slice(&text, SLICE_LIT("{\"blockedWords\":[\"a\""));
    for (unsigned i = 0; i < BLOCKED_WORDS_MAX; i++)
        buf_put_slice(&text, SLICE_LIT(",\"a\""));
    buf_put(&text, "]}", 3);
    CHECK_EQ(merge(&s, text.data, NULL), ERROR_invalid_settings, "too many words");
    CHECK_EQ(s.n_blocked_words, 1, "kept");
    room_settings_deinit(&s);
}

static void copies_are_equal_and_their_own(void **state)
{
    struct room_settings s, copy;

    (void)state;
    room_settings_init(&s);
    room_settings_init(&copy);
    assert_int_equal(merge(&s, "{\"slowModeSeconds\":3,\"blockedWords\":[\"a\",\"b\"]}", NULL),
                     0);
    assert_int_equal(room_settings_copy(&copy, &s), 0);
    assert_true(room_settings_equal(&copy, &s));
    assert_int_equal(merge(&s, "{\"blockedWords\":[\"a\",\"c\"]}", NULL), 0);
    assert_false(room_settings_equal(&copy, &s));
    assert_int_equal(room_settings_copy(&copy, &s), 0);
    room_settings_deinit(&s);
    CHECK_SLICE(copy.blocked_words[1], "c", "outlives its original");
    room_settings_deinit(&copy);
}

static void what_was_stored_is_loaded(void **state)
{
    struct room_settings s;

    (void)state;
    room_settings_init(&s);
    assert_int_equal(room_settings_load(&s, SLICE_LIT("{\"slowModeSeconds\":9,\"joinPolicy\":"
                                                      "\"open\",\"blockedWords\":[\"x\"]}")),
                     0);
    assert_int_equal(s.slow_mode_s, 9);
    assert_int_equal(s.join_policy, JOIN_OPEN);
    assert_int_equal(s.n_blocked_words, 1);
    assert_int_equal(room_settings_load(&s, slice_of(NULL, 0)), 0);
    assert_true(is_default(&s));
    /* Of a newer version: what is not known, or no longer in range, does not cost the rest. */
    assert_int_equal(room_settings_load(&s, SLICE_LIT("{\"slowModeSeconds\":-4,\"new\":{},"
                                                      "\"messagesPerMinute\":12}")),
                     0);
    assert_int_equal(s.slow_mode_s, 0);
    assert_int_equal(s.messages_per_minute, 12);
    assert_int_equal(room_settings_load(&s, SLICE_LIT("nonsense")), 0);
    assert_true(is_default(&s));
    room_settings_deinit(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_replace_and_null_sets_back),
        cmocka_unit_test(bad_members_are_named_and_change_nothing),
        cmocka_unit_test(lists_have_bounds),
        cmocka_unit_test(copies_are_equal_and_their_own),
        cmocka_unit_test(what_was_stored_is_loaded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
