/*
 * sql_sweep.h - the text of the statement that removes what a deleted room has
 * left, a slice of each table at a time. Only for sql.c.
 */
#pragma once

/* clang-format off */

/* At most $3 rows of the table that belong to the room. By their place in the table: a join by key could be run the
 * other way round, and be quadratic. */
#define SWEEP_RETURNING(table, columns)                                                                                \
    "gone_" table " AS (DELETE FROM " table " t WHERE t.ctid = ANY (ARRAY(SELECT y.ctid FROM dead d,"                  \
    "  LATERAL (SELECT x.ctid FROM " table " x WHERE x.project_id = d.project_id AND x.room_id = d.room_id"            \
    "  LIMIT $3::bigint) y)) RETURNING " columns "), "
#define SWEEP(table) SWEEP_RETURNING(table, "1")
#define SWEPT(table) "(SELECT count(*) FROM gone_" table ")"

/* A file is some dozens of pieces, and counts for as many rows as this. */
#define SWEEP_FILE_ROWS "200"

/* $1 project and $2 room, or nulls: the room that was deleted first of those that have something left and that nobody
 * else is just sweeping. Of each table at most $3 rows, of what hangs on a row as many as that has. So a transaction
 * stays short, however much a room has held. */
#define SWEEP_ROOM                                                                                                     \
    "WITH dead AS MATERIALIZED (SELECT ctid AS place, project_id, room_id FROM rooms"                                  \
    "  WHERE has_remains AND ($1::text IS NULL OR (project_id = $1 AND room_id = $2))"                                 \
    "  ORDER BY deleted_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED), "                                                   \
    SWEEP_RETURNING("timeline", "t.project_id, t.id")                                                                  \
    "gone_deliveries AS (DELETE FROM deliveries t WHERE t.ctid = ANY (ARRAY(SELECT x.ctid FROM gone_timeline g,"       \
    "  LATERAL (SELECT y.ctid FROM deliveries y WHERE y.project_id = g.project_id AND y.message_id = g.id"             \
    "  OFFSET 0) x))), "                                                                                               \
    "gone_files AS (DELETE FROM files t WHERE t.ctid = ANY (ARRAY(SELECT y.ctid FROM dead d,"                          \
    "  LATERAL (SELECT x.ctid FROM files x WHERE x.project_id = d.project_id AND x.room_id = d.room_id"                \
    "  LIMIT ($3::bigint + " SWEEP_FILE_ROWS " - 1) / " SWEEP_FILE_ROWS ") y)) RETURNING t.project_id, t.key), "       \
    "gone_file_chunks AS (DELETE FROM file_chunks t WHERE t.ctid = ANY (ARRAY(SELECT x.ctid FROM gone_files g,"        \
    "  LATERAL (SELECT y.ctid FROM file_chunks y WHERE y.project_id = g.project_id AND y.key = g.key"                  \
    "  OFFSET 0) x))), "                                                                                               \
    SWEEP("reports") SWEEP("message_search") SWEEP("room_ops") SWEEP("follow_ups") SWEEP("mentions") SWEEP("notifications_read")        \
    SWEEP("read_state") SWEEP("drafts") SWEEP("snoozes") SWEEP("search_state")                                         \
    "counted AS (SELECT greatest(" SWEPT("timeline") ", " SWEPT("message_search") ", " SWEPT("room_ops") ", "          \
    SWEPT("follow_ups") ", " SWEPT("mentions") ", " SWEPT("notifications_read") ", " SWEPT("read_state") ", "          \
    SWEPT("drafts") ", " SWEPT("snoozes") ", " SWEPT("reports") ", "                                                   \
    SWEPT("files") " * " SWEEP_FILE_ROWS ") AS most), "                                                                \
    "finished AS (UPDATE rooms r SET has_remains = false"                                                              \
    "  WHERE r.ctid = ANY (ARRAY(SELECT d.place FROM dead d, counted c WHERE c.most < $3)))"                           \
    " SELECT count(*), (SELECT most FROM counted) FROM dead"
/* clang-format on */
