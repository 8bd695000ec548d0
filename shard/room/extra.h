/*
 * extra.h - the `extra` object of timeline entries: what a kind holds beyond
 * the columns. Messages: "mentions" and "attachments" (both, or extra is
 * empty). Membership: "change", "role". Moderation: "action", "expiresAt", "by".
 */
#pragma once

#include "common/base/buf.h"
#include "shard/room/command.h"
#include "shard/room/entry.h"
#include "shard/room/mentions.h"
#include "shard/room/settings.h"

/* The mentions, and the attachments with their ids, which are made from the dedupe key so that
 * a repeat has the same. Appends nothing when there is neither. */
void extra_write_message(struct buf *out, const struct command_message *message,
                         const struct mentions *mentions, const uint8_t dedupe[DEDUPE_LEN]);
/* Of an edited message: the mentions of the new content, the attachments that it has. */
void extra_write_edit(struct buf *out, const struct mentions *mentions,
                      const struct entry *base);
/* expires_us 0: expiresAt is null. */
void extra_write_moderation(struct buf *out, const char *action, struct slice by,
                            int64_t expires_us);
/* role is left out for a removal. */
void extra_write_membership(struct buf *out, enum membership_change change,
                            enum member_role role);
/* Of an entry as it was written. */
bool extra_membership_is_added(struct slice extra);
/* id 0: nothing is pinned any more. */
void extra_write_pin(struct buf *out, int64_t id);
/* What the room is from now on, without what only moderators see. */
void extra_write_room(struct buf *out, struct slice name, struct slice type,
                      const struct room_settings *settings);
