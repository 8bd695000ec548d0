/* membership_watch.c - the other shards: who refuses connections, whose lease has run out. This
 * only asks; the registry decides (registry.h). */
#include "common/base/log.h"
#include "common/cluster/membership_priv.h"

static bool may_trust_leases(const struct membership *m)
{
    return m->contact_since_ms && m->contact_ms - m->contact_since_ms >= LEASE_TTL_MS;
}

void watch_ask_evict(struct membership *m, const struct ring_member *member, bool refused)
{
    struct registry_eviction eviction = {
        .id = member->id,
        .incarnation = member->incarnation,
        .observer = slice_str(m->node_id),
        .refused = refused,
        .trust_leases = may_trust_leases(m),
        .known_epoch = ring_identity(m->ring).epoch,
    };

    if (m->busy[REGISTRY_EVICT])
        return;
    memcpy(m->evicting, member->id.data, member->id.len);
    m->evicting[member->id.len] = '\0';
    m->busy[REGISTRY_EVICT] = m->registry->ops->evict(m->registry, &eviction) == 0;
}

void watch_on_evicted(struct membership *m, int r)
{
    if (r == REGISTRY_REFUSED)
        m->metrics.evictions_refused++;
    if (r != 0)
        return;
    m->metrics.evictions_done++;
    log_warn("a shard is taken for dead and off the ring", L_STR("shard", m->evicting));
}

/* Suspects of whom the registry was told already are asked about again when their lease is old
 * enough. */
static void watch_suspect(struct membership *m, uint64_t lease_age_ms)
{
    uint64_t wait = lease_age_ms < SUSPECT_LEASE_MS ? SUSPECT_LEASE_MS - lease_age_ms : 0;

    if (!timer_is_armed(&m->suspicion))
        membership_arm(m, &m->suspicion, MAX(wait, (uint64_t)SUSPECT_RETRY_MS));
}

static bool is_to_go(const struct membership *m, const struct registry_view *view, size_t i)
{
    if (m->is_shard && slice_eq(view->members[i].id, m->self.id))
        return false;
    return suspects_has(&m->suspects, view->members[i].id, membership_now_ms(m)) ||
           (view->lease_age_ms[i] == REGISTRY_LEASE_EXPIRED && may_trust_leases(m));
}

/* The first that is to go, in the order of ids, behind `after`. NULL: none. */
static const struct ring_member *
next_to_go(const struct membership *m, const struct registry_view *view, struct slice after)
{
    const struct ring_member *best = NULL;

    for (size_t i = 0; i < view->n; i++) {
        const struct ring_member *member = &view->members[i];

        if (ring_compare_ids(member->id, after) > 0 &&
            (!best || ring_compare_ids(member->id, best->id) < 0) && is_to_go(m, view, i))
            best = member;
    }
    return best;
}

/* In turns: one whose eviction is refused for minutes (a hold) must not hide the others. */
void watch_tend(struct membership *m, const struct registry_view *view, bool refused_now)
{
    const struct ring_member *member = next_to_go(m, view, slice_str(m->evicting));

    if (!member && !refused_now)
        member = next_to_go(m, view, (struct slice){0});
    for (size_t i = 0; i < view->n; i++) {
        if (suspects_has(&m->suspects, view->members[i].id, membership_now_ms(m)))
            watch_suspect(m, view->lease_age_ms[i]);
    }
    if (member)
        watch_ask_evict(m, member,
                        suspects_has(&m->suspects, member->id, membership_now_ms(m)));
}
