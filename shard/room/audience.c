/* audience.c - see audience.h. */
#include "shard/room/audience.h"

#include "common/base/limits.h"
#include "common/json/json_read.h"

struct audience {
    struct buf *out;
    size_t start, n;
    struct slice author;
    enum member_role role; /* whose members are being added */
    int answer;
};

bool audience_has(struct slice list, struct slice user)
{
    return list.len == 0 || slice_list_has(list, user);
}

bool audience_includes(struct slice list, struct slice users)
{
    while (users.len > 0) {
        const char *comma = memchr(users.data, ',', users.len);
        size_t len = comma ? (size_t)(comma - users.data) : users.len;

        if (!audience_has(list, slice_of(users.data, len)))
            return false;
        users = comma ? slice_of(comma + 1, users.len - len - 1) : slice_of(NULL, 0);
    }
    return true;
}

bool entry_is_visible(const struct entry *e, struct slice user)
{
    return audience_has(e->visible_to, user);
}

static void add(struct audience *a, struct slice user)
{
    struct slice list = {0};

    if (a->out->len > a->start) /* an empty buffer has no data to count from */
        list = slice_of(a->out->data + a->start, a->out->len - a->start);
    if (a->answer || buf_failed(a->out) || (list.len > 0 && audience_has(list, user)))
        return;
    if (a->n == VISIBLE_TO_MAX) {
        a->answer = AUDIENCE_FULL;
        return;
    }
    if (a->n++ > 0)
        buf_put_char(a->out, ',');
    buf_put_slice(a->out, user);
}

static bool add_of_role(struct map_node *node, void *arg)
{
    const struct member *member = container_of(node, struct member, node);
    struct audience *a = arg;

    if (member->role == a->role)
        add(a, member->user);
    return a->answer == 0;
}

static void add_name(struct audience *a, struct slice name, const struct members *members)
{
    static const struct slice prefix = {"role:", 5};

    if (name.len > prefix.len && memcmp(name.data, prefix.data, prefix.len) == 0) {
        a->role = role_parse(slice_of(name.data + prefix.len, name.len - prefix.len));
        if (a->role != ROLE_NONE)
            map_each((struct map *)(uintptr_t)&members->by_user, add_of_role, a);
        return;
    }
    if (members_find(members, name))
        add(a, name);
    else if (!slice_eq(name, a->author))
        a->answer = AUDIENCE_NOT_MEMBER;
}

int audience_write(struct buf *out, struct slice author, const json_t *names,
                   const struct members *members)
{
    struct audience a = {.out = out, .start = out->len, .author = author};

    add(&a, author);
    for (size_t i = 0; i < json_array_size(names) && a.answer == 0; i++)
        add_name(&a, json_slice(json_array_get(names, i)), members);
    if (a.answer == 0 && a.n < 2)
        a.answer = AUDIENCE_EMPTY;
    return a.answer;
}
