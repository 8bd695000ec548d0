/*
 * json_write.h - writes JSON into a struct buf, with commas by itself. Knows no
 * schema and builds no tree. The caller opens and closes in order, and gives
 * valid UTF-8 (everything that came from outside has been checked there).
 *
 *     struct json_writer w = json_writer(&buf);
 *     json_write_object(&w);
 *     json_field_str(&w, "type", SLICE_LIT("pong"));
 *     json_field_i64(&w, "ts", now_ms);
 *     json_write_object_end(&w);
 *
 * Failure sticks in the buffer. Key literals must not need escapes.
 */
#pragma once

#include "common/base/buf.h"

struct json_writer {
    struct buf *out;
    bool need_comma; /* a value precedes at this level */
};

static inline struct json_writer json_writer(struct buf *out)
{
    return (struct json_writer){out, false};
}

void json_write_object(struct json_writer *w);
void json_write_object_end(struct json_writer *w);
void json_write_array(struct json_writer *w);
void json_write_array_end(struct json_writer *w);
void json_write_key(struct json_writer *w, const char *key);
void json_write_key_slice(struct json_writer *w, struct slice key); /* escapes */

void json_write_str(struct json_writer *w, struct slice s);
void json_write_u64(struct json_writer *w, uint64_t v);
void json_write_i64(struct json_writer *w, int64_t v);
void json_write_bool(struct json_writer *w, bool v);
void json_write_null(struct json_writer *w);
void json_write_time(struct json_writer *w, int64_t us); /* as time_format() */
void json_write_raw(struct json_writer *w,
                    struct slice json); /* a whole JSON value, spliced in */
/* The members of an object text "{...}" as members of the open object; "{}" adds nothing. False
 * (nothing is written) when the text does not begin and end with braces. */
bool json_write_members(struct json_writer *w, struct slice object);

void json_field_str(struct json_writer *w, const char *key, struct slice s);
void json_field_u64(struct json_writer *w, const char *key, uint64_t v);
void json_field_i64(struct json_writer *w, const char *key, int64_t v);
void json_field_bool(struct json_writer *w, const char *key, bool v);
void json_field_null(struct json_writer *w, const char *key);
void json_field_time(struct json_writer *w, const char *key, int64_t us);
void json_field_raw(struct json_writer *w, const char *key, struct slice json);
void json_field_object(struct json_writer *w, const char *key); /* opens it */
void json_field_array(struct json_writer *w, const char *key);  /* opens it */
/* The member is left out when the string is empty. */
void json_field_str_opt(struct json_writer *w, const char *key, struct slice s);

/* Appends s as a JSON string with its quotes (RFC 8259 section 7), without any comma. */
void json_put_string(struct buf *out, struct slice s);
