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

static bool is_banned(const struct actor *actor)
{
    return actor->is_banned && !(actor->project_roles & PROJECT_ANY_ROOM);
}

enum room_entry_answer rules_enter(const struct actor *actor)
{
    bool is_open =
        actor->join == JOIN_OPEN || (actor->join == JOIN_BY_TYPE && actor->type == ROOM_PUBLIC);

    if (is_banned(actor))
        return ENTER_NO;
    if (actor->role != ROLE_NONE || (actor->project_roles & PROJECT_ANY_ROOM))
        return ENTER_YES;
    return is_open && actor->type != ROOM_DM ? ENTER_JOIN : ENTER_NO;
}

bool rules_may_read(const struct actor *actor)
{
    return rules_enter(actor) != ENTER_NO;
}

enum error_code rules_refuse_write(const struct actor *actor)
{
    bool has_office =
        actor->role >= ROLE_MODERATOR || (actor->project_roles & PROJECT_MODERATOR);

    if (actor->project_roles & PROJECT_ANY_ROOM)
        return ERROR_NONE;
    if (actor->is_banned)
        return ERROR_banned;
    if (actor->role == ROLE_NONE)
        return ERROR_forbidden;
    if (actor->is_muted)
        return ERROR_muted;
    return actor->type != ROOM_ANNOUNCEMENT || has_office ? ERROR_NONE : ERROR_forbidden;
}

bool rules_may_write(const struct actor *actor)
{
    return rules_refuse_write(actor) == ERROR_NONE;
}

enum error_code rules_refuse_read(const struct actor *actor)
{
    return is_banned(actor) ? ERROR_banned : ERROR_forbidden;
}

const char *rules_close_reason(const struct actor *actor)
{
    return error_info(is_banned(actor) ? ERROR_banned : ERROR_not_member)->code;
}

/* Offices in one order: those of the room, above them who administers the project. */
enum office {
    OFFICE_NONE,
    OFFICE_MODERATOR,
    OFFICE_ADMIN,
    OFFICE_OWNER,
    OFFICE_PROJECT_ADMIN,
    OFFICE_PROJECT_OWNER
};

static enum office office_of(const struct actor *actor)
{
    if (actor->project_roles & PROJECT_OWNER)
        return OFFICE_PROJECT_OWNER;
    if (actor->project_roles & PROJECT_ADMIN)
        return OFFICE_PROJECT_ADMIN;
    if (actor->role == ROLE_OWNER)
        return OFFICE_OWNER;
    if (actor->role == ROLE_ADMIN)
        return OFFICE_ADMIN;
    if (actor->role == ROLE_MODERATOR || (actor->project_roles & PROJECT_MODERATOR))
        return OFFICE_MODERATOR;
    return OFFICE_NONE;
}

bool rules_is_moderator(const struct actor *actor)
{
    return !is_banned(actor) && office_of(actor) >= OFFICE_MODERATOR;
}

bool rules_may_moderate(const struct actor *actor, const struct actor *target)
{
    return rules_is_moderator(actor) && office_of(actor) > office_of(target);
}

enum error_code rules_refuse_reaction(const struct actor *actor)
{
    if (actor->project_roles & PROJECT_ANY_ROOM)
        return ERROR_NONE;
    if (actor->is_banned)
        return ERROR_banned;
    if (actor->role == ROLE_NONE)
        return ERROR_forbidden;
    return actor->is_muted ? ERROR_muted : ERROR_NONE;
}

bool rules_may_delete_hard(const struct actor *actor)
{
    return actor->project_roles & PROJECT_ANY_ROOM;
}

bool rules_may_change_member(const struct actor *actor, enum member_role old_role,
                             enum member_role new_role)
{
    if (actor->project_roles & PROJECT_ANY_ROOM)
        return true;
    if (actor->join == JOIN_CLOSED && old_role == ROLE_NONE)
        return false;
    if (actor->role == ROLE_OWNER)
        return true;
    return actor->role == ROLE_ADMIN && old_role < ROLE_OWNER && new_role < ROLE_OWNER;
}

bool rules_may_change_room(const struct actor *actor)
{
    return !is_banned(actor) && office_of(actor) >= OFFICE_ADMIN;
}

bool rules_may_delete_room(const struct actor *actor)
{
    return !is_banned(actor) && office_of(actor) >= OFFICE_OWNER;
}

bool rules_may_become(enum room_type old_type, enum room_type new_type)
{
    return old_type == new_type || (old_type != ROOM_DM && new_type != ROOM_DM);
}
