/*
 * sql.c - the statements; see sql.h.
 *
 * The commit statement. Plans must not depend on the sizes of batches and
 * tables, because one generic plan serves them all (planning 1 to 1000 rows
 * anew each time costs more than running them). So it is written such that
 * there is only one way to run it: each room of the batch is looked up by key
 * in a LATERAL subquery, and the timeline rows take the verdict of their room
 * from an array by its ordinal, not by a join. The session switches off all
 * other ways (sql_session).
 *
 *   tried   the rooms of the batch in key order; ok: its compare-and-set holds and nobody else
 * has the row locked moved   the room rows of those written the timeline rows of those
 */
#include "shard/store/sql.h"

#include "common/base/limits.h"

/* $1..$7 per room: project, room, fence, expected seq, new seq, last id, last created.
 * $8..$20 per entry: ordinal of its room, project, room, seq, id, created, kind, parent,
 * dedupe, user, client id, content, extra. $21: expires. $22: version. */
#define COMMIT_ROOMS                                                                           \
    "WITH tried AS MATERIALIZED ("                                                             \
    " SELECT i.*, l.ok FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[],"        \
    "  $5::bigint[], $6::bigint[], $7::timestamptz[]) WITH ORDINALITY"                         \
    "  AS i(project_id, room_id, fence, expect_seq, new_seq, last_id, last_created_at, ord)"   \
    " LEFT JOIN LATERAL (SELECT true AS ok FROM rooms r"                                       \
    "  WHERE r.project_id = i.project_id AND r.room_id = i.room_id"                            \
    "  AND r.last_seq = i.expect_seq AND r.fence = i.fence"                                    \
    "  FOR NO KEY UPDATE SKIP LOCKED) l ON true), "                                            \
    "moved AS ("                                                                               \
    " UPDATE rooms r SET last_seq = w.new_seq, last_id = w.last_id,"                           \
    "  last_created_at = w.last_created_at FROM tried w"                                       \
    " WHERE w.ok AND r.project_id = w.project_id AND r.room_id = w.room_id), "

#define COMMIT_ENTRIES                                                                         \
    "written AS ("                                                                             \
    " INSERT INTO timeline (project_id, room_id, seq, updated_seq, id, created_at, kind,"      \
    "  parent_id, dedupe, user_id, client_id, content, extra, expires_at, version)"            \
    " SELECT e.project_id, e.room_id, e.seq, e.seq, e.id, e.created_at, e.kind,"               \
    "  e.parent_id, e.dedupe, e.user_id, e.client_id, e.content, e.extra, e.expires_at,"       \
    "  e.version"                                                                              \
    " FROM unnest($8::integer[], $9::text[], $10::text[], $11::bigint[], $12::bigint[],"       \
    "  $13::timestamptz[], $14::smallint[], $15::bigint[], $16::uuid[], $17::text[],"          \
    "  $18::text[], $19::text[], $20::json[], $21::timestamptz[], $22::integer[])"             \
    "  AS e(ord, project_id, room_id, seq, id, created_at, kind, parent_id, dedupe, user_id,"  \
    "  client_id, content, extra, expires_at, version)"                                        \
    " WHERE ((SELECT array_agg(t.ok ORDER BY t.ord) FROM tried t))[e.ord])"

/* $23..$28 per member change: ordinal of its room, project, room, user, role (0: removed),
 * time. Each user at most once per room. */
#define COMMIT_OPS                                                                             \
    ", ops AS MATERIALIZED ("                                                                  \
    " SELECT o.* FROM unnest($23::integer[], $24::text[], $25::text[], $26::text[],"           \
    "  $27::smallint[], $28::timestamptz[])"                                                   \
    "  AS o(ord, project_id, room_id, user_id, role, at)"                                      \
    " WHERE ((SELECT array_agg(t.ok ORDER BY t.ord) FROM tried t))[o.ord]), "                  \
    "added AS ("                                                                               \
    " INSERT INTO members (project_id, room_id, user_id, role, joined_at)"                     \
    " SELECT o.project_id, o.room_id, o.user_id, o.role, o.at FROM ops o WHERE o.role > 0"     \
    " ON CONFLICT (project_id, room_id, user_id) DO UPDATE SET role = excluded.role), "        \
    "removed AS ("                                                                             \
    " DELETE FROM members m USING ops o WHERE o.role = 0 AND m.project_id = o.project_id"      \
    "  AND m.room_id = o.room_id AND m.user_id = o.user_id)"

#define COMMIT_ANSWER " SELECT t.ord::integer FROM tried t WHERE t.ok"

#define ROOM_ROW                                                                               \
    "last_seq, last_id, last_created_at, fence, generation, resume_floor, created_at, type,"   \
    " name, created_by"

