/*
 * world.h - a gateway from the front inwards on a scripted shard: clients are
 * in-memory streams, the shard says what the test tells it to.
 */
#pragma once

#include "gateway/api/admit.h"
#include "gateway/api/api.h"
#include "gateway/edge/front.h"
#include "gateway/link/calls.h"
#include "gateway/session/session.h"
#include "tests/unit/gateway/fake_shard.h"

#define WORLD_SECRET "a secret of the project"
#define WORLD_KEY "fc_0123456789abcdef0123456789abcdef"
#define WORLD_OPERATOR_KEY "op_0123456789abcdef"

struct world {
    struct fake_cluster c; /* one shard */
    struct fake_shard *shard;
    struct wheel wheel;
    struct cidr_list trusted;
    struct calls *calls;
    struct sessions *sessions;
    struct admit *admit;
    struct api *api;
    struct front *front;
    struct fake_sink client;
    bool has_client;
    bool ready;
    bool no_anonymous; /* set before world_open() */
};

/* config: NULL for the usual one (demo project "demo", all origins). */
void world_open(struct world *w, const struct api_config *config);
void world_close(struct world *w);
/* Another client, from this address; the one before is forgotten. */
void world_connect(struct world *w, const char *address, bool trusted_proxy);
/* Sends the text as it is and runs. What came before is thrown away. */
void world_send(struct world *w, const char *text);
/* A whole request with Host; fields: "Name: value\r\n..." or "". Each on a connection of its
 * own. */
void world_request(struct world *w, const char *method, const char *target, const char *fields,
                   const char *body);
/* A token for this user of project demo, good for an hour; extra: more claims,
 * ",\"roomId\":\"r\"". Static storage. */
const char *world_token(struct world *w, const char *user, const char *roles,
                        const char *extra);

/* What the client has got. */
unsigned world_status(const struct world *w);
bool world_has(const struct world *w, const char *text);

/* The oldest call of the shard, which must be this one, answered with status and body; returns
 * its params (static). */
const char *world_answer(struct world *w, enum call_op op, const char *object, unsigned status,
                         const char *body);
/* Project demo is asked for and found. */
void world_answer_project(struct world *w);
