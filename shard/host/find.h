/*
 * find.h - the message with an id in this room, from memory or from the store,
 * which is only asked about messages older than the tail.
 */
#pragma once

#include "shard/host/room_host.h"

struct find;

enum found { FOUND_UNKNOWN = 0, FOUND_YES, FOUND_NO };

/* What memory says; FOUND_UNKNOWN: ask the store. The room is active. YES: a message, perhaps a
 * deleted one, in its newest image (borrowed). */
enum found find_in_memory(const struct room_host *room, int64_t id, struct entry **ret_entry);
/* Once. YES: the message as it is now (borrowed), deleted or not; FOUND_UNKNOWN: the store
 * cannot say at the moment. The find is gone afterwards. */
typedef void (*find_fn)(void *arg, enum found found, struct entry *entry);
/* NULL: out of memory. fn is never called before this returns. */
struct find *find_start(struct room_host *room, int64_t id, find_fn fn, void *arg);
/* fn will not be called. NULL does nothing. */
void find_cancel(struct find *find);
