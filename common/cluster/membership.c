/*
 * membership.c - which ring this process goes by: see membership.h.
 *
 * Everything is driven by views of the registry: each reply, of whatever
 * operation, brings one. membership_on_view() adopts a newer ring, repairs a
 * registry that is behind, and then looks at three things: our own place,
 * suspects, and leases that ran out. Timers only ask for the next view.
 */
#include "common/cluster/membership.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct suspect {
    char id[NODE_ID_MAX];
    size_t id_len;
    uint64_t until_ms; /* 0: free */
};

struct membership {
    struct env *env;
    struct registry *registry;
    const struct membership_events *events;
    void *owner;
    char *node_id; /* owned; self.id and self.address as well */
    struct ring_member self;
    bool is_shard;

    struct ring *ring;            /* never NULL */
    bool busy[REGISTRY_OP_COUNT]; /* under way at the registry */
    bool read_again;              /* a hint came while one was */
    struct timer poll, renew, suspicion, founding, leaving;
    struct later begin, left;

    /* contact with the registry */
    uint64_t contact_since_ms; /* of the unbroken row of answers; 0: none */
    uint64_t contact_ms;       /* of the last answer */

    /* our own place */
    bool is_member;  /* by the last view */
    bool was_member; /* since the last put */
    bool superseded, leave_begun, has_left;
    uint64_t renew_sent_ms; /* of the renewal or put under way */
    uint64_t put_sent_ms;
    uint64_t confirmed_ms; /* when the last successful one was sent; 0: never */
    uint64_t next_put_ms;
    uint64_t rejoin_ms; /* pause before the next return */
    uint64_t member_since_ms;
    bool found_allowed; /* we waited for somebody who remembers a ring */

    struct suspect suspects[SUSPECTS_MAX];
};

static uint64_t now_ms(const struct membership *m)
{
    return env_now_ms(m->env);
}

/* A timer that cannot be set for want of memory is made up for by the next one that can; the
 * poll must be. */
static void arm(struct membership *m, struct timer *timer, uint64_t delay_ms)
{
    if (env_timer(m->env, timer, delay_ms) < 0)
        assert(timer != &m->poll);
}

/* ---- asking ---- */

static void ask_read(struct membership *m)
{
    if (m->busy[REGISTRY_READ]) {
        m->read_again = true;
        return;
    }
    m->busy[REGISTRY_READ] = m->registry->ops->read(m->registry) == 0;
    if (!m->busy[REGISTRY_READ])
        m->contact_since_ms = 0;
}

static bool wants_place(const struct membership *m)
{
    return m->is_shard && !m->superseded && !m->leave_begun;
}

static void ask_put(struct membership *m, bool found)
{
    if (m->busy[REGISTRY_PUT] || !wants_place(m) || now_ms(m) < m->next_put_ms)
        return;
    m->put_sent_ms = now_ms(m);
    m->busy[REGISTRY_PUT] =
        m->registry->ops->put(m->registry, &m->self, ring_identity(m->ring).epoch, found) == 0;
}

static void ask_renew(struct membership *m)
{
    if (m->busy[REGISTRY_RENEW] || !wants_place(m) || !m->is_member)
        return;
    m->renew_sent_ms = now_ms(m);
    m->busy[REGISTRY_RENEW] =
        m->registry->ops->renew(m->registry, m->self.id, m->self.incarnation) == 0;
}

static void ask_remove(struct membership *m)
{
    if (m->busy[REGISTRY_REMOVE])
        return;
    m->busy[REGISTRY_REMOVE] =
        m->registry->ops->remove(m->registry, m->self.id, m->self.incarnation,
                                 ring_identity(m->ring).epoch) == 0;
}

static void ask_restore(struct membership *m, uint64_t stored_epoch)
{
    if (!m->busy[REGISTRY_RESTORE])
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
        ask_restore(m, view->epoch);
        return 1;
    }
    adopt(m, TAKE(ring));
    return 0;
}

/* ---- our own place ---- */

static void back_off(struct membership *m)
{
    if (now_ms(m) - m->member_since_ms >= REJOIN_FORGIVE_MS)
        m->rejoin_ms = REJOIN_MIN_MS;
    m->next_put_ms = now_ms(m) + env_jitter_ms(m->env, m->rejoin_ms);
    m->rejoin_ms = MIN(2 * m->rejoin_ms, (uint64_t)REJOIN_MAX_MS);
}

