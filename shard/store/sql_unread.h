/*
 * sql_unread.h - what is unread, as SQL, for the statements of queries*.def. What a user has
 * not read in a room is a difference of two counters, less what he would not see: no history is
 * counted. t, r: aliases of timeline and rooms; user: the viewer; $1 is the project.
 */
#pragma once

#define VISIBLE_TO(t, user) "(" t ".visible_to IS NULL OR " user " = ANY(" t ".visible_to))"
/* A message that the user may read at this moment. */
#define LIVE_FOR(t, user)                                                                      \
    "(" t ".kind = 1 AND " t ".deleted_at IS NULL AND (" t ".expires_at IS NULL OR " t         \
    ".expires_at > now()) AND " VISIBLE_TO(t, user) ")"

/* A table expression: messages whose time is over and which nobody has removed yet. They are
 * few at any time. */
#define DUE                                                                                    \
    "due AS MATERIALIZED (SELECT x.room_id, x.seq, x.visible_to FROM timeline x"               \
    " WHERE x.expires_at IS NOT NULL AND x.expires_at <= now() AND x.deleted_at IS NULL"       \
    " AND x.project_id = $1 AND x.kind = 1)"

/* How many messages after seq, which is that of message number no, the user may read. */
#define UNREAD(r, seq, no, user)                                                               \
    "(CASE WHEN " r ".message_count <= " no " THEN 0 ELSE greatest(0, " r                      \
    ".message_count - " no " - (SELECT count(*) FROM timeline x WHERE x.project_id = " r       \
    ".project_id AND x.room_id = " r ".room_id AND x.seq > " seq                               \
    " AND x.kind = 1 AND (x.deleted_at IS NOT NULL OR x.visible_to IS NOT NULL)"               \
    " AND (x.deleted_at IS NOT NULL OR NOT " user " = ANY(x.visible_to)))"                     \
    " - (SELECT count(*) FROM due d WHERE d.room_id = " r ".room_id AND d.seq > " seq          \
    " AND " VISIBLE_TO("d", user) ")) END)"
