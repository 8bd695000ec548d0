/*
 * user_events.h - events for one user: into his sockets in rooms, and those for
 * his channel on their way from the shard that made them to the one that owns
 * him. Inside gateway/session only.
 */
#pragma once

#include "common/wire/msg.h"

struct link;
struct sessions;

/* Writes the frame to the user's sockets in the rooms meant, and answers on this link in which
 * ones somebody got it. */
void user_rooms_on_message(struct sessions *all, struct link *link,
                           const struct msg_USER_ROOMS *in);
/* On to the owner, or nowhere when there is none at the moment. */
void user_push_on_message(struct sessions *all, const struct msg_USER_PUSH *in);
