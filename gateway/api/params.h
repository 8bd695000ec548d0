/*
 * params.h - query parameters of a request as members of a call's JSON object.
 * Each puts the parameter under its own name when it is there; what is malformed
 * is answered at once (false).
 */
#pragma once

#include "gateway/api/request.h"

/* A whole number in a range. */
bool api_param_number(struct api_request *req, struct json_writer *w, const char *name,
                      uint64_t min, uint64_t max, enum error_code code) MUST_CHECK;
/* An instant (RFC 3339). */
bool api_param_time(struct api_request *req, struct json_writer *w,
                    const char *name) MUST_CHECK;
/* Text of at most max bytes. */
bool api_param_text(struct api_request *req, struct json_writer *w, const char *name,
                    size_t max) MUST_CHECK;
/* The room that a parameter must name, and the token must be good for. */
bool api_query_room(struct api_request *req, const char *name, struct buf *out) MUST_CHECK;
/* The room that the token must be good for. For a token that is pinned to a room that room is
 * put when none is named. */
bool api_param_room(struct api_request *req, struct json_writer *w,
                    const char *name) MUST_CHECK;

/* true, 1, false or 0; absent: false. */
bool api_param_bool(struct api_request *req, const char *name, bool *ret) MUST_CHECK;

/* Asks any shard with the body of the request, in which this member is set from the path. */
void api_call_any_with(struct api_request *req, enum call_op op, const char *name,
                       const char *value);
