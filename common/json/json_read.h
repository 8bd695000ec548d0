/*
 * json_read.h - JSON from outside as checked values: loading with bounds on
 * size and depth, and getters that check type, length and range. The first
 * member that is wrong is remembered with an error word and a text that names
 * it; after it every getter returns nothing, so a handler reads all fields
 * and asks json_fields_failed() once.
 *
 *     AUTO(json_free) json_t *body = NULL;
 *     r = json_load_object(text, HTTP_BODY_MAX, &body);  (0, JSON_LOAD_*, -ENOMEM)
 *     struct json_fields f = json_fields(body);
 *     struct slice name = json_get_str(&f, "name", 1, NAME_MAX_CHARS, ERROR_invalid_name);
 *     int64_t limit = json_get_int_opt(&f, "limit", 50, 1, SNAPSHOT_MAX, ERROR_invalid_limit);
 *     if (json_fields_failed(&f))
 *         refuse(f.error, f.detail);
 *
 * Slices point into the json_t.
 */
#pragma once

#include <jansson.h>

#include "common/base/macros.h"
#include "common/base/slice.h"
#include "common/json/errors.h"

static inline void json_free(json_t *json)
{
    json_decref(json); /* NULL does nothing */
}
DEFINE_AUTO(json_t, json_free)

enum json_load_answer {
    JSON_LOAD_BAD =
        1, /* not a JSON object, duplicate names, NUL in a string, not UTF-8, too deep */
    JSON_LOAD_TOO_LARGE,
};

/* A new reference. 0, an answer, or -ENOMEM. */
int json_load_object(struct slice text, size_t max_bytes, json_t **ret_json) MUST_CHECK;
/* The same for any JSON value that we have written ourselves (a stored array, say). */
int json_load_value(struct slice text, size_t max_bytes, json_t **ret_json) MUST_CHECK;

#define JSON_DETAIL_MAX 160

struct json_fields {
    const json_t *object;
    enum error_code error; /* ERROR_NONE while all is well */
    char detail[JSON_DETAIL_MAX];
};

struct json_fields json_fields(const json_t *object);
static inline bool json_fields_failed(const struct json_fields *f)
{
    return f->error != ERROR_NONE;
}
/* For what only the caller can check. Keeps the first error. */
void json_fields_fail(struct json_fields *f, enum error_code code, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

/* Lengths are in characters (code points). `code` is the word for a value that is not as it
 * must be. */
struct slice json_get_str(struct json_fields *f, const char *name, size_t min, size_t max,
                          enum error_code code);
/* Absent or null: {NULL, 0}. A given empty string has data. */
struct slice json_get_str_opt(struct json_fields *f, const char *name, size_t min, size_t max,
                              enum error_code code);
/* A user, room or project id. */
struct slice json_get_id(struct json_fields *f, const char *name, enum error_code code);
struct slice json_get_id_opt(struct json_fields *f, const char *name, enum error_code code);
int64_t json_get_int(struct json_fields *f, const char *name, int64_t min, int64_t max,
                     enum error_code code);
int64_t json_get_int_opt(struct json_fields *f, const char *name, int64_t def, int64_t min,
                         int64_t max, enum error_code code);
bool json_get_bool_opt(struct json_fields *f, const char *name, bool def);
/* Borrowed; NULL when absent or null. At most max elements. */
const json_t *json_get_array_opt(struct json_fields *f, const char *name, size_t max,
                                 enum error_code code);
const json_t *json_get_object_opt(struct json_fields *f, const char *name,
                                  enum error_code code);

/* A string json_t as a slice; {NULL, 0} for anything else. */
static inline struct slice json_slice(const json_t *json)
{
    return json_is_string(json) ? slice_of(json_string_value(json), json_string_length(json))
                                : (struct slice){0};
}
