/*
 * membership.c - which ring this process goes by: see membership.h.
 *
 * Everything is driven by views of the registry: each reply, of whatever
 * operation, brings one. membership_on_view() adopts a newer ring, repairs a
 * registry that is behind, and then looks at three things: our own place,
 * suspects, and leases that ran out. Timers only ask for the next view.
 */
#include "common/cluster/membership_priv.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/base/log.h"

/* ---- asking ---- */

/* A timer that cannot be set for want of memory is made up for by the next one that can; the
 * poll must be. */
void membership_arm(struct membership *m, struct timer *timer, uint64_t delay_ms)
{
    if (env_timer(m->env, timer, delay_ms) < 0)
        assert(timer != &m->poll);
}

void membership_ask_read(struct membership *m)
{
    if (m->busy[REGISTRY_READ]) {
        m->read_again = true;
        return;
    }
    m->busy[REGISTRY_READ] = m->registry->ops->read(m->registry) == 0;
    if (!m->busy[REGISTRY_READ])
        m->contact_since_ms = 0;
}

void membership_ask_restore(struct membership *m, uint64_t stored_epoch)
{
    if (m->busy[REGISTRY_RESTORE])
        return;
    m->busy[REGISTRY_RESTORE] =
        m->registry->ops->restore(m->registry, m->ring, stored_epoch) == 0;
}

/* ---- the ring ---- */

static void adopt(struct membership *m, struct ring *ring)
{
    struct ring *old = m->ring;

    m->ring = ring;
    m->events->on_ring(m->owner, ring);
    ring_unref(old); /* only now: listeners compare the two */
}

/* True when the view shows exactly our ring; saves building one each second. */
static bool view_is_ours(const struct membership *m, const struct registry_view *view)
{
    if (view->epoch != ring_identity(m->ring).epoch || view->n != ring_count(m->ring))
        return false;
    for (size_t i = 0; i < view->n; i++) {
        const struct ring_member *theirs = &view->members[i];
        const struct ring_member *ours = ring_find(m->ring, theirs->id);

        if (!ours || !slice_eq(ours->address, theirs->address) ||
            ours->incarnation != theirs->incarnation || ours->weight != theirs->weight ||
            ours->draining != theirs->draining)
            return false;
    }
    return true;
}

/* 0: the registry and we agree; >0: it is behind, and a restore is under way; <0: no ring can
 * be made of it. */
static int compare_view(struct membership *m, const struct registry_view *view)
{
    AUTO(ring_unref) struct ring *ring = NULL;
    int r;

    if (view_is_ours(m, view))
        return 0;
    r = ring_new(view->epoch, view->members, view->n, &ring);
    if (r < 0)
        return r;
    if (ring_identity_compare(ring_identity(ring), ring_identity(m->ring)) < 0) {
        membership_ask_restore(m, view->epoch);
        return 1;
    }
    adopt(m, TAKE(ring));
    return 0;
}

/* ---- replies ---- */

static void note_contact(struct membership *m)
{
    /* After a long silence (a suspended machine) all leases may look old. */
    if (!m->contact_since_ms || membership_now_ms(m) - m->contact_ms >= LEASE_TTL_MS)
        m->contact_since_ms = membership_now_ms(m);
    m->contact_ms = membership_now_ms(m);
}

static void on_view(struct membership *m, const struct registry_view *view, bool refused_now)
{
    int r;

    if (view->epoch == 0) {
        m->contact_since_ms = 0; /* it has forgotten: counts as down */
        place_tend_empty(m);
        return;
    }
    r = compare_view(m, view);
    if (r > 0)
        return; /* behind: the restored ring comes as the next view */
    if (r < 0) {
        m->contact_since_ms = 0;
        m->metrics.malformed += r != -ENOMEM;
        if (r != -ENOMEM && ring_identity(m->ring).epoch > 0)
            membership_ask_restore(m, view->epoch);
        return;
    }
    note_contact(m);
    place_tend(m, view);
    watch_tend(m, view, refused_now);
}

static void finish_leaving(struct membership *m)
{
    env_timer_cancel(m->env, &m->leaving);
    if (!m->has_left)
        env_later(m->env, &m->left);
    m->has_left = true;
}

