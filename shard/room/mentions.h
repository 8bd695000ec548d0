/*
 * mentions.h - who is named in a text: members by "@name", and "@here", "@channel"
 * and "@role:<role>", which stand for all that they mean. A name ends where the
 * alphabet [A-Za-z0-9_:] ends; of who is no member nothing is kept. Pure.
 */
#pragma once

#include "common/base/limits.h"
#include "shard/room/members.h"

struct mentions {
    size_t n;
    /* User ids, or "@here", "@channel", "@role:<role>"; each once, in the order of the text. */
    struct slice names[MENTIONS_MAX];
};

/* visible_to: of a whisper, who may see it: others are not named in it, and groups mean
 * nothing. The names point into the content or are constants. */
void mentions_find(struct mentions *mentions, struct slice content,
                   const struct members *members, struct slice visible_to);
/* Is the name one of a group? */
static inline bool mention_is_group(struct slice name)
{
    return name.len > 0 && name.data[0] == '@';
}
/* Whether a group's name means a member with this role. */
bool mention_means(struct slice name, enum member_role role);
