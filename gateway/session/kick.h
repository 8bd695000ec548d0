/*
 * kick.h - ends sockets because a shard says so, wherever they are: a user's,
 * those of a revoked token, one in a room. Many are ended over several turns.
 * Inside gateway/session only.
 */
#pragma once

#include "common/base/timers.h"
#include "common/wire/msg.h"

struct link;
struct sessions;

/* Ends those that fit, and then answers on this link. */
void kick_on_message(struct sessions *all, struct link *link, const struct msg_KICK *in);
/* Nobody hears the answers any more; the sockets are ended all the same. */
void kicks_on_down(struct sessions *all, const struct link *link);
/* Forgets the rest; their sockets have been closed. */
void kicks_drop(struct sessions *all);
/* Timer callback of sessions.kick_timer. */
void kicks_on_timer(struct timer *timer, void *arg);
