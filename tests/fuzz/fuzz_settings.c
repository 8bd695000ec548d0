/*
 * fuzz_settings.c - settings of a room: what is taken from a request can be
 * written, read again, and is the same; what is refused has a word and changes
 * nothing.
 */
#include "common/base/utf8.h"
#include "shard/limits.h"
#include "shard/room/settings.h"
#include "tests/fuzz/fuzz.h"

static void check_bounds(const struct room_settings *s)
{
    FUZZ_CHECK(s->slow_mode_s <= SLOW_MODE_MAX_S);
    FUZZ_CHECK(s->messages_per_minute <= ROOM_RATE_MAX);
    FUZZ_CHECK(s->n_blocked_words <= BLOCKED_WORDS_MAX);
    for (size_t i = 0; i < s->n_blocked_words; i++)
        FUZZ_CHECK(s->blocked_words[i].len > 0 &&
                   utf8_code_points(s->blocked_words[i]) <= BLOCKED_WORD_MAX);
}

static void check_written(const struct room_settings *settings)
{
    AUTO_BUF out = BUF_INIT;
    struct json_writer w = json_writer(&out);
    struct room_settings again;

    room_settings_write(&w, settings, true);
    room_settings_init(&again);
    FUZZ_CHECK(room_settings_load(&again, buf_slice(&out)) == 0);
    FUZZ_CHECK(room_settings_equal(settings, &again));
    room_settings_deinit(&again);
}

static void merge(const json_t *json)
{
    struct room_settings settings, before;
    struct json_fields f = json_fields(json);

    room_settings_init(&settings);
    room_settings_init(&before);
    FUZZ_CHECK(room_settings_merge(&settings, json, &f) == 0);
    if (json_fields_failed(&f))
        FUZZ_CHECK(f.detail[0] && room_settings_equal(&settings, &before));
    check_bounds(&settings);
    check_written(&settings);
    room_settings_deinit(&before);
    room_settings_deinit(&settings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of(data, size);
    AUTO(json_free) json_t *json = NULL;
    struct room_settings loaded;

    if (json_load_object(text, ROOM_SETTINGS_MAX, &json) == 0)
        merge(json);
    room_settings_init(&loaded);
    FUZZ_CHECK(room_settings_load(&loaded, text) == 0);
    check_bounds(&loaded);
    room_settings_deinit(&loaded);
    return 0;
}
