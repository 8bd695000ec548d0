/*
 * pg_batch.h - a batch as the parameters of the commit statement (sql_commit.h).
 * Pure but for memory.
 */
#pragma once

#include "shard/store/pg_array.h"
#include "shard/store/sql.h"
#include "shard/store/store.h"

/* Parameters of the statement, $1 first; what a smaller variant does not take comes last. */
enum batch_param {
    ROOM_PROJECT,
    ROOM_ROOM,
    ROOM_FENCE,
    ROOM_EXPECT_SEQ,
    ROOM_NEW_SEQ,
    ROOM_LAST_ID,
    ROOM_LAST_CREATED,
    ROOM_MESSAGES,
    ROW_ORD,
    ROW_PROJECT,
    ROW_ROOM,
    ROW_SEQ,
    ROW_ID,
    ROW_CREATED,
    ROW_KIND,
    ROW_PARENT,
    ROW_DEDUPE,
    ROW_USER,
    ROW_CLIENT_ID,
    ROW_CONTENT,
    ROW_EXTRA,
    ROW_EXPIRES,
    ROW_VERSION,
    ROW_MESSAGE_NO,
    ROW_FLAGS,
    ROW_VISIBLE_TO,
    ROW_REACTIONS,
    BATCH_PLAIN_PARAMS,
    CHANGE_ORD = BATCH_PLAIN_PARAMS,
    CHANGE_PROJECT,
    CHANGE_ROOM,
    CHANGE_SEQ,
    CHANGE_UPDATED_SEQ,
    CHANGE_EDITED,
    CHANGE_DELETED,
    CHANGE_EXPIRES,
    CHANGE_VERSION,
    CHANGE_FLAGS,
    CHANGE_CLIENT_ID,
    CHANGE_CONTENT,
    CHANGE_EXTRA,
    CHANGE_VISIBLE_TO,
    CHANGE_REACTIONS,
    KEY_ORD,
    KEY_PROJECT,
    KEY_ROOM,
    KEY_KEY,
    KEY_SEQ,
    KEY_TARGET,
    BATCH_CHANGES_PARAMS,
    ROOM_REPINS = BATCH_CHANGES_PARAMS,
    ROOM_PINNED_ID,
    ROOM_PINNED_AT,
    ROOM_PINNED_BY,
    ROOM_TYPE,
    ROOM_NAME,
    ROOM_SETTINGS,
    OP_ORD,
    OP_PROJECT,
    OP_ROOM,
    OP_KIND,
    OP_SEQ,
    OP_USER,
    OP_ACTOR,
    OP_ROLE,
    OP_AT,
    OP_MUTED,
    OP_BANNED,
    OP_TEXT,
    OP_JSON,
    BATCH_PARAMS,
};

struct pg_batch {
    struct pg_array arrays[BATCH_PARAMS];
    enum sql_id id; /* the smallest variant that writes all of it */
    int n_params;
};

void pg_batch_init(struct pg_batch *b);
void pg_batch_deinit(struct pg_batch *b);
/* In place of what it held before. Errors stick in the arrays. */
void pg_batch_encode(struct pg_batch *b, const struct batch *batch);
