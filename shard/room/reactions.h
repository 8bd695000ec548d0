/*
 * reactions.h - who has reacted to a message with what: a JSON object from emoji
 * to the users in the order in which they came, {"<emoji>": ["<user>", ...]}.
 * Kept in the entry itself, so that whoever has the entry has them too. Pure.
 */
#pragma once

#include "common/base/buf.h"
#include "common/json/json_write.h"

/* 1 to REACTION_EMOJI_MAX bytes of UTF-8 without control characters, spaces, quotes and
 * backslashes. */
bool reaction_emoji_is_valid(struct slice emoji);

enum reactions_answer {
    REACTIONS_SAME = 1, /* the user has (or has not) done so already */
    REACTIONS_FULL,     /* as many users or emoji as a message may bear */
};
/* Writes what `reactions` (may be empty) becomes; empty again without any. -ENOMEM. */
int reactions_change(struct slice reactions, struct slice emoji, struct slice user,
                     bool is_added, struct buf *out) MUST_CHECK;

/* Appends to the object that is being written: "<emoji>": count, ... */
void reactions_write_counts(struct json_writer *w, struct slice reactions);
/* Calls fn for each (emoji, user) until it returns false. */
typedef bool (*reactions_fn)(void *arg, struct slice emoji, struct slice user);
void reactions_each(struct slice reactions, reactions_fn fn, void *arg);
