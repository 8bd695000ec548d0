/*
 * dm_room.h - the one room of two users: its id follows from theirs, so that
 * both find it whoever asks first, and through whichever gateway. Pure.
 */
#pragma once

#include <stdbool.h>

#include "common/base/slice.h"

#define DM_ROOM_ID_LEN 35 /* "dm_" and 32 hex digits */

/* The order of the two does not matter. Returns ret. Empty: out of memory. */
struct slice dm_room_id(struct slice a, struct slice b, char ret[DM_ROOM_ID_LEN + 1]);
/* Ids of this form are for dms alone: nobody may make another room with the id that two users
 * will look for. */
bool dm_room_id_is_reserved(struct slice id);
