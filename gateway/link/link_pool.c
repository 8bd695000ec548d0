/*
 * link_pool.c - the links of a gateway to all shards; see link_pool.h.
 *
 * A link belongs to a node id at an address. When the ring no longer has it, it
 * stays LINK_LINGER_MS for what is under way (replies, last events), without
 * being chosen for anything new.
 */
#include "gateway/link/link_pool.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/base/limits.h"
#include "common/cluster/ring.h"
#include "gateway/link/link.h"
#include "gateway/metrics.h"

struct pool_user {
    const struct link_user_events *events; /* NULL: nobody */
    void *owner;
};

struct link_pool {
    struct env *env;
    struct gateway_metrics *metrics;
    const struct link_pool_hooks *hooks;
    void *owner;
    struct pool_user users[LINK_USER_COUNT];
    struct handshake_config identity; /* slices point at the two copies below */
    char *node_id;
    char *secret;
    struct ring *ring; /* NULL before the first one */
    struct ring_identity ring_id;
    struct ring
        *before; /* whose owners may still have what is not theirs any more; NULL: none */
    struct timer handover;   /* armed while it counts */
    struct link **by_member; /* link of ring_at(i) */
    struct link **links;     /* all of them, also those that leave */
    size_t n_links, n_members;
    size_t next_any;
    uint64_t refreshed_ms;
    struct timer linger; /* armed while a link leaves */
};

/* ---- telling the users ---- */

static void tell_ring(struct link_pool *pool)
{
    for (size_t i = 0; i < LINK_USER_COUNT; i++)
        if (pool->users[i].events)
            pool->users[i].events->on_ring(pool->users[i].owner);
}

static void pool_on_end(void *owner, struct link *link, bool was_up, const char *why)
{
    struct link_pool *pool = owner;

    if (pool->hooks->on_link)
        pool->hooks->on_link(pool->owner, link_node_id(link), was_up, why);
}

static void pool_on_up(void *owner, struct link *link)
{
    struct link_pool *pool = owner;

    if (pool->hooks->on_link)
        pool->hooks->on_link(pool->owner, link_node_id(link), false, NULL);
    for (size_t i = 0; i < LINK_USER_COUNT; i++)
        if (pool->users[i].events)
            pool->users[i].events->on_up(pool->users[i].owner, link);
}

static void pool_on_down(void *owner, struct link *link)
{
    struct link_pool *pool = owner;

    for (size_t i = 0; i < LINK_USER_COUNT; i++)
        if (pool->users[i].events)
            pool->users[i].events->on_down(pool->users[i].owner, link);
}

static void pool_on_drained(void *owner, struct link *link)
{
    struct link_pool *pool = owner;

    for (size_t i = 0; i < LINK_USER_COUNT; i++)
        if (pool->users[i].events)
            pool->users[i].events->on_drained(pool->users[i].owner, link);
}

static void pool_on_evidence(void *owner, struct link *link, enum link_evidence evidence)
{
    struct link_pool *pool = owner;

    if (!link_is_leaving(link))
        pool->hooks->on_evidence(pool->owner, link_node_id(link), evidence);
}

/* A peer with an older ring gets ours; one with a newer ring sends its own when it sees our
 * heartbeat. */
static void pool_on_heartbeat(void *owner, struct link *link, struct ring_identity theirs)
{
    (void)link_pool_teach(owner, link, theirs);
}

static void pool_on_message(void *owner, struct link *link, const struct msg *msg)
{
    struct link_pool *pool = owner;
    const struct pool_user *user;

    if (msg->type == MSG_RING) {
        pool->hooks->on_ring(pool->owner, msg->RING.epoch, msg->RING.members);
        return;
    }
    user = &pool->users[msg->type == MSG_REPLY ? LINK_USER_CALLS : LINK_USER_SESSIONS];
    if (user->events)
        user->events->on_message(user->owner, link, msg);
}

static const struct link_events link_events = {
    .on_up = pool_on_up,
    .on_down = pool_on_down,
    .on_end = pool_on_end,
    .on_evidence = pool_on_evidence,
    .on_heartbeat = pool_on_heartbeat,
    .on_message = pool_on_message,
    .on_drained = pool_on_drained,
};

/* ---- the set of links ---- */

static void drop_link(struct link_pool *pool, size_t i)
{
    struct link *link = pool->links[i];
    bool was_up = link_is_up(link);

    pool->links[i] = pool->links[--pool->n_links];
    pool->metrics->links--;
    link_close(link);
    if (was_up)
        pool_on_down(pool, link);
}

