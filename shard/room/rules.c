/* rules.c - see rules.h. */
#include "shard/room/rules.h"

static const char *const type_names[] = {
    [ROOM_TYPE_NONE] = "none",
    [ROOM_DM] = "dm",
    [ROOM_GROUP] = "group",
    [ROOM_PUBLIC] = "public",
    [ROOM_ANNOUNCEMENT] = "announcement",
};

static const struct {
    const char *name;
    unsigned bit;
} project_roles[] = {
    {"owner", PROJECT_OWNER},   {"admin", PROJECT_ADMIN},   {"moderator", PROJECT_MODERATOR},
    {"mod", PROJECT_MODERATOR}, {"member", PROJECT_MEMBER}, {"guest", PROJECT_GUEST},
    {"bot", PROJECT_BOT},
};

/* Who administers the project may enter any of its rooms. */
#define PROJECT_ANY_ROOM (PROJECT_OWNER | PROJECT_ADMIN)

const char *room_type_name(enum room_type type)
{
    return (size_t)type < ARRAY_LEN(type_names) ? type_names[type] : type_names[ROOM_TYPE_NONE];
}

enum room_type room_type_parse(struct slice name)
{
    for (size_t i = ROOM_DM; i < ARRAY_LEN(type_names); i++) {
        if (slice_eq_str(name, type_names[i]))
            return (enum room_type)i;
    }
    return ROOM_TYPE_NONE;
}

static unsigned role_bit(struct slice word)
{
    for (size_t i = 0; i < ARRAY_LEN(project_roles); i++) {
        if (slice_eq_str(word, project_roles[i].name))
            return project_roles[i].bit;
    }
    return 0;
}

unsigned project_roles_parse(struct slice list)
{
    unsigned roles = 0;

    while (list.len > 0) {
        const char *comma = memchr(list.data, ',', list.len);
        size_t len = comma ? (size_t)(comma - list.data) : list.len;

        roles |= role_bit(slice_of(list.data, len));
        list = comma ? slice_of(comma + 1, list.len - len - 1) : slice_of(NULL, 0);
    }
    return roles;
}

enum room_entry_answer rules_enter(const struct actor *actor)
{
    if (actor->role != ROLE_NONE || (actor->project_roles & PROJECT_ANY_ROOM))
        return ENTER_YES;
    return actor->type == ROOM_PUBLIC ? ENTER_JOIN : ENTER_NO;
}

bool rules_may_read(const struct actor *actor)
{
    return rules_enter(actor) != ENTER_NO;
}

bool rules_may_write(const struct actor *actor)
{
    if (actor->project_roles & PROJECT_ANY_ROOM)
        return true;
    if (actor->role == ROLE_NONE)
        return false;
    if (actor->type != ROOM_ANNOUNCEMENT)
        return true;
    return actor->role >= ROLE_MODERATOR || (actor->project_roles & PROJECT_MODERATOR);
}

bool rules_may_change_member(const struct actor *actor, enum member_role old_role,
                             enum member_role new_role)
{
    if (actor->project_roles & PROJECT_ANY_ROOM)
        return true;
    if (actor->role == ROLE_OWNER)
        return true;
    return actor->role == ROLE_ADMIN && old_role < ROLE_OWNER && new_role < ROLE_OWNER;
}
