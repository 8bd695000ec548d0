/*
 * rules.h - who may do what in a room. Pure tables over the room's type, the
 * caller's role in the room and the caller's roles in the project.
 */
#pragma once

#include "common/json/errors.h"
#include "shard/room/entry.h"
#include "shard/room/settings.h"

enum room_type { ROOM_TYPE_NONE = 0, ROOM_DM, ROOM_GROUP, ROOM_PUBLIC, ROOM_ANNOUNCEMENT };

const char *room_type_name(enum room_type type);
enum room_type room_type_parse(struct slice name); /* ROOM_TYPE_NONE when unknown */

/* Roles in the project, from the token. */
#define PROJECT_OWNER 0x1u
#define PROJECT_ADMIN 0x2u
#define PROJECT_MODERATOR 0x4u
#define PROJECT_MEMBER 0x8u
#define PROJECT_GUEST 0x10u
#define PROJECT_BOT 0x20u

/* A comma-separated list as it travels on the link; unknown words count for nothing. */
unsigned project_roles_parse(struct slice list);

struct actor {
    enum room_type type;      /* of the room */
    enum member_role role;    /* in the room; ROLE_NONE: no member */
    unsigned project_roles;   /* PROJECT_* */
    bool is_muted, is_banned; /* now; neither binds who administers the project */
    enum join_policy join;    /* of the room */
};

enum room_entry_answer {
    ENTER_YES,
    ENTER_JOIN, /* after being made a member (open room) */
    ENTER_NO,
};
/* May the caller open the room's socket or post into it? */
enum room_entry_answer rules_enter(const struct actor *actor);
/* May the caller read history and the member list without entering? */
bool rules_may_read(const struct actor *actor);
/* May the caller (who is in) write: messages, edits, reactions, signals, streams? Asked at the
 * moment of each write. */
bool rules_may_write(const struct actor *actor);
/* Why not: banned, muted, or forbidden; ERROR_NONE: he may. */
enum error_code rules_refuse_write(const struct actor *actor);
/* Why rules_enter() or rules_may_read() has said no: banned, or forbidden. */
enum error_code rules_refuse_read(const struct actor *actor);
/* The same as a socket's close reason: banned, or not_member. */
const char *rules_close_reason(const struct actor *actor);

/* May the caller act on others of the room by virtue of an office (moderator and above, of the
 * room or of the project)? */
bool rules_is_moderator(const struct actor *actor);
/* May he mute or ban `target`, that is: is the target's office below his own? */
bool rules_may_moderate(const struct actor *actor, const struct actor *target);
/* Why the caller (who is in) may not react to messages; ERROR_NONE: he may, in announcement
 * rooms too. */
enum error_code rules_refuse_reaction(const struct actor *actor);
/* May the caller have a message removed without a trace of its text and author's key? */
bool rules_may_delete_hard(const struct actor *actor);
/* May the caller give somebody with old_role (ROLE_NONE: a newcomer) new_role (ROLE_NONE:
 * remove)? Removing oneself is allowed to every member and not asked here. */
bool rules_may_change_member(const struct actor *actor, enum member_role old_role,
                             enum member_role new_role);
/* May the caller change name, type and settings of the room? */
bool rules_may_change_room(const struct actor *actor);
bool rules_may_delete_room(const struct actor *actor);
/* May a room of this type become one of that type? A dm stays a dm, and nothing becomes one. */
bool rules_may_become(enum room_type old_type, enum room_type new_type);
