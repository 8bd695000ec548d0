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
 *   tried    the rooms of the batch in key order; ok: its compare-and-set holds and nobody else
 *            has the row locked
 *   moved    the room rows of those
 *   written  the timeline rows of those
 *   changed, keyed    what happens to older rows of those, and the keys under which it was
 * asked ops, ...          what else those write, by kind
 *
 * Most batches have new entries only: their variant has nothing of the last two lines.
 */
#include "shard/store/sql.h"

#include "shard/limits.h"
#include "shard/store/sql_commit.h"
#include "shard/store/sql_inbox.h"
#include "shard/store/sql_sweep.h"
#include "shard/store/sql_unread.h"

#define ROOM_ROW                                                                               \
    "last_seq, last_id, last_created_at, fence, generation, resume_floor, created_at, type,"   \
    " name, created_by, message_count, pinned_id, pinned_at, pinned_by, settings,"             \
    " forked_from, forked_at"

/* Of the server that answers: each connection has made sure that it is the last one
 * (sql_epoch). */
#define EPOCH "(SELECT s.generation FROM server_epochs s ORDER BY s.number DESC LIMIT 1)"
/* The row of a room that is claimed or made, brought to the generation `epoch`. What the server
 * before may have lost is behind its last_seq, and nothing is written between. */
#define FORK(epoch)                                                                            \
    "forked_from = CASE WHEN r.generation = " epoch " THEN r.forked_from"                      \
    "  ELSE r.generation END,"                                                                 \
    " forked_at = CASE WHEN r.generation = " epoch " THEN r.forked_at ELSE r.last_seq END,"    \
    " generation = " epoch

#define ENTRY_OF(t)                                                                            \
    t ".seq, " t ".updated_seq, " t ".id, " t ".created_at, " t ".edited_at, " t               \
      ".deleted_at, " t ".expires_at, " t ".parent_id, " t ".dedupe, " t ".kind, " t           \
      ".version, " t ".user_id, " t ".client_id, " t ".content, " t ".extra, " t               \
      ".flags, array_to_string(" t ".visible_to, ','), " t ".reactions, " t ".message_no"

/* Looked at for each row that is found otherwise; a join could be run the other way round. */
#define ROOM_IS_LIVE(t)                                                                        \
    "(SELECT r.deleted_at IS NULL FROM rooms r WHERE r.project_id = " t ".project_id"          \
    " AND r.room_id = " t ".room_id)"

/* Rows and head from one snapshot: one statement. Without entries one row comes all the same,
 * of the head. */
#define PAGE(entries, order)                                                                   \
    "SELECT r.last_seq, r.generation, r.resume_floor, " ENTRY_OF(                              \
        "p") " FROM rooms r LEFT JOIN LATERAL (" entries ") p ON true"                         \
             " WHERE r.project_id = $1 AND r.room_id = $2 AND r.deleted_at IS NULL"            \
             " ORDER BY " order

/* $5: only what there is to read, $6: for this user (null: for nobody in particular). */
#define FROM_ROOM(where, order)                                                                \
    "SELECT t.* FROM timeline t WHERE t.project_id = r.project_id AND t.room_id = r.room_id"   \
    " AND (NOT $5::boolean OR (t.kind = 1 AND t.deleted_at IS NULL"                            \
    "  AND (t.expires_at IS NULL OR t.expires_at > now())"                                     \
    "  AND ($6::text IS NULL OR t.visible_to IS NULL OR $6 = ANY (t.visible_to)))) AND " where \
    " ORDER BY " order " LIMIT $4::bigint"

/* A limit as text in a statement. */
#define TEXT_OF(x) TEXT(x)
#define TEXT(x) #x

