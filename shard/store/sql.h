/*
 * sql.h - every statement that the shard runs in its loop, by number. Prepared
 * at connect; parameters and results are binary.
 */
#pragma once

enum sql_id {
    SQL_COMMIT,     /* a batch: see sql.c for its parameters */
    SQL_COMMIT_OPS, /* a batch with member changes */

    SQL_CLAIM,         /* project, room, fence -> room row */
    SQL_CREATE_ROOM,   /* see sql.c -> created */
    SQL_ROOM,          /* project, room -> room row */
    SQL_MEMBERS,       /* project, room, limit -> member rows */
    SQL_TAIL,          /* project, room, limit -> entries, newest first */
    SQL_CHANGED_AFTER, /* project, room, seq, limit, live only -> head and entries */
    SQL_BEFORE_SEQ,    /* the same */
    SQL_AFTER_SEQ,
    SQL_BEFORE_TIME, /* the same with a time */
    SQL_DEDUPE,      /* projects, rooms, keys -> ordinal and entry */
    SQL_FENCES,      /* projects, rooms -> ordinal, fence, last_seq, last_id */
    SQL_ROOMS_OF,    /* project, user, type, limit -> list rows */
    SQL_ROOMS_ALL,   /* project, type, limit -> list rows */
    SQL_PROJECT,     /* project -> id, name, version */
    SQL_SECRETS,     /* project -> kid, sealed, master kid */
    SQL_API_KEY,     /* hash -> project, key id, scopes */
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
extern const char
    sql_identity[]; /* -> system identifier (text), timeline (text), recovery (bool) */
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
    ENTRY_COLUMNS
};