/* The links that were left over by the ring go when they have lingered. */
static void pool_on_linger(struct timer *timer, void *arg)
{
    struct link_pool *pool = arg;

    (void)timer;
    for (size_t i = pool->n_links; i-- > 0;)
        if (link_is_leaving(pool->links[i]))
            drop_link(pool, i);
}

static struct link *find_link(const struct link_pool *pool, const struct ring_member *m)
{
    for (size_t i = 0; i < pool->n_links; i++)
        if (slice_eq(link_node_id(pool->links[i]), m->id) &&
            slice_eq(link_address(pool->links[i]), m->address))
            return pool->links[i];
    return NULL;
}

static int open_link(struct link_pool *pool, const struct ring_member *m,
                     struct link **ret_link)
{
    struct link_setup setup = {pool->env,      pool->metrics, &pool->identity,
                               &pool->ring_id, &link_events,  pool};
    struct link **links;
    int r;

    links = reallocarray(pool->links, pool->n_links + 1, sizeof(struct link *));
    if (!links)
        return -ENOMEM;
    pool->links = links;
    r = link_new(&setup, m->id, m->address, ret_link);
    if (r < 0)
        return r;
    pool->links[pool->n_links++] = *ret_link;
    pool->metrics->links++;
    return 0;
}

/* A process that the ring did not have before: what we know of the last one at that address
 * says nothing. */
static bool is_new_process(const struct link_pool *pool, const struct ring_member *m)
{
    const struct ring_member *before = pool->ring ? ring_find(pool->ring, m->id) : NULL;

    return !before || before->incarnation != m->incarnation;
}

/* A link for every member; the others are to leave. -ENOMEM: those that could not be opened are
 * NULL. */
static int match_links(struct link_pool *pool, const struct ring *ring,
                       struct link **ret_by_member)
{
    size_t n = ring_count(ring);
    int failed = 0;

    for (size_t i = 0; i < pool->n_links; i++)
        link_set_leaving(pool->links[i], true);
    for (size_t i = 0; i < n; i++) {
        const struct ring_member *m = ring_at(ring, i);
        int r = 0;

        assert(m == ring_at(ring, 0) + i); /* link_pool_owner() counts on it */
        ret_by_member[i] = find_link(pool, m);
        if (!ret_by_member[i])
            r = open_link(pool, m, &ret_by_member[i]);
        if (r < 0) {
            failed = r;
            continue;
        }
        link_set_leaving(ret_by_member[i], false);
        if (is_new_process(pool, m))
            link_hurry(ret_by_member[i]);
    }
    return failed;
}

static bool has_leaving(const struct link_pool *pool)
{
    for (size_t i = 0; i < pool->n_links; i++)
        if (link_is_leaving(pool->links[i]))
            return true;
    return false;
}

/* What is still with its last owner is looked for at the new one from now on. */
static void pool_on_handover(struct timer *timer, void *arg)
{
    struct link_pool *pool = arg;

    (void)timer;
    ring_unref(TAKE(pool->before));
    tell_ring(pool);
}

static void replace_ring(struct link_pool *pool, const struct ring *ring)
{
    ring_unref(TAKE(pool->before));
    /* Out of memory: everything is looked for at its new owner at once, which works as well. */
    if (pool->ring && env_timer(pool->env, &pool->handover, HANDOVER_MS) == 0)
        pool->before = TAKE(pool->ring);
    ring_unref(pool->ring);
    pool->ring = ring_ref(ring);
    pool->ring_id = ring_identity(ring);
    pool->n_members = ring_count(ring);
}

int link_pool_set_ring(struct link_pool *pool, const struct ring *ring)
{
    struct link **by_member =
        calloc(ring_count(ring) + 1, sizeof(struct link *)); /* never of size 0 */
    int r;

    if (!by_member)
        return -ENOMEM;
    r = match_links(pool, ring, by_member);
    free(pool->by_member);
    pool->by_member = by_member;
    replace_ring(pool, ring);
    if (has_leaving(pool)) {
        int armed = env_timer(pool->env, &pool->linger, LINK_LINGER_MS);

        (void)armed; /* without memory they stay until the next ring */
    }
    tell_ring(pool);
    return r;
}

/* ---- choosing ---- */

struct link *link_pool_owner(struct link_pool *pool, struct slice object)
{
    const struct ring_member *owner;
    struct link *link;

    if (!pool->ring)
        return NULL;
    owner = ring_owner(pool->ring, object);
    if (!owner)
        return NULL;
    link = pool->by_member[owner - ring_at(pool->ring, 0)];
    return link && link_is_up(link) ? link : NULL;
}

