/*
 * sql_commit.h - the text of the commit statement, in its three variants. Only
 * for sql.c, whose comment says how it is built. The parameters are arrays, in
 * the order of enum batch_param (pg_batch.h).
 */
#pragma once

#include "common/base/broken.h"

/* May the row with this ordinal of a room be written? */
#define COMMIT_VERDICT(ord) "((SELECT array_agg(t.ok ORDER BY t.ord) FROM tried t))[" ord "]"

/* A row that has moved on, or that another shard has claimed, takes no part. */
#if IS_BROKEN(BREAK_COMPARE_AND_SET)
#define COMMIT_COMPARE ""
#define COMMIT_CONFLICT " ON CONFLICT DO NOTHING"
#else
#define COMMIT_COMPARE "  AND r.last_seq = i.expect_seq AND r.fence = i.fence"
#define COMMIT_CONFLICT ""
#endif

/* $1..$8 per room: project, room, fence, expected seq, new seq, last id, last created, messages
 * ever. `arrays` and `columns`: further ones per room; `sets`: what is done with them. */
#define COMMIT_ROOMS(arrays, columns, sets)                                                    \
    "WITH tried AS MATERIALIZED ("                                                             \
    " SELECT i.*, l.ok FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[],"        \
    "  $5::bigint[], $6::bigint[], $7::timestamptz[], $8::bigint[]" arrays                     \
    "  ) WITH ORDINALITY AS i(project_id, room_id, fence, expect_seq, new_seq, last_id,"       \
    "  last_created_at, message_count" columns ", ord)"                                        \
    " LEFT JOIN LATERAL (SELECT true AS ok FROM rooms r"                                       \
    "  WHERE r.project_id = i.project_id AND r.room_id = i.room_id" COMMIT_COMPARE             \
    "  FOR NO KEY UPDATE SKIP LOCKED) l ON true), "                                            \
    "moved AS ("                                                                               \
    " UPDATE rooms r SET last_seq = w.new_seq, last_id = w.last_id,"                           \
    "  last_created_at = w.last_created_at, message_count = w.message_count" sets              \
    " FROM tried w"                                                                            \
    " WHERE w.ok AND r.project_id = w.project_id AND r.room_id = w.room_id), "

/* $9..$27 per new entry: ordinal of its room, project, room, seq, id, created, kind, parent,
 * dedupe, user, client id, content, extra, expires, version, message number, flags, who sees it
 * (separated by commas), reactions. */
#define COMMIT_ENTRIES                                                                         \
    "written AS ("                                                                             \
    " INSERT INTO timeline (project_id, room_id, seq, updated_seq, id, created_at, kind,"      \
    "  parent_id, dedupe, user_id, client_id, content, extra, expires_at, version,"            \
    "  message_no, flags, visible_to, reactions)"                                              \
    " SELECT e.project_id, e.room_id, e.seq, e.seq, e.id, e.created_at, e.kind,"               \
    "  e.parent_id, e.dedupe, e.user_id, e.client_id, e.content, e.extra, e.expires_at,"       \
    "  e.version, e.message_no, e.flags, string_to_array(e.visible_to, ','), e.reactions"      \
    " FROM unnest($9::integer[], $10::text[], $11::text[], $12::bigint[], $13::bigint[],"      \
    "  $14::timestamptz[], $15::smallint[], $16::bigint[], $17::uuid[], $18::text[],"          \
    "  $19::text[], $20::text[], $21::json[], $22::timestamptz[], $23::integer[],"             \
    "  $24::bigint[], $25::smallint[], $26::text[], $27::json[])"                              \
    "  AS e(ord, project_id, room_id, seq, id, created_at, kind, parent_id, dedupe, user_id,"  \
    "  client_id, content, extra, expires_at, version, message_no, flags, visible_to,"         \
    "  reactions)"                                                                             \
    " WHERE " COMMIT_VERDICT("e.ord") COMMIT_CONFLICT ")"

/* The row is looked for by order, which only the primary key has; while the table is small,
 * other indexes would seem as good for an equality. Its place holds: we have the room's row.
 *
 * $28..$42 per older entry that changes: ordinal of its room, project, room, seq, updated seq,
 * edited, deleted, expires, version, flags, client id, content, extra, who sees it, reactions.
 * $43..$48 per key of a change: ordinal, project, room, key, seq of the change, of the entry.
 */
/* clang-format off */
#define COMMIT_CHANGES                                                                                                 \
    ", changed AS ("                                                                                                   \
    " UPDATE timeline t SET updated_seq = c.updated_seq, edited_at = c.edited_at, deleted_at = c.deleted_at,"          \
    "  expires_at = c.expires_at, version = c.version, flags = c.flags, client_id = c.client_id,"                      \
    "  content = c.content, extra = c.extra, visible_to = string_to_array(c.visible_to, ','),"                         \
    "  reactions = c.reactions"                                                                                        \
    " FROM unnest($28::integer[], $29::text[], $30::text[], $31::bigint[], $32::bigint[], $33::timestamptz[],"         \
    "  $34::timestamptz[], $35::timestamptz[], $36::integer[], $37::smallint[], $38::text[], $39::text[],"             \
    "  $40::json[], $41::text[], $42::json[])"                                                                         \
    "  AS c(ord, project_id, room_id, seq, updated_seq, edited_at, deleted_at, expires_at, version, flags,"            \
    "  client_id, content, extra, visible_to, reactions),"                                                             \
    " LATERAL (SELECT x.ctid, x.seq FROM timeline x WHERE x.project_id = c.project_id AND x.room_id = c.room_id"       \
    "  AND x.seq >= c.seq ORDER BY x.seq LIMIT 1) l"                                                                   \
    " WHERE " COMMIT_VERDICT("c.ord") " AND l.seq = c.seq AND t.ctid = l.ctid), "                                      \
    "keyed AS ("                                                                                                       \
    " INSERT INTO room_ops (project_id, room_id, key, seq, target_seq)"                                                \
    " SELECT k.project_id, k.room_id, k.key, k.seq, k.target_seq"                                                      \
    " FROM unnest($43::integer[], $44::text[], $45::text[], $46::uuid[], $47::bigint[], $48::bigint[])"                \
    "  AS k(ord, project_id, room_id, key, seq, target_seq)"                                                           \
    " WHERE " COMMIT_VERDICT("k.ord") COMMIT_CONFLICT ")"
