/*
 * fake_registry.h - a struct registry for tests and the simulator: the model
 * behind a delay, with the faults that a registry has. Several clients share
 * one model; each has its own env (its process's).
 */
#pragma once

#include "common/base/env.h"
#include "tests/support/registry_model.h"

struct fake_registry_server {
    struct registry_model model;
    struct list clients; /* struct fake_registry */
    uint64_t asked_ms;   /* when the clients were last asked for a ring */
    bool down;           /* operations fail with -ENOTCONN; nothing changes, no hints */
    /* The registry's clock, given by whoever owns the world; milliseconds, not 0. */
    uint64_t (*wall_ms)(void *arg);
    void *arg;
};

struct fake_registry {
    struct registry registry;
    struct fake_registry_server *server;
    struct env *env;
    struct list link;
    uint64_t delay_ms; /* from an operation to its reply; half of it until it happens */
    bool cut;          /* this client cannot reach the server: operations time out */
    bool deaf; /* what it sends arrives and happens, but it hears no answer and no hint */
    unsigned counts[REGISTRY_OP_COUNT]; /* operations begun */
    struct fake_registry_request *requests[REGISTRY_OP_COUNT];
    struct later hint;
};

void fake_registry_server_init(struct fake_registry_server *server, uint64_t (*wall_ms)(void *),
                               void *arg);
/* Somebody takes this member off the ring. What registry_model_remove() returns. */
int fake_registry_server_remove(struct fake_registry_server *server, struct slice id,
                                uint64_t incarnation);
void fake_registry_init(struct fake_registry *f, struct fake_registry_server *server,
                        struct env *env);
void fake_registry_deinit(
    struct fake_registry *f); /* its process is gone: drops what is under way */
