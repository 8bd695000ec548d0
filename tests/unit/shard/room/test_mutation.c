/* test_mutation.c - changes of entries, reactions, who may see a whisper. */
#include "tests/support/test.h"

#include "common/base/limits.h"
#include "common/json/json_read.h"
#include "shard/room/audience.h"
#include "shard/room/mutation.h"
#include "shard/room/reactions.h"

#define NOW_US INT64_C(1767225600000000)

static struct entry *message(void)
{
    struct entry from = {.kind = ENTRY_MESSAGE,
                         .seq = 3,
                         .updated_seq = 3,
                         .id = 103,
                         .created_us = NOW_US - 1000,
                         .version = 1,
                         .user = SLICE_LIT("ann"),
                         .client_id = SLICE_LIT("c1"),
                         .content = SLICE_LIT("hello"),
                         .extra = SLICE_LIT("{\"mentions\":[],\"attachments\":[]}")};
    struct entry *e = entry_new(&from);

    assert_non_null(e);
    return e;
}

/* Applies and returns the answer; *ret_entry is set for 0. */
static int apply(struct mutation what, const struct entry *base, uint64_t seq,
                 struct entry **ret_entry, enum error_code *ret_error)
{
    AUTO(mutation_unref) struct mutation *m = mutation_new(&what);

    assert_non_null(m);
    *ret_entry = NULL;
    *ret_error = ERROR_NONE;
    return mutation_apply(m, base, seq, NOW_US, ret_entry, ret_error);
}

static void an_edit_is_the_author_s(void **state)
{
    AUTO(entry_unref) struct entry *base = message();
    AUTO(entry_unref) struct entry *next = NULL;
    struct mutation edit = {
        .kind = MUTATION_EDIT, .actor = SLICE_LIT("ann"), .content = SLICE_LIT("hi")};
    struct entry *none;
    enum error_code error;

    (void)state;
    assert_int_equal(apply(edit, base, 9, &next, &error), 0);
    assert_int_equal(next->seq, 3);
    assert_int_equal(next->updated_seq, 9);
    assert_int_equal(next->version, 2);
    assert_int_equal(next->edited_us, NOW_US);
    assert_true(slice_eq_str(next->content, "hi"));
    assert_true(slice_eq_str(next->client_id, "c1"));
    assert_true(slice_eq_str(base->content, "hello")); /* images are immutable */
    edit.actor = SLICE_LIT("bob");
    assert_int_equal(apply(edit, base, 9, &none, &error), MUTATION_REFUSED);
    assert_int_equal(error, ERROR_forbidden);
    edit.is_any_author = true;
    assert_int_equal(apply(edit, base, 9, &none, &error), 0);
    entry_unref(none);
}

static void a_tombstone_keeps_no_words(void **state)
{
    AUTO(entry_unref) struct entry *base = message();
    AUTO(entry_unref) struct entry *gone = NULL;
    AUTO(entry_unref) struct entry *hard = NULL;
    struct mutation what = {.kind = MUTATION_DELETE, .actor = SLICE_LIT("ann")};
    struct entry *none;
    enum error_code error;

    (void)state;
    assert_int_equal(apply(what, base, 9, &gone, &error), 0);
    assert_int_equal(gone->deleted_us, NOW_US);
    assert_int_equal(gone->content.len + gone->extra.len + gone->reactions.len, 0);
    assert_int_equal(gone->client_id.len, 2);
    assert_int_equal(apply(what, gone, 10, &none, &error), MUTATION_NOTHING);
    what.actor = SLICE_LIT("bob");
    assert_int_equal(apply(what, gone, 10, &none, &error), MUTATION_REFUSED);
    what.is_any_author = what.is_hard = true;
    assert_int_equal(apply(what, gone, 10, &hard, &error), 0);
    assert_true(hard->flags & ENTRY_HARD);
    assert_int_equal(hard->deleted_us, gone->deleted_us);
    assert_int_equal(hard->client_id.len, 0);
    what = (struct mutation){
        .kind = MUTATION_EDIT, .actor = SLICE_LIT("ann"), .content = SLICE_LIT("x")};
    assert_int_equal(apply(what, gone, 10, &none, &error), MUTATION_REFUSED);
    assert_int_equal(error, ERROR_message_deleted);
    what = (struct mutation){.kind = MUTATION_REACTION,
                             .actor = SLICE_LIT("bob"),
                             .emoji = SLICE_LIT("+1"),
                             .is_added = true};
    assert_int_equal(apply(what, gone, 10, &none, &error), MUTATION_REFUSED);
    assert_int_equal(error, ERROR_message_deleted);
}

