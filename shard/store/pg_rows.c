/* pg_rows.c - see pg_rows.h. */
#include "shard/store/pg_rows.h"

#include <assert.h>

#include "shard/store/sql.h"

/* ---- parameters ---- */

void pg_params_deinit(struct pg_params *p)
{
    buf_deinit(&p->data);
}

static void add(struct pg_params *p, const void *data, size_t len)
{
    assert(p->n < PG_PARAMS_MAX);
    p->offset[p->n] = p->data.len;
    p->length[p->n++] = (int)len;
    buf_put(&p->data, data, len);
    buf_put_char(&p->data, '\0'); /* so that an empty value is not a null pointer */
}

void pg_params_text(struct pg_params *p, struct slice text)
{
    add(p, text.data, text.len);
}

void pg_params_null(struct pg_params *p)
{
    add(p, NULL, 0);
    p->length[p->n - 1] = -1;
}

void pg_params_filled(struct pg_params *p, struct slice text)
{
    if (text.len > 0)
        pg_params_text(p, text);
    else
        pg_params_null(p);
}

void pg_params_int8(struct pg_params *p, int64_t v)
{
    char bytes[8];

    pg_write_be64(bytes, (uint64_t)v);
    add(p, bytes, sizeof(bytes));
}

void pg_params_time(struct pg_params *p, int64_t unix_us)
{
    pg_params_int8(p, unix_us - PG_EPOCH_US);
}

void pg_params_bool(struct pg_params *p, bool v)
{
    char byte = v ? 1 : 0;

    add(p, &byte, 1);
}

void pg_params_array(struct pg_params *p, struct pg_array *a)
{
    struct slice bytes = pg_array_finish(a);

    p->data.failed |= pg_array_failed(a);
    add(p, bytes.data, bytes.len);
}

bool pg_params_failed(const struct pg_params *p)
{
    return buf_failed(&p->data);
}

const char *pg_params_value(const struct pg_params *p, int k)
{
    return p->length[k] < 0 ? NULL : p->data.data + p->offset[k];
}

/* ---- columns ---- */

int64_t pg_int8(const PGresult *result, int row, int column)
{
    return (int64_t)pg_read_be64(PQgetvalue(result, row, column));
}

int32_t pg_int4(const PGresult *result, int row, int column)
{
    return (int32_t)pg_read_be32(PQgetvalue(result, row, column));
}

int16_t pg_int2(const PGresult *result, int row, int column)
{
    return (int16_t)pg_read_be16(PQgetvalue(result, row, column));
}

bool pg_bool(const PGresult *result, int row, int column)
{
    return *PQgetvalue(result, row, column) != 0;
}

int64_t pg_time_us(const PGresult *result, int row, int column)
{
    int64_t at;

    if (PQgetisnull(result, row, column))
        return 0;
    at = pg_int8(result, row, column);
    return at == PG_INFINITY ? RESTRICT_FOREVER_US : at + PG_EPOCH_US;
}

static int64_t int8_or_0(const PGresult *result, int row, int column)
{
    return PQgetisnull(result, row, column) ? 0 : pg_int8(result, row, column);
}

struct slice pg_bytes(const PGresult *result, int row, int column)
{
    return slice_of(PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column));
}

/* ---- rows ---- */

void pg_room_row(const PGresult *result, int row, struct room_row *ret_row)
{
    *ret_row = (struct room_row){
        .last_seq = (uint64_t)pg_int8(result, row, 0),
        .last_id = pg_int8(result, row, 1),
        .last_created_us = pg_time_us(result, row, 2),
        .fence = (uint64_t)pg_int8(result, row, 3),
        .generation = (uint64_t)pg_int8(result, row, 4),
        .resume_floor = (uint64_t)pg_int8(result, row, 5),
        .created_us = pg_time_us(result, row, 6),
        .type = pg_bytes(result, row, 7),
        .name = pg_bytes(result, row, 8),
        .created_by = pg_bytes(result, row, 9),
        .message_count = (uint64_t)pg_int8(result, row, 10),
        .pinned_id = int8_or_0(result, row, 11),
        .pinned_us = pg_time_us(result, row, 12),
        .pinned_by = pg_bytes(result, row, 13),
        .settings = pg_bytes(result, row, 14),
        .forked_from = (uint64_t)int8_or_0(result, row, 15),
        .forked_at = (uint64_t)int8_or_0(result, row, 16),
    };
}

void pg_member_row(const PGresult *result, int row, struct member_row *ret_row)
{
    *ret_row = (struct member_row){
        .user = pg_bytes(result, row, 0),
        .role = (enum member_role)pg_int2(result, row, 1),
        .joined_us = pg_time_us(result, row, 2),
        .notify_enabled = pg_bool(result, row, 3),
        .preferences = pg_bytes(result, row, 4),
    };
}

void pg_restriction_row(const PGresult *result, int row, struct restriction_row *ret_row)
{
    *ret_row = (struct restriction_row){
        .user = pg_bytes(result, row, 0),
        .muted_us = pg_time_us(result, row, 1),
        .banned_us = pg_time_us(result, row, 2),
    };
}

struct entry *pg_entry(const PGresult *result, int row, int column)
{
    int c = column;
    struct entry e = {
        .kind = (enum entry_kind)pg_int2(result, row, c + ENTRY_KIND),
        .seq = (uint64_t)pg_int8(result, row, c + ENTRY_SEQ),
        .updated_seq = (uint64_t)pg_int8(result, row, c + ENTRY_UPDATED_SEQ),
        .id = pg_int8(result, row, c + ENTRY_ID),
        .created_us = pg_time_us(result, row, c + ENTRY_CREATED),
        .edited_us = pg_time_us(result, row, c + ENTRY_EDITED),
        .deleted_us = pg_time_us(result, row, c + ENTRY_DELETED),
        .expires_us = pg_time_us(result, row, c + ENTRY_EXPIRES),
        .version = (uint32_t)pg_int4(result, row, c + ENTRY_VERSION),
        .user = pg_bytes(result, row, c + ENTRY_USER),
        .client_id = pg_bytes(result, row, c + ENTRY_CLIENT_ID),
        .content = pg_bytes(result, row, c + ENTRY_CONTENT),
        .extra = pg_bytes(result, row, c + ENTRY_EXTRA),
        .parent_id = int8_or_0(result, row, c + ENTRY_PARENT),
        .flags = (uint32_t)pg_int2(result, row, c + ENTRY_FLAGS),
        .visible_to = pg_bytes(result, row, c + ENTRY_VISIBLE_TO),
        .reactions = pg_bytes(result, row, c + ENTRY_REACTIONS),
        .message_no = (uint64_t)pg_int8(result, row, c + ENTRY_MESSAGE_NO),
    };

    memcpy(e.dedupe, PQgetvalue(result, row, c + ENTRY_DEDUPE), DEDUPE_LEN);
    return entry_new(&e);
}
