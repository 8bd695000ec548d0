/* peers.c - all links of this shard; see peers.h. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/base/secret.h"
#include "shard/peer/peer.h"

int peers_new(struct env *env, struct host *host, struct shard_metrics *metrics,
              const struct peers_config *config, const struct peers_hooks *hooks, void *owner,
              struct peers **ret_peers)
{
    AUTO(peers_free) struct peers *peers = calloc(1, sizeof(*peers));

    if (!peers)
        return -ENOMEM;
    peers->env = env;
    peers->host = host;
    peers->metrics = metrics;
    peers->hooks = hooks;
    peers->owner = owner;
    list_init(&peers->all);
    peers->node_id = slice_dup(config->node_id);
    peers->secret = slice_dup(config->secret);
    if (!peers->node_id || !peers->secret)
        return -ENOMEM;
    peers->identity = (struct handshake_config){
        .is_shard = true,
        .incarnation = config->incarnation,
        .node_id = slice_of(peers->node_id, config->node_id.len),
        .secret = slice_of(peers->secret, config->secret.len),
    };
    *ret_peers = TAKE(peers);
    return 0;
}

void peers_close(struct peers *peers)
{
    struct peer *peer, *next;

    list_for_each_safe(peer, next, &peers->all, link) peer_close(peer, "the shard stops", true);
}

void peers_free(struct peers *peers)
{
    if (!peers)
        return;
    peers_close(peers);
    if (peers->secret)
        secret_wipe(peers->secret, peers->identity.secret.len);
    free(peers->secret);
    free(peers->node_id);
    free(peers);
}

int peers_accept(struct peers *peers, struct stream *stream)
{
    int r = peer_new(peers, stream);

    if (r < 0)
        stream_close(stream, false);
    return r;
}

void peers_set_ring(struct peers *peers, const struct ring *ring)
{
    peers->ring = ring;
}

size_t peers_count(const struct peers *peers)
{
    return peers->n_up;
}