/* clang-format on */

/* $49..$55 per room: is another message pinned (or none), which, when, by whom; type, name,
 * settings (null: stays). The row is written once, so they are part of that. */
#define COMMIT_ROOM_ARRAYS                                                                     \
    ", $49::boolean[], $50::bigint[], $51::timestamptz[], $52::text[], $53::text[],"           \
    " $54::text[], $55::json[]"
#define COMMIT_ROOM_COLUMNS ", repins, pinned_id, pinned_at, pinned_by, type, name, settings"
#define COMMIT_ROOM_SETS                                                                       \
    ", pinned_id = CASE WHEN w.repins THEN w.pinned_id ELSE r.pinned_id END,"                  \
    " pinned_at = CASE WHEN w.repins THEN w.pinned_at ELSE r.pinned_at END,"                   \
    " pinned_by = CASE WHEN w.repins THEN w.pinned_by ELSE r.pinned_by END,"                   \
    " type = coalesce(w.type, r.type), name = coalesce(w.name, r.name),"                       \
    " settings = coalesce(w.settings, r.settings)"

/* $56..$68 per side write: ordinal of its room, project, room, kind, seq, user, actor, role (0:
 * removed), time, muted and banned until, text, json. */
/* clang-format off */
#define COMMIT_OPS                                                                                                     \
    ", ops AS MATERIALIZED ("                                                                                          \
    " SELECT o.* FROM unnest($56::integer[], $57::text[], $58::text[], $59::smallint[], $60::bigint[], $61::text[],"   \
    "  $62::text[], $63::smallint[], $64::timestamptz[], $65::timestamptz[], $66::timestamptz[], $67::text[],"         \
    "  $68::json[])"                                                                                                   \
    "  AS o(ord, project_id, room_id, kind, seq, user_id, actor_id, role, at, muted_until, banned_until, text, json)"  \
    " WHERE " COMMIT_VERDICT("o.ord") "), "                                                                            \
    "added AS ("                                                                                                       \
    " INSERT INTO members (project_id, room_id, user_id, role, joined_at)"                                             \
    " SELECT o.project_id, o.room_id, o.user_id, o.role, o.at FROM ops o WHERE o.kind = 1 AND o.role > 0"              \
    " ON CONFLICT (project_id, room_id, user_id) DO UPDATE SET role = excluded.role), "                                \
    "removed AS ("                                                                                                     \
    " DELETE FROM members m USING ops o WHERE o.kind = 1 AND o.role = 0"                                               \
    "  AND m.project_id = o.project_id AND m.room_id = o.room_id AND m.user_id = o.user_id), "                         \
    "restricted AS ("                                                                                                  \
    " INSERT INTO restrictions (project_id, room_id, user_id, muted_until, banned_until)"                              \
    " SELECT o.project_id, o.room_id, o.user_id, o.muted_until, o.banned_until FROM ops o"                             \
    "  WHERE o.kind = 2 AND coalesce(o.muted_until, o.banned_until) IS NOT NULL"                                       \
    " ON CONFLICT (project_id, room_id, user_id) DO UPDATE SET"                                                        \
    "  muted_until = excluded.muted_until, banned_until = excluded.banned_until), "                                    \
    "lifted AS ("                                                                                                      \
    " DELETE FROM restrictions m USING ops o"                                                                          \
    "  WHERE o.kind = 2 AND coalesce(o.muted_until, o.banned_until) IS NULL"                                           \
    "  AND m.project_id = o.project_id AND m.room_id = o.room_id AND m.user_id = o.user_id), "                         \
    "named AS ("                                                                                                       \
    " INSERT INTO mentions (project_id, user_id, room_id, seq, created_at)"                                            \
    " SELECT o.project_id, o.user_id, o.room_id, o.seq, o.at FROM ops o WHERE o.kind = 5"                              \
    " ON CONFLICT (project_id, user_id, room_id, seq) DO NOTHING), "                                                   \
    "audited AS ("                                                                                                     \
    " INSERT INTO audit_events (project_id, action, actor_id, room_id, target_id, detail, created_at)"                 \
    " SELECT o.project_id, o.text, o.actor_id, o.room_id, nullif(o.user_id, ''), o.json, o.at"                         \
    " FROM ops o WHERE o.kind = 6)"
/* clang-format on */

#define COMMIT_ANSWER " SELECT t.ord::integer FROM tried t WHERE t.ok"

#define COMMIT_PLAIN COMMIT_ROOMS("", "", "") COMMIT_ENTRIES COMMIT_ANSWER
#define COMMIT_WITH_CHANGES COMMIT_ROOMS("", "", "") COMMIT_ENTRIES COMMIT_CHANGES COMMIT_ANSWER
#define COMMIT_WITH_OPS                                                                        \
    COMMIT_ROOMS(COMMIT_ROOM_ARRAYS, COMMIT_ROOM_COLUMNS, COMMIT_ROOM_SETS)                    \
    COMMIT_ENTRIES COMMIT_CHANGES COMMIT_OPS COMMIT_ANSWER