#define ENTRY_OF(t)                                                                            \
    t ".seq, " t ".updated_seq, " t ".id, " t ".created_at, " t ".edited_at, " t               \
      ".deleted_at, " t ".expires_at, " t ".parent_id, " t ".dedupe, " t ".kind, " t           \
      ".version, " t ".user_id, " t ".client_id, " t ".content, " t ".extra"

/* Rows and head from one snapshot: one statement. Without entries one row comes all the same,
 * of the head. */
#define PAGE(entries, order)                                                                   \
    "SELECT r.last_seq, r.generation, r.resume_floor, " ENTRY_OF(                              \
        "p") " FROM rooms r LEFT JOIN LATERAL (" entries ") p ON true"                         \
             " WHERE r.project_id = $1 AND r.room_id = $2 ORDER BY " order

#define FROM_ROOM(where, order)                                                                \
    "SELECT t.* FROM timeline t WHERE t.project_id = r.project_id AND t.room_id = r.room_id"   \
    " AND (NOT $5::boolean OR (t.kind = 1 AND t.deleted_at IS NULL)) AND " where               \
    " ORDER BY " order " LIMIT $4::bigint"

/* The rooms that `list` gives, each with its live messages, counted no further than
 * UNREAD_COUNT_MAX. The count is outside so that only rooms in the answer are counted. */
/* clang-format off */
#define TEXT_OF(x) TEXT(x)
#define TEXT(x) #x
#define COUNTED(list)                                                                          \
    "SELECT l.room_id, l.type, l.name, l.created_at,"                                          \
    " (SELECT count(*)::integer FROM (SELECT 1 FROM timeline t"                                \
    "   WHERE t.project_id = $1 AND t.room_id = l.room_id AND t.kind = 1"                      \
    "   AND t.deleted_at IS NULL LIMIT " TEXT_OF(UNREAD_COUNT_MAX) ") c)"                      \
    " FROM (" list ") l ORDER BY l.created_at DESC, l.room_id DESC"
/* clang-format on */

