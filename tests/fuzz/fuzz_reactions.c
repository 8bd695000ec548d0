/*
 * fuzz_reactions.c - reactions of a message: a walk over any bytes ends, and
 * after any changes who has reacted with what is what a table says.
 */
#include "common/base/limits.h"
#include "common/base/macros.h"
#include "shard/room/reactions.h"
#include "tests/fuzz/fuzz.h"

static const char *const emojis[] = {"+1", "\xf0\x9f\x91\x8d", "a:b,[]{}", "-"};
static const char *const users[] = {"ann", "bob", "u_3", "A-4"};

struct table {
    bool has[ARRAY_LEN(emojis)][ARRAY_LEN(users)];
};

static size_t index_of(const char *const *names, size_t n, struct slice name)
{
    size_t i = 0;

    while (i < n && !slice_eq_str(name, names[i]))
        i++;
    FUZZ_CHECK(i < n);
    return i;
}

static bool note(void *arg, struct slice emoji, struct slice user)
{
    struct table *seen = arg;
    bool *has = &seen->has[index_of(emojis, ARRAY_LEN(emojis), emoji)]
                          [index_of(users, ARRAY_LEN(users), user)];

    FUZZ_CHECK(!*has);
    *has = true;
    return true;
}

/* Each byte adds or removes one of sixteen. */
static void change_and_compare(struct slice ops)
{
    struct table meant = {0};
    struct buf text = BUF_INIT;

    for (size_t i = 0; i < ops.len; i++) {
        unsigned op = (unsigned char)ops.data[i];
        const char *emoji = emojis[op & 3], *user = users[(op >> 2) & 3];
        bool is_added = op & 16, *has = &meant.has[op & 3][(op >> 2) & 3];
        struct table seen = {0};
        struct buf next = BUF_INIT;
        int r = reactions_change(buf_slice(&text), slice_str(emoji), slice_str(user), is_added,
                                 &next);

        FUZZ_CHECK(r == (*has == is_added ? REACTIONS_SAME : 0));
        if (r == 0) {
            buf_deinit(&text);
            text = next;
        } else {
            FUZZ_CHECK(next.len == 0);
            buf_deinit(&next);
        }
        *has = is_added;
        reactions_each(buf_slice(&text), note, &seen);
        FUZZ_CHECK(memcmp(&seen, &meant, sizeof(seen)) == 0);
    }
    buf_deinit(&text);
}

static bool count(void *arg, struct slice emoji, struct slice user)
{
    size_t *n = arg;

    (void)emoji;
    (void)user;
    return ++*n < REACTION_USERS_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of(data, size);
    AUTO_BUF out = BUF_INIT;
    AUTO_BUF counts = BUF_INIT;
    struct json_writer w = json_writer(&counts);
    size_t n = 0;

    reactions_each(text, count, &n);
    FUZZ_CHECK(n <= size);
    (void)reactions_change(text, slice_str("+1"), slice_str("ann"), true, &out);
    (void)reactions_change(text, slice_str("+1"), slice_str("ann"), false, &out);
    json_write_object(&w);
    reactions_write_counts(&w, text);
    json_write_object_end(&w);
    change_and_compare(slice_of(data, MIN(size, (size_t)200)));
    return 0;
}
