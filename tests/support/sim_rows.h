/* sim_rows.h - what sim_db.c and sim_rows.c share. */
#pragma once

#include "common/base/list.h"
#include "common/base/map.h"
#include "tests/support/sim_db.h"

struct sim_db {
    struct map rooms;     /* struct sim_room */
    struct list by_age;   /* struct sim_room, oldest first */
    struct list projects; /* struct sim_project */
    struct list keys;     /* struct sim_api_key */
    int64_t next_id;
};

void sim_rooms_free(struct sim_db *db);
