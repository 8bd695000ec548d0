/*
 * audience.h - who may see a whisper: the names that its author gives, checked
 * against the member list and written as entries keep them. Pure.
 */
#pragma once

#include <jansson.h>

#include "common/base/buf.h"
#include "shard/room/members.h"

enum audience_answer {
    AUDIENCE_NOT_MEMBER = 1, /* somebody is named who is no member */
    AUDIENCE_EMPTY,          /* nobody but the author */
    AUDIENCE_FULL,           /* more than VISIBLE_TO_MAX */
};
/*
 * names: array of user ids and "role:<room role>" (all members with that role, as they are
 * now). Writes the author and then the others, comma-separated, each once.
 */
int audience_write(struct buf *out, struct slice author, const json_t *names,
                   const struct members *members) MUST_CHECK;
/* Is the user in a list that audience_write() has written? True for an empty list: everybody.
 */
bool audience_has(struct slice list, struct slice user);
/* Are all users of one such list in the other? */
bool audience_includes(struct slice list, struct slice users);
