/* cursor.c - see cursor.h. */
#include "shard/api/cursor.h"

#include <stdio.h>

#include "common/base/ident.h"
#include "common/base/limits.h"

#define TIME_DIGITS_MAX 17

void cursor_read(struct json_fields *f, int64_t *ret_us, struct slice *ret_id)
{
    struct slice text = json_get_str_opt(f, "cursor", 1, CURSOR_TEXT_MAX, ERROR_invalid_cursor);
    const char *dot = text.len ? memchr(text.data, '.', text.len) : NULL;
    size_t digits = dot ? (size_t)(dot - text.data) : 0;
    int64_t us = 0;

    *ret_us = 0;
    *ret_id = slice_of(NULL, 0);
    if (!text.data)
        return;
    for (size_t i = 0; i < digits && digits <= TIME_DIGITS_MAX; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            digits = 0;
        else
            us = us * 10 + (text.data[i] - '0');
    }
    if (digits == 0 || digits > TIME_DIGITS_MAX ||
        !ident_is_valid(slice_of(dot + 1, text.len - digits - 1))) {
        json_fields_fail(f, ERROR_invalid_cursor, "cursor");
        return;
    }
    *ret_us = us;
    *ret_id = slice_of(dot + 1, text.len - digits - 1);
}

void cursor_write(struct json_writer *w, struct slice us, struct slice id)
{
    char text[CURSOR_TEXT_MAX + 1];
    int len;

    json_field_bool(w, "hasMore", us.data != NULL);
    if (!us.data) {
        json_field_null(w, "nextCursor");
        return;
    }
    len = snprintf(text, sizeof(text), "%.*s.%.*s", (int)us.len, us.data, (int)id.len, id.data);
    json_field_str(w, "nextCursor", slice_of(text, (size_t)len));
}
