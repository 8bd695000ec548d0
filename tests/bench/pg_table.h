/*
 * pg_table.h - the table that the durable floor and pgcap write: what a chat server must keep
 * of a message at the least, with the two indexes that it cannot do without.
 */
#pragma once

#include <libpq-fe.h>
#include <stdint.h>

struct text;

/* $1 project, $2 rooms, $3 seqs, $4 ids, $5 contents */
#define PG_TABLE_INSERT_MANY                                                                   \
    "INSERT INTO bench.message (project_id, room_id, seq, id, user_id, content) "              \
    "SELECT $1, r, s, i, 'user-12345', c "                                                     \
    "FROM unnest($2::text[], $3::bigint[], $4::uuid[], $5::text[]) AS t (r, s, i, c)"

/* $1 project, $2 room, $3 seq, $4 id, $5 content */
#define PG_TABLE_INSERT_ONE                                                                    \
    "INSERT INTO bench.message (project_id, room_id, seq, id, user_id, content) "              \
    "VALUES ($1, $2, $3::bigint, $4::uuid, 'user-12345', $5)"

/* Makes schema and table when they are not there; die()s when it cannot. */
void pg_table_make(PGconn *pg);

/* Appends an id in time order, as ids of messages are. */
void pg_table_id(struct text *t, uint64_t run, uint64_t n);
