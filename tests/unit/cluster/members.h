/*
 * members.h - whole memberships on a fake clock and a fake registry, for the tests
 * of membership.
 */
#pragma once

#include "common/cluster/membership.h"
#include "tests/support/fake_env.h"
#include "tests/support/fake_registry.h"

#define NODES 8

struct node {
    struct fake_registry registry;
    struct membership *m; /* NULL: not running */
    char id[24];
    int rings, superseded, left;
    struct ring_identity last;
};

extern struct fake_env fake;
extern struct fake_registry_server server;
extern struct node nodes[NODES];

uint64_t wall_ms(void *arg); /* of the registry */
int setup(void **state);
int teardown(void **state);
/* incarnation 0: a gateway. */
struct node *start(int i, const char *id, uint64_t incarnation);
struct node *start_shard(int i); /* shard-<i> */
/* Shards 0 .. n-1, settled, and trusted by everybody. */
void start_shards(int n);
void stop(struct node *n); /* it is gone without a word */
bool is_listed(const struct node *who, const char *id);
/* Advances in small steps until who no longer lists id; the time it took. */
uint64_t time_until_gone(const struct node *who, const char *id, uint64_t limit_ms);
