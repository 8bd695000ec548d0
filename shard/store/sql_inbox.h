/*
 * sql_inbox.h - what is named and waits for a user over all of his rooms, as SQL, for
 * queries_inbox.def. $1 is the project, $2 the user, $3 the only room (or null). Every look is
 * at one room by its key, with a bound, or at what has come after the user's pointer.
 */
#pragma once

#include "shard/store/sql_unread.h"

#define PREVIEW(t) "left(" t ".content, 140)"

/* A table expression: his rooms, the liveliest first, as far as an inbox reaches, with how far
 * he has read. */
#define MINE                                                                                   \
    "mine AS MATERIALIZED (SELECT r.project_id, r.room_id, r.type, r.name, r.message_count,"   \
    " r.last_created_at, m.role, m.joined_at, coalesce(s.seq, 0) AS read_seq,"                 \
    " coalesce(s.message_no, 0) AS read_no, coalesce(s.message_id, 0) AS read_id,"             \
    " s.at AS read_at, z.until FROM members m"                                                 \
    " JOIN rooms r ON r.project_id = m.project_id AND r.room_id = m.room_id"                   \
    " LEFT JOIN read_state s ON s.project_id = $1 AND s.user_id = $2"                          \
    "  AND s.room_id = m.room_id"                                                              \
    " LEFT JOIN snoozes z ON z.project_id = $1 AND z.user_id = $2 AND z.room_id = m.room_id"   \
    "  AND z.until > now()"                                                                    \
    " WHERE m.project_id = $1 AND m.user_id = $2 AND r.deleted_at IS NULL"                     \
    "  AND ($3::text IS NULL OR m.room_id = $3)"                                               \
    " ORDER BY r.last_created_at DESC LIMIT 5000)"

/* The entry t with this seq, found by its key: a join could as well walk through the room. */
#define ENTRY_OF_SEQ(room, seq)                                                                \
    " CROSS JOIN LATERAL (SELECT e.* FROM timeline e WHERE e.project_id = $1"                  \
    " AND e.room_id = " room " AND e.seq = " seq " LIMIT 1) t"

/* Behind `mine`: the messages of that room in which he is named, by name or by a group to which
 * he belongs, others' and live. filter: on mentions k and timeline t; limit: "" or "LIMIT n".
 */
#define NAMED(filter, limit)                                                                   \
    "LATERAL (SELECT DISTINCT k.seq FROM (VALUES ($2), ('@channel'), ('@here'), ('@role:' ||"  \
    "  (ARRAY['guest', 'member', 'moderator', 'admin', 'owner'])[mine.role])) AS n(name)"      \
    " CROSS JOIN LATERAL (SELECT k.seq FROM mentions k" ENTRY_OF_SEQ(                          \
        "k.room_id",                                                                           \
        "k.seq") "  WHERE k.project_id = $1 AND k.user_id = n.name AND k.room_id = "           \
                 "mine.room_id"                                                                \
                 "  AND t.user_id <> $2 AND (n.name = $2 OR t.created_at >= mine.joined_at)"   \
                 "  AND " LIVE_FOR("t", "$2") filter " ORDER BY k.seq DESC " limit ") k) d"

#define NAMED_MESSAGE ENTRY_OF_SEQ("mine.room_id", "d.seq")

/* One of unreadRooms or snoozedRooms, of a row of `mine` with unread. */
#define INBOX_ROOM(u)                                                                          \
    "json_build_object('roomId', " u ".room_id, 'roomName', " u ".name, 'roomType', " u        \
    ".type, 'unreadCount', " u ".unread, 'lastReadMessageId', " u ".read_id,"                  \
    " 'firstUnreadMessageId', CASE WHEN " u ".unread > 0 THEN (SELECT t.id FROM timeline t"    \
    "  WHERE t.project_id = $1 AND t.room_id = " u ".room_id AND t.seq > " u                   \
    ".read_seq AND " LIVE_FOR(                                                                 \
        "t", "$2") " ORDER BY t.seq LIMIT 1) END,"                                             \
                   " 'lastMessage', (SELECT json_build_object('id', t.id, 'userId', "          \
                   "t.user_id, 'content', " PREVIEW(                                           \
                       "t") ", 'createdAt', fluxy_time(t.created_at)) FROM timeline t"         \
                            "  WHERE t.project_id = $1 AND t.room_id = " u                     \
                            ".room_id AND " LIVE_FOR(                                          \
                                "t", "$2") "  ORDER BY t.seq DESC LIMIT 1), 'snoozedUntil', "  \
                                           "fluxy_time(" u ".until))"

#define FOLLOW_UP(f)                                                                           \
    "'id', " f ".id::text, 'roomId', " f ".room_id, 'messageId', " f ".message_id,"            \
    " 'note', " f ".note, 'dueAt', fluxy_time(" f ".due_at), 'doneAt', fluxy_time(" f          \
    ".done_at), 'createdAt', fluxy_time(" f ".created_at)"

/* When he has read the notification of message t, for whatever reason; null: not yet. */
#define NOTICE_READ_AT                                                                         \
    "coalesce((SELECT x.at FROM notifications_read x WHERE x.project_id = $1"                  \
    "  AND x.user_id = $2 AND x.room_id = mine.room_id AND x.seq = t.seq),"                    \
    " (SELECT x.at FROM notifications_read x WHERE x.project_id = $1 AND x.user_id = $2"       \
    "  AND x.room_id = '' AND x.seq = 0 AND x.at >= t.created_at),"                            \
    " CASE WHEN t.seq <= mine.read_seq THEN mine.read_at END)"
