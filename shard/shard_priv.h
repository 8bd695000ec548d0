/*
 * shard_priv.h - the parts of the process, for the files shard*.c: shard.c builds
 * and owns them, shard_stop.c hands the rooms over, shard_admin.c shows them.
 */
#pragma once

#include "common/base/env.h"
#include "shard/config.h"
#include "shard/metrics.h"
#include "shard/shard.h"
#include "shard/store/secrets.h"

struct admin;
struct api;
struct committer;
struct host;
struct listener;
struct loop;
struct membership;
struct peers;
struct registry;
struct store;
struct sweep;
struct tls_ctx;

enum shard_state {
    SHARD_RUNNING,
    SHARD_DRAINING,
    SHARD_LEAVING,
    SHARD_FLUSHING,
    SHARD_STOPPED
};

struct shard {
    const struct shard_config *config;
    enum shard_state state;
    bool has_failed; /* another process has our name: the exit status says so */
    struct keyring keys;
    uint64_t incarnation;
    struct loop *loop;
    struct env *env;
    struct shard_metrics metrics;
    struct store *store;
    struct committer *committer;
    struct host *host;
    struct api *api;
    struct sweep *sweep;
    struct peers *peers;
    struct tls_ctx *tls;
    struct listener *listener;
    struct registry *registry;
    struct membership *membership;
    struct admin *admin;
    struct timer lease_timer, stop_timer;
    uint64_t stop_started_ms, flush_until_ms;
    bool is_off_ring;
};

/* shard_stop.c: SIGTERM, SIGINT. */
void shard_on_stop_signal(void *arg);
void shard_on_stop_timer(struct timer *timer, void *arg);
/* Ends the loop without a hand-over. */
void shard_stop_now(struct shard *shard);

/* shard_admin.c: the admin port, when there is one. -errno has been logged. */
int shard_open_admin(struct shard *shard) MUST_CHECK;
