/*
 * extra.h - the `extra` object of timeline entries: what a kind holds beyond
 * the columns. Messages: "mentions" and "attachments" (both, or extra is
 * empty). Membership: "change", "role". Moderation: "action", "expiresAt", "by".
 */
#pragma once

#include "common/base/buf.h"
#include "shard/room/command.h"
#include "shard/room/entry.h"
#include "shard/room/members.h"

/* Mentions of members in the content (of a whisper: of those who may see it), and the
 * attachments with their ids, which are made from the dedupe key so that a repeat has the same.
 * Appends nothing when there is neither. */
void extra_write_message(struct buf *out, const struct command_message *message,
                         const struct members *members, struct slice visible_to,
                         const uint8_t dedupe[DEDUPE_LEN]);
/* Of an edited message: mentions from the new content, the attachments that it has. */
void extra_write_edit(struct buf *out, struct slice content, const struct members *members,
                      const struct entry *base);
/* expires_us 0: expiresAt is null. */
void extra_write_moderation(struct buf *out, const char *action, struct slice by,
                            int64_t expires_us);
/* role is left out for a removal. */
void extra_write_membership(struct buf *out, enum membership_change change,
                            enum member_role role);
/* Of an entry as it was written. */
bool extra_membership_is_added(struct slice extra);