struct link *link_pool_holder(struct link_pool *pool, struct slice object)
{
    const struct ring_member *had = pool->before ? ring_owner(pool->before, object) : NULL;
    const struct ring_member *has = had ? ring_find(pool->ring, had->id) : NULL;
    struct link *link;

    if (!has || has->incarnation != had->incarnation || ring_owner(pool->ring, object) == has)
        return NULL;
    link = pool->by_member[has - ring_at(pool->ring, 0)];
    return link && link_is_up(link) ? link : NULL;
}

bool link_pool_may_hold(const struct link_pool *pool, const struct link *link)
{
    return pool->before && link_is_up(link) && !link_is_leaving(link);
}

uint64_t link_pool_epoch(const struct link_pool *pool)
{
    return pool->ring_id.epoch;
}

bool link_pool_teach(struct link_pool *pool, struct link *link, struct ring_identity theirs)
{
    struct msg msg = {.type = MSG_RING};

    if (!pool->ring || ring_identity_compare(theirs, pool->ring_id) >= 0)
        return false;
    msg.RING.epoch = pool->ring_id.epoch;
    msg.RING.members = ring_encoded(pool->ring);
    return link_send(link, &msg) == 0; /* else the next heartbeat says it again */
}

bool link_pool_has(const struct link_pool *pool, const struct link *link)
{
    for (size_t i = 0; i < pool->n_links; i++)
        if (pool->links[i] == link)
            return link_is_up(link);
    return false;
}

void link_pool_tell_all(struct link_pool *pool, const struct link *except,
                        const struct msg *msg)
{
    for (size_t i = 0; i < pool->n_links; i++) {
        struct link *link = pool->links[i];

        if (link != except && link_is_up(link) && link_send(link, msg) < 0)
            continue; /* it ends, and with it what it has brought */
    }
}

struct link *link_pool_any(struct link_pool *pool)
{
    for (size_t i = 0; i < pool->n_members; i++) {
        struct link *link = pool->by_member[pool->next_any++ % pool->n_members];

        if (link && link_is_up(link))
            return link;
    }
    return NULL;
}

size_t link_pool_live(const struct link_pool *pool)
{
    size_t n = 0;

    for (size_t i = 0; i < pool->n_members; i++)
        n += pool->by_member[i] && link_is_up(pool->by_member[i]);
    return n;
}

size_t link_pool_total(const struct link_pool *pool)
{
    return pool->n_members;
}

void link_pool_refresh_ring(struct link_pool *pool)
{
    uint64_t now = env_now_ms(pool->env);

    if (pool->refreshed_ms != 0 && now - pool->refreshed_ms < RING_REFRESH_MS)
        return;
    pool->refreshed_ms = now;
    for (size_t i = 0; i < pool->n_links; i++)
        link_ping(pool->links[i]);
    pool->hooks->on_stale(pool->owner);
}

uint64_t link_pool_incarnation(const struct link_pool *pool)
{
    return pool->identity.incarnation;
}

void link_pool_set_user(struct link_pool *pool, enum link_user user,
                        const struct link_user_events *events, void *owner)
{
    pool->users[user] = (struct pool_user){events, owner};
}

/* ---- life ---- */

int link_pool_new(struct env *env, struct gateway_metrics *metrics,
                  const struct link_pool_config *config, const struct link_pool_hooks *hooks,
                  void *owner, struct link_pool **ret_pool)
{
    AUTO(link_pool_free) struct link_pool *pool = calloc(1, sizeof(*pool));

    if (!pool)
        return -ENOMEM;
    pool->env = env;
    pool->metrics = metrics;
    pool->hooks = hooks;
    pool->owner = owner;
    timer_init(&pool->linger, pool_on_linger, pool);
    timer_init(&pool->handover, pool_on_handover, pool);
    pool->node_id = slice_dup(config->node_id);
    pool->secret = slice_dup(config->secret);
    if (!pool->node_id || !pool->secret)
        return -ENOMEM;
    pool->identity.incarnation = config->incarnation;
    pool->identity.node_id = slice_str(pool->node_id);
    pool->identity.secret = slice_of(pool->secret, config->secret.len);
    *ret_pool = TAKE(pool);
    return 0;
}

void link_pool_free(struct link_pool *pool)
{
    if (!pool)
        return;
    for (size_t i = 0; i < pool->n_links; i++)
        link_close(pool->links[i]);
    env_timer_cancel(pool->env, &pool->linger);
    env_timer_cancel(pool->env, &pool->handover);
    ring_unref(pool->before);
    ring_unref(pool->ring);
    if (pool->secret)
        explicit_bzero(pool->secret, pool->identity.secret.len);
    free(pool->secret);
    free(pool->node_id);
    free(pool->by_member);
    free(pool->links);
    free(pool);
}
