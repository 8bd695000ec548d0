/* mutation.c - see mutation.h. */
#include "shard/room/mutation.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "shard/room/reactions.h"

static struct slice put(char **at, struct slice s)
{
    struct slice copy = slice_of(*at, s.len);

    if (s.len > 0)
        memcpy(*at, s.data, s.len);
    *at += s.len;
    return copy;
}

struct mutation *mutation_new(const struct mutation *from)
{
    size_t len = from->actor.len + from->content.len + from->extra.len + from->emoji.len;
    struct mutation *m = malloc(sizeof(*m) + len);
    char *at;

    if (!m)
        return NULL;
    *m = *from;
    m->refs = 1;
    at = m->bytes;
    m->actor = put(&at, from->actor);
    m->content = put(&at, from->content);
    m->extra = put(&at, from->extra);
    m->emoji = put(&at, from->emoji);
    return m;
}

struct mutation *mutation_ref(struct mutation *m)
{
    assert(m->refs > 0);
    m->refs++;
    return m;
}

void mutation_unref(struct mutation *m)
{
    if (!m)
        return;
    assert(m->refs > 0);
    if (--m->refs == 0)
        free(m);
}

size_t mutation_size(const struct mutation *m)
{
    return sizeof(*m) + m->actor.len + m->content.len + m->extra.len + m->emoji.len;
}

static int refuse(enum error_code *ret_error, enum error_code code)
{
    *ret_error = code;
    return MUTATION_REFUSED;
}

static bool may_change(const struct mutation *m, const struct entry *base)
{
    return m->is_any_author || slice_eq(base->user, m->actor);
}

static int finish(struct entry *next, uint64_t seq, struct entry **ret_entry)
{
    next->updated_seq = seq;
    *ret_entry = entry_new(next);
    return *ret_entry ? 0 : -ENOMEM;
}

static int edit(const struct mutation *m, const struct entry *base, uint64_t seq,
                int64_t now_us, struct entry **ret_entry, enum error_code *ret_error)
{
    struct entry next = *base;

    if (!may_change(m, base))
        return refuse(ret_error, ERROR_forbidden);
    if (base->flags & ENTRY_STREAMING)
        return refuse(ret_error, ERROR_message_streaming);
    next.content = m->content;
    next.extra = m->extra;
    next.edited_us = now_us;
    next.version++;
    return finish(&next, seq, ret_entry);
}

/* The tombstone keeps who wrote it and when, so that the numbers of the room stay explained. */
static int bury(const struct mutation *m, const struct entry *base, uint64_t seq,
                int64_t now_us, struct entry **ret_entry)
{
    struct entry next = *base;

    next.content = next.extra = next.reactions = (struct slice){0};
    if (m->is_hard)
        next.client_id = (struct slice){0};
    next.flags &= ~ENTRY_STREAMING;
    if (m->is_hard)
        next.flags |= ENTRY_HARD;
    if (m->kind == MUTATION_EXPIRE)
        next.flags |= ENTRY_EXPIRED;
    if (!next.deleted_us)
        next.deleted_us = now_us;
    return finish(&next, seq, ret_entry);
}

static int delete (const struct mutation *m, const struct entry *base, uint64_t seq,
                   int64_t now_us, struct entry **ret_entry, enum error_code *ret_error)
{
    if (!may_change(m, base))
        return refuse(ret_error, ERROR_forbidden);
    return bury(m, base, seq, now_us, ret_entry);
}

static int react(const struct mutation *m, const struct entry *base, uint64_t seq,
                 struct entry **ret_entry, enum error_code *ret_error)
{
    struct buf reactions = BUF_INIT;
    struct entry next = *base;
    int r = reactions_change(base->reactions, m->emoji, m->actor, m->is_added, &reactions);

    if (r == 0) {
        next.reactions = buf_slice(&reactions);
        r = finish(&next, seq, ret_entry);
    } else if (r == REACTIONS_SAME) {
        r = MUTATION_NOTHING;
    } else if (r == REACTIONS_FULL) {
        r = refuse(ret_error, ERROR_too_many_reactions);
    }
    buf_deinit(&reactions);
    return r;
}

static int end_stream(const struct mutation *m, const struct entry *base, uint64_t seq,
                      struct entry **ret_entry)
{
    struct entry next = *base;

    if (!(base->flags & ENTRY_STREAMING))
        return MUTATION_NOTHING;
    next.content = m->content;
    next.extra = m->extra;
    next.flags &= ~ENTRY_STREAMING;
    return finish(&next, seq, ret_entry);
}

int mutation_apply(const struct mutation *m, const struct entry *base, uint64_t seq,
                   int64_t now_us, struct entry **ret_entry, enum error_code *ret_error)
{
    bool upgrades = m->kind == MUTATION_DELETE && m->is_hard && !(base->flags & ENTRY_HARD);

    if (base->kind != ENTRY_MESSAGE)
        return refuse(ret_error, ERROR_message_not_found);
    if (base->deleted_us && !upgrades) {
        bool is_gone_already = m->kind == MUTATION_DELETE || m->kind == MUTATION_EXPIRE ||
                               m->kind == MUTATION_STREAM_END;

        if (m->kind == MUTATION_DELETE && !may_change(m, base))
            return refuse(ret_error, ERROR_forbidden);
        return is_gone_already ? MUTATION_NOTHING : refuse(ret_error, ERROR_message_deleted);
    }
    switch (m->kind) {
    case MUTATION_EDIT:
        return edit(m, base, seq, now_us, ret_entry, ret_error);
    case MUTATION_DELETE:
        return delete (m, base, seq, now_us, ret_entry, ret_error);
    case MUTATION_EXPIRE:
        if (base->expires_us == 0 || base->expires_us > now_us)
            return MUTATION_NOTHING;
        return bury(m, base, seq, now_us, ret_entry);
    case MUTATION_REACTION:
        return react(m, base, seq, ret_entry, ret_error);
    case MUTATION_STREAM_END:
        return end_stream(m, base, seq, ret_entry);
    }
    return refuse(ret_error, ERROR_bad_request);
}