const struct sql_statement sql_statements[SQL_COUNT] = {
    [SQL_COMMIT] = {"commit", COMMIT_ROOMS COMMIT_ENTRIES COMMIT_ANSWER},
    [SQL_COMMIT_OPS] = {"commit_ops", COMMIT_ROOMS COMMIT_ENTRIES COMMIT_OPS COMMIT_ANSWER},

    /* Waits for a batch in flight; the statements after it in the same transaction see what
       that has written. */
    [SQL_CLAIM] = {"claim", "UPDATE rooms SET fence = $3 WHERE project_id = $1 AND room_id = $2"
                            " RETURNING " ROOM_ROW},
    /* $1 project, $2 room, $3 type, $4 name, $5 created by, $6 created, $7 fence; members: $8
     * users, $9 roles, $10 times. */
    [SQL_CREATE_ROOM] =
        {"create_room",
         "WITH made AS (INSERT INTO rooms (project_id, room_id, type, name, created_by, "
         "created_at,"
         "  last_created_at, fence) VALUES ($1, $2, $3, $4, $5, $6, $6, $7)"
         " ON CONFLICT DO NOTHING RETURNING project_id, room_id), "
         "added AS (INSERT INTO members (project_id, room_id, user_id, role, joined_at)"
         " SELECT m.project_id, m.room_id, o.user_id, o.role, o.at FROM made m,"
         "  unnest($8::text[], $9::smallint[], $10::timestamptz[]) AS o(user_id, role, at)"
         " ON CONFLICT DO NOTHING)"
         " SELECT EXISTS (SELECT FROM made)"},
    [SQL_ROOM] = {"room",
                  "SELECT " ROOM_ROW " FROM rooms WHERE project_id = $1 AND room_id = $2"},
    [SQL_MEMBERS] =
        {"members",
         "SELECT user_id, role, joined_at, notify_enabled, preferences FROM members"
         " WHERE project_id = $1 AND room_id = $2 ORDER BY user_id LIMIT $3::bigint"},
    [SQL_TAIL] = {"tail", "SELECT " ENTRY_OF("t") " FROM timeline t"
                                                  " WHERE t.project_id = $1 AND t.room_id = $2"
                                                  " ORDER BY t.seq DESC LIMIT $3::bigint"},

    /* Entries that never changed are found by seq, the others in their own small index. */
    [SQL_CHANGED_AFTER] =
        {"changed_after",
         PAGE("SELECT u.* FROM ((" FROM_ROOM(
                  "t.seq > $3 AND t.updated_seq = t.seq",
                  "t.seq") ") UNION ALL (" FROM_ROOM("t.updated_seq > $3 AND t.updated_seq <> "
                                                     "t.seq",
                                                     "t.updated_seq") ")) u ORDER BY "
                                                                      "u.updated_seq LIMIT "
                                                                      "$4::bigint",
              "p.updated_seq")},
    [SQL_BEFORE_SEQ] = {"before_seq",
                        PAGE(FROM_ROOM("t.seq < $3", "t.seq DESC"), "p.seq DESC")},
    [SQL_AFTER_SEQ] = {"after_seq", PAGE(FROM_ROOM("t.seq > $3", "t.seq"), "p.seq")},
    /* created_at rises with seq: the place is found by halves instead of in an index of its
       own. */
    [SQL_BEFORE_TIME] = {"before_time",
                         PAGE(FROM_ROOM(
                                  "t.seq < (SELECT timeline_seq_at($1, $2, $3::timestamptz))",
                                  "t.seq DESC"),
                              "p.seq DESC")},

    [SQL_DEDUPE] =
        {"dedupe",
         "SELECT k.ord::integer, " ENTRY_OF(
             "t") " FROM unnest($1::text[], $2::text[], $3::uuid[]) WITH ORDINALITY"
                  "  AS k(project_id, room_id, dedupe, ord),"
                  " LATERAL (SELECT * FROM timeline x WHERE x.project_id = k.project_id"
                  "  AND x.room_id = k.room_id AND x.dedupe = k.dedupe LIMIT 1) t"},
    [SQL_FENCES] =
        {"fences",
         "SELECT k.ord::integer, t.fence, t.last_seq, t.last_id"
         " FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS k(project_id, room_id, ord),"
         " LATERAL (SELECT * FROM rooms x WHERE x.project_id = k.project_id"
         "  AND x.room_id = k.room_id LIMIT 1) t"},
    [SQL_ROOMS_OF] = {"rooms_of", COUNTED("SELECT r.room_id, r.type, r.name, r.created_at"
                                          " FROM members m JOIN rooms r"
                                          "  ON r.project_id = m.project_id"
                                          "  AND r.room_id = m.room_id"
                                          " WHERE m.project_id = $1 AND m.user_id = $2"
                                          "  AND ($3 = '' OR r.type = $3)"
                                          " ORDER BY r.created_at DESC, r.room_id DESC"
                                          " LIMIT $4::bigint")},
    [SQL_ROOMS_ALL] = {"rooms_all", COUNTED("SELECT room_id, type, name, created_at FROM rooms"
                                            " WHERE project_id = $1 AND ($2 = '' OR type = $2)"
                                            " ORDER BY created_at DESC, room_id DESC"
                                            " LIMIT $3::bigint")},
    [SQL_PROJECT] = {"project",
                     "SELECT project_id, name, version FROM projects WHERE project_id = $1"},
    [SQL_SECRETS] =
        {"secrets", "SELECT kid, sealed, master_kid FROM project_secrets"
                    " WHERE project_id = $1 AND purpose = 'jwt' ORDER BY created_at DESC, kid"},
    [SQL_API_KEY] = {"api_key", "SELECT project_id, key_id, scopes FROM api_keys"
                                " WHERE key_hash = $1 AND revoked_at IS NULL"},
    [SQL_ID_BLOCK] = {"id_block", "SELECT nextval('message_id_block')"},

#define QUERY(name, text) [SQL_QUERY_##name] = {"query_" #name, text},
#include "shard/store/queries.def"
#undef QUERY
};

/* clang-format off */
#define UNLESS_QUERY "CASE $1::text WHEN 'query' THEN 'on' ELSE 'off' END"
#define SET(name, value) "set_config('" name "', " value ", false)"
const char sql_session[] =
    "SELECT "
    SET("lock_timeout", "'2000'") ", "
    SET("idle_in_transaction_session_timeout", "'10000'") ", "
    /* A lane never gives up a statement by itself: a commit in flight is not cancelled. */
    SET("statement_timeout", "CASE $1::text WHEN 'lane' THEN '0' ELSE '5000' END") ", "
    SET("default_transaction_isolation", "'read committed'") ", "
    SET("jit", "'off'") ", "
    SET("max_parallel_workers_per_gather", "'0'") ", "
    /* One plan per statement, by indexes, whatever the sizes of tables and parameters. The queries behind REST are
       the planner's, and see their parameters. */
    SET("plan_cache_mode", "CASE $1::text WHEN 'query' THEN 'auto' ELSE 'force_generic_plan' END") ", "
    SET("enable_seqscan", UNLESS_QUERY) ", "
    SET("enable_bitmapscan", UNLESS_QUERY) ", "
    SET("enable_hashjoin", UNLESS_QUERY) ", "
    SET("enable_mergejoin", UNLESS_QUERY);
/* clang-format on */

/* The timeline in the name of the file being written is the one that counts; the control file
 * lags behind it. */
const char sql_identity[] = "SELECT (SELECT system_identifier::text FROM pg_control_system()),"
                            " CASE WHEN pg_is_in_recovery() THEN '' ELSE "
                            "substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END,"
                            " pg_is_in_recovery()";

const char sql_clock[] = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