static void tend_place(struct membership *m, const struct registry_view *view)
{
    const struct ring_member *me = NULL;
    bool has_lease = false;

    if (!m->is_shard || m->superseded)
        return;
    for (size_t i = 0; i < view->n; i++) {
        if (!slice_eq(view->members[i].id, m->self.id))
            continue;
        me = &view->members[i];
        has_lease = view->lease_age_ms[i] != REGISTRY_LEASE_EXPIRED;
    }
    /* Without a lease it is only a trace, of a database whose counter was set back by a
     * restore. */
    if (me && me->incarnation > m->self.incarnation && has_lease) {
        m->superseded = true;
        m->is_member = false;
        if (!m->leave_begun && m->events->on_superseded)
            m->events->on_superseded(m->owner);
        return;
    }
    m->is_member = me && me->incarnation == m->self.incarnation;
    if (m->is_member && !m->was_member)
        m->member_since_ms = now_ms(m);
    else if (!m->is_member && m->was_member)
        back_off(m);
    m->was_member = m->is_member;
    if (!m->is_member || me->draining != m->self.draining)
        ask_put(m, false);
}

/* An empty registry: somebody may remember the ring and restore it; a shard that has waited
 * begins a new one. */
static void tend_empty(struct membership *m)
{
    m->is_member = false;
    if (ring_identity(m->ring).epoch > 0)
        ask_restore(m, 0);
    else if (m->found_allowed)
        ask_put(m, true);
    else if (m->is_shard && !timer_is_armed(&m->founding))
        arm(m, &m->founding, RING_FOUND_MS);
}

static void founding_on_timer(struct timer *timer, void *arg)
{
    struct membership *m = arg;

    (void)timer;
    m->found_allowed = ring_identity(m->ring).epoch == 0;
    ask_read(m);
}

/* ---- the others ---- */

static struct suspect *find_suspect(struct membership *m, struct slice id)
{
    for (size_t i = 0; i < SUSPECTS_MAX; i++) {
        struct suspect *s = &m->suspects[i];

        if (s->until_ms > now_ms(m) && slice_eq(slice_of(s->id, s->id_len), id))
            return s;
    }
    return NULL;
}

static bool may_trust_leases(const struct membership *m)
{
    return m->contact_since_ms && m->contact_ms - m->contact_since_ms >= LEASE_TTL_MS;
}

static void ask_evict(struct membership *m, const struct ring_member *member, bool refused)
{
    struct registry_eviction eviction = {
        .id = member->id,
        .incarnation = member->incarnation,
        .observer = slice_str(m->node_id),
        .refused = refused,
        .trust_leases = may_trust_leases(m),
        .known_epoch = ring_identity(m->ring).epoch,
    };

    if (!m->busy[REGISTRY_EVICT])
        m->busy[REGISTRY_EVICT] = m->registry->ops->evict(m->registry, &eviction) == 0;
}

/* Suspects of whom the registry was told already are asked about again when their lease is old
 * enough. */
static void watch_suspect(struct membership *m, uint64_t lease_age_ms)
{
    uint64_t wait = lease_age_ms < SUSPECT_LEASE_MS ? SUSPECT_LEASE_MS - lease_age_ms : 0;

    if (!timer_is_armed(&m->suspicion))
        arm(m, &m->suspicion, MAX(wait, (uint64_t)SUSPECT_RETRY_MS));
}

/* refused_now: the registry has just refused an eviction, so that none is asked for again from
 * this view. */
static void tend_others(struct membership *m, const struct registry_view *view,
                        bool refused_now)
{
    for (size_t i = 0; i < view->n; i++) {
        const struct ring_member *member = &view->members[i];
        bool suspected = find_suspect(m, member->id) != NULL;
        bool expired = view->lease_age_ms[i] == REGISTRY_LEASE_EXPIRED && may_trust_leases(m);

        if (m->is_shard && slice_eq(member->id, m->self.id))
            continue;
        if (suspected)
            watch_suspect(m, view->lease_age_ms[i]);
        if ((suspected || expired) && !refused_now)
            ask_evict(m, member, suspected);
    }
}

static void suspicion_on_timer(struct timer *timer, void *arg)
{
    (void)timer;
    ask_read(arg);
}

