/*
 * entry.c - see entry.h. One allocation per entry: the struct with its strings
 * behind it.
 */
#include "shard/room/entry.h"

#include <assert.h>
#include <stdlib.h>

static const char *const role_names[] = {
    [ROLE_NONE] = "none",           [ROLE_GUEST] = "guest", [ROLE_MEMBER] = "member",
    [ROLE_MODERATOR] = "moderator", [ROLE_ADMIN] = "admin", [ROLE_OWNER] = "owner",
};

static struct slice put(char **at, struct slice s)
{
    char *start = *at;

    if (s.len > 0)
        memcpy(start, s.data, s.len);
    *at += s.len;
    return slice_of(start, s.len);
}

struct entry *entry_new(const struct entry *from)
{
    size_t len = from->user.len + from->client_id.len + from->content.len + from->extra.len +
                 from->visible_to.len + from->reactions.len;
    struct entry *e = malloc(sizeof(*e) + len);
    char *at;

    if (!e)
        return NULL;
    *e = *from;
    e->refs = 1;
    at = e->bytes;
    e->user = put(&at, from->user);
    e->client_id = put(&at, from->client_id);
    e->content = put(&at, from->content);
    e->extra = put(&at, from->extra);
    e->visible_to = put(&at, from->visible_to);
    e->reactions = put(&at, from->reactions);
    return e;
}

struct entry *entry_ref(struct entry *e)
{
    assert(e->refs > 0);
    e->refs++;
    return e;
}

void entry_unref(struct entry *e)
{
    if (!e)
        return;
    assert(e->refs > 0);
    if (--e->refs == 0)
        free(e);
}

size_t entry_size(const struct entry *e)
{
    return sizeof(*e) + e->user.len + e->client_id.len + e->content.len + e->extra.len +
           e->visible_to.len + e->reactions.len;
}

const char *role_name(enum member_role role)
{
    return (size_t)role < ARRAY_LEN(role_names) ? role_names[role] : role_names[ROLE_NONE];
}

enum member_role role_parse(struct slice name)
{
    if (slice_eq(name, SLICE_LIT("mod")))
        return ROLE_MODERATOR;
    for (size_t i = ROLE_GUEST; i < ARRAY_LEN(role_names); i++) {
        if (slice_eq_str(name, role_names[i]))
            return (enum member_role)i;
    }
    return ROLE_NONE;
}
