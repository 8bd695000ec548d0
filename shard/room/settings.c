/* settings.c - see settings.h. */
#include "shard/room/settings.h"
#include "shard/limits.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/utf8.h"

static const char *const policy_names[] = {
    [JOIN_OPEN] = "open", [JOIN_INVITE] = "invite", [JOIN_CLOSED] = "closed"};

static const char *const known[] = {"slowModeSeconds", "messagesPerMinute", "joinPolicy",
                                    "blockedWords"};

const char *join_policy_name(enum join_policy policy)
{
    return policy == JOIN_BY_TYPE ? NULL : policy_names[policy];
}

void room_settings_init(struct room_settings *settings)
{
    *settings = (struct room_settings){0};
}

void room_settings_deinit(struct room_settings *settings)
{
    free(settings->blocked_words);
    room_settings_init(settings);
}

bool room_settings_equal(const struct room_settings *a, const struct room_settings *b)
{
    if (a->slow_mode_s != b->slow_mode_s || a->messages_per_minute != b->messages_per_minute ||
        a->join_policy != b->join_policy || a->n_blocked_words != b->n_blocked_words)
        return false;
    for (size_t i = 0; i < a->n_blocked_words; i++) {
        if (!slice_eq(a->blocked_words[i], b->blocked_words[i]))
            return false;
    }
    return true;
}

/* An array with its texts behind it; NULL: out of memory. */
static struct slice *words_new(const struct slice *words, size_t n)
{
    size_t bytes = 0;
    struct slice *copy;
    char *at;

    for (size_t i = 0; i < n; i++)
        bytes += words[i].len;
    copy = malloc(n * sizeof(*copy) + bytes + 1);
    if (!copy)
        return NULL;
    at = (char *)&copy[n];
    for (size_t i = 0; i < n; i++) {
        memcpy(at, words[i].data, words[i].len);
        copy[i] = slice_of(at, words[i].len);
        at += words[i].len;
    }
    return copy;
}

int room_settings_copy(struct room_settings *to, const struct room_settings *from)
{
    struct slice *words = NULL;

    if (from->n_blocked_words > 0) {
        words = words_new(from->blocked_words, from->n_blocked_words);
        if (!words)
            return -ENOMEM;
    }
    free(to->blocked_words);
    *to = *from;
    to->blocked_words = words;
    return 0;
}

/* ---- reading ---- */

static bool names(const json_t *object, const char *key)
{
    return json_object_get(object, key) != NULL;
}

static void find_unknown(const json_t *object, struct json_fields *f)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        bool is_known = false;

        for (size_t i = 0; i < ARRAY_LEN(known) && !is_known; i++)
            is_known = slice_eq_str(slice_str(key), known[i]);
        if (!is_known)
            json_fields_fail(f, ERROR_invalid_settings, "settings.%.64s is not known", key);
    }
}

static uint32_t read_number(struct json_fields *f, const char *key, uint32_t old, int64_t min,
                            int64_t max)
{
    if (!names(f->object, key))
        return old;
    return (uint32_t)json_get_int_opt(f, key, 0, min, max, ERROR_invalid_settings);
}

static enum join_policy read_policy(struct json_fields *f, enum join_policy old)
{
    struct slice name;

    if (!names(f->object, "joinPolicy"))
        return old;
    name = json_get_str_opt(f, "joinPolicy", 1, 16, ERROR_invalid_settings);
    if (!name.data)
        return JOIN_BY_TYPE;
    for (size_t i = JOIN_OPEN; i < ARRAY_LEN(policy_names); i++) {
        if (slice_eq_str(name, policy_names[i]))
            return (enum join_policy)i;
    }
    json_fields_fail(f, ERROR_invalid_settings, "joinPolicy must be open, invite or closed");
    return old;
}

/* Nobody types control characters, and as JSON they would be six times as long. */
static bool is_blocked_word(struct slice word)
{
    if (word.len == 0 || word.len > BLOCKED_WORD_MAX)
        return false;
    for (size_t i = 0; i < word.len; i++) {
        if ((unsigned char)word.data[i] < ' ')
            return false;
    }
    return true;
}

