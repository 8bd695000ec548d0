/*
 * sql.h - every statement that the shard runs in its loop, by number. Prepared
 * at connect; parameters and results are binary.
 */
#pragma once

enum sql_id {
    /* A batch, see pg_batch.h for its parameters: new entries only; changes of older ones and
     * their keys, too; side writes, too. */
    SQL_COMMIT,
    SQL_COMMIT_CHANGES,
    SQL_COMMIT_OPS,

    SQL_CLAIM,         /* project, room, fence -> room row */
    SQL_CREATE_ROOM,   /* see sql.c -> created, something of a deleted one is left */
    SQL_DELETE_ROOM,   /* project, room, fence -> deleted, exists (of somebody else) */
    SQL_ROOM,          /* project, room -> room row */
    SQL_MEMBERS,       /* project, room, limit -> member rows */
    SQL_RESTRICTIONS,  /* project, room, limit -> restrictions in force */
    SQL_TAIL,          /* project, room, limit -> is recent, entry; by updated_seq */
    SQL_STREAMING,     /* project, room, limit -> entry; by seq */
    SQL_CHANGED_AFTER, /* project, room, seq, limit, live only, viewer -> head and entries */
    SQL_BEFORE_SEQ,    /* the same */
    SQL_AFTER_SEQ,
    SQL_BEFORE_TIME, /* the same with a time */
    SQL_DEDUPE,      /* projects, rooms, keys -> ordinal, seq of the change, entry */
    SQL_FIND,        /* project, room or null, id -> room, entry */
    SQL_DUE,         /* before, limit -> project, room, seq, id, expires */
    SQL_FENCES,      /* projects, rooms -> ordinal, fence, last_seq, last_id */
    SQL_PROJECT,     /* project -> id, name, version */
    SQL_SECRETS,     /* project -> kid, sealed, master kid */
    SQL_API_KEY,     /* hash -> project, key id, scopes */
    SQL_SWEEP_ROOM,  /* project, room (or nulls), limit -> rooms (0, 1), most rows of a table */
    SQL_SWEEP_KEYS,  /* age in ms, limit -> how many */
    SQL_ID_BLOCK,    /* -> number of the block */

#define QUERY(name, text) SQL_QUERY_##name, /* queries.def; see struct store_query */
#include "shard/store/queries.def"
#undef QUERY
    SQL_COUNT
};

/* First and last statement that a connection of a role prepares. */
#define SQL_LANE_FIRST SQL_COMMIT
#define SQL_LANE_LAST SQL_COMMIT_OPS
#define SQL_READ_FIRST SQL_CLAIM
#define SQL_READ_LAST SQL_ID_BLOCK
#define SQL_QUERY_FIRST (SQL_ID_BLOCK + 1)
#define SQL_QUERY_LAST (SQL_COUNT - 1)

struct sql_statement {
    const char *name, *text;
};
extern const struct sql_statement sql_statements[SQL_COUNT];

/* Settings of a session, and what is asked at connect: one row each. */
extern const char sql_session[]; /* role: 'lane', 'read' or 'query' */
/* -> system identifier (text), timeline (text), recovery (bool), read only (bool) */
extern const char sql_identity[];
extern const char sql_epoch[]; /* -> generation of the rooms there (text) */
extern const char sql_clock[]; /* -> microseconds since 1970 (bigint) */

/* Columns of an entry in results, from the first on. */
enum entry_column {
    ENTRY_SEQ,
    ENTRY_UPDATED_SEQ,
    ENTRY_ID,
    ENTRY_CREATED,
    ENTRY_EDITED,
    ENTRY_DELETED,
    ENTRY_EXPIRES,
    ENTRY_PARENT,
    ENTRY_DEDUPE,
    ENTRY_KIND,
    ENTRY_VERSION,
    ENTRY_USER,
    ENTRY_CLIENT_ID,
    ENTRY_CONTENT,
    ENTRY_EXTRA,
    ENTRY_FLAGS,
    ENTRY_VISIBLE_TO, /* separated by commas */
    ENTRY_REACTIONS,
    ENTRY_MESSAGE_NO,
    ENTRY_COLUMNS
};