const struct sql_statement sql_statements[SQL_COUNT] = {
    [SQL_COMMIT] = {"commit", COMMIT_PLAIN},
    [SQL_COMMIT_CHANGES] = {"commit_changes", COMMIT_WITH_CHANGES},
    [SQL_COMMIT_OPS] = {"commit_ops", COMMIT_WITH_OPS},

    /* Waits for a batch in flight; the statements after it in the same transaction see what
       that has written. */
    [SQL_CLAIM] = {"claim",
                   "UPDATE rooms r SET fence = $3, " FORK(
                       EPOCH) " WHERE project_id = $1"
                              " AND room_id = $2 AND deleted_at IS NULL RETURNING " ROOM_ROW},
    /* $1 project, $2 room, $3 type, $4 name, $5 created by, $6 created, $7 fence; members: $8
     * users, $9 roles, $10 times. A deleted room goes on with its numbers, once nothing of what
     * it was is left. */
    [SQL_CREATE_ROOM] =
        {"create_room",
         "WITH made AS (INSERT INTO rooms AS r (project_id, room_id, type, name, created_by,"
         "  created_at, last_created_at, fence, generation)"
         "  VALUES ($1, $2, $3, $4, $5, $6, $6, $7, " EPOCH ")"
         " ON CONFLICT (project_id, room_id) DO UPDATE SET type = excluded.type,"
         "  name = excluded.name, created_by = excluded.created_by,"
         "  created_at = excluded.created_at,"
         "  last_created_at = greatest(r.last_created_at, excluded.created_at),"
         "  fence = excluded.fence, resume_floor = r.last_seq, message_count = 0, " FORK(
             "excluded.generation") ","
                                    "  deleted_at = NULL"
                                    "  WHERE r.deleted_at IS NOT NULL AND NOT r.has_remains"
                                    " RETURNING project_id, room_id), "
                                    "added AS (INSERT INTO members (project_id, room_id, "
                                    "user_id, role, joined_at)"
                                    " SELECT m.project_id, m.room_id, o.user_id, o.role, o.at "
                                    "FROM made m,"
                                    "  unnest($8::text[], $9::smallint[], $10::timestamptz[]) "
                                    "AS o(user_id, role, at)"
                                    " ON CONFLICT DO NOTHING)"
                                    " SELECT EXISTS (SELECT FROM made), EXISTS (SELECT FROM "
                                    "rooms"
                                    "  WHERE project_id = $1 AND room_id = $2 AND "
                                    "has_remains)"},
    /* The fence goes, so that no batch that is under way can still be written. What many rows
       may be left of goes in slices (sweep_room). */
    [SQL_DELETE_ROOM] =
        {"delete_room",
         "WITH gone AS (UPDATE rooms SET deleted_at = now(), has_remains = true, fence = 0,"
         "  resume_floor = last_seq, pinned_id = NULL, pinned_at = NULL, pinned_by = NULL,"
         "  settings = NULL"
         " WHERE project_id = $1 AND room_id = $2 AND fence = $3 AND deleted_at IS NULL"
         " RETURNING project_id, room_id), "
         "left_by AS (DELETE FROM members m USING gone g"
         " WHERE m.project_id = g.project_id AND m.room_id = g.room_id), "
         "lifted AS (DELETE FROM restrictions x USING gone g"
         " WHERE x.project_id = g.project_id AND x.room_id = g.room_id)"
         " SELECT EXISTS (SELECT FROM gone), EXISTS (SELECT FROM rooms"
         "  WHERE project_id = $1 AND room_id = $2 AND deleted_at IS NULL)"},
    [SQL_ROOM] = {"room", "SELECT " ROOM_ROW " FROM rooms WHERE project_id = $1"
                          " AND room_id = $2 AND deleted_at IS NULL"},
    [SQL_MEMBERS] =
        {"members",
         "SELECT user_id, role, joined_at, notify_enabled, preferences FROM members"
         " WHERE project_id = $1 AND room_id = $2 ORDER BY user_id LIMIT $3::bigint"},
    [SQL_RESTRICTIONS] = {"restrictions",
                          "SELECT user_id, muted_until, banned_until FROM restrictions"
                          " WHERE project_id = $1 AND room_id = $2"
                          "  AND (muted_until > now() OR banned_until > now()) ORDER BY user_id"
                          " LIMIT $3::bigint"},
    /* The newest by seq, and of the older ones those that have changed since the first of
       these, the newest by that. */
    [SQL_TAIL] =
        {"tail",
         "WITH recent AS MATERIALIZED (SELECT t.* FROM timeline t"
         "  WHERE t.project_id = $1 AND t.room_id = $2 ORDER BY t.seq DESC LIMIT $3::bigint)"
         " SELECT true, " ENTRY_OF("t") " FROM recent t UNION ALL SELECT false, " ENTRY_OF(
             "o") " FROM (SELECT t.* FROM timeline t"
                  "  WHERE t.project_id = $1 AND t.room_id = $2 AND t.updated_seq <> t.seq"
                  "  AND t.updated_seq > (SELECT min(seq) FROM recent)"
                  "  AND t.seq < (SELECT min(seq) FROM recent)"
                  "  ORDER BY t.updated_seq DESC LIMIT $3::bigint) o ORDER BY 3"},

    /* Token streams that are not over, however long ago they began. */
    [SQL_STREAMING] = {"streaming",
                       "SELECT " ENTRY_OF("t") " FROM timeline t WHERE t.project_id = $1"
                                               " AND t.room_id = $2 AND t.flags & 1 <> 0"
                                               " AND t.deleted_at IS NULL"
                                               " ORDER BY t.seq LIMIT $3::bigint"},

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

    /* A message that bears the key, else the entry that a change with this key has changed
       (found by order: see sql_commit.h). */
    [SQL_DEDUPE] =
        {"dedupe",
         "SELECT k.ord::integer, t.change_seq, " ENTRY_OF(
             "t") " FROM unnest($1::text[], $2::text[], $3::uuid[]) WITH ORDINALITY"
                  "  AS k(project_id, room_id, dedupe, ord),"
                  " LATERAL ("
                  "  (SELECT 0::bigint AS change_seq, x.* FROM timeline x"
                  "   WHERE x.project_id = k.project_id AND x.room_id = k.room_id"
                  "   AND x.dedupe = k.dedupe LIMIT 1)"
                  "  UNION ALL"
                  "  (SELECT o.seq, y.* FROM room_ops o, LATERAL (SELECT z.* FROM timeline z"
                  "    WHERE z.project_id = o.project_id AND z.room_id = o.room_id"
                  "    AND z.seq >= o.target_seq ORDER BY z.seq LIMIT 1) y"
                  "   WHERE o.project_id = k.project_id AND o.room_id = k.room_id"
                  "   AND o.key = k.dedupe AND y.seq = o.target_seq LIMIT 1)"
                  "  LIMIT 1) t"
                  " WHERE " ROOM_IS_LIVE("k")},
    [SQL_FIND] = {"find",
                  "SELECT t.room_id, " ENTRY_OF(
                      "t") " FROM timeline t WHERE t.project_id = $1 AND t.id = $3::bigint"
                           "  AND ($2::text IS NULL OR t.room_id = $2) AND " ROOM_IS_LIVE("t")},
    [SQL_DUE] = {"due", "SELECT t.project_id, t.room_id, t.seq, t.id, t.expires_at"
                        " FROM timeline t WHERE t.expires_at < $1 AND t.deleted_at IS NULL"
                        "  AND " ROOM_IS_LIVE("t") " ORDER BY t.expires_at, t.project_id,"
                                                   "  t.room_id, t.seq LIMIT $2::bigint"},
    [SQL_FENCES] =
        {"fences",
         "SELECT k.ord::integer, t.fence, t.last_seq, t.last_id"
         " FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS k(project_id, room_id, ord),"
         " LATERAL (SELECT * FROM rooms x WHERE x.project_id = k.project_id"
         "  AND x.room_id = k.room_id LIMIT 1) t"},
    [SQL_PROJECT] = {"project",
                     "SELECT project_id, name, version FROM projects WHERE project_id = $1"},
    [SQL_SECRETS] =
        {"secrets", "SELECT kid, sealed, master_kid FROM project_secrets"
                    " WHERE project_id = $1 AND purpose = 'jwt' ORDER BY created_at DESC, kid"},
    [SQL_API_KEY] = {"api_key", "SELECT project_id, key_id, scopes FROM api_keys"
                                " WHERE key_hash = $1 AND revoked_at IS NULL"},
    [SQL_SWEEP_ROOM] = {"sweep_room", SWEEP_ROOM},
    [SQL_SWEEP_KEYS] = {"sweep_keys",
                        "WITH gone AS (DELETE FROM room_ops o WHERE o.ctid = ANY (ARRAY("
                        "  SELECT x.ctid FROM room_ops x WHERE x.at < now() - $1::bigint * "
                        "interval '1 millisecond'"
                        "  ORDER BY x.at LIMIT $2::bigint))"
                        " RETURNING 1)"
                        " SELECT count(*) FROM gone"},
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
 * lags behind it. A standby has none of its own. */
const char sql_identity[] =
    "SELECT (SELECT system_identifier::text FROM pg_control_system()),"
    " CASE WHEN pg_is_in_recovery() THEN '' ELSE server_timeline() END,"
    " pg_is_in_recovery(), current_setting('transaction_read_only')::boolean";

const char sql_epoch[] = "SELECT server_epoch()::text";

const char sql_clock[] = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
