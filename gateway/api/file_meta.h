/*
 * file_meta.h - what is said of a file by who uploads it, and how much of that
 * may be said to browsers again: names, content types, ranges. Everything in it
 * is hostile. Pure.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/limits.h"

enum file_name_answer { FILE_NAME_BAD = 1 };

/* X-File-Name (percent-encoded UTF-8) as a name to show and to save under: without folders,
 * control characters and those that turn the direction of writing, cut to FILE_NAME_MAX_CHARS;
 * "file" when nothing is left. 0; FILE_NAME_BAD: malformed; -ENOMEM. */
int file_name_clean(struct slice header, struct buf *out) MUST_CHECK;

enum file_type_answer {
    FILE_TYPE_BAD = 1, /* not a content type */
    FILE_TYPE_FORM,    /* a form, or another wrapping: the file itself is wanted */
};

/* Content-Type as "type/subtype" in lower case, without parameters; empty:
 * application/octet-stream. */
int file_type_clean(struct slice header, char ret[FILE_TYPE_MAX + 1]) MUST_CHECK;
/* What a browser may show on our origin: it runs no script of its own. */
bool file_type_is_inline(struct slice type);

/* RFC 6266 and 8187: "inline" or "attachment" with the name in ASCII and in UTF-8. */
void file_disposition_write(struct buf *out, bool is_inline, struct slice name);

enum file_range_answer {
    FILE_RANGE_NONE = 1, /* none that is understood (or more than one): send the whole */
    FILE_RANGE_OUTSIDE,  /* 416 */
};

/* "bytes=first-last" of a Range header for a file of that size. 0: bytes first .. last. */
int file_range_read(struct slice header, uint64_t size, uint64_t *ret_first,
                    uint64_t *ret_last) MUST_CHECK;
