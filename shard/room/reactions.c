/*
 * reactions.c - see reactions.h. The text is our own and has one form: no spaces,
 * and neither emoji nor users hold anything that JSON would escape. So it is
 * walked over in place; what does not look like that ends the walk.
 */
#include "shard/room/reactions.h"

#include <errno.h>

#include "common/base/limits.h"
#include "common/base/utf8.h"

bool reaction_emoji_is_valid(struct slice emoji)
{
    if (emoji.len < 1 || emoji.len > REACTION_EMOJI_MAX || !utf8_is_valid(emoji))
        return false;
    for (size_t i = 0; i < emoji.len; i++) {
        unsigned char c = (unsigned char)emoji.data[i];

        if (c <= ' ' || c == 0x7f || c == '"' || c == '\\')
            return false;
    }
    return true;
}

struct walk {
    const char *at, *end;
};

static struct walk walk_of(struct slice text)
{
    return (struct walk){text.data, text.len ? text.data + text.len : text.data};
}

static bool take(struct walk *w, char c)
{
    if (w->at == w->end || *w->at != c)
        return false;
    w->at++;
    return true;
}

static bool take_string(struct walk *w, struct slice *ret)
{
    const char *close;

    if (!take(w, '"'))
        return false;
    close = memchr(w->at, '"', (size_t)(w->end - w->at));
    if (!close)
        return false;
    *ret = slice_of(w->at, (size_t)(close - w->at));
    w->at = close + 1;
    return true;
}

/* The next "<emoji>":[ ; the walk then stands before its first user. */
static bool take_emoji(struct walk *w, struct slice *ret)
{
    if (!take(w, '{') && !take(w, ','))
        return false;
    return take_string(w, ret) && take(w, ':') && take(w, '[');
}

/* The next user; false at the end of the list, behind which the walk then stands. */
static bool take_user(struct walk *w, struct slice *ret)
{
    (void)take(w, ',');
    if (take_string(w, ret))
        return true;
    (void)take(w, ']');
    return false;
}

void reactions_each(struct slice reactions, reactions_fn fn, void *arg)
{
    struct walk w = walk_of(reactions);
    struct slice emoji, user;

    while (take_emoji(&w, &emoji)) {
        while (take_user(&w, &user)) {
            if (!fn(arg, emoji, user))
                return;
        }
    }
}

void reactions_write_counts(struct json_writer *w, struct slice reactions)
{
    struct walk walk = walk_of(reactions);
    struct slice emoji, user;

    while (take_emoji(&walk, &emoji)) {
        uint64_t n = 0;

        while (take_user(&walk, &user))
            n++;
        json_write_key_slice(w, emoji);
        json_write_u64(w, n);
    }
}

/* ---- changing ---- */

struct tally {
    struct slice emoji, user;
    size_t n_emoji, n_users;
    struct slice last;
    bool has_emoji, has_user;
};

static bool count(void *arg, struct slice emoji, struct slice user)
{
    struct tally *t = arg;

    t->n_users++;
    if (t->n_users == 1 || !slice_eq(emoji, t->last))
        t->n_emoji++;
    t->last = emoji;
    if (slice_eq(emoji, t->emoji)) {
        t->has_emoji = true;
        t->has_user |= slice_eq(user, t->user);
    }
    return true;
}

static void put_quoted(struct buf *out, struct slice s)
{
    buf_put_char(out, '"');
    buf_put_slice(out, s);
    buf_put_char(out, '"');
}

/* One emoji with its users, without those that are left out; nothing when none is left. */
struct list_writer {
    struct buf *out;
    size_t n_emoji, n_users;
};

static void write_user(struct list_writer *w, struct slice emoji, struct slice user)
{
    if (w->n_users++ == 0) {
        buf_put_char(w->out, w->n_emoji++ == 0 ? '{' : ',');
        put_quoted(w->out, emoji);
        buf_put_str(w->out, ":[");
    } else {
        buf_put_char(w->out, ',');
    }
    put_quoted(w->out, user);
}

static void write_end(struct list_writer *w)
{
    if (w->n_users > 0)
        buf_put_char(w->out, ']');
    w->n_users = 0;
}

int reactions_change(struct slice reactions, struct slice emoji, struct slice user,
                     bool is_added, struct buf *out)
{
    struct tally tally = {.emoji = emoji, .user = user};
    struct list_writer w = {.out = out};
    struct walk walk = walk_of(reactions);
    struct slice e, u;

    reactions_each(reactions, count, &tally);
    if (tally.has_user == is_added)
        return REACTIONS_SAME;
    if (is_added && (tally.n_users >= REACTION_USERS_MAX ||
                     (!tally.has_emoji && tally.n_emoji >= REACTION_KINDS_MAX)))
        return REACTIONS_FULL;
    while (take_emoji(&walk, &e)) {
        bool is_this = slice_eq(e, emoji);

        while (take_user(&walk, &u)) {
            if (is_added || !is_this || !slice_eq(u, user))
                write_user(&w, e, u);
        }
        if (is_added && is_this)
            write_user(&w, e, user);
        write_end(&w);
    }
    if (is_added && !tally.has_emoji) {
        write_user(&w, emoji, user);
        write_end(&w);
    }
    if (w.n_emoji > 0)
        buf_put_char(out, '}');
    return buf_failed(out) ? -ENOMEM : 0;
}