/* What has been taken can be written and loaded again. */
#define WORDS_JSON_MAX (BLOCKED_WORDS_MAX * (2 * BLOCKED_WORD_MAX + sizeof("\"\",")))
_Static_assert(WORDS_JSON_MAX + 256 < ROOM_SETTINGS_MAX, "settings fit into their row");

/* NULL with f failed, or NULL without: out of memory. */
static struct slice *read_words(struct json_fields *f, const json_t *list)
{
    struct slice words[BLOCKED_WORDS_MAX];
    size_t n = json_array_size(list);

    for (size_t i = 0; i < n; i++) {
        words[i] = utf8_trim(json_slice(json_array_get(list, i)));
        if (!is_blocked_word(words[i])) {
            json_fields_fail(f, ERROR_invalid_settings,
                             "blockedWords[%zu] must be a text of 1 to %u bytes without "
                             "control characters",
                             i, BLOCKED_WORD_MAX);
            return NULL;
        }
    }
    return words_new(words, n);
}

int room_settings_merge(struct room_settings *settings, const json_t *object,
                        struct json_fields *f)
{
    struct json_fields in = json_fields(object);
    struct room_settings fresh = *settings;
    bool has_words = names(object, "blockedWords");
    const json_t *list;

    find_unknown(object, &in);
    fresh.slow_mode_s =
        read_number(&in, "slowModeSeconds", settings->slow_mode_s, 0, SLOW_MODE_MAX_S);
    fresh.messages_per_minute =
        read_number(&in, "messagesPerMinute", settings->messages_per_minute, 1, ROOM_RATE_MAX);
    fresh.join_policy = read_policy(&in, settings->join_policy);
    list = json_get_array_opt(&in, "blockedWords", BLOCKED_WORDS_MAX, ERROR_invalid_settings);
    if (has_words) {
        fresh.blocked_words = NULL;
        fresh.n_blocked_words = 0;
    }
    if (!json_fields_failed(&in) && json_array_size(list) > 0) {
        fresh.blocked_words = read_words(&in, list);
        fresh.n_blocked_words = json_array_size(list);
        if (!fresh.blocked_words && !json_fields_failed(&in))
            return -ENOMEM;
    }
    if (json_fields_failed(&in)) {
        json_fields_fail(f, in.error, "%s", in.detail);
        return 0;
    }
    if (has_words)
        free(settings->blocked_words);
    *settings = fresh;
    return 0;
}

/* Each member for itself, so that one that is of no use does not cost the others. */
int room_settings_load(struct room_settings *settings, struct slice json)
{
    AUTO(json_free) json_t *object = NULL;
    struct room_settings fresh;
    int r = 0;

    room_settings_init(&fresh);
    if (json.len > 0)
        r = json_load_object(json, ROOM_SETTINGS_MAX, &object);
    for (size_t i = 0; i < ARRAY_LEN(known) && r >= 0; i++) {
        json_t *value = json_object_get(object, known[i]);
        AUTO(json_free) json_t *one = value ? json_pack("{s:O}", known[i], value) : NULL;
        struct json_fields f = json_fields(one);

        if (value && !one)
            r = -ENOMEM;
        else if (one)
            r = room_settings_merge(&fresh, one, &f);
    }
    if (r < 0) {
        room_settings_deinit(&fresh);
        return r;
    }
    room_settings_deinit(settings);
    *settings = fresh;
    return 0;
}

/* ---- writing ---- */

void room_settings_write(struct json_writer *w, const struct room_settings *settings,
                         bool with_blocked_words)
{
    json_write_object(w);
    json_field_u64(w, "slowModeSeconds", settings->slow_mode_s);
    if (settings->messages_per_minute)
        json_field_u64(w, "messagesPerMinute", settings->messages_per_minute);
    else
        json_field_null(w, "messagesPerMinute");
    if (settings->join_policy == JOIN_BY_TYPE)
        json_field_null(w, "joinPolicy");
    else
        json_field_str(w, "joinPolicy", slice_str(policy_names[settings->join_policy]));
    if (with_blocked_words) {
        json_field_array(w, "blockedWords");
        for (size_t i = 0; i < settings->n_blocked_words; i++)
            json_write_str(w, settings->blocked_words[i]);
        json_write_array_end(w);
    }
    json_write_object_end(w);
}