/* ---- replies ---- */

static void note_contact(struct membership *m)
{
    /* After a long silence (a suspended machine) all leases may look old. */
    if (!m->contact_since_ms || now_ms(m) - m->contact_ms >= LEASE_TTL_MS)
        m->contact_since_ms = now_ms(m);
    m->contact_ms = now_ms(m);
}

static void on_view(struct membership *m, const struct registry_view *view, bool refused_now)
{
    int r;

    if (view->epoch == 0) {
        m->contact_since_ms = 0; /* it has forgotten: counts as down */
        tend_empty(m);
        return;
    }
    r = compare_view(m, view);
    if (r > 0)
        return; /* behind: the restored ring comes as the next view */
    if (r < 0) {
        m->contact_since_ms = 0;
        return;
    }
    note_contact(m);
    tend_place(m, view);
    tend_others(m, view, refused_now);
}

static void finish_leaving(struct membership *m)
{
    env_timer_cancel(m->env, &m->leaving);
    if (!m->has_left)
        env_later(m->env, &m->left);
    m->has_left = true;
}

static void membership_on_reply(void *owner, enum registry_op op, int r,
                                const struct registry_view *view)
{
    struct membership *m = owner;

    m->busy[op] = false;
    if (op == REGISTRY_REMOVE)
        finish_leaving(m); /* failed as well: the lease runs out by itself */
    if (r < 0)
        m->contact_since_ms = 0;
    if (r == 0 && op == REGISTRY_RENEW)
        m->confirmed_ms = m->renew_sent_ms;
    if (r == 0 && op == REGISTRY_PUT)
        m->confirmed_ms = m->put_sent_ms;
    if (r == 0 && op == REGISTRY_RESTORE)
        m->contact_since_ms = 0; /* leases begin anew */
    if (view)
        on_view(m, view, op == REGISTRY_EVICT && r == REGISTRY_REFUSED);
    if (op == REGISTRY_READ && m->read_again) {
        m->read_again = false;
        ask_read(m);
    }
}

static void membership_on_hint(void *owner)
{
    ask_read(owner);
}

static const struct registry_events registry_events = {
    .on_reply = membership_on_reply,
    .on_hint = membership_on_hint,
};

/* ---- timers ---- */

static void poll_on_timer(struct timer *timer, void *arg)
{
    struct membership *m = arg;

    arm(m, timer, env_jitter_ms(m->env, RING_POLL_MS));
    ask_read(m);
}

static void renew_on_timer(struct timer *timer, void *arg)
{
    struct membership *m = arg;

    arm(m, timer, env_jitter_ms(m->env, LEASE_RENEW_MS));
    ask_renew(m);
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
    return m->is_member && m->confirmed_ms && now_ms(m) - m->confirmed_ms < LEASE_TTL_MS;
}

bool membership_is_registry_up(const struct membership *m)
{
    return m->contact_since_ms && now_ms(m) - m->contact_ms < LEASE_TTL_MS;
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
    ask_read(m);
}

void membership_suspect(struct membership *m, struct slice shard_id,
                        enum membership_evidence evidence)
{
    const struct ring_member *member = ring_find(m->ring, shard_id);
    struct suspect *s;

    if (!member)
        return;
    if (evidence != MEMBERSHIP_REFUSED) {
        ask_read(m); /* an old lease shows there */
        return;
    }
    s = find_suspect(m, shard_id);
    for (size_t i = 0; !s && i < SUSPECTS_MAX; i++) {
        if (m->suspects[i].until_ms <= now_ms(m))
            s = &m->suspects[i];
    }
    if (!s)
        return;
    memcpy(s->id, shard_id.data, shard_id.len);
    s->id_len = shard_id.len;
    s->until_ms = now_ms(m) + SUSPECT_MS;
    ask_evict(m, member, true);
}

void membership_drain(struct membership *m)
{
    if (m->self.draining)
        return;
    m->self.draining = true;
    m->next_put_ms = 0;
    ask_put(m, false);
}

void membership_leave(struct membership *m)
{
    if (m->leave_begun)
        return;
    m->leave_begun = true;
    arm(m, &m->leaving, LEASE_TTL_MS);
    ask_remove(m);
    if (!m->busy[REGISTRY_REMOVE])
        finish_leaving(m); /* the registry is away: our lease runs out by itself */
}
