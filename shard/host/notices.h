/*
 * notices.h - what a message means for those who are not in the room: whoever is
 * named in it, and the other one of a dm, gets `inbox_updated` on his user
 * channel, with how much is unread. Gathered per room and user (the newest
 * counts), one look at the database for all of them, a few times a second at
 * most. Not kept: the inbox itself says the same.
 */
#pragma once

#include "common/base/env.h"
#include "common/base/list.h"
#include "common/base/map.h"

struct commit_result;
struct notice_flight;
struct room_host;

struct notices {
    struct map by_user;           /* struct notice */
    struct notice_flight *flight; /* asked for; NULL: none */
    struct timer timer;
    uint64_t not_before_ms;
};

void notices_init(struct room_host *room);
/* A new message was released. */
void notices_on_message(struct room_host *room, const struct commit_result *result);
/* The room ends; who has not been told is not told. */
void notices_end(struct room_host *room);
