/*
 * settings.h - what a room's owners can set for it: JSON from a request or from
 * the room's row as a struct, and back. Pure; enforced where messages are
 * written and members come in.
 *
 *     {"slowModeSeconds": 0..86400, "messagesPerMinute": null | 1..6000, "joinPolicy": null |
 *      "open" | "invite" | "closed", "blockedWords": ["...", ...]}
 */
#pragma once

#include "common/json/json_read.h"
#include "common/json/json_write.h"

enum join_policy {
    JOIN_BY_TYPE = 0, /* nothing is set: public rooms are open, the others by invitation */
    JOIN_OPEN,        /* whoever enters becomes a member */
    JOIN_INVITE,      /* owners and admins of the room bring members in */
    JOIN_CLOSED,      /* only those who administer the project do */
};

struct room_settings {
    uint32_t slow_mode_s;         /* between two messages of a member; 0: no slow mode */
    uint32_t messages_per_minute; /* of one member; 0: as everywhere */
    enum join_policy join_policy;
    /* Trimmed, not empty, in the order given; compared without case. Owned, with all texts. */
    struct slice *blocked_words;
    size_t n_blocked_words;
};

void room_settings_init(struct room_settings *settings);
void room_settings_deinit(struct room_settings *settings);

/* -ENOMEM. */
int room_settings_copy(struct room_settings *to, const struct room_settings *from) MUST_CHECK;
bool room_settings_equal(const struct room_settings *a, const struct room_settings *b);
/* The members that the object names replace those of the settings; null sets one back.
 * A member that nobody knows, or a bad value, is named in f (ERROR_invalid_settings) and
 * leaves the settings as they were. -ENOMEM. */
int room_settings_merge(struct room_settings *settings, const json_t *object,
                        struct json_fields *f) MUST_CHECK;
/* What room_settings_write() wrote, perhaps in another version: members that are not known are
 * left out, of what cannot be used the default counts. Empty text: all defaults. -ENOMEM: they
 * are as they were. */
int room_settings_load(struct room_settings *settings, struct slice json) MUST_CHECK;
/* All members; without the blocked words for those who are not to read them. */
void room_settings_write(struct json_writer *w, const struct room_settings *settings,
                         bool with_blocked_words);

const char *join_policy_name(enum join_policy policy); /* NULL for JOIN_BY_TYPE */