static void an_expiry_waits_for_its_time(void **state)
{
    struct entry *base = message();
    AUTO(entry_unref) struct entry *gone = NULL;
    struct mutation what = {.kind = MUTATION_EXPIRE};
    struct entry *none;
    enum error_code error;

    (void)state;
    assert_int_equal(apply(what, base, 9, &none, &error), MUTATION_NOTHING);
    base->expires_us = NOW_US + 1;
    assert_int_equal(apply(what, base, 9, &none, &error), MUTATION_NOTHING);
    assert_true(entry_is_live(base, NOW_US));
    base->expires_us = NOW_US;
    assert_false(entry_is_live(base, NOW_US));
    assert_int_equal(apply(what, base, 9, &gone, &error), 0);
    assert_true(gone->flags & ENTRY_EXPIRED);
    entry_unref(base);
}

static void a_stream_ends_once(void **state)
{
    struct entry *base = message();
    AUTO(entry_unref) struct entry *done = NULL;
    struct mutation end = {.kind = MUTATION_STREAM_END,
                           .actor = SLICE_LIT("ann"),
                           .content = SLICE_LIT("all of it")};
    struct mutation edit = {
        .kind = MUTATION_EDIT, .actor = SLICE_LIT("ann"), .content = SLICE_LIT("x")};
    struct entry *none;
    enum error_code error;

    (void)state;
    base->flags = ENTRY_STREAMING;
    assert_int_equal(apply(edit, base, 9, &none, &error), MUTATION_REFUSED);
    assert_int_equal(error, ERROR_message_streaming);
    assert_int_equal(apply(end, base, 9, &done, &error), 0);
    assert_int_equal(done->flags, 0);
    assert_int_equal(done->version, 1);
    assert_int_equal(apply(end, done, 10, &none, &error), MUTATION_NOTHING);
    entry_unref(base);
}

static void only_messages_change(void **state)
{
    struct entry *base = message();
    struct mutation edit = {
        .kind = MUTATION_EDIT, .actor = SLICE_LIT("ann"), .content = SLICE_LIT("x")};
    struct entry *none;
    enum error_code error;

    (void)state;
    base->kind = ENTRY_MEMBERSHIP;
    assert_int_equal(apply(edit, base, 9, &none, &error), MUTATION_REFUSED);
    assert_int_equal(error, ERROR_message_not_found);
    entry_unref(base);
}

/* ---- reactions ---- */

static void check_change(const char *from, const char *emoji, const char *user, bool is_added,
                         int answer, const char *want)
{
    AUTO_BUF out = BUF_INIT;

    assert_int_equal(
        reactions_change(slice_str(from), slice_str(emoji), slice_str(user), is_added, &out),
        answer);
    if (answer == 0)
        assert_true(slice_eq_str(buf_slice(&out), want));
}

static void reactions_come_and_go(void **state)
{
    (void)state;
    check_change("", "+1", "ann", true, 0, "{\"+1\":[\"ann\"]}");
    check_change("{\"+1\":[\"ann\"]}", "+1", "bob", true, 0, "{\"+1\":[\"ann\",\"bob\"]}");
    check_change("{\"+1\":[\"ann\"]}", "\xf0\x9f\x91\x8d", "ann", true, 0,
                 "{\"+1\":[\"ann\"],\"\xf0\x9f\x91\x8d\":[\"ann\"]}");
    check_change("{\"+1\":[\"ann\"]}", "+1", "ann", true, REACTIONS_SAME, NULL);
    check_change("{\"+1\":[\"ann\"]}", "+1", "bob", false, REACTIONS_SAME, NULL);
    check_change("{\"+1\":[\"ann\"]}", "-1", "ann", false, REACTIONS_SAME, NULL);
    check_change("{\"+1\":[\"ann\",\"bob\"],\"-1\":[\"ann\"]}", "+1", "ann", false, 0,
                 "{\"+1\":[\"bob\"],\"-1\":[\"ann\"]}");
    check_change("{\"+1\":[\"bob\"],\"-1\":[\"ann\"]}", "+1", "bob", false, 0,
                 "{\"-1\":[\"ann\"]}");
    check_change("{\"+1\":[\"ann\"]}", "+1", "ann", false, 0, "");
    /* A name that is the beginning of another is another. */
    check_change("{\"+1\":[\"annabel\"]}", "+1", "ann", true, 0,
                 "{\"+1\":[\"annabel\",\"ann\"]}");
}

static void reactions_are_bounded(void **state)
{
    AUTO_BUF text = BUF_INIT;
    AUTO_BUF out = BUF_INIT;

    (void)state;
    for (int i = 0; i < REACTION_KINDS_MAX; i++)
        buf_printf(&text, "%c\"e%d\":[\"ann\"]", i == 0 ? '{' : ',', i);
    buf_put_char(&text, '}');
    assert_int_equal(
        reactions_change(buf_slice(&text), SLICE_LIT("new"), SLICE_LIT("bob"), true, &out),
        REACTIONS_FULL);
    assert_int_equal(
        reactions_change(buf_slice(&text), SLICE_LIT("e7"), SLICE_LIT("bob"), true, &out), 0);
    buf_clear(&text);
    buf_put_str(&text, "{\"+1\":[");
    for (int i = 0; i < REACTION_USERS_MAX; i++)
        buf_printf(&text, "%s\"u%d\"", i == 0 ? "" : ",", i);
    buf_put_str(&text, "]}");
    assert_int_equal(
        reactions_change(buf_slice(&text), SLICE_LIT("+1"), SLICE_LIT("bob"), true, &out),
        REACTIONS_FULL);
}