static void count_reply(struct membership *m, int r, const struct registry_view *view)
{
    if (r == -ETIMEDOUT)
        m->metrics.timeouts++;
    else if (r == -EACCES)
        m->metrics.refused++;
    else if (r == -EBADMSG)
        m->metrics.malformed++;
    else if (r < 0)
        m->metrics.unreachable++;
    else
        m->metrics.garbled += view->is_garbled;
}

static void membership_on_reply(void *owner, enum registry_op op, int r,
                                const struct registry_view *view)
{
    struct membership *m = owner;

    m->busy[op] = false;
    count_reply(m, r, view);
    if (op == REGISTRY_REMOVE)
        finish_leaving(m); /* failed as well: the lease runs out by itself */
    if (r < 0)
        m->contact_since_ms = 0;
    if (r == 0 && op == REGISTRY_RENEW)
        m->confirmed_ms = m->renew_sent_ms;
    if (op == REGISTRY_PUT)
        place_on_put(m, r);
    if (op == REGISTRY_EVICT)
        watch_on_evicted(m, r);
    if (r == 0 && op == REGISTRY_RESTORE) {
        m->contact_since_ms = 0; /* leases begin anew */
        m->metrics.restores++;
        log_warn("the ring was put back into the registry");
    }
    if (view)
        on_view(m, view, op == REGISTRY_EVICT && r == REGISTRY_REFUSED);
    if (op == REGISTRY_READ && m->read_again) {
        m->read_again = false;
        membership_ask_read(m);
    }
}

static void follow_hint(struct membership *m)
{
    m->hint_ms = membership_now_ms(m);
    membership_ask_read(m);
}

static void membership_on_hint(void *owner)
{
    struct membership *m = owner;
    uint64_t since = membership_now_ms(m) - m->hint_ms;

    if (m->hint_ms == 0 || since >= RING_HINT_MS)
        follow_hint(m);
    else if (!timer_is_armed(&m->hint))
        membership_arm(m, &m->hint, RING_HINT_MS - since);
}

static const struct registry_events registry_events = {
    .on_reply = membership_on_reply,
    .on_hint = membership_on_hint,
};

/* ---- timers ---- */

static void founding_on_timer(struct timer *timer, void *arg)
{
    struct membership *m = arg;

    (void)timer;
    m->found_allowed = ring_identity(m->ring).epoch == 0;
    membership_ask_read(m);
}

static void suspicion_on_timer(struct timer *timer, void *arg)
{
    (void)timer;
    membership_ask_read(arg);
}

static void poll_on_timer(struct timer *timer, void *arg)
{
    struct membership *m = arg;

    membership_arm(m, timer, env_jitter_ms(m->env, RING_POLL_MS));
    membership_ask_read(m);
}

static void renew_on_timer(struct timer *timer, void *arg)
{
    struct membership *m = arg;

    membership_arm(m, timer, env_jitter_ms(m->env, LEASE_RENEW_MS));
    place_ask_renew(m);
}

static void hint_on_timer(struct timer *timer, void *arg)
{
    (void)timer;
    follow_hint(arg);
}

static void leaving_on_timer(struct timer *timer, void *arg)
{
    (void)timer;
    finish_leaving(arg);
}

static void left_on_later(struct later *later, void *arg)
{
    struct membership *m = arg;

    (void)later;
    if (m->events->on_left)
        m->events->on_left(m->owner);
}

static void begin_on_later(struct later *later, void *arg)
{
    struct membership *m = arg;

    (void)later;
    poll_on_timer(&m->poll, m);
    if (m->is_shard)
        renew_on_timer(&m->renew, m);
}

/* ---- public ---- */

static int copy_self(struct membership *m, const struct membership_config *config)
{
    m->node_id = slice_dup(config->node_id);
    if (!m->node_id)
        return -ENOMEM;
    m->is_shard = config->self.id.len > 0;
    m->self = config->self;
    m->self.id = m->self.address = (struct slice){0};
    if (!m->is_shard)
        return 0;
    m->self.id.data = slice_dup(config->self.id);
    m->self.address.data = slice_dup(config->self.address);
    if (!m->self.id.data || !m->self.address.data)
        return -ENOMEM;
    m->self.id.len = config->self.id.len;
    m->self.address.len = config->self.address.len;
    return 0;
}

int membership_new(struct env *env, struct registry *registry,
                   const struct membership_config *config,
                   const struct membership_events *events, void *owner,
                   struct membership **ret_membership)
{
    AUTO(membership_free) struct membership *m = calloc(1, sizeof(*m));
    AUTO(ring_unref) struct ring *check = NULL;
    int r;

