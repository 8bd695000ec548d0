/* membership_place.c - a shard's own place on the ring: taken, kept by a lease, taken again
 * when it was lost, and left. */
#include "common/base/log.h"
#include "common/cluster/membership_priv.h"

/* ---- asking ---- */

static bool wants_place(const struct membership *m)
{
    return m->is_shard && !m->superseded && !m->leave_begun;
}

void place_ask_put(struct membership *m, bool found)
{
    if (m->busy[REGISTRY_PUT] || !wants_place(m) || membership_now_ms(m) < m->next_put_ms)
        return;
    m->put_sent_ms = membership_now_ms(m);
    m->busy[REGISTRY_PUT] =
        m->registry->ops->put(m->registry, &m->self, ring_identity(m->ring).epoch, found) == 0;
}

void place_ask_renew(struct membership *m)
{
    if (m->busy[REGISTRY_RENEW] || !wants_place(m) || !m->is_member)
        return;
    m->renew_sent_ms = membership_now_ms(m);
    m->busy[REGISTRY_RENEW] =
        m->registry->ops->renew(m->registry, m->self.id, m->self.incarnation) == 0;
}

void place_ask_remove(struct membership *m)
{
    if (m->busy[REGISTRY_REMOVE])
        return;
    m->busy[REGISTRY_REMOVE] =
        m->registry->ops->remove(m->registry, m->self.id, m->self.incarnation,
                                 ring_identity(m->ring).epoch) == 0;
}

/* ---- answers ---- */

static void back_off(struct membership *m)
{
    if (membership_now_ms(m) - m->member_since_ms >= REJOIN_FORGIVE_MS)
        m->rejoin_ms = REJOIN_MIN_MS;
    m->next_put_ms = membership_now_ms(m) + env_jitter_ms(m->env, m->rejoin_ms);
    m->rejoin_ms = MIN(2 * m->rejoin_ms, (uint64_t)REJOIN_MAX_MS);
}

static void on_lost_place(struct membership *m)
{
    back_off(m);
    if (!wants_place(m))
        return;
    m->metrics.returns++;
    log_warn("we were taken for dead and are off the ring; coming back",
             L_U64("in_ms", m->next_put_ms - membership_now_ms(m)));
}

void place_tend(struct membership *m, const struct registry_view *view)
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
        m->member_since_ms = membership_now_ms(m);
    else if (!m->is_member && m->was_member)
        on_lost_place(m);
    m->was_member = m->is_member;
    if (!m->is_member || me->draining != m->self.draining)
        place_ask_put(m, false);
}

void place_tend_empty(struct membership *m)
{
    m->is_member = false;
    if (ring_identity(m->ring).epoch > 0)
        membership_ask_restore(m, 0);
    else if (m->found_allowed)
        place_ask_put(m, true);
    else if (m->is_shard && !timer_is_armed(&m->founding))
        membership_arm(m, &m->founding, RING_FOUND_MS);
}

void place_on_put(struct membership *m, int r)
{
    if (r == 0)
        m->confirmed_ms = m->put_sent_ms;
    if (r != REGISTRY_REFUSED)
        return;
    log_error("the ring is full: members, or the sum of their weights");
    back_off(m);
}
