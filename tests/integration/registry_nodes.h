/*
 * registry_nodes.h - a redis-server of the test's own and whole memberships on
 * it, for tests of the registry in Redis.
 */
#pragma once

#include "common/cluster/membership.h"
#include "common/cluster/registry_redis.h"
#include "tests/support/redis_server.h"
#include "tests/unit/net/net_fixture.h"

/* Leases and deadlines pass for real here, on machines that are busy with other tests. */
#undef NET_WAIT_MS
#define NET_WAIT_MS 20000

#define NODES 4
#define NODES_PREFIX "t:"

struct node {
    struct registry *registry;
    struct membership *m; /* NULL: not started */
    int rings, left, superseded;
};

extern struct net_fixture net;
extern struct redis_server redis;
extern struct redis_target redis_at;
extern struct node nodes[NODES];

int nodes_setup(void **state);
int nodes_teardown(void **state); /* the nodes are stopped before */

/* Runs a script as the test itself, with the prefix as KEYS[1]. An error fails the test. */
long long redis_eval(const char *script, const char *arg);
/* One command of up to 32 words, separated by single spaces; the same. */
long long redis_do(const char *command);

/* incarnation 0: a gateway. */
void nodes_start(int i, const char *id, uint64_t incarnation);
void nodes_stop(int i);
/* All that run have one ring of that many members, and the first shards of them are confirmed.
 */
bool nodes_agree(int shards, size_t count);
