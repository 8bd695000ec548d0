/* json_read.c - bounded loading and checked getters over jansson; see json_read.h. */
#include "common/json/json_read.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/base/ident.h"
#include "common/base/limits.h"
#include "common/base/utf8.h"
#include "common/json/json_scan.h"

/* ---- loading ---- */

static int load(struct slice text, size_t flags, json_t **ret_json)
{
    json_error_t error;
    json_t *json = json_loadb(text.len ? text.data : "", text.len, flags, &error);

    if (!json)
        return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : JSON_LOAD_BAD;
    *ret_json = json;
    return 0;
}

int json_load_object(struct slice text, size_t max_bytes, json_t **ret_json)
{
    if (text.len > max_bytes)
        return JSON_LOAD_TOO_LARGE;
    /* jansson's own bound of nesting is 2048 calls deep; the scan has no recursion. */
    if (json_scan(text, NULL, 0) != 0)
        return JSON_LOAD_BAD;
    return load(text, JSON_REJECT_DUPLICATES, ret_json);
}

int json_load_value(struct slice text, size_t max_bytes, json_t **ret_json)
{
    if (text.len > max_bytes)
        return JSON_LOAD_TOO_LARGE;
    return load(text, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, ret_json);
}

/* ---- getters ---- */

struct json_fields json_fields(const json_t *object)
{
    return (struct json_fields){.object = object};
}

void json_fields_fail(struct json_fields *f, enum error_code code, const char *fmt, ...)
{
    va_list args;

    if (json_fields_failed(f))
        return;
    f->error = code;
    va_start(args, fmt);
    vsnprintf(f->detail, sizeof(f->detail), fmt, args);
    va_end(args);
}

/* NULL when absent, null, or after an error. */
static const json_t *get(struct json_fields *f, const char *name)
{
    const json_t *value = json_fields_failed(f) ? NULL : json_object_get(f->object, name);

    return json_is_null(value) ? NULL : value;
}

static void fail_missing(struct json_fields *f, const char *name, enum error_code code)
{
    json_fields_fail(f, code, "%s is missing", name);
}

struct slice json_get_str_opt(struct json_fields *f, const char *name, size_t min, size_t max,
                              enum error_code code)
{
    const json_t *value = get(f, name);
    struct slice s = json_slice(value);
    size_t chars;

    if (!value)
        return (struct slice){0};
    chars = utf8_code_points(s);
    if (!json_is_string(value) || chars < min || chars > max) {
        json_fields_fail(f, code, "%s must be a string of %zu to %zu characters", name, min,
                         max);
        return (struct slice){0};
    }
    return s;
}

struct slice json_get_str(struct json_fields *f, const char *name, size_t min, size_t max,
                          enum error_code code)
{
    struct slice s = json_get_str_opt(f, name, min, max, code);

    if (!s.data)
        fail_missing(f, name, code); /* keeps an earlier error */
    return s;
}

struct slice json_get_id_opt(struct json_fields *f, const char *name, enum error_code code)
{
    const json_t *value = get(f, name);
    struct slice s = json_slice(value);

    if (!value)
        return (struct slice){0};
    if (!ident_is_valid(s)) {
        json_fields_fail(f, code, "%s must be 1 to %d characters of A-Z a-z 0-9 _ -", name,
                         ID_MAX);
        return (struct slice){0};
    }
    return s;
}

struct slice json_get_id(struct json_fields *f, const char *name, enum error_code code)
{
    struct slice s = json_get_id_opt(f, name, code);

    if (!s.data)
        fail_missing(f, name, code);
    return s;
}

int64_t json_get_int_opt(struct json_fields *f, const char *name, int64_t def, int64_t min,
                         int64_t max, enum error_code code)
{
    const json_t *value = get(f, name);
    int64_t v;

    if (!value)
        return def;
    v = json_integer_value(value);
    if (!json_is_integer(value) || v < min || v > max) {
        json_fields_fail(f, code, "%s must be a whole number from %lld to %lld", name,
                         (long long)min, (long long)max);
        return def;
    }
    return v;
}

int64_t json_get_int(struct json_fields *f, const char *name, int64_t min, int64_t max,
                     enum error_code code)
{
    if (!get(f, name))
        fail_missing(f, name, code);
    return json_get_int_opt(f, name, 0, min, max, code);
}

bool json_get_bool_opt(struct json_fields *f, const char *name, bool def)
{
    const json_t *value = get(f, name);

    if (!value)
        return def;
    if (!json_is_boolean(value)) {
        json_fields_fail(f, ERROR_bad_request, "%s must be true or false", name);
        return def;
    }
    return json_is_true(value);
}

const json_t *json_get_array_opt(struct json_fields *f, const char *name, size_t max,
                                 enum error_code code)
{
    const json_t *value = get(f, name);

    if (!value)
        return NULL;
    if (!json_is_array(value) || json_array_size(value) > max) {
        json_fields_fail(f, code, "%s must be an array of at most %zu elements", name, max);
        return NULL;
    }
    return value;
}

const json_t *json_get_object_opt(struct json_fields *f, const char *name, enum error_code code)
{
    const json_t *value = get(f, name);

    if (!value)
        return NULL;
    if (!json_is_object(value)) {
        json_fields_fail(f, code, "%s must be an object", name);
        return NULL;
    }
    return value;
}
