/*
 * room_facts.h - what the room's row says of it: type, name, settings, the
 * pinned message. Read when the room is claimed, changed only by released
 * events, so that authorisation may trust it.
 */
#pragma once

#include "shard/room/rules.h"
#include "shard/room/settings.h"
#include "shard/store/store.h"

struct room_facts {
    enum room_type type;
    char *name, *created_by; /* owned */
    int64_t created_us;
    struct room_settings settings;
    int64_t pinned_id, pinned_us; /* 0: nothing is pinned */
    char *pinned_by;              /* owned; NULL: nothing is pinned */
};

void room_facts_init(struct room_facts *facts);
void room_facts_deinit(struct room_facts *facts);
/* -ENOMEM. */
int room_facts_load(struct room_facts *facts, const struct room_row *row) MUST_CHECK;
/* What a committed SIDE_ROOM or SIDE_PIN does; others do nothing here. at_us: of its event.
 * -ENOMEM. */
int room_facts_apply(struct room_facts *facts, const struct side_op *op,
                     int64_t at_us) MUST_CHECK;
