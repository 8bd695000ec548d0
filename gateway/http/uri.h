/*
 * uri.h - percent-encoding, path segments and query parameters, read strictly:
 * a malformed escape, a control byte or invalid UTF-8 is an error and never
 * passes through. Pure.
 */
#pragma once

#include "common/base/buf.h"

/* Appends the decoded bytes. plus_is_space: the form rule for query strings. -EINVAL (out is
 * unchanged): a bad escape, a control byte, or not UTF-8; -ENOMEM. */
int uri_decode(struct slice raw, bool plus_is_space, struct buf *out) MUST_CHECK;

enum uri_answer { URI_ABSENT = 1 };
/* Appends the decoded value of a query parameter. URI_ABSENT; -EINVAL: malformed, or there
 * twice; -ENOMEM. */
int uri_query_get(struct slice query, const char *name, struct buf *out) MUST_CHECK;

/* Cuts the first segment off a path that begins with '/'; it stays encoded. False at the end.
 */
bool uri_path_next(struct slice *path, struct slice *ret_segment);

/* Appends the query with the values of secret parameters (token, apiKey) replaced, for logs. */
void uri_query_scrub(struct slice query, struct buf *out);