static void what_is_no_reactions_ends_the_walk(void **state)
{
    static const char *const texts[] = {
        "{",          "{\"",           "{\"a\"", "{\"a\":",        "{\"a\":[",
        "{\"a\":[\"", "{\"a\":[\"b\"", "[]",     "{\"a\":[\"b\"]", "nonsense"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        AUTO_BUF out = BUF_INIT;
        struct json_writer w = json_writer(&out);

        json_write_object(&w);
        reactions_write_counts(&w, slice_str(texts[i]));
        json_write_object_end(&w);
        assert_false(buf_failed(&out));
    }
}

static void emoji_hold_nothing_that_json_escapes(void **state)
{
    char longest[REACTION_EMOJI_MAX + 2];

    (void)state;
    assert_true(reaction_emoji_is_valid(SLICE_LIT("+1")));
    assert_true(reaction_emoji_is_valid(SLICE_LIT("\xf0\x9f\x91\x8d\xf0\x9f\x8f\xbd")));
    assert_true(reaction_emoji_is_valid(SLICE_LIT(":party:")));
    assert_false(reaction_emoji_is_valid(SLICE_LIT("")));
    assert_false(reaction_emoji_is_valid(SLICE_LIT("a b")));
    assert_false(reaction_emoji_is_valid(SLICE_LIT("a\"b")));
    assert_false(reaction_emoji_is_valid(SLICE_LIT("a\\b")));
    assert_false(reaction_emoji_is_valid(SLICE_LIT("a\nb")));
    assert_false(reaction_emoji_is_valid(SLICE_LIT("\xff")));
    memset(longest, 'x', sizeof(longest));
    assert_true(reaction_emoji_is_valid(slice_of(longest, REACTION_EMOJI_MAX)));
    assert_false(reaction_emoji_is_valid(slice_of(longest, REACTION_EMOJI_MAX + 1)));
}

/* ---- whispers ---- */

static void audiences(void **state)
{
    static const struct {
        const char *names, *want;
        int answer;
    } cases[] = {
        {"[\"bob\"]", "ann,bob", 0},
        {"[\"bob\",\"bob\",\"ann\"]", "ann,bob", 0},
        {"[\"role:moderator\"]", "ann,cyd", 0},
        {"[\"role:moderator\",\"bob\"]", "ann,cyd,bob", 0},
        {"[\"ann\"]", "", AUDIENCE_EMPTY},
        {"[\"role:nonsense\"]", "", AUDIENCE_EMPTY},
        {"[\"eve\"]", "", AUDIENCE_NOT_MEMBER},
        {"[\"bo\"]", "", AUDIENCE_NOT_MEMBER},
    };
    struct members members;

    (void)state;
    members_init(&members);
    assert_int_equal(members_apply(&members, SLICE_LIT("ann"), ROLE_OWNER, 1), 0);
    assert_int_equal(members_apply(&members, SLICE_LIT("bob"), ROLE_MEMBER, 2), 0);
    assert_int_equal(members_apply(&members, SLICE_LIT("cyd"), ROLE_MODERATOR, 3), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(json_free) json_t *names = json_loads(cases[i].names, 0, NULL);
        AUTO_BUF out = BUF_INIT;

        assert_int_equal(audience_write(&out, SLICE_LIT("ann"), names, &members),
                         cases[i].answer);
        if (cases[i].answer == 0)
            assert_true(slice_eq_str(buf_slice(&out), cases[i].want));
    }
    assert_true(audience_has(SLICE_LIT(""), SLICE_LIT("anybody")));
    assert_true(audience_has(SLICE_LIT("ann,bob"), SLICE_LIT("bob")));
    assert_true(audience_includes(SLICE_LIT("ann,bob,cid"), SLICE_LIT("cid,ann")));
    assert_false(audience_includes(SLICE_LIT("ann,bob"), SLICE_LIT("ann,bo")));
    assert_false(audience_includes(SLICE_LIT("ann,bob"), SLICE_LIT("ann,cid")));
    assert_false(audience_has(SLICE_LIT("ann,bob"), SLICE_LIT("bo")));
    assert_false(audience_has(SLICE_LIT("ann,bob"), SLICE_LIT("ann,bob")));
    members_deinit(&members);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_edit_is_the_author_s),
        cmocka_unit_test(a_tombstone_keeps_no_words),
        cmocka_unit_test(an_expiry_waits_for_its_time),
        cmocka_unit_test(a_stream_ends_once),
        cmocka_unit_test(only_messages_change),
        cmocka_unit_test(reactions_come_and_go),
        cmocka_unit_test(reactions_are_bounded),
        cmocka_unit_test(what_is_no_reactions_ends_the_walk),
        cmocka_unit_test(emoji_hold_nothing_that_json_escapes),
        cmocka_unit_test(audiences),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
