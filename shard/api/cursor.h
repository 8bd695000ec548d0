/* cursor.h - the place behind a row of a list that is ordered by time: "<microseconds>.<id>".
 */
#pragma once

#include "common/json/json_read.h"
#include "common/json/json_write.h"

/* Member `cursor`; absent: *ret_us is 0 and *ret_id has no data. */
void cursor_read(struct json_fields *f, int64_t *ret_us, struct slice *ret_id);
/* Members hasMore and nextCursor (null: this was the last page). us with data NULL: no more. */
void cursor_write(struct json_writer *w, struct slice us, struct slice id);
