/*
 * sql_sweep.h - the text of the statement that removes what a deleted room has
 * left, a slice of each table at a time. Only for sql.c.
 */
#pragma once

/* clang-format off */

/* At most $3 rows of the table that belong to the room. `keys` and `match`: the rest of its primary key. */
#define SWEEP(table, keys, match)                                                                                      \
    "gone_" table " AS (DELETE FROM " table " t USING dead d, LATERAL (SELECT " keys " FROM " table " x"               \
    "  WHERE x.project_id = d.project_id AND x.room_id = d.room_id LIMIT $3::bigint) x"                                \
    "  WHERE t.project_id = d.project_id AND " match " RETURNING 1), "
#define SWEEP_BY_USER(table) SWEEP(table, "x.user_id", "t.user_id = x.user_id AND t.room_id = d.room_id")
#define SWEEP_BY_USER_AND_SEQ(table)                                                                                   \
    SWEEP(table, "x.user_id, x.seq", "t.user_id = x.user_id AND t.room_id = d.room_id AND t.seq = x.seq")
#define SWEPT(table) "(SELECT count(*) FROM gone_" table ")"

/* $1 project and $2 room, or nulls: the room that was deleted first of those that have something left and that nobody
 * else is just sweeping. Of each table at most $3 rows, of what hangs on a row as many as that has. So a transaction
 * stays short, however much a room has held. */
#define SWEEP_ROOM                                                                                                     \
    "WITH dead AS MATERIALIZED (SELECT project_id, room_id FROM rooms"                                                 \
    "  WHERE has_remains AND ($1::text IS NULL OR (project_id = $1 AND room_id = $2))"                                 \
    "  ORDER BY deleted_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED), "                                                   \
    "gone_timeline AS (DELETE FROM timeline t USING dead d, LATERAL (SELECT x.seq FROM timeline x"                     \
    "  WHERE x.project_id = d.project_id AND x.room_id = d.room_id ORDER BY x.seq LIMIT $3::bigint) x"                 \
    "  WHERE t.project_id = d.project_id AND t.room_id = d.room_id AND t.seq = x.seq"                                  \
    "  RETURNING t.project_id, t.id), "                                                                                \
    "gone_deliveries AS (DELETE FROM deliveries t USING gone_timeline g"                                               \
    "  WHERE t.project_id = g.project_id AND t.message_id = g.id), "                                                   \
    "gone_search_state AS (DELETE FROM search_state t USING dead d"                                                    \
    "  WHERE t.project_id = d.project_id AND t.room_id = d.room_id), "                                                 \
    SWEEP("message_search", "x.seq", "t.room_id = d.room_id AND t.seq = x.seq")                                        \
    SWEEP("room_ops", "x.key", "t.room_id = d.room_id AND t.key = x.key")                                              \
    SWEEP("follow_ups", "x.user_id, x.id", "t.user_id = x.user_id AND t.id = x.id")                                    \
    SWEEP_BY_USER_AND_SEQ("mentions")                                                                                  \
    SWEEP_BY_USER_AND_SEQ("notifications_read")                                                                        \
    SWEEP_BY_USER("read_state")                                                                                        \
    SWEEP_BY_USER("drafts")                                                                                            \
    SWEEP_BY_USER("snoozes")                                                                                           \
    "counted AS (SELECT greatest(" SWEPT("timeline") ", " SWEPT("message_search") ", " SWEPT("room_ops") ", "          \
    SWEPT("follow_ups") ", " SWEPT("mentions") ", " SWEPT("notifications_read") ", " SWEPT("read_state") ", "          \
    SWEPT("drafts") ", " SWEPT("snoozes") ") AS most), "                                                               \
    "finished AS (UPDATE rooms r SET has_remains = false FROM dead d, counted c"                                       \
    "  WHERE c.most < $3 AND r.project_id = d.project_id AND r.room_id = d.room_id)"                                   \
    " SELECT count(*), (SELECT most FROM counted) FROM dead"
/* clang-format on */
