/*
 * client.h - a client of the property test: one user at one socket, in one room
 * or in several. It asks for things, asks again until it is answered, judges each
 * answer by the model, and lets nothing pass that its user may not see.
 */
#pragma once

#include "tests/sim/property/view.h"
#include "tests/sim/sim_world.h"

struct client_config {
    unsigned user;
    bool is_native; /* fluxy.v1; else like the old SDK */
    bool is_many;   /* native: one socket that subscribes to all rooms */
    unsigned room;  /* not is_many */
};

struct client {
    struct sim_world *world;
    struct pm_model *model;
    struct client_config config;
    struct sim_socket socket;
    char name[32];
    struct view views[PM_ROOMS];
    bool is_live[PM_ROOMS];
    uint64_t last_seq[PM_ROOMS]; /* of the last new event that was acknowledged to this
                                    connection */
    uint32_t limit;              /* of snapshots */
    struct list pending;         /* struct pending: not answered for good, oldest first */
    size_t n_pending;
    uint64_t n_acks, n_refused, n_frames;
};

void client_init(struct client *client, struct sim_world *world, struct pm_model *model,
                 const struct client_config *config, unsigned index);
void client_deinit(struct client *client);
int64_t client_now_us(const struct client *client); /* by the clock of the store */
/* Sends it now, and again until it is answered. */
void client_ask(struct client *client, struct pm_op *op);
/* Sends `resume` from somewhere it has been. */
void client_resume(struct client *client, unsigned room);
void client_type(struct client *client, unsigned room);
/* Loses everything that it knew, like a new installation. */
void client_forget(struct client *client);
/* All is answered, and everything has reached it. */
bool client_has_settled(const struct client *client);
