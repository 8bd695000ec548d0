/*
 * ident.h - the identifiers of the wire contract: which strings are valid user,
 * room and project ids, and how times are written (docs/protocol-client.md).
 */
#pragma once

#include "common/base/limits.h"
#include "common/base/macros.h"
#include "common/base/slice.h"

bool ident_is_valid(struct slice s); /* [A-Za-z0-9_-]{1,128} */
/* A valid id, as a string. False (ret is unchanged) for another text. */
bool ident_copy(struct slice s, char ret[ID_MAX + 1]);
bool client_message_id_is_valid(struct slice s); /* 1..128 visible ASCII characters */

#define TIME_TEXT_MAX 32
/* ISO 8601 UTC, three fraction digits when us is whole milliseconds, else six. Returns the
 * length. Times outside of the years 1970..9999 are written as the nearest one inside. */
size_t time_format(int64_t us, char ret[TIME_TEXT_MAX]);
/* RFC 3339 date-time with any offset and 0..9 fraction digits (cut to microseconds), years
 * 1970..9999 in UTC. Second 60 (a leap second) counts as the first instant of the next minute.
 */
int time_parse(struct slice s, int64_t *ret_us) MUST_CHECK; /* -EINVAL */

/* A random UUID (version 4) as 36 characters and NUL, from 16 random bytes. */
void uuid_format(const uint8_t random[16], char ret[37]);