    if (!m)
        return -ENOMEM;
    m->env = env;
    m->registry = registry;
    m->events = events;
    m->owner = owner;
    m->rejoin_ms = REJOIN_MIN_MS;
    timer_init(&m->poll, poll_on_timer, m);
    timer_init(&m->renew, renew_on_timer, m);
    timer_init(&m->suspicion, suspicion_on_timer, m);
    timer_init(&m->founding, founding_on_timer, m);
    timer_init(&m->leaving, leaving_on_timer, m);
    timer_init(&m->hint, hint_on_timer, m);
    later_init(&m->begin, begin_on_later, m);
    later_init(&m->left, left_on_later, m);
    r = copy_self(m, config);
    if (r < 0)
        return r;
    r = ring_new(1, &m->self, m->is_shard ? 1 : 0,
                 &check); /* -EINVAL for a place that no ring takes */
    if (r < 0)
        return r;
    r = ring_new(0, NULL, 0, &m->ring);
    if (r < 0)
        return r;
    registry_set_events(registry, &registry_events, m);
    env_later(env, &m->begin);
    *ret_membership = TAKE(m);
    return 0;
}

void membership_free(struct membership *m)
{
    if (!m)
        return;
    if (m->registry->owner == m)
        registry_set_events(m->registry, NULL, NULL);
    env_timer_cancel(m->env, &m->poll);
    env_timer_cancel(m->env, &m->renew);
    env_timer_cancel(m->env, &m->suspicion);
    env_timer_cancel(m->env, &m->founding);
    env_timer_cancel(m->env, &m->leaving);
    env_timer_cancel(m->env, &m->hint);
    later_cancel(&m->begin);
    later_cancel(&m->left);
    ring_unref(m->ring);
    free(m->node_id);
    free((char *)(uintptr_t)m->self.id.data); /* ours: copy_self() */
    free((char *)(uintptr_t)m->self.address.data);
    free(m);
}

const struct ring *membership_ring(const struct membership *m)
{
    return m->ring;
}

bool membership_is_confirmed(const struct membership *m)
{
    return m->is_member && m->confirmed_ms &&
           membership_now_ms(m) - m->confirmed_ms < LEASE_TTL_MS;
}

bool membership_is_registry_up(const struct membership *m)
{
    return m->contact_since_ms && membership_now_ms(m) - m->contact_ms < LEASE_TTL_MS;
}

struct membership_metrics membership_metrics(const struct membership *m)
{
    struct membership_metrics metrics = m->metrics;

    metrics.ring_epoch = (int64_t)ring_identity(m->ring).epoch;
    metrics.ring_members = (int64_t)ring_count(m->ring);
    metrics.registry_up = membership_is_registry_up(m);
    return metrics;
}

int membership_learn(struct membership *m, uint64_t epoch, struct slice members)
{
    AUTO(ring_unref) struct ring *ring = NULL;
    int r;

    if (epoch < ring_identity(m->ring).epoch)
        return 0;
    r = ring_decode(epoch, members, &ring);
    if (r < 0)
        return r;
    if (ring_identity_compare(ring_identity(ring), ring_identity(m->ring)) > 0)
        adopt(m, TAKE(ring));
    return 0;
}

void membership_refresh(struct membership *m)
{
    membership_ask_read(m);
}

void membership_suspect(struct membership *m, struct slice shard_id,
                        enum membership_evidence evidence)
{
    const struct ring_member *member = ring_find(m->ring, shard_id);

    if (!member)
        return;
    if (evidence != MEMBERSHIP_REFUSED) {
        membership_ask_read(m); /* an old lease shows there */
        return;
    }
    if (suspects_add(&m->suspects, shard_id, membership_now_ms(m)))
        watch_ask_evict(m, member, true);
}

void membership_drain(struct membership *m)
{
    if (m->self.draining)
        return;
    m->self.draining = true;
    m->next_put_ms = 0;
    place_ask_put(m, false);
}

void membership_leave(struct membership *m)
{
    if (m->leave_begun)
        return;
    m->leave_begun = true;
    membership_arm(m, &m->leaving, LEASE_TTL_MS);
    place_ask_remove(m);
    if (!m->busy[REGISTRY_REMOVE])
        finish_leaving(m); /* the registry is away: our lease runs out by itself */
}
